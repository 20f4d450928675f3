package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"
)

// turnBytes is about what one message makes the store write: her record, three entries
// of her journal, and what is found by them.
const turnBytes = 3000

// groupedCommits is what the disk takes at best: rows of the same size, put in by as many
// callers, and a commit for all who wait together.
func (b *bench) groupedCommits() (rate float64, err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "floor.db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE floor (n INTEGER PRIMARY KEY, k TEXT NOT NULL, v BLOB NOT NULL); CREATE INDEX floor_k ON floor (k)"); err != nil {
		return 0, err
	}
	type waiting struct {
		n    int64
		done chan error
	}
	wait := make(chan waiting, callers)
	value := make([]byte, turnBytes)
	var writing sync.WaitGroup
	writing.Go(func() {
		for first := range wait {
			group := []waiting{first}
			for len(wait) > 0 {
				group = append(group, <-wait)
			}
			err := func() error {
				tx, err := db.Begin()
				if err != nil {
					return err
				}
				for _, w := range group {
					if _, err := tx.Exec("INSERT INTO floor (k, v) VALUES (?, ?)", fmt.Sprint("key-", w.n), value); err != nil {
						return errors.Join(err, tx.Rollback())
					}
				}
				return tx.Commit()
			}()
			for _, w := range group {
				w.done <- err
			}
		}
	})
	rate, _, err = b.flood(func(i int64) error {
		w := waiting{i, make(chan error, 1)}
		wait <- w
		return <-w.done
	})
	close(wait)
	writing.Wait()
	return rate, err
}

// bareScripts is what Redis takes at best of the same bytes, by the same client.
func (b *bench) bareScripts(at string) (rate float64, err error) {
	at, _, _ = strings.Cut(at, "?")
	o, err := redis.ParseURL(at)
	if err != nil {
		return 0, errors.New("the URL of the Redis cannot be read")
	}
	o.PoolSize, o.MaxRetries = callers, -1
	client := redis.NewClient(o)
	defer func() { err = errors.Join(err, client.Close()) }()
	const prefix = "lookout-bench-floor:"
	keys := func(i int64) []string {
		p := fmt.Sprint(prefix, i%int64(b.Patients))
		return []string{p + ":p", p + ":j", p + ":o"}
	}
	defer func() {
		for i := range int64(b.Patients) {
			err = errors.Join(err, client.Del(context.Background(), keys(i)...).Err())
		}
	}()
	sha, err := client.ScriptLoad(b.ctx, `redis.call('SET', KEYS[1], ARGV[1]) redis.call('RPUSH', KEYS[2], ARGV[2], ARGV[3], ARGV[4]) redis.call('HSET', KEYS[3], ARGV[5], ARGV[6]) return 1`).Result()
	if err != nil {
		return 0, err
	}
	part := strings.Repeat("x", turnBytes/5)
	rate, _, err = b.flood(func(i int64) error {
		return client.EvalSha(b.ctx, sha, keys(i), part, part, part, part, i, part).Err()
	})
	return rate, err
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
