// The page of options names every option, none that is gone, and the defaults that hold.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineLimits } from '../../src/engine/engine.ts';
import { streamLimits } from '../../src/engine/streams.ts';
import { nodeShape, readNodeOptions } from '../../src/node/options.ts';
import { codeIn, firstColumn, membersOf, read, rowsOf, section, sectionsOf, sorted } from './pages.ts';

const page = read('docs/reference/options.md');
const rows = rowsOf(sectionsOf(page), 'option');

/** What of a zod schema this test looks at. */
interface Schema {
  readonly def: { readonly type: string; readonly innerType?: Schema };
  readonly shape?: Readonly<Record<string, Schema>>;
}

/** Paths of all options that hold a value, groups left out. */
function pathsOf(shape: Readonly<Record<string, Schema>>, before: string): string[] {
  return Object.entries(shape).flatMap(([key, schema]) => {
    const inner = schema.def.type === 'optional' ? (schema.def.innerType as Schema) : schema;
    return inner.shape === undefined ? [`${before}${key}`] : pathsOf(inner.shape, `${before}${key}.`);
  });
}

test('every option has its row, and no row is of an option that is gone', () => {
  const ofTheNode = pathsOf(nodeShape, '');
  const ofTheLibrary = membersOf('src/server/index.ts', 'EvenkeelOptions');
  assert.deepEqual(ofTheLibrary.length, 3);
  assert.deepEqual(sorted(firstColumn(rows)), sorted([...ofTheNode, ...ofTheLibrary]));
  assert.equal(rows.length, ofTheNode.length + ofTheLibrary.length, 'one row each');
});

test('the defaults on the page are those that hold', () => {
  const { policy, lifetime, drain, transport, score, ...node } = readNodeOptions({});
  const { plan, pace, quiet, steering } = policy;
  const holds: Record<string, unknown> = {
    fleet: node.fleet,
    version: node.version,
    capacity: node.capacity,
    balancerIdleMs: node.balancerIdleMs,
    lateMessages: node.lateMessages,
    halfClose: node.halfClose,
    'rebalance.start': plan.start,
    'rebalance.stop': plan.stop,
    'rebalance.pacePerS': pace.pacePerS,
    'rebalance.withinMs': pace.withinMs,
    'rebalance.stepOut': policy.stepOut,
    'rebalance.minInRotation': steering.minInRotation,
    'rebalance.trialMs': steering.trialMs,
    'rebalance.balanceBy': policy.balanceBy,
    'rebalance.slowStartMs': policy.slowStartMs,
    'rebalance.movesPerConnection': policy.movesPerConnection,
    'rebalance.stableMs': quiet.stableMs,
    'rebalance.afterDrainMs': quiet.afterDrainMs,
    'rebalance.strainDelayMs': pace.strainDelayMs,
    'rebalance.strainHandshakeMs': pace.strainHandshakeMs,
    'lifetime.maxRequests': lifetime.maxRequests,
    'lifetime.maxRequestsJitter': lifetime.maxRequestsJitter,
    'lifetime.maxAgeMs': lifetime.maxAgeMs,
    'lifetime.maxAgeJitter': lifetime.maxAgeJitter,
    'lifetime.idleMs': transport.idleMs,
    'drain.deadlineMs': drain.deadlineMs,
    'drain.noticeMs': drain.noticeMs,
    'drain.settleMs': drain.settleMs,
    'limits.goodbyesPerS': node.goodbyesPerS,
    'limits.admissionPerS': node.admissionPerS,
    'limits.perAddressPerS': node.perAddressPerS,
    'limits.pingMs': transport.pingMs,
    'limits.lingerMs': transport.lingerMs,
    'limits.goodbyeMs': transport.goodbyeMs,
    'limits.connections': score.connections,
    'limits.cpu': score.cpu,
    'limits.eventLoopDelayMs': score.eventLoopDelayMs,
  };
  for (const [option, value] of Object.entries(holds)) {
    const [, , cell] = rows.find(([first]) => codeIn(first)[0] === option) ?? assert.fail(`no row for ${option}`);
    const said = /^`?([^\s`;,]+(?:,\d{3})*)/.exec(cell)?.[1].replaceAll(',', '');
    assert.equal(said, String(value), `the default of ${option}`);
  }
  assert.equal(readNodeOptions({ rebalance: { balanceBy: 'load' } }).policy.plan.start, 0.05);
  assert.equal(transport.deadMs, 3 * transport.pingMs);
});

test('the limits of engines on the page are those that hold', () => {
  const { text } = section(page, 'Engine');
  const { members, keys, nameChars, depth, leases, inboxes } = engineLimits;
  for (const limit of [members, keys, nameChars, depth, leases, inboxes]) assert.ok(text.includes(limit.toLocaleString('en')), String(limit));
  assert.equal(engineLimits.valueBytes, 64 * 1024);
  assert.equal(engineLimits.messageBytes, 256 * 1024);
  const { entriesPerStream, entriesPerRead, numbersPerSession, repliesPerSession, presentPerStream } = streamLimits;
  for (const limit of [entriesPerStream, entriesPerRead, numbersPerSession, repliesPerSession, presentPerStream])
    assert.ok(text.includes(limit.toLocaleString('en')), String(limit));
  for (const megabyte of [streamLimits.dataBytes, streamLimits.pageBytes]) assert.equal(megabyte, 1024 * 1024);
});
