// A flood from one address: so many connections at a time, each with half a request head and then nothing; whoever is turned away
// comes back after the five seconds that he was told. The machine's time is the others' first.
import { connect } from 'node:net';
import { setPriority } from 'node:os';

const [port, connections, perS] = process.argv.slice(2).map(Number);
const RETRY_MS = 5_000;

setPriority(5);
let knocks = 0;
let begun = 0;

function knock(): void {
  knocks++;
  const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.66' }, () => socket.write('GET / HTTP/1.1\r\nX-Slow: '));
  socket.on('error', () => {});
  socket.resume();
  socket.on('close', () => void setTimeout(knock, RETRY_MS));
}

const pace = setInterval(() => {
  for (let i = 0; i < perS / 50 && begun < connections; i++, begun++) knock();
  if (begun < connections) return;
  clearInterval(pace);
  process.send?.('all have come');
}, 20);
process.on('message', () => process.send?.(knocks));
process.on('disconnect', () => process.exit());
