package triage

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"unicode/utf8"
)

// cases reads a file of readable cases: the level (or, where LABELS.md allows two, both),
// an optional question in brackets, and her words.
func cases(t *testing.T, path string, check func(line int, levels []Level, q *Question, text string)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		names, rest, ok := strings.Cut(line, ":")
		var levels []Level
		for name := range strings.SplitSeq(names, ",") {
			level, err := ParseLevel(strings.TrimSpace(name))
			ok = ok && err == nil
			levels = append(levels, level)
		}
		if !ok {
			t.Fatalf("%s:%d: write `level: words` or `level: [kind: question] words`", path, n)
		}
		rest = strings.TrimSpace(rest)
		var q *Question
		if strings.HasPrefix(rest, "[") {
			head, words, _ := strings.Cut(rest[1:], "]")
			kind, prompt, _ := strings.Cut(head, ":")
			q, rest = &Question{Kind: Kind(kind), Prompt: strings.TrimSpace(prompt)}, strings.TrimSpace(words)
		}
		check(n, levels, q, rest)
	}
}

// TestHazardHZ1 (a red flag missed) and HZ2 (a negation turned round): the lines that must be read exactly so.
func TestHazardHZ1HZ2Lines(t *testing.T) {
	lex := shipped(t)
	cases(t, "../../content/triage/must.txt", func(n int, want []Level, q *Question, text string) {
		if got := Read(lex, text, q, Profile{}, nil); !slices.Contains(want, got.Level) {
			t.Errorf("line %d: %q is read as %s (%s %+v), must be %s", n, text, got.Level, got.Why, got.Findings, want)
		}
	})
}

// Adding what says nothing never lowers a level; adding "but" and a red flag always raises.
func TestWordsThatSayNothingLowerNothing(t *testing.T) {
	lex := shipped(t)
	cases(t, "../../content/triage/must.txt", func(n int, levels []Level, q *Question, text string) {
		want := slices.Min(levels)
		if q != nil || want == None {
			return
		}
		for _, with := range []string{"hello, " + text, text + " thanks", strings.ToUpper(text), text + " x", "Hi it's Mary. " + text, text + "\n", "sorry to bother you, " + text, text + ". probably nothing"} {
			if got := Read(lex, with, nil, Profile{}, nil); got.Level < want {
				t.Errorf("line %d: %q is only %s (%s), and without the added words %s", n, with, got.Level, got.Why, want)
			}
		}
		if got := Read(lex, text+" but I can't feel my legs", nil, Profile{}, nil); got.Level != Emergency {
			t.Errorf("line %d: with a red flag behind “but” it is only %s (%+v)", n, got.Level, got.Findings)
		}
	})
}

// TestHazardHZ8 (alert fatigue): harmless words raise nothing.
func TestHazardHZ8HarmlessWordsRaiseNothing(t *testing.T) {
	lex := shipped(t)
	for _, text := range []string{"no", "No thanks", "all good", "fine thank you", "no lumps no pain", "👍", "thanks x", "STOP", "same as usual", "no problems at all"} {
		if got := Read(lex, text, nil, Profile{}, nil); got.Level != None {
			t.Errorf("%q is raised to %s: %s", text, got.Level, got.Why)
		}
	}
}

// TestHazardHZ14 (a change of rules changes readings unseen): a reading names the lexicon that made it, and is the same every time.
func TestHazardHZ14ReadingsNameTheirLexicon(t *testing.T) {
	lex := shipped(t)
	a := Read(lex, "my back is agony at night", nil, Profile{}, nil)
	b := Read(lex, "my back is agony at night", nil, Profile{}, nil)
	if a.Lexicon != lex.Digest() || a.Why != b.Why || a.Level != b.Level || len(a.Rules) == 0 {
		t.Errorf("%+v", a)
	}
}

// A question's words are remembered, and no more: which concepts a flow says that they
// ask about belongs to one asking, and two readings at once write nothing of one another's.
func TestAQuestionIsRememberedByItsWordsAlone(t *testing.T) {
	lex := shipped(t)
	const prompt = "Is there anything new today? Reply YES or NO"
	plain := func() *Question { return &Question{Kind: "yesno", Prompt: prompt} }
	lump := func() *Question {
		return &Question{Kind: "yesno", Prompt: prompt, Concepts: []string{"breast_lump"}}
	}
	fresh := shipped(t)
	want := Read(fresh, "yes", plain(), Profile{}, nil)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() { Read(lex, "yes", lump(), Profile{}, nil) })
	}
	readers.Wait()
	if got := Read(lex, "yes", plain(), Profile{}, nil); got.Level != want.Level || len(got.Findings) != len(want.Findings) {
		t.Errorf("after a question of the same words about a lump, yes is read as %s %+v; alone as %s %+v", got.Level, got.Findings, want.Level, want.Findings)
	}
}

func TestAnswers(t *testing.T) {
	lex := shipped(t)
	scale := &Question{Kind: Scale, Prompt: "How bad is it, from 0 to 10?"}
	for _, x := range []struct {
		q    *Question
		text string
		want Answer
	}{
		{scale, "7", Answer{Kind: Value, Number: 7}},
		{scale, "2/10", Answer{Kind: Value, Number: 2}},
		{scale, "2 out of 10", Answer{Kind: Value, Number: 2}},
		{scale, "not a 10, more like 2", Answer{Kind: Value, Number: 2}},
		{scale, "eight", Answer{Kind: Value, Number: 8}},
		{scale, "8ish", Answer{Kind: Value, Number: 8}},
		{scale, "11 out of 10", Answer{}},
		{&Question{Kind: YesNo, Prompt: "Any new pain?"}, "yess", Answer{Kind: SaidYes}},
		{&Question{Kind: YesNo, Prompt: "Any new pain?"}, "nope", Answer{Kind: SaidNo}},
		{&Question{Kind: YesNo, Prompt: "Any new pain?"}, "No yes", Answer{}},
		{&Question{Kind: YesNo, Prompt: "Any new pain?"}, "not sure", Answer{Kind: Unsure}},
		{&Question{Kind: Weight, Prompt: "What do you weigh?"}, "10 st 2", Answer{Kind: Value, Number: 64.4}},
		{&Question{Kind: Weight, Prompt: "What do you weigh?"}, "64kg", Answer{Kind: Value, Number: 64}},
		{&Question{Kind: Date, Prompt: "Since when?"}, "about 3 weeks", Answer{Kind: Value, DaysAgo: 21}},
		{&Question{Kind: Date, Prompt: "Since when?"}, "a fortnight", Answer{Kind: Value, DaysAgo: 14}},
		{&Question{Kind: Choice, Prompt: "ALL, SOME or STOPPED", Options: []Option{{"all", "All"}, {"some", "Some"}, {"stopped", "Stopped"}}}, "all", Answer{Kind: Chosen, Option: "all"}},
	} {
		got := Read(lex, x.text, x.q, Profile{}, nil).Answer
		got.More = false
		if got != x.want {
			t.Errorf("%s %q: %+v, want %+v", x.q.Kind, x.text, got, x.want)
		}
	}
}

// The letter of an option is no article, and an article no letter: "a bit worse" once chose
// A, "better", and "D" was read as "the". Letters name the options of a question, not the
// numbers in their words.
func TestTheLetterOfAnOption(t *testing.T) {
	lex := shipped(t)
	pain := "Since we last texted, has the pain been A better, B the same, C worse, D unbearable?"
	howLong := "How long have you had the pain? A less than a week, B 1 to 2 weeks, C more than 2 weeks, D no pain"
	for _, x := range []struct{ prompt, text, want string }{
		{pain, "A", "a"},
		{pain, "a", "a"},
		{pain, "A I think", "a"},
		{pain, "a, definitely", "a"},
		{pain, "d", "d"},
		{pain, "D.", "d"},
		{pain, "D sadly", "d"},
		{pain, "definitely d", "d"},
		{pain, "a bit worse", "c"},
		{pain, "A lot worse", "c"},
		{pain, "d pain is the same", "b"},
		{pain, "a dull ache", ""},
		{howLong, "A", "a"},
		{howLong, "b", "b"},
		{howLong, "D", "d"},
		{"How many tablets? 1 none, 2 a few, 3 A lot", "3", "3"},
	} {
		if got := Read(lex, x.text, &Question{Kind: Choice, Prompt: x.prompt}, Profile{}, nil).Answer.Option; got != x.want {
			t.Errorf("%q chooses %q of %q, want %q", x.text, got, x.prompt, x.want)
		}
	}
}

// Whatever the words: a reading, whose spans lie in them.
func FuzzRead(f *testing.F) {
	lex := shipped(f)
	for _, s := range []string{"", "my back hurts", "can't breathe!!!", "No, no lumps", "👍🏽", "7/10", "a'b’c", "\xff\xfe", "٣", strings.Repeat("no ", 500)} {
		f.Add(s, "How bad, 0 to 10?", "scale")
	}
	f.Fuzz(func(t *testing.T, text, prompt, kind string) {
		r := Read(lex, text, &Question{Prompt: prompt, Kind: Kind(kind)}, Profile{}, nil)
		for _, finding := range r.Findings {
			if finding.Start < 0 || finding.End > len(text) || finding.Start > finding.End {
				t.Fatalf("span %d-%d of %d bytes", finding.Start, finding.End, len(text))
			}
			if finding.Text != text[finding.Start:finding.End] || (utf8.ValidString(text) && !utf8.ValidString(finding.Text)) {
				t.Fatalf("the words of a finding are not hers: %q", finding.Text)
			}
		}
		if r.Why == "" || (r.Level == None && !r.Understood) {
			t.Fatalf("no reason, or not understood and yet harmless: %+v", r)
		}
	})
}

// Whatever the bytes: a lexicon or faults, no panic.
func FuzzLexicon(f *testing.F) {
	f.Add("version: 1\nreview: draft\nsource: s\nconcepts: [{id: a, name: A, level: soon, wordings: [\"x ~2 y|z*\"]}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		lex, err := LoadLexicon(fstest.MapFS{"a.yaml": {Data: []byte(text)}})
		if err == nil {
			Read(lex, "x and z but y", nil, Profile{}, nil)
		}
	})
}

func BenchmarkRead80(b *testing.B) {
	lex := shipped(b)
	b.ReportAllocs()
	for b.Loop() {
		Read(lex, "hi, my hip has been aching for about 3 weeks now and paracetamol does nothing x", nil, Profile{}, nil)
	}
}

func BenchmarkRead1600(b *testing.B) {
	lex := shipped(b)
	text := strings.Repeat("hi, my hip has been aching for about 3 weeks now and paracetamol does nothing x ", 20)
	b.ReportAllocs()
	for b.Loop() {
		Read(lex, text, nil, Profile{}, nil)
	}
}

// The longest that any input takes: words that fit as many wordings as they can.
// The promise is 5 ms.
func BenchmarkReadWorst(b *testing.B) {
	lex := shipped(b)
	for _, word := range []string{"numb ", "legs ", "no pain ", "é", "zxq "} {
		text := strings.Repeat(word, 100_000/len(word))
		b.Run(strings.TrimSpace(word), func(b *testing.B) {
			for b.Loop() {
				Read(lex, text, nil, Profile{}, nil)
			}
		})
	}
}

// Where a message is serious, each hint in it is a concern of its own; and what a nurse has
// marked as known and expected is spared, whether a wording or a hint names it.
func TestHintsAreConcernsOfTheirOwn(t *testing.T) {
	lex := shipped(t)
	for _, text := range []string{"my calf is swollen hot and painful and I found a lump in my breast", "crushing pain in my chest. Also found a lump in my breast"} {
		got := Read(lex, text, nil, Profile{}, nil)
		if !slices.ContainsFunc(got.Findings, func(f Finding) bool { return f.Concept == "breast_lump" && f.Level == Soon }) || got.Level < Urgent {
			t.Errorf("%q is read as %s with %+v, want a lump of its own", text, got.Level, got.Findings)
		}
	}
	if got := Read(lex, "my calf is swollen hot and painful", nil, Profile{}, nil); slices.ContainsFunc(got.Findings, func(f Finding) bool { return f.Concept != "dvt" && f.Level > None }) {
		t.Errorf("one swollen calf is more than one concern: %+v", got.Findings)
	}
	known := []Past{{Concept: "arm_swelling", FirstDaysAgo: 5, LastDaysAgo: 3, Times: 1, LastSeverity: -1, ExpectedDays: 20}}
	if got := Read(lex, "my arm is swollen", nil, Profile{}, known); got.Level != Routine {
		t.Errorf("a known swelling is read as %s: %s", got.Level, got.Why)
	}
	if got := Read(lex, "my arm is swollen and I found a lump in my breast", nil, Profile{}, known); got.Level < Soon || got.Findings[0].Level >= Soon {
		t.Errorf("a lump beside a known swelling is read as %s with %+v", got.Level, got.Findings)
	}
	if got := Read(lex, "my arm is swollen", nil, Profile{}, nil); got.Level != Soon {
		t.Errorf("a swelling is read as %s: %s", got.Level, got.Why)
	}
}

// What begins like a "no" answers nothing where nothing was asked: with a hint of trouble
// in it, it is not taken for one.
func TestNotFeelingRightIsNoAnswer(t *testing.T) {
	lex := shipped(t)
	for _, text := range []string{"not feeling right", "not feeling great", "not right"} {
		if got := Read(lex, text, nil, Profile{}, nil); got.Level < Soon {
			t.Errorf("%q is read as %s: %s", text, got.Level, got.Why)
		}
	}
}
