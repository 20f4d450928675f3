package redisstore

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"lookout/bot/storetest"
)

// aCluster starts masters that share the hash slots, each told to say the address
// that announce gives it (nil: its own), and waits until they agree.
func aCluster(tb testing.TB, masters int, announce func(i int) *proxy) (nodes []*storetest.Redis, url string) {
	tb.Helper()
	ctx := context.Background()
	port := func(addr string) string { _, p, _ := net.SplitHostPort(addr); return p }
	var bus []string
	var said []string
	for i := range masters {
		bus = append(bus, port(storetest.FreeAddr(tb)))
		settings := []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "15000", "--cluster-port", bus[i]}
		var p *proxy
		if announce != nil {
			p = announce(i)
			settings = append(settings, "--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", port(p.addr), "--cluster-announce-bus-port", bus[i])
		}
		node := storetest.StartRedis(tb, settings...)
		nodes = append(nodes, node)
		if p != nil {
			p.target.Store(&node.Addr)
			said = append(said, p.addr)
		} else {
			said = append(said, node.Addr)
		}
	}
	const all = 16384
	for i, node := range nodes {
		c := redis.NewClient(&redis.Options{Addr: node.Addr})
		defer c.Close()
		if err := c.ClusterAddSlotsRange(ctx, i*all/masters, (i+1)*all/masters-1).Err(); err != nil {
			tb.Fatal(err)
		}
		if err := c.Do(ctx, "cluster", "set-config-epoch", i+1).Err(); err != nil {
			tb.Fatal(err)
		}
		if i > 0 {
			if err := c.Do(ctx, "cluster", "meet", "127.0.0.1", port(nodes[0].Addr), bus[0]).Err(); err != nil {
				tb.Fatal(err)
			}
		}
	}
	for _, node := range nodes {
		node.Await(tb, "Cluster state changed: ok", 0)
	}
	return nodes, "redis+cluster://" + strings.Join(said, ",")
}
