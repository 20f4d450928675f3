package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"lookout/bot/simulate"
	"lookout/content"
)

type simulateCmd struct {
	Patients int    `help:"How many made-up patients." default:"1000" placeholder:"N"`
	Days     int    `help:"How many days." default:"365" placeholder:"D"`
	Seed     uint64 `help:"The same seed gives the same run." default:"1" placeholder:"S"`
	From     string `help:"The first day." default:"2027-01-04" placeholder:"DATE"`
	Compare  string `help:"Run another content folder on the same people beside it." placeholder:"OTHER_PACK" type:"existingdir"`
	HTML     string `help:"Write a page with charts and tables." placeholder:"FILE"`
	CSV      string `help:"Write a line for each week." placeholder:"FILE"`
	Settings string `help:"The settings file: hours, rota, rows_per_nurse, price of a segment." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout simulate --help.
func (*simulateCmd) Help() string {
	return "Made-up people on the real engine, content and planner, and a made-up desk with the rota of the settings.\nExample:\n  lookout simulate --patients 10000 --days 365 --seed 1 --html simulation.html --csv simulation.csv"
}

// Run runs the cohort, and prints and draws what came of it.
func (c *simulateCmd) Run(e *env) error {
	if c.Patients < 1 || c.Patients > 1_000_000 {
		return errors.New("--patients: must be from 1 to 1,000,000")
	}
	if c.Days < 7 || c.Days > 3660 {
		return errors.New("--days: must be from 7 to 3660")
	}
	s, err := loadSettings(c.Settings, e)
	if err != nil {
		return err
	}
	s.defaults()
	pack, err := s.pack()
	if err != nil {
		return err
	}
	names, packs := []string{"now"}, []*content.Pack{pack}
	if c.Compare != "" {
		other, err := content.Load(os.DirFS(c.Compare))
		if err != nil {
			return fmt.Errorf("--compare: %w", err)
		}
		names, packs = append(names, filepath.Base(filepath.Clean(c.Compare))), append(packs, other)
	}
	var runs []*simulate.Figures
	for i, pack := range packs {
		f, err := c.run(e, s, pack, names[i])
		if err != nil {
			return err
		}
		runs = append(runs, f)
	}
	if err := simulate.Print(e.out, names, runs...); err != nil {
		return err
	}
	return errors.Join(
		writeFile("--html", c.HTML, func(to io.Writer) error { return simulate.Page(to, names, runs...) }),
		writeFile("--csv", c.CSV, func(to io.Writer) error { return simulate.CSV(to, names, runs...) }))
}

func (c *simulateCmd) run(e *env, s *settings, pack *content.Pack, name string) (*simulate.Figures, error) {
	team, err := s.team(pack)
	if err != nil {
		return nil, err
	}
	start, err := time.ParseInLocation(time.DateOnly, c.From, team.Location)
	if err != nil {
		return nil, errors.New("--from: must be a date like 2027-01-04")
	}
	team.Duty = nil // nobody's phone is rung by a simulation
	return simulate.Run(e.ctx, simulate.Config{Patients: c.Patients, Days: c.Days, Seed: c.Seed, Start: start, Pack: pack, Service: team,
		PricePerSegment: s.Twilio.PricePerSegment, Progress: progress(e.err, "days simulated ("+name+")", c.Days)})
}

// writeFile writes a file whole; no name is no file.
func writeFile(flag, name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}
