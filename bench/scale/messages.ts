// What the scale benchmark and its server processes say to each other.

export interface ToServer {
  readonly kind: 'start';
  readonly id: string;
  /** Two, so that no pair of addresses carries more connections than the kernel finds ports for quickly. */
  readonly ports: readonly [number, number];
  readonly fleet: string;
}

/** What a server has done so far. */
export interface ServerFacts {
  readonly kind: 'facts';
  readonly connections: number;
  readonly opened: number;
  readonly shed: number;
  readonly bounced: number;
  readonly forced: number;
}

export type FromServer = { readonly kind: 'ready' } | { readonly kind: 'failed'; readonly reason: string } | ServerFacts;
