package sms

import (
	"errors"
	"strings"

	"github.com/nyaruka/phonenumbers"
	gsm "github.com/warthog618/sms"
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

// Segments counts the parts that a text is sent in.
func Segments(text string) int {
	parts, err := gsm.Encode([]byte(Plain(text)))
	if err != nil {
		return 1 + len(text)/67
	}
	return max(1, len(parts))
}
