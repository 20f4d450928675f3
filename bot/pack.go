package bot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"lookout/content"
)

// packPiece is how large a piece of a pack is, in bytes. A pack has tens of megabytes: in
// one, a Redis that keeps each change at once would serve nobody else while it wrote it,
// and on a slow disk would be given up for dead. Pieces go by their digest, so packs
// that differ in a few words share nearly all of them.
const packPiece = 1 << 20

// packAtOnce is how many pieces are written at the same time.
const packAtOnce = 8

// packWait is how long a pack may take to come out of the store: tens of megabytes.
const packWait = time.Minute

// keptWhole marks a pack that is kept as one value.
const keptWhole = "\x01"

// keptPack says of which pieces a pack is put together, by their keys.
type keptPack struct {
	Pieces []string `json:"pieces"`
}

// keepPack puts the content into the store, for talks that will outlast it there. A mark
// that is written last says that it is kept already. A piece that another pack has is
// written again: a Cluster may have lost it in a fail-over.
func (b *Bot) keepPack(ctx context.Context) error {
	digest := b.content.Digest()
	_, err := b.store.Value(ctx, drawerKeptPacks, digest, b.now())
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	archive, err := b.content.Archive()
	if err != nil {
		return err
	}
	var of keptPack
	some, putting := errgroup.WithContext(ctx) // a file takes in one commit what comes together
	some.SetLimit(packAtOnce)
	for piece := range slices.Chunk(archive, packPiece) {
		sum := sha256.Sum256(piece)
		key := hex.EncodeToString(sum[:])
		of.Pieces = append(of.Pieces, key)
		some.Go(func() error { return b.store.PutValue(putting, drawerPacks, key, piece, time.Time{}) })
	}
	if err := some.Wait(); err != nil {
		return err
	}
	mark, err := json.Marshal(of)
	if err != nil {
		return err
	}
	return b.store.PutValue(ctx, drawerKeptPacks, digest, mark, time.Time{})
}

// keptArchive reads a pack that keepPack has put into the store.
func (b *Bot) keptArchive(ctx context.Context, digest string) ([]byte, error) {
	mark, err := b.store.Value(ctx, drawerKeptPacks, digest, b.now())
	if string(mark) == keptWhole || errors.Is(err, ErrNotFound) { // as the first release kept them
		return b.store.Value(ctx, drawerPacks, digest, b.now())
	}
	if err != nil {
		return nil, err
	}
	var of keptPack
	if err := json.Unmarshal(mark, &of); err != nil {
		return nil, err
	}
	archive := make([]byte, 0, len(of.Pieces)*packPiece)
	for _, key := range of.Pieces {
		piece, err := b.store.Value(ctx, drawerPacks, key, b.now())
		if err != nil {
			return nil, err
		}
		archive = append(archive, piece...)
	}
	return archive, nil
}

// pack gives the content with that digest: the current one, or one that a talk
// in progress began with. However many talks ask for it at once, it is read once.
func (b *Bot) pack(ctx context.Context, digest string) (*content.Pack, error) {
	b.packsMu.Lock()
	pack, ok := b.packs[digest]
	b.packsMu.Unlock()
	if ok {
		return pack, nil
	}
	loaded, err, _ := b.loading.Do(digest, func() (any, error) {
		b.packsMu.Lock()
		pack, ok := b.packs[digest]
		b.packsMu.Unlock()
		if ok { // it came while this one was on its way
			return pack, nil
		}
		// Whoever asks first may give up, and the others wait for it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), packWait)
		defer cancel()
		archive, err := b.keptArchive(ctx, digest)
		if err != nil {
			return nil, err
		}
		if pack, err = content.OpenKept(archive); err != nil {
			return nil, err
		}
		b.packsMu.Lock()
		b.packs[digest] = pack
		b.packsMu.Unlock()
		return pack, nil
	})
	if err != nil {
		return nil, fmt.Errorf("content of a talk in progress: %w", err)
	}
	return loaded.(*content.Pack), nil
}
