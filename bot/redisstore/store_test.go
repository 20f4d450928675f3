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
