package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"lookout/bot"
	"lookout/channels/sms"
	"lookout/content"
)

type patientsCmd struct {
	Import patientsImportCmd `cmd:"" help:"Enrol the people of a CSV file: all of them, or, where one row has a fault, none."`
	Plan   patientsPlanCmd   `cmd:"" help:"Print what a person's plan sends her in the next year, and why each thing goes when it does."`
	Cost   patientsCostCmd   `cmd:"" help:"Print what texts cost in a month, and what the plans will cost in the next."`
	Dates  patientsDatesCmd  `cmd:"" help:"Show or set the days that her plan counts from: operation, tablets, mammogram, scan."`
	Wishes patientsWishesCmd `cmd:"" help:"Show or set when and where she wishes to be texted, and her quiet days."`
}

type patientsPlanCmd struct {
	ID       string `arg:"" help:"Her id."`
	Days     int    `help:"How many days ahead." default:"365" placeholder:"DAYS"`
	Settings string `help:"The settings file." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout patients plan --help.
func (*patientsPlanCmd) Help() string {
	return "Example:\n  lookout patients plan anytown-p1a2b3c4d5e6f7a8"
}

// Run prints her next year. It changes nothing but the audit log.
func (c *patientsPlanCmd) Run(e *env) error {
	if c.Days < 1 || c.Days > 3660 {
		return errors.New("--days: must be from 1 to 3660")
	}
	return withBot(e, c.Settings, mustExist, func(_ context.Context, b *bot.Bot) error { return c.print(e, b) })
}

func (c *patientsPlanCmd) print(e *env, b *bot.Bot) error {
	p, err := b.Patient(e.ctx, c.ID)
	if err != nil {
		return patientError(err, c.ID)
	}
	if err := b.Audit(e.ctx, bot.AuditEntry{By: "command line", Did: "read plan", Patient: c.ID}); err != nil {
		return err
	}
	items, err := b.Forecast(e.ctx, c.ID, e.now().AddDate(0, 0, c.Days))
	if err != nil {
		return err
	}
	zone := b.Service().Location
	if p.Zone != "" {
		if zone, err = time.LoadLocation(p.Zone); err != nil {
			return err
		}
	}
	printPlan(e.out, p, items, zone)
	return nil
}

// patientError says in words that there is nobody of that id.
func patientError(err error, id string) error {
	if errors.Is(err, bot.ErrNotFound) {
		return fmt.Errorf("there is no patient %s: the desk shows a person's id in the address of her page", id)
	}
	return err
}

// printPlan writes a person's plan as a table, by the clock of her zone.
func printPlan(to io.Writer, p bot.Patient, items []bot.Planned, zone *time.Location) {
	fmt.Fprintf(to, "%s is %s, on the plan %s. Times are those of %s.\n", p.ID, p.Status, p.Plan, zone)
	if len(items) == 0 {
		fmt.Fprintln(to, "Nothing is planned.")
		return
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GOES\tDUE\tWHAT\tITEM, AND WHY IT GOES WHEN IT DOES")
	for _, item := range items {
		goes := item.Goes.In(zone).Format("Mon 2 Jan 2006 15:04")
		switch {
		case item.Goes.IsZero():
			goes = "cannot go"
		case item.Dropped:
			goes = "dropped: stale"
		}
		what := "flow " + item.Flow
		if item.Text != "" {
			what = "text " + item.Text
		}
		why := fmt.Sprintf("%s, from %s", item.ID, content.Anchors[item.From])
		for _, s := range item.Shifts {
			why += "; " + s.String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", goes, item.At.Format("Mon 2 Jan 2006"), what, why)
	}
	w.Flush()
}

type patientsCostCmd struct {
	Month    string `help:"The month, like 2026-11; the present one when nothing is said." placeholder:"MONTH"`
	Settings string `help:"The settings file." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout patients cost --help.
func (*patientsCostCmd) Help() string {
	return "The price of a segment is the setting twilio.price_per_segment.\nExample:\n  lookout patients cost --month 2026-11"
}

// Run adds up a month.
func (c *patientsCostCmd) Run(e *env) error {
	s, err := loadSettings(c.Settings, e)
	if err != nil {
		return err
	}
	s.defaults()
	return withBot(e, c.Settings, mustExist, func(ctx context.Context, b *bot.Bot) error {
		month := e.now().In(b.Service().Location)
		if c.Month != "" {
			if month, err = time.ParseInLocation("2006-01", c.Month, b.Service().Location); err != nil {
				return errors.New("--month: must be a month like 2026-11")
			}
		}
		from := time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, month.Location())
		spend, err := b.Spend(ctx, sms.Channel, from, from.AddDate(0, 1, 0), func(text string) int { n, _ := content.Segments(sms.Plain(text)); return n })
		if err != nil {
			return err
		}
		price := s.Twilio.PricePerSegment
		fmt.Fprintf(e.out, "%s: %d texts to and %d from %d people in %d talks; %d segments, about %.2f at %.3f each. What people send us is charged to us by some carriers and is not in it.\n",
			from.Format("January 2006"), spend.Sent, spend.Received, spend.Patients, spend.Talks, spend.Segments, price*float64(spend.Segments), price)
		a := spend.Ahead
		fmt.Fprintf(e.out, "The next %d days: %d talks and %d single texts are planned; about %.0f segments, about %.2f.\n", a.Days, a.Talks, a.Texts, a.Segments, price*a.Segments)
		return nil
	})
}

type patientsWishesCmd struct {
	ID       string   `arg:"" help:"Her id."`
	Zone     *string  `help:"Her time zone, as long as she is there: Europe/Madrid; empty for the service's." placeholder:"ZONE"`
	Nation   *string  `help:"The nation whose bank holidays are hers; empty for the service's." placeholder:"NATION"`
	Hours    *string  `help:"When she would rather be texted: 10:00-14:00; empty for the service's sending hours." placeholder:"HOURS"`
	Days     *string  `help:"The days on which she would rather be texted: mon,tue; empty for any." placeholder:"DAYS"`
	Quiet    []string `help:"Days on which nothing unasked goes to her, added to those that there are: \"2026-12-20..2027-01-05 scan\"." placeholder:"DAYS" sep:"none"`
	NoQuiet  bool     `help:"Remove her quiet days first."`
	By       string   `help:"Who sets it, for the journal." default:"command line" placeholder:"EMAIL"`
	Settings string   `help:"The settings file." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout patients wishes --help.
func (*patientsWishesCmd) Help() string {
	return "Example:\n  lookout patients wishes anytown-p1a2b3c4d5e6f7a8 --zone Europe/Madrid --hours 11:00-14:00 --quiet \"2026-12-20..2027-01-05 scan\""
}

// Run shows her wishes; it sets those that were given.
func (c *patientsWishesCmd) Run(e *env) error {
	return withBot(e, c.Settings, mustExist, func(_ context.Context, b *bot.Bot) error { return c.set(e, b) })
}

func (c *patientsWishesCmd) set(e *env, b *bot.Bot) error {
	was, err := b.WishesOf(e.ctx, c.ID)
	if err != nil {
		return patientError(err, c.ID)
	}
	now, err := c.change(was)
	if err != nil {
		return err
	}
	did := "read wishes"
	if now.String() != was.String() {
		did = "set wishes"
		audited := bot.Audited(e.ctx, bot.AuditEntry{By: c.By, Did: did})
		if err := b.SetWishes(audited, c.ID, now, c.By); err != nil {
			return err
		}
	} else if err := b.Audit(e.ctx, bot.AuditEntry{By: c.By, Did: did, Patient: c.ID}); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%s is texted %s\n", c.ID, now)
	return nil
}

// change gives the wishes with what was asked for.
func (c *patientsWishesCmd) change(w bot.Wishes) (bot.Wishes, error) {
	if c.Zone != nil {
		w.Zone = *c.Zone
	}
	if c.Nation != nil {
		w.Nation = *c.Nation
	}
	if c.Hours != nil {
		spells, err := bot.ParseSpells(*c.Hours)
		switch {
		case err != nil:
			return w, fmt.Errorf("--hours: %w", err)
		case len(spells) > 1:
			return w, errors.New("--hours: must be one span, like 10:00-14:00")
		case len(spells) == 0:
			w.Wish.From, w.Wish.To = 0, 0
		default:
			w.Wish.From, w.Wish.To = spells[0].From, spells[0].To
		}
	}
	if c.Days != nil {
		w.Wish.Days = nil
		for _, word := range strings.FieldsFunc(strings.ToLower(*c.Days), func(r rune) bool { return r == ',' || r == ' ' }) {
			i := slices.IndexFunc(weekdays, func(day string) bool { return len(word) >= 3 && strings.HasPrefix(day, word) })
			if i < 0 {
				return w, fmt.Errorf("--days: %q is not a day of the week", word)
			}
			w.Wish.Days = append(w.Wish.Days, time.Weekday(i))
		}
	}
	if c.NoQuiet {
		w.Quiet = nil
	}
	for _, text := range c.Quiet {
		days, why, _ := strings.Cut(text, " ")
		from, until, found := strings.Cut(days, "..")
		if !found {
			until = from
		}
		w.Quiet = append(w.Quiet, bot.Quiet{From: from, Until: until, Why: strings.TrimSpace(why)})
	}
	return w, nil
}

type patientsDatesCmd struct {
	ID             string  `arg:"" help:"Her id."`
	Surgery        *string `help:"The day of the last operation; empty: not known." placeholder:"DATE"`
	TabletsStarted *string `help:"The day on which the present hormone tablets were begun." placeholder:"DATE"`
	LastMammogram  *string `help:"The day of the last mammogram." placeholder:"DATE"`
	NextScan       *string `help:"The day of the next scan that is known; the days round it are quiet." placeholder:"DATE"`
	By             string  `help:"Who sets it, for the journal." default:"command line" placeholder:"EMAIL"`
	Settings       string  `help:"The settings file." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout patients dates --help.
func (*patientsDatesCmd) Help() string {
	return "Example:\n  lookout patients dates anytown-p1a2b3c4d5e6f7a8 --last-mammogram 2027-05-30 --next-scan 2027-06-14"
}

// Run shows her dates; it sets those that were given.
func (c *patientsDatesCmd) Run(e *env) error {
	return withBot(e, c.Settings, mustExist, func(_ context.Context, b *bot.Bot) error {
		was, err := b.DatesOf(e.ctx, c.ID)
		if err != nil {
			return patientError(err, c.ID)
		}
		now := was
		for to, given := range map[*string]*string{&now.Surgery: c.Surgery, &now.TabletsStarted: c.TabletsStarted, &now.LastMammogram: c.LastMammogram, &now.NextScan: c.NextScan} {
			if given != nil {
				*to = *given
			}
		}
		if now == was {
			err = b.Audit(e.ctx, bot.AuditEntry{By: c.By, Did: "read dates", Patient: c.ID})
		} else {
			err = b.SetDates(bot.Audited(e.ctx, bot.AuditEntry{By: c.By, Did: "set dates"}), c.ID, now, c.By)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(e.out, "%s: %s\n", c.ID, now)
		return nil
	})
}
