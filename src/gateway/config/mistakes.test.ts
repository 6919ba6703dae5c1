// Every mistake in a configuration gets its file, line and column, the rule, the value, and what was probably meant.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EvenkeelError } from '../../core/errors.ts';
import { readGatewayFile, readGatewayText } from './index.ts';
import { SOURCE_BYTES } from './source.ts';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-config-'));
  writeFileSync(join(folder, 'not.pem'), 'hello');
  writeFileSync(join(folder, 'empty'), ' \n');
});
after(() => rmSync(folder, { recursive: true }));

/** What is said of a text, line by line; empty: it is right. */
function said(text: string): string[] {
  try {
    readGatewayText(text, { name: 'gw.yaml', folder });
  } catch (error) {
    assert.ok(EvenkeelError.is(error), String(error));
    assert.equal(error.code, 'EVENKEEL_BAD_CONFIG');
    return error.message.split('\n');
  }
  return [];
}

const GROUPS = 'groups: {web: {upstreams: ["a:1"]}}\n';
const HTTP = 'listeners: [":80"]\n';
const LISTENER_KEYS = 'listen, protocol, group, tls, proxyProtocol, trustedHops';

/** What is written, and the one line that is said. */
const table: readonly (readonly [string, string, string])[] = [
  ['an empty file', '', '1:1: the file must be a mapping, got null'],
  ['a list', '- 1\n', '1:1: the file must be a mapping, got [1]'],
  [
    'no YAML',
    'listeners: [\ngroups: 1\n',
    '2:1: the file must be YAML, got a mistake here: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  ['a tab', `${HTTP}groups:\n\tweb: 1\n`, '3:1: the file must be YAML, got a mistake here: Tabs are not allowed as indentation'],
  ['no groups', HTTP, '1:1: groups must be given, got nothing'],
  ['no listeners', GROUPS, '1:1: listeners must be given, got nothing'],
  ['empty groups', `${HTTP}groups: {}\n`, '2:9: groups must have at least one group, got none'],
  ['an empty list', `listeners: []\n${GROUPS}`, '1:12: listeners must have at least 1 entries, got []'],
  ['nothing after a key', `${HTTP}${GROUPS}limits:\n`, '3:1: limits must be a mapping, got null'],
  ['an unknown key', `${HTTP}${GROUPS}timeout: {}\n`, '3:1: timeout must be a key that the file knows, got "timeout"; did you mean timeouts?'],
  [
    'an unknown key that is like no other',
    `listeners:\n  - {listen: ":80", backlog: 5}\n${GROUPS}`,
    `2:21: listeners[0].backlog must be a key that listeners[0] knows, got "backlog"; its keys are ${LISTENER_KEYS}`,
  ],
  ['a key twice', `${HTTP}${GROUPS}limits: {connections: 5, connections: 6}\n`, '3:26: a key must stand in a mapping once, got connections again'],
  ['an unknown anchor', `${HTTP}groups: {web: *none}\n`, '2:15: an alias must name an anchor that stands before it, got one that does not'],
  ['a tag', `${HTTP}groups: {web: {upstreams: [!host "a:1"]}}\n`, "2:28: the file must have YAML's own tags only, got another: Unresolved tag: !host"],
  ['a port too large', `listeners: [":80800"]\n${GROUPS}`, '1:13: listeners[0] must be HOST:PORT or :PORT, got ":80800"'],
  ['an address without a port', `${HTTP}groups: {web: {upstreams: [localhost]}}\n`, '2:28: groups.web.upstreams[0] must be HOST:PORT, got "localhost"'],
  ['an upstream at port 0', `${HTTP}groups: {web: {upstreams: ["a:0"]}}\n`, '2:28: groups.web.upstreams[0] must be HOST:PORT, got "a:0"'],
  [
    'an upstream twice',
    `${HTTP}groups: {web: {upstreams: ["a:1", "a:1"]}}\n`,
    '2:35: groups.web.upstreams[1] must have a name of its own in its group, got a:1 as upstreams[0] has',
  ],
  [
    'a group of nobody',
    `${HTTP}groups: {web: {balance: random}}\n`,
    '2:15: groups.web must have at least one of upstreams, file, dns, srv, kubernetes, fleet, got none of them',
  ],
  ['a group name', `${HTTP}groups: {"my web": {upstreams: ["a:1"]}}\n`, '2:10: a name in groups must be 1 to 100 letters, digits and . : @ _ -, got "my web"'],
  [
    'a choice',
    `${HTTP}groups: {web: {upstreams: ["a:1"], balance: least-conn}}\n`,
    '2:45: groups.web.balance must be one of round-robin, least-connections, random, two-choices, hash, got "least-conn"; did you mean least-connections?',
  ],
  [
    'hash without its key',
    `${HTTP}groups: {web: {upstreams: ["a:1"], balance: hash}}\n`,
    '2:15: groups.web.hashKey must be given with balance: hash, got nothing',
  ],
  [
    'a key without hash',
    `${HTTP}groups: {web: {upstreams: ["a:1"], hashKey: user}}\n`,
    '2:36: groups.web.hashKey must be given with balance: hash only, got balance: least-connections',
  ],
  [
    'two keys of a hash',
    `${HTTP}groups: {web: {upstreams: ["a:1"], balance: hash, hashKey: {header: x, query: y}}}\n`,
    '2:60: groups.web.hashKey must have one of header, cookie, query, got {"header":"x","query":"y"}',
  ],
  [
    'a timeout above its interval',
    `${HTTP}groups: {web: {upstreams: ["a:1"], health: {intervalMs: 500, timeoutMs: 600}}}\n`,
    '2:73: groups.web.health.timeoutMs must be at most health.intervalMs (500), got 600',
  ],
  [
    'a health path',
    `${HTTP}groups: {web: {upstreams: ["a:1"], health: healthz}}\n`,
    '2:44: groups.web.health must be tcp or a path that begins with /, got "healthz"',
  ],
  ['a number with a unit', `${HTTP}${GROUPS}timeouts: {connectMs: 5s}\n`, '3:23: timeouts.connectMs must be a number, got "5s"'],
  ['a part of a millisecond', `${HTTP}${GROUPS}timeouts: {connectMs: 1.5}\n`, '3:23: timeouts.connectMs must be a whole number, got 1.5'],
  ['a number below its range', `${HTTP}${GROUPS}limits: {headBytes: 100}\n`, '3:21: limits.headBytes must be at least 1024, got 100'],
  [
    'a fraction above 1',
    `${HTTP}groups: {web: {upstreams: ["a:1"], ejection: {maxFraction: 50}}}\n`,
    '2:60: groups.web.ejection.maxFraction must be at most 1, got 50',
  ],
  ['a bound that binds nothing', `${HTTP}groups: {web: {upstreams: ["a:1"], boundedLoad: 1}}\n`, '2:49: groups.web.boundedLoad must be more than 1, got 1'],
  [
    'a respread that cannot be',
    `${HTTP}groups: {web: {upstreams: ["a:1"], websocket: {respread: true}}}\n`,
    '2:58: groups.web.websocket.respread must be given with failover: true only, got true without it',
  ],
  [
    'a respread against its keys',
    `${HTTP}groups: {web: {upstreams: ["a:1"], balance: hash, hashKey: address, websocket: {failover: true, respread: true}}}\n`,
    '2:107: groups.web.websocket.respread must be false with balance: hash, got true',
  ],
  [
    'a word for a switch',
    `${HTTP}groups: {web: {upstreams: ["a:1"], websocket: {failover: "on"}}}\n`,
    '2:58: groups.web.websocket.failover must be true or false, got "on"',
  ],
  [
    'a number for text',
    `${HTTP}${GROUPS}routes: [{headers: {x-version: 2}, group: web}]\n`,
    '3:32: routes[0].headers.x-version must be text, got 2; put it in quotes',
  ],
  ['a route to nowhere', `${HTTP}${GROUPS}routes:\n  - group: wep\n`, '4:12: routes[0].group must be a group that is there, got "wep"; did you mean web?'],
  [
    'a part of a split to nowhere',
    `${HTTP}${GROUPS}routes:\n  - groups: {web: 9, canary: 1}\n`,
    '4:30: routes[0].groups.canary must be a group that is there, got "canary"; there are web',
  ],
  ['a split without weights', `${HTTP}${GROUPS}routes:\n  - groups: {web: 0}\n`, '4:13: routes[0].groups must have a weight above 0, got none'],
  [
    'a route without a target',
    `${HTTP}${GROUPS}routes:\n  - host: example.org\n`,
    '4:5: routes[0] must have one of group, groups, redirect, assign, tier, got none',
  ],
  [
    'a route with two',
    `${HTTP}${GROUPS}routes:\n  - {group: web, redirect: web}\n`,
    '4:5: routes[0] must have one of group, groups, redirect, assign, tier, got group and redirect',
  ],
  [
    'a route that nothing reaches',
    `${HTTP}${GROUPS}routes:\n  - {path: /a, group: web}\n  - {path: /a/b, host: x.org, group: web}\n`,
    '5:5: routes[1] must be a route that something can reach, got one after routes[0], which takes all of it',
  ],
  [
    'a path without its slash',
    `${HTTP}${GROUPS}routes: [{path: api, group: web}]\n`,
    '3:17: routes[0].path must be a path that begins with / and has no query, got "api"',
  ],
  [
    'no routes between two groups',
    `${HTTP}groups: {a: {upstreams: ["a:1"]}, b: {upstreams: ["b:1"]}}\n`,
    '1:1: routes must be given where there are several groups, got none',
  ],
  [
    'tcp between two groups',
    `listeners:\n  - {listen: ":80", protocol: tcp}\ngroups: {a: {upstreams: ["a:1"]}, b: {upstreams: ["b:1"]}}\n`,
    '2:5: listeners[0].group must be given where there are several groups, got nothing',
  ],
  [
    'a group for http',
    `listeners: [{listen: ":80", group: web}]\n${GROUPS}`,
    '1:29: listeners[0].group must be given with protocol: tcp only; routes say it for http, got "web"',
  ],
  [
    'an address twice',
    `listeners: [":80", "127.0.0.1:80"]\n${GROUPS}`,
    '1:20: listeners[1] must listen on an address of its own, got 127.0.0.1:80, where 0.0.0.0:80 is taken already',
  ],
  [
    'a network',
    `listeners: [{listen: ":80", trustedHops: [10.0.0.0/40]}]\n${GROUPS}`,
    '1:43: listeners[0].trustedHops[0] must be an IP address or a network such as 10.0.0.0/8, got "10.0.0.0/40"',
  ],
  [
    'an admin for all without a token',
    `${HTTP}${GROUPS}admin: 0.0.0.0:9090\n`,
    '3:8: admin must have a token where others than this machine reach it, got 0.0.0.0:9090 and none',
  ],
  [
    'a short token, which is not repeated',
    `${HTTP}${GROUPS}admin: {listen: 9090, token: hunter2}\n`,
    '3:30: admin.token must be 16 to 256 printable characters without spaces, got 7 characters',
  ],
  [
    'a secret that is not there',
    `${HTTP}${GROUPS}admin: {listen: 9090, token: {file: none}}\n`,
    '3:37: admin.token.file must be a file that can be read, got none (ENOENT)',
  ],
  [
    'a secret of nothing',
    `${HTTP}${GROUPS}admin: {listen: 9090, token: {file: empty}}\n`,
    '3:37: admin.token.file must hold something, got an empty file (empty)',
  ],
  [
    'an engine, whose password is not repeated',
    `${HTTP}${GROUPS}engine: reddis://me:secret@host\n`,
    '3:9: engine must be memory, local, local:NAME, redis[s]://... or redis[s]+sentinel://..., got "reddis://***@host"',
  ],
  [
    'an option of the node',
    `${HTTP}${GROUPS}node: {limits: {pingMs: 50, deadMs: 40}}\n`,
    '3:37: node.limits.deadMs must be greater than limits.pingMs (50), got 40',
  ],
  [
    'an option of the node that is misspelt',
    `${HTTP}${GROUPS}node: {lifetime: {maxRequest: 50}}\n`,
    '3:19: node.lifetime.maxRequest must be a key that node.lifetime knows, got "maxRequest"; did you mean maxRequests?',
  ],
  [
    'a second name for one thing',
    `${HTTP}${GROUPS}node: {lifetime: {idleMs: 5000}}\n`,
    '3:19: node.lifetime.idleMs must be given as timeouts.clientIdleMs, got it here',
  ],
  [
    'a DNS name of no group',
    `${HTTP}${GROUPS}dns: {listen: ":53", zone: example.org, names: {www: wob}}\n`,
    '3:54: dns.names.www must be a group that is there, got "wob"; did you mean web?',
  ],
  ['no URL', `${HTTP}${GROUPS}routes: [{group: web, auth: localhost}]\n`, '3:29: routes[0].auth must be an URL with http:// or https://, got "localhost"'],
];

describe('each mistake is told where it is', () => {
  for (const [what, text, line] of table) test(what, () => assert.deepEqual(said(text), [`gw.yaml:${line}`]));
  test('more than thirty are tried', () => assert.ok(table.length >= 30));
});

test('a certificate that is not there, and a file that is none, are told where they are named', () => {
  const lines = said(`listeners:\n  - listen: ":443"\n    tls:\n      cert: none.pem\n      key: not.pem\n${GROUPS}`);
  assert.equal(lines[0], 'gw.yaml:4:13: listeners[0].tls.cert must be a file that can be read, got none.pem (ENOENT)');
  assert.match(lines[1], /^gw\.yaml:5:12: listeners\[0\]\.tls\.key must be a PEM file with a private key without a passphrase, got not\.pem \(.+\)$/);
  assert.equal(lines.length, 2);
});

test('all mistakes are told at once, in the order of the file, also those that show only when the rest is looked at', () => {
  const text = `listeners: [":80", {listen: ":81", protocl: tcp}]
groups:
  web:
    upstreams: ["a:1", {address: "b:1", weigth: 2}]
    hashKey: user
routes:
  - {group: wob}
timeouts: {conectMs: 5}
`;
  assert.deepEqual(
    said(text).map((line) => line.split(' ')[0]),
    ['gw.yaml:1:36:', 'gw.yaml:4:41:', 'gw.yaml:5:5:', 'gw.yaml:7:13:', 'gw.yaml:8:12:'],
  );
});

test('what is left out because it is wrong makes no other mistakes', () => {
  assert.deepEqual(said(`${HTTP}groups: {web: {upstreams: 5}}\nroutes: [{group: web}]\n`), ['gw.yaml:2:27: groups.web.upstreams must be a list, got 5']);
});

test('a mistake in what an anchor names is told where it is written, and merge keys are looked into', () => {
  const text = `${HTTP}groups:\n  web: &base\n    upstreams: ["a:1"]\n    retries: many\n  api: {<<: *base, upstreams: ["b:1"]}\nroutes: [{group: web}]\n`;
  assert.deepEqual(said(text), [
    'gw.yaml:5:14: groups.web.retries must be a number, got "many"',
    'gw.yaml:5:14: groups.api.retries must be a number, got "many"',
  ]);
});

test('fifty are told, and how many more there are', () => {
  const lines = said(`${HTTP}groups: {web: {upstreams: [${'x, '.repeat(80)}]}}\n`);
  assert.equal(lines.length, 51);
  assert.equal(lines[50], 'gw.yaml: 30 more mistakes');
});

describe('what is too large is not read', () => {
  test('a long text', () =>
    assert.deepEqual(said(`#${'x'.repeat(SOURCE_BYTES)}`), [`gw.yaml:1:1: the file must have at most ${SOURCE_BYTES} bytes, got ${SOURCE_BYTES + 1}`]));
  test('nested without end', () => assert.match(said('['.repeat(100_000))[0], /^gw\.yaml:1:\d+: the file must be YAML/));
  test('aliases of aliases', () => {
    const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}]`);
    assert.match(said(`a0: &a0 [x]\n${levels.join('\n')}\n`)[0], /^gw\.yaml:1:1: the file must be YAML of a sane size/);
  });
});

test('a file that is not there is bad usage, not a bad file', () => {
  assert.throws(() => readGatewayFile(join(folder, 'nothing.yaml')), {
    code: 'EVENKEEL_BAD_OPTION',
    message: /must be a file that can be read, got .*nothing\.yaml \(ENOENT\)/,
  });
});
