package redisstore

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"lookout/bot"
	"lookout/bot/storetest"
)

// prefixes keeps the stores of one server apart.
var prefixes atomic.Int64

// harness opens stores on servers that are there already, each under a prefix of its own.
func harness(url string, o Options) storetest.Harness {
	return storetest.Harness{Open: func(t *testing.T) (bot.Store, func(*testing.T) bot.Store) {
		own := fmt.Sprintf("%s?prefix=t%d", url, prefixes.Add(1))
		again := func(t *testing.T) bot.Store {
			s, err := Open(context.Background(), own, o)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		return again(t), again
	}}
}

func TestConformance(t *testing.T) {
	server := storetest.StartRedis(t)
	storetest.Run(t, harness("redis://"+server.Addr, Options{}))
}

func TestConformanceOnACluster(t *testing.T) {
	t.Parallel()
	_, url := aCluster(t, 3, nil)
	storetest.Run(t, harness(url, Options{}))
}

// The suite runs on a master that the Sentinels name, and again on the one that
// they name after it has died.
func TestConformanceWithSentinels(t *testing.T) {
	t.Parallel()
	w := aSentinel(t, 2, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "10", "--repl-ping-replica-period", "1")
	h := harness(w.url, Options{Copies: 1})
	t.Run("Before", func(t *testing.T) { storetest.Run(t, h) })
	w.failOver(t)
	t.Run("After", func(t *testing.T) { storetest.Run(t, h) })
}

func TestMove(t *testing.T) {
	server := storetest.StartRedis(t)
	h := harness("redis://"+server.Addr, Options{})
	storetest.RunMove(t, h, h)
}
