-- Says that a patient is about to have an address, from a version of hers on.
-- Who has it already keeps her place; who is new comes last.
-- KEYS  1 at
-- ARGV  1 patient  2 version
-- returns 1: she was not there, 0: she was
local has = redis.call('HGET', KEYS[1], ARGV[1])
local place, version
if has then
  place, version = string.match(has, '^(%d+) (%d+)$')
  if tonumber(version) >= tonumber(ARGV[2]) then return 0 end
else
  local last = 0
  for _, other in ipairs(redis.call('HVALS', KEYS[1])) do
    last = math.max(last, tonumber(string.match(other, '^(%d+)')))
  end
  place = string.format('%.0f', last + 1)
end
redis.call('HSET', KEYS[1], ARGV[1], place .. ' ' .. ARGV[2])
return has and 0 or 1
