#!lua name=neardup_heads_2

-- Image -> cluster -> head. One hash an image: cluster, version, run, seq, indexed; one hash a cluster: head, seq; one hash for
-- the position. Every hash but the position expires. A write carries its seq; an older one never overwrites a newer.

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

-- KEYS: images. ARGV: cluster key prefix, ttl. Answers for each image [cluster, head, version, run, seq,
-- indexed] or [].
local function lookup(keys, args)
  local prefix, ttl = args[1], tonumber(args[2])
  local answers = {}
  for i, key in ipairs(keys) do
    answers[i] = {}
    local image = redis.call('HMGET', key, 'cluster', 'version', 'run', 'seq', 'indexed')
    if image[1] then
      local cluster_key = prefix .. image[1]
      local head = redis.call('HGET', cluster_key, 'head')
      if head then
        touch(key, ttl)
        touch(cluster_key, ttl)
        answers[i] = {image[1], head, image[2], image[3], image[4], image[5]}
      end
    end
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

-- KEYS: position, then image and cluster of each placement. ARGV: ttl, seq at which they were read, then cluster, head,
-- version, run, seq, indexed of each placement. Answers how many were taken.
local function fill(keys, args)
  local ttl, read_at = args[1], args[2]
  local applied = tonumber(redis.call('HGET', keys[1], 'seq') or '0')
  if applied > tonumber(read_at) then
    return 0
  end
  local count = (#keys - 1) / 2
  for i = 0, count - 1 do
    local at = 2 + 6 * i
    local cluster, head, version, run, seq, indexed = unpack(args, at + 1, at + 6)
    remember(keys[2 + 2 * i], ttl, seq, 'cluster', cluster, 'version', version, 'run', run, 'indexed', indexed)
    remember(keys[3 + 2 * i], ttl, read_at, 'head', head)
  end
  return count
end

redis.register_function('neardup_heads_2_lookup', lookup)
redis.register_function('neardup_heads_2_apply', apply)
redis.register_function('neardup_heads_2_fill', fill)
