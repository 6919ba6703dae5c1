// A group on a virtual clock with discovery and checks in the hands of the test.
import { VirtualClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { seeded } from '../../src/core/random.ts';
import type { Ask, Upstream } from '../../src/gateway/ports.ts';
import { isRefused } from '../../src/gateway/ports.ts';
import type { DiscoverySettings, GroupSettings, UpstreamSettings } from '../../src/gateway/settings.ts';
import type { Deliver, Listed } from '../../src/gateway/upstreams/discovery/source.ts';
import { listSource } from '../../src/gateway/upstreams/discovery/list.ts';
import { UpstreamGroup } from '../../src/gateway/upstreams/group.ts';
import type { MemberUpstream } from '../../src/gateway/upstreams/upstream.ts';
import { groupSettings } from './fixture.ts';

export const upstreamAt = (name: string, weight = 1): UpstreamSettings => ({ name, weight, address: { host: `${name}.test`, port: 80 } });

export const listOf = (...upstreams: (string | UpstreamSettings)[]): DiscoverySettings => ({
  kind: 'list',
  upstreams: upstreams.map((one) => (typeof one === 'string' ? upstreamAt(one) : one)),
});

/** A source that says what the test says: `sources.get('path')?.([...])`. */
export const told = (path: string): DiscoverySettings => ({ kind: 'file', path });

export const listed = (name: string, state: Listed['state'] = 'up', weight = 1): Listed => ({ ...upstreamAt(name, weight), state });

export const plain: Ask = { key: null, sticky: null, without: null };

export interface GroupStage {
  readonly clock: VirtualClock;
  readonly group: UpstreamGroup;
  /** What checks find now; those not named are well. `hangs`: no answer at all. */
  readonly ill: Map<string, string>;
  readonly checks: { readonly name: string; readonly at: number }[];
  readonly sources: Map<string, Deliver>;
  readonly closed: string[];
  readonly gone: string[];
  readonly logged: string[];
  /** Chooses, or throws what was refused. */
  readonly choose: (ask?: Partial<Ask>) => MemberUpstream;
  /** Carries `count` things, chosen one after the other. */
  readonly carry: (count: number, ask?: Partial<Ask>) => MemberUpstream[];
  readonly named: (name: string) => MemberUpstream;
  readonly actives: () => Record<string, number>;
}

export function stageGroup(change: Partial<GroupSettings>): GroupStage {
  const clock = new VirtualClock();
  const ill = new Map<string, string>();
  const checks: { name: string; at: number }[] = [];
  const sources = new Map<string, Deliver>();
  const closed: string[] = [];
  const gone: string[] = [];
  const logged: string[] = [];
  const group = new UpstreamGroup(groupSettings(change), {
    clock,
    random: seeded(1),
    log: { ...silentLog, warn: (_, message) => void logged.push(message), info: (_, message) => void logged.push(message) },
    open(settings, deliver) {
      if (settings.kind === 'list') return listSource(settings.upstreams, deliver);
      const { path } = settings as { readonly path: string };
      if (path === 'broken') throw new Error('broken');
      sources.set(path, deliver);
      return { close: () => void closed.push(path) };
    },
    probe({ name }, _, done) {
      checks.push({ name, at: clock.now() });
      const timer = clock.after(1, () => done(ill.get(name) ?? null));
      return { cancel: () => timer.cancel() };
    },
  });
  group.onGone(({ upstream, why }) => void gone.push(`${upstream.name} ${why}`));
  const choose = (ask: Partial<Ask> = {}): MemberUpstream => {
    const choice = group.choose({ ...plain, ...ask });
    if (isRefused(choice)) throw new Error(`${choice.refused}, retry after ${choice.retryAfterS} s`);
    return choice;
  };
  return {
    clock,
    group,
    ill,
    checks,
    sources,
    closed,
    gone,
    logged,
    choose,
    carry: (count, ask) =>
      Array.from({ length: count }, () => {
        const one = choose(ask);
        one.begin();
        return one;
      }),
    named: (name) => group.upstreams.find((one) => one.name === name) ?? fail(name),
    actives: () => Object.fromEntries(group.upstreams.map(({ name, active }) => [name, active])),
  };
}

const fail = (name: string): never => {
  throw new Error(`no upstream is named ${name}`);
};

export const namesOf = (upstreams: readonly Upstream[]): string => upstreams.map(({ name }) => name).join(' ');
