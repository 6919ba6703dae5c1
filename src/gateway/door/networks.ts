// Networks in CIDR notation, and whether an address lies in one of them.
import { BlockList, isIP } from 'node:net';
import { EvenkeelError } from '../../core/errors.ts';

export class Networks {
  readonly #list = new BlockList();
  readonly #isEmpty: boolean;

  /** A lone address is a network of one. Throws EVENKEEL_BAD_OPTION for what is no network. */
  constructor(texts: readonly string[]) {
    this.#isEmpty = texts.length === 0;
    for (const text of texts) this.#add(text);
  }

  has(address: string): boolean {
    if (this.#isEmpty) return false;
    const version = isIP(address);
    return version !== 0 && this.#list.check(address, version === 6 ? 'ipv6' : 'ipv4');
  }

  #add(text: string): void {
    const [address, length, more] = text.split('/');
    const version = isIP(address);
    const bits = version === 6 ? 128 : 32;
    const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : Infinity;
    if (version === 0 || more !== undefined || prefix > bits)
      throw new EvenkeelError('EVENKEEL_BAD_OPTION', `a trusted hop must be a network as 10.0.0.0/8 or fd00::/8, got ${text}`);
    this.#list.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4');
  }
}
