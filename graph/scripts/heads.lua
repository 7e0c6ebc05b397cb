#!lua name=neardup_heads_3

-- Image -> cluster -> head. One hash an image: cluster, version, run, seq, indexed; or, for an image that was not there,
-- an empty cluster and the seq of which that is true. One hash a cluster: head, seq. One hash for the position, with
-- the time up to which it is vouched for. Every hash but the position expires. A write carries its seq; an older one never
-- overwrites a newer.

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function newer(key, seq)
  local stored = redis.call('HGET', key, 'seq')
  return not stored or tonumber(stored) <= tonumber(seq)
end

local function remember(key, ttl, seq, ...)
  if newer(key, seq) then
    redis.call('HSET', key, 'seq', seq, ...)
    redis.call('EXPIRE', key, ttl)
  end
end

local function touch(key, ttl)
  if redis.call('TTL', key) < ttl / 2 then
    redis.call('EXPIRE', key, ttl)
  end
end

-- KEYS: position, then images. ARGV: cluster key prefix, ttl, longest time in ms since the vouched moment (0: any).
-- Answers -1 when nobody vouches; else for each image [cluster, head, version, run, seq, indexed], [''] when it is known not
-- to be decided, or [].
local function lookup(keys, args)
  local prefix, ttl, stale = args[1], tonumber(args[2]), tonumber(args[3])
  if stale > 0 then
    local vouched = redis.call('HGET', keys[1], 'vouched_ms')
    if not vouched or now_ms() - tonumber(vouched) > stale then
      return -1
    end
  end
  local heads, answers = {}, {}
  for i = 2, #keys do
    local key = keys[i]
    local answer = {}
    local image = redis.call('HMGET', key, 'cluster', 'version', 'run', 'seq', 'indexed')
    local cluster = image[1]
    if cluster == '' then
      answer = {''}
    elseif cluster then
      local head = heads[cluster]
      if head == nil then
        head = redis.call('HGET', prefix .. cluster, 'head')
        heads[cluster] = head
        if head then
          touch(prefix .. cluster, ttl)
        end
      end
      if head then
        touch(key, ttl)
        answer = {cluster, head, image[2], image[3], image[4], image[5]}
      end
    end
    answers[i - 1] = answer
  end
  return answers
end

-- KEYS: position, then image and cluster of each decision. ARGV: ttl, wanted applied seq, new position (3), then
-- cluster, head, version, run, seq, indexed of each decision. Answers -1, or the applied seq when that was not the wanted one.
local function apply(keys, args)
  local applied = tonumber(redis.call('HGET', keys[1], 'seq') or '0')
  if applied ~= tonumber(args[2]) then
    return applied
  end
  local ttl = args[1]
  for i = 0, (#keys - 1) / 2 - 1 do
    local at = 5 + 6 * i
    local cluster, head, version, run, seq, indexed = unpack(args, at + 1, at + 6)
    remember(keys[2 + 2 * i], ttl, seq, 'cluster', cluster, 'version', version, 'run', run, 'indexed', indexed)
    remember(keys[3 + 2 * i], ttl, seq, 'head', head)
  end
  redis.call('HSET', keys[1], 'seq', args[3], 'ledger_offset', args[4], 'proposal_offset', args[5])
  return -1
end

-- KEYS: position, then image and cluster of each placement, then the images that were not there. ARGV: ttl, ttl in ms of
-- those not there, seq at which all were read, number of placements, then cluster, head, version, run, seq, indexed of each
-- placement. Answers how many were taken.
local function fill(keys, args)
  local ttl, absent_ttl, read_at, count = args[1], args[2], args[3], tonumber(args[4])
  local applied = tonumber(redis.call('HGET', keys[1], 'seq') or '0')
  if applied > tonumber(read_at) then
    return 0
  end
  for i = 0, count - 1 do
    local at = 4 + 6 * i
    local cluster, head, version, run, seq, indexed = unpack(args, at + 1, at + 6)
    remember(keys[2 + 2 * i], ttl, seq, 'cluster', cluster, 'version', version, 'run', run, 'indexed', indexed)
    remember(keys[3 + 2 * i], ttl, read_at, 'head', head)
  end
  for i = 2 + 2 * count, #keys do
    if newer(keys[i], read_at) then
      redis.call('HSET', keys[i], 'seq', read_at, 'cluster', '')
      redis.call('PEXPIRE', keys[i], absent_ttl)
    end
  end
  return #keys - 1 - count
end

-- KEYS: position. ARGV: the seq that must have been applied, age in ms. Answers 1, or 0 when it has not.
local function vouch(keys, args)
  local applied = tonumber(redis.call('HGET', keys[1], 'seq') or '0')
  if applied < tonumber(args[1]) then
    return 0
  end
  redis.call('HSET', keys[1], 'vouched_ms', now_ms() - tonumber(args[2]))
  return 1
end

-- KEYS: position. ARGV: seq, ledger offset, proposal offset. Sets the position if there is none. Answers 1 or 0.
local function begin(keys, args)
  if redis.call('HEXISTS', keys[1], 'seq') == 1 then
    return 0
  end
  redis.call('HSET', keys[1], 'seq', args[1], 'ledger_offset', args[2], 'proposal_offset', args[3])
  return 1
end

redis.register_function('neardup_heads_3_lookup', lookup)
redis.register_function('neardup_heads_3_apply', apply)
redis.register_function('neardup_heads_3_fill', fill)
redis.register_function('neardup_heads_3_vouch', vouch)
redis.register_function('neardup_heads_3_begin', begin)
