package widget

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// asset is a file that a page loads, ready to be served. It is packed once, and holds
// nothing of anybody: her pages, which do, are not packed, so that their length tells
// nothing of what is in them to whoever can make her load one.
type asset struct {
	kind, cache   string
	plain, packed []byte
}

// loadAssets are the files of the pages: the element with what it says of this service,
// the service worker, and the style.
func (c *Chat) loadAssets() (map[string]*asset, error) {
	s := c.Bot.Service()
	team, err := json.Marshal(map[string]any{"service": s.Name, "nurseLine": s.NurseLine, "chat": c.PublicURL + "/chat", "origins": c.Origins, "away": harmless, "push": c.Push.key()})
	if err != nil {
		return nil, err
	}
	const script = "text/javascript; charset=utf-8"
	out := map[string]*asset{
		"/chat/widget.js": {kind: script, cache: "public, max-age=600"},
		"/chat/push.js":   {kind: script, cache: "no-cache"},
		"/chat/chat.css":  {kind: "text/css; charset=utf-8", cache: "public, max-age=3600"},
	}
	for path, file := range map[string]string{"/chat/widget.js": "chat.js", "/chat/push.js": "push.js", "/chat/chat.css": "chat.css"} {
		a := out[path]
		if a.plain, err = files.ReadFile("assets/" + file); err != nil {
			return nil, err
		}
		a.plain = bytes.Replace(a.plain, []byte("LOOKOUT_TEAM"), team, 1)
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return nil, err
		}
		z.Write(a.plain)
		if err := z.Close(); err != nil {
			return nil, err
		}
		a.packed = packed.Bytes()
	}
	return out, nil
}

// serve gives the file, to a hospital's page too.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	head, body := w.Header(), a.plain
	head.Set("Content-Type", a.kind)
	head.Set("Cache-Control", a.cache)
	head.Set("Cross-Origin-Resource-Policy", "cross-origin")
	head.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		head.Set("Content-Encoding", "gzip")
		body = a.packed
	}
	head.Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}
