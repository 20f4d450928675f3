package storetest

import (
	"bufio"
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Redis is a real redis-server (or Sentinel) of a test, on a loopback port of its
// own, ended with the test. It keeps what it is told: an append-only file, synced
// always, and no eviction, unless the test's own settings say otherwise.
type Redis struct {
	Addr string
	Dir  string

	args []string
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	lines []string      // of its log
	more  chan struct{} // closed and made anew with each line
}

// StartRedis starts a redis-server. settings are further ones, as on its command
// line ("--appendfsync", "everysec"); the last of one name counts.
func StartRedis(tb testing.TB, settings ...string) *Redis {
	tb.Helper()
	r := &Redis{Dir: tb.TempDir(), more: make(chan struct{})}
	settings = append([]string{"--bind", "127.0.0.1", "--dir", r.Dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
		"--maxmemory-policy", "noeviction", "--daemonize", "no", "--logfile", ""}, settings...)
	// A file, and not the command line: Sentinels have the server write into it whose
	// replica it is now, and started again it knows.
	file := r.Dir + "/redis.conf"
	var conf strings.Builder
	for i := 0; i+1 < len(settings); i += 2 {
		if name := strings.TrimPrefix(settings[i], "--"); name == "replicaof" || name == "rename-command" { // of two words
			fmt.Fprintln(&conf, name, settings[i+1])
		} else {
			fmt.Fprintf(&conf, "%s %q\n", name, settings[i+1])
		}
	}
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	r.args = []string{file}
	r.begin(tb, "Ready to accept connections")
	return r
}

// StartSentinel starts a Sentinel that watches a master of that name, and with so
// many others (quorum) holds it for dead after four seconds: longer than a busy machine stands still.
func StartSentinel(tb testing.TB, name, addr string, quorum int) *Redis {
	tb.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	r := &Redis{Dir: tb.TempDir(), more: make(chan struct{})}
	file := r.Dir + "/sentinel.conf"
	conf := fmt.Sprintf("dir %s\nbind 127.0.0.1\nsentinel monitor %s %s %s %d\nsentinel down-after-milliseconds %s 4000\nsentinel failover-timeout %s 6000\nsentinel parallel-syncs %s 2\n",
		r.Dir, name, host, port, quorum, name, name, name)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		tb.Fatal(err)
	}
	r.args = []string{file, "--sentinel", "--logfile", ""}
	r.begin(tb, "+monitor master")
	return r
}

func (r *Redis) begin(tb testing.TB, ready string) {
	tb.Helper()
	for range 10 {
		r.Addr = FreeAddr(tb)
		if r.start(tb, ready) {
			tb.Cleanup(r.Kill)
			return
		}
	}
	tb.Fatal("redis-server does not start")
}

// FreeAddr is a loopback address at which nobody listens, most likely.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// serverCommand is the server that the tests run: redis-server, or what the environment
// names, such as valkey-server (`make valkey`).
func serverCommand() string { return cmp.Or(os.Getenv("REDIS_SERVER"), "redis-server") }

// Synced is what a replica says when it has all that its master has: Redis calls that a
// master, Valkey a primary.
const Synced = " <-> REPLICA sync: Finished with success"

// start runs the server and waits until it says that it is ready, or ends.
func (r *Redis) start(tb testing.TB, ready string) bool {
	tb.Helper()
	_, port, _ := net.SplitHostPort(r.Addr)
	cmd := exec.Command(serverCommand(), append(append([]string{}, r.args...), "--port", port)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		tb.Fatalf("%v: .ci/setup installs what the tests need", err)
	}
	done := make(chan struct{})
	r.cmd, r.done = cmd, done
	from := r.Said()
	go func() {
		defer close(done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			r.mu.Lock()
			r.lines = append(r.lines, lines.Text())
			close(r.more)
			r.more = make(chan struct{})
			r.mu.Unlock()
		}
		_ = cmd.Wait() // killed, mostly
	}()
	return r.await(ready, from)
}

// Said is how many lines its log has: a place from which to [Redis.Await] one.
func (r *Redis) Said() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines)
}

// Await waits until its log has a line, from a place on, that holds the text.
func (r *Redis) Await(tb testing.TB, text string, from int) {
	tb.Helper()
	if !r.await(text, from) {
		tb.Fatalf("redis-server at %s ended before it said %q", r.Addr, text)
	}
}

func (r *Redis) await(text string, from int) bool {
	for {
		r.mu.Lock()
		for ; from < len(r.lines); from++ {
			if strings.Contains(r.lines[from], text) {
				r.mu.Unlock()
				return true
			}
		}
		more := r.more
		r.mu.Unlock()
		select {
		case <-more:
		case <-r.done:
			select {
			case <-more: // its last words
			default:
				return false
			}
		}
	}
}

// Kill ends it at once, as a power cut would its process.
func (r *Redis) Kill() {
	r.Signal(syscall.SIGKILL)
	<-r.done
}

// Signal sends it a signal: SIGSTOP and SIGCONT pause it.
func (r *Redis) Signal(s syscall.Signal) {
	_ = r.cmd.Process.Signal(s) // it may have ended
}

// Again starts it once more, on the same port and files, after a Kill.
func (r *Redis) Again(tb testing.TB) {
	tb.Helper()
	for range 50 { // its port may not be free at once
		if r.start(tb, "Ready to accept connections") {
			return
		}
	}
	tb.Fatal("redis-server does not start again")
}

// Set changes a setting of a server that runs.
func (r *Redis) Set(tb testing.TB, name, value string) {
	tb.Helper()
	conn, err := net.Dial("tcp", r.Addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "CONFIG SET %s %s\r\n", name, value)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(answer, "+OK") {
		tb.Fatalf("CONFIG SET %s: %q, %v", name, answer, err)
	}
}

// Watched is a master with replicas, and the Sentinels that watch it.
type Watched struct {
	Servers   []*Redis // the first is the master, at first
	Sentinels []*Redis
	URL       string
}

// StartWatched starts a master with replicas and three Sentinels, and waits until
// all know each other.
func StartWatched(tb testing.TB, replicas int, settings ...string) *Watched {
	tb.Helper()
	w := &Watched{Servers: []*Redis{StartRedis(tb, settings...)}}
	master := w.Servers[0]
	host, port, _ := net.SplitHostPort(master.Addr)
	for range replicas {
		from := master.Said()
		r := StartRedis(tb, append(settings, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")...)
		r.Await(tb, Synced, 0)
		master.Await(tb, "Synchronization with replica", from)
		w.Servers = append(w.Servers, r)
	}
	var hosts []string
	for range 3 {
		s := StartSentinel(tb, "lookout", master.Addr, 2)
		w.Sentinels = append(w.Sentinels, s)
		hosts = append(hosts, s.Addr)
	}
	for _, s := range w.Sentinels {
		for _, r := range w.Servers[1:] {
			_, port, _ := net.SplitHostPort(r.Addr)
			s.Await(tb, fmt.Sprintf("+slave slave 127.0.0.1:%s", port), 0)
		}
		for range 2 {
			s.Await(tb, "+sentinel sentinel", 0)
		}
	}
	w.URL = "redis+sentinel://" + strings.Join(hosts, ",") + "/lookout"
	return w
}

// FailOver kills the first master, and waits until the Sentinels have named another,
// whose address it gives.
func (w *Watched) FailOver(tb testing.TB) string {
	tb.Helper()
	from := w.Said()
	w.Servers[0].Kill()
	return w.AwaitSwitch(tb, from)
}

// Said is how many lines the log of each Sentinel has.
func (w *Watched) Said() (from []int) {
	for _, s := range w.Sentinels {
		from = append(from, s.Said())
	}
	return from
}

// AwaitSwitch waits until each Sentinel names another master, from a place in its
// log on, and gives its address.
func (w *Watched) AwaitSwitch(tb testing.TB, from []int) string {
	tb.Helper()
	line := ""
	for i, s := range w.Sentinels {
		s.Await(tb, "+switch-master lookout", from[i])
		s.mu.Lock()
		for _, said := range s.lines[from[i]:] {
			if strings.Contains(said, "+switch-master lookout") {
				line = said
			}
		}
		s.mu.Unlock()
	}
	words := strings.Fields(line) // … +switch-master NAME OLD-IP OLD-PORT NEW-IP NEW-PORT
	return net.JoinHostPort(words[len(words)-2], words[len(words)-1])
}
