package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"lookout/bot"
	"lookout/flows"
	"lookout/flows/triage"
)

// The rates by which made-up people live. They are of the order of what has been
// published, or inferences; a service's own will differ.
const (
	here        = 0.6  // share whose treatment ended before the start, up to 4 years; they join in the first 4 weeks
	consented   = 0.9  // agreed to texts when they were enrolled; the others are invited
	answersAtAt = 0.88 // of check-ins in the first month: 84% enrolled (Memora), 86% a day (BETA-Text)
	yearlyDecay = 0.90 // each year fewer answer: breast patients fall off after 5 months (J Med Internet Res, digest 6.2)
	goesOn      = 0.96 // answers the next question of a talk that she has begun
	onReminder  = 0.35
	recurs      = 0.035 // a year: recurrence of any kind in the first years after early breast cancer, roughly
	clots       = 0.006 // a year: leg or lung
	fallsIll    = 0.06  // a year: in hospital for another reason, and silent for two weeks
	stops       = 0.03  // a year
	newNumber   = 0.05  // a year; most keep the number and change the telephone
	rambler     = 0.12
	slow        = 0.15 // answers the next day
	ails        = 0.10 // tells of something harmless at a check-in
	lowMood     = 0.04
	skips       = 0.15 // of those on tablets: not all of them (one in five stop in the first year, digest 5)
	asks        = 0.5  // a year: something administrative, or to be rung
	discloses   = 0.85 // says yes when she is asked about what she has
	byHerself   = 80   // days after which a slow symptom is told unasked, on average
)

// someone is one made-up person: who she is, how she is, and how she uses a phone.
type someone struct {
	w     *world
	i     int
	id    string
	phone string
	given string
	rng   rand.PCG
	zone  *time.Location

	enrols  time.Time
	ended   time.Time // her treatment
	tablets bool
	answers float64
	talker  bool
	late    bool
	someday bool // takes some of her tablets only

	offFrom, offUntil time.Time // her telephone
	deadFrom          time.Time
	illFrom, illUntil time.Time
	stopsAt           time.Time

	ill     *illness
	told    time.Time // of the talk in which she told of it, or of something harmless
	telling string    // what she will say when she is asked in her own words

	// line is that of her plan by which she was written to last, and whether she has
	// answered that; own says that she writes of herself just now, and answers nothing.
	line         *PlanLine
	lineAt       time.Time
	lineAnswered bool
	own          bool

	asked int // the week in which a check-in began that she has not answered yet, from 1; the figures keep it

	n    int // numbers her events
	msgs int // numbers her messages
	todo []event
}

// illness is a recurrence, or a clot.
type illness struct {
	site  *site
	onset time.Time
	fast  float64 // severity gained in a week
	told  time.Time
	heard time.Time // a nurse has spoken with her
}

// severity is how bad it is, 0 to 10.
func (x *illness) severity(now time.Time) int {
	return min(10, int(2+x.fast*now.Sub(x.onset).Hours()/168))
}

// r is her own source of chance: what she does hangs on nobody else.
func (p *someone) r() *rand.Rand { return rand.New(&p.rng) }

func (p *someone) chance(share float64) bool { return p.r().Float64() < share }

func pick[T any](p *someone, list []T) T { return list[p.r().IntN(len(list))] }

// hazard draws when something happens that happens so often a year; the zero time: not
// within the run.
func (p *someone) hazard(perYear float64, from time.Time) time.Time {
	days := p.r().ExpFloat64() / perYear * 365
	if days > float64(p.w.Days) {
		return time.Time{}
	}
	return from.Add(time.Duration(days * 24 * float64(time.Hour)))
}

func newSomeone(w *world, i int) *someone {
	p := &someone{w: w, i: i, rng: *rand.NewPCG(w.Seed, uint64(i)+1), zone: w.Service.Location, phone: fmt.Sprintf("+4479%08d", i)}
	start, day := w.Start, 24*time.Hour
	if p.chance(here) {
		p.ended = start.Add(-time.Duration(p.r().IntN(4*365)) * day)
		p.enrols = start.Add(time.Duration(p.r().IntN(min(28, w.Days))) * day)
	} else {
		p.ended = start.Add(time.Duration(p.r().IntN(w.Days)) * day)
		p.enrols = p.ended
	}
	p.enrols = at(p.enrols, 9*60+p.r().IntN(7*60))
	for wd := p.enrols.Weekday(); wd == time.Saturday || wd == time.Sunday; wd = p.enrols.Weekday() {
		p.enrols = p.enrols.AddDate(0, 0, 1)
	}
	p.given = pick(p, givenNames)
	p.tablets = p.chance(0.7)
	p.answers = min(0.98, max(0.3, answersAtAt+0.1*p.r().NormFloat64()))
	p.talker, p.late, p.someday = p.chance(rambler), p.chance(slow), p.chance(skips)
	p.stopsAt = p.hazard(stops, p.enrols)
	if p.illFrom = p.hazard(fallsIll, p.enrols); !p.illFrom.IsZero() {
		p.illUntil = p.illFrom.AddDate(0, 0, 5+p.r().IntN(15))
	}
	if change := p.hazard(newNumber, p.enrols); !change.IsZero() {
		if p.chance(0.4) {
			p.deadFrom = change
		} else {
			p.offFrom, p.offUntil = change, change.AddDate(0, 0, 1+p.r().IntN(6))
		}
	}
	p.fate()
	return p
}

// at is a time of a day by the wall clock, in minutes.
func at(day time.Time, minutes int) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), 0, minutes, 0, 0, day.Location())
}

// fate draws whether cancer comes back, or a clot comes, and how fast.
func (p *someone) fate() {
	if at := p.hazard(recurs, p.enrols); !at.IsZero() {
		n, x := p.r().IntN(100), &illness{onset: at, fast: 0.15 + 0.6*p.r().Float64()}
		for i := range sites {
			if x.site = &sites[i]; n < sites[i].share {
				break
			}
			n -= sites[i].share
		}
		p.ill = x
	}
	if at := p.hazard(clots, p.enrols); !at.IsZero() && (p.ill == nil || at.Before(p.ill.onset)) {
		p.ill = &illness{site: &clot, onset: at, fast: 60}
	}
}

// plan puts something onto her list.
func (p *someone) plan(at time.Time, does deed, words string) {
	p.n++
	p.todo = append(p.todo, event{at: at, who: p, n: p.n, does: does, words: words})
}

// reply puts an answer onto her list.
func (p *someone) reply(at time.Time, does deed, words string) {
	p.plan(at, does, words)
	p.todo[len(p.todo)-1].answers = true
}

// settle hands her list over to the world's.
func (p *someone) settle() {
	for _, e := range p.todo {
		p.w.push(e)
	}
	p.todo = p.todo[:0]
}

// enrol is her first day.
func (p *someone) enrol() error {
	age := min(92, max(28, int(62+12*p.r().NormFloat64())))
	day := func(t time.Time) string { return t.Format(time.DateOnly) }
	e := bot.Enrolment{GivenName: p.given, FamilyName: pick(p, familyNames), BirthDate: day(p.w.Start.AddDate(-age, -p.r().IntN(12), 0)),
		Phone: p.phone, TreatmentEnded: day(p.ended), ConsentSMS: p.chance(consented), Locale: "en-GB"}
	if p.chance(0.03) {
		e.Locale = "cy"
	}
	surgery := p.ended.AddDate(0, -2-p.r().IntN(8), 0)
	e.Profile = bot.Profile{Surgery: day(surgery), LastMammogram: day(p.enrols.AddDate(0, 0, -p.r().IntN(365))), ChemoKnown: true, Male: p.chance(0.007), Lobular: p.chance(0.12),
		NodesRemoved: p.chance(0.4), Side: pick(p, []string{"left", "right"}), LivesAlone: p.chance(0.3)}
	if p.chance(0.35) {
		e.Profile.LastChemo = day(surgery.AddDate(0, -1, 0))
	}
	if p.tablets {
		e.Profile.Tablets = "letrozole"
		if age < 52 {
			e.Profile.Tablets = "tamoxifen"
		}
		e.Profile.TabletsStarted = day(p.ended)
	}
	patient, err := p.w.bot.Enrol(p.w.ctx, e, "simulation")
	if err != nil {
		return err
	}
	p.id = patient.ID
	p.w.byID[p.id] = p
	p.w.figures.joined(p)
	if p.chance(0.02) { // winters in Spain
		if err := p.w.bot.SetWishes(p.w.ctx, p.id, bot.Wishes{Zone: "Europe/Madrid"}, "simulation"); err != nil {
			return err
		}
	}
	for when := p.hazard(asks, p.w.now); !when.IsZero(); when = p.hazard(asks, when) {
		p.plan(p.awake(when), say, pick(p, admins))
	}
	if p.talker {
		for when := p.hazard(8, p.w.now); !when.IsZero() && when.Before(p.w.Start.AddDate(0, 0, p.w.Days)); when = p.hazard(8, when) {
			p.plan(p.awake(when), say, pick(p, chatter))
		}
	}
	if !p.stopsAt.IsZero() {
		p.plan(p.awake(p.stopsAt), say, "STOP")
	}
	if !p.illFrom.IsZero() && p.chance(0.3) {
		p.plan(p.awake(p.illFrom), say, pick(p, away))
	}
	if x := p.ill; x != nil {
		delay := time.Duration(p.r().ExpFloat64() * byHerself * 24 * float64(time.Hour))
		if x.site == &clot {
			delay = time.Duration(p.r().IntN(20*60)) * time.Minute
		}
		if x.onset.Before(p.w.now) {
			x.onset = p.w.now
		}
		p.plan(p.awake(x.onset.Add(delay)), tell, "")
	}
	return nil
}

// awake is the time, or the next morning.
func (p *someone) awake(t time.Time) time.Time {
	t = t.In(p.zone)
	switch {
	case t.Hour() >= 23:
		return at(t.AddDate(0, 0, 1), 8*60+p.r().IntN(120))
	case t.Hour() < 7:
		return at(t, 8*60+p.r().IntN(120))
	}
	return t
}

func (p *someone) off(now time.Time) bool {
	return !p.offFrom.IsZero() && !now.Before(p.offFrom) && now.Before(p.offUntil)
}

func (p *someone) gone(now time.Time) bool { return !p.deadFrom.IsZero() && !now.Before(p.deadFrom) }

func (p *someone) away(now time.Time) bool {
	return !p.illFrom.IsZero() && !now.Before(p.illFrom) && now.Before(p.illUntil)
}

// do does one thing of her list.
func (p *someone) do(e event) error {
	words := e.words
	switch e.does {
	case enrol:
		return nil
	case tell:
		x := p.ill
		if !x.told.IsZero() || p.gone(p.w.now) {
			return nil
		}
		words = p.symptom()
		x.told = p.w.now
	}
	if p.gone(p.w.now) || p.off(p.w.now) {
		return nil
	}
	p.msgs++
	p.own = !e.answers
	defer func() { p.own = false }()
	return p.w.bot.Receive(p.w.ctx, bot.Inbound{From: bot.Address{Channel: channel, At: p.phone}, Text: words, CarrierID: fmt.Sprintf("in-%d-%d", p.i, p.msgs), At: p.w.now})
}

// symptom is what she says of her illness now.
func (p *someone) symptom() string {
	x := p.ill
	list := x.site.mild
	switch s := x.severity(p.w.now); {
	case s >= 9 && len(x.site.red) > 0:
		list = x.site.red
	case s >= 5 || len(list) == 0:
		list = slices.Concat(x.site.bad, x.site.red[:min(len(x.site.red), len(x.site.bad)/9)])
	}
	if len(list) == 0 {
		list = x.site.red
	}
	return pick(p, list)
}

// reads is what she does about texts that have come.
func (p *someone) reads(texts []bot.Outgoing) {
	if len(texts) == 0 {
		return
	}
	now := p.w.now
	talk := p.w.store.Talk(p.id)
	question, open := p.w.Pack.Program().Open(talk)
	last := texts[len(texts)-1]
	if !open || !asked(texts, question.Text) {
		if last.Priority == bot.PriorityPlanned && !p.away(now) {
			p.moved(last)
		}
		return
	}
	begins := last.Priority == bot.PriorityPlanned
	share := goesOn
	if begins {
		years := now.Sub(p.enrols).Hours() / 24 / 365
		share = p.answers * math.Pow(yearlyDecay, years)
	}
	if begins && !strings.Contains(last.TextID, question.Text) {
		share = onReminder
	}
	if p.away(now) {
		share = 0.05
	}
	if !p.chance(share) {
		return
	}
	p.reply(p.awake(now.Add(p.pause(begins))), say, p.answer(question, talk))
}

// asked says whether the question is among the texts, or one of them reminds of it.
func asked(texts []bot.Outgoing, question string) bool {
	return slices.ContainsFunc(texts, func(o bot.Outgoing) bool {
		return strings.Contains(o.TextID, question) || strings.Contains(o.TextID, "remind") || strings.Contains(o.TextID, "unclear")
	})
}

// pause is how long she takes to answer: lognormal, minutes in a talk, most of an
// hour at its beginning, and a day where she is slow.
func (p *someone) pause(begins bool) time.Duration {
	median := 2.0
	switch {
	case begins && p.late:
		median = 16 * 60
	case begins:
		median = 35
	}
	return time.Duration(min(6*24*60, median*math.Exp(0.9*p.r().NormFloat64())) * float64(time.Minute))
}

// moved is what a text that asks nothing sets off: thanks, mostly nothing, and
// sometimes just what it was sent for.
func (p *someone) moved(text bot.Outgoing) {
	now := p.w.now
	if x := p.ill; x != nil && x.told.IsZero() && now.After(x.onset) && strings.HasPrefix(text.TextID, "signs.") && p.chance(0.25) {
		p.reply(p.awake(now.Add(p.pause(true))), tell, "")
		return
	}
	if p.chance(0.04) {
		p.reply(p.awake(now.Add(p.pause(true))), say, pick(p, thanks))
	}
}

// answer is her answer to a question.
func (p *someone) answer(q flows.OpenQuestion, talk flows.State) string {
	words := p.word(q, talk)
	if p.talker && p.chance(0.3) && q.Kind != triage.Scale && q.Kind != triage.Choice {
		words = pick(p, longer) + words
	}
	return words
}

func (p *someone) word(q flows.OpenQuestion, talk flows.State) string {
	now := p.w.now
	ill := p.ill != nil && p.ill.heard.IsZero() && now.After(p.ill.onset)
	switch q.Kind {
	case triage.YesNo:
		if share, ok := oftenYes[q.Text]; ok {
			if p.chance(share) {
				return pick(p, plainYeses)
			}
			return pick(p, plainNoes)
		}
		return p.yesNo(q, talk, ill)
	case triage.Scale:
		if q.Practical {
			return fmt.Sprint(5 + p.r().IntN(6))
		}
		if ill {
			return fmt.Sprint(min(10, max(1, p.ill.severity(now))))
		}
		return fmt.Sprint(p.r().IntN(4))
	case triage.Choice:
		i := 0
		if q.Practical {
			return q.Options[p.r().IntN(len(q.Options))].Label
		}
		if len(q.Options) > 1 && (p.someday && p.chance(0.6) || p.chance(0.03)) {
			i = 1 + p.r().IntN(len(q.Options)-1)
		}
		return q.Options[i].Label
	case triage.Date:
		return pick(p, dates)
	case triage.Number:
		if q.Min >= 30 { // a temperature
			return fmt.Sprintf("%.1f", 36.4+p.r().Float64())
		}
		return fmt.Sprint(1 + p.r().IntN(min(4, int(q.Max))))
	case triage.Weight:
		return fmt.Sprintf("%dkg", 55+(p.i*7)%40)
	}
	if p.telling != "" {
		words := p.telling
		p.telling = ""
		if ill && p.ill.told.IsZero() {
			p.ill.told = now
		}
		return words
	}
	if words, ok := plainWords[q.Text]; ok {
		return pick(p, words)
	}
	if p.talker && p.chance(0.4) {
		return pick(p, chatter)
	}
	return pick(p, nothings)
}

// yesNo answers yes to the question that is about what she has, once in a talk;
// then she is asked for it in her own words.
func (p *someone) yesNo(q flows.OpenQuestion, talk flows.State, ill bool) string {
	about := strings.Join(q.Concepts, " ")
	fresh := !p.told.Equal(talk.Started)
	if ill && about != "" && slices.ContainsFunc(p.ill.site.keys, func(key string) bool { return strings.Contains(about, key) }) {
		switch {
		case fresh && p.chance(discloses):
			p.told, p.telling = talk.Started, p.symptom()
			return pick(p, yeses)
		case !fresh && p.ill.severity(p.w.now) >= 8 && p.chance(0.5):
			return pick(p, yeses)
		case !fresh && p.chance(0.1):
			return pick(p, unsures)
		}
		return pick(p, noes)
	}
	switch {
	case strings.Contains(about, "mood") && p.chance(lowMood):
		return pick(p, yeses)
	case fresh && strings.Contains(about, "pain_unspecified") && p.chance(ails):
		p.told, p.telling = talk.Started, pick(p, harmless)
		return pick(p, yeses)
	case p.chance(0.01):
		return pick(p, unsures)
	}
	return pick(p, noes)
}
