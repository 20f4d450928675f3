-- Keeps a patient from committing under an old claim of an idempotency key, unless she has already.
-- KEYS  1 done
-- ARGV  1 key  2 generation of the claim
-- returns 1: barred, 0: the key is done
local done = redis.call('HGET', KEYS[1], ARGV[1])
if done == 'done' then return 0 end
if not done or tonumber(string.sub(done, 5)) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], 'bar ' .. ARGV[2])
end
return 1
