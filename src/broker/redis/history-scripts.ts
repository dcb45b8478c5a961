import { createScript } from './scripts.ts';

// The history in Redis: a hash with the state of all channels and one list a channel. `HISTORY=redis` needs one master,
// never a Redis Cluster, so the names of lists may be made inside the scripts.
//
// A position is EPOCH.NUMBER, the number in microseconds. An entry of a list is `NUMBER MESSAGE`. Scripts judge by the
// clock and the settings of Redis alone: those of the nodes may differ.

/**
 * What every script begins with. KEYS[1]: the state. ARGV[1..4]: an epoch in case a new one begins, which nobody has
 * used before; how many messages a channel keeps, and for how many microseconds, in case the state has to be made;
 * what all names begin with.
 *
 * State: `epoch`; `clock`, the highest number that was given; `messages` and `age`, the limits of all lists; `master`,
 * which Redis it is of; `guarded`, when the guard was set.
 */
const HEAD = `
local KEY, PREFIX = KEYS[1], ARGV[4]
local GUARD = KEY .. ':guard'
local t = redis.call('TIME')
local time = t[1] * 1000000 + t[2]
local state = redis.call('HMGET', KEY, 'epoch', 'clock', 'messages', 'age', 'master')
local epoch, clock, messages, age, master =
  state[1], tonumber(state[2]), tonumber(state[3]), tonumber(state[4]), state[5]

local function digits(number) return string.format('%.0f', number) end

-- Tells a restart and a failover, also one that kept the connections, and the loss of keys to make room.
local function identity()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') .. '/' ..
    string.match(redis.call('INFO', 'stats'), 'evicted_keys:(%d+)')
end

-- The names of lists contain the epoch: those of an earlier one are never read again, and expire.
local function begin(newMessages, newAge)
  epoch, clock, messages, age, master = ARGV[1], time, tonumber(newMessages), tonumber(newAge), identity()
  redis.call('HSET', KEY, 'epoch', epoch, 'clock', digits(clock),
    'messages', digits(messages), 'age', digits(age), 'master', master)
  redis.call('HDEL', KEY, 'guarded')
end

local function listOf(topic)
  return PREFIX .. 'history:' .. epoch .. ':' .. string.sub(topic, #PREFIX + 1)
end

if not epoch then
  begin(ARGV[2], ARGV[3])
elseif time < clock - 1000000 then
  -- Positions would stand still while keys go on expiring, and a list that has expired would look like one that never was.
  begin(messages, age)
end
`;

/**
 * What scripts do that judge or promise something. The guard lives shorter than any list that counts. If it is gone
 * too early, the clock of Redis went forward and back again, and lists may be gone as well.
 */
const CHECK = `
local guarded = tonumber(redis.call('HGET', KEY, 'guarded'))
local isGuardLost = guarded and time - guarded < 4000000 and redis.call('EXISTS', GUARD) == 0
if isGuardLost or master ~= identity() then begin(messages, age) end
`;

const SET_GUARD = `
redis.call('SET', GUARD, '1', 'PX', 5000)
redis.call('HSET', KEY, 'guarded', digits(time))
`;

/**
 * A command that is forbidden must be noticed here: in the middle of a script it would leave half of a batch. It begins
 * with a write that needs no memory, so that Redis refuses nothing of this script when it has none: the node comes up,
 * and only broadcasts are refused.
 */
const TRY_COMMANDS = `
local trial = KEYS[1] .. ':trial'
redis.call('LPOP', trial)
redis.call('RPUSH', trial, '1')
redis.call('LPOP', trial)
redis.call('LTRIM', trial, 0, -1)
redis.call('LINDEX', trial, 0)
redis.call('LRANGE', trial, 0, -1)
redis.call('LLEN', trial)
redis.call('PEXPIRE', trial, 1)
`;

/**
 * The first script of a connection: until it has been answered, nothing else may run on it. Begins a new epoch if the
 * node's settings are not those of the state. Returns which Redis this is.
 */
export const OPEN_HISTORY = createScript(`${TRY_COMMANDS}${HEAD}${CHECK}
if messages ~= tonumber(ARGV[2]) or age ~= tonumber(ARGV[3]) then begin(ARGV[2], ARGV[3]) end
${SET_GUARD}
return master
`);

/**
 * Publishes the position of now to a node, `t POSITION`. ARGV[5]: its topic. Returns which Redis this is, so that the
 * node finds out that its connections lead to another master.
 */
export const TICK = createScript(`${HEAD}${CHECK}
clock = math.max(time, clock)
redis.call('HSET', KEY, 'clock', digits(clock))
${SET_GUARD}
redis.call('PUBLISH', ARGV[5], 't ' .. epoch .. '.' .. digits(clock))
return master
`);

/**
 * Publishes a batch in one step and keeps it. Returns to how many nodes its texts were handed, added up, and the last
 * position; nothing when the `jti` was known.
 *
 * KEYS[2]: of the `jti`, absent without one. ARGV[5..7]: the head of every text, the milliseconds that the `jti` is
 * kept, the number of texts. Then the texts, and for each topic its name, the number of its text, and `1` if it is kept.
 */
export const PUBLISH_AND_KEEP = createScript(`${HEAD}
if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 1 then return false end
local first = 8 + tonumber(ARGV[7])
local position = math.max(time, clock + 1)
-- Redis refuses for memory only the first write of a script. The clock is the first, so all is refused or nothing.
redis.call('HSET', KEY, 'clock', digits(position + (#ARGV - first + 1) / 3 - 1))
if KEYS[2] then redis.call('SET', KEYS[2], '', 'PX', ARGV[6]) end

local function keep(list, entry)
  local length = redis.call('RPUSH', list, entry)
  -- One more than may be sent: a list that is not longer than the limit was never trimmed.
  if length > messages + 1 then redis.call('LTRIM', list, -(messages + 1), -1) end
  -- A few with every push: no list keeps what is old for long, and no push takes long.
  for _ = 1, math.min(length - 1, 16) do
    local oldest = redis.call('LINDEX', list, 0)
    if tonumber(string.match(oldest, '^%d+')) >= position - age then break end
    redis.call('LPOP', list)
  end
  -- Longer than it counts: the clock of Redis may be a second behind the positions.
  redis.call('PEXPIRE', list, digits(age / 1000 + 5000))
end

local reached = 0
for at = first, #ARGV, 3 do
  local topic, message, place = ARGV[at], ARGV[8 + tonumber(ARGV[at + 1])], digits(position)
  -- The sign tells that the node keeps a history, also behind what is not kept.
  local head = ARGV[5] .. ':' .. (at - first) / 3 .. '@'
  if ARGV[at + 2] == '1' then
    keep(listOf(topic), place .. ' ' .. message)
    head = head .. epoch .. '.' .. place
  end
  reached = reached + redis.call('PUBLISH', topic, head .. ' ' .. message)
  position = position + 1
end
return {reached, epoch .. '.' .. digits(position - 1)}
`);

/**
 * Publishes to a node what was missed: for each message `r REQUEST INDEX NUMBER MESSAGE`, with the index of its topic,
 * then `d REQUEST POSITION VERDICTS` with the position of now. A verdict is the number of messages that were missed,
 * or why that is not known. What is published to any topic afterwards comes behind it. Returns which Redis this is.
 *
 * ARGV[5..10]: the node's topic, the number of the request, epoch and number of the position that the client came to, how
 * many messages and bytes of them are sent at most. Then the topics.
 */
export const RECOVER = createScript(`${HEAD}${CHECK}
local now = math.max(time, clock)
redis.call('HSET', KEY, 'clock', digits(now))
local seen, room, bytesLeft = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

local function placeOf(entry) return tonumber(string.match(entry, '^%d+')) end

-- The entries behind "seen", newest first, or why not all of them can be sent.
local function readMissed(list, length)
  local missed, bytes, read, chunk = {}, 0, 0, 4
  while read < length do
    local entries = redis.call('LRANGE', list, -(read + chunk), -(read + 1))
    for at = #entries, 1, -1 do
      local entry = entries[at]
      local place = placeOf(entry)
      if place <= seen then return missed, bytes end
      missed[#missed + 1] = entry
      bytes = bytes + #entry - string.find(entry, ' ', 1, true)
      if #missed > room or bytes > bytesLeft then return 'limit' end
      if place < now - age then return 'age' end
    end
    read = read + #entries
    -- Bounded, because messages may be large.
    chunk = math.min(chunk * 2, 64)
  end
  return missed, bytes
end

local function recover(index, topic)
  local list = listOf(topic)
  local length = redis.call('LLEN', list)
  -- What was published since would still be in the list, had it been older than that.
  if length == 0 then return seen >= now - age and 0 or 'age' end
  local newest = placeOf(redis.call('LINDEX', list, -1))
  if newest <= seen then return 0 end
  if placeOf(redis.call('LINDEX', list, 0)) > seen then
    if length > messages then return 'messages' end
    -- Whatever left the list by age was older than that when the newest entry came.
    if seen < newest - age then return 'age' end
  end
  local missed, bytes = readMissed(list, length)
  if type(missed) == 'string' then return missed end
  room, bytesLeft = room - #missed, bytesLeft - bytes
  for at = #missed, 1, -1 do
    redis.call('PUBLISH', ARGV[5], 'r ' .. ARGV[6] .. ' ' .. index .. ' ' .. missed[at])
  end
  return #missed
end

local verdicts = {}
for at = 11, #ARGV do
  local verdict
  if ARGV[7] ~= epoch then verdict = 'epoch'
  elseif seen > now then verdict = 'future'
  else verdict = recover(at - 11, ARGV[at]) end
  verdicts[#verdicts + 1] = verdict
end
redis.call('PUBLISH', ARGV[5],
  'd ' .. ARGV[6] .. ' ' .. epoch .. '.' .. digits(now) .. ' ' .. table.concat(verdicts, ','))
return master
`);
