// What a configuration may say: every key with its limits, its default and the reason for it. The reference page
// `docs/reference/gateway.md` and `evenkeel gateway --schema` say the same.
import { z } from 'zod';
import { nodeShape } from '../../node/options.ts';
import {
  anyText,
  count,
  countOrNone,
  filePath,
  hostName,
  hostPattern,
  httpUrl,
  listen,
  ms,
  msOrNone,
  name,
  network,
  secret,
  token,
  urlPath,
  weight,
} from './fields.ts';
import type { GatewayFile } from './file.ts';
import { groupSchema } from './group-schema.ts';

const { load: _, ...ofTheNode } = nodeShape;

const admin = z.union([
  listen,
  z.strictObject({
    listen: listen.describe('`HOST:PORT`, or a port alone: then of this machine only.'),
    token: secret
      .optional()
      .describe('What callers send as `Authorization: Bearer`: the text, or `{file: PATH}`. Required where others than this machine reach it.'),
  }),
]);

const certificate = {
  cert: filePath.describe('PEM file of the certificate and those between it and its authority.'),
  key: filePath.describe('PEM file of its private key.'),
};

const listener = z.union([
  listen,
  z.strictObject({
    listen: listen.describe('`HOST:PORT`, or `:PORT` for all IPv4 addresses; `[::]:PORT` for IPv6 as well. Port 0: any that is free.'),
    protocol: z.enum(['http', 'tcp']).default('http').describe('`http`: HTTP/1.1, HTTP/2 and WebSocket; `tcp`: bytes, whatever they mean.'),
    group: name.optional().describe('Where a `tcp` listener leads. Default: the only group.'),
    tls: z
      .strictObject({
        ...certificate,
        byName: z
          .record(hostPattern, z.strictObject(certificate))
          .optional()
          .describe('More certificates, by server name (SNI); `*.example.org` matches one label.'),
      })
      .optional()
      .describe('Clients speak TLS.'),
    proxyProtocol: z.boolean().default(false).describe('Every connection must begin with a PROXY header, v1 or v2; without one it is refused.'),
    trustedHops: z.array(network).max(1_000).default([]).describe('Networks of the hops whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.'),
  }),
]);

const tier = z.strictObject({
  url: httpUrl.describe('Where the application is told what happens.'),
  listen: listen.describe('Where the application publishes: `HOST:PORT`, or a port alone: then of this machine only.'),
  secret: secret.describe('Signs the calls both ways: the text, or `{file: PATH}`.'),
  timeoutMs: ms.default(10_000).describe('No answer within this is a failure.'),
  maxCalls: count.max(100_000).default(256).describe('Calls at a time; beyond, connections wait.'),
  messageBytes: count.max(700_000).default(65_536).describe('Longest message of a client.'),
});

const route = z.strictObject({
  host: hostPattern.optional().describe('Name that the client asks for, or `*.example.org` for each name with one label more. Default: any.'),
  path: urlPath.optional().describe('The path is this or goes on below it: `/api` matches `/api` and `/api/x`, not `/apix`. Default: any.'),
  headers: z.record(token, z.string().max(4096)).default({}).describe('All of these headers have these values.'),
  group: name.optional().describe('Where it leads. A route has one of `group`, `groups`, `redirect`, `assign` and `tier`.'),
  groups: z
    .record(name, weight)
    .optional()
    .describe('Where it leads, by weight: `{web: 95, canary: 5}`. A client stays where its hash or its cookie leads; else each request goes by chance.'),
  redirect: z
    .union([name, z.strictObject({ group: name.describe('Of the upstream.'), scheme: z.enum(['http', 'https']).default('http').describe('Of its URL.') })])
    .optional()
    .describe('Answers 307 to an upstream of the group: its name, or more of it.'),
  assign: z
    .union([
      name,
      z.strictObject({
        group: name.describe('Of the upstream.'),
        scheme: z.enum(['ws', 'wss', 'http', 'https']).default('ws').describe('Of its URL.'),
        secret: secret.optional().describe('Signs the token, so that the server knows it for ours: the text, or `{file: PATH}`. Default: there is no token.'),
        validMs: ms.default(30_000).describe('How long the token is good: the client goes at once.'),
      }),
    ])
    .optional()
    .describe('Answers `{url, token, expiresAt}` of an upstream of the group: its name, or more of it.'),
  tier: tier.optional().describe('The gateway ends WebSockets and sessions itself and calls an application over HTTP.'),
  priority: z.number().int().min(-1_000).max(1_000).default(0).describe('Where not all can be served, higher ones are kept longer.'),
  auth: z
    .union([
      httpUrl,
      z.strictObject({
        url: httpUrl.describe("Asked with the request's method, path, Authorization and Cookie. 2xx lets it in; 401 and 403 are passed on."),
        timeoutMs: ms.default(5_000).describe('No answer within this: 503.'),
        userHeader: token.optional().describe('Header of the answer that names the user.'),
      }),
    ])
    .optional()
    .describe('Who may come in: the URL that is asked, or more of it.'),
  origins: z.array(anyText).min(1).max(1_000).optional().describe('Origins that a WebSocket handshake may name. Default: any.'),
});

const limits = z
  .strictObject({
    connections: count.max(10_000_000).default(10_000).describe('Client connections at a time; beyond: 503. Each may need a second one to its upstream.'),
    perAddress: count
      .nullable()
      .default(null)
      .describe('Of them from one address (IPv6: its first 64 bits); beyond: 429. null: no limit, because a balancer may hide the addresses.'),
    perAddressPerS: z
      .number()
      .positive()
      .max(1_000_000)
      .nullable()
      .default(null)
      .describe('New connections per second from one address; beyond: 429. null: no limit.'),
    headBytes: count.min(1_024).max(1_048_576).default(16_384).describe('Longest head of a request or an answer (HAProxy `tune.bufsize`, Node); beyond: 431.'),
    headers: count.max(10_000).default(100).describe('Most header fields (HAProxy `tune.http.maxhdr`); beyond: 431.'),
    bodyBytes: countOrNone
      .max(Number.MAX_SAFE_INTEGER)
      .nullable()
      .default(null)
      .describe('Longest body of a request (nginx `client_max_body_size`); beyond: 413. null: no limit, since nothing is kept.'),
  })
  .prefault({});

const timeouts = z
  .strictObject({
    handshakeMs: ms.default(10_000).describe('For a PROXY header and for a TLS handshake.'),
    clientHeadMs: ms
      .default(10_000)
      .describe("From the first byte of a request's head to its end (nginx `client_header_timeout`, HAProxy `timeout http-request`): 408."),
    clientBodyMs: ms.default(60_000).describe("Between two reads of a request's body (nginx `client_body_timeout`): 408."),
    clientBodyRate: countOrNone
      .default(240)
      .describe(
        "Bytes of a request's body per second at least, 5 s after it began (Kestrel `MinRequestBodyDataRate`): 408; 0: any. gRPC to a group with `http2` may be silent.",
      ),
    clientIdleMs: ms
      .min(1_000)
      .default(75_000)
      .describe('Between two requests of a connection (nginx `keepalive_timeout`). Longer than the 60 s of common balancers.'),
    clientSendMs: ms
      .default(60_000)
      .describe('A client that takes nothing of what waits for it for this long is cut (nginx `send_timeout`); a slow reader is not.'),
    connectMs: ms.default(5_000).describe('For a connection to an upstream (HAProxy `timeout connect`), with HTTP/2 also for its first word, the SETTINGS.'),
    upstreamReadMs: ms
      .default(60_000)
      .describe('Between two reads from an upstream that owes an answer (nginx `proxy_read_timeout`, HAProxy `timeout server`): 504.'),
    tunnelMs: msOrNone.default(3_600_000).describe('A TCP or WebSocket connection on which nothing moves either way (HAProxy `timeout tunnel`); 0: never.'),
  })
  .prefault({});

const dns = z.strictObject({
  listen: listen.describe('`HOST:PORT`, UDP and TCP.'),
  zone: hostName.describe('Zone that is answered for.'),
  names: z
    .record(
      z.string().refine((value) => value === '@' || hostName.safeParse(value).success, 'it must be @ or a name'),
      name,
    )
    .describe('Name within the zone (`@`: the zone itself) to the group whose upstreams are told.'),
  ttlS: count.max(86_400).default(5).describe('How long an answer may be kept: short, so that load and failures show.'),
  answers: count.max(100).default(8).describe('Most addresses in an answer: 8 of both kinds fit into one packet.'),
});

const fileSchema = z.strictObject({
  node: z.strictObject(ofTheNode).optional().describe('The gateway as a node of a fleet: the options of the library, with the same names.'),
  engine: anyText
    .refine(
      (value) => value === 'memory' || value === 'local' || /^local:[\w.-]{1,64}$/.test(value) || /^rediss?(\+sentinel)?:\/\/./.test(value),
      'it must be memory, local, local:NAME, redis[s]://... or redis[s]+sentinel://...',
    )
    .optional()
    .describe('What the gateways of a fleet share, as `engine` of the library. Default: nothing, this gateway is alone.'),
  admin: admin.optional().describe('Where the admin API and the metrics are served: the address, or more of it. Default: nowhere.'),
  listeners: z.array(listener).min(1).max(1_000).describe('Where clients come in: `HOST:PORT` for HTTP, or more of one.'),
  groups: z.record(name, groupSchema).describe('Upstreams that serve the same, by name.'),
  routes: z.array(route).min(1).max(10_000).optional().describe('Which requests go where; the first that matches is taken. Default: all to the only group.'),
  limits: limits.describe('What clients may use.'),
  timeouts: timeouts.describe('How long something may take.'),
  dns: dns.optional().describe('Answers DNS queries for a zone with the addresses of upstreams, by load and health.'),
});

export const gatewaySchema: z.ZodType<GatewayFile> = fileSchema as z.ZodType<GatewayFile>;

/** JSON Schema of a configuration, with descriptions and defaults. */
export const gatewayJsonSchema = (): object => z.toJSONSchema(gatewaySchema, { io: 'input', unrepresentable: 'any' });
