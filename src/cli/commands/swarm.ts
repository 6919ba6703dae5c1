// `evenkeel swarm`: many real clients against any server, with an account of every request.
import { Command } from 'commander';
import { fileLimit, outgoingPorts } from '../../host/limits.ts';
import { realClock, sleep } from '../../host/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import { badFlag, oneOf, positiveNumber, wholeNumber } from '../arguments.ts';
import { onInterrupt } from '../interrupt.ts';
import { report, type AccountState, type SwarmReport } from '../swarm/account.ts';
import { failureOf } from '../swarm/conclusion.ts';
import { Crew, PER_TOPIC } from '../swarm/crew.ts';
import { protocols, type SwarmProtocol } from '../swarm/swarm.ts';

interface SwarmFlags {
  readonly url: string;
  readonly clients: number;
  readonly protocol: SwarmProtocol;
  readonly rate: number;
  readonly perTopic: number;
  readonly durationS?: number;
  readonly json?: boolean;
}

const MORE = `
Exit code 1: not one request was answered, or a message was lost, came twice, out of order or from nobody, or is missing
without a word. Requests that fail are the measurement.`;

export function swarmCommand(): Command {
  return new Command('swarm')
    .description('many real clients that send heartbeats, and an account of every one; without --duration-s until Ctrl-C')
    .requiredOption('--url <url>', 'where to: http://HOST:PORT/PATH or ws://HOST:PORT/PATH')
    .requiredOption('--clients <n>', 'how many', wholeNumber('--clients', { min: 1, max: 1_000_000 }))
    .addOption(oneOf('--protocol <name>', protocols, 'what they speak').makeOptionMandatory())
    .option('--rate <n>', 'heartbeats per second of one client', positiveNumber('--rate', { min: 0.001, max: 100 }), 1)
    .option('--per-topic <n>', 'clients that share a topic, with --protocol session', wholeNumber('--per-topic', { min: 1, max: 100_000 }), PER_TOPIC)
    .option('--duration-s <n>', 'seconds that it runs', positiveNumber('--duration-s', { min: 0.1, max: 1_000_000 }))
    .option('--json', 'one JSON object on standard output, and nothing else')
    .addHelpText('after', MORE)
    .action(run);
}

async function run(flags: SwarmFlags): Promise<void> {
  const url = targetUrl(flags.url, flags.protocol);
  mustHavePorts(flags.clients);
  const { clients, protocol, perTopic } = flags;
  const crew = new Crew({ url, clients, protocol, perTopic, intervalMs: 1_000 / flags.rate, files: fileLimit() });
  using interrupt = onInterrupt();
  const lost = new Promise<never>((_, reject) => {
    crew.onLost((exit) => reject(new EvenkeelError('EVENKEEL_LIMIT', `a process full of clients ended by itself (${exit.signal ?? exit.code})`)));
  });
  const progress = flags.json === true ? null : realClock.every(1_000, () => write(progressLine(crew.account)));
  const over = flags.durationS === undefined ? [] : [sleep(flags.durationS * 1_000)];
  try {
    await Promise.race([interrupt.happened, lost, ...over]);
    await crew.quiet();
    const account = await crew.stop();
    const { verdict } = crew;
    const result = report(account, verdict);
    if (verdict !== null && verdict.firstFault !== null) process.stderr.write(`${verdict.firstFault}\n`);
    write(flags.json === true ? JSON.stringify(result) : summary(result));
    const failure = failureOf(account, verdict, url);
    if (failure !== null) throw failure;
  } finally {
    progress?.cancel();
    await crew.kill();
  }
}

/** The URL as the protocol wants it. TLS is not offered: the swarm is for load, not for ciphers. */
function targetUrl(text: string, protocol: SwarmProtocol): string {
  const rule = protocol === 'http' ? 'http://HOST:PORT/PATH' : 'ws://HOST:PORT/PATH';
  if (!URL.canParse(text)) throw badFlag('--url', rule, text);
  const url = new URL(text);
  if (protocol !== 'http' && url.protocol === 'http:') url.protocol = 'ws:';
  if (url.protocol !== (protocol === 'http' ? 'http:' : 'ws:') || url.hash !== '') throw badFlag('--url', rule, text);
  return url.href;
}

/** All clients have one address here and one target, so ports bound their number, not only files. */
function mustHavePorts(clients: number): void {
  const ports = outgoingPorts();
  if (ports === null || clients <= ports) return;
  throw new EvenkeelError(
    'EVENKEEL_TOO_MANY_CLIENTS',
    `--clients must be at most ${ports}, the ports that this machine has for connections to one address, got ${clients}`,
  );
}

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}

function progressLine(account: AccountState): string {
  return `${account.connected} of ${account.clients} connected, ${account.requests} requests, ${account.failedRequests} failed`;
}

function summary(result: SwarmReport): string {
  const { latencyMs, closeCodes } = result;
  const codes = Object.entries(closeCodes).map(([code, times]) => `${code}: ${times}`);
  return [
    `clients       ${result.clients}, ${result.connected} connected at the end, ${result.attempts} connections tried`,
    `requests      ${result.requests}, ${result.acknowledged} answered, ${result.failedRequests} failed`,
    ...(result.delivered === null ? [] : [judgement(result)]),
    `latency (ms)  p50 ${latencyMs.p50 ?? '-'}, p99 ${latencyMs.p99 ?? '-'}, max ${latencyMs.max ?? '-'}`,
    `close codes   ${codes.length === 0 ? 'none' : codes.join(', ')}`,
  ].join('\n');
}

function judgement({ delivered, lost, duplicated, outOfOrder, gaps, silentGaps, foreign, undecided }: SwarmReport): string {
  const faults = `${lost} lost, ${duplicated} duplicated, ${outOfOrder} out of order, ${silentGaps} silent gaps, ${foreign} foreign`;
  return `messages      ${delivered} delivered, ${faults}, ${gaps} gaps told, ${undecided} undecided`;
}
