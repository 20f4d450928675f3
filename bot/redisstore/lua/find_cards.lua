-- Finds whom in a slot an index member begins for, and each of some further ones,
-- with their cards: the caller opens them and sees who is meant.
-- KEYS  1 index  2 cards
-- ARGV  1 what her first member is, up to her id  2 how many to look at  3 how many to give
--       then what each further member is, up to her id
-- returns {1: there may be more, else 0; then id, card of each, by id}
local first = ARGV[1]
local seen = redis.call('ZRANGEBYLEX', KEYS[1], '[' .. first, '(' .. first .. '\255', 'LIMIT', 0, ARGV[2])
local most, found = tonumber(ARGV[3]), {0}
for n, m in ipairs(seen) do
  local patient, all = string.sub(m, #first + 1), true
  for i = 4, #ARGV do
    if not redis.call('ZSCORE', KEYS[1], ARGV[i] .. patient) then all = false break end
  end
  if all then
    if #found > 2 * most then found[1] = 1 break end
    found[#found + 1] = patient
    found[#found + 1] = redis.call('HGET', KEYS[2], patient) or ''
  end
end
return found
