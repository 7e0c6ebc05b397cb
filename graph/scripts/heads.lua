#!lua name=neardup_heads_3

-- Image -> segment -> root -> head. One hash an image: segment, version, run, seq, indexed; one hash a cluster: root (itself,
-- or the one it is a part of) with seq, and head with head_seq; one hash for the position. Every hash but the position
-- expires. A write carries its seq; an older one never overwrites a newer.

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

-- KEYS: images. ARGV: cluster key prefix, ttl. Answers for each image [segment, root, head, version, run, seq, indexed]
-- or [].
local function lookup(keys, args)
  local prefix, ttl = args[1], tonumber(args[2])
  local answers = {}
  for i, key in ipairs(keys) do
    answers[i] = {}
    local image = redis.call('HMGET', key, 'segment', 'version', 'run', 'seq', 'indexed')
    if image[1] then
      local segment_key = prefix .. image[1]
      local cluster = redis.call('HMGET', segment_key, 'root', 'head')
      local root, head = cluster[1], cluster[2]
      if root and root ~= image[1] then
        head = redis.call('HGET', prefix .. root, 'head')
      end
      if root and head then
        touch(key, ttl)
        touch(segment_key, ttl)
        touch(prefix .. root, ttl)
        answers[i] = {image[1], root, head, image[2], image[3], image[4], image[5]}
      end
    end
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
  end
}
local arguments = {image = 5, root = 1, head = 1, erase = 0}

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

redis.register_function('neardup_heads_3_lookup', lookup)
redis.register_function('neardup_heads_3_apply', apply)
redis.register_function('neardup_heads_3_fill', fill)
