// Asks an admin API over real sockets, and reads its answers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Admin } from '../../src/admin/index.ts';

export interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: T;
}

export interface Failure {
  readonly error: { readonly code: string; readonly message: string };
}

export async function ask<T = Failure>(
  admin: Admin,
  method: string,
  path: string,
  options: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer<T>> {
  const body = options.body === undefined ? {} : { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) };
  const headers = options.body === undefined ? { ...options.headers } : { 'content-type': 'application/json', ...options.headers };
  const response = await fetch(`http://127.0.0.1:${admin.port}${path}`, { method, headers, ...body });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: (text.startsWith('{') ? JSON.parse(text) : null) as T };
}

/** An error as the API shows it: the code, one line, and no stack trace. */
export function assertError(answer: Answer<unknown>, status: number, code: string, message: RegExp): void {
  assert.equal(answer.status, status, answer.text);
  const failure = answer.json as Failure;
  assert.deepEqual(Object.keys(failure), ['error']);
  assert.equal(failure.error.code, code);
  assert.match(failure.error.message, message);
  assert.doesNotMatch(answer.text, /\.(js|ts):\d+|\n.*at /);
}

/** Sends bytes as they are, and reads until the other side closes. */
export async function raw(admin: Admin, text: string): Promise<string> {
  const socket = connect(admin.port, '127.0.0.1', () => socket.write(text));
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}
