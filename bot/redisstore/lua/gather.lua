-- Appends entries of the slots to the one audit log, each once: what is not
-- above its slot's mark is there already.
-- KEYS  1 gathered  2 log, the chunk that is being filled  3 log, the next chunk
-- ARGV  1 how many entries the log has, as the caller knows it  2 size of a chunk
--       then slot, SEQ, JSON of each, of one slot in order
-- returns how many the log has, or -1: it has another number than the caller knows
local n, size = tonumber(redis.call('HGET', KEYS[1], 'n') or '0'), tonumber(ARGV[2])
if n ~= tonumber(ARGV[1]) then return -1 end
local chunk = math.floor(n / size)
local marks = {}
for i = 3, #ARGV, 3 do
  local slot, seq = ARGV[i], tonumber(ARGV[i + 1])
  local mark = marks[slot] or tonumber(redis.call('HGET', KEYS[1], slot) or '0')
  if seq > mark then
    redis.call('RPUSH', KEYS[2 + math.floor(n / size) - chunk], ARGV[i + 2])
    n, mark = n + 1, seq
  end
  marks[slot] = mark
end
for slot, mark in pairs(marks) do redis.call('HSET', KEYS[1], slot, string.format('%.0f', mark)) end
redis.call('HSET', KEYS[1], 'n', string.format('%.0f', n))
return n
