// What operators set for the whole fleet: kept in the engine, read by the coordinator at every tick, checked on the way in.
import { z } from 'zod';
import type { Engine } from '../engine/engine.ts';
import { noRoll, type Roll } from '../core/membership.ts';
import type { Trial } from '../core/trial.ts';

export interface FleetSettings {
  /** `paused` resumes by itself at the wall time `until`, ms since 1970; `off` stays until somebody starts it. */
  readonly rebalancing: { readonly state: 'on' } | { readonly state: 'paused'; readonly until: number } | { readonly state: 'off' };
  /** Moves per second for the fleet; null: what the nodes were configured with. */
  readonly pacePerS: number | null;
}

const settingsSchema: z.ZodType<FleetSettings> = z.object({
  rebalancing: z.discriminatedUnion('state', [
    z.object({ state: z.literal('on') }),
    z.object({ state: z.literal('paused'), until: z.number() }),
    z.object({ state: z.literal('off') }),
  ]),
  pacePerS: z.number().positive().nullable(),
});

export const defaultSettings: FleetSettings = { rebalancing: { state: 'on' }, pacePerS: null };

const SETTINGS = 'settings';
const ROLL = 'roll';
const TRIAL = 'step-out-trial';

/** The settings in the engine; what cannot be read counts as not set. */
export async function readSettings(engine: Engine): Promise<FleetSettings> {
  const result = settingsSchema.safeParse(await engine.get(SETTINGS));
  return result.success ? result.data : defaultSettings;
}

export async function writeSettings(engine: Engine, settings: FleetSettings): Promise<void> {
  await engine.set(SETTINGS, { rebalancing: settings.rebalancing, pacePerS: settings.pacePerS });
}

export function isPaused(settings: FleetSettings, wall: number): boolean {
  const { rebalancing } = settings;
  return rebalancing.state === 'off' || (rebalancing.state === 'paused' && wall < rebalancing.until);
}

const rollSchema: z.ZodType<{ since: number | null; seen: number }> = z.object({ since: z.number().nullable(), seen: z.number() });

/** The roll that the coordinator before this one knew of. Wall times, because clocks of processes have no common zero. */
export async function readRoll(engine: Engine, time: { readonly now: number; readonly wall: number }): Promise<Roll> {
  const result = rollSchema.safeParse(await engine.get(ROLL));
  if (!result.success) return noRoll;
  return { since: result.data.since, seenAt: time.now - Math.max(0, time.wall - result.data.seen) };
}

export async function writeRoll(engine: Engine, roll: Roll, time: { readonly now: number; readonly wall: number }): Promise<void> {
  await engine.set(ROLL, { since: roll.since, seen: time.wall - (time.now - roll.seenAt) });
}

const trialSchema: z.ZodType<Trial & { state: 'safe' | 'cuts' }> = z.discriminatedUnion('state', [
  z.object({ state: z.literal('safe') }),
  z.object({ state: z.literal('cuts'), node: z.string(), lost: z.number(), connections: z.number() }),
]);

/** The verdict of an earlier trial of stepping out of rotation, or that none was given. */
export async function readTrial(engine: Engine): Promise<Trial> {
  const result = trialSchema.safeParse(await engine.get(TRIAL));
  return result.success ? result.data : { state: 'waiting' };
}

export async function writeTrial(engine: Engine, trial: Trial): Promise<void> {
  if (trial.state === 'safe' || trial.state === 'cuts') await engine.set(TRIAL, trial);
}
