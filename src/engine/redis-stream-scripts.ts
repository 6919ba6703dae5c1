// The steps of `Streams` that must be atomic in Redis, as Lua. All may be repeated. A stream is a hash (its top and its epochs,
// `name:first;name:first`) and a list of entries (`time data`), whose last one is the top; a session is a hash (owner and the
// like, and `n:STREAM` for the last number) and a hash of replies.
import { OVER_LIMIT, type Script, script } from './redis-scripts.ts';
import { streamLimits } from './streams.ts';

/** What begins the field of a session for its last number on a stream. */
export const NUMBER_FIELD = 'n:';
/** Fields of a session that are no numbers. */
const SESSION_FIELDS = 7;

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/**
 * `history` names the server's line of writes: it is a new one after every start and every promotion, and known only to the
 * server itself, since connections survive a promotion. `turned` opens an epoch where the last one is of another line; reads do so
 * too, so that where a gap leads to is never taken for a place of the epoch that lost writes. Two epochs never have the same moment.
 * `keep` keeps a key a quarter longer than it must, so that most writes need not touch its time.
 */
const EPOCHS = `${NOW}
local history
local function turned(key, top, epochs)
  history = history or string.sub(string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)'), 1, 12)
  local epoch = epochs and string.match(epochs, '([^;]+):%d+$')
  if epoch and string.sub(epoch, 1, 12) == history then return epochs, epoch end
  epoch = history .. string.format('%x', time[1] * 1000000 + time[2])
  epochs = (epochs and epochs .. ';' or '') .. epoch .. ':' .. (top + 1)
  local _, count = string.gsub(epochs, ';', ';')
  if count >= ${streamLimits.epochsPerStream} then epochs = string.gsub(epochs, '^[^;]*;', '') end
  redis.call('HSET', key, 'top', top, 'epochs', epochs)
  return epochs, epoch
end
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, math.ceil(ms * 1.25)) end
end
local function made(key, ms)
  local known = redis.call('HMGET', key, 'top', 'epochs')
  local top = tonumber(known[1] or 0)
  local epochs = turned(key, top, known[2])
  keep(key, ms)
  return top, epochs
end`;

export const Append = { appended: 0, repeat: 1, hole: 2, fenced: 3 } as const;

/**
 * Appends to the stream that is the first two KEYS (stream, entries), as the first ARGV say: channel, most entries, ageMs, ms to keep
 * the stream. All scripts that append begin with these.
 */
export const APPENDING: string = `${EPOCHS}
local function add(data)
  local known = redis.call('HMGET', KEYS[1], 'top', 'epochs')
  local offset = tonumber(known[1] or 0) + 1
  local _, epoch = turned(KEYS[1], offset - 1, known[2])
  redis.call('HSET', KEYS[1], 'top', offset)
  if offset == 1 then redis.call('DEL', KEYS[2]) end
  local length = redis.call('RPUSH', KEYS[2], now .. ' ' .. data)
  if length > tonumber(ARGV[2]) then redis.call('LTRIM', KEYS[2], -ARGV[2], -1) end
  for _ = 1, 16 do
    local oldest = redis.call('LINDEX', KEYS[2], 0)
    if now - tonumber(string.match(oldest, '^%d+')) < tonumber(ARGV[3]) then break end
    redis.call('LPOP', KEYS[2])
  end
  keep(KEYS[2], tonumber(ARGV[3]))
  keep(KEYS[1], tonumber(ARGV[4]))
  redis.call('PUBLISH', ARGV[1], offset .. ' ' .. epoch .. ' ' .. data)
  return offset, epoch
end`;

/**
 * KEYS stream, entries, session or id. ARGV as all that append, data, owner ('' for an id), number, number field. Answers {kind, ...}:
 * {0, offset, epoch}, {1}, {2, expected}, {3}, or OVER_LIMIT.
 */
export const append: Script = script(`${APPENDING}
if ARGV[6] == '' then
  if not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ${streamLimits.idMs}) then return {${Append.repeat}} end
else
  local known = redis.call('HMGET', KEYS[3], 'owner', ARGV[8])
  local last, number = tonumber(known[2] or 0), tonumber(ARGV[7])
  if known[1] ~= ARGV[6] then return {${Append.fenced}} end
  if not known[2] and redis.call('HLEN', KEYS[3]) >= ${streamLimits.numbersPerSession + SESSION_FIELDS} then return ${OVER_LIMIT} end
  if number <= last then return {${Append.repeat}} end
  if number > last + 1 then return {${Append.hole}, last + 1} end
  redis.call('HSET', KEYS[3], ARGV[8], number)
end
local offset, epoch = add(ARGV[5])
return {${Append.appended}, offset, epoch}`);

/**
 * KEYS stream, entries. ARGV epoch, offset, history ('' for after a position), most entries. Answers {top, epochs} for a gap,
 * {top, epochs, offset of the first entry, entries...} for a page.
 */
export const read: Script = script(`${EPOCHS}
local top, epochs = made(KEYS[1], ${streamLimits.readMs})
local oldest = top - math.min(redis.call('LLEN', KEYS[2]), top) + 1
local from
if ARGV[3] ~= '' then
  from = math.max(oldest, top - tonumber(ARGV[3]) + 1)
else
  from = tonumber(ARGV[2]) + 1
  local last
  for name, first in string.gmatch(epochs, '([^:;]+):(%d+)') do
    if last then last = tonumber(first) - 1 break end
    if name == ARGV[1] then last = top end
  end
  if not last or from - 1 > last or from < oldest then return {top, epochs} end
end
local answer, bytes, most = {top, epochs, from}, 0, tonumber(ARGV[4]) + 3
local at = from
while at <= top and #answer < most and bytes < ${streamLimits.pageBytes} do
  local chunk = redis.call('LRANGE', KEYS[2], at - oldest, at - oldest + 31)
  for _, entry in ipairs(chunk) do
    if #answer < most and bytes < ${streamLimits.pageBytes} then
      answer[#answer + 1] = string.match(entry, ' (.*)$')
      bytes = bytes + #entry
    end
  end
  at = at + 32
end
return answer`);

/** KEYS streams. ARGV ms to keep them. Answers {epoch, top, epoch, top, ...}. */
export const tops: Script = script(`${EPOCHS}
local answer = {}
for i, key in ipairs(KEYS) do
  local top, epochs = made(key, tonumber(ARGV[1]))
  answer[2 * i - 1] = string.match(epochs, '([^;]+):%d+$')
  answer[2 * i] = top
end
return answer`);

export const Claim = { claimed: 0, unknown: 1, foreign: 2, stale: 3, spent: 4 } as const;

/**
 * An owner epoch is the time in microseconds, or one more than the last: it grows also for a session that is made again, or that a
 * failover set back. KEYS session, replies. ARGV instance, link, user, node, ticket ('' for none), create ('' for no), ttlMs.
 * Answers {kind} or {0, owner, before, made, field, value, ...}.
 */
export const claim: Script = script(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known = redis.call('HMGET', KEYS[1], 'owner', 'instance', 'link', 'user', 'node', 'before', 'madeBy')
local owner, before, made = now, '', 1
if not known[1] then
  if ARGV[6] == '' or ARGV[5] ~= '' then return {${Claim.unknown}} end
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'instance', ARGV[1], 'user', ARGV[3], 'madeBy', ARGV[2])
else
  if known[2] ~= ARGV[1] or known[4] ~= ARGV[3] then return {${Claim.foreign}} end
  if tonumber(ARGV[2]) < tonumber(known[3]) then return {${Claim.stale}} end
  local again = ARGV[2] == known[3] and ARGV[4] == known[5]
  if not again and ARGV[5] ~= '' and ARGV[5] ~= known[1] then return {${Claim.spent}} end
  owner = math.max(now, known[1] + 1)
  before = again and known[6] or known[5]
  made = known[7] == ARGV[2] and 1 or 0
end
redis.call('HSET', KEYS[1], 'owner', owner, 'link', ARGV[2], 'node', ARGV[4], 'before', before)
redis.call('PEXPIRE', KEYS[1], ARGV[7])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
local answer = redis.call('HGETALL', KEYS[1])
return {${Claim.claimed}, owner, before, made, unpack(answer)}`);

/** KEYS session, replies, session, replies, ... ARGV ttlMs, owners. Answers the places of those that were lost, from 1. */
export const keepSessions: Script = script(`
local lost = {}
for i = 2, #ARGV do
  local session = KEYS[2 * i - 3]
  if redis.call('HGET', session, 'owner') == ARGV[i] then
    redis.call('PEXPIRE', session, ARGV[1])
    redis.call('PEXPIRE', KEYS[2 * i - 2], ARGV[1])
  else
    lost[#lost + 1] = i - 1
  end
end
return lost`);

/** KEYS session, replies. ARGV owner. */
export const endSession: Script = script(`
if redis.call('HGET', KEYS[1], 'owner') == ARGV[1] then redis.call('DEL', KEYS[1], KEYS[2]) end
return 1`);

/** KEYS session. ARGV owner, number field, from, to. Answers as `append` does; what is done counts as a repeat. */
export const skipNumbers: Script = script(`
local known = redis.call('HMGET', KEYS[1], 'owner', ARGV[2])
if known[1] ~= ARGV[1] then return {${Append.fenced}} end
local last = tonumber(known[2] or 0)
if not known[2] and redis.call('HLEN', KEYS[1]) >= ${streamLimits.numbersPerSession + SESSION_FIELDS} then return ${OVER_LIMIT} end
if last < tonumber(ARGV[3]) - 1 then return {${Append.hole}, last + 1} end
if tonumber(ARGV[4]) <= last then return {${Append.repeat}} end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
return {${Append.repeat}}`);

/** KEYS session, replies. ARGV owner, number, settled, data. Answers 0 when fenced. */
export const saveReply: Script = script(`
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
local number, settled = tonumber(ARGV[2]), tonumber(ARGV[3])
if number > settled then redis.call('HSET', KEYS[2], ARGV[2], ARGV[4]) end
local least, count = math.huge, 0
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if tonumber(field) <= settled then
    redis.call('HDEL', KEYS[2], field)
  else
    count = count + 1
    least = math.min(least, tonumber(field))
  end
end
if count > ${streamLimits.repliesPerSession} then redis.call('HDEL', KEYS[2], string.format('%.0f', least)) end
redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1]))
return 1`);

/** KEYS replies. ARGV number. */
export const findReply: Script = script(`return redis.call('HGET', KEYS[1], ARGV[1])`);
