// Decides which group a request goes to, and what that group is asked for: the first route that matches is taken, a split of a
// route goes by cookie, by hash or by chance. A reload replaces the routes; requests that are under way keep theirs.
import { addressKey } from '../core/per-address.ts';
import type { Random } from '../core/random.ts';
import type { Ask, ClientFacts, Group, RequestFacts, Route, Router } from './ports.ts';
import { cookieOf, hostMatches, pathMatches, queryOf, routingPath, spread } from './request-parts.ts';
import type { GroupSettings, RouteSettings } from './settings.ts';

/** A route with its groups: one `Route` per group, made once. */
interface Rule {
  readonly settings: RouteSettings;
  readonly parts: readonly Part[];
  readonly total: number;
}

interface Part {
  readonly route: Route;
  readonly weight: number;
}

/** What most groups are asked: nothing of the client. Shared, so that asking makes nothing. */
const NOTHING: Ask = Object.freeze({ key: null, sticky: null, without: null });

export class GatewayRouter implements Router {
  readonly #random: Random;
  #groups: ReadonlyMap<string, Group> = new Map();
  #rules: readonly Rule[] = [];
  /** Where the first route takes everything. */
  #always: Route | null = null;
  #looksAtPaths = false;
  #priorities: ReadonlyMap<Group, readonly number[]> = new Map();

  constructor(random: Random) {
    this.#random = random;
  }

  /** From now on requests go by these. Every group that a route names must be there. */
  replace(routes: readonly RouteSettings[], groups: ReadonlyMap<string, Group>): void {
    this.#groups = groups;
    this.#rules = routes.map((settings) => ruleOf(settings, groups));
    this.#priorities = prioritiesOf(this.#rules);
    this.#looksAtPaths = routes.some(({ path }) => path !== null);
    const first = this.#rules.at(0);
    this.#always = first !== undefined && takesAll(first.settings) && first.parts.length === 1 ? first.parts[0].route : null;
  }

  group(name: string): Group | null {
    return this.#groups.get(name) ?? null;
  }

  priorities(group: Group): readonly number[] {
    return this.#priorities.get(group) ?? [];
  }

  route(request: RequestFacts, client: ClientFacts | null = null): Route | null {
    if (this.#always !== null) return this.#always;
    const path = this.#looksAtPaths ? routingPath(request.target) : '';
    for (const rule of this.#rules) {
      if (!matches(rule.settings, request, path)) continue;
      return rule.parts.length === 1 ? rule.parts[0].route : this.#part(rule, request, client);
    }
    return null;
  }

  ask({ settings }: Group, request: RequestFacts, client: ClientFacts, user: string | null): Ask {
    const key = settings.balance === 'hash' ? keyOf(settings, { request, client, user }) : null;
    const sticky = settings.sticky === null ? null : cookieOf(request, settings.sticky.cookie);
    return key === null && sticky === null ? NOTHING : { key, sticky, without: null };
  }

  /** A client stays where its cookie leads, else where its hash does; else it is chance. */
  #part(rule: Rule, request: RequestFacts, client: ClientFacts | null): Route {
    for (const { route, weight } of rule.parts) if (weight > 0 && knows(route.group, request)) return route;
    const hashed = rule.parts.find(({ route }) => route.group?.settings.balance === 'hash')?.route.group?.settings;
    const key = hashed === undefined ? null : keyOf(hashed, { request, client, user: null });
    let left = (key === null ? this.#random.next() : spread(key)) * rule.total;
    for (const { route, weight } of rule.parts) {
      if (left < weight) return route;
      left -= weight;
    }
    // What rounding left over is of the last that takes anything.
    return (rule.parts.findLast(({ weight }) => weight > 0) ?? rule.parts[0]).route;
  }
}

function ruleOf(settings: RouteSettings, groups: ReadonlyMap<string, Group>): Rule {
  const { target } = settings;
  if (target.kind === 'tier') return { settings, parts: [{ route: { settings, group: null }, weight: 1 }], total: 1 };
  const wanted = target.kind === 'groups' ? target.groups : [{ group: target.group, weight: 1 }];
  const parts = wanted.map(({ group, weight }) => ({ route: { settings, group: groups.get(group) ?? null }, weight }));
  return { settings, parts, total: parts.reduce((sum, { weight }) => sum + weight, 0) };
}

function prioritiesOf(rules: readonly Rule[]): Map<Group, number[]> {
  const found = new Map<Group, number[]>();
  for (const { settings, parts } of rules) {
    for (const { route } of parts) {
      if (route.group === null) continue;
      const known = found.get(route.group);
      if (known === undefined) found.set(route.group, [settings.priority]);
      else if (!known.includes(settings.priority)) known.push(settings.priority);
    }
  }
  return found;
}

const takesAll = ({ host, path, headers }: RouteSettings): boolean => host === null && path === null && headers.size === 0;

function matches({ host, path, headers }: RouteSettings, request: RequestFacts, wanted: string): boolean {
  if (host !== null && !hostMatches(host, request.host)) return false;
  if (path !== null && !pathMatches(path, wanted)) return false;
  for (const [name, value] of headers) if (request.header(name) !== value) return false;
  return true;
}

/** Whether the client has a cookie of one of the group's upstreams. */
function knows(group: Group | null, request: RequestFacts): boolean {
  if (group === null || group.settings.sticky === null) return false;
  const named = cookieOf(request, group.settings.sticky.cookie);
  return named !== null && group.upstreams.some(({ name }) => name === named);
}

interface Asker {
  readonly request: RequestFacts;
  readonly client: ClientFacts | null;
  readonly user: string | null;
}

/** What a client is hashed by. Who has no such header, cookie, parameter or user goes by its address. */
function keyOf({ hashKey }: GroupSettings, { request, client, user }: Asker): string | null {
  const named =
    hashKey.by === 'user'
      ? user
      : hashKey.by === 'header'
        ? request.header(hashKey.name)
        : hashKey.by === 'cookie'
          ? cookieOf(request, hashKey.name)
          : hashKey.by === 'query'
            ? queryOf(request.target, hashKey.name)
            : null;
  if (named !== null && named !== undefined && named !== '') return named;
  return client === null ? null : addressKey(client.address);
}
