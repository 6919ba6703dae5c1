// Answers one DNS question for the zone of the gateway, as an authoritative server does (RFC 1035, 2308, 6891, 8482). Pure: a
// decoded query and the hosts go in, a response comes out. Client subnets (ECS) are ignored: hosts are told by load, not by place.
import { isIPv4, isIPv6 } from 'node:net';
import type { Answer, OptAnswer, Packet, Question } from 'dns-packet';
import type { Random } from '../../core/random.ts';
import type { DnsSettings } from '../settings.ts';
import { labelOf, perAddress, toldHosts, type Host } from './zone.ts';

export interface Zone {
  readonly settings: DnsSettings;
  /** The upstreams of a group now; the group exists. */
  hosts(group: string): readonly Host[];
  /** Grows when anything of the zone may have changed. */
  readonly serial: number;
  readonly random: Random;
}

/** dns-packet knows the code of a response, and the extension that EDNS adds to it, only as parts of other fields. */
const RCODE = { ok: 0, malformed: 1, absent: 3, notImplemented: 4, refused: 5 } as const;
const BAD_VERSION = 1;
const AUTHORITATIVE = 1 << 10;
/** What a response repeats of the query's flags: the kind of query, and whether recursion is desired. */
const REPEATED = 0x7900;

/** What we say that we take over UDP: passes every network unfragmented (DNS flag day 2020). */
export const UDP_BYTES = 1_232;

export interface Reply {
  readonly packet: Packet;
  /** Most bytes that the asker takes over UDP. */
  readonly udpBytes: number;
}

/** null: nothing is answered (it is no question at all). */
export function answer(query: Packet, zone: Zone): Reply | null {
  if (query.type !== 'query') return null;
  const edns = query.additionals?.find((record): record is OptAnswer => record.type === 'OPT');
  const udpBytes = edns === undefined ? 512 : Math.max(512, Math.min(UDP_BYTES, edns.udpPayloadSize));
  const reply = (rcode: number, parts: Partial<Packet> = {}, extended = 0): Reply => ({
    udpBytes,
    packet: {
      type: 'response',
      id: query.id,
      flags: ((query.flags ?? 0) & REPEATED) | (rcode === RCODE.ok || rcode === RCODE.absent ? AUTHORITATIVE : 0) | rcode,
      questions: query.questions ?? [],
      ...parts,
      additionals: [...(parts.additionals ?? []), ...(edns === undefined ? [] : [ourOpt(extended)])],
    },
  });
  if ((query as { opcode?: string }).opcode !== 'QUERY') return reply(RCODE.notImplemented);
  const [question, second] = query.questions ?? [];
  if (question === undefined || second !== undefined) return reply(RCODE.malformed);
  if (edns !== undefined && edns.ednsVersion > 0) return reply(RCODE.ok, {}, BAD_VERSION);
  if ((question.class ?? 'IN') !== 'IN') return reply(RCODE.refused);
  const name = withinZone(question.name, zone.settings.zone);
  if (name === null) return reply(RCODE.refused);
  const records = recordsFor(name, question, zone);
  if (records === null) return reply(RCODE.absent, { authorities: [soa(zone)] });
  if (records.answers.length === 0) return reply(RCODE.ok, { authorities: [soa(zone)] });
  return reply(RCODE.ok, records);
}

function ourOpt(extendedRcode: number): OptAnswer {
  return { type: 'OPT', name: '.', udpPayloadSize: UDP_BYTES, extendedRcode, ednsVersion: 0, flags: 0, flag_do: false, options: [] };
}

/** `a.b` of `a.b.ZONE`, empty for the zone itself, null for what is not of it. */
function withinZone(name: string, zone: string): string | null {
  const lower = name.toLowerCase();
  const apex = zone.toLowerCase();
  if (lower === apex) return '';
  return lower.endsWith(`.${apex}`) ? lower.slice(0, -apex.length - 1) : null;
}

interface Records {
  readonly answers: Answer[];
  readonly additionals?: Answer[];
}

/** null: the name does not exist. */
function recordsFor(name: string, question: Question, zone: Zone): Records | null {
  const { names, listen } = zone.settings;
  // dns-packet decodes ANY, though its types do not say so.
  if ((question.type as string) === 'ANY') return exists(name, zone) ? { answers: [minimalAny(question.name)] } : null;
  if (name === '' && question.type === 'SOA') return { answers: [{ ...soa(zone), name: question.name }] };
  if (name === '' && question.type === 'NS') return { answers: [{ type: 'NS', name: question.name, ttl: zone.settings.ttlS, data: nameServer(zone) }] };
  if (name === 'ns') return { answers: addresses(question, [{ host: listen.host }], zone.settings.ttlS) };
  const group = groupOf(name, names);
  if (group !== undefined) return hostRecords(group, question, zone);
  const single = singleHost(name, zone);
  if (single !== null) return { answers: addresses(question, [single], zone.settings.ttlS) };
  return exists(name, zone) ? { answers: [] } : null;
}

/** `web`, and `_any._tcp.web` for SRV, as RFC 2782 names services. */
function groupOf(name: string, names: DnsSettings['names']): string | undefined {
  const owner = name.replace(/^_[^.]+\._(?:tcp|udp)(?:\.|$)/, '');
  return names.get(owner === '' ? '@' : owner);
}

function hostRecords(group: string, question: Question, zone: Zone): Records {
  const { ttlS, answers: most, zone: apex } = zone.settings;
  const hosts = zone.hosts(group);
  if (question.type === 'A' || question.type === 'AAAA') {
    const fitting = hosts.filter(({ host }) => (question.type === 'A' ? isIPv4(host) : isIPv6(host)));
    return { answers: addresses(question, toldHosts(perAddress(fitting), most, zone.random), ttlS) };
  }
  if (question.type !== 'SRV') return { answers: [] };
  const told = toldHosts(hosts, most, zone.random);
  const owner = [...zone.settings.names].find(([, named]) => named === group)?.[0] ?? '@';
  const target = (host: string): string => (isIPv4(host) || isIPv6(host) ? [labelOf(host), ...(owner === '@' ? [] : [owner]), apex].join('.') : host);
  return {
    // The order is the one to try them in: Node's resolver and many others do not weigh records of one priority themselves.
    answers: told.map((host, at) => ({
      type: 'SRV',
      name: question.name,
      ttl: ttlS,
      data: { priority: at, weight: Math.min(65_535, Math.round(host.weight * 100)), port: host.port, target: target(host.host) },
    })),
    additionals: perAddress(told).flatMap(({ host }): Answer[] => {
      if (isIPv4(host)) return [{ type: 'A', name: target(host), ttl: ttlS, data: host }];
      return isIPv6(host) ? [{ type: 'AAAA', name: target(host), ttl: ttlS, data: host }] : [];
    }),
  };
}

function addresses({ name, type }: Question, hosts: readonly Pick<Host, 'host'>[], ttl: number): Answer[] {
  const fits = type === 'A' ? isIPv4 : type === 'AAAA' ? isIPv6 : () => false;
  return hosts.filter(({ host }) => fits(host)).map(({ host }) => ({ type: type as 'A', name, ttl, data: host }));
}

/** The host behind a name of its own, `10-0-0-1.web`, healthy or not: an SRV record that was told some time ago points here. */
function singleHost(name: string, zone: Zone): Host | null {
  const [label, ...rest] = name.split('.');
  const group = zone.settings.names.get(rest.length === 0 ? '@' : rest.join('.'));
  if (group === undefined) return null;
  return zone.hosts(group).find(({ host }) => labelOf(host) === label) ?? null;
}

/** Also a name that has nothing of its own but lies above one that has (RFC 8020). */
function exists(name: string, zone: Zone): boolean {
  if (name === '' || name === 'ns' || groupOf(name, zone.settings.names) !== undefined || singleHost(name, zone) !== null) return true;
  return [...zone.settings.names.keys()].some((known) => known.endsWith(`.${name}`)) || name === '_tcp' || name === '_udp';
}

const nameServer = ({ settings }: Zone): string => `ns.${settings.zone}`;

function soa(zone: Zone): Answer {
  const { zone: apex, ttlS } = zone.settings;
  return {
    type: 'SOA',
    name: apex,
    ttl: ttlS,
    data: { mname: nameServer(zone), rname: `hostmaster.${apex}`, serial: zone.serial, refresh: 3_600, retry: 600, expire: 86_400, minimum: ttlS },
  };
}

const minimalAny = (name: string): Answer => ({ type: 'HINFO', name, ttl: 3_600, data: { cpu: 'RFC8482', os: '' } });
