-- Writes what is kept of a patient anew, if all is still as the caller has read it.
-- KEYS  what is read and written, of one slot
-- ARGV  1 how many guards follow: the place of a key in KEYS, a field of it or '': it is a string, what is there
--       then of each command: its name, the place of its key in KEYS, how many
--       arguments follow, and those
-- returns 1: written, 0: something is another by now
local i = 2
for _ = 1, tonumber(ARGV[1]) do
  local key, is = KEYS[tonumber(ARGV[i])], nil
  if ARGV[i + 1] == '' then is = redis.call('GET', key) else is = redis.call('HGET', key, ARGV[i + 1]) end
  if is ~= ARGV[i + 2] then return 0 end
  i = i + 3
end
while i <= #ARGV do
  local n = tonumber(ARGV[i + 2])
  redis.call(ARGV[i], KEYS[tonumber(ARGV[i + 1])], unpack(ARGV, i + 3, i + 2 + n))
  i = i + 3 + n
end
return 1
