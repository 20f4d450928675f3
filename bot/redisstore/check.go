package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Fault is one reason for which a server may forget what it was told, or cannot
// be used.
type Fault struct {
	Name   string // by which an operator may accept it
	Server string
	Text   string // what is wrong, and what to do
}

// The faults, by name.
const (
	faultAnswer     = "answer"     // a server does not answer
	faultAppendOnly = "appendonly" // nothing is written to disk
	faultSync       = "appendfsync"
	faultRewrite    = "no-appendfsync-on-rewrite"
	faultWriting    = "aof-write" // the file cannot be written
	faultEviction   = "maxmemory-policy"
	faultReplicas   = "min-replicas"
	faultUnseen     = "config" // the settings cannot be read: a managed service
	faultRole       = "role"
	faultVersion    = "version"
	faultCluster    = "cluster"
	faultKept       = "encryption"
)

// acceptable are the faults that an operator may accept by name. The others
// mean that the store does not work.
var acceptable = []string{faultAppendOnly, faultSync, faultRewrite, faultEviction, faultReplicas, faultUnseen}

func knownFault(name string) bool { return slices.Contains(acceptable, name) }
func faultNames() string          { return strings.Join(acceptable, ", ") }

// State is what the last check found.
type State struct {
	Faults   []Fault  // that keep patients away
	Accepted []Fault  // that the operator lives with
	Notes    []string // worth knowing: memory, clocks, copies
	Servers  []string // version and role of each
}

// Refusal says why patients must not be kept here; nil: they may.
func (st *State) Refusal() error {
	if st == nil || len(st.Faults) == 0 {
		return nil
	}
	var all []error
	for _, f := range st.Faults {
		hint := ""
		if knownFault(f.Name) {
			hint = fmt.Sprintf(" (or accept it by name: redis.accept: %s)", f.Name)
		}
		all = append(all, fmt.Errorf("%s: %s%s", f.Server, f.Text, hint))
	}
	return fmt.Errorf("the store may forget what it is told: %w", errors.Join(all...))
}

// checkEvery is how often the servers are looked at; a lost connection makes it sooner.
const (
	checkEvery  = time.Minute
	checkAtMost = 200 * time.Millisecond // between two
)

// keepChecking checks until ctx ends.
func (s *Store) keepChecking(ctx context.Context) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.recheck:
		}
		// A burst of failed writes asks once.
		if pause(ctx, checkAtMost) != nil {
			return
		}
		before := s.state.Load().Refusal()
		now := s.Check(ctx).Refusal()
		switch {
		case ctx.Err() != nil:
			return
		case now != nil:
			s.options.Log.Error("patients are refused", "why", now)
			continue
		case before != nil:
			s.options.Log.Info("the store may be trusted again")
		}
		s.mendSoon()
	}
}

// checkSoon asks for a check now: a write failed, and there may be a new primary.
func (s *Store) checkSoon() {
	select {
	case s.recheck <- struct{}{}:
	default:
	}
}

// State gives what the last check found.
func (s *Store) State() *State { return s.state.Load() }

// Check looks whether every server that takes writes keeps them. Until the next
// check finds otherwise, [Store.Commit] goes by it. A server that does not answer
// now is no reason to refuse later: each commit finds out by itself.
func (s *Store) Check(ctx context.Context) *State {
	st := &State{}
	var mu sync.Mutex
	add := func(name, server, format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		f := Fault{Name: name, Server: server, Text: fmt.Sprintf(format, args...)}
		if slices.Contains(s.options.Accept, name) {
			st.Accepted = append(st.Accepted, f)
		} else {
			st.Faults = append(st.Faults, f)
		}
	}
	err := s.servers.masters(ctx, func(ctx context.Context, c *redis.Client) error {
		ctx, cancel := context.WithTimeout(ctx, ioTimeout)
		defer cancel()
		x := &examination{store: s, client: c, add: add, note: func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			st.Notes = append(st.Notes, fmt.Sprintf(format, args...))
		}}
		server, err := x.all(ctx)
		mu.Lock()
		defer mu.Unlock()
		st.Servers = append(st.Servers, server)
		return err
	})
	if err == nil {
		err = s.probe(ctx)
	}
	if err == nil {
		var still bool
		if still, err = s.stillKept(ctx); err == nil && !still {
			add(faultKept, s.target.String(), "was encrypted since this lookout has opened it: start lookout again")
		}
	}
	if err != nil {
		if last := s.state.Load(); last != nil && isLost(err) {
			return last
		}
		add(faultAnswer, s.target.String(), "%v", err)
	}
	slices.Sort(st.Servers)
	s.state.Store(st)
	return st
}

// probe writes, reads back and removes something of ours.
func (s *Store) probe(ctx context.Context) error {
	k := s.keys.probe()
	get := plain("get", k)
	if err := s.servers.write(ctx, plain("set", k, "kept"), get, plain("del", k)); err != nil {
		return err
	}
	// Another process may have removed its own in between.
	if text, err := get.done.Text(); err == nil && text != "kept" {
		return errors.New("what was written is not what is read")
	}
	return nil
}

// examination is the look at one server.
type examination struct {
	store  *Store
	client *redis.Client
	addr   string
	info   map[string]string
	add    func(name, server, format string, args ...any)
	note   func(format string, args ...any)
}

func (x *examination) fault(name, format string, args ...any) { x.add(name, x.addr, format, args...) }

func (x *examination) all(ctx context.Context) (string, error) {
	x.addr = x.client.Options().Addr
	text, err := x.client.Info(ctx).Result()
	if err != nil {
		return x.addr, err
	}
	x.info = make(map[string]string)
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			x.info[name] = value
		}
	}
	if x.store.target.kind == sentinel {
		x.addr = x.store.target.master + " (port " + x.info["tcp_port"] + ")"
	}
	if x.info["role"] != "master" {
		x.fault(faultRole, "is a %s: lookout reads and writes primaries only", x.info["role"])
	}
	if x.info["loading"] == "1" {
		x.fault(faultRole, "is still loading its file")
	}
	if err := errors.Join(x.capabilities(ctx), x.settings(ctx), x.clock(ctx)); err != nil {
		return x.addr, err
	}
	x.file()
	x.memory()
	if x.store.target.kind == clusters {
		if err := x.cluster(ctx); err != nil {
			return x.addr, err
		}
	}
	name, version := x.info["server_name"], x.info["valkey_version"]
	if version == "" {
		name, version = "redis", x.info["redis_version"]
	}
	return fmt.Sprintf("%s: %s %s, %s, %s replicas", x.addr, name, version, x.info["role"], x.info["connected_slaves"]), nil
}

// capabilities go by what the server can do, for names and numbers of versions
// say little (Valkey calls itself redis 7.2.4).
func (x *examination) capabilities(ctx context.Context) error {
	can := make(map[string]bool)
	names := []any{"evalsha_ro", "waitaof"} // the first came with Redis 7
	answer, err := x.client.Do(ctx, append([]any{"command", "info"}, names...)...).Slice()
	var said redis.Error
	switch {
	case errors.As(err, &said):
		x.note("%s does not say what it can do (COMMAND INFO is refused)", x.addr)
		return nil
	case err != nil:
		return err
	}
	for i, a := range answer {
		if a != nil && i < len(names) {
			can[names[i].(string)] = true
		}
	}
	if !can["evalsha_ro"] {
		x.fault(faultVersion, "is older than Redis 7 (it calls itself %s)", x.info["redis_version"])
	}
	if !can["waitaof"] {
		x.note("%s has no WAITAOF: replicas can be asked whether they hold a write in memory, not whether it is on their disks", x.addr)
	}
	return nil
}

// settings are those on which it hangs whether a write outlives a power cut.
func (x *examination) settings(ctx context.Context) error {
	is := make(map[string]string)
	var said redis.Error
	for _, name := range []string{"appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy", "min-replicas-to-write", "min-replicas-max-lag", "aof-load-truncated"} {
		found, err := x.client.ConfigGet(ctx, name).Result()
		if errors.As(err, &said) {
			return x.unseen()
		} else if err != nil {
			return err
		}
		is[name] = found[name]
	}
	if is["appendonly"] != "yes" {
		x.fault(faultAppendOnly, "keeps nothing on disk: set appendonly yes")
	}
	if is["appendfsync"] != "always" {
		x.fault(faultSync, "may lose the last second at a power cut (appendfsync is %s): set appendfsync always", is["appendfsync"])
	}
	if is["no-appendfsync-on-rewrite"] != "no" {
		x.fault(faultRewrite, "does not sync while it writes its file anew: set no-appendfsync-on-rewrite no")
	}
	if is["maxmemory-policy"] != "noeviction" {
		x.fault(faultEviction, "throws data away when its memory is full (maxmemory-policy is %s): set maxmemory-policy noeviction", is["maxmemory-policy"])
	}
	if is["aof-load-truncated"] == "yes" {
		x.note("%s starts with a file that was cut short (aof-load-truncated): what it says at its start should be watched", x.addr)
	}
	replicas, _ := strconv.Atoi(x.info["connected_slaves"])
	needed, _ := strconv.Atoi(is["min-replicas-to-write"])
	lag, _ := strconv.Atoi(is["min-replicas-max-lag"])
	if (replicas > 0 || x.store.target.kind == sentinel) && (needed < 1 || lag < 1 || lag > 10) {
		x.fault(faultReplicas, "goes on taking writes when its replicas have lost touch (min-replicas-to-write %d, min-replicas-max-lag %d): a fail-over would lose them: set them to 1 or more and to 10 or less", needed, lag)
	}
	return nil
}

// unseen is for managed services, which do not show their settings.
func (x *examination) unseen() error {
	if x.info["aof_enabled"] != "1" {
		x.fault(faultAppendOnly, "keeps nothing on disk: turn the append-only file on")
	}
	if policy := x.info["maxmemory_policy"]; policy != "noeviction" {
		x.fault(faultEviction, "throws data away when its memory is full (maxmemory-policy is %s): choose noeviction", policy)
	}
	x.fault(faultUnseen, "does not show its settings: whether appendfsync is always and min-replicas are set must be known from its provider")
	return nil
}

// file is about the last tries to write to disk.
func (x *examination) file() {
	if x.info["aof_enabled"] != "1" {
		return // said already
	}
	for _, name := range []string{"aof_last_write_status", "aof_last_bgrewrite_status"} {
		if status := x.info[name]; status != "ok" {
			x.fault(faultWriting, "cannot write its file (%s is %s): look at its disk", name, status)
		}
	}
}

// memory warns before writes are refused.
func (x *examination) memory() {
	most, _ := strconv.ParseFloat(x.info["maxmemory"], 64)
	used, _ := strconv.ParseFloat(x.info["used_memory"], 64)
	if most > 0 && used > 0.8*most {
		x.note("%s has used %.0f%% of its memory: at 100%% it refuses every change", x.addr, 100*used/most)
	}
}

// clock compares the server's clock with ours: the order in which messages leave
// goes by the servers'.
func (x *examination) clock(ctx context.Context) error {
	theirs, err := x.client.Time(ctx).Result()
	if err != nil || x.store.options.Now == nil {
		return err
	}
	if off := x.store.options.Now().Sub(theirs).Abs(); off > time.Second {
		x.note("%s has a clock that is off from this machine's by %s: turn on NTP on both", x.addr, off.Round(time.Millisecond))
	}
	return nil
}

func (x *examination) cluster(ctx context.Context) error {
	text, err := x.client.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	if !strings.Contains(text, "cluster_state:ok") {
		x.fault(faultCluster, "sees a Cluster that is not whole (cluster_state is not ok)")
	}
	return nil
}
