// Clients that came the same way share what is known of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientFacts } from '../ports.ts';
import { Ways } from './ways.ts';

const client: ClientFacts = {
  address: '192.0.2.1',
  port: 5_000,
  localAddress: '192.0.2.9',
  localPort: 443,
  secure: true,
  serverName: 'example.org',
  trusted: false,
};

test('who differs in address and port alone came the same way', () => {
  const ways = new Ways();
  const way = ways.of(client);
  assert.deepEqual({ address: '192.0.2.1', port: 5_000, ...way }, client);
  assert.equal(ways.of({ ...client, address: '192.0.2.2', port: 5_001 }), way);
});

test('every other difference makes another way', () => {
  const others: Partial<ClientFacts>[] = [{ localAddress: '192.0.2.8' }, { localPort: 80 }, { secure: false }, { serverName: null }, { trusted: true }];
  for (const other of others) {
    const ways = new Ways();
    const way = ways.of(client);
    const { address, port } = client;
    assert.deepEqual({ address, port, ...ways.of({ ...client, ...other }) }, { ...client, ...other });
    assert.deepEqual({ address, port, ...way }, client, 'the first one keeps its own');
  }
});
