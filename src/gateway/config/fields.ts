// The kinds of value that a configuration is made of. What a pattern cannot say is said in the message: `it must ...`.
import { z } from 'zod';
import { isHostName, isHostPattern, isHttpUrl, isNetwork, readAddress, readListen } from './addresses.ts';

const TOKEN = /^[!#$%&'*+.^_`|~\da-z-]+$/i;

const text = (rule: string, fits: (value: string) => boolean): z.ZodType<string> => z.string().max(4096).refine(fits, `it must be ${rule}`);

export const ms: z.ZodNumber = z.number().int().min(1).max(86_400_000);
/** Where 0 has a meaning of its own. */
export const msOrNone: z.ZodNumber = z.number().int().min(0).max(86_400_000);
export const count: z.ZodNumber = z.number().int().min(1).max(1_000_000_000);
export const countOrNone: z.ZodNumber = z.number().int().min(0).max(1_000_000_000);
export const seconds: z.ZodNumber = z.number().int().min(0).max(2_147_483_647);
export const weight: z.ZodNumber = z.number().min(0).max(1_000);
export const fraction: z.ZodNumber = z.number().gt(0).max(1);

export const address: z.ZodType<string> = text('HOST:PORT', (value) => readAddress(value) !== null);
export const listen: z.ZodType<string | number> = z.union([
  text('HOST:PORT or :PORT', (value) => readListen(value) !== null),
  z.number().refine((value) => readListen(value) !== null, 'it must be HOST:PORT or :PORT, or a port from 0 to 65535'),
]);
export const hostName: z.ZodType<string> = text('a host name', isHostName);
export const hostPattern: z.ZodType<string> = text('a host name, or *. and a host name', isHostPattern);
export const network: z.ZodType<string> = text('an IP address or a network such as 10.0.0.0/8', isNetwork);
export const httpUrl: z.ZodType<string> = text('an URL with http:// or https://', isHttpUrl);
/** Of a header, or of a cookie. */
export const token: z.ZodType<string> = text("letters, digits and !#$%&'*+-.^_`|~ only", (value) => TOKEN.test(value));
/** Of a group or an upstream: goes into metrics, paths and cookies. */
export const name: z.ZodType<string> = text('1 to 100 letters, digits and . : @ _ -', (value) => /^[\w.:@-]{1,100}$/.test(value));
export const filePath: z.ZodType<string> = text('the path of a file', (value) => value !== '' && !value.includes('\0'));
export const urlPath: z.ZodType<string> = text('a path that begins with / and has no query', (value) => /^\/[^\s?#]*$/.test(value));
export const anyText: z.ZodType<string> = z.string().min(1).max(4096);
export const secret: z.ZodType<string | { file: string }> = z.union([
  anyText,
  z.strictObject({ file: filePath.describe('File that holds it; blanks and line ends around it are left out.') }),
]);

/** Where a group's upstreams are asked for; the port of a DNS server may be left out. */
export const dnsServer: z.ZodType<string> = text('the address of a DNS server', (value) => readAddress(value) !== null || readAddress(`${value}:53`) !== null);
export const mediaType: z.ZodType<string> = text('a media type such as text/plain', (value) =>
  /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+( *; *[\w-]+=[\w"-]+)*$/.test(value),
);
