// What a chaos run is asked to do.
import { parseArgs } from 'node:util';

/** `faults`: everything that may happen while the engine keeps what it acknowledged. The others make it lose writes. */
export type ChaosMode = 'faults' | 'lose-writes' | 'kill-engine';

export interface ChaosOptions {
  readonly mode: ChaosMode;
  readonly engine: 'local' | 'redis';
  /** It goes on until so many faults have happened, of each kind at least `minimum`, and so many messages were delivered; */
  readonly faults: number;
  readonly minimum: number;
  readonly messages: number;
  /** but no longer than this, s. */
  readonly durationS: number;
  readonly seed: number;
  readonly nodes: number;
  readonly clients: number;
  readonly streams: number;
  /** Streams that each client follows. */
  readonly follows: number;
  /** Users that the clients are, and messages per second that each node sends to their inboxes. */
  readonly users: number;
  readonly sends: number;
  /** Messages per second that each client publishes, at most. */
  readonly rate: number;
  /** Requests per second that each client makes, at most. */
  readonly requests: number;
  /** Mean time between two faults of links, of nodes, and of the engine, ms. */
  readonly linkFaultMs: number;
  readonly nodeFaultMs: number;
  readonly engineFaultMs: number;
}

export const shortForm: ChaosOptions = {
  mode: 'faults',
  engine: 'local',
  faults: 200,
  minimum: 3,
  messages: 100_000,
  durationS: 90,
  seed: 1,
  nodes: 3,
  clients: 40,
  streams: 4,
  follows: 2,
  users: 10,
  sends: 5,
  rate: 5,
  requests: 2,
  linkFaultMs: 300,
  nodeFaultMs: 1_500,
  engineFaultMs: 6_000,
};

export const longForm: ChaosOptions = {
  ...shortForm,
  faults: 10_000,
  minimum: 100,
  messages: 10_000_000,
  durationS: 3_600,
  nodes: 4,
  clients: 80,
  follows: 3,
  users: 20,
  sends: 10,
  rate: 10,
  requests: 1,
  linkFaultMs: 80,
  nodeFaultMs: 1_000,
  engineFaultMs: 4_000,
};

/** Flags that take a figure; their names without hyphens are those of the options. */
const figures = [
  'faults',
  'minimum',
  'messages',
  'duration-s',
  'seed',
  'nodes',
  'clients',
  'streams',
  'follows',
  'users',
  'sends',
  'rate',
  'requests',
  'link-fault-ms',
  'node-fault-ms',
  'engine-fault-ms',
];

/** `--long`, or the short form; each figure may be set by itself. */
export function readOptions(args: readonly string[], seed: number): { options: ChaosOptions; json: boolean } {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const numbers = Object.fromEntries(figures.map((name) => [name, text]));
  const { values } = parseArgs({
    args: [...args],
    options: { ...numbers, engine: text, long: flag, 'lose-writes': flag, 'kill-engine': flag, json: flag },
  });
  const given: Record<string, number> = { seed };
  for (const name of figures) {
    const value = (values as Readonly<Record<string, string | undefined>>)[name];
    if (value === undefined) continue;
    if (!(Number(value) >= 0)) throw new RangeError(`--${name} must be a number, got ${value}`);
    given[name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())] = Number(value);
  }
  const mode = values['lose-writes'] === true ? 'lose-writes' : values['kill-engine'] === true ? 'kill-engine' : 'faults';
  const engine = values.engine ?? (mode === 'lose-writes' ? 'redis' : 'local');
  if (engine !== 'local' && engine !== 'redis') throw new RangeError(`--engine must be local or redis, got ${engine}`);
  if (mode === 'lose-writes' && engine !== 'redis') throw new RangeError('--lose-writes is about Redis, got --engine local');
  if (mode === 'kill-engine' && engine !== 'local') throw new RangeError('--kill-engine is about the local engine, got --engine redis');
  return { options: { ...(values.long === true ? longForm : shortForm), ...given, mode, engine }, json: values.json === true };
}
