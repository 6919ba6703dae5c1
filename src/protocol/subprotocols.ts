// The names of both codings in a WebSocket handshake, each a constant: a page downloads only the one that it speaks.

export const proto = 'evenkeel.v1.proto';
export const json = 'evenkeel.v1.json';
