-- Takes a patient from an address that she had until a version of hers. If a
-- later version has it again, or is about to, it stays.
-- KEYS  1 at
-- ARGV  1 patient  2 the version that no longer has it
-- returns how many were removed
local has = redis.call('HGET', KEYS[1], ARGV[1])
if not has or tonumber(string.match(has, ' (%d+)$')) > tonumber(ARGV[2]) then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
