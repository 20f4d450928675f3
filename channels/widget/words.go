package widget

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"lookout/bot"
)

// The languages that the pages speak. Everything that they say by themselves is in
// assets/words.json, for the pages and the element alike; what lookout says to her is
// the content's.
const (
	english = "en-GB"
	welsh   = "cy"
)

// wordsOf are the pages' own words, by language and key.
func loadWords() (map[string]map[string]string, error) {
	text, err := files.ReadFile("assets/words.json")
	if err != nil {
		return nil, err
	}
	var words map[string]map[string]string
	if err := json.Unmarshal(text, &words); err != nil {
		return nil, fmt.Errorf("assets/words.json: %w", err)
	}
	return words, nil
}

// The days and months of Welsh, as the Unicode CLDR has them. They want a Welsh speaker's review.
var (
	welshDays   = [...]string{"Sul", "Llun", "Maw", "Mer", "Iau", "Gwen", "Sad"}
	welshMonths = [...]string{"Ionawr", "Chwefror", "Mawrth", "Ebrill", "Mai", "Mehefin", "Gorffennaf", "Awst", "Medi", "Hydref", "Tachwedd", "Rhagfyr"}
	welshShort  = [...]string{"Ion", "Chwef", "Maw", "Ebr", "Mai", "Meh", "Gorff", "Awst", "Medi", "Hyd", "Tach", "Rhag"}
)

// clock is a moment as a page says it.
func clock(lang string, t time.Time) string {
	if lang == welsh {
		return fmt.Sprintf("%s %d %s, %s", welshDays[t.Weekday()], t.Day(), welshShort[t.Month()-1], t.Format("15:04"))
	}
	return t.Format("Mon 2 Jan, 15:04")
}

// born is a birth date as a page says it.
func born(lang, day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil || lang != welsh {
		return bot.LongDay(day)
	}
	return fmt.Sprintf("%d %s %d", t.Day(), welshMonths[t.Month()-1], t.Year())
}

// languageOf is what a person is spoken to in on a page.
func languageOf(locale string) string {
	if strings.HasPrefix(locale, welsh) {
		return welsh
	}
	return english
}

const languageCookie = "lookout_language"

// language is that of a visitor: what she chose here, else what her browser asks for.
func language(r *http.Request) string {
	if cookie, err := r.Cookie(languageCookie); err == nil && cookie.Value != "" {
		return languageOf(cookie.Value)
	}
	return languageOf(r.Header.Get("Accept-Language"))
}

// speak changes the language, of the device and of her record.
func (c *Chat) speak(w http.ResponseWriter, r *http.Request) {
	to := languageOf(r.FormValue("to"))
	s, err := c.who(r)
	if err == nil && s.Patient != "" && s.Carer == "" {
		err = c.Bot.SetLanguage(r.Context(), s.Patient, to, "patient")
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.setCookie(w, languageCookie, to, sessionLives)
	to = "/chat"
	if k := r.FormValue("k"); k != "" { // she was about to open a link
		to += "?k=" + url.QueryEscape(k)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
