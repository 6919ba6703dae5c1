// Every option of the admin API: what it is called, its default and the reason for it. Read once, by `readAdminOptions`.
import { z } from 'zod';
import { EvenkeelError } from '../core/errors.ts';
import { isLoopback } from '../core/loopback.ts';
import { readOptions } from '../core/options.ts';

export interface AdminOptions {
  /** Port to listen on; 0: any that is free. */
  readonly port: number;
  /** Address to listen on. Default 127.0.0.1: who may drain a fleet is not left to the network. */
  readonly host?: string | undefined;
  /** What callers send as `Authorization: Bearer`, at least 16 characters. Required where `host` is not this machine alone. */
  readonly token?: string | undefined;
  /** Adds metrics of the Node process (memory, garbage collection ...). Default false. */
  readonly processMetrics?: boolean | undefined;
}

export interface AdminSettings {
  readonly port: number;
  readonly host: string;
  readonly loopback: boolean;
  /** null: nobody but this machine can call, and no token is asked for. */
  readonly token: string | null;
  readonly processMetrics: boolean;
}

const schema: z.ZodType<AdminOptions> = z.strictObject({
  port: z.number().int().min(0).max(65_535),
  host: z.string().min(1).max(255).optional(),
  token: z.string().optional(),
  processMetrics: z.boolean().optional(),
});

export function readAdminOptions(input: AdminOptions): AdminSettings {
  const { port, host = '127.0.0.1', token = null, processMetrics = false } = readOptions(schema, input, 'admin');
  const loopback = isLoopback(host);
  if (token === null && !loopback) {
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `admin.token must be set where admin.host is not a loopback address, got host '${host}' and no token`);
  }
  // What a header can carry, and long enough that guessing it over a network is hopeless. The message keeps it secret.
  if (token !== null && !/^[\x21-\x7e]{16,256}$/.test(token)) {
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `admin.token must be 16 to 256 printable characters without spaces, got ${token.length} characters`);
  }
  return Object.freeze({ port, host, loopback, token, processMetrics });
}
