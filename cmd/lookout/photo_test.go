package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/jpeg"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/storetest"
	"lookout/channels/desk"
)

// aPhoto is a small photo, with the note of a camera that must not be kept.
func aPhoto(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 40, 30)), nil); err != nil {
		t.Fatal(err)
	}
	note := []byte("\xff\xfe\x00\x15GPS Zebedeemarker")
	note[3] = byte(len(note) - 2)
	return bytes.Join([][]byte{b.Bytes()[:2], note, b.Bytes()[2:]}, nil)
}

// sendPhotos posts the chat's form as a browser without JavaScript does; accept asks for
// JSON, as the element does.
func (w *world) sendPhotos(c *http.Client, id, words, accept string, want int, photos ...[]byte) string {
	w.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	form.WriteField("id", id)
	form.WriteField("words", words)
	if len(photos) == 0 {
		form.CreateFormFile("photo", "") // what a browser sends when none was chosen
	}
	for _, photo := range photos {
		part, _ := form.CreateFormFile("photo", "holiday.exe")
		part.Write(photo)
	}
	form.Close()
	r, _ := http.NewRequest("POST", w.url+"/chat/say", &b)
	r.Header.Set("Content-Type", form.FormDataContentType())
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	response, err := c.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	page, _ := io.ReadAll(response.Body)
	if response.StatusCode != want {
		w.Fatalf("photos: %d, want %d: %s", response.StatusCode, want, page)
	}
	return string(page)
}

// atTheDesk is the browser of a member of the team who has signed in.
func (w *world) atTheDesk(email string, role bot.Role) *http.Client {
	w.Helper()
	hash, err := desk.HashPassword("harbour lemon ladder")
	if err != nil {
		w.Fatal(err)
	}
	if err := w.process.bot.PutUser(w.Context(), bot.User{Email: email, Name: "Ann Price", Role: role, Service: w.process.bot.Service().ID, Password: hash}); err != nil {
		w.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	w.submit(c, "/desk/sign-in", url.Values{"email": {email}, "password": {"harbour lemon ladder"}}, 200)
	return c
}

// A photo goes from the chat to the nurse and nowhere else: made anew, encrypted in the
// store, opened by who works the queue alone, with an entry in the audit each time; it
// moves with a store, and goes when she is erased.
func TestChatPhoto(t *testing.T) {
	path := "sqlite:" + filepath.Join(t.TempDir(), "lookout.db")
	w := newWorldOn(t, path)
	id := w.enrol("Mary", mary)
	c := w.opened(id)
	page := w.sendPhotos(c, "p1", "", "", 200, aPhoto(t), aPhoto(t))
	if !strings.Contains(page, "Photos, which only your nurses see: 2") || !strings.Contains(page, "Thank you for the picture") {
		t.Errorf("she is not told that it has come: %s", page)
	}
	if page := w.sendPhotos(c, "p1", "", "", 200, aPhoto(t), aPhoto(t)); strings.Count(page, "Photos, which") != 1 {
		t.Error("the same message twice is there twice")
	}
	if rows := w.rows("open"); len(rows) != 1 || rows[0]["level"] != "routine" || rows[0]["message"] != "(sent 2 photos)" {
		t.Errorf("rows: %v", rows)
	}
	if stored := w.sendPhotos(c, "p2", "found a lump in my breast", "application/json", 200, aPhoto(t)); !strings.Contains(stored, "stored") {
		t.Errorf("the element is told %s", stored)
	}
	for name, x := range map[string]struct {
		photos [][]byte
		want   string
	}{
		"no photo":  {[][]byte{[]byte("<script>alert(1)</script>")}, "photo_type"},
		"too many":  {[][]byte{aPhoto(t), aPhoto(t), aPhoto(t), aPhoto(t)}, "photo_many"},
		"too large": {[][]byte{make([]byte, 10<<20+1)}, "photo_big"},
	} {
		var r struct{ Type, Why string }
		if err := json.Unmarshal([]byte(w.sendPhotos(c, "bad "+name, "", "application/json", 422, x.photos...)), &r); err != nil || r.Type != "refused" || r.Why != x.want {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if page := w.sendPhotos(c, "bad", "my words", "", 422, []byte("<html>")); !strings.Contains(page, "not a photo that we can read") || !strings.Contains(page, ">my words</textarea>") {
		t.Error("a form with what is no photo loses her words, or does not say what is wrong")
	}
	if page := w.sendPhotos(c, "plain", "hello from the form", "", 200); !strings.Contains(page, "hello from the form") {
		t.Error("a form without a photo does not send her words")
	}
	jar, _ := cookiejar.New(nil)
	w.sendPhotos(&http.Client{Jar: jar}, "x", "", "", 401, aPhoto(t))

	// At the desk.
	other := w.enrol("Bea", "+447700900124")
	ann, ida := w.atTheDesk("ann@anytown.example", bot.Nurse), w.atTheDesk("ida@anytown.example", bot.Admin)
	names := regexp.MustCompile(`/photos/([0-9a-f]+)"><img`).FindAllStringSubmatch(w.fetch(ann, w.url+"/desk/patients/"+id, 200), -1)
	if len(names) != 3 {
		t.Fatalf("her case shows %d photos", len(names))
	}
	address := "/desk/patients/" + id + "/photos/" + names[0][1]
	response, err := ann.Get(w.url + address)
	if err != nil {
		t.Fatal(err)
	}
	photo, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if p, err := jpeg.Decode(bytes.NewReader(photo)); err != nil || p.Bounds().Dx() != 40 || bytes.Contains(photo, []byte("Zebedeemarker")) {
		t.Errorf("the nurse sees %v", err)
	}
	for name, want := range map[string]string{"Content-Type": "image/jpeg", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	w.fetch(ida, w.url+address, 403)
	w.fetch(ann, w.url+strings.Replace(address, id, other, 1), 404)
	if page := w.fetch(c, w.url+address, 200); !strings.Contains(page, "Password") {
		t.Error("her own session opens the desk's photo")
	}
	looks := 0
	log, err := w.process.bot.AuditLog(t.Context(), 0, 1000)
	for _, e := range log {
		if e.Did == "look at photo" && e.By == "ann@anytown.example" && e.Patient == id && e.Ref == names[0][1] {
			looks++
		}
	}
	if looks != 1 || err != nil {
		t.Errorf("the audit has %d looks at it, %v", looks, err)
	}
	kept, err := w.process.store.Value(t.Context(), "photos/"+id, names[0][1], w.clock.now())
	if err != nil || bytes.Contains(kept, photo[:20]) {
		t.Errorf("it is kept as it is, or not at all: %v", err)
	}

	// With the store, to Redis; and away with her.
	w.stop()
	to := "redis://" + storetest.StartRedis(t).Addr
	if out, err := lookout(t, "", "migrate", "--from", path, "--to", to); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	w = newWorldOn(t, to, func(s *settings) { s.Service.KeepYears = 8 })
	if moved, err := w.process.bot.Photo(t.Context(), id, names[0][1]); err != nil || !bytes.Equal(moved, photo) {
		t.Errorf("after the move the photo is another: %v", err)
	}
	for _, row := range w.rows("open") {
		at := "/api/v1/queue/" + row["id"].(string)
		w.call("POST", at+"/claim", `{"by":"ann@anytown.example"}`, 200)
		w.call("POST", at+"/close", `{"by":"ann@anytown.example","outcome":"clinic"}`, 200)
	}
	w.reply(mary, "STOP")
	w.clock.forward(9 * 366 * 24 * time.Hour)
	ghost := "anytown-p0000000000000000" // whose erasure was cut short
	for drawer, key := range map[string]string{"erasing": ghost, "photos/" + ghost: "x"} {
		if err := w.process.store.PutValue(t.Context(), drawer, key, []byte("1"), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := w.process.bot.Retain(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d erased, %v", n, err)
	}
	for _, drawer := range []string{"photos/" + id, "photos/" + ghost, "erasing"} {
		if left, err := w.process.store.Values(t.Context(), drawer, w.clock.now()); len(left) != 0 || err != nil {
			t.Errorf("%d values of people who were erased are left in %s, %v", len(left), drawer, err)
		}
	}
}

// On an encrypted store a photo lies in none of the store's files as it is, nor does the
// key that seals it; the nurse has it before her on the case, which is sound with it.
func TestPhotoOnAnEncryptedStore(t *testing.T) {
	folder := t.TempDir()
	keyset, path := filepath.Join(folder, "keyset"), filepath.Join(folder, "lookout.db")
	if _, err := in(t, []string{"LOOKOUT_STORE=sqlite:" + path, "LOOKOUT_KEYSET_FILE=" + keyset}, "keys", "make", keyset); err != nil {
		t.Fatal(err)
	}
	w := newWorldOn(t, "sqlite:"+path, func(s *settings) { s.KeysetFile = keyset })
	id := w.enrol("Mary", mary)
	w.sendPhotos(w.opened(id), "p1", "my scar looks like this zebedeewords", "", 200, aPhoto(t))
	w.atTheDesk("ann@anytown.example", bot.Nurse)
	ann := newBrowser(t).tab()
	ann.signIn(w.url, "ann@anytown.example", "harbour lemon ladder")
	ann.open(w.url + "/desk/patients/" + id)
	ann.click("summary", "Look at the photo")
	ann.until("document.querySelector('.desk-photo')?.naturalWidth===40")
	ann.sound("case, with a photo")
	name := js[string](ann, "document.querySelector('.desk-photo').src.split('/').pop()")
	photo, err := w.process.bot.Photo(t.Context(), id, name)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := w.process.store.Values(t.Context(), "keys", w.clock.now())
	if err != nil || len(keys) == 0 {
		t.Fatalf("the store has no keys: %v", err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for what, secret := range map[string][]byte{"the photo": photo[:40], "what a JPEG begins with": photo[:11], "its end": photo[len(photo)-40:], "her words": []byte("zebedeewords")} {
			if bytes.Contains(text, secret) {
				t.Errorf("%s holds %s in the clear", filepath.Base(file), what)
			}
		}
		for which, key := range keys {
			if bytes.Contains(text, key) {
				t.Errorf("%s holds the key %s in the clear", filepath.Base(file), which)
			}
		}
	}
}
