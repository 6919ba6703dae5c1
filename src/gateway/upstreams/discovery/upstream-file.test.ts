// Files of upstreams: both forms, and every mistake with its line.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameOf } from './source.ts';
import { readAddress, readUpstreams } from './upstream-file.ts';

const read = (text: string): string[] => readUpstreams(text).map(({ name, address, weight }) => `${name} ${address.host} ${address.port} ${weight}`);

test('lines: addresses, weights, names, comments', () => {
  assert.deepEqual(read('# all\n10.0.0.1:9000\n\n  web.test:80\tweight=2.5 name=w # the big one\r\n[fd00::1]:443 weight=0\n'), [
    '10.0.0.1:9000 10.0.0.1 9000 1',
    'w web.test 80 2.5',
    '[fd00::1]:443 fd00::1 443 0',
  ]);
  assert.deepEqual(read('[::1]:80\n'), ['[::1]:80 ::1 80 1'], 'a bracket does not make it YAML');
});

test('YAML: strings and mappings, block or flow, empty on purpose', () => {
  const both = ['10.0.0.1:9000 10.0.0.1 9000 1', 'b web.test 80 3'];
  assert.deepEqual(read('# all\n- 10.0.0.1:9000\n- address: web.test:80\n  weight: 3\n  name: b\n'), both);
  assert.deepEqual(read('---\n["10.0.0.1:9000", {address: "web.test:80", weight: 3, name: b}]'), both);
  assert.deepEqual(read('[]'), []);
});

test('every mistake is named with its line', () => {
  const mistakes: [string, RegExp][] = [
    ['', /^it must name at least one upstream, got an empty file$/],
    ['# nobody', /got an empty file/],
    ['a.test:80\nb.test', /^line 2: address must be host:port, got b\.test$/],
    ['a.test:0', /^line 1: address must be host:port, got a\.test:0$/],
    ['a.test:70000', /address must be host:port/],
    ['fd00::1:80', /address must be host:port/],
    ['a.test:80 weight=x', /^line 1: weight must be a number from 0 to 1000000, got null$/],
    ['a.test:80 weight=-1', /weight must be a number from 0/],
    ['a.test:80 wieght=1', /^line 1: after the address there may be weight=N and name=X, got wieght=1$/],
    ['a.test:80\n\na.test:80', /^names must differ, got a\.test:80 twice$/],
    ['- a.test:80\n- {address: b.test:80, wait: 1}', /^line 2: must have no keys but address, weight and name, got wait$/],
    ['- a.test:80\n- 7', /^line 2: must be host:port or \{address, weight, name\}, got 7$/],
    ['- a.test:80\n- {address: 7}', /^line 2: address must be host:port, got 7$/],
    ['- a.test:80\n- {address: b.test:80, name: ""}', /^line 2: name must be a string of 1 to 200 characters, got $/],
    ['- a.test:80\n- [', /^line \d: must be YAML/],
    ['--- \na: 1', /^line 1: must be a list, got \{"a":1\}$/],
  ];
  for (const [text, message] of mistakes) assert.throws(() => readUpstreams(text), { message }, JSON.stringify(text));
});

test('addresses are read as they are written', () => {
  for (const address of ['10.0.0.1:1', 'web:65535', '[fd00::1%eth0]:80']) assert.equal(nameOf(readAddress(address) ?? assert.fail(address)), address);
  for (const wrong of ['', ':80', 'web', 'web:', 'web:80x', '[web]:80', 'a b:80', 'user@web:80', `${'x'.repeat(256)}:80`])
    assert.equal(readAddress(wrong), null, wrong);
});
