// Runs one scenario from its beginning to its end and reports.
import { Events } from './events.ts';
import { SimFleet } from './fleet.ts';
import { Measure, type Report } from './measure.ts';
import { policyFor } from './policies/policy.ts';
import type { Scenario } from './scenario.ts';

export interface RunOptions {
  /** Seconds on a clock of the caller's, for `wallS`. */
  readonly wallS: () => number;
  /** Told once per simulated second, for a progress line. */
  readonly onSecond?: (secondS: number) => void;
}

export interface Run {
  readonly report: Report;
  /** Longest handshake queue of any node, per second. */
  readonly handshakeQueue: readonly number[];
}

/** Same scenario and seed: same report, apart from `wallS`. */
export async function simulate(scenario: Scenario, options: RunOptions): Promise<Run> {
  const began = options.wallS();
  const fleet = new SimFleet(scenario);
  fleet.place();
  const measure = new Measure(fleet);
  const events = new Events(scenario, fleet, measure);
  const policy = policyFor(scenario.policy, fleet);
  measure.second();
  const steps = Math.round(scenario.durationS * 10);
  while (fleet.step < steps) {
    events.run();
    await fleet.advance();
    if (fleet.step % 10 !== 0) continue;
    policy.second();
    measure.second();
    options.onSecond?.(fleet.nowS);
  }
  return { report: measure.report(options.wallS() - began), handshakeQueue: measure.handshakeQueue };
}
