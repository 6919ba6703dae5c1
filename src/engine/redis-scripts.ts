// The steps that must be atomic in Redis, as Lua. Time is the server's. All keys of a fleet share one hash slot. Every
// script may be repeated: a second run leaves what the first one did.
import { createHash } from 'node:crypto';

export interface Script {
  readonly lua: string;
  readonly sha1: string;
}

export function script(lua: string): Script {
  return { lua, sha1: createHash('sha1').update(lua).digest('hex') };
}

/** What a script answers when a limit was reached; fences and the like are never negative. */
export const OVER_LIMIT = -1;

/** Tells at once whether this server takes our writes: a replica, a full or a loading one does not. KEYS probe. */
export const probe: Script = script(`
redis.call('SET', KEYS[1], '1', 'PX', 60000)
return 1`);

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/**
 * Stores a record unless a newer one is known (the rule of MemoryStore). Lapsed members go, a hundred at a time.
 * KEYS records, expiries. ARGV id, record, incarnation, sequence, startedAt, ttlMs, most members.
 */
export const putMember: Script = script(`${NOW}
local ttl = tonumber(ARGV[6])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
local expiry = redis.call('ZSCORE', KEYS[2], ARGV[1])
if expiry and tonumber(expiry) > now then
  local read, known = pcall(cjson.decode, redis.call('HGET', KEYS[1], ARGV[1]) or '')
  if read and type(known) == 'table' then
    if known.incarnation == ARGV[3] then
      if tonumber(ARGV[4]) < (tonumber(known.sequence) or 0) then return 0 end
    elseif tonumber(ARGV[5]) < (tonumber(known.startedAt) or 0) then return 0 end
  end
elseif redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[7]) then
  return ${OVER_LIMIT}
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now + ttl, ARGV[1])
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
end
return 1`);

/** The records that have not lapsed. KEYS records, expiries. Asks for a thousand at a time: Lua's stack is small. */
export const listMembers: Script = script(`${NOW}
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf')
local records = {}
for from = 1, #ids, 1000 do
  for _, record in ipairs(redis.call('HMGET', KEYS[1], unpack(ids, from, math.min(from + 999, #ids)))) do
    if record then records[#records + 1] = record end
  end
end
return records`);

/** The fence, or nil when another holds the lease. KEYS lease, fence. ARGV holder, ttlMs. */
export const acquireLease: Script = script(`
local holder = redis.call('GET', KEYS[1])
if not holder then
  local fence = redis.call('INCR', KEYS[2])
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return fence
end
if holder ~= ARGV[1] then return false end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return tonumber(redis.call('GET', KEYS[2]) or redis.call('INCR', KEYS[2]))`);

/** KEYS lease. ARGV holder. */
export const releaseLease: Script = script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1`);

/** KEYS state. ARGV key, value, most keys. */
export const setValue: Script = script(`
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
  return ${OVER_LIMIT}
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1`);
