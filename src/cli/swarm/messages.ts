// What a process full of clients and its parent say to each other.
import type { AccountState } from './account.ts';
import type { SwarmOptions } from './swarm.ts';

/** After `rest` nothing new is sent; after `stop` one last account is told. */
export type ToClients = { readonly kind: 'start'; readonly swarm: SwarmOptions } | { readonly kind: 'rest' } | { readonly kind: 'stop' };

export interface FromClients {
  readonly kind: 'account' | 'last-account';
  readonly account: AccountState;
  /** What clients with sessions saw since the last account. */
  readonly notes: Uint32Array;
}
