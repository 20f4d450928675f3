package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/storetest"
	"lookout/bot/vault"
	"lookout/flows"
	"lookout/flows/triage"
)

// reply is the change that one reply of a patient makes.
func reply(rec bot.Record, n int64, now time.Time) bot.Change {
	rec.NextOut++
	rec.Talk.Wait++
	rec.Wakes = []bot.Wake{{Key: "talk", Kind: bot.WakeTalk, At: now.Add(time.Hour), Ref: "remind"}, {Key: "plan", Kind: bot.WakePlan, At: now.AddDate(0, 1, 0), Ref: "m3"}}
	return bot.Change{Key: fmt.Sprintf("in:SM%d", n), Base: rec.Version, Record: rec,
		Entries: []bot.Entry{
			{At: now, Kind: bot.EntryIn, By: "patient", Channel: "sms", Text: "no nothing new thank you just a bit tired", Carrier: fmt.Sprintf("SM%d", n)},
			{At: now, Kind: bot.EntryReading, Reading: &triage.Reading{Level: triage.None, Why: "Nothing new.", Understood: true}},
			{At: now, Kind: bot.EntryOut, By: "lookout", Channel: "sms", Text: "Thank you. Are you taking your daily tablets? ALL, SOME or STOPPED"},
		},
		Send: []bot.Outgoing{{ID: fmt.Sprintf("%s-m%d", rec.Patient.ID, rec.NextOut), Service: "a", Patient: rec.Patient.ID, To: rec.Patient.Addresses[0],
			Text: "Thank you. Are you taking your daily tablets? ALL, SOME or STOPPED", Priority: bot.PriorityReply, CreatedAt: now, State: bot.OutPending}},
	}
}

func somebody(n int) bot.Record {
	return bot.Record{Patient: bot.Patient{ID: fmt.Sprintf("a-p%d", n), Service: "a", GivenName: "Mary", FamilyName: "Jones", Status: bot.Active,
		Addresses: []bot.Address{{Channel: "sms", At: fmt.Sprintf("+44770090%04d", n)}}, Plan: "standard", TreatmentEnded: "2026-09-30"},
		Talk: flows.State{Pack: "sha256:0000", Flow: "check-in", Frames: []flows.Frame{{Flow: "check-in", Step: "tablets", Answers: map[string]triage.Answer{"new": {Kind: triage.SaidNo}}}}}}
}

func people(b *testing.B, s *Store, n int) {
	b.Helper()
	for i := range n {
		if err := s.Commit(context.Background(), bot.Change{Record: somebody(i)}); err != nil {
			b.Fatal(err)
		}
	}
}

// turn is what one reply of a patient costs the store: look up and load, commit.
func turn(b *testing.B, s *Store, patient int, n int64) {
	ctx := context.Background()
	found, err := s.RecordsAt(ctx, "a", bot.Address{Channel: "sms", At: fmt.Sprintf("+44770090%04d", patient)})
	if err != nil || len(found) != 1 {
		b.Errorf("%d there, %v", len(found), err)
		return
	}
	if err := s.Commit(ctx, reply(found[0], n, time.Now())); err != nil {
		b.Error(err)
	}
}

// floors are what a turn is held against: bare scripts that check nothing and answer
// nothing. The same writes everything that the commit of a reply does, byte for byte
// as far as it can know: it is what Redis takes of this at best. The least writes the
// same words in three commands.
var (
	same = newScript("same", `redis.call('SET', KEYS[1], ARGV[1]) redis.call('RPUSH', KEYS[2], ARGV[2], ARGV[3], ARGV[4])
redis.call('HSET', KEYS[3], ARGV[5], ARGV[6], ARGV[5] .. ':s', ARGV[7]) redis.call('HSET', KEYS[4], ARGV[8], 'done') redis.call('HSET', KEYS[5], ARGV[8], ARGV[9])
redis.call('ZADD', KEYS[6], ARGV[10], ARGV[11]) redis.call('ZADD', KEYS[7], ARGV[12], ARGV[13]) redis.call('ZADD', KEYS[8], ARGV[10], ARGV[14]) return 1`)
	least = newScript("least", `redis.call('SET', KEYS[1], ARGV[1]) redis.call('RPUSH', KEYS[2], ARGV[2], ARGV[3], ARGV[4]) redis.call('HSET', KEYS[3], ARGV[5], ARGV[6]) return 1`)
)

func newScript(name, text string) *script { return &script{name, text, sha(text)} }

// bare runs one of the floors for the nth reply.
func bare(b *testing.B, s *Store, floor *script, patients int, n int64) {
	rec := somebody(int(n) % patients)
	rec.Patient.ID = "floor-" + rec.Patient.ID
	rec.NextOut, rec.Version = int(n), 1
	c := reply(rec, n, time.Now())
	c.Key = "floor-" + c.Key
	e, err := s.encode(&c, true)
	if err != nil {
		b.Error(err)
		return
	}
	k, id, o, sl := s.keys, rec.Patient.ID, &c.Send[0], slotOf(rec.Patient.ID)
	keys, args := []string{k.record(id), k.journal(id), k.messages(id)}, []any{append([]byte("1 \n"), e.args[5].([]byte)...), e.args[14], e.args[15], e.args[16], n, e.args[19]}
	if floor == same {
		keys = append(keys, k.done(id), k.claims(c.Key), k.due(sl), k.ready(sl, "sms"), k.unsettled(sl))
		order := int64(bot.PriorityReply)<<51 + time.Now().UnixMicro()
		args = append(args, fmt.Sprintf("0 0 0 0 0 0 %d 0 sms. %s", order, s.recipient(o.To)), c.Key, "1 "+id, e.args[4], id, order, s.recipient(o.To)+":"+o.ID, o.ID)
	}
	if err := s.servers.single.EvalSha(context.Background(), floor.sha, keys, args...).Err(); err != nil {
		b.Error(err)
	}
}

// server reads one number of the server's INFO.
func (s *Store) figure(b *testing.B, section, name string) float64 {
	text, err := s.servers.single.Info(context.Background(), section).Result()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r")
	is, err := strconv.ParseFloat(value, 64)
	if err != nil {
		b.Fatal(name, err)
	}
	return is
}

// BenchmarkTurns64 has 64 callers take turns, and beside them, in turns on the same
// server, 64 who have a floor's script run. It prints what each comes to, with the
// processor's time of the server and what its file grows by.
func BenchmarkTurns64(b *testing.B) {
	server := storetest.StartRedis(b, "--auto-aof-rewrite-percentage", "0") // it would fall on one of them
	s := openAt(b, "redis://"+server.Addr, Options{})
	const n = 2000
	people(b, s, n)
	var next atomic.Int64
	parallel := func(count int, one func(i int64)) {
		left := atomic.Int64{}
		left.Store(int64(count))
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					one(next.Add(1))
				}
			})
		}
		wg.Wait()
	}
	for _, floor := range []*script{same, least} {
		if err := s.servers.single.ScriptLoad(context.Background(), floor.text).Err(); err != nil {
			b.Fatal(err)
		}
	}
	type kind struct {
		name             string
		one              func(i int64)
		took, cpu, bytes float64
	}
	kinds := []*kind{
		{name: "least", one: func(i int64) { bare(b, s, least, n, i) }},
		{name: "floor", one: func(i int64) { bare(b, s, same, n, i) }},
		{name: "turns", one: func(i int64) { turn(b, s, int(i%n), i) }},
	}
	for _, k := range kinds {
		parallel(500, k.one)
	}
	count := 0
	b.ResetTimer()
	for part := 0; part < b.N; part += 1000 {
		size := min(1000, b.N-part)
		for _, k := range kinds {
			cpu, bytes := s.figure(b, "cpu", "used_cpu_user")+s.figure(b, "cpu", "used_cpu_sys"), s.figure(b, "persistence", "aof_current_size")
			begun := time.Now()
			parallel(size, k.one)
			k.took += time.Since(begun).Seconds()
			k.cpu += s.figure(b, "cpu", "used_cpu_user") + s.figure(b, "cpu", "used_cpu_sys") - cpu
			k.bytes += s.figure(b, "persistence", "aof_current_size") - bytes
		}
		count += size
	}
	for _, k := range kinds {
		b.ReportMetric(float64(count)/k.took, k.name+"/s")
		b.ReportMetric(1e6*k.cpu/float64(count), k.name+"-server-us")
		b.ReportMetric(k.bytes/float64(count), k.name+"-bytes")
	}
	b.ReportMetric(kinds[1].took/kinds[2].took, "of-floor")
	b.ReportMetric(kinds[0].took/kinds[2].took, "of-least")
}

// BenchmarkDeliver is what a message costs on its way out: claimed and settled, 16 at a time.
func BenchmarkDeliver(b *testing.B) {
	server := storetest.StartRedis(b)
	s := openAt(b, "redis://"+server.Addr, Options{})
	const n = 500
	people(b, s, n)
	sent := 0
	b.ResetTimer()
	for sent < b.N {
		b.StopTimer()
		for i := range n {
			rec, err := s.Load(b.Context(), fmt.Sprintf("a-p%d", i))
			if err != nil {
				b.Fatal(err)
			}
			c := reply(rec, 0, t0)
			c.Key = ""
			if err := s.Commit(b.Context(), c); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		for {
			batch, err := s.ClaimOutgoing(b.Context(), "sms", t0, time.Minute, 16)
			if err != nil {
				b.Fatal(err)
			}
			if len(batch) == 0 {
				break
			}
			var done []bot.Settlement
			for _, o := range batch {
				done = append(done, bot.Settlement{ID: o.ID, Fence: o.Fence, State: bot.OutSent, CarrierID: "C" + o.ID, At: t0})
			}
			if err := s.Settle(b.Context(), done...); err != nil {
				b.Fatal(err)
			}
			sent += len(batch)
		}
	}
	b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "messages/s")
}

// What a turn costs in the clear and encrypted.
func BenchmarkTurnSealed(b *testing.B) {
	server := storetest.StartRedis(b)
	_, v := storetest.Keys(b)
	clear := openAt(b, "redis://"+server.Addr+"?prefix=clear", Options{})
	sealed := openAt(b, "redis://"+server.Addr+"?prefix=sealed", Options{Keys: vault.Opening{Vault: v}})
	const n = 1000
	people(b, clear, n)
	people(b, sealed, n)
	storetest.BenchBeside(b, storetest.Beside{Name: "clear", Do: func(i int64) { turn(b, clear, int(i)%n, i) }}, storetest.Beside{Name: "sealed", Do: func(i int64) { turn(b, sealed, int(i)%n, i) }})
}

// What the desk's search takes among 50,000 people, in the clear and encrypted.
func BenchmarkFind(b *testing.B) {
	server := storetest.StartRedis(b, "--appendfsync", "no")
	for name, sealed := range map[string]bool{"Clear": false, "Sealed": true} {
		b.Run(name, func(b *testing.B) {
			o := Options{Accept: []string{faultSync}}
			if sealed {
				_, o.Keys.Vault = storetest.Keys(b)
			}
			storetest.BenchFind(b, openAt(b, fmt.Sprintf("redis://%s?prefix=%s", server.Addr, name), o), 50_000)
		})
	}
}
