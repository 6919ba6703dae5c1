// One HTTP/1.1 client with one keep-alive connection. When the server ends the connection it simply opens another at its
// next heartbeat. It never repeats a request: an error, a timeout or a status from 400 on is a failure.
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { REQUEST_TIMEOUT_MS, type Client, type ClientPorts } from './client.ts';

interface UnderWay {
  readonly request: ClientRequest;
  readonly since: number;
}

export class HttpClient implements Client {
  readonly #url: URL;
  readonly #ports: ClientPorts;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #underWay: UnderWay | null = null;

  constructor(url: URL, ports: ClientPorts) {
    this.#url = url;
    this.#ports = ports;
  }

  turn(): void {
    if (this.#underWay !== null) return;
    const { account, clock } = this.#ports;
    const message = request(this.#url, { agent: this.#agent });
    const underWay: UnderWay = { request: message, since: clock.now() };
    this.#underWay = underWay;
    account.requests++;
    account.sent++;
    message.on('socket', (socket) => {
      if (!message.reusedSocket) this.#follow(socket);
    });
    message.on('response', (response) => this.#read(response, underWay));
    message.on('error', (error: NodeJS.ErrnoException) => this.#fail(underWay, `${error.message}${message.reusedSocket ? '' : ' on a new connection'}`));
    message.end();
  }

  check(now: number): void {
    const underWay = this.#underWay;
    if (underWay === null || now - underWay.since < REQUEST_TIMEOUT_MS) return;
    this.#fail(underWay, 'no answer');
    underWay.request.destroy();
  }

  stop(): void {
    // What is under way stays undecided: it is neither answered nor failed.
    const underWay = this.#underWay;
    this.#underWay = null;
    underWay?.request.destroy();
    this.#agent.destroy();
  }

  #follow(socket: Socket): void {
    const { account } = this.#ports;
    account.attempts++;
    socket.once('connect', () => {
      account.connected++;
      socket.once('close', () => void account.connected--);
    });
  }

  #read(response: IncomingMessage, underWay: UnderWay): void {
    const { statusCode = 0 } = response;
    response.on('error', (error: NodeJS.ErrnoException) => this.#fail(underWay, error.code ?? error.message));
    response.on('end', () => {
      if (statusCode >= 400) this.#fail(underWay, `status ${statusCode}`);
      else this.#answered(underWay);
    });
    response.resume();
  }

  #answered(underWay: UnderWay): void {
    if (this.#underWay !== underWay) return;
    this.#underWay = null;
    this.#ports.account.answered(this.#ports.clock.now() - underWay.since);
  }

  #fail(underWay: UnderWay, why: string): void {
    if (this.#underWay !== underWay) return;
    this.#underWay = null;
    this.#ports.account.failed(why);
  }
}
