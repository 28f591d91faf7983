package api_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/api"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// A noting server notes uses of keys until stop is called.
type notingServer struct {
	*server
	commits *atomic.Int64
	stop    func()
}

func newNotingServer(t *testing.T) notingServer {
	n := notingServer{commits: new(atomic.Int64)}
	db, clock := storetest.NewWith(t, store.Options{OnCommit: func(store.Commit) { n.commits.Add(1) }})
	uses := api.NewKeyUses(db, clock, slog.New(slog.DiscardHandler))
	n.server = serve(t, db, clock, func(o *api.Options) { o.KeyUses = uses })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		uses.Run(ctx)
	}()
	n.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(n.stop)
	return n
}

// used returns the key with its last use.
func (n notingServer) used(text string) *bugle.APIKey {
	n.Helper()
	key, err := n.store.Key(n.Context(), text)
	if err != nil {
		n.Fatal(err)
	}
	return key
}

// A use is written at once after a quiet time, those of a minute together, and what is left when the server stops.
// Without one nothing is written.
func TestKeyUses(t *testing.T) {
	n := newNotingServer(t)
	other := n.addKey(bugle.APIKey{Scopes: []string{"*"}})
	before := n.commits.Load()
	n.do("GET", "users", nil)
	if err := n.clock.BlockUntilContext(t.Context(), 1); err != nil { // it is written, and a minute begins
		t.Fatal(err)
	}
	if key := n.used(n.key); !key.UsedAt.Equal(storetest.Start) || key.UsedFrom != "127.0.0.1" {
		t.Errorf("after the first use the key is %+v", key)
	}
	if key := n.used(other); !key.UsedAt.IsZero() {
		t.Errorf("a key that is not used is %+v", key)
	}

	for range 3 {
		n.clock.Advance(10 * time.Second)
		n.do("GET", "users", nil)
		n.with(other).do("GET", "users", nil)
	}
	n.with("bugle_nobodys").do("GET", "users", nil)
	if wrote := n.commits.Load() - before; wrote != 1 {
		t.Errorf("within a minute there are %d commits", wrote)
	}
	n.clock.Advance(30 * time.Second)
	if err := n.clock.BlockUntilContext(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{n.key, other} {
		if key := n.used(text); !key.UsedAt.Equal(storetest.Start.Add(30 * time.Second)) {
			t.Errorf("after a minute the key is %+v", key)
		}
	}
	if wrote := n.commits.Load() - before; wrote != 2 {
		t.Errorf("after a minute there are %d commits", wrote)
	}

	n.clock.Advance(time.Hour)
	n.do("GET", "users", nil)
	n.stop()
	if key := n.used(n.key); !key.UsedAt.Equal(storetest.Start.Add(time.Minute + time.Hour)) {
		t.Errorf("after the end the key is %+v", key)
	}
	if wrote := n.commits.Load() - before; wrote != 3 {
		t.Errorf("in all there are %d commits", wrote)
	}
}

// What cannot be written is kept for the next time, up to a bound.
func TestKeyUses_thatCannotBeWritten(t *testing.T) {
	db, clock := storetest.New(t)
	uses := api.NewKeyUses(db, clock, slog.New(slog.DiscardHandler))
	for id := range int64(2 * api.MaxUses) {
		uses.Note(id, "192.0.2.1")
	}
	if n := uses.Waiting(); n != api.MaxUses {
		t.Errorf("%d uses wait", n)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	uses.Write(t.Context())
	if n := uses.Waiting(); n != api.MaxUses {
		t.Errorf("%d uses wait after a failure", n)
	}
}
