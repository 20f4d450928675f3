-- Keeps one change of one patient whole, or nothing of it.
-- KEYS  1 record  2 journal  3 rows  4 messages  5 done  6 who  7 index  8 due  9 services
--       10 queue open  11 queue claimed  12 queue snoozed  13 queue closed
--       14 unsettled  15 audit  16 counters  17 leavings
--       18 claims, where one server has all slots; else done again  19 cards  20 unsaid  then ready, later of each channel
-- ARGV  1 patient  2 base version  3 idempotency key or ''
--       4 generation of its claim; '': claim it here, in KEYS 18
--       5 earliest wake or ''  6 record JSON  7 who JSON, '': as it stands  8 service
--       9 entries  10 rows  11 sends  12 cancels  13 audit entries: how many follow
--       14 '1': there are words in the entries, to be entered after this; else ''
--       entries: JSON each
--       rows: number, JSON, place (1 to 4: KEYS 10 to 13), member, score
--       sends: number, id, JSON, channel's place, channel, recipient, priority, not before, created
--       cancels: number each
--       audit entries: JSON each
--       her card, if she has one and who is not as it stands
-- returns {'ok', what stood in who before or ''}, {'duplicate'}, {'conflict'}, {'taken'},
--       {'claimed'}: the key is another patient's, as far as is known here,
--       or {'barred', generation up to which the key's claims are refused}
local a, call = ARGV, redis.call
local key, base, generation = a[3], tonumber(a[2]), tonumber(a[4])
local claim = key ~= '' and not generation
if key ~= '' then
  local known = true -- a key is claimed before it is used or barred: one without a claim is neither
  if claim then
    local held = call('HGET', KEYS[18], key)
    if held then
      local g, owner = string.match(held, '^(%d+) (.*)$')
      if owner ~= a[1] then
        if call('HGET', KEYS[5], key) == 'done' then return {'duplicate'} end
        return {'claimed'}
      end
      claim, generation = false, tonumber(g)
    else
      known = false
    end
  end
  local done = known and call('HGET', KEYS[5], key)
  if done == 'done' then return {'duplicate'} end
  if done then
    local bar = tonumber(string.sub(done, 5))
    if bar >= generation then return {'barred', bar} end
  end
end
local head = call('GETRANGE', KEYS[1], 0, 255)
if head ~= '' and not string.find(head, '\n', 1, true) then head = call('GET', KEYS[1]) end
local version, live = string.match(head, '^(%d+) (%S*)\n')
if (tonumber(version) or 0) ~= base then return {'conflict'} end

local entries, rows, sends, cancels, audits = tonumber(a[9]), tonumber(a[10]), tonumber(a[11]), tonumber(a[12]), tonumber(a[13])
local firstRow = 15 + entries
local firstSend = firstRow + 5 * rows
local firstCancel = firstSend + 9 * sends
local firstAudit = firstCancel + cancels
local fresh = {}
for i = firstSend, firstCancel - 1, 9 do
  if fresh[a[i]] or call('HEXISTS', KEYS[4], a[i]) == 1 then return {'taken'} end
  fresh[a[i]] = true
end

-- From here on everything is written; nothing below may fail.
if claim then call('HSET', KEYS[18], key, '1 ' .. a[1]) end
if key ~= '' then call('HSET', KEYS[5], key, 'done') end
for i = 15, firstRow - 1, 1000 do -- Lua passes some thousand arguments at most
  call('RPUSH', KEYS[2], unpack(a, i, math.min(i + 999, firstRow - 1)))
end
if a[14] ~= '' then
  local noted = call('HGET', KEYS[20], a[1])
  local from = noted and string.match(noted, '^%d+') or string.format('%.0f', call('LLEN', KEYS[2]) - entries + 1)
  call('HSET', KEYS[20], a[1], from .. ' ' .. string.format('%.0f', base + 1))
end

if rows > 0 then
  local open = {}
  for n in string.gmatch(live or '', '%d+') do open[#open + 1] = n end
  for i = firstRow, firstSend - 1, 5 do
    local n, place, member = a[i], a[i + 2], a[i + 3]
    local was = call('HGET', KEYS[3], n .. ':q')
    if was then call('ZREM', KEYS[9 + tonumber(string.sub(was, 1, 1))], string.sub(was, 3)) end
    call('HSET', KEYS[3], n, a[i + 1], n .. ':q', place .. ' ' .. member)
    call('ZADD', KEYS[9 + tonumber(place)], a[i + 4], member)
    local kept = {}
    for _, o in ipairs(open) do if o ~= n then kept[#kept + 1] = o end end
    if place ~= '4' then kept[#kept + 1] = n end
    open = kept
  end
  live = table.concat(open, ',')
end
call('SET', KEYS[1], string.format('%.0f', base + 1) .. ' ' .. (live or '') .. '\n' .. a[6])
if base == 0 then call('SADD', KEYS[9], a[8]) end
if a[5] == '' then call('ZREM', KEYS[8], a[1]) else call('ZADD', KEYS[8], a[5], a[1]) end

if sends > 0 then
  -- The order in which messages were committed, in microseconds since 2026, below their priority.
  local t = call('TIME')
  local order = (tonumber(t[1]) - 1767225600) * 1000000 + tonumber(t[2])
  for i = firstSend, firstCancel - 1, 9 do
    local n, to = a[i], a[i + 5]
    local score = string.format('%.0f', tonumber(a[i + 6]) * 2251799813685248 + order)
    order = order + 1
    local member, from, ready = to .. ':' .. a[i + 1], tonumber(a[i + 7]), 19 + 2 * tonumber(a[i + 3])
    call('HSET', KEYS[4], n, a[i + 2], n .. ':s',
      table.concat({'0', '0', '0', '0', '0', a[i + 7], score, '0', a[i + 4], to}, ' '))
    if from > 0 then
      call('ZADD', KEYS[ready + 1], from, score .. ' ' .. member)
    else
      call('ZADD', KEYS[ready], score, member)
    end
    call('ZADD', KEYS[14], math.max(from, tonumber(a[i + 8])), a[i + 1])
  end
end
for i = firstCancel, firstAudit - 1 do
  -- Where it stands ready it is found to be cancelled when its turn comes.
  local state = call('HGET', KEYS[4], a[i] .. ':s')
  if state and string.sub(state, 1, 2) == '0 ' then
    call('HSET', KEYS[4], a[i] .. ':s', '6' .. string.sub(state, 2))
    call('ZREM', KEYS[14], a[1] .. '-m' .. a[i])
  end
end

if audits > 0 then
  local t = call('TIME')
  local stamp = t[1] .. string.format('%06d', tonumber(t[2]))
  local last = math.max(tonumber(call('HGET', KEYS[16], 'audit') or '0'), tonumber(stamp) - 1)
  for i = firstAudit, firstAudit + audits - 1 do
    last = last + 1
    local seq = string.format('%.0f', last)
    call('ZADD', KEYS[15], seq, seq .. ' ' .. stamp .. ' ' .. a[i])
  end
  call('HSET', KEYS[16], 'audit', string.format('%.0f', last))
end

if a[7] == '' then return {'ok', ''} end
local card = a[firstAudit + audits]
if card then call('HSET', KEYS[19], a[1], card) end
local was = call('HGET', KEYS[6], a[1])
if was == a[7] then return {'ok', ''} end
local now, before = cjson.decode(a[7]), was and cjson.decode(was) or {i = {}, a = {}}
for _, m in ipairs(before.i) do call('ZREM', KEYS[7], m) end
for _, m in ipairs(now.i) do call('ZADD', KEYS[7], 0, m) end
call('HSET', KEYS[6], a[1], a[7])
if not was then return {'ok', ''} end
local has = {}
for _, at in ipairs(now.a) do has[at] = true end
for _, at in ipairs(before.a) do
  if not has[at] then
    call('HSET', KEYS[17], a[1] .. '@' .. string.format('%.0f', base + 1), was)
    return {'ok', was}
  end
end
return {'ok', ''}
