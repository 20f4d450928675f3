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

	"lookout/content"
)

// packPiece is how large a piece of a pack is, in bytes. A pack has tens of megabytes: in
// one, a Redis that keeps each change at once would serve nobody else while it wrote it,
// and on a slow disk would be given up for dead. Pieces go by their digest, so packs
// that differ in a few words share nearly all of them.
const packPiece = 1 << 20

// keptWhole marks a pack that is kept as one value.
const keptWhole = "\x01"

// keptPack says of which pieces a pack is put together, by their keys.
type keptPack struct {
	Pieces []string `json:"pieces"`
}

// keepPack puts the content into the store, for talks that will outlast it there. A mark
// that is written last says that it is kept already.
func (b *Bot) keepPack(ctx context.Context) error {
	digest := b.content.Digest()
	_, err := b.store.Value(ctx, drawerKeptPacks, digest, b.now())
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	there := map[string]bool{}
	marks, err := b.store.Values(ctx, drawerKeptPacks, b.now())
	if err != nil {
		return err
	}
	for _, mark := range marks {
		var of keptPack
		if json.Unmarshal(mark, &of) == nil {
			for _, key := range of.Pieces {
				there[key] = true
			}
		}
	}
	archive, err := b.content.Archive()
	if err != nil {
		return err
	}
	var of keptPack
	for piece := range slices.Chunk(archive, packPiece) {
		sum := sha256.Sum256(piece)
		key := hex.EncodeToString(sum[:])
		of.Pieces = append(of.Pieces, key)
		if there[key] {
			continue
		}
		if err := b.store.PutValue(ctx, drawerPacks, key, piece, time.Time{}); err != nil {
			return err
		}
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
	var archive []byte
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
// in progress began with.
func (b *Bot) pack(ctx context.Context, digest string) (*content.Pack, error) {
	b.packsMu.Lock()
	pack, ok := b.packs[digest]
	b.packsMu.Unlock()
	if ok {
		return pack, nil
	}
	archive, err := b.keptArchive(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("content of a talk in progress: %w", err)
	}
	if pack, err = content.OpenKept(archive); err != nil {
		return nil, fmt.Errorf("content of a talk in progress: %w", err)
	}
	b.packsMu.Lock()
	b.packs[digest] = pack
	b.packsMu.Unlock()
	return pack, nil
}
