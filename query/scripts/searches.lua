#!lua name=neardup_searches_1

-- Permits to search, in lanes. A lane is one list, oldest first. An entry is "time total": the microsecond of a grant by
-- this server's clock, and all searches granted up to and with it. The first entry has left the window and is kept as the
-- base: searches in the window = total of the last - total of the first. The list alone is the state: it cannot be half
-- lost. Change a function's meaning only together with the number in the name of the library.

local KEPT_MS = 60000
local PARTS = 8
local LONGEST_HOLD = 60 * 1000000

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function parse(stored)
  local time, total = string.match(stored, '(%d+) (%d+)')
  return tonumber(time), tonumber(total)
end

local function entry(log, index)
  local stored = redis.call('LINDEX', log, index)
  if stored then
    return parse(stored)
  end
end

local function push(log, time, total)
  redis.call('RPUSH', log, string.format('%.0f %.0f', time, total))
end

-- Microseconds until this server has run for `notice`: until then it may have forgotten what it granted before a restart,
-- and processes may still live on their static shares. The uptime is in whole seconds, up to one too many.
local function starting(notice)
  local uptime = tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)'))
  return notice + 1000000 - uptime * 1000000
end

-- The time until which nothing is granted.
local function held_until(hold, time)
  local held = tonumber(redis.call('GET', hold) or '0')
  -- Farther away than any hold: the clock was set back meanwhile.
  return held > time + LONGEST_HOLD and 0 or held
end

-- Removes what has left the window, all but the base. Answers the total of the last entry.
local function advance(log, time, window)
  local last, total = entry(log, -1)
  if not last or last <= time - window then
    redis.call('DEL', log)
    push(log, 0, 0)
    return 0
  end
  if last > time then
    -- The clock was set back. What is in the list counts as if it were granted now.
    local _, base = entry(log, 0)
    redis.call('DEL', log)
    push(log, 0, base)
    push(log, time, total)
    return total
  end
  while entry(log, 1) <= time - window do
    redis.call('LPOP', log)
  end
  return total
end

-- Microseconds until `wanted` more would be at most `limit` within any `span`; not above 0 when they are now.
local function until_room(log, total, time, span, limit, wanted)
  if wanted > limit then
    return span
  end
  -- The first entry after whose leaving there is room, by bisection.
  local low, high = 0, redis.call('LLEN', log) - 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local _, upto = entry(log, middle)
    if total - upto + wanted <= limit then
      high = middle
    else
      low = middle + 1
    end
  end
  return entry(log, low) + span - time
end

-- A queue is a list of places "name searches until"; a place is kept for its owner until then. Answers the searches of all
-- who are before `name`, and the index of its own place, if it has one.
local function ahead_of(name, queue, time)
  local ahead, index = 0, 0
  for _, stored in ipairs(redis.call('LRANGE', queue, 0, -1)) do
    local owner, searches, until_then = string.match(stored, '(%S+) (%d+) (%d+)')
    if owner == name then
      return ahead, index
    elseif tonumber(until_then) <= time then
      redis.call('LREM', queue, 1, stored)
    else
      ahead, index = ahead + tonumber(searches), index + 1
    end
  end
  return ahead
end

-- KEYS: log of the lane, hold, queue of the lane. ARGV: limit, searches, window, notice, grace (in microseconds), name or
-- ''. Answers 0 when all of the searches are granted; else none is, and the answer is the microseconds after which there
-- is room for them. Who has a name and is refused has a place from then on, before all who come later; and those with a
-- name are spread over the window, or the fastest of them would take all that becomes free at once.
local function acquire(keys, args)
  local log, queue = keys[1], keys[3]
  local limit, searches, window = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
  local grace, name = tonumber(args[5]), args[6]
  local time = now()
  local wait = math.max(held_until(keys[2], time) - time, starting(tonumber(args[4])))
  if wait > 0 then
    return wait
  end
  local total = advance(log, time, window)
  redis.call('PEXPIRE', log, KEPT_MS)
  local ahead, place = 0, nil
  if name ~= '' then
    ahead, place = ahead_of(name, queue, time)
    wait = until_room(log, total, time, window / PARTS, math.ceil(limit / PARTS), ahead + 1)
  end
  wait = math.max(wait, until_room(log, total, time, window, limit, ahead + searches))
  if wait <= 0 then
    push(log, time, total + searches)
    if place then
      redis.call('LREM', queue, 1, redis.call('LINDEX', queue, place))
    end
    return 0
  end
  if name ~= '' then
    local mine = string.format('%s %d %.0f', name, searches, time + wait + grace)
    if place then
      redis.call('LSET', queue, place, mine)
    else
      redis.call('RPUSH', queue, mine)
    end
    redis.call('PEXPIRE', queue, KEPT_MS)
  end
  return math.ceil(wait)
end

-- KEYS: hold, logs. ARGV: microseconds for the first who comes back, and for those who come while it is held. Nothing is
-- granted until then. Not held when there was a grant in the last second: so this server was not away from everybody.
local function hold(keys, args)
  local time = now()
  local held = held_until(keys[1], time)
  local until_then = time + tonumber(args[1])
  if held > time then
    until_then = math.max(held, time + tonumber(args[2]))
  else
    for i = 2, #keys do
      local last = entry(keys[i], -1)
      if last and last > time - 1000000 then
        return 0
      end
    end
  end
  redis.call('SET', keys[1], string.format('%.0f', until_then), 'PX', KEPT_MS)
  return until_then - time
end

-- KEYS: logs. Answers the searches granted in the last second, one number a log.
local function used(keys, args)
  local since = now() - 1000000
  local counts = {}
  for i, log in ipairs(keys) do
    local before, total = 0, 0
    for _, stored in ipairs(redis.call('LRANGE', log, 0, -1)) do
      local granted, upto = parse(stored)
      if granted <= since then
        before = upto
      end
      total = upto
    end
    counts[i] = total - before
  end
  return counts
end

redis.register_function('neardup_searches_1_acquire', acquire)
redis.register_function('neardup_searches_1_hold', hold)
redis.register_function{function_name = 'neardup_searches_1_used', callback = used, flags = {'no-writes'}}
