package redisstore

import (
	"context"
	"fmt"
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

// turn is what one reply of a patient costs the store: look up, load, commit.
func turn(b *testing.B, s *Store, patient int, n int64) {
	ctx := context.Background()
	ids, err := s.PatientsAt(ctx, "a", bot.Address{Channel: "sms", At: fmt.Sprintf("+44770090%04d", patient)})
	if err != nil || len(ids) != 1 {
		b.Errorf("%v, %v", ids, err)
		return
	}
	rec, err := s.Load(ctx, ids[0])
	if err != nil {
		b.Error(err)
		return
	}
	if err := s.Commit(ctx, reply(rec, n, time.Now())); err != nil {
		b.Error(err)
	}
}

// BenchmarkTurns has 64 callers take turns, and beside them, in turns on the same
// server, 64 who have the same bytes written by a bare script (SET, three RPUSH
// and an HSET): the floor. The share is what the store makes of it.
func BenchmarkTurns64(b *testing.B) {
	server := storetest.StartRedis(b)
	s := openAt(b, "redis://"+server.Addr, Options{})
	const n = 2000
	people(b, s, n)
	floor := &script{name: "floor", text: `redis.call('SET', KEYS[1], ARGV[1]) redis.call('RPUSH', KEYS[2], ARGV[2], ARGV[3], ARGV[4]) redis.call('HSET', KEYS[3], ARGV[5], ARGV[6]) return 1`}
	floor.sha = sha(floor.text)
	var next atomic.Int64
	parallel := func(count int, one func(i int64)) time.Duration {
		begun := time.Now()
		left := atomic.Int64{}
		left.Store(int64(count))
		done := make(chan struct{})
		for range 64 {
			go func() {
				for left.Add(-1) >= 0 {
					one(next.Add(1))
				}
				done <- struct{}{}
			}()
		}
		for range 64 {
			<-done
		}
		return time.Since(begun)
	}
	bare := func(i int64) {
		id := fmt.Sprintf("f-p%d", i%n)
		c := reply(somebody(int(i%n)), i, time.Now())
		e, err := s.encode(&c, true)
		if err != nil {
			b.Error(err)
			return
		}
		keys := []string{s.keys.record(id), s.keys.journal(id), s.keys.messages(id)}
		if err := s.servers.single.EvalSha(context.Background(), floor.sha, keys, e.args[5], e.args[13], e.args[14], e.args[15], i, e.args[18]).Err(); err != nil {
			b.Error(err)
		}
	}
	if err := s.servers.single.ScriptLoad(context.Background(), floor.text).Err(); err != nil {
		b.Fatal(err)
	}
	parallel(500, bare)
	parallel(500, func(i int64) { turn(b, s, int(i%n), i) })
	var floors, turns time.Duration
	count := 0
	b.ResetTimer()
	for part := 0; part < b.N; part += 1000 {
		size := min(1000, b.N-part)
		floors += parallel(size, bare)
		turns += parallel(size, func(i int64) { turn(b, s, int(i%n), i) })
		count += size
	}
	b.ReportMetric(float64(count)/floors.Seconds(), "floor/s")
	b.ReportMetric(float64(count)/turns.Seconds(), "turns/s")
	b.ReportMetric(floors.Seconds()/turns.Seconds(), "of-floor")
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
	storetest.BenchBeside(b, func(i int64) { turn(b, clear, int(i)%n, i) }, func(i int64) { turn(b, sealed, int(i)%n, i) })
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
