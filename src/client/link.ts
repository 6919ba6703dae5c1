// The transport as a port: what the client needs of one WebSocket. Browsers, Node, the simulator and tests bring their own.

/** How a link ended, as a WebSocket close. 1006: without a goodbye. A 503 is told as 1013 with `{"retryMs": n}` as its reason. */
export interface LinkEnd {
  readonly code: number;
  readonly reason: string;
}

/** What a link tells. `closed` comes once, last, also when it never opened; what comes after `close` was called is ignored. */
export interface LinkEvents {
  opened(): void;
  message(data: string | Uint8Array): void;
  closed(end: LinkEnd): void;
}

export interface Link {
  /** Called only between `opened` and `closed`. */
  send(data: string | Uint8Array): void;
  /** Says goodbye, and does not wait for the answer. Safe to call in any state. */
  close(code: number): void;
}

/** Opens a link; may throw for an address that is none. */
export type LinkFactory = (url: string, protocol: string, events: LinkEvents) => Link;

/** The part of a WebSocket class that is used, as browsers and Node have it. */
export interface WebSocketLike {
  binaryType: string;
  addEventListener(type: string, listener: (event: never) => void): void;
  send(data: string | Uint8Array): void;
  close(code: number): void;
}

export type WebSocketClass = new (url: string, protocol: string) => WebSocketLike;

/** Links over a WebSocket class like that of browsers. */
export const linksOver =
  (Socket: WebSocketClass): LinkFactory =>
  (url, protocol, events) => {
    const socket = new Socket(url, protocol);
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => events.opened());
    socket.addEventListener('message', ({ data }: { data: string | ArrayBuffer }) => events.message(typeof data === 'string' ? data : new Uint8Array(data)));
    // Says all that is known; the error event before it says nothing more.
    socket.addEventListener('close', (end: LinkEnd) => events.closed(end));
    return socket;
  };
