package redisstore

import (
	"context"
	"testing"

	"lookout/bot"
	"lookout/bot/storetest"
	"lookout/flows/triage"
)

// What one process tells another hears, and itself does not; after a lost
// connection it hears that hints may have been lost.
func TestHints(t *testing.T) {
	server := storetest.StartRedis(t)
	cluster := storetest.StartCluster(t, 3, 0, nil)
	for name, url := range map[string]string{"Alone": "redis://" + server.Addr, "Cluster": cluster.URL} {
		t.Run(name, func(t *testing.T) {
			a, b := openAt(t, url, Options{}), openAt(t, url, Options{})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 2)
			heard := map[*Store]chan bot.Hint{a: make(chan bot.Hint, 64), b: make(chan bot.Hint, 64)}
			for s, to := range heard {
				go func() { ended <- s.Listen(ctx, func(h bot.Hint) { to <- h }) }()
			}
			want := bot.Hint{Service: "a", Patient: "a-p1", Row: "a-p1-r1", Level: triage.Urgent, New: true}
			// Until both have subscribed, hints are lost: told again until heard.
			tell := func(from *Store, to *Store, want bot.Hint) {
				t.Helper()
				for {
					from.Tell(want)
					select {
					case got := <-heard[to]:
						if got == (bot.Hint{}) && want != got {
							continue
						}
						if got != want {
							t.Fatalf("heard %+v, want %+v", got, want)
						}
						return
					default:
						if err := pause(ctx, askAgain); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			tell(a, b, want)
			answer := bot.Hint{Service: "a", Patient: "a-p2"}
			tell(b, a, answer)
			for len(heard[a]) > 0 {
				if h := <-heard[a]; h == want {
					t.Error("a process hears its own hint")
				}
			}
			if name == "Alone" {
				server.Kill()
				server.Again(t)
				for h := range heard[b] {
					if h == (bot.Hint{}) {
						break
					}
				}
			}
			cancel()
			for range heard {
				if err := <-ended; err != nil {
					t.Errorf("listening ended with %v", err)
				}
			}
		})
	}
}
