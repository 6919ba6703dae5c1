// What the machine says of this process: event-loop delay and CPU use, sampled once a second.
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface LoadSample {
  /** Mean delay of the event loop since the last sample, ms. */
  readonly eventLoopDelayMs: number;
  /** CPU used since the last sample, as a fraction of one core. */
  readonly cpu: number;
}

const RESOLUTION_MS = 20;

/** Starts sampling; `sample` gives what passed since it was last called. */
export function loadSampler(): { sample(): LoadSample; stop(): void } {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  let cpuBefore = process.cpuUsage();
  let before = performance.now();
  return {
    sample() {
      const now = performance.now();
      const used = process.cpuUsage(cpuBefore);
      const passedMs = Math.max(1, now - before);
      cpuBefore = process.cpuUsage();
      before = now;
      // The histogram measures the whole interval between its own ticks; what exceeds the resolution is delay.
      const mean = Number.isNaN(histogram.mean) ? 0 : histogram.mean / 1e6 - RESOLUTION_MS;
      histogram.reset();
      return { eventLoopDelayMs: Math.max(0, mean), cpu: (used.user + used.system) / 1000 / passedMs };
    },
    stop: () => void histogram.disable(),
  };
}
