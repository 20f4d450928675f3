package bot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// Photos that she sent lie in a drawer for each person, so that hers are found, and
// erased, without looking through those of others. The journal names a photo by its
// address; nobody but the desk opens it.
const (
	drawerPhotos = "photos/" // and her id
	photoScheme  = "photo:"
	maxPhoto     = 4 << 20 // bytes, as it is kept
)

// PhotoName gives the name of a photo from its address in the journal; false: it is
// none that lookout keeps.
func (m Media) PhotoName() (string, bool) { return strings.CutPrefix(m.URL, photoScheme) }

// KeepPhoto keeps a photo that somebody sent, sealed, and gives what stands for it in
// her message. The same name again is the same photo. It becomes hers with the message
// that names it. [ErrInvalid], [ErrNotFound].
func (b *Bot) KeepPhoto(ctx context.Context, patient, name string, photo []byte, kind string) (Media, error) {
	if patient == "" || name == "" || len(photo) == 0 || len(photo) > maxPhoto {
		return Media{}, &FieldError{"photo", "is empty, or larger than 4 MB as it is kept"}
	}
	if _, err := b.load(ctx, patient); err != nil {
		return Media{}, err
	}
	cipher, err := b.photoCipher(ctx)
	if err != nil {
		return Media{}, err
	}
	sealed, err := cipher.Encrypt(photo, photoOf(patient, name))
	if err != nil {
		return Media{}, fmt.Errorf("seal a photo: %w", err)
	}
	if err := b.store.PutValue(ctx, drawerPhotos+patient, name, sealed, time.Time{}); err != nil {
		return Media{}, fmt.Errorf("keep a photo: %w", err)
	}
	return Media{URL: photoScheme + name, Type: kind}, nil
}

// photoOf binds a sealed photo to its place: it opens nowhere else.
func photoOf(patient, name string) []byte { return []byte("photo\x00" + patient + "\x00" + name) }

// Photo opens a photo of hers. [ErrNotFound].
func (b *Bot) Photo(ctx context.Context, patient, name string) ([]byte, error) {
	if _, err := b.load(ctx, patient); err != nil {
		return nil, err
	}
	sealed, err := b.store.Value(ctx, drawerPhotos+patient, name, b.now())
	if err != nil {
		return nil, err
	}
	cipher, err := b.photoCipher(ctx)
	if err != nil {
		return nil, err
	}
	photo, err := cipher.Decrypt(sealed, photoOf(patient, name))
	if err != nil {
		return nil, fmt.Errorf("open a photo: %w", err)
	}
	return photo, nil
}

// photoCipher seals photos with a key that the store keeps, so that a photo alone, on a
// disk or in a dump, is none. Where the service has a keyset the store seals that key
// with it, as it seals everything else: then who has the store alone sees no photo.
func (b *Bot) photoCipher(ctx context.Context) (*subtle.AESGCM, error) {
	key, err := b.key(ctx, "photos")
	if err != nil {
		return nil, fmt.Errorf("the key of photos: %w", err)
	}
	return subtle.NewAESGCM(key)
}
