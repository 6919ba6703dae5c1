// The certificates of a listener, by the name that the client asks for.
import { createSecureContext, type SecureContext } from 'node:tls';
import { EvenkeelError } from '../../core/errors.ts';
import type { Certificate, TlsSettings } from '../settings.ts';

export class Certificates {
  /** What comes after the star of `*.example.org`, too: `.example.org`. */
  readonly #byName = new Map<string, SecureContext>();

  /** Throws EVENKEEL_BAD_OPTION where a certificate and its key do not go together. `listener`: as its errors name it. */
  constructor(settings: TlsSettings, listener: string) {
    contextOf(settings.certificate, `${listener}: tls.certificate`);
    for (const [name, certificate] of settings.byName) {
      const context = contextOf(certificate, `${listener}: tls.byName of ${name}`);
      this.#byName.set(name.toLowerCase().replace(/^\*\./, '.'), context);
    }
  }

  /** undefined: that of the listener for clients that name no known host. An exact name goes before a wildcard, which stands for one label. */
  find(serverName: string): SecureContext | undefined {
    const name = serverName.toLowerCase();
    const exact = this.#byName.get(name);
    if (exact !== undefined) return exact;
    const dot = name.indexOf('.');
    return dot > 0 ? this.#byName.get(name.slice(dot)) : undefined;
  }
}

function contextOf({ cert, key }: Certificate, what: string): SecureContext {
  try {
    return createSecureContext({ cert, key });
  } catch (error) {
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `${what} must be a certificate with its own key, in PEM, got ${(error as Error).message}`, error);
  }
}
