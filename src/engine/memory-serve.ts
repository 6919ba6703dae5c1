// Carries out one call of `Streams` on a store in memory: for the memory engine, and for the guests of a local host.
import type { StreamStore } from './memory-streams.ts';
import type { StoredCall } from './stream-calls.ts';

/** The answer, which is JSON. */
export function serveStreams(store: StreamStore, call: StoredCall): unknown {
  const { sessions, presence } = store;
  switch (call.do) {
    case 'append':
      return store.append(call.append);
    case 'read':
      return store.read(call.stream, call.start, call.limit);
    case 'tops':
      return store.tops(call.streams, call.metaMs);
    case 'claim':
      return sessions.claim(call.claim);
    case 'keepSessions':
      return sessions.keep(call.sessions, call.ttlMs);
    case 'endSession':
      sessions.end(call.session, call.owner);
      return null;
    case 'skipNumbers':
      return sessions.skip(call);
    case 'saveReply':
      return sessions.saveReply(call.session, call.owner, call.reply);
    case 'findReply':
      return sessions.findReply(call.session, call.number);
    case 'enter':
      return presence.enter(call.enter);
    case 'leave':
      return presence.leave(call.leave);
    case 'present':
      return presence.present(call.stream, call.keep);
    case 'lapse':
      return presence.lapse(call.stream, call.keep);
  }
}
