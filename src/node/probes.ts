// The node's own endpoints on its servers: is the process alive, may it be rolled past, should the balancer send to it.
import type { NodeState } from '../core/membership.ts';
import type { ProbeAnswer } from '../connections/ports.ts';

/** `live`: restart me if this fails. `ready`: roll-outs and autoscalers read it. `rotation`: the balancer's health check. */
export const probePaths = { live: '/evenkeel/live', ready: '/evenkeel/ready', rotation: '/evenkeel/rotation' } as const;

const OK: ProbeAnswer = { status: 200, body: 'ok\n' };
const DRAINING: ProbeAnswer = { status: 503, body: 'draining\n' };
const STEPPED_OUT: ProbeAnswer = { status: 503, body: 'stepped out of rotation while it sheds\n' };

export function probeAnswer(path: string, node: { readonly state: NodeState; readonly rotation: 'in' | 'out' }): ProbeAnswer | null {
  if (!path.startsWith('/evenkeel/')) return null;
  if (path === probePaths.live) return OK;
  if (path === probePaths.ready) return node.state === 'up' ? OK : DRAINING;
  if (path !== probePaths.rotation) return null;
  if (node.state !== 'up') return DRAINING;
  return node.rotation === 'in' ? OK : STEPPED_OUT;
}
