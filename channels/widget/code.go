package widget

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"

	"lookout/bot"
)

// A device without a link gets in by a code that goes to the telephone on her record,
// and her birth date. Whoever asks learns nothing: known or not, the answer is the same,
// and comes before anything is texted.

const (
	drawerCodes = "chat-code"
	codeLives   = 10 * time.Minute
)

// sentCode is a code that was texted, and whom it may let in: those who share the telephone.
type sentCode struct {
	Code     string   `json:"code"` // hashed, with the ticket
	Patients []string `json:"patients"`
}

// askCode takes a telephone number and texts a code to it, if it is that of a patient.
func (c *Chat) askCode(w http.ResponseWriter, r *http.Request) {
	phone, err := c.ParseNumber(r.FormValue("phone"))
	if !c.allow("address:"+bot.Household(r.RemoteAddr), 6*time.Second, 30) || err == nil && !c.allow("code:"+hashed(phone), 20*time.Minute, 3) {
		c.show(w, r, http.StatusTooManyRequests, "code", map[string]any{"Ticket": "", "Fault": "code_many"})
		return
	}
	ticket := rand.Text()
	if err == nil {
		ctx := context.WithoutCancel(r.Context())
		go func() { // the answer does not wait for it: how long it takes would say that she is known
			if err := c.textCode(ctx, ticket, phone); err != nil {
				c.Log.Error("a code could not be texted", "err", err)
			}
		}()
	}
	c.show(w, r, http.StatusOK, "code", map[string]any{"Ticket": ticket, "Fault": ""})
}

func (c *Chat) textCode(ctx context.Context, ticket, phone string) error {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return err
	}
	code := fmt.Sprintf("%06d", n)
	return c.Bot.TextCode(ctx, bot.Address{Channel: c.PhoneChannel, At: phone}, code, func(patients []string) error {
		value, err := json.Marshal(sentCode{Code: hashed(ticket + code), Patients: patients})
		if err != nil {
			return err
		}
		return c.Values.PutValue(ctx, drawerCodes, hashed(ticket), value, c.Now().Add(codeLives))
	})
}

// openByCode takes the code and her birth date. Whatever is wrong, the words are the same.
func (c *Chat) openByCode(w http.ResponseWriter, r *http.Request) {
	ticket := r.FormValue("ticket")
	refuse := func() {
		c.show(w, r, http.StatusForbidden, "code", map[string]any{"Ticket": ticket, "Fault": "code_fault"})
	}
	if !c.mayTry(r, ticket) {
		refuse()
		return
	}
	value, err := c.Values.Value(r.Context(), drawerCodes, hashed(ticket), c.Now())
	var sent sentCode
	if err != nil || json.Unmarshal(value, &sent) != nil {
		refuse()
		return
	}
	code := strings.ReplaceAll(r.FormValue("code"), " ", "")
	if subtle.ConstantTimeCompare([]byte(hashed(ticket+code)), []byte(sent.Code)) == 0 {
		refuse()
		return
	}
	for _, patient := range sent.Patients {
		if !c.born(r, patient) {
			continue
		}
		if _, err := c.Values.TakeValue(r.Context(), drawerCodes, hashed(ticket), c.Now()); err != nil {
			break // somebody was faster
		}
		if err := c.begin(w, r, session{Patient: patient}); err != nil {
			c.fail(w, r, err)
			return
		}
		http.Redirect(w, r, "/chat", http.StatusSeeOther)
		return
	}
	refuse()
}
