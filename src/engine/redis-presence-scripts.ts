// The steps of presence in Redis, as Lua: who is there, and the entries of the stream that tell of it, change together. A list is a
// hash (`owner turn user`, the user as JSON, and on the next line the entry of the leave) and a sorted set of ends. All may be repeated.
import { OVER_LIMIT, type Script, script } from './redis-scripts.ts';
import { APPENDING } from './redis-stream-scripts.ts';
import { streamLimits } from './streams.ts';

/** Whose turn is before whose; a turn is `owner turn ...`. */
const TURNS = `
local function before(one, other)
  local owner, turn = string.match(one, '^(%d+) (%d+)')
  local owner2, turn2 = string.match(other, '^(%d+) (%d+)')
  owner, turn, owner2, turn2 = tonumber(owner), tonumber(turn), tonumber(owner2), tonumber(turn2)
  return owner < owner2 or (owner == owner2 and turn < turn2)
end`;

const GONE = `
local function tell(client, known)
  redis.call('HDEL', KEYS[3], client)
  redis.call('ZREM', KEYS[4], client)
  if known then add(string.match(known, '\\n(.*)$')) end
end`;

const LAPSE = `
local over = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, ${streamLimits.lapsedPerCall})
for _, client in ipairs(over) do tell(client, redis.call('HGET', KEYS[3], client)) end`;

/**
 * KEYS stream, entries, members, ends, gone (who left not long ago: a repeat would bring it back). ARGV as all that append, client,
 * member, joined, ttlMs, ms to keep the list. Answers 1 when it was told now.
 */
export const enter: Script = script(`${APPENDING}${TURNS}
local known, gone = redis.call('HGET', KEYS[3], ARGV[5]), redis.call('GET', KEYS[5])
if known and before(ARGV[6], known) or gone and not before(gone, ARGV[6]) then return 0 end
if not known and redis.call('HLEN', KEYS[3]) >= ${streamLimits.presentPerStream} then return ${OVER_LIMIT} end
redis.call('HSET', KEYS[3], ARGV[5], ARGV[6])
redis.call('ZADD', KEYS[4], now + ARGV[8], ARGV[5])
keep(KEYS[3], tonumber(ARGV[9]))
keep(KEYS[4], tonumber(ARGV[9]))
if known then return 0 end
add(ARGV[7])
return 1`);

/** KEYS as `enter`. ARGV as all that append, client, turn. Answers 1 when it was told now. */
export const leave: Script = script(`${APPENDING}${TURNS}${GONE}
local known, gone = redis.call('HGET', KEYS[3], ARGV[5]), redis.call('GET', KEYS[5])
if known and before(ARGV[6], known) then return 0 end
if not gone or before(gone, ARGV[6]) then redis.call('SET', KEYS[5], ARGV[6], 'PX', ${streamLimits.idMs}) end
if not known then return 0 end
tell(ARGV[5], known)
return 1`);

/** KEYS stream, entries, members, ends. ARGV as all that append. Answers {client, user, client, user, ...}, users as JSON. */
export const present: Script = script(`${APPENDING}${GONE}${LAPSE}
local answer = {}
for _, client in ipairs(redis.call('ZRANGE', KEYS[4], 0, ${streamLimits.namesPerCall - 1})) do
  answer[#answer + 1] = client
  answer[#answer + 1] = string.match(redis.call('HGET', KEYS[3], client) or '', '^%d+ %d+ ([^\\n]*)') or 'null'
end
return answer`);

/** KEYS and ARGV as `present`. Answers how many it were. */
export const lapse: Script = script(`${APPENDING}${GONE}${LAPSE}
return #over`);
