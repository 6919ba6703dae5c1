// Decides about requests that do not simply go to a group: who may come in, and who is told to go straight to an upstream (by a
// 307, or by an assignment), so that not one byte more of theirs passes the gateway.
import { showAddress } from '../../core/address.ts';
import type { Clock } from '../../core/clock.ts';
import { signAssignment } from '../../node/assignment.ts';
import { isOwn, plain, type Answers, type GoOn, type OwnAnswer } from '../http/answers.ts';
import { isRefused, type ClientFacts, type Refused, type RequestFacts, type Route, type Router, type Tally, type Upstream } from '../ports.ts';
import { offersOurs, targetBeyond } from '../request-parts.ts';
import type { RouteTarget } from '../settings.ts';
import { Authentication, type AuthenticationPorts } from './authentication.ts';
import { Landings } from './landings.ts';
import { allowedInAdvance, originAllowed, readableByPages } from './origins.ts';

export interface DecisionPorts extends AuthenticationPorts {
  readonly clock: Clock;
  readonly router: Router;
  readonly tally: Tally;
}

type Steered = Extract<RouteTarget, { readonly kind: 'redirect' | 'assign' }>;

export class Decisions implements Answers {
  readonly #ports: DecisionPorts;
  readonly #authentication: Authentication;
  readonly landings: Landings;

  constructor(ports: DecisionPorts) {
    this.#ports = ports;
    this.#authentication = new Authentication(ports);
    this.landings = new Landings(ports.clock);
  }

  async answer(request: RequestFacts, route: Route, client: ClientFacts): Promise<OwnAnswer | GoOn> {
    const { target, auth, origins } = route.settings;
    if (!originAllowed(origins, request)) return plain(403, `pages of ${request.header('origin')} may not come in here`);
    if (target.kind === 'assign' && request.method === 'OPTIONS') return { status: 204, headers: allowedInAdvance(origins, request), body: '' };
    const admitted = auth === null ? { user: null } : await this.#authentication.ask(auth, request, client);
    if (isOwn(admitted) || (target.kind !== 'redirect' && target.kind !== 'assign')) return admitted;
    // A client of ours is told on its own link, in words that it understands.
    if (target.kind === 'redirect' && speaksOurs(request)) return admitted;
    return this.#steer(request, { target, route, client, user: admitted.user });
  }

  /** An upstream for a client that goes there by itself; it counts as carried until it has landed. */
  choose(request: RequestFacts, route: Route, { client, user }: { readonly client: ClientFacts; readonly user: string | null }): Upstream | Refused {
    const { group } = route;
    if (group === null) return { refused: 'down', retryAfterS: 1 };
    const choice = group.choose(this.#ports.router.ask(group, request, client, user));
    if (!isRefused(choice)) this.landings.expect(choice);
    return choice;
  }

  #steer(request: RequestFacts, way: { target: Steered; route: Route; client: ClientFacts; user: string | null }): OwnAnswer {
    const { clock, tally } = this.#ports;
    const { target, route, user } = way;
    const chosen = this.choose(request, route, way);
    if (isRefused(chosen)) return plain(503, `no upstream of ${target.group} can take it now`, chosen.retryAfterS);
    if (target.kind === 'redirect') {
      tally.redirects++;
      const url = urlOf(target.scheme, chosen, request.target);
      return {
        status: 307,
        headers: [
          ['Location', url],
          ['Cache-Control', 'no-store'],
        ],
        body: '',
      };
    }
    tally.assignments++;
    const expiresAt = clock.wallTime() + target.validMs;
    const token = target.secret === null ? null : signAssignment(target.secret, { upstream: chosen.name, user, expiresAt });
    // `/assign/chat?room=1` asks for `/chat?room=1`.
    const url = urlOf(target.scheme, chosen, targetBeyond(route.settings.path ?? '', request.target));
    return {
      status: 200,
      headers: [['Content-Type', 'application/json'], ['Cache-Control', 'no-store'], ...readableByPages(route.settings.origins, request)],
      body: `${JSON.stringify({ url, token, expiresAt })}\n`,
    };
  }
}

export const urlOf = (scheme: string, { address }: Upstream, target: string): string => `${scheme}://${showAddress(address)}${target}`;

/** Whether the request is a WebSocket handshake of `evenkeel/client`. */
export function speaksOurs(request: RequestFacts): boolean {
  return request.header('upgrade')?.toLowerCase() === 'websocket' && offersOurs(request);
}
