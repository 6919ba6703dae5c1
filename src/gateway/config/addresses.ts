// Reads what configurations and flags say of places: addresses, networks, host names and URLs. null is what cannot be read.
import { isIP, isIPv6 } from 'node:net';
import type { Address } from '../settings.ts';

const HOST_NAME = /^(?=.{1,253}$)[a-z\d_]([a-z\d_-]{0,61}[a-z\d_])?(\.[a-z\d_]([a-z\d_-]{0,61}[a-z\d_])?)*$/i;

/** `HOST:PORT` or `[IPv6]:PORT`; port 0 is none. */
export function readAddress(text: string): Address | null {
  const address = split(text);
  return address === null || address.host === '' || address.port === 0 ? null : address;
}

/** Where to listen: as an address, but also `:PORT` or `PORT` alone (all IPv4 addresses, as nginx and HAProxy take it), and port 0 (any that is free). */
export function readListen(given: string | number): Address | null {
  const text = String(given);
  const address = split(/^\d{1,5}$/.test(text) ? `:${text}` : text);
  if (address === null) return null;
  return address.host === '' || address.host === '*' ? { host: '0.0.0.0', port: address.port } : address;
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. */
export function isNetwork(text: string): boolean {
  const [address, bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

export const isHostName = (text: string): boolean => HOST_NAME.test(text);

/** `example.org`, or `*.example.org` for each name with one label more. */
export const isHostPattern = (text: string): boolean => isHostName(text.startsWith('*.') ? text.slice(2) : text) || isIP(text) !== 0;

export function isHttpUrl(text: string): boolean {
  return /^https?:\/\/[^/?#\s]/i.test(text) && URL.canParse(text);
}

/** Name or IP address, and port; the host may be missing. */
function split(text: string): Address | null {
  const match = /^(?:\[([^\]]*)\]|([^:\s]*)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const [, bracketed, plain = '', digits] = match;
  const port = Number(digits);
  if (port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) return null;
  const host = bracketed ?? plain;
  const fits = bracketed !== undefined || host === '' || host === '*' || isHostName(host);
  return fits ? { host: host.toLowerCase(), port } : null;
}
