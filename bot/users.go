package bot

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// User gives a member of the team by e-mail address. [ErrNotFound].
func (b *Bot) User(ctx context.Context, email string) (User, error) {
	value, err := b.store.Value(ctx, drawerUsers, strings.ToLower(email), b.now())
	if err != nil {
		return User{}, err
	}
	u, err := userOf(value)
	if err == nil && u.Service != b.service.ID {
		err = ErrNotFound
	}
	if err != nil {
		return User{}, err
	}
	return u, nil
}

func userOf(value []byte) (User, error) {
	u := User{was: value}
	if err := json.Unmarshal(value, &u); err != nil {
		return User{}, fmt.Errorf("user: %w", err)
	}
	return u, nil
}

// ChangeUser reads a member of the team, changes her, and keeps her: once more on what
// she is by then when another has changed her meanwhile, so that neither change is lost.
// change may be called several times; its error ends it, and nothing is changed.
// [ErrNotFound].
func (b *Bot) ChangeUser(ctx context.Context, email string, change func(u *User) error) (User, error) {
	for {
		u, err := b.User(ctx, email)
		if err == nil {
			err = change(&u)
		}
		if err != nil {
			return User{}, err
		}
		kept, err := b.keepUser(ctx, u)
		if !errors.Is(err, ErrConflict) {
			return kept, err
		}
		if err := ctx.Err(); err != nil {
			return User{}, err
		}
	}
}

// PutUser keeps a member of the team, new, or as she was read and then changed.
// [ErrConflict]: another has changed her since she was read, or she is not new.
func (b *Bot) PutUser(ctx context.Context, u User) error {
	_, err := b.keepUser(ctx, u)
	return err
}

// keepUser gives her as the store has her then.
func (b *Bot) keepUser(ctx context.Context, u User) (User, error) {
	u.Email = strings.ToLower(strings.TrimSpace(u.Email))
	if u.Email == "" || !strings.Contains(u.Email, "@") {
		return User{}, &FieldError{"email", "is not an e-mail address like ann@example.nhs.uk"}
	}
	switch u.Role {
	case Nurse, Lead, Admin, Auditor:
	default:
		return User{}, &FieldError{"role", "must be nurse, lead, admin or auditor"}
	}
	u.Service = b.service.ID
	value, err := json.Marshal(u)
	if err != nil {
		return User{}, err
	}
	if err := b.store.SwapValue(ctx, drawerUsers, u.Email, u.was, value, time.Time{}, b.now()); err != nil {
		return User{}, err
	}
	u.was = value
	return u, nil
}

// Users lists the team, by e-mail address.
func (b *Bot) Users(ctx context.Context) ([]User, error) {
	values, err := b.store.Values(ctx, drawerUsers, b.now())
	if err != nil {
		return nil, err
	}
	var users []User
	for _, value := range values {
		u, err := userOf(value)
		if err != nil {
			return nil, err
		}
		if u.Service == b.service.ID {
			users = append(users, u)
		}
	}
	slices.SortFunc(users, func(x, y User) int { return strings.Compare(x.Email, y.Email) })
	return users, nil
}

// mostChanges bounds how many changes are kept for somebody who never looks.
const mostChanges = 10

// ChangeSignIn changes one of the ways by which a member of the team signs in, as
// [Bot.ChangeUser] does, and tells her: on every page of the desk until she says that she
// knows, and by mail where there is one. session is hers in which it was done.
func (b *Bot) ChangeSignIn(ctx context.Context, email, what, session string, change func(u *User) error) (User, error) {
	at := b.now()
	u, err := b.ChangeUser(ctx, email, func(u *User) error {
		if err := change(u); err != nil {
			return err
		}
		u.tell(at, what, session)
		return nil
	})
	if err == nil {
		b.mailChange(ctx, u.Email, what, at)
	}
	return u, err
}

// tell puts a change of her sign-in before her.
func (u *User) tell(at time.Time, what, session string) {
	u.Changes = append(u.Changes, SignInChange{at, what, session})
	u.Changes = u.Changes[max(0, len(u.Changes)-mostChanges):]
}

// mailChange tells her by mail that one of her ways to sign in has changed. When that
// fails it is changed all the same, and stands on the desk.
func (b *Bot) mailChange(ctx context.Context, email, what string, at time.Time) {
	if b.mail == "" {
		return
	}
	to := Address{Channel: b.mail, At: email}
	id := b.strangerID(to)
	err := b.turn(ctx, id, "", func() Record { return b.stranger(id, to) }, func(t *turn) error {
		at := at.In(b.service.Location)
		text, err := b.content.Text("page.sign-in", "en-GB", b.mail, map[string]string{"change": what, "when": clockWords(at) + " on " + dayWords(at, "en-GB"), "desk": b.linkBase + "/desk/password"})
		if err != nil {
			return err
		}
		t.entry(Entry{Kind: EntryPage, Why: "told that a way to sign in has changed"})
		out := t.outgoing(to, text, PriorityPage)
		out.TextID = "page.sign-in"
		t.change.Send = append(t.change.Send, out)
		return nil
	})
	if err != nil {
		b.log.ErrorContext(ctx, "a member of the team gets no mail of a change of her sign-in", "err", err)
	}
}

// InviteLives is how long an invitation can be used, once.
const InviteLives = 7 * 24 * time.Hour

// Invite keeps a member of the team, new or with another name or role, and gives a
// one-time link by which she chooses a password. A password that she has stays
// good until then, so that an invitation also helps who has forgotten hers.
func (b *Bot) Invite(ctx context.Context, u User) (link string, err error) {
	u.Email = strings.ToLower(strings.TrimSpace(u.Email))
	known := func() error {
		_, err := b.ChangeUser(ctx, u.Email, func(had *User) error {
			had.Name, had.Role, had.Disabled = u.Name, u.Role, false
			return nil
		})
		return err
	}
	if err = known(); errors.Is(err, ErrNotFound) {
		u.Created, u.was = b.now(), nil
		if err = b.PutUser(ctx, u); errors.Is(err, ErrConflict) { // another has invited her just now
			err = known()
		}
	}
	if err != nil {
		return "", err
	}
	token, key := newToken()
	if err := b.store.PutValue(ctx, drawerInvites, key, []byte(u.Email), b.now().Add(InviteLives)); err != nil {
		return "", fmt.Errorf("keep the invitation: %w", err)
	}
	return b.linkBase + "/desk/welcome?k=" + token, nil
}

// Invited says who an invitation is for, and uses nothing up. [ErrNotFound]: it was
// used, has run out, or never was.
func (b *Bot) Invited(ctx context.Context, token string) (User, error) {
	email, err := b.store.Value(ctx, drawerInvites, tokenKey(token), b.now())
	if err != nil {
		return User{}, err
	}
	return b.User(ctx, string(email))
}

// Accept uses an invitation up and sets the password that she chose, as a hash; session is
// hers that begins with it. Who had a way in before is told. [ErrNotFound]: somebody was
// faster, or it has run out.
func (b *Bot) Accept(ctx context.Context, token, hash, session string) (User, error) {
	email, err := b.store.TakeValue(ctx, drawerInvites, tokenKey(token), b.now())
	if err != nil {
		return User{}, err
	}
	at := b.now()
	const what = "A new password was chosen with an invitation, and codes and passkeys were taken off"
	had := false
	u, err := b.ChangeUser(ctx, string(email), func(u *User) error {
		if u.Disabled {
			return ErrNotFound
		}
		had = u.CanSignIn()
		// The invitation is also for who has lost her phone, or is another at the hospital's sign-in now.
		u.Password, u.TOTP, u.TOTPStep, u.Passkeys, u.Subject = hash, "", 0, nil, ""
		u.Epoch++
		if had {
			u.tell(at, what, session)
		}
		return nil
	})
	if err == nil && had {
		b.mailChange(ctx, u.Email, what, at)
	}
	return u, err
}

// newToken makes what a one-time link carries, and the key that it is kept under.
func newToken() (token, key string) {
	random := make([]byte, 24)
	rand.Read(random)
	token = base64.RawURLEncoding.EncodeToString(random)
	return token, tokenKey(token)
}

// tokenKey is what the store keeps of a token: who reads the store cannot use it.
func tokenKey(token string) string {
	return sha256Hex(token)
}

func sha256Hex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
