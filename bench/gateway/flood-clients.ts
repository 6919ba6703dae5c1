// A flood from one address: so many connections at a time, each with half a request and then nothing, or a byte every few seconds, or
// without a word; whoever is turned away comes back after the five seconds that he was told.
import { connect } from 'node:net';
import { setPriority } from 'node:os';

const OPENINGS = {
  'half heads': 'GET / HTTP/1.1\r\nX-Slow: ',
  'slow heads': 'GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ',
  'slow bodies': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n',
  silence: '',
};

const [port, connections, perS] = process.argv.slice(2, 5).map(Number);
const how = process.argv[5] as keyof typeof OPENINGS;
const RETRY_MS = 5_000;
/** Short enough for every limit on the time between two reads. */
const DRIP_MS = 5_000;

// Where the time of others is measured.
if (how === 'half heads') setPriority(5);
let knocks = 0;
let begun = 0;

function knock(): void {
  knocks++;
  const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.66' }, () => socket.write(OPENINGS[how]));
  const drip = how.startsWith('slow') ? setInterval(() => void socket.write('x'), DRIP_MS) : undefined;
  socket.on('error', () => {});
  socket.resume();
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
