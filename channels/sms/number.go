package sms

import (
	"errors"
	"strings"
	"unicode/utf16"

	"github.com/nyaruka/phonenumbers"
	gsm "github.com/warthog618/sms"
	"github.com/warthog618/sms/encoding/gsm7"
)

// ErrNumber says that a telephone number cannot be texted. It never repeats it.
var ErrNumber = errors.New("must be a UK mobile number like 07700 900123, or another country's with + in front")

// ParseNumber gives a number in E.164, as people write it. A number without a
// country is British. The range 07700 900000 to 900999, which Ofcom keeps for
// drama, is taken too.
func ParseNumber(text string) (string, error) {
	n, err := phonenumbers.Parse(text, "GB")
	if err != nil {
		return "", ErrNumber
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	if strings.HasPrefix(e164, "+447700900") && len(e164) == 13 {
		return e164, nil
	}
	if !phonenumbers.IsValidNumber(n) {
		return "", ErrNumber
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.FIXED_LINE, phonenumbers.PREMIUM_RATE, phonenumbers.TOLL_FREE, phonenumbers.SHARED_COST, phonenumbers.PAGER:
		return "", ErrNumber
	}
	return e164, nil
}

// typographic are characters that would turn a whole text into UCS-2, with the
// plain ones that mean the same.
var typographic = strings.NewReplacer(
	"’", "'", "‘", "'", "‚", "'", "“", `"`, "”", `"`, "„", `"`, "–", "-", "—", "-", "−", "-", "…", "...", "\u00a0", " ", "\u2009", " ", "\u202f", " ", "•", "-",
)

// Plain gives a text with typographic quotes and dashes made plain, so that it
// costs what it should.
func Plain(text string) string { return typographic.Replace(text) }

// piece says whether a text is as long as a full segment of a longer one: 153 characters of
// GSM's alphabet or 67 UTF-16 units, less one for a longer header and less one where a
// character of two would have been cut. Twilio joins the segments of what comes in, if the
// carrier has passed on their numbers; where it has not, each comes as a message.
func piece(text string) bool {
	if septets, err := gsm7.Encode([]byte(text)); err == nil && len(septets) >= 151 && len(septets) <= 153 {
		return true
	}
	units := len(utf16.Encode([]rune(text)))
	return units >= 65 && units <= 67
}

// Segments counts the parts that a text is sent in.
func Segments(text string) int {
	parts, err := gsm.Encode([]byte(Plain(text)))
	if err != nil {
		return 1 + len(text)/67
	}
	return max(1, len(parts))
}
