// The frames of a session link, as values: what travels between a client and a node, whatever the codec. The words, the rules
// and both codings are explained in docs/reference/protocol.md; `evenkeel.proto` declares the same frames for other languages.

/** Where somebody stands in a stream: everything up to `offset` of the run `epoch` has been seen. Offsets begin at 1. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/**
 * What a message carries: JSON as its text, or bytes. The text is passed on as it came: no node parses it unless a handler of
 * the application asks.
 */
export type Payload = { readonly json: string } | { readonly bytes: Uint8Array };

/** Where a subscription begins: after a known position, with the last `history` messages, or (0) with what comes next. */
export type Start = { readonly after: Position } | { readonly history: number };

/** The last number of each stream of a client's own that the fleet has taken, or that the client goes on from. */
export interface Numbered {
  readonly topic: string;
  readonly number: number;
}

export type ClientFrame =
  /** The first frame of a link; also the answer to `resync`. */
  | {
      readonly type: 'hello';
      /** The session to go on with; absent for a new one. */
      readonly session?: string | undefined;
      /** Made at random when the client object was made: tells a copied tab from the one it was copied from. */
      readonly instance: string;
      /** One more with every link of this instance: the newest link has the session. */
      readonly link: number;
      /** From a `move`. */
      readonly ticket?: string | undefined;
      /** What the application's `authenticate` is given. */
      readonly token?: string | undefined;
      /** `presence`: as with `subscribe`. */
      readonly subscriptions: readonly { readonly topic: string; readonly after: Position; readonly presence?: boolean | undefined }[];
      /** The number of the `resync` that this answers. */
      readonly resync?: number | undefined;
    }
  | { readonly type: 'subscribe'; readonly topic: string; readonly start: Start; readonly presence?: boolean | undefined }
  | { readonly type: 'unsubscribe'; readonly topic: string }
  /** `number` counts this session's messages on this topic, from 1, without holes. */
  | { readonly type: 'publish'; readonly topic: string; readonly number: number; readonly payload: Payload }
  /**
   * `number` counts the requests of this session, from 1. All replies up to `settled` have arrived. `again`: it was sent on an
   * earlier link, and may have been answered there.
   */
  | {
      readonly type: 'request';
      readonly number: number;
      readonly settled: number;
      readonly method: string;
      readonly payload: Payload;
      readonly again?: boolean | undefined;
    }
  /** The client no longer holds its messages `from`..`to` on this topic, or knows that they were refused. */
  | { readonly type: 'lost'; readonly topic: string; readonly from: number; readonly to: number }
  /** Who is there? Answered with `present`. */
  | { readonly type: 'presence'; readonly topic: string }
  | { readonly type: 'ping'; readonly at: number }
  | { readonly type: 'pong'; readonly at: number };

export interface Present {
  /** Public name of the session; not the id that resumes it. */
  readonly client: string;
  readonly user: string | null;
}

export type ServerFrame =
  /** The first frame of a link, and the answer to every `hello`. */
  | {
      readonly type: 'welcome';
      readonly session: string;
      /** False: the session is new, also where the client asked for an old one: that one is over. */
      readonly resumed: boolean;
      readonly client: string;
      readonly user: string | null;
      readonly node: string;
      /** How long the session outlives its last link, ms. */
      readonly resumeMs: number;
      /** Who heard nothing for `pingMs` asks; who heard nothing for `deadMs` gives the link up. */
      readonly pingMs: number;
      readonly deadMs: number;
      /** Over how long to spread when the link breaks without a goodbye, ms. */
      readonly spreadMs: number;
      /** Largest message that the node takes, bytes of the payload. */
      readonly messageBytes: number;
      readonly numbers: readonly Numbered[];
      readonly resync?: number | undefined;
    }
  /** From here on: the next publication on this topic has the offset after `position`. */
  | { readonly type: 'subscribed'; readonly topic: string; readonly position: Position }
  | { readonly type: 'unsubscribed'; readonly topic: string; readonly code: number; readonly message: string }
  | { readonly type: 'publication'; readonly topic: string; readonly epoch: string; readonly offset: number; readonly payload: Payload }
  /** What came after the client's position, up to `position`, is not held any more, or was lost. Go on from `position`. */
  | { readonly type: 'gap'; readonly topic: string; readonly position: Position }
  /** The fleet has taken everything up to `number`. */
  | { readonly type: 'ack'; readonly topic: string; readonly number: number }
  /** A hole: the next number must be `number`. Send again from there, or say what is lost. */
  | { readonly type: 'expected'; readonly topic: string; readonly number: number }
  /** A publish was refused for good by the application or a limit; answered with `lost`. */
  | { readonly type: 'refused'; readonly topic: string; readonly number: number; readonly code: number; readonly message: string }
  /** `payload` is absent where the reply has no data. Codes follow HTTP: 200 done, 400..., 500.... */
  | { readonly type: 'reply'; readonly number: number; readonly code: number; readonly message: string; readonly payload?: Payload | undefined }
  | { readonly type: 'present'; readonly topic: string; readonly members: readonly Present[] }
  /** Open a second link at `url` with `ticket` within `withinMs`; this one ends after that. */
  | { readonly type: 'move'; readonly url: string; readonly ticket: string; readonly withinMs: number }
  | { readonly type: 'spread'; readonly ms: number }
  /** The server behind this socket changed: answer with `hello`. Frames before that hello are void. */
  | { readonly type: 'resync'; readonly number: number }
  | { readonly type: 'ping'; readonly at: number }
  | { readonly type: 'pong'; readonly at: number };

/** Topics that begin with this are the product's own. */
export const RESERVED = '@';
/** The stream of messages to the client's user, wherever connected. Every session of a user follows it. */
export const INBOX = '@inbox';
/** The stream of messages to everybody. Every session follows it, unless the server turned it off. */
export const EVERYBODY = '@all';
/** Joins and leaves of `topic`, as a stream: `{"joined": Present}` or `{"left": Present}`. */
export const presenceTopic = (topic: string): string => `@presence/${topic}`;

/** Sub-protocols of the WebSocket handshake, in the server's order of preference. */
export * as subprotocols from './subprotocols.ts';

/** Sizes that both sides hold each other to. Beyond them a link is closed with `CloseCode.badFrame` or `tooBig`. */
export * as frameLimits from './frame-limits.ts';

/** A codec is pure: one WebSocket message is a list of frames. */
export interface Codec {
  readonly subprotocol: string;
  /** Whether its messages are binary. */
  readonly binary: boolean;
  encode(frames: readonly (ClientFrame | ServerFrame)[]): string | Uint8Array;
  /** Null when it is not a message of this protocol, or exceeds `frameLimits`. Never throws; trusts nothing. */
  decodeClient(message: string | Uint8Array): readonly ClientFrame[] | null;
  /** For clients: trusts the server's shapes less than it needs, but checks what it uses. Unknown types are left out. */
  decodeServer(message: string | Uint8Array): readonly ServerFrame[] | null;
}
