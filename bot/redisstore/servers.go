package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
)

// The kinds of deployment, by the scheme of the store's URL.
const (
	alone    = "redis"
	sentinel = "redis+sentinel"
	clusters = "redis+cluster"
)

// target is where the store is, from its URL.
type target struct {
	kind     string
	hosts    []string
	master   string // the Sentinels' name of it
	user     string
	password string
	tls      bool
	prefix   string
}

// parse reads redis://, rediss:// (with TLS), redis+sentinel://HOST,HOST/MASTER
// and redis+cluster://HOST,HOST, each with user:password@ where needed. Options:
// prefix (default lookout), tls=true.
func parse(text string) (*target, error) {
	fault := func(format string, args ...any) (*target, error) {
		return nil, fmt.Errorf("redis store: "+format, args...)
	}
	u, err := url.Parse(text)
	if err != nil {
		return fault("the URL cannot be read: write it like redis://:PASSWORD@redis.example:6379") // err would repeat the password
	}
	t := &target{kind: u.Scheme, prefix: "lookout"}
	if u.Scheme == "rediss" {
		t.kind, t.tls = alone, true
	}
	if t.kind != alone && t.kind != sentinel && t.kind != clusters {
		return fault("%q is no kind of store: it is redis, rediss, redis+sentinel or redis+cluster", u.Scheme)
	}
	t.user = u.User.Username()
	t.password, _ = u.User.Password()
	port := "6379"
	if t.kind == sentinel {
		port = "26379"
	}
	for host := range strings.SplitSeq(u.Host, ",") {
		if host == "" {
			return fault("a host is missing in the URL")
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		t.hosts = append(t.hosts, host)
	}
	path := strings.Trim(u.Path, "/")
	switch {
	case t.kind == sentinel && path == "":
		return fault("the URL must name the master that the Sentinels watch: redis+sentinel://HOST,HOST/MASTER")
	case t.kind == sentinel:
		t.master = path
	case path != "" && path != "0":
		return fault("only database 0 is used: tell deployments apart by ?prefix=NAME")
	case t.kind == alone && len(t.hosts) > 1:
		return fault("redis:// takes one host: several are redis+sentinel:// or redis+cluster://")
	}
	for name, values := range u.Query() {
		switch value := values[0]; {
		case name == "prefix" && value != "" && !strings.ContainsAny(value, "{}:"):
			t.prefix = value
		case name == "prefix":
			return fault("prefix must be a name without colons and braces")
		case name == "tls":
			if t.tls, err = strconv.ParseBool(value); err != nil {
				return fault("tls must be true or false")
			}
		default:
			return fault("there is no option %q: there are prefix and tls", name)
		}
	}
	return t, nil
}

// String is for people: without the password.
func (t *target) String() string {
	s := t.kind + "://" + strings.Join(t.hosts, ",")
	if t.master != "" {
		s += "/" + t.master
	}
	return s
}

// command is one command on one key, and what came of it.
type command struct {
	key    string // says which server
	args   []any
	script *script // nil: an ordinary command
	done   *redis.Cmd
	few    error // too few replicas have what it wrote: whether that stays is unknown
	again  bool  // it was sent more than once
}

// err is what a command failed with; a nil reply is none.
func (c *command) err() error {
	if c.done == nil {
		return errors.New("not sent")
	}
	if err := c.done.Err(); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return c.few
}

// servers sends commands where their keys live. It never repeats one whose
// outcome is unknown: go-redis would (its MaxRetries on one server, its
// MaxRedirects on a Cluster), and a change would count twice without a word.
// What a server answered that it has not done may be sent again, and is.
type servers struct {
	single  *redis.Client // stand-alone, or the master that the Sentinels name
	cluster *redis.ClusterClient
	options redis.Options // of one server, for those that a Cluster points to
	copies  int           // how many replicas must have a write before it counts; 0: none

	mu    sync.Mutex
	named map[string]*redis.Client // servers of a Cluster that were pointed to, by address
	lanes map[*redis.Client]*lane
}

const (
	dialTimeout = 3 * time.Second
	ioTimeout   = 5 * time.Second
	poolSize    = 96
)

// quiet takes what go-redis says of its connections (addresses and faults) into our log.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(ctx context.Context, format string, args ...any) {
	q.log.DebugContext(ctx, "redis client: "+fmt.Sprintf(format, args...))
}

func connect(t *target, copies int, log *slog.Logger) *servers {
	redis.SetLogger(quiet{log}) // there is one for the whole process
	s := &servers{copies: copies, named: make(map[string]*redis.Client), lanes: make(map[*redis.Client]*lane)}
	s.options = redis.Options{Addr: t.hosts[0], Username: t.user, Password: t.password, MaxRetries: -1, PoolSize: poolSize, Protocol: 2,
		DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout, ContextTimeoutEnabled: true, DisableIdentity: true}
	if t.tls {
		s.options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	o := &s.options
	switch t.kind {
	case clusters:
		s.cluster = redis.NewClusterClient(&redis.ClusterOptions{Addrs: t.hosts, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
			MaxRedirects: -1, MaxRetries: -1, PoolSize: poolSize, Protocol: 2, DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
			ContextTimeoutEnabled: true, DisableIdentity: true})
	case sentinel:
		s.single = redis.NewFailoverClient(&redis.FailoverOptions{MasterName: t.master, SentinelAddrs: t.hosts, Username: o.Username, Password: o.Password,
			TLSConfig: o.TLSConfig, MaxRetries: -1, PoolSize: poolSize, Protocol: 2, DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
			ContextTimeoutEnabled: true, DisableIdentity: true})
	default:
		s.single = redis.NewClient(o)
	}
	return s
}

func (s *servers) close() error {
	s.mu.Lock()
	for _, l := range s.lanes {
		l.end()
	}
	s.mu.Unlock()
	var faults []error
	if s.single != nil {
		faults = append(faults, s.single.Close())
	}
	if s.cluster != nil {
		faults = append(faults, s.cluster.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.named {
		faults = append(faults, c.Close())
	}
	return errors.Join(faults...)
}

// server is where a key lives.
func (s *servers) server(ctx context.Context, key string) (*redis.Client, error) {
	if s.single != nil {
		return s.single, nil
	}
	return s.cluster.MasterForKey(ctx, key)
}

// masters are all servers that take writes.
func (s *servers) masters(ctx context.Context, each func(ctx context.Context, c *redis.Client) error) error {
	if s.single != nil {
		return each(ctx, s.single)
	}
	return s.cluster.ForEachMaster(ctx, each)
}

// at is the server with that address, which a Cluster has pointed to.
func (s *servers) at(addr string) *redis.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.named[addr]
	if c == nil {
		o := s.options
		o.Addr = addr
		c = redis.NewClient(&o)
		s.named[addr] = c
	}
	return c
}

// How often and for how long a command is sent again that a server has not done.
const (
	maxAsks  = 6
	askAgain = 30 * time.Millisecond
)

// read runs commands that change nothing; a lost connection is tried once more.
func (s *servers) read(ctx context.Context, commands ...*command) error {
	err := s.run(ctx, false, commands)
	if err != nil && ctx.Err() == nil && isLost(err) {
		err = s.run(ctx, false, commands)
	}
	return err
}

// sure is read for what is told as done, or left undone as done before: it gives nothing
// that a fail-over may still lose.
func (s *servers) sure(ctx context.Context, commands ...*command) error {
	if s.copies == 0 {
		return s.read(ctx, commands...)
	}
	return s.write(ctx, commands...) // what is waited for is all that the server was told before, by anybody (await)
}

// write runs commands that change something. bot.ErrUnavailable may mean that
// some of them were done.
func (s *servers) write(ctx context.Context, commands ...*command) error {
	return s.run(ctx, true, commands)
}

// run sends commands, those of one server together, and waits for all answers.
// They run in order where they lie in the same slot. The first fault is given.
func (s *servers) run(ctx context.Context, writes bool, commands []*command) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	left := commands
	for ask := 0; ; ask++ {
		if err := s.send(ctx, writes, left); err != nil {
			return err
		}
		var again []*command
		for _, c := range left {
			if err := c.err(); err != nil && notDone(err) {
				c.again, again = true, append(again, c)
			}
		}
		if len(again) == 0 || ask == maxAsks {
			break
		}
		if err := s.redirect(ctx, writes, &again, ask); err != nil {
			return err
		}
		if left = again; len(left) == 0 {
			break
		}
	}
	for _, c := range commands {
		if err := c.err(); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// send sends commands to the servers of their keys, once.
func (s *servers) send(ctx context.Context, writes bool, commands []*command) error {
	if s.single != nil {
		return s.pipe(ctx, s.single, writes, commands)
	}
	of := make(map[*redis.Client][]*command)
	for _, c := range commands {
		node, err := s.server(ctx, c.key)
		if err != nil {
			return unavailable(err)
		}
		of[node] = append(of[node], c)
	}
	var wg sync.WaitGroup
	errs := make(chan error, len(of))
	for node, part := range of {
		wg.Go(func() { errs <- s.pipe(ctx, node, writes, part) })
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// redirect prepares commands that were not done for being sent again: scripts
// that a server has forgotten are sent whole, moved keys are looked for, and
// what asks for another server is sent there at once and taken from the list.
func (s *servers) redirect(ctx context.Context, writes bool, again *[]*command, ask int) error {
	var still []*command
	wait := false
	for _, c := range *again {
		text := c.err().Error()
		switch {
		case strings.HasPrefix(text, "NOSCRIPT") && c.script != nil:
			c.args[0], c.args[1] = "eval", c.script.text
			still = append(still, c)
		case s.cluster != nil && (strings.HasPrefix(text, "MOVED ") || strings.HasPrefix(text, "ASK ")):
			s.cluster.ReloadState(ctx)
			if err := s.follow(ctx, writes, c, text); err != nil {
				return err
			}
			if err := c.err(); err != nil && notDone(err) {
				still, wait = append(still, c), true
			}
		default:
			still, wait = append(still, c), true
		}
	}
	*again = still
	if !wait {
		return nil
	}
	if s.cluster != nil {
		s.cluster.ReloadState(ctx)
	}
	return pause(ctx, askAgain<<ask)
}

// follow sends a command to the server that a Cluster's "MOVED SLOT ADDR" or
// "ASK SLOT ADDR" points to.
func (s *servers) follow(ctx context.Context, writes bool, c *command, pointer string) error {
	fields := strings.Fields(pointer)
	if len(fields) < 3 {
		return fmt.Errorf("%w: redis store: %s", bot.ErrUnavailable, pointer)
	}
	if c.script != nil { // the other server may not know it
		c.args[0], c.args[1] = "eval", c.script.text
	}
	if fields[0] == "MOVED" {
		return s.pipe(ctx, s.at(fields[2]), writes, []*command{c})
	}
	asking := &command{args: []any{"asking"}}
	return s.pipe(ctx, s.at(fields[2]), writes, []*command{asking, c})
}

// notDone says that a server has answered that it did not do a command, and that
// it, or another, soon may. READONLY is a master that was deposed.
func notDone(err error) bool {
	var said redis.Error
	if !errors.As(err, &said) {
		return false
	}
	text := err.Error()
	for _, code := range []string{"NOSCRIPT", "MOVED ", "ASK ", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "READONLY"} {
		if strings.HasPrefix(text, code) {
			return true
		}
	}
	return false
}

// isLost says that the connection broke, rather than that a server answered.
func isLost(err error) bool {
	var said redis.Error
	return !errors.As(err, &said)
}

// unavailable marks a fault of the servers or the network. A change that was
// under way may be there or not; its key tells. Servers' words hold no patient's:
// commands take those as arguments.
func unavailable(err error) error {
	if err == nil || errors.Is(err, bot.ErrNotFound) || errors.Is(err, bot.ErrConflict) ||
		errors.Is(err, bot.ErrDuplicate) || errors.Is(err, bot.ErrUnavailable) || errors.Is(err, bot.ErrInvalid) {
		return err
	}
	return fmt.Errorf("%w: redis store: %w", bot.ErrUnavailable, err)
}
