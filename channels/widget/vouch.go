package widget

import (
	"errors"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"lookout/bot"
)

// mostVoucher is how long a voucher may live.
const mostVoucher = 5 * time.Minute

// voucher is a hospital's word that the person before its page is this patient: a JWT
// (RFC 7519), signed with the key that the hospital and we share, for us alone, once,
// and for minutes. Its subject is her NHS number or her id here.
type voucher struct {
	jwt.RegisteredClaims
}

// Validate is what the library asks beside its own checks of the times and the audience.
func (v voucher) Validate() error {
	switch {
	case v.ID == "":
		return errors.New("no jti")
	case v.Subject == "":
		return errors.New("no sub")
	case v.IssuedAt == nil || v.ExpiresAt == nil || v.ExpiresAt.Sub(v.IssuedAt.Time) > mostVoucher:
		return errors.New("it lives too long, or says not since when")
	}
	return nil
}

// vouch takes a voucher and starts a session. Whatever is wrong, the answer is the
// same; what was wrong is in the log, for those who set it up.
func (c *Chat) vouch(w http.ResponseWriter, r *http.Request) {
	refuse := func(why string) {
		c.Log.WarnContext(r.Context(), "a voucher was refused", "why", why)
		http.Error(w, "not vouched for", http.StatusForbidden)
	}
	if c.VouchKey == "" || !c.allow("address:"+bot.Household(r.RemoteAddr), 6*time.Second, 30) {
		refuse("no chat.vouch_key is set, or too many from one address")
		return
	}
	var v voucher
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithAudience(c.PublicURL+"/chat"), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(c.Now), jwt.WithLeeway(30*time.Second))
	if _, err := parser.ParseWithClaims(r.FormValue("voucher"), &v, func(*jwt.Token) (any, error) { return []byte(c.VouchKey), nil }); err != nil {
		refuse(reason(err))
		return
	}
	patient, err := c.Bot.Vouched(r.Context(), v.Subject, v.ID)
	switch {
	case errors.Is(err, bot.ErrNotFound):
		refuse("its subject is no patient")
		return
	case errors.Is(err, bot.ErrRefused):
		refuse("it has been used")
		return
	case err == nil:
		err = c.begin(w, r, session{Patient: patient})
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// reason names what is wrong with a voucher, without anything of what it says.
func reason(err error) string {
	for _, known := range []error{jwt.ErrTokenMalformed, jwt.ErrTokenSignatureInvalid, jwt.ErrTokenExpired, jwt.ErrTokenInvalidAudience, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenRequiredClaimMissing} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "it has no jti or sub, lives longer than 5 minutes, or does not say since when"
}
