package bot

import "strings"

// ParseNHSNumber gives the ten digits of an NHS number as people write it, with
// spaces or dashes. It checks the length and the check digit (Modulus 11, NHS
// Data Dictionary) and refuses a number of one repeated digit, which passes the
// sum but is never issued. The error never repeats the number.
func ParseNHSNumber(text string) (string, error) {
	digits := strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '\u00a0', '\u2011', '\u2013':
			return -1
		}
		return r
	}, strings.TrimSpace(text))
	if len(digits) != 10 {
		return "", &FieldError{"nhs_number", "must have 10 digits, for example 999 012 3454"}
	}
	sum, same := 0, true
	for i := range 10 {
		c := digits[i]
		if c < '0' || c > '9' {
			return "", &FieldError{"nhs_number", "must have 10 digits and nothing else but spaces or dashes"}
		}
		same = same && c == digits[0]
		if i < 9 {
			sum += int(c-'0') * (10 - i)
		}
	}
	check := 11 - sum%11
	if check == 11 {
		check = 0
	}
	if same || check == 10 || check != int(digits[9]-'0') {
		return "", &FieldError{"nhs_number", "is not a valid NHS number: check it for a mistyped digit"}
	}
	return digits, nil
}
