package api

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
)

// KeyUses remembers when keys were last used, and from where, and writes it to the database now and then, so that no request
// waits for it. Its methods may be called concurrently.
type KeyUses struct {
	store *store.Store
	clock clockwork.Clock
	log   *slog.Logger

	mu   sync.Mutex
	uses map[int64]store.KeyUse // not written yet, by the key's id
	some chan struct{}
}

const (
	useEvery = time.Minute // from one time that uses are written to the next
	maxUses  = 10000       // not written yet; of more keys the use is not noted
	useBatch = 500         // written in one transaction
)

// NewKeyUses returns one that writes to the store while Run runs.
func NewKeyUses(s *store.Store, clock clockwork.Clock, log *slog.Logger) *KeyUses {
	return &KeyUses{store: s, clock: clock, log: log, uses: map[int64]store.KeyUse{}, some: make(chan struct{}, 1)}
}

// note takes down that a key is used now.
func (k *KeyUses) note(id int64, address string) {
	if k == nil {
		return
	}
	at := k.clock.Now()
	k.mu.Lock()
	k.add(id, store.KeyUse{At: at, Address: address})
	k.mu.Unlock()
	select {
	case k.some <- struct{}{}:
	default:
	}
}

func (k *KeyUses) add(id int64, use store.KeyUse) {
	if last, known := k.uses[id]; !known && len(k.uses) < maxUses || known && last.At.Before(use.At) {
		k.uses[id] = use
	}
}

// Run writes uses until ctx is done, and then what is left: the first at once, and what follows a minute later. While no key
// is used it does nothing.
func (k *KeyUses) Run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-k.some:
			k.write(ctx)
			pause := k.clock.NewTimer(useEvery)
			select {
			case <-ctx.Done():
			case <-pause.Chan():
			}
			pause.Stop()
		}
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	k.write(closing)
}

// write writes what is known. What cannot be written is kept for the next time.
func (k *KeyUses) write(ctx context.Context) {
	k.mu.Lock()
	uses := k.uses
	k.uses = map[int64]store.KeyUse{}
	k.mu.Unlock()
	batch := make(map[int64]store.KeyUse, min(len(uses), useBatch))
	for id, use := range uses {
		batch[id] = use
		delete(uses, id)
		if len(batch) < useBatch && len(uses) > 0 {
			continue
		}
		if err := k.store.UsedKeys(ctx, batch); err != nil {
			k.keep(batch, uses)
			if ctx.Err() == nil {
				k.log.ErrorContext(ctx, "noting the use of API keys failed", "error", err)
			}
			return
		}
		clear(batch)
	}
}

// keep takes uses back that are not written.
func (k *KeyUses) keep(parts ...map[int64]store.KeyUse) {
	k.mu.Lock()
	for _, uses := range parts {
		for id, use := range uses {
			k.add(id, use)
		}
	}
	k.mu.Unlock()
	select {
	case k.some <- struct{}{}:
	default:
	}
}
