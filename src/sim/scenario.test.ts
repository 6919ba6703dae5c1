// What a scenario file may get wrong, and how it is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from './run.ts';
import { readScenario } from './scenario.ts';

const base = { name: 'short', durationS: 20, nodeCount: 5, clients: { count: 100, protocol: 'http' }, policy: { name: 'none' } };
const refused = (change: object, message: string): void => assert.throws(() => readScenario({ ...base, ...change }), { code: 'EVENKEEL_BAD_OPTION', message });

test('an event names a node that is there by then, whatever the order in the file', () => {
  const add = { atS: 10, do: 'add' };
  readScenario({ ...base, events: [{ atS: 15, do: 'crash', node: 'n6' }, add] });
  refused({ events: [add, { atS: 5, do: 'crash', node: 'n6' }] }, 'events.1.node must be one of the nodes that are there by then, got "n6"');
});

test('a node that is added has a name of its own', () => {
  refused({ events: [{ atS: 3, do: 'add', node: 'n1' }] }, 'events.0.node must be a name that no other node has, got "n1"');
  const twice = [
    { atS: 3, do: 'add', node: 'n7' },
    { atS: 4, do: 'add' },
  ];
  refused({ events: twice }, 'events.1.node must be a name that no other node has, got "n7"');
});

test('a policy that is not known is told with those that are', () => {
  refused({ policy: { name: 'evenkel' } }, 'policy.name must be one of evenkeel, none, max-requests, max-age, emqx, nats, piko, got "evenkel"');
});

test('a fleet without clients has figures, too', async () => {
  const { report } = await simulate(readScenario({ ...base, clients: { count: 0, protocol: 'http' } }), { wallS: () => 0 });
  assert.equal(report.maxDeviation, 0);
});
