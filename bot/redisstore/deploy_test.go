package redisstore

import (
	"context"
	"fmt"
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

// watched is a master with replicas, and the Sentinels that watch it.
type watched struct {
	servers   []*storetest.Redis // the first is the master, at first
	sentinels []*storetest.Redis
	url       string
}

// aSentinel starts a master with replicas and three Sentinels, and waits until
// all know each other.
func aSentinel(tb testing.TB, replicas int, settings ...string) *watched {
	tb.Helper()
	w := &watched{servers: []*storetest.Redis{storetest.StartRedis(tb, settings...)}}
	master := w.servers[0]
	host, port, _ := net.SplitHostPort(master.Addr)
	for range replicas {
		from := master.Said()
		r := storetest.StartRedis(tb, append(settings, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")...)
		r.Await(tb, "MASTER <-> REPLICA sync: Finished with success", 0)
		master.Await(tb, "Synchronization with replica", from)
		w.servers = append(w.servers, r)
	}
	var hosts []string
	for range 3 {
		s := storetest.StartSentinel(tb, "lookout", master.Addr, 2)
		w.sentinels = append(w.sentinels, s)
		hosts = append(hosts, s.Addr)
	}
	for _, s := range w.sentinels {
		for _, r := range w.servers[1:] {
			_, port, _ := net.SplitHostPort(r.Addr)
			s.Await(tb, fmt.Sprintf("+slave slave 127.0.0.1:%s", port), 0)
		}
		for range 2 {
			s.Await(tb, "+sentinel sentinel", 0)
		}
	}
	w.url = "redis+sentinel://" + strings.Join(hosts, ",") + "/lookout"
	return w
}

// failOver kills the master, and waits until the Sentinels have named another.
func (w *watched) failOver(tb testing.TB) {
	tb.Helper()
	var from []int
	for _, s := range w.sentinels {
		from = append(from, s.Said())
	}
	w.servers[0].Kill()
	w.awaitSwitch(tb, from)
}

func (w *watched) awaitSwitch(tb testing.TB, from []int) {
	tb.Helper()
	for i, s := range w.sentinels {
		s.Await(tb, "+switch-master lookout", from[i])
	}
}
