// From what the application gave as `url` and `token` to the address of one link. Works at once where nothing has to be waited for.
import type { ClientSettings, Endpoint, PickUrl } from './options.ts';

export interface Located {
  readonly url: string;
  readonly token: string | undefined;
}

/** Finds where to go: `at`, else what the application says, else what `pick` chooses. Tells exactly one of both, `failed` never at once. */
export function locate(
  { url, token, clock }: Pick<ClientSettings, 'url' | 'token' | 'clock'>,
  at: string | undefined,
  pick: PickUrl,
  tell: { readonly found: (located: Located) => void; readonly failed: (error: unknown) => void },
): void {
  const found = ([endpoint, fallback]: readonly [Endpoint, string | undefined]): void => {
    const { url, token = fallback } = typeof endpoint === 'string' ? { url: endpoint } : endpoint;
    tell.found({ url, token });
  };
  try {
    const endpoint = at ?? (typeof url === 'function' ? url(pick) : pick([url].flat()));
    const shown = typeof token === 'function' ? token() : token;
    if (endpoint instanceof Promise || shown instanceof Promise) {
      Promise.all([endpoint, shown]).then(found).catch(tell.failed);
    } else found([endpoint, shown]);
  } catch (error) {
    clock.after(0, () => tell.failed(error));
  }
}

/** The address as a WebSocket is opened at, with the slot of a 1013. Relative ones begin at `from`, or at the page. */
export function addressOf(url: string, from: string | undefined, slot: string | undefined): string {
  const address = new URL(url, from ?? (globalThis as { location?: { href: string } }).location?.href);
  // http becomes ws, https wss.
  address.protocol = address.protocol.replace('http', 'ws');
  if (address.protocol === 'ws:' && from?.startsWith('wss:')) throw new Error(`${url} must be wss:`);
  if (slot) address.searchParams.set('slot', slot);
  return address.href;
}
