// A chat that does not notice when its server dies: two servers, an engine in a process of its own (this one), a page with two
// windows. Run: node examples/chat/main.mjs [port]; then open http://127.0.0.1:8080 and kill servers.
import { fork } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { localEngine } from 'evenkeel/local';

const FLEET = `chat-${process.pid}`;
const port = Number(process.argv[2] ?? 8080);
// The engine outlives every server: what they have published stays.
const engine = localEngine({ name: FLEET, role: 'host' });
const servers = new Map();

function start(id, serverPort) {
  const child = fork(new URL('./server.mjs', import.meta.url), [FLEET, id, String(serverPort)]);
  const state = { id, port: serverPort, up: false, child };
  servers.set(id, state);
  child.on('message', () => (state.up = true));
  child.on('exit', () => {
    state.up = false;
    // Not after the end: the new server and this process would keep each other alive.
    setTimeout(() => {
      if (!ending) start(id, serverPort);
    }, 3_000).unref();
  });
}

let ending = false;
start('s1', port + 1);
start('s2', port + 2);

/** The page, and the client as the package has it: plain modules, which the browser loads as they are. */
const FILES = /^\/lib\/((?:client|core|protocol|host)\/[\w/-]+\.js)$/;

const page = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://page');
  const lib = FILES.exec(pathname)?.[1];
  if (pathname === '/') send(response, new URL('./index.html', import.meta.url), 'text/html');
  else if (pathname === '/window') send(response, new URL('./window.html', import.meta.url), 'text/html');
  else if (lib !== undefined) send(response, new URL(`../../dist/src/${lib}`, import.meta.url), 'text/javascript');
  else if (pathname === '/servers')
    json(
      response,
      [...servers.values()].map(({ id, port, up }) => ({ id, port, up })),
    );
  else if (pathname === '/kill' && request.method === 'POST') {
    servers.get(searchParams.get('id'))?.child.kill('SIGKILL');
    json(response, {});
  } else response.writeHead(404).end();
});

function send(response, url, type) {
  const file = createReadStream(fileURLToPath(url));
  file.on('error', () => response.writeHead(404).end());
  file.once('open', () => response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8`, 'Cache-Control': 'no-store' }));
  file.pipe(response);
}

function json(response, value) {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

page.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}`));

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    ending = true;
    for (const { child } of servers.values()) child.kill('SIGKILL');
    page.close();
    page.closeAllConnections();
    await engine.close();
  });
}
