// What a configuration says of a group of upstreams: names, limits, defaults and their reasons.
import { z } from 'zod';
import {
  address,
  anyText,
  count,
  countOrNone,
  dnsServer,
  filePath,
  fraction,
  hostName,
  httpUrl,
  mediaType,
  ms,
  msOrNone,
  name,
  seconds,
  token,
  urlPath,
  weight,
} from './fields.ts';
import type { GroupFile } from './file.ts';

const port = z.number().int().min(1).max(65_535);
const refreshMs = ms.min(100).default(5_000).describe('Asked again after this. 5 s: what cluster DNS lets names live for.');
const server = dnsServer.optional().describe("Asked instead of the system's resolvers, `HOST` or `HOST:PORT`.");

const upstream = z.union([
  address,
  z.strictObject({
    address: address.describe('`HOST:PORT`.'),
    name: name.optional().describe('In metrics, the admin API and sticky cookies. Default: its address.'),
    weight: weight.default(1).describe('Its part relative to the others; 0: takes nothing new.'),
  }),
]);

const dns = z.union([
  address,
  z.strictObject({ host: hostName.describe('Whose A and AAAA records are taken.'), port: port.describe('Port of the upstreams.'), refreshMs, server }),
]);

const srv = z.union([hostName, z.strictObject({ name: hostName.describe('Whose SRV records are taken.'), refreshMs, server })]);

const kubernetes = z.strictObject({
  service: anyText.describe('Whose EndpointSlices are watched.'),
  namespace: anyText.default('default').describe('Of the service.'),
  port: z.union([anyText, port]).optional().describe("Name or number of the slice's port. Default: its first."),
  api: httpUrl.optional().describe("Base URL of the API server. Default: the pod's own cluster, with its service account."),
});

const fleet = z.strictObject({
  engine: anyText.describe('Where the nodes meet, as `engine` above.'),
  fleet: name.describe('Its name.'),
});

const hashKey = z.union([
  z.enum(['address', 'user']),
  z
    .strictObject({
      header: token.optional().describe('Name of a header.'),
      cookie: token.optional().describe('Name of a cookie.'),
      query: anyText.optional().describe('Name of a parameter of the query.'),
    })
    .refine((by) => Object.values(by).filter((one) => one !== undefined).length === 1, 'it must have one of header, cookie, query'),
]);

const health = z.union([
  z.string().refine((value) => value === 'tcp' || (urlPath.safeParse(value).success && value !== ''), 'it must be tcp or a path that begins with /'),
  z.strictObject({
    path: urlPath.optional().describe('GET of this must answer 2xx or 3xx. Default: a TCP connection is enough.'),
    intervalMs: ms.min(100).default(2_000).describe('Between two checks (HAProxy `inter`).'),
    timeoutMs: ms.optional().describe('No answer within this is a bad one; at most `intervalMs`. Default: `intervalMs`.'),
    rise: count.max(100).default(2).describe('Good answers in a row that make it healthy (HAProxy `rise`).'),
    fall: count.max(100).default(3).describe('Bad answers in a row that make it unhealthy (HAProxy `fall`).'),
  }),
]);

const ejection = z
  .strictObject({
    failures: count.max(1_000_000).default(5).describe('Failures in a row of real requests after which an upstream is left out; 5 is no accident any more.'),
    baseMs: ms.default(10_000).describe('For this long, times how often it was (nginx `fail_timeout`).'),
    maxFraction: fraction.default(0.5).describe('Most of the group that is left out at once: the rest must be able to bear it.'),
  })
  .prefault({});

const breaker = z.union([
  z.boolean(),
  z.strictObject({
    windowMs: ms.min(100).default(10_000).describe('What it looks back on.'),
    minRequests: count.default(10).describe('Fewer in the window prove nothing.'),
    failureFraction: fraction.default(0.5).describe('Of failed ones at which it opens.'),
    openMs: ms.default(5_000).describe('Nothing is sent for this long; then one request is let through to try.'),
  }),
]);

const tls = z.union([
  z.boolean(),
  z.strictObject({
    ca: filePath.optional().describe("PEM file of the authorities that are believed. Default: the system's."),
    serverName: hostName.optional().describe('Name that is asked for and that the certificate must have. Default: the host of the address.'),
    verify: z.boolean().default(true).describe('Whether the certificate is checked. false: anybody between can read all.'),
  }),
]);

const keepAlive = z
  .strictObject({
    max: countOrNone.max(100_000).default(256).describe('Idle connections kept per upstream; 0: a fresh connection for each request.'),
    idleMs: ms.default(4_000).describe('An idle one ends after this; less than the 5 s after which a Node server ends it.'),
  })
  .prefault({});

const websocket = z
  .strictObject({
    failover: z
      .boolean()
      .default(false)
      .describe('The client side stays when its upstream dies or drains. Off: plain WebSocket servers must know how to take over.'),
    replay: countOrNone.max(1_000).default(0).describe('First messages of a client that the next upstream gets again.'),
    abnormalCodes: z
      .array(z.number().int().min(1_000).max(4_999))
      .max(100)
      .default([1001, 1006, 1011, 1012, 1013, 1014])
      .describe("Close codes of an upstream that count as its death. 1006: the connection ended without one. An application's own and 1000 are passed on."),
    holdBytes: countOrNone
      .max(1_073_741_824)
      .default(65_536)
      .describe('Bytes of client messages that are kept while there is no upstream; then the client has to wait.'),
    reattachMs: msOrNone.default(10_000).describe('How long there may be no upstream before the client is closed with 1012.'),
    respread: z
      .boolean()
      .default(false)
      .describe('Open ones move, at a quiet moment and paced, from upstreams above their share to those below it. Needs `failover`.'),
  })
  .prefault({});

const fallback = z.strictObject({
  status: z.number().int().min(200).max(599).default(503).describe('Status of the answer.'),
  contentType: mediaType.default('text/plain; charset=utf-8').describe('Its `Content-Type`.'),
  body: z.string().max(1_048_576).default('').describe('Its body.'),
});

export const groupSchema: z.ZodType<GroupFile> = z.strictObject({
  upstreams: z.array(upstream).max(10_000).default([]).describe('Upstreams that are known: `HOST:PORT`, or more of one.'),
  file: filePath.optional().describe('More of them, in a file that is watched: `HOST:PORT [weight=N] [name=X]` a line, or a YAML list like `upstreams`.'),
  dns: dns.optional().describe('More of them, from A and AAAA records: `HOST:PORT`, or more of it.'),
  srv: srv.optional().describe('More of them, from SRV records: the name, or more of it.'),
  kubernetes: kubernetes.optional().describe('More of them, from the EndpointSlices of a service.'),
  fleet: fleet.optional().describe('More of them: the nodes of a fleet, by the addresses that they say of themselves.'),
  balance: z
    .enum(['round-robin', 'least-connections', 'random', 'two-choices', 'hash'])
    .default('least-connections')
    .describe('Who gets the next one. Connections are long here, so those that are open count.'),
  hashKey: hashKey
    .optional()
    .describe('What `hash` goes by: `address`, `user`, `{header: NAME}`, `{cookie: NAME}` or `{query: NAME}`. Who has none goes by its address.'),
  boundedLoad: z.number().gt(1).max(100).default(1.25).describe('No upstream gets more than this times the mean, with `hash` (HAProxy suggests 125 to 200 %).'),
  sticky: z
    .union([
      token,
      z.strictObject({
        cookie: token.describe('Its name.'),
        maxAgeS: seconds.nullable().default(null).describe('Its age; null: until the browser ends.'),
        boundedLoad: z
          .number()
          .gt(1)
          .max(100)
          .nullable()
          .default(null)
          .describe('A client whose upstream has more than this times the mean gets another one; null: it stays, as protocols of several requests need.'),
      }),
    ])
    .optional()
    .describe('A cookie keeps a client at its upstream while that one takes anything: its name, or more of it.'),
  health: health
    .optional()
    .describe('Active checks: `tcp`, a path, or more of it. Default: none, as in nginx and HAProxy; failures of real requests count all the same.'),
  ejection: ejection.describe('Failures of real requests.'),
  breaker: breaker
    .default(false)
    .describe('Stops asking an upstream of which too much fails: `true`, or more of it. Off: what counts as too much is yours to say.'),
  maxActive: count.nullable().default(null).describe('Most requests and connections at a time for one upstream (HAProxy `maxconn`); null: no limit.'),
  slowStartMs: msOrNone.default(0).describe('A fresh upstream gets its full weight after this; 0: at once, as in nginx and HAProxy.'),
  tls: tls.default(false).describe('TLS towards the upstreams: `true`, or more of it.'),
  sendProxy: z.enum(['v1', 'v2']).optional().describe('Sends a PROXY header to the upstreams.'),
  http2: z
    .boolean()
    .default(false)
    .describe('Requests go to the upstreams over HTTP/2, as gRPC wants it: by ALPN with `tls`, else with prior knowledge. WebSockets go over HTTP/1.1.'),
  keepAlive: keepAlive.describe('Connections to upstreams that are used again.'),
  websocket: websocket.describe('WebSockets of the group.'),
  fallback: fallback.optional().describe('What is answered when no upstream can take a request. Default: 503 with `Retry-After`.'),
  retries: countOrNone
    .max(100)
    .default(3)
    .describe(
      'Other tries when an upstream could not be reached or refused (HAProxy `retries`); what one may have begun is sent again where that is safe, to one more upstream at most.',
    ),
});
