#!lua name=neardup_heads_4

-- Image -> segment -> root -> head. One hash an image: segment, version, run, seq, indexed; or, for an image that was not
-- there, an empty segment and the seq of which that is true. One hash a cluster: root (itself, or the one it is a part of)
-- with seq, and head with head_seq. One hash for the position, with the time up to which it is vouched for. Every hash but
-- the position expires. A write carries its seq; an older one never overwrites a newer.

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function newer(key, field, seq)
  local stored = redis.call('HGET', key, field)
  return not stored or tonumber(stored) <= tonumber(seq)
end

local function put(key, ttl, field, seq, ...)
  if newer(key, field, seq) then
    redis.call('HSET', key, field, seq, ...)
    redis.call('EXPIRE', key, ttl)
  end
end

local function touch(key, ttl)
  if redis.call('TTL', key) < ttl / 2 then
    redis.call('EXPIRE', key, ttl)
  end
end

-- KEYS: position, then images. ARGV: cluster key prefix, ttl, longest time in ms since the vouched moment (0: any).
-- Answers -1 when nobody vouches; else for each image [segment, root, head, version, run, seq, indexed] in one text,
-- separated by tabs (which no id contains), '-' when it is known not to be decided, or ''.
local function lookup(keys, args)
  local prefix, ttl, stale = args[1], tonumber(args[2]), tonumber(args[3])
  if stale > 0 then
    local vouched = redis.call('HGET', keys[1], 'vouched_ms')
    if not vouched or now_ms() - tonumber(vouched) > stale then
      return -1
    end
  end
  -- Images of one cluster are often asked for together: each cluster is read once.
  local clusters = {}
  local function cluster_of(id)
    local cluster = clusters[id]
    if not cluster then
      cluster = redis.call('HMGET', prefix .. id, 'root', 'head')
      clusters[id] = cluster
      if cluster[1] then
        touch(prefix .. id, ttl)
      end
    end
    return cluster
  end
  local answers = {}
  for i = 2, #keys do
    local answer = ''
    local image = redis.call('HMGET', keys[i], 'segment', 'version', 'run', 'seq', 'indexed')
    local segment = image[1]
    if segment == '' then
      answer = '-'
    elseif segment then
      local root = cluster_of(segment)[1]
      local head = root and cluster_of(root)[2]
      if head then
        touch(keys[i], ttl)
        answer = table.concat({segment, root, head, image[2], image[3], image[4], image[5]}, '\t')
      end
    end
    answers[i - 1] = answer
  end
  return answers
end

-- What a write consists of; each takes its keys and arguments from the lists, behind the seq that it carries.
local writes = {
  -- keys: image. arguments: segment, version, run, seq of its decision, indexed
  image = function(key, ttl, _, segment, version, run, seq, indexed)
    put(key, ttl, 'seq', seq, 'segment', segment, 'version', version, 'run', run, 'indexed', indexed)
  end,
  -- keys: cluster. arguments: the root it is read through
  root = function(key, ttl, seq, root)
    put(key, ttl, 'seq', seq, 'root', root)
  end,
  -- keys: cluster. arguments: its head
  head = function(key, ttl, seq, head)
    put(key, ttl, 'head_seq', seq, 'head', head)
  end,
  -- keys: image
  erase = function(key)
    redis.call('DEL', key)
  end,
  -- keys: image. arguments: its life in ms
  absent = function(key, _, seq, absent_ttl)
    if newer(key, 'seq', seq) then
      redis.call('HSET', key, 'seq', seq, 'segment', '')
      redis.call('PEXPIRE', key, absent_ttl)
    end
  end
}
local arguments = {image = 5, root = 1, head = 1, erase = 0, absent = 1}

-- Does all writes: for the i-th key, args from `at` on hold its kind, its seq and its arguments.
local function write(keys, args, at, ttl)
  for i = 2, #keys do
    local kind, seq = args[at], args[at + 1]
    local count = arguments[kind]
    writes[kind](keys[i], ttl, seq, unpack(args, at + 2, at + 1 + count))
    at = at + 2 + count
  end
end

-- KEYS: position, then one for each write. ARGV: ttl, wanted applied seq, new position (3), then the writes. Answers -1, or
-- the applied seq when that was not the wanted one.
local function apply(keys, args)
  local applied = tonumber(redis.call('HGET', keys[1], 'seq') or '0')
  if applied ~= tonumber(args[2]) then
    return applied
  end
  write(keys, args, 6, args[1])
  redis.call('HSET', keys[1], 'seq', args[3], 'ledger_offset', args[4], 'proposal_offset', args[5])
  return -1
end

-- KEYS: position, then one for each write. ARGV: ttl, seq at which was read what is written, then the writes. Answers 1, or
-- 0 when more than that has been applied.
local function fill(keys, args)
  local applied = tonumber(redis.call('HGET', keys[1], 'seq') or '0')
  if applied > tonumber(args[2]) then
    return 0
  end
  write(keys, args, 3, args[1])
  return 1
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

redis.register_function('neardup_heads_4_lookup', lookup)
redis.register_function('neardup_heads_4_apply', apply)
redis.register_function('neardup_heads_4_fill', fill)
redis.register_function('neardup_heads_4_vouch', vouch)
redis.register_function('neardup_heads_4_begin', begin)
