package widget

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"lookout/bot"
)

// The bounds of a socket: a client that is silent or slow for longer is dropped,
// and takes up again where it was.
const (
	writeWait = 10 * time.Second
	pongWait  = 60 * time.Second
	pingEvery = 25 * time.Second
	maxFrame  = 16 << 10 // bytes; a message of maxWords with every character escaped in two
	perPerson = 10       // sockets and waiting requests of one person; the oldest goes
)

// Close codes of our own (RFC 6455, 7.4.2: 4000 to 4999).
const (
	closeSignedOut = 4401
	closeTooMany   = 4409
)

// client is one page that waits for news. Nothing is queued for it but a sign that
// there is some: what it lacks is in the store, so that a slow page costs nothing.
type client struct {
	session
	conn *websocket.Conn
	wake chan struct{} // there may be news
	over chan int      // a close code: it shall end
	out  chan reply    // what became of its messages, and the hello that the reader has heard
	done chan struct{} // closed when its reader ends
}

// hub knows who waits. It listens to the bot once for all of them.
type hub struct {
	mu      sync.Mutex
	persons map[string][]*client
	count   int
}

func (h *hub) add(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.persons[c.Patient]
	if len(all) >= perPerson {
		all[0].finish(closeTooMany)
	}
	h.persons[c.Patient] = append(all, c)
	h.count++
}

func (h *hub) remove(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.persons[c.Patient]
	for i, x := range all {
		if x == c {
			all = append(all[:i:i], all[i+1:]...)
			h.count--
			break
		}
	}
	if len(all) == 0 {
		delete(h.persons, c.Patient)
		return
	}
	h.persons[c.Patient] = all
}

// listen passes hints on until they end.
func (h *hub) listen(hints <-chan bot.Hint) {
	for hint := range hints {
		h.mu.Lock()
		if hint.Patient != "" {
			for _, c := range h.persons[hint.Patient] {
				c.rouse()
			}
		} else {
			for _, all := range h.persons {
				for _, c := range all {
					c.rouse()
				}
			}
		}
		h.mu.Unlock()
	}
}

func (h *hub) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

func (c *client) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *client) finish(code int) {
	select {
	case c.over <- code:
	default:
	}
}

// frame is what a page sends: "hello" with the last line that it has, or "say".
type frame struct {
	Type  string `json:"type"`
	After int64  `json:"after"`
	ID    string `json:"id"`
	Text  string `json:"text"`
	// Answers are those of a form.
	Answers []frameAnswer `json:"answers"`
}

type frameAnswer struct {
	Question string `json:"q"`
	Text     string `json:"text"`
}

// answers are those of a form, as the bot has them.
func (f *frame) answers() []bot.FormAnswer {
	var out []bot.FormAnswer
	for _, a := range f.Answers {
		if text := strings.TrimSpace(a.Text); text != "" {
			out = append(out, bot.FormAnswer{Question: a.Question, Text: text})
		}
	}
	return out
}

// parseFrame reads a frame; false: it is none, and the page is not one of ours.
func parseFrame(text []byte) (frame, bool) {
	var f frame
	if json.Unmarshal(text, &f) != nil || f.After < 0 || (f.Type != "hello" && f.Type != "say") {
		return frame{}, false
	}
	return f, true
}

// buffers are lent to a socket for the time of a write.
var buffers sync.Pool

// socket begins one page's live connection: one goroutine reads it, one writes to
// it, and this one ends, so that the server's own memory of the request goes free.
func (c *Chat) socket(w http.ResponseWriter, r *http.Request) {
	s, err := c.who(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if !c.upgrade.CheckOrigin(r) {
		http.Error(w, "this page may not connect here", http.StatusForbidden)
		return
	}
	conn, err := c.upgrade.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	conn.SetReadLimit(maxFrame)
	if s.Patient == "" {
		// A browser does not tell its page why a socket was refused, but by what it was closed.
		bye(conn, closeSignedOut, "")
		return
	}
	p := &client{session: s, conn: conn, wake: make(chan struct{}, 1), over: make(chan int, 1), out: make(chan reply, 4), done: make(chan struct{})}
	c.hub.add(p)
	go c.read(p)
	go c.write(p)
}

// bye closes a socket with a code and a reason.
func bye(conn *websocket.Conn, code int, reason string) {
	conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(writeWait))
	conn.Close()
}

// read is the one reader of a socket. It takes one message at a time: while the store
// is slow, the page waits.
func (c *Chat) read(p *client) {
	defer close(p.done)
	p.conn.SetReadDeadline(time.Now().Add(pongWait))
	p.conn.SetPongHandler(func(string) error { return p.conn.SetReadDeadline(time.Now().Add(pongWait)) })
	ctx := context.Background()
	for {
		_, text, err := p.conn.ReadMessage()
		if err != nil {
			return
		}
		f, ok := parseFrame(text)
		if !ok {
			p.finish(websocket.ClosePolicyViolation)
			return
		}
		answer := reply{Type: "hello", ID: strconv.FormatInt(f.After, 10)}
		if f.Type == "say" {
			// The session may have ended since the socket began: on another page, or in time.
			s, err := c.still(ctx, p.session)
			if errors.Is(err, errOut) {
				p.finish(closeSignedOut)
				return
			}
			if err == nil {
				err = c.take(ctx, s, f.ID, f.Text, f.answers())
			}
			answer = said(f.ID, err)
		}
		select {
		case p.out <- answer:
		case <-time.After(c.WriteWait): // the page does not read
			return
		}
	}
}

// write is the one writer of a socket.
func (c *Chat) write(p *client) {
	defer c.hub.remove(p)
	defer p.conn.Close() // ends the reader
	ping := time.NewTicker(c.PingEvery)
	defer ping.Stop()
	v := viewer{chat: c, client: p}
	for ok := true; ok; {
		select {
		case <-p.done:
			select {
			case code := <-p.over:
				bye(p.conn, code, "")
			default:
			}
			return
		case code := <-p.over:
			bye(p.conn, code, "")
			return
		case <-c.Stopping:
			// So many at once must not all come back at once: each is told when.
			bye(p.conn, websocket.CloseServiceRestart, strconv.Itoa(200+rand.IntN(1000+2*c.hub.size())))
			return
		case <-ping.C:
			// A hint that she has left may be lost; that the store does not answer is no end.
			ctx, cancel := context.WithTimeout(context.Background(), writeWait)
			_, err := c.still(ctx, p.session)
			if cancel(); errors.Is(err, errOut) {
				bye(p.conn, closeSignedOut, "")
				return
			}
			ok = p.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)) == nil
		case <-p.wake:
			ok = !v.hello || v.news(false)
		case answer := <-p.out:
			ok = v.answer(answer)
		}
	}
}

// viewer is what a socket's page has seen.
type viewer struct {
	chat   *Chat
	client *client
	hello  bool
	seq    int64
	told   string // the state that it was told last
}

func (v *viewer) send(x any) bool {
	v.client.conn.SetWriteDeadline(time.Now().Add(v.chat.WriteWait))
	return v.client.conn.WriteJSON(x) == nil
}

// answer tells what became of a message; a hello is answered by news.
func (v *viewer) answer(r reply) bool {
	if r.Type != "hello" {
		return v.send(r)
	}
	v.seq, _ = strconv.ParseInt(r.ID, 10, 64)
	v.hello = true
	return v.news(true)
}

// news sends what the page lacks; when that is nothing, only if it was asked for.
func (v *viewer) news(asked bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), writeWait)
	defer cancel()
	n, err := v.chat.newsFor(ctx, v.client.session, v.seq)
	if errors.Is(err, errOut) {
		bye(v.client.conn, closeSignedOut, "")
		return false
	}
	if err != nil {
		return false // it comes back, and asks again
	}
	now, err := json.Marshal(n.state)
	if err != nil {
		return false
	}
	if !asked && len(n.Lines) == 0 && n.Read == 0 && string(now) == v.told {
		return true
	}
	v.seq, v.told = n.last(v.seq), string(now)
	return v.send(n)
}
