// A flood from one address: so many connections at a time, each with a byte of a request every few seconds, or without a word, or with a
// handshake of WebSocket after which it leaves; whoever was there, or was turned away, comes back after the five seconds that he was told.
import { connect } from 'node:net';
import { setPriority } from 'node:os';

const OPENINGS = {
  'slow heads': 'GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ',
  'slow bodies': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n',
  silence: '',
  handshakes:
    'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n',
};

const [port, connections, perS] = process.argv.slice(2, 5).map(Number);
const how = process.argv[5] as keyof typeof OPENINGS;
const RETRY_MS = 5_000;
/** Short enough for every limit on the time between two reads. */
const DRIP_MS = 5_000;

// Where the time of others is measured, they are to have their core before these.
if (process.argv[6] === 'nice') setPriority(5);
let knocks = 0;
let begun = 0;

function knock(): void {
  knocks++;
  const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.66' }, () => socket.write(OPENINGS[how]));
  const drip = how.startsWith('slow') ? setInterval(() => void socket.write('x'), DRIP_MS) : undefined;
  socket.on('error', () => {});
  if (how === 'handshakes') socket.on('data', () => socket.destroy());
  else socket.resume();
  socket.on('close', () => {
    clearInterval(drip);
    setTimeout(knock, RETRY_MS);
  });
}

const pace = setInterval(() => {
  for (let i = 0; i < perS / 50 && begun < connections; i++, begun++) knock();
  if (begun < connections) return;
  clearInterval(pace);
  process.send?.('all have come');
}, 20);
process.on('message', () => process.send?.(knocks));
process.on('disconnect', () => process.exit());
