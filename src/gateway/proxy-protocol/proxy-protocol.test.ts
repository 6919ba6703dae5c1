// The PROXY header: what we write is read back the same, in whatever pieces it arrives, and what is not exactly right is refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../../test/property.ts';
import { crc32c } from './crc32c.ts';
import { ipBytes, ipText } from './ip.ts';
import { readProxyHeader, type ProxiedClient } from './read.ts';
import { proxyHeader } from './write.ts';

const client: ProxiedClient = { address: '192.0.2.7', port: 4711, localAddress: '198.51.100.1', localPort: 443, secure: false, serverName: null };
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

const port = fc.integer({ min: 0, max: 65_535 });
const plain = (text: string): string => ipText(ipBytes(text) ?? Buffer.alloc(4));
const address = fc.oneof(fc.ipV4(), fc.ipV6()).map(plain);
const serverName = fc.option(fc.domain(), { nil: null });
const clients = fc.record({ address, port, localAddress: address, localPort: port, secure: fc.boolean(), serverName }, { noNullPrototype: true });

function v2(command: number, family: number, body: Buffer): Buffer {
  return Buffer.concat([signature, Buffer.from([0x20 | command, family, body.length >> 8, body.length & 0xff]), body]);
}

const four = Buffer.from([192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 1, 0xbb]);

describe('a PROXY header', () => {
  test('of version 2 that was written is read back, with whatever comes after it left alone', () => {
    always(fc.tuple(clients, fc.uint8Array({ maxLength: 20 })), ([wanted, rest]) => {
      const header = proxyHeader('v2', wanted);
      assert.deepEqual(readProxyHeader(Buffer.concat([header, rest])), { state: 'read', bytes: header.length, client: wanted });
    });
  });

  test('of version 1 that was written is read back; TLS and names have no place in it', () => {
    always(clients, (wanted) => {
      const header = proxyHeader('v1', wanted);
      assert.ok(header.length <= 107);
      assert.deepEqual(readProxyHeader(header), { state: 'read', bytes: header.length, client: { ...wanted, secure: false, serverName: null } });
    });
  });

  test('in pieces is waited for, byte by byte, and never refused', () => {
    for (const version of ['v1', 'v2'] as const) {
      const header = proxyHeader(version, { ...client, secure: true, serverName: 'example.org' });
      for (let bytes = 0; bytes < header.length; bytes++)
        assert.equal(readProxyHeader(header.subarray(0, bytes)).state, 'partial', `${version}, ${bytes} bytes`);
      assert.equal(readProxyHeader(header).state, 'read');
    }
  });

  test('of nobody (a health check of the hop) leaves the socket to tell', () => {
    for (const version of ['v1', 'v2'] as const) {
      const header = proxyHeader(version, null);
      assert.deepEqual(readProxyHeader(header), { state: 'read', bytes: header.length, client: null });
    }
    const others = [
      Buffer.from('PROXY UNKNOWN\r\n'),
      Buffer.from('PROXY UNKNOWN ffff::1 whatever 1 2\r\n'),
      v2(0, 0x11, four),
      // The hop talks for itself: even fields that are cut off are skipped.
      v2(0, 0, Buffer.from([1, 2])),
      v2(1, 0, Buffer.alloc(0)),
      v2(1, 0x31, Buffer.alloc(216)),
      v2(1, 0x12, four),
    ];
    for (const header of others) assert.deepEqual(readProxyHeader(header), { state: 'read', bytes: header.length, client: null }, header.toString('latin1'));
  });

  test('with fields that nobody knows is read, and its checksum is checked', () => {
    const unknown = Buffer.from([0xe0, 0, 3, 1, 2, 3, 0x04, 0, 0]);
    const open = v2(1, 0x11, Buffer.concat([four, unknown, Buffer.from([0x03, 0, 4, 0, 0, 0, 0])]));
    const sum = crc32c(open);
    const sealed = Buffer.from(open);
    sealed.writeUInt32BE(sum, sealed.length - 4);
    assert.deepEqual(readProxyHeader(sealed), { state: 'read', bytes: sealed.length, client });
    sealed[sealed.length - 1] ^= 1;
    assert.equal(readProxyHeader(sealed).state, 'wrong');
    assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  });

  test('that is not right is refused with the rule it breaks', () => {
    const wrong: readonly (readonly [string | Buffer, RegExp])[] = [
      ['GET / HTTP/1.1\r\n', /must begin with a PROXY header/],
      ['PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n', /TCP4, TCP6 or UNKNOWN/],
      ['PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n', /two addresses and two ports/],
      ['PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n', /two addresses and two ports/],
      ['PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n', /two addresses and two ports/],
      ['PROXY TCP4 1.1.1.1 ::1 1 2\r\n', /two addresses and two ports/],
      ['PROXY TCP6 1.1.1.1 ::1 1 2\r\n', /two addresses and two ports/],
      ['PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n', /two addresses and two ports/],
      ['PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n', /two addresses and two ports/],
      ['PROXY TCP4 1.1.1.1 2.2.2.2 1 +2\r\n', /two addresses and two ports/],
      ['PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n\r', /must end within|two addresses/],
      [`PROXY UNKNOWN ${'x'.repeat(200)}\r\n`, /must end within 107 bytes/],
      [v2(2, 0x11, four), /LOCAL or PROXY/],
      [v2(1, 0x41, four), /family that is known/],
      [v2(1, 0x13, four), /family that is known/],
      [v2(1, 0x11, four.subarray(0, 11)), /must hold its addresses/],
      [v2(1, 0x21, four), /must hold its addresses/],
      [v2(1, 0x11, Buffer.concat([four, Buffer.from([1, 0])])), /fields announce/],
      [v2(1, 0x11, Buffer.concat([four, Buffer.from([1, 0, 9, 1])])), /fields announce/],
      [v2(1, 0x11, Buffer.alloc(5_000)), /at most 4096 bytes, got 5016/],
      [v2(1, 0x11, Buffer.concat([four, Buffer.from([3, 0, 1, 1])])), /checksum/],
    ];
    for (const [bytes, rule] of wrong) {
      const input = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
      const read = input.toString('latin1').startsWith('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n')
        ? readProxyHeader(Buffer.concat([input, Buffer.alloc(107)]))
        : readProxyHeader(input);
      assert.equal(read.state, 'wrong', input.toString('latin1'));
      if (read.state === 'wrong') assert.match(read.why, rule);
    }
  });

  test('of random bytes never throws, and never takes more than there is', () => {
    const starts = fc.constantFrom(Buffer.alloc(0), signature, Buffer.from('PROXY TCP4 '), v2(1, 0x11, four), v2(1, 0x21, Buffer.alloc(60)));
    always(
      fc.tuple(starts, fc.uint8Array({ maxLength: 300 })),
      ([start, rest]) => {
        const bytes = Buffer.concat([start, rest]);
        const read = readProxyHeader(bytes);
        if (read.state === 'read') assert.ok(read.bytes > 0 && read.bytes <= bytes.length);
        if (read.state === 'partial') assert.ok(bytes.length < 4_096);
      },
      2_000,
    );
  });
});

describe('an IP address', () => {
  test('goes to bytes and back to the text that the resolver of Node writes', () => {
    for (const text of ['0.0.0.0', '255.1.2.3', '::', '::1', '1::', '2001:db8::1', '2001:db8:0:1:1:1:1:1', 'fe80::1:0:0:1', 'ff02::fb'])
      assert.equal(plain(text), text);
    assert.equal(plain('2001:DB8:0:0:0:0:0:1'), '2001:db8::1');
    assert.equal(plain('::ffff:10.0.0.1'), '10.0.0.1');
    assert.equal(plain('fe80::1%eth0'), 'fe80::1');
    assert.equal(plain('64:ff9b::1.2.3.4'), '64:ff9b::102:304');
    for (const text of ['', 'localhost', '1.2.3', '::1::', '1.2.3.4.5']) assert.equal(ipBytes(text), null);
  });
});
