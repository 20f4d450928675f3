package bot

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever is planned for the next days: no day with room for anything is given
// more than its room, nothing is lost or doubled, nothing goes earlier than it was
// planned, whoever was due first goes first, and levelling again moves nothing.
func TestLevelledDays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		days := make([][]load, spreadAhead)
		rooms := make([]float64, spreadAhead)
		total, n := 0.0, 0
		for d := range days {
			rooms[d] = rapid.SampledFrom([]float64{0, 0, 0.5, 1, 2, 3}).Draw(t, "room")
			for range rapid.IntRange(0, 12).Draw(t, "planned") {
				n++
				rows := rapid.SampledFrom([]int{10, 100, 120}).Draw(t, "rows")
				total += float64(rows) / 1000
				days[d] = append(days[d], load{fmt.Sprint("p", n), Wake{Ref: "x", N: rows, Due: time.Unix(int64(rapid.IntRange(0, 5).Draw(t, "due"))*86400, 0), At: time.Unix(int64(d)*86400, 0)}, uint64(n * 7919 % 101)})
			}
		}
		was := map[string]int{}
		for d, day := range days {
			for _, l := range day {
				was[l.patient] = d
			}
		}
		moves := levelled(days, func(n int) float64 { return rooms[n] })
		seen := map[string]bool{}
		for d, day := range days {
			sum := 0.0
			for _, l := range day {
				if seen[l.patient] || d < was[l.patient] {
					t.Fatalf("%s is on day %d, was planned for %d, and is there twice: %t", l.patient, d, was[l.patient], seen[l.patient])
				}
				seen[l.patient] = true
				sum += float64(l.wake.N) / 1000
			}
			if d < len(days)-1 && sum > rooms[d]+1e-6 && len(day) > 1 {
				t.Fatalf("day %d has %v rows to expect and room for %v", d, sum, rooms[d])
			}
			if d < len(days)-1 && rooms[d] == 0 && len(day) > 0 {
				t.Fatalf("day %d has no room and %d are on it", d, len(day))
			}
			for _, l := range day {
				for later := d + 1; later < len(days); later++ {
					for _, after := range days[later] {
						if was[after.patient] <= d && after.wake.Due.Before(l.wake.Due) && after.wake.N <= l.wake.N {
							t.Fatalf("%s, due %s, goes before %s, due %s", l.patient, l.wake.Due, after.patient, after.wake.Due)
						}
					}
				}
			}
		}
		if len(seen) != len(was) {
			t.Fatalf("%d of %d are left", len(seen), len(was))
		}
		for _, m := range moves {
			if m.to <= was[m.patient] {
				t.Fatalf("%s moves from %d to %d", m.patient, was[m.patient], m.to)
			}
		}
		if again := levelled(days, func(n int) float64 { return rooms[n] }); len(again) > 0 {
			t.Fatalf("again, %d move", len(again))
		}
	})
}

// A day that has begun has room for what is left of its sending hours.
func TestRoomOfADay(t *testing.T) {
	t.Parallel()
	b := planner(t, "england-and-wales")
	b.service.RowsPerNurse = 6
	b.service.Hours.Nurses = [7]int{1: 2, 2: 1, 3: 1, 4: 1, 5: 1}
	monday := time.Date(2026, 11, 23, 0, 0, 0, 0, b.service.Location)
	var got []float64
	for _, x := range [][2]time.Time{{monday, monday}, {monday, monday.Add(13 * time.Hour)}, {monday, monday.Add(17 * time.Hour)}, {monday.AddDate(0, 0, 1), monday}, {monday.AddDate(0, 0, 5), monday}} {
		got = append(got, b.room(x[0], x[1]))
	}
	if want := []float64{12, 6, 0, 6, 0}; !slices.Equal(got, want) {
		t.Errorf("room %v, want %v", got, want)
	}
}
