package main

import (
	"fmt"
	"testing"

	"lookout/bot/storetest"
)

// What one process commits, those who watch at another hear.
func TestHintsReachTheOtherProcess(t *testing.T) {
	url := "redis://" + storetest.StartRedis(t).Addr
	one, other := newWorldOn(t, url), newWorldOn(t, url)
	one.carrier.Allow(mary) // either may send what the other committed
	other.carrier.Allow(mary)
	hints := other.process.bot.Watch(t.Context())
	one.enrolUnheard("Mary", mary)
	for n := 0; ; n++ { // until the other has begun to listen, hints are lost
		one.reply(mary, fmt.Sprintf("found a lump in my breast %d", n))
		select {
		case hint := <-hints:
			if hint.Patient != "" {
				t.Logf("heard after %d texts", n+1)
				return
			}
		default:
		}
		if n > 200 {
			t.Fatal("no hint came")
		}
	}
}
