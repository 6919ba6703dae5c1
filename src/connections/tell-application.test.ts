// What becomes of a goodbye that is handed to the application.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Goodbye } from '../core/goodbye.ts';
import { silentLog } from '../core/log.ts';
import { Connection, type Transport } from './connection.ts';
import { tellApplication } from './tell-application.ts';

const goodbye: Goodbye = { reason: 'drain', plan: null, target: null };
const connectionWith = (onRetire: Connection['onRetire']): Connection =>
  Object.assign(new Connection(7, { protocol: 'tcp' } as Transport, null, 0), { onRetire });

test('an application that listens takes the goodbye, once', () => {
  const heard: Goodbye[] = [];
  const connection = connectionWith((told) => void heard.push(told));
  assert.equal(tellApplication(connection, goodbye, { log: silentLog, without: '' }), true);
  assert.equal(tellApplication(connection, goodbye, { log: silentLog, without: '' }), false);
  assert.deepEqual(heard, [goodbye]);
});

test('one that fails has not taken it, so that the connection ends at once and not at its deadline; the log says so', () => {
  const errors: string[] = [];
  const log = { ...silentLog, error: (_: object, message: string) => void errors.push(message) };
  const connection = connectionWith(() => {
    throw new Error('a bug of the application');
  });
  assert.equal(tellApplication(connection, goodbye, { log, without: 'it is ended' }), false);
  assert.deepEqual(errors, ['onRetire failed; it is ended']);
});
