package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"lookout/bot"
	"lookout/channels/sms"
)

type patientsImportCmd struct {
	File     string `arg:"" help:"The CSV file; - reads standard input." placeholder:"FILE.csv"`
	Check    bool   `help:"Only look for faults; enrol nobody."`
	Settings string `help:"The settings file." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout patients import --help.
func (*patientsImportCmd) Help() string {
	return `Example:
  lookout patients import --check clinic.csv && lookout patients import clinic.csv

The first line names the columns, in any order: given_name, family_name, birth_date, treatment_ended (dates like 1961-04-30), nhs_number or
phone (one of the two at least), and if you like locale (en-GB, cy or both), plan, area (like LS12, for the report; never a full postcode), consent_sms (yes: she has agreed to texts; else she is asked), side,
tablets, surgery, tablets_started, last_mammogram, next_scan, last_chemo, last_immunotherapy, and with yes or no: on_chemo, chemo_known, trastuzumab, lobular, nodes_removed, lymphoedema, implant,
bisphosphonate, abemaciclib, post_menopause, male, lives_alone. Whoever is on record already, by NHS number or by telephone and birth date, is
left as she is, so that the same file may be imported again.`
}

// columns are those of the file, and where each goes. A cell that is empty says nothing.
var columns = map[string]func(e *bot.Enrolment, cell string) error{
	"given_name":      func(e *bot.Enrolment, cell string) error { e.GivenName = cell; return nil },
	"family_name":     func(e *bot.Enrolment, cell string) error { e.FamilyName = cell; return nil },
	"birth_date":      func(e *bot.Enrolment, cell string) error { e.BirthDate = cell; return nil },
	"treatment_ended": func(e *bot.Enrolment, cell string) error { e.TreatmentEnded = cell; return nil },
	"nhs_number":      func(e *bot.Enrolment, cell string) error { e.NHSNumber = cell; return nil },
	"locale":          func(e *bot.Enrolment, cell string) error { e.Locale = cell; return nil },
	"plan":            func(e *bot.Enrolment, cell string) error { e.Plan = cell; return nil },
	"area":            func(e *bot.Enrolment, cell string) error { e.Area = cell; return nil },
	"phone": func(e *bot.Enrolment, cell string) (err error) {
		e.Phone, err = sms.ParseNumber(cell)
		return err
	},
	"consent_sms":        yesOrNo(func(e *bot.Enrolment, yes bool) { e.ConsentSMS = yes }),
	"side":               func(e *bot.Enrolment, cell string) error { e.Profile.Side = cell; return nil },
	"tablets":            func(e *bot.Enrolment, cell string) error { e.Profile.Tablets = cell; return nil },
	"surgery":            func(e *bot.Enrolment, cell string) error { e.Profile.Surgery = cell; return nil },
	"tablets_started":    func(e *bot.Enrolment, cell string) error { e.Profile.TabletsStarted = cell; return nil },
	"last_mammogram":     func(e *bot.Enrolment, cell string) error { e.Profile.LastMammogram = cell; return nil },
	"next_scan":          func(e *bot.Enrolment, cell string) error { e.Profile.NextScan = cell; return nil },
	"last_chemo":         func(e *bot.Enrolment, cell string) error { e.Profile.LastChemo = cell; return nil },
	"last_immunotherapy": func(e *bot.Enrolment, cell string) error { e.Profile.LastImmunotherapy = cell; return nil },
	"on_chemo":           yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.OnChemo = yes }),
	"chemo_known":        yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.ChemoKnown = yes }),
	"trastuzumab":        yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.Trastuzumab = yes }),
	"lobular":            yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.Lobular = yes }),
	"nodes_removed":      yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.NodesRemoved = yes }),
	"lymphoedema":        yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.Lymphoedema = yes }),
	"implant":            yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.Implant = yes }),
	"bisphosphonate":     yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.Bisphosphonate = yes }),
	"abemaciclib":        yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.Abemaciclib = yes }),
	"post_menopause":     yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.PostMenopause = &yes }),
	"male":               yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.Male = yes }),
	"lives_alone":        yesOrNo(func(e *bot.Enrolment, yes bool) { e.Profile.LivesAlone = yes }),
}

func yesOrNo(set func(*bot.Enrolment, bool)) func(*bot.Enrolment, string) error {
	return func(e *bot.Enrolment, cell string) error {
		switch strings.ToLower(cell) {
		case "yes", "y", "true", "1":
			set(e, true)
		case "no", "n", "false", "0":
			set(e, false)
		default:
			return errors.New("must be yes or no")
		}
		return nil
	}
}

// enrolling is one row that can be enrolled.
type enrolling struct {
	line      int
	enrolment bot.Enrolment
	patient   bot.Patient
}

// fault is what is wrong with one cell or line. It never repeats what stands there.
type fault struct {
	line    int
	field   string
	problem string
}

// Run imports a file; lookout may be serving at the same time.
func (c *patientsImportCmd) Run(e *env) error {
	data, err := c.read(e)
	if err != nil {
		return err
	}
	return withBot(e, c.Settings, mayBeMade, func(ctx context.Context, b *bot.Bot) error {
		rows, faults := readPatients(b, data)
		fresh, known, err := unknown(ctx, b, rows, &faults)
		if err != nil {
			return err
		}
		if len(faults) > 0 {
			slices.SortStableFunc(faults, func(x, y fault) int { return x.line - y.line })
			for _, f := range faults {
				fmt.Fprintf(e.err, "%s:%d: %s: %s\n", c.File, f.line, f.field, f.problem)
			}
			return fmt.Errorf("%s: nobody was enrolled: mend what is said above (%d in all), and run it again", c.File, len(faults))
		}
		if c.Check {
			fmt.Fprintf(e.out, "No faults: %d would be enrolled, %d are on record already\n", len(fresh), known)
			return nil
		}
		show := progress(e.err, "enrolled", len(fresh))
		for i, row := range fresh {
			did := bot.Audited(ctx, bot.AuditEntry{By: "command line", Did: "enrol patient"})
			if _, err := b.Enrol(did, row.enrolment, "import"); err != nil {
				return fmt.Errorf("line %d: %w: %d are enrolled; mend what is wrong and run it again, it goes on from there", row.line, err, i)
			}
			show(i + 1)
		}
		fmt.Fprintf(e.out, "%d enrolled, %d were on record already\n", len(fresh), known)
		return nil
	})
}

func (c *patientsImportCmd) read(e *env) ([]byte, error) {
	if c.File == "-" {
		return io.ReadAll(e.in)
	}
	return os.ReadFile(c.File)
}

// readPatients reads every row and finds every fault of the file itself.
func readPatients(b *bot.Bot, data []byte) (rows []enrolling, faults []fault) {
	add := func(line int, field, problem string) { faults = append(faults, fault{line, field, problem}) }
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff")))) // as spreadsheets write it
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, true
	head, err := r.Read()
	if err != nil {
		add(1, "file", "is empty, or its first line is no CSV: begin with the names of the columns")
		return nil, faults
	}
	for i, name := range head {
		head[i] = strings.ToLower(strings.TrimSpace(name))
		switch {
		case columns[head[i]] == nil && strings.Contains(name, ";"):
			add(1, "file", "is divided by semicolons: save it with commas")
		case columns[head[i]] == nil:
			add(1, fmt.Sprintf("column %d", i+1), "has a name that is not known: see lookout patients import --help")
		case slices.Index(head, head[i]) < i:
			add(1, head[i], "is there twice")
		}
	}
	for _, name := range []string{"given_name", "family_name", "birth_date", "treatment_ended"} {
		if !slices.Contains(head, name) {
			add(1, name, "is missing: every file needs this column")
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, faults
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			add(broken.Line, "file", "cannot be read from here on: look for a quotation mark that is not closed")
			return rows, faults
		}
		line, _ := r.FieldPos(0)
		if len(cells) != len(head) {
			add(line, "row", fmt.Sprintf("has %d cells, and the first line names %d columns", len(cells), len(head)))
			continue
		}
		row := enrolling{line: line}
		wrong := map[string]bool{}
		for i, cell := range cells {
			if cell = strings.TrimSpace(cell); cell == "" {
				continue
			}
			if err := columns[head[i]](&row.enrolment, cell); err != nil {
				add(line, head[i], err.Error())
				wrong[head[i]] = true
			}
		}
		row.patient, err = b.CheckEnrolment(row.enrolment)
		var fields bot.FieldErrors
		switch {
		case errors.As(err, &fields):
			for _, f := range fields {
				if !wrong[f.Field] {
					add(line, f.Field, f.Problem)
				}
			}
		case len(wrong) > 0:
		case row.patient.NHSNumber == "" && row.enrolment.Phone == "":
			add(line, "nhs_number", "is missing, and phone too: a second import could not know her again")
		default:
			rows = append(rows, row)
		}
	}
}

// unknown gives the rows of people who are not on record, and how many are. Who
// stands in the file twice is a fault.
func unknown(ctx context.Context, b *bot.Bot, rows []enrolling, faults *[]fault) (fresh []enrolling, known int, err error) {
	seen := map[string]int{}
	for _, row := range rows {
		twice := 0
		for _, key := range []string{"nhs " + row.patient.NHSNumber, "phone " + row.enrolment.Phone + " " + row.patient.BirthDate} {
			if strings.HasPrefix(key, "nhs ") && row.patient.NHSNumber == "" || strings.HasPrefix(key, "phone  ") {
				continue
			}
			if seen[key] > 0 {
				twice = seen[key]
			}
			seen[key] = row.line
		}
		if twice > 0 {
			*faults = append(*faults, fault{row.line, "row", fmt.Sprintf("is about the same person as line %d", twice)})
			continue
		}
		_, err := b.Known(ctx, row.patient)
		var fields bot.FieldErrors
		switch {
		case err == nil:
			known++
		case errors.Is(err, bot.ErrNotFound):
			fresh = append(fresh, row)
		case errors.As(err, &fields):
			for _, f := range fields {
				*faults = append(*faults, fault{row.line, f.Field, f.Problem})
			}
		default:
			return nil, 0, err
		}
	}
	return fresh, known, nil
}

// progress says on a terminal how far long work has come, in one line that is
// written over; in a pipe it says nothing.
func progress(to io.Writer, done string, all int) func(n int) {
	file, ok := to.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(int) {}
	}
	return func(n int) {
		if n%max(1, min(100, all/100)) == 0 || n == all {
			if all < 0 { // nobody knows how many there are
				fmt.Fprintf(to, "\r%d %s", n, done)
				return
			}
			fmt.Fprintf(to, "\r%d of %d %s", n, all, done)
		}
		if n == all {
			fmt.Fprintln(to)
		}
	}
}
