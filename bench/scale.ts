// Evening out at full size, on one machine: 19,000 plain WebSocket clients on one of five servers, and a scale-out from 5 to
// 10 servers with 97,500 clients. Nobody may be closed with anything but 1012 or be left outside. Clients, forwarders and
// servers are processes with at most 20,000 files each.
// Run: node dist/bench/scale.js [--scenario one-of-five|scale-out|both] [--clients N] [--heartbeat MS] [--connects-per-s N]
//      [--balancer random|round-robin|least-connections]; --clients 2000 takes half a minute.
import { parseArgs } from 'node:util';
import { balancerPolicies } from '../src/cli/demo/options.ts';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { run, type ScaleResult } from './scale/run.ts';

const SCENARIOS = {
  'one-of-five': { before: 1, servers: 5, clients: 19_000, heartbeatMs: 30_000, connectsPerS: 800 },
  'scale-out': { before: 5, servers: 10, clients: 97_500, heartbeatMs: 120_000, connectsPerS: 500 },
};

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', default: 'both' },
    clients: { type: 'string' },
    heartbeat: { type: 'string' },
    'connects-per-s': { type: 'string' },
    balancer: { type: 'string', default: 'random' },
  },
});

const policy = balancerPolicies.find((known) => known === values.balancer);
const wanted = Object.entries(SCENARIOS).filter(([name]) => values.scenario === 'both' || values.scenario === name);
if (policy === undefined || wanted.length === 0) {
  console.error(`--scenario must be one of ${Object.keys(SCENARIOS).join(', ')}, both; --balancer one of ${balancerPolicies.join(', ')}`);
  process.exit(2);
}

let failed = false;
console.log(machine());
for (const [name, scenario] of wanted) {
  const given = [values.clients, values.heartbeat, values['connects-per-s']];
  const [clients, heartbeatMs, connectsPerS] = numbersFrom(given, [scenario.clients, scenario.heartbeatMs, scenario.connectsPerS]);
  console.log(`${name}: ${clients} clients, from ${scenario.before} to ${scenario.servers} servers, a heartbeat every ${heartbeatMs} ms, balancer ${policy}`);
  const startedAt = performance.now();
  const say = (line: string): void => console.log(`${((performance.now() - startedAt) / 1_000).toFixed(0).padStart(5)} s  ${line}`);
  const result = await run({ ...scenario, clients, heartbeatMs, connectsPerS, policy }, say);
  if (!isGood(result)) failed = true;
  console.table(rowsOf(result));
}
process.exit(failed ? 1 : 0);

function isGood({ closeCodes, clientsOutside, forced, timeToEvenS, failedRequests }: ScaleResult): boolean {
  return Object.keys(closeCodes).every((code) => code === '1012') && clientsOutside === 0 && forced === 0 && failedRequests === 0 && timeToEvenS !== null;
}

function rowsOf(result: ScaleResult): Record<string, string | number> {
  const { peakHandshakesPerS: peak, moves, movesLowerBound } = result;
  return {
    'time to even (5 %), s': result.timeToEvenS?.toFixed(1) ?? 'not even',
    'imbalance before': result.imbalanceBefore.toFixed(3),
    'imbalance after': result.imbalanceAfter.toFixed(3),
    moves,
    'least moves': movesLowerBound,
    'moves / least': (moves / movesLowerBound).toFixed(3),
    bounces: result.bounces,
    'moves after even': result.movesAfterEven ?? '',
    'server memory per connection, bytes': result.bytesPerConnection,
    'peak handshakes/s while connecting': peak.connecting,
    'peak handshakes/s while evening out': peak.evening,
    'close codes': JSON.stringify(result.closeCodes),
    'cut by force': result.forced,
    'clients left outside': result.clientsOutside,
    heartbeats: result.requests,
    'failed heartbeats': result.failedRequests,
    'troubles since t = 0': JSON.stringify(result.troubles),
    'per server': result.perServer.join(' '),
    processes: result.processes,
  };
}
