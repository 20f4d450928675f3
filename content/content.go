// Package content is the reviewed pack: every flow, text, plan, lexicon entry
// and calendar day that lookout uses, as data that a clinician reads and signs.
//
// It promises: a pack that [Load] returns is whole and consistent; every fault
// of an author's is found there, with file and line; the same files have the
// same digest. It refuses to know patients, storage, and what a channel is: a
// channel is a name that picks a wording. docs/content.md is for its authors.
//
// Nothing in the embedded pack has been approved by a clinician yet.
package content

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"lookout/flows"
	"lookout/flows/triage"
)

// The conversations and talks are recorded for a look at what a change changes, and the
// schemas are for editors: they are no part of what is signed.
//
//go:embed flows/*.yaml texts/*.yaml plans/*.yaml lexicon calendar/*.yaml service/*.yaml conversations talks schema
var embedded embed.FS

// weights are the embedded pack's second reader once more: the linker keeps both in the same
// place. embed.FS copies what it gives, and these are large: read from where they lie in
// the program, only the pages that messages need are ever in memory.
//
//go:embed lexicon/second.weights
var weights string

// compiled is the embedded pack, whose weights are not copied. Nobody changes what it gives.
type compiled struct{ embed.FS }

func (c compiled) ReadFile(name string) ([]byte, error) {
	if name == weightsName {
		return unsafe.Slice(unsafe.StringData(weights), len(weights)), nil
	}
	return c.FS.ReadFile(name)
}

const weightsName = "lexicon/" + triage.WeightsFile

// Embedded is the pack that comes with the program. What [fs.ReadFile] gives of it must not
// be changed.
func Embedded() fs.FS { return compiled{embedded} }

// Shipped is the embedded pack. It is loaded and checked once: no pack changes.
var Shipped = sync.OnceValues(func() (*Pack, error) { return Load(Embedded()) })

// Pack is a loaded pack. It never changes, and may be used by many goroutines.
type Pack struct {
	digest   string
	files    map[string][]byte
	program  *flows.Program
	lexicon  *triage.Lexicon
	texts    map[string]*text
	plans    map[string]*Plan
	holidays map[string]map[string]string // nation → day → name
	service  serviceFiles
	asks     asks

	entries    []Entry
	signatures []Signature
}

// folders are the parts of a pack.
var folders = []string{"flows", "texts", "plans", "lexicon", "calendar", "service"}

// Load reads a pack. The error joins all faults.
func Load(fsys fs.FS) (*Pack, error) {
	c := &checker{}
	p, err := c.load(fsys)
	if err == nil {
		err = errors.Join(c.faults...)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// LoadLexicon reads a pack's lexicon alone, for whoever reads messages and serves nobody:
// the rest of the pack is neither read nor checked.
func LoadLexicon(fsys fs.FS) (*triage.Lexicon, error) {
	lexicon, err := fs.Sub(fsys, "lexicon")
	if err != nil {
		return nil, err
	}
	return triage.LoadLexicon(lexicon)
}

// load reads a pack as far as it can be read, and gathers its faults.
func (c *checker) load(fsys fs.FS) (*Pack, error) {
	p := &Pack{files: make(map[string][]byte)}
	for _, folder := range folders {
		names, err := fs.Glob(fsys, folder+"/*.yaml")
		if err != nil {
			return nil, err
		}
		if folder == "lexicon" {
			weights, err := fs.Glob(fsys, folder+"/"+triage.WeightsFile)
			if err != nil {
				return nil, err
			}
			names = append(names, weights...)
		}
		for _, name := range names {
			data, err := fs.ReadFile(fsys, name)
			if err != nil {
				return nil, fmt.Errorf("content: %w", err)
			}
			p.files[name] = data
		}
	}
	p.digest = digest(p.files)
	c.speaks = c.style(p.files)
	p.service = c.service(p.files)
	p.service.style = c.speaks
	p.asks = c.asks(p.files)
	p.texts = c.texts(p.files)
	p.holidays = c.calendar(p.files)
	lexiconFS, err := fs.Sub(kept{fsys, p.files}, "lexicon")
	if err != nil {
		return nil, err
	}
	loadLexicon, loadFlows := triage.LoadLexicon, flows.Load
	if c.kept {
		loadLexicon, loadFlows = triage.LoadKept, flows.LoadKept
	}
	if p.lexicon, err = loadLexicon(lexiconFS); err != nil {
		c.in("lexicon", err)
	}
	flowsFS, err := fs.Sub(fsys, "flows")
	if err != nil {
		return nil, err
	}
	if p.lexicon != nil { // without it every concept would seem unknown
		p.program, err = loadFlows(flowsFS, p)
		if err != nil {
			c.in("flows", err)
		}
	}
	p.plans = c.plans(p)
	p.entries = c.entriesOf(p)
	p.signatures = c.signaturesOf(fsys)
	c.required(p)
	c.askable(p)
	return p, nil
}

// kept is a pack's folder whose files have been read. Nobody changes what it gives:
// the second reader's weights are large, and held once.
type kept struct {
	fs.FS
	files map[string][]byte
}

func (k kept) ReadFile(name string) ([]byte, error) {
	if data, ok := k.files[name]; ok {
		return data, nil
	}
	return fs.ReadFile(k.FS, name)
}

// checker gathers faults.
type checker struct {
	faults []error
	kept   bool // the pack was checked when it was kept: a field that is not known is no fault
	speaks *styleFile
}

func (c *checker) add(err error) { c.faults = append(c.faults, err) }

// in takes in the faults of a folder, whose files name themselves without it.
func (c *checker) in(folder string, err error) {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		for _, e := range many.Unwrap() {
			c.in(folder, e)
		}
		return
	}
	c.add(fmt.Errorf("%s/%w", folder, err))
}

func (c *checker) fault(file string, line int, format string, args ...any) {
	c.add(fmt.Errorf("%s:%d: %s", file, max(line, 1), fmt.Sprintf(format, args...)))
}

// digest names the exact bytes of a pack.
func digest(files map[string][]byte) string {
	sum := sha256.New()
	for _, name := range sortedKeys(files) {
		fmt.Fprintf(sum, "%s\x00%d\x00", name, len(files[name]))
		sum.Write(files[name])
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Digest names the pack's exact content.
func (p *Pack) Digest() string { return p.digest }

// Program is the pack's flows.
func (p *Pack) Program() *flows.Program { return p.program }

// Lexicon is what the pack reads messages with.
func (p *Pack) Lexicon() *triage.Lexicon { return p.lexicon }

// HasConcept says whether the lexicon has a concept.
func (p *Pack) HasConcept(id string) bool { return p.lexicon.Has(id) }

// maxPack bounds an archive, packed and unpacked.
const maxPack = 128 << 20

// Archive is the pack's files in one, always the same bytes for the same pack,
// so that a talk in progress can finish on the pack that it began with. The second
// reader's weights come first: archives of packs that have them in common begin alike.
func (p *Pack) Archive() ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(len(p.files[weightsName]) + 1<<20)
	z := zip.NewWriter(&buf)
	names := sortedKeys(p.files)
	if i := slices.Index(names, weightsName); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, weightsName)
	}
	for _, name := range names {
		method := zip.Deflate
		if path.Base(name) == triage.WeightsFile {
			method = zip.Store // deflated it is nine tenths as long, and takes half a second
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(p.files[name]); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// OpenArchive loads a pack from its archive.
func OpenArchive(archive []byte) (*Pack, error) {
	z, err := unzip(archive)
	if err != nil {
		return nil, err
	}
	return Load(z)
}

// OpenKept loads a pack that was kept when a talk began on it. It was checked then: what a
// later lookout asks of a pack beyond that is no reason to lose the talk. It is an
// error only if its flows or its lexicon cannot be understood; a text of it may be missing.
func OpenKept(archive []byte) (*Pack, error) {
	z, err := unzip(archive)
	if err != nil {
		return nil, err
	}
	c := &checker{kept: true}
	p, err := c.load(z)
	if err == nil && (p.lexicon == nil || p.program == nil) {
		err = errors.Join(c.faults...)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func unzip(archive []byte) (*zip.Reader, error) {
	if len(archive) > maxPack {
		return nil, errors.New("content: the archive is too large")
	}
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	var total uint64
	for _, f := range z.File {
		total += f.UncompressedSize64
	}
	if total > maxPack {
		return nil, errors.New("content: the archive is too large")
	}
	return z, nil
}

// Holiday says why nothing is sent and no desk is staffed on a day; "" when it
// is an ordinary one. nation is one of calendar/holidays.yaml.
func (p *Pack) Holiday(nation string, day time.Time) string {
	if name := p.holidays[nation][day.Format(time.DateOnly)]; name != "" {
		return name
	}
	switch day.Format("01-02") { // clinical digest 8.3: nothing on these days whatever the calendar says
	case "12-24", "12-25", "12-26", "01-01":
		return "Christmas and New Year"
	}
	return ""
}

// GPVariant ends the id of a text that takes the place of another where patients
// have no open access: "safety.soon" is then "safety.soon.gp".
const GPVariant = ".gp"

// HolidaysUntil is the last day that the calendar says of a nation: after it no bank
// holiday is known. The zero time: it says none.
func (p *Pack) HolidaysUntil(nation string) time.Time {
	days := sortedKeys(p.holidays[nation])
	if len(days) == 0 {
		return time.Time{}
	}
	last, _ := time.Parse(time.DateOnly, days[len(days)-1])
	return last
}

// Nation is what differs between the nations: numbers to ring.
type Nation struct {
	UrgentRoute string `yaml:"urgent_route"` // whom to ring when it cannot wait and is no emergency
	CrisisRoute string `yaml:"crisis_route"` // for thoughts of suicide
	Source      string `yaml:"source"`
}

// NationVars are the placeholders that depend on the nation.
func (p *Pack) NationVars(nation string) map[string]string {
	n := p.service.nations.Nations[nation]
	return map[string]string{"urgent_route": n.UrgentRoute, "crisis_route": n.CrisisRoute}
}

// HasNation says whether the pack knows a nation.
func (p *Pack) HasNation(nation string) bool {
	_, ok := p.service.nations.Nations[nation]
	return ok && p.holidays[nation] != nil
}

// Nations lists the nations that the pack knows.
func (p *Pack) Nations() []string { return sortedKeys(p.service.nations.Nations) }

// Concern is a group of concepts that make one row in the queue.
type Concern struct {
	ID        string   `yaml:"id"`
	Label     string   `yaml:"label"`
	Concepts  []string `yaml:"concepts"`
	Ask       []string `yaml:"ask"`       // what a nurse asks next
	Emergency string   `yaml:"emergency"` // text for an emergency of this concern, where it is not the usual one
	Urgent    string   `yaml:"urgent"`
	Soon      string   `yaml:"soon"`
	Routine   string   `yaml:"routine"`
	Missed    string   `yaml:"missed"` // when the promise may be missed
	// Again says that it is a sign of illness: she is asked after a while how it is.
	Again bool `yaml:"again"`
}

// Concern says which concern a concept belongs to.
func (p *Pack) Concern(concept string) string {
	return cmp.Or(p.service.concernOf[concept], "other")
}

// HasConcern says whether there is such a concern.
func (p *Pack) HasConcern(id string) bool { return p.service.concerns[id] != nil }

// AsksAgain says whether she is asked after a while how a concern is.
func (p *Pack) AsksAgain(concern string) bool {
	c := p.service.concerns[concern]
	return c != nil && c.Again
}

// ConcernLabel is a concern in plain words.
func (p *Pack) ConcernLabel(id string) string {
	if c := p.service.concerns[id]; c != nil {
		return c.Label
	}
	return id
}

// AskNext are the questions for the nurse to ask about a concern.
func (p *Pack) AskNext(concern string) []string {
	if c := p.service.concerns[concern]; c != nil {
		return c.Ask
	}
	return nil
}

// EmergencyText is the text for an emergency that needs another than the usual,
// by the concern of its most urgent finding; "" for the usual one.
func (p *Pack) EmergencyText(reading triage.Reading) string {
	for _, f := range reading.Findings {
		if f.Polarity == "denied" || f.Level < triage.Emergency {
			continue
		}
		if c := p.service.concerns[p.Concern(f.Concept)]; c != nil && c.Emergency != "" {
			return c.Emergency
		}
	}
	return ""
}

// PromiseText is what she is told when a row of that level and concern is opened.
func (p *Pack) PromiseText(level triage.Level, concern string) string {
	c := p.service.concerns[concern]
	if c == nil {
		c = &Concern{}
	}
	switch level {
	case triage.Emergency:
		return cmp.Or(c.Emergency, "safety.emergency")
	case triage.Urgent:
		return cmp.Or(c.Urgent, "safety.urgent")
	case triage.Soon:
		return cmp.Or(c.Soon, "safety.soon")
	}
	return cmp.Or(c.Routine, "safety.routine")
}

// MissedText is what she is told when what she was promised may be missed.
func (p *Pack) MissedText(level triage.Level, concern string) string {
	if level == triage.Emergency {
		return "promise.emergency"
	}
	if c := p.service.concerns[concern]; c != nil && c.Missed != "" {
		return c.Missed
	}
	return "promise.missed"
}

// Choice is one of a list that a nurse chooses from.
type Choice struct {
	Key   string `yaml:"key"`
	Label string `yaml:"label"`
	Spoke bool   `yaml:"spoke"` // of a ring result: somebody spoke with her
	// Ends, of an outcome, ends her follow-up with lookout, and says why: "died" or "left".
	Ends string `yaml:"ends"`
}

func find(list []Choice, key string) (Choice, bool) {
	i := slices.IndexFunc(list, func(c Choice) bool { return c.Key == key })
	if i < 0 {
		return Choice{}, false
	}
	return list[i], true
}

// Outcomes are the ways to close a row, in the order in which they are shown.
func (p *Pack) Outcomes() []Choice { return slices.Clone(p.service.desk.Outcomes) }

// Outcome gives one of them by key.
func (p *Pack) Outcome(key string) (Choice, bool) { return find(p.service.desk.Outcomes, key) }

// OutcomeKeys lists their keys.
func (p *Pack) OutcomeKeys() []string {
	keys := make([]string, len(p.service.desk.Outcomes))
	for i, o := range p.service.desk.Outcomes {
		keys[i] = o.Key
	}
	return keys
}

// RingResults are what can come of a call.
func (p *Pack) RingResults() []Choice { return slices.Clone(p.service.desk.RingResults) }

// RingResult gives one of them by key.
func (p *Pack) RingResult(key string) (Choice, bool) { return find(p.service.desk.RingResults, key) }

// DeskTexts are the approved texts that a nurse may send.
func (p *Pack) DeskTexts() []Choice { return slices.Clone(p.service.desk.Texts) }

// Relation is how a carer may stand to her.
type Relation struct {
	Key   string `yaml:"key"`
	Label string `yaml:"label"`
	Welsh string `yaml:"cy"`
}

// Relations are those that a carer may have.
func (p *Pack) Relations() []Relation { return slices.Clone(p.service.desk.Carers.Relations) }

// Relation gives one of them by key.
func (p *Pack) Relation(key string) (Relation, bool) {
	for _, r := range p.service.desk.Carers.Relations {
		if r.Key == key {
			return r, true
		}
	}
	return Relation{}, false
}

// RevokeWords are the texts, in every language, by which she ends a carer's access;
// {name} stands for his name.
func (p *Pack) RevokeWords() []string {
	var all []string
	for _, locale := range sortedKeys(p.service.desk.Carers.Revoke) {
		all = append(all, p.service.desk.Carers.Revoke[locale]...)
	}
	return all
}

// PlanChoices are what a nurse can have arranged.
func (p *Pack) PlanChoices() []Choice { return slices.Clone(p.service.desk.Plans) }

// PlanChoice gives one of them by key.
func (p *Pack) PlanChoice(key string) (Choice, bool) { return find(p.service.desk.Plans, key) }

// Trend is what is drawn over time: the worst score of any of its concepts, 10 the worst.
type Trend struct {
	Key      string   `yaml:"key"`
	Label    string   `yaml:"label"`
	Concepts []string `yaml:"concepts"`
}

// Trends are what the desk draws of each person, beside her weight.
func (p *Pack) Trends() []Trend { return slices.Clone(p.service.desk.Trends) }

// Plan gives a plan by id.
func (p *Pack) Plan(id string) (*Plan, bool) {
	plan, ok := p.plans[id]
	return plan, ok
}

// concernTextIDs lists the texts that the concerns name.
func (c *Concern) textIDs() []string {
	return slices.DeleteFunc([]string{c.Emergency, c.Urgent, c.Soon, c.Routine, c.Missed}, func(s string) bool { return strings.TrimSpace(s) == "" })
}
