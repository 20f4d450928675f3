package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"

	"lookout/channels/sms/standin"
)

// What one text makes a store write: measured, of a person who writes SIGNS and is
// answered (see docs/scale.md).
const (
	recordBytes  = 800  // her record, written anew
	entriesBytes = 1100 // three entries of her journal
	messageBytes = 550  // the answer on its way
)

// commitsOfText is how often a text is committed to: her turn, the claim of its
// answer, and that it was sent. Delivery receipts, which come later, are not measured.
const commitsOfText = 3

// bareStore keeps what lookout would keep of a text, in as many commits, of as many
// rows and bytes, and decides nothing.
type bareStore struct {
	turn          func(n int64) error
	claim, settle func(batch []int64) error // in one commit
	close         func() error
}

// bareSQLite is such a store in a file. As many as wait together share a commit.
func (b *bench) bareSQLite() (*bareStore, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "floor.db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-32768)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	fail := func(err error) (*bareStore, error) { return nil, errors.Join(err, db.Close()) }
	if _, err := db.Exec(`CREATE TABLE person (n INTEGER PRIMARY KEY, wake INTEGER, v BLOB NOT NULL); CREATE INDEX person_wake ON person (wake);
		CREATE TABLE entry (n INTEGER PRIMARY KEY, person INTEGER, k TEXT NOT NULL, v BLOB NOT NULL); CREATE UNIQUE INDEX entry_k ON entry (k); CREATE INDEX entry_person ON entry (person, n);
		CREATE TABLE message (n INTEGER PRIMARY KEY, state INTEGER NOT NULL, carrier TEXT, v BLOB NOT NULL); CREATE INDEX message_leave ON message (n) WHERE state < 2; CREATE INDEX message_carrier ON message (carrier) WHERE carrier IS NOT NULL`); err != nil {
		return fail(err)
	}
	prepared := make(map[string]*sql.Stmt)
	for name, text := range map[string]string{
		"begin": "BEGIN IMMEDIATE", "commit": "COMMIT", "rollback": "ROLLBACK",
		"person": "INSERT INTO person (n, wake, v) VALUES (?1, ?2, ?3) ON CONFLICT (n) DO UPDATE SET wake = ?2, v = ?3",
		"entry":  "INSERT INTO entry (person, k, v) VALUES (?, ?, ?)", "message": "INSERT INTO message (n, state, v) VALUES (?, 0, ?)",
		"claim": "UPDATE message SET state = 1 WHERE n = ?", "settle": "UPDATE message SET state = 2, carrier = ?2 WHERE n = ?1",
	} {
		if prepared[name], err = db.Prepare(text); err != nil {
			return fail(err)
		}
	}
	type job struct {
		run  func() error
		done chan error
	}
	jobs := make(chan job, 1024)
	var writing sync.WaitGroup
	writing.Go(func() {
		for first := range jobs {
			group := []job{first}
			for len(jobs) > 0 && len(group) < 256 {
				group = append(group, <-jobs)
			}
			err := func() error {
				if _, err := prepared["begin"].Exec(); err != nil {
					return err
				}
				for _, j := range group {
					if err := j.run(); err != nil {
						_, undo := prepared["rollback"].Exec()
						return errors.Join(err, undo)
					}
				}
				_, err := prepared["commit"].Exec()
				return err
			}()
			for _, j := range group {
				j.done <- err
			}
		}
	})
	put := func(run func() error) error {
		j := job{run, make(chan error, 1)}
		jobs <- j
		return <-j.done
	}
	exec := func(name string, args ...any) error {
		_, err := prepared[name].Exec(args...)
		return err
	}
	record, entries, message := make([]byte, recordBytes), make([]byte, entriesBytes), make([]byte, messageBytes)
	return &bareStore{
		turn: func(n int64) error {
			return put(func() error {
				person := n % int64(b.Patients)
				return errors.Join(exec("person", person, n, record), exec("entry", person, fmt.Sprint("in:SM", n), entries), exec("message", n, message))
			})
		},
		claim: func(batch []int64) error {
			return put(func() (err error) {
				for _, n := range batch {
					err = errors.Join(err, exec("claim", n))
				}
				return err
			})
		},
		settle: func(batch []int64) error {
			return put(func() (err error) {
				for _, n := range batch {
					err = errors.Join(err, exec("settle", n, fmt.Sprint("SM", n)))
				}
				return err
			})
		},
		close: func() error {
			close(jobs)
			writing.Wait()
			return db.Close()
		},
	}, nil
}

// The scripts of a text in Redis: they write the keys that lookout does.
const (
	bareTurn = `redis.call('SET', KEYS[1], ARGV[1]) redis.call('RPUSH', KEYS[2], ARGV[2], ARGV[3], ARGV[4]) redis.call('HSET', KEYS[3], ARGV[5], ARGV[6], ARGV[5] .. ':s', ARGV[7])
redis.call('HSET', KEYS[4], ARGV[5], 'done') redis.call('HSET', KEYS[5], ARGV[5], ARGV[8]) redis.call('ZADD', KEYS[6], ARGV[5], ARGV[8]) redis.call('ZADD', KEYS[7], ARGV[5], ARGV[9]) redis.call('ZADD', KEYS[8], ARGV[5], ARGV[9]) return 1`
	bareClaim  = `redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) redis.call('HSET', KEYS[2], ARGV[1] .. ':s', ARGV[3]) redis.call('ZREM', KEYS[3], ARGV[2]) redis.call('ZADD', KEYS[4], ARGV[1], ARGV[2]) return 1`
	bareSettle = `redis.call('HSET', KEYS[5], ARGV[1], ARGV[2]) redis.call('HSET', KEYS[2], ARGV[1] .. ':s', ARGV[3], ARGV[1] .. ':c', ARGV[1]) redis.call('ZREM', KEYS[4], ARGV[2]) redis.call('ZREM', KEYS[6], ARGV[2]) redis.call('HDEL', KEYS[1], ARGV[1]) return 1`
)

// bareRedis is such a store in the Redis that lookout is measured on, by the same client.
func (b *bench) bareRedis(at string) (*bareStore, error) {
	at, _, _ = strings.Cut(at, "?")
	o, err := redis.ParseURL(at)
	if err != nil {
		return nil, errors.New("the URL of the Redis cannot be read")
	}
	o.PoolSize, o.MaxRetries = 2*callers, -1
	client := redis.NewClient(o)
	sha := make(map[string]string)
	for _, text := range []string{bareTurn, bareClaim, bareSettle} {
		if sha[text], err = client.ScriptLoad(b.ctx, text).Result(); err != nil {
			return nil, errors.Join(err, client.Close())
		}
	}
	const prefix = "lookout-bench-floor:"
	key := func(n int64, name string) string { return fmt.Sprint(prefix, n%int64(b.Patients), ":", name) }
	slot := func(n int64, name string) string { return fmt.Sprint(prefix, "s", n%128, ":", name) }
	standing := "0 0 0 0 0 0 4503605627370496 0 sms. 0123456789abcdef"
	member := func(n int64) string { return fmt.Sprint("0123456789abcdef:anytown-p0123456789abcdef-m", n) }
	run := func(text string, keys []string, args ...any) error {
		return client.EvalSha(b.ctx, sha[text], keys, args...).Err()
	}
	marks := func(text string, batch []int64) error {
		_, err := client.Pipelined(b.ctx, func(pipe redis.Pipeliner) error {
			for _, n := range batch {
				pipe.EvalSha(b.ctx, sha[text], []string{slot(n, "held"), key(n, "o"), slot(n, "ready"), slot(n, "later"), slot(n, "carrier"), slot(n, "unsettled")}, n, member(n), standing)
			}
			return nil
		})
		return err
	}
	record, entry, message := strings.Repeat("x", recordBytes), strings.Repeat("x", entriesBytes/3), strings.Repeat("x", messageBytes)
	return &bareStore{
		turn: func(n int64) error {
			return run(bareTurn, []string{key(n, "p"), key(n, "j"), key(n, "o"), key(n, "k"), slot(n, "keys"), slot(n, "due"), slot(n, "ready"), slot(n, "unsettled")},
				record, entry, entry, entry, n, message, standing, "1 anytown-p0123456789abcdef", member(n))
		},
		claim:  func(batch []int64) error { return marks(bareClaim, batch) },
		settle: func(batch []int64) error { return marks(bareSettle, batch) },
		close: func() error {
			sweepAway(o, prefix+"*")
			return client.Close()
		},
	}, nil
}

// bareDoor is the floor of the whole door, in a process of its own as lookout is: a
// handler that reads the form and says yes when the text is kept, and then claims its
// answer, has a carrier take it and keeps that, as many together as lookout does. It
// checks and decides nothing.
type bareDoor struct {
	b        *bench
	url      string
	stop     func()
	carrier  *standin.Carrier
	twilio   *httptest.Server
	answered atomic.Int64 // texts that it has given to its carrier
}

// bareDoor starts that process on a store of its own: a folder, or a Redis.
func (b *bench) bareDoor(store string) (*bareDoor, error) {
	d := &bareDoor{b: b, carrier: standin.New(benchSID, benchAuth)}
	d.carrier.Receipts = false
	d.carrier.OnMessage = func(standin.Message) { d.answered.Add(1) }
	d.twilio = httptest.NewServer(d.carrier)
	end := func() { d.twilio.Close(); d.carrier.Close() }
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		end()
		return nil, err
	}
	addr := listener.Addr().String()
	listener.Close()
	self, err := os.Executable()
	if err != nil {
		end()
		return nil, err
	}
	process := exec.CommandContext(b.ctx, self, "bench", "--store", b.kind, "--patients", fmt.Sprint(b.Patients), "--bare-door", strings.Join([]string{addr, d.twilio.URL, store}, " "))
	var log bytes.Buffer
	process.Stderr = &log
	if err := process.Start(); err != nil {
		end()
		return nil, err
	}
	ended := make(chan struct{})
	go func() { _ = process.Wait(); close(ended) }() // how it ends is in its log
	d.url, d.stop = "http://"+addr, func() {
		_ = process.Process.Signal(os.Interrupt) // it may have ended
		<-ended
		end()
	}
	for range 200 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			return d, conn.Close()
		}
		select {
		case <-ended:
			d.stop()
			return nil, fmt.Errorf("the bare door ended: %s", &log)
		case <-time.After(25 * time.Millisecond):
		}
	}
	d.stop()
	return nil, errors.New("the bare door does not open")
}

// text is one text to the bare door.
func (d *bareDoor) text(i int64) error { return d.b.text(d.url, i) }

// The bare door sends as package bot does: so many in a batch, so many batches at once.
const (
	bareBatch   = 32
	bareBatches = 2
)

// serveBareDoor is that process: where says its address, its carrier, and its store.
func (b *bench) serveBareDoor(where string) (err error) {
	part := strings.Fields(where)
	if len(part) != 3 {
		return errors.New("--bare-door is for lookout bench itself")
	}
	var store *bareStore
	if b.kind == "redis" {
		store, err = b.bareRedis(part[2])
	} else {
		b.dir = part[2]
		store, err = b.bareSQLite()
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	answers := make(chan int64, 1<<20)
	var next atomic.Int64
	server := &http.Server{Addr: part[0], ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := next.Add(1)
		if err := errors.Join(r.ParseForm(), store.turn(n)); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		answers <- n
	})}
	for range bareBatches {
		go func() {
			for {
				batch := []int64{<-answers}
				for len(answers) > 0 && len(batch) < bareBatch {
					batch = append(batch, <-answers)
				}
				if err := b.sendBare(store, part[1], batch); err != nil && b.ctx.Err() == nil { // then it is never answered, and the measurement fails
					fmt.Fprintln(b.err, err)
				}
			}
		}()
	}
	go func() { <-b.ctx.Done(); server.Close() }()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// sendBare claims a batch, gives it to the carrier, and keeps that it went.
func (b *bench) sendBare(store *bareStore, carrier string, batch []int64) error {
	if err := store.claim(batch); err != nil {
		return err
	}
	err := b.atOnce(len(batch), func(i int) error {
		form := url.Values{"To": {benchPhone(batch[i] % int64(b.Patients))}, "From": {"+447700900001"}, "Body": {strings.Repeat("x", 290)}}
		r, err := http.NewRequestWithContext(b.ctx, http.MethodPost, carrier+"/2010-04-01/Accounts/"+benchSID+"/Messages.json", strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		r.SetBasicAuth(benchSID, benchAuth)
		r.Header.Set("Content-Type", formKind)
		response, err := b.client.Do(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	})
	return errors.Join(err, store.settle(batch))
}

// redis gives a server to measure on: the given one, or one that is started.
func (b *bench) redis() (at string, stop func(), err error) {
	if b.Redis != "" {
		o, err := redis.ParseURL(b.Redis)
		if err != nil || strings.Contains(b.Redis, "?") {
			return "", nil, errors.New("--redis must be the URL of one server, like redis://:PASSWORD@HOST:6379")
		}
		return b.Redis + "?prefix=lookout-bench", func() { sweepAway(o, "lookout-bench:*") }, nil
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", nil, errors.New("there is no redis-server on the PATH: give one by --redis, or measure --store sqlite alone")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	listener.Close()
	server := exec.CommandContext(b.ctx, path, "--bind", "127.0.0.1", "--port", port, "--dir", b.dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = server.Process.Kill(); _ = server.Wait() } // all that it holds is thrown away
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port})
	defer client.Close()
	for range 200 {
		if client.Ping(b.ctx).Err() == nil {
			return "redis://127.0.0.1:" + port, stop, nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	stop()
	return "", nil, errors.New("the redis-server does not answer")
}

// sweepAway removes what the bench has written to somebody's Redis.
func sweepAway(o *redis.Options, pattern string) {
	client := redis.NewClient(o)
	defer client.Close()
	all := client.Scan(context.Background(), 0, pattern, 1000).Iterator()
	for all.Next(context.Background()) {
		client.Unlink(context.Background(), all.Val())
	}
}

// bareHandler is what HTTP itself takes: a handler that reads the form and says yes.
func (b *bench) bareHandler() error {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = r.ParseForm() }))
	defer server.Close()
	body := url.Values{"MessageSid": {"SM00000000000000000000000000000001"}, "From": {"+447700900001"}, "Body": {"no nothing new thanks"}}.Encode()
	rate, _, err := b.flood(func(int64) error {
		response, err := b.client.Post(server.URL, formKind, strings.NewReader(body))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	})
	b.row("floor: bare HTTP handler", rate, nil)
	return err
}

// echo is what sockets take: a server that sends back what it gets.
func (b *bench) echo() error {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			kind, text, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(kind, text) != nil {
				return
			}
		}
	}))
	defer server.Close()
	conns := make(chan *websocket.Conn, callers)
	defer func() {
		for len(conns) > 0 {
			(<-conns).Close()
		}
	}()
	for range callers {
		conn, _, err := websocket.DefaultDialer.DialContext(b.ctx, "ws"+strings.TrimPrefix(server.URL, "http"), nil)
		if err != nil {
			return err
		}
		conns <- conn
	}
	rate, _, err := b.flood(func(int64) error {
		conn := <-conns
		defer func() { conns <- conn }()
		if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"say","id":"1","text":"no nothing new thanks"}`)); err != nil {
			return err
		}
		_, _, err := conn.ReadMessage()
		return err
	})
	b.row("floor: plain echo socket", rate, nil)
	return err
}
