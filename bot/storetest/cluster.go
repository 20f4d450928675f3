package storetest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster.
type Cluster struct {
	Servers []*Redis // the masters, at first, and behind them their replicas
	URL     string

	clients map[*Redis]*redis.Client // by a road of their own, which is not cut
	roads   *roads                   // nil: there is no way to cut one
}

// hashSlots is how many a Cluster has.
const hashSlots = 16384

// StartCluster starts masters that share the hash slots, each with so many replicas,
// and waits until all agree. announce gives the address at which a server says that it
// is found (nil: its own). Where there are replicas, a server can be cut off from the
// others, and one that has not been heard of for four seconds is held for dead.
func StartCluster(tb testing.TB, masters, replicas int, announce func(addr string) string, settings ...string) *Cluster {
	tb.Helper()
	ctx := context.Background()
	c := &Cluster{clients: map[*Redis]*redis.Client{}}
	timeout := "15000" // nobody could take over: a busy machine may stand still for long
	if replicas > 0 {
		timeout = "4000"
		c.roads = newRoads(tb)
		if announce != nil {
			tb.Fatal("a Cluster with replicas announces its own roads")
		}
	}
	var buses, hosts []string
	for i := range masters * (1 + replicas) {
		bus := FreeAddr(tb)
		own := []string{"--cluster-enabled", "yes", "--cluster-node-timeout", timeout, "--cluster-port", portOf(bus), "--cluster-announce-ip", "127.0.0.1",
			"--repl-diskless-sync-delay", "0", "--bind-source-addr", sourceOf(i)}
		r := StartRedis(tb, append(own, settings...)...)
		at := r.Addr
		switch {
		case announce != nil:
			at = announce(r.Addr)
		case c.roads != nil:
			at, bus = c.roads.to(tb, i, r.Addr), c.roads.to(tb, i, bus)
		}
		r.Set(tb, "cluster-announce-port", portOf(at))
		r.Set(tb, "cluster-announce-bus-port", portOf(bus))
		client := redis.NewClient(&redis.Options{Addr: r.Addr, Protocol: 2, DisableIdentity: true, MaxRetries: -1, ReadTimeout: 10 * time.Second})
		tb.Cleanup(func() { client.Close() })
		c.Servers, c.clients[r] = append(c.Servers, r), client
		buses, hosts = append(buses, portOf(bus)), append(hosts, at)
	}
	for i, r := range c.Servers {
		own := c.clients[r]
		if err := own.ConfigRewrite(ctx).Err(); err != nil { // started again it says the same
			tb.Fatal(err)
		}
		if err := own.Do(ctx, "cluster", "set-config-epoch", i+1).Err(); err != nil {
			tb.Fatal(err)
		}
		if i < masters {
			if err := own.ClusterAddSlotsRange(ctx, i*hashSlots/masters, (i+1)*hashSlots/masters-1).Err(); err != nil {
				tb.Fatal(err)
			}
		}
		if i > 0 {
			if err := own.Do(ctx, "cluster", "meet", "127.0.0.1", portOf(hosts[0]), buses[0]).Err(); err != nil {
				tb.Fatal(err)
			}
		}
	}
	for i, r := range c.Servers[masters:] {
		master := c.id(tb, c.Servers[i%masters])
		c.until(tb, "a replica does not know its master", func() bool { return c.clients[r].ClusterReplicate(ctx, master).Err() == nil })
		r.Await(tb, Synced, 0)
	}
	for _, r := range c.Servers {
		r.Await(tb, "Cluster state changed: ok", 0)
	}
	c.URL = "redis+cluster://" + strings.Join(hosts, ",")
	return c
}

func portOf(addr string) string { _, port, _ := net.SplitHostPort(addr); return port }

// sourceOf is the address from which a server calls the others: by it they are told apart.
func sourceOf(i int) string { return fmt.Sprintf("127.0.0.%d", i+2) }

func (c *Cluster) id(tb testing.TB, r *Redis) string {
	tb.Helper()
	id, err := c.clients[r].Do(context.Background(), "cluster", "myid").Text()
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// until waits for what the servers tell nobody.
func (c *Cluster) until(tb testing.TB, fault string, holds func() bool) {
	tb.Helper()
	for range 1200 {
		if holds() {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	tb.Fatal(fault)
}

// Masters are the servers that hold themselves for masters with hash slots, in the
// order of Servers, and of each the replicas that follow it.
func (c *Cluster) Masters(tb testing.TB) (masters []*Redis, replicas map[*Redis][]*Redis) {
	tb.Helper()
	ctx := context.Background()
	of, byID := map[string]string{}, map[string]*Redis{} // a replica's master
	for _, r := range c.Servers {
		nodes, err := c.clients[r].ClusterNodes(ctx).Result()
		if err != nil {
			continue // it is dead
		}
		for line := range strings.Lines(nodes) {
			f := strings.Fields(line) // ID ADDR FLAGS MASTER SENT GOT EPOCH LINK SLOTS…
			if len(f) < 8 || !strings.Contains(f[2], "myself") {
				continue
			}
			byID[f[0]] = r
			switch {
			case f[3] != "-":
				of[f[0]] = f[3]
			case len(f) > 8:
				masters = append(masters, r)
			}
		}
	}
	replicas = map[*Redis][]*Redis{}
	for id, master := range of {
		replicas[byID[master]] = append(replicas[byID[master]], byID[id])
	}
	return masters, replicas
}

// AwaitWhole waits until so many masters share the hash slots, each followed by a
// replica that has all it was sent, and every server sees a Cluster that is whole.
func (c *Cluster) AwaitWhole(tb testing.TB, want int) {
	tb.Helper()
	ctx := context.Background()
	c.until(tb, "the Cluster does not become whole", func() bool {
		masters, replicas := c.Masters(tb)
		if len(masters) != want {
			return false
		}
		for _, r := range c.Servers {
			if info, err := c.clients[r].ClusterInfo(ctx).Result(); err != nil || !strings.Contains(info, "cluster_state:ok") {
				return false
			}
		}
		for _, m := range masters {
			if len(replicas[m]) == 0 {
				return false
			}
			for _, r := range replicas[m] {
				if info, err := c.clients[r].Info(ctx, "replication").Result(); err != nil || !strings.Contains(info, "master_link_status:up") {
					return false
				}
			}
		}
		return true
	})
}

// AwaitPromoted waits until a server holds itself for a master, and the others do.
func (c *Cluster) AwaitPromoted(tb testing.TB, r *Redis) {
	tb.Helper()
	ctx, id := context.Background(), c.id(tb, r)
	c.until(tb, "no replica is promoted", func() bool {
		for _, other := range c.Servers {
			nodes, err := c.clients[other].ClusterNodes(ctx).Result()
			if err != nil || c.roads.isCut(c.place(other)) {
				continue
			}
			for line := range strings.Lines(nodes) {
				if f := strings.Fields(line); f[0] == id && (len(f) < 9 || !strings.Contains(f[2], "master")) {
					return false
				}
			}
		}
		return true
	})
}

// FailOver has a replica take its master's place with the consent of both.
func (c *Cluster) FailOver(tb testing.TB, replica *Redis) {
	tb.Helper()
	if err := c.clients[replica].ClusterFailover(context.Background()).Err(); err != nil {
		tb.Fatal(err)
	}
	c.AwaitPromoted(tb, replica)
}

// Move moves a hash slot from one master to another, key by key, as redis-cli does.
func (c *Cluster) Move(tb testing.TB, hash int, from, to *Redis) {
	tb.Helper()
	ctx := context.Background()
	source, target := c.clients[from], c.clients[to]
	sourceID, targetID := c.id(tb, from), c.id(tb, to)
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	must(target.Do(ctx, "cluster", "setslot", hash, "importing", sourceID).Err())
	must(source.Do(ctx, "cluster", "setslot", hash, "migrating", targetID).Err())
	host, port, _ := net.SplitHostPort(to.Addr)
	for {
		keys, err := source.ClusterGetKeysInSlot(ctx, hash, 10).Result()
		must(err)
		if len(keys) == 0 {
			break
		}
		args := []any{"migrate", host, port, "", 0, 5000, "keys"}
		for _, key := range keys {
			args = append(args, key)
		}
		must(source.Do(ctx, args...).Err())
	}
	must(target.Do(ctx, "cluster", "setslot", hash, "node", targetID).Err())
	masters, _ := c.Masters(tb)
	for _, m := range masters {
		must(c.clients[m].Do(ctx, "cluster", "setslot", hash, "node", targetID).Err())
	}
}

// SlotOf is the hash slot of some key that a master has.
func (c *Cluster) SlotOf(tb testing.TB, master *Redis) int {
	tb.Helper()
	ctx := context.Background()
	own := c.clients[master]
	key, err := own.RandomKey(ctx).Result()
	if err != nil {
		tb.Fatal(err)
	}
	slot, err := own.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		tb.Fatal(err)
	}
	return int(slot)
}

func (c *Cluster) place(r *Redis) int {
	for i, other := range c.Servers {
		if other == r {
			return i
		}
	}
	return -1
}

// Cut cuts a server off from the other servers, but not from its clients, until mend
// is called: what is sent meanwhile is held up, as by a network that drops it.
func (c *Cluster) Cut(r *Redis) (mend func()) {
	c.roads.set(c.place(r), true)
	return func() { c.roads.set(c.place(r), false) }
}

// roads are all ways to the servers of a Cluster. Those between two servers, which are
// known by where they call from, are cut; clients' are not.
type roads struct {
	mu     sync.Mutex
	mended *sync.Cond
	cut    map[int]bool
}

func newRoads(tb testing.TB) *roads {
	w := &roads{cut: map[int]bool{}}
	w.mended = sync.NewCond(&w.mu)
	tb.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		clear(w.cut)
		w.mended.Broadcast()
	})
	return w
}

func (w *roads) set(i int, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[i] = cut
	w.mended.Broadcast()
}

func (w *roads) isCut(i int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut[i]
}

// pass waits while one of two servers is cut off.
func (w *roads) pass(a, b int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.cut[a] || w.cut[b] {
		w.mended.Wait()
	}
}

// to opens a road to a server, and gives its address.
func (w *roads) to(tb testing.TB, server int, addr string) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { listener.Close() })
	go func() {
		for {
			caller, err := listener.Accept()
			if err != nil {
				return
			}
			go w.carry(caller, server, addr)
		}
	}()
	return listener.Addr().String()
}

func (w *roads) carry(caller net.Conn, server int, addr string) {
	defer caller.Close()
	from, client := 0, true
	host, _, _ := net.SplitHostPort(caller.RemoteAddr().String())
	if n, err := fmt.Sscanf(host, "127.0.0.%d", &from); n == 1 && err == nil && from > 1 {
		from, client = from-2, false
	}
	pass := func() {
		if !client {
			w.pass(from, server)
		}
	}
	pass()
	called, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer called.Close()
	both := make(chan struct{}, 2)
	copyTo := func(to, from net.Conn) {
		defer func() { both <- struct{}{} }()
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			if n > 0 {
				pass()
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				pass() // the other end does not hear of it either
				return
			}
		}
	}
	go copyTo(called, caller)
	go copyTo(caller, called)
	<-both
}
