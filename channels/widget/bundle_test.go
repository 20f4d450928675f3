package widget

import (
	"bytes"
	"compress/gzip"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"lookout/bot"
)

var write = flag.Bool("write", false, "write assets/chat.js anew (go generate does)")

// bundle makes a script of element/*.ts: chat, the element, or push, the service worker.
func bundle(t *testing.T, name string) []byte {
	t.Helper()
	made := api.Build(api.BuildOptions{
		EntryPoints: []string{"element/" + name + ".ts"}, Bundle: true, Format: api.FormatIIFE, Target: api.ES2022, Charset: api.CharsetUTF8,
		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true, LegalComments: api.LegalCommentsNone,
		Loader:      map[string]api.Loader{".css": api.LoaderText},
		TsconfigRaw: "{}", // the one beside it is for checking types
	})
	for _, m := range made.Errors {
		t.Errorf("%v", m)
	}
	if len(made.OutputFiles) != 1 {
		t.FailNow()
	}
	return made.OutputFiles[0].Contents
}

// The scripts that are served are what element/ makes.
func TestBundleIsFresh(t *testing.T) {
	for _, name := range []string{"chat", "push"} {
		script, file := bundle(t, name), "assets/"+name+".js"
		if *write {
			if err := os.WriteFile(file, script, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		served, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(served, script) {
			t.Errorf("%s is not what element/ makes: run go generate ./channels/widget", file)
		}
	}
}

// Whatever keeps a carer out is said in either language, and days and months are its own.
func TestCarerFaultsInBothLanguages(t *testing.T) {
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{english, welsh} {
		for _, fault := range bot.CarerFaults {
			if words[lang][carerBad+string(fault)] == "" {
				t.Errorf("%s is not said in %s", fault, lang)
			}
		}
	}
	at := time.Date(2026, 11, 4, 9, 5, 0, 0, time.UTC)
	if got := clock(welsh, at) + "; " + clock(english, at) + "; " + born(welsh, "1961-04-30") + "; " + born(english, "1961-04-30"); got != "Mer 4 Tach, 09:05; Wed 4 Nov, 09:05; 30 Ebrill 1961; 30 April 1961" {
		t.Error(got)
	}
}

// What a phone must load for her first look at her messages, without the page itself.
func TestElementIsSmall(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for _, name := range []string{"assets/chat.js", "assets/push.js", "assets/chat.css"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		z.Write(text)
	}
	z.Close()
	if packed.Len() > 30<<10 {
		t.Errorf("script and style are %d bytes gzipped, and may be 30 kB", packed.Len())
	}
	t.Logf("script and style: %d bytes gzipped", packed.Len())
}
