package bot_test

import (
	"testing"

	"lookout/bot"
)

// Tries are counted by IPv4 address, and by what one subscriber has of IPv6.
func TestHousehold(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.7:4711":                       "192.0.2.7",
		"[::ffff:192.0.2.7]:4711":              "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:4711":          "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff:ffff:ffff:ffff]:1": "2001:db8:1:2::/64",
		"[2001:db8:1:3::1]:1":                  "2001:db8:1:3::/64",
		"[fe80::1%eth0]:1":                     "fe80::/64",
		"192.0.2.7":                            "192.0.2.7",
		"nowhere":                              "nowhere",
		"":                                     "",
	} {
		if got := bot.Household(remote); got != want {
			t.Errorf("%q: got %q, want %q", remote, got, want)
		}
	}
}
