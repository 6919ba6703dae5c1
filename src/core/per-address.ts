// A rate for each address. Who asks too often is told how long to wait; memory is bounded by forgetting who came longest ago.
import { TokenBucket } from './limiter.ts';

export interface PerAddressOptions {
  readonly perS: number;
  /** Addresses that are remembered; beyond, who came longest ago is forgotten and may begin anew. */
  readonly addresses: number;
}

export class PerAddress {
  readonly #perS: number;
  readonly #burst: number;
  readonly #addresses: number;
  /** Who came last is at the end. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor({ perS, addresses }: PerAddressOptions) {
    this.#perS = perS;
    // A page that opens with several connections at once breaks no rate.
    this.#burst = Math.max(1, perS);
    this.#addresses = addresses;
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Milliseconds that `address` must wait; 0: it may go on, and its turn is taken. */
  take(now: number, address: string): number {
    const key = addressKey(address);
    const bucket = this.#buckets.get(key) ?? new TokenBucket({ perS: this.#perS, burst: this.#burst, now });
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > this.#addresses) this.#forgetOldest();
    return bucket.take(now) ? 0 : Math.max(1, bucket.waitMs(now));
  }

  #forgetOldest(): void {
    for (const oldest of this.#buckets.keys()) return void this.#buckets.delete(oldest);
  }
}

/** Longest text that an address may be: an IPv6 address with an IPv4 tail and a zone. */
const ADDRESS_CHARS = 64;

/** Whose address it is: of IPv6 the first 64 bits, since one customer has all that follow; of IPv4 in IPv6 the IPv4 part. */
export function addressKey(address: string): string {
  const [bare] = address.slice(0, ADDRESS_CHARS).toLowerCase().split('%');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare);
  if (mapped !== null) return mapped[1];
  if (!bare.includes(':')) return bare;
  const [front, back] = bare.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const groups = back === undefined ? front : [...front, ...Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => '0'), ...back];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
