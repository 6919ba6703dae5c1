// Tells HTTP/2 with prior knowledge from HTTP/1.1 by the first bytes of a connection.

const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0', 'latin1');

/** `partial`: it may still become either. */
export function httpVersion(bytes: Buffer): 'http1' | 'http2' | 'partial' {
  const length = Math.min(bytes.length, PREFACE.length);
  if (PREFACE.compare(bytes, 0, length, 0, length) !== 0) return 'http1';
  return length === PREFACE.length ? 'http2' : 'partial';
}
