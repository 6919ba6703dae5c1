// Where chunked bodies end, and which of them are refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../../test/property.ts';
import { Chunks } from './chunks.ts';

function payloadOf(text: string, piece: number): { payload: string; end: number; isDone: boolean; isBad: boolean } {
  const bytes = Buffer.from(text, 'latin1');
  const chunks = new Chunks();
  const into: Buffer[] = [];
  let end = 0;
  for (let at = 0; at < bytes.length; at += piece) {
    const part = bytes.subarray(at, at + piece);
    const used = chunks.advance(part, 0, into);
    end = at + used;
    if (used < part.length) break;
  }
  return { payload: Buffer.concat(into).toString('latin1'), end, isDone: chunks.isDone, isBad: chunks.isBad };
}

test('payload and end are found, in whatever pieces the bytes come', () => {
  const body = fc.record({ parts: fc.array(fc.string({ minLength: 1, maxLength: 40 })), piece: fc.integer({ min: 1, max: 50 }), trailer: fc.boolean() });
  always(body, ({ parts, piece, trailer }) => {
    const whole = parts.map((part) => Buffer.from(part).toString('latin1'));
    const text = `${whole.map((part) => `${part.length.toString(16)};a="b"\r\n${part}\r\n`).join('')}0\r\n${trailer ? 'X-Sum: 1\r\n' : ''}\r\n`;
    const found = payloadOf(`${text}GET /`, piece);
    assert.deepEqual(found, { payload: whole.join(''), end: text.length, isDone: true, isBad: false });
  });
});

test('what is malformed is bad, and stays bad', () => {
  const bad = [
    '5 \r\nhello\r\n0\r\n\r\n',
    '\r\n',
    'g\r\n',
    '5\nhello',
    '5\r\nhello0\r\n',
    '5\r\nhello\n',
    '5;\r\n',
    '5;a=\r\n',
    '5;a="\n"\r\n',
    '100000000000000\r\n',
    '0\r\n bad\r\n',
    '0\r\nno colon\r\n',
    '0\r\nContent-Length: 5\r\n',
    '0\r\nX-Forwarded-For: 1\r\n',
  ];
  for (const text of bad) assert.equal(payloadOf(text, 3).isBad, true, JSON.stringify(text));
});

test('extensions and trailers have an end', () => {
  assert.equal(payloadOf(`1;${'a'.repeat(20_000)}\r\n`, 1_000).isBad, true);
  assert.equal(payloadOf(`0\r\n${'X: y\r\n'.repeat(2_000)}`, 1_000).isBad, true);
});
