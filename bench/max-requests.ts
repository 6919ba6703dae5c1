// Connections that end after 10, 100 or 1,000 requests: do clients that know nothing of it see a failure? wrk and undici's
// pool ask a million times each; a connection that ends under them must cost them nothing but a new one.
// Run: node dist/bench/max-requests.js [requests] [connections of wrk] [connections of undici]
import { Pool } from 'undici';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { bare, startSubject, type RunningSubject } from './subject/start.ts';
import { mustHave, wrk } from './wrk.ts';

const LIMITS = [10, 100, 1_000];
/** wrk runs by time: it is run again until it has asked often enough. */
const SLICE_S = 5;
/** A server that answers nobody must not keep the benchmark for ever. */
const LONGEST_S = 600;

interface Asked {
  readonly requests: number;
  readonly errors: number;
  readonly troubles: readonly string[];
}

async function askWithWrk(url: string, requests: number, connections: number): Promise<Asked> {
  let done = 0;
  let errors = 0;
  const troubles: string[] = [];
  for (let spent = 0; done < requests && spent < LONGEST_S; spent += SLICE_S) {
    const run = await wrk(url, { connections, seconds: SLICE_S, core: null });
    done += run.requests;
    errors += run.errors;
    if (run.troubles !== '') troubles.push(run.troubles);
  }
  return { requests: done, errors, troubles };
}

async function askWithUndici(url: string, requests: number, connections: number): Promise<Asked> {
  const pool = new Pool(url, { connections });
  const troubles: string[] = [];
  const endAt = performance.now() + LONGEST_S * 1_000;
  let left = requests;
  let done = 0;
  let errors = 0;
  const work = async (): Promise<void> => {
    while (left-- > 0 && performance.now() < endAt) {
      try {
        const { statusCode, body } = await pool.request({ path: '/', method: 'GET' });
        await body.dump();
        if (statusCode !== 200) throw new Error(`status ${statusCode}`);
      } catch (error) {
        errors++;
        if (troubles.length < 5) troubles.push(String(error));
      }
      done++;
    }
  };
  await Promise.all(Array.from({ length: connections }, work));
  await pool.close();
  return { requests: done, errors, troubles };
}

async function measure(client: string, maxRequests: number, ask: (subject: RunningSubject) => Promise<Asked>): Promise<Asked> {
  const subject = await startSubject({ ...bare, attached: true, maxRequests }, null);
  const startedAt = performance.now();
  const asked = await ask(subject);
  const seconds = (performance.now() - startedAt) / 1_000;
  const { served, opened } = await subject.facts();
  await subject.stop();
  rows.push({
    client,
    maxRequests,
    requests: asked.requests,
    'reached the handler': served,
    connections: opened,
    errors: asked.errors,
    'requests/s': Math.round(asked.requests / seconds),
  });
  for (const trouble of asked.troubles) console.log(`${client}, maxRequests ${maxRequests}: ${trouble}`);
  return asked;
}

mustHave('wrk');
const [requests, ofWrk, ofUndici] = numbersFrom(process.argv.slice(2), [1_000_000, 200, 50]);
const rows: object[] = [];
let failed = false;
for (const limit of LIMITS) {
  const byWrk = await measure(`wrk -c${ofWrk}`, limit, ({ url }) => askWithWrk(url, requests, ofWrk));
  const byUndici = await measure(`undici Pool, ${ofUndici}`, limit, ({ url }) => askWithUndici(url, requests, ofUndici));
  for (const asked of [byWrk, byUndici]) if (asked.errors > 0 || asked.requests < requests) failed = true;
}
console.log(machine());
console.table(rows);
process.exitCode = failed ? 1 : 0;
