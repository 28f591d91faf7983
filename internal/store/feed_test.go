package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

func feed(t *testing.T, s *store.Store, webhookID, after int64, limit int) *store.Feed {
	t.Helper()
	f, err := s.Feed(t.Context(), 1, webhookID, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// summary is a feed in short: its sequences, and what it says of the rest.
func summary(f *store.Feed) string {
	sequences := make([]int64, len(f.Items))
	for i, item := range f.Items {
		sequences[i] = item.Sequence
	}
	return fmt.Sprintf("%d next %d more %t first %d last %d removed %d", sequences, f.Next, f.More, f.First, f.Last, f.Removed)
}

func wantFeed(t *testing.T, what string, f *store.Feed, want string) {
	t.Helper()
	if got := summary(f); got != want {
		t.Errorf("%s is\n     %s\nwant %s", what, got, want)
	}
}

func TestFeed_inParts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		first := storetest.AddWebhook(t, s, "https://example.com/1", func(w *bugle.Webhook) { w.Status = bugle.Paused }).ID
		second := storetest.AddWebhook(t, s, "https://example.com/2", func(w *bugle.Webhook) { w.Events = []string{"user.created"} }).ID
		wantFeed(t, "the feed of a new webhook", feed(t, s, first, 0, 10), "[] next 0 more false first 0 last 0 removed 0")
		owe(t, s, 4)
		user(t, s, "Jane Roe")
		wantFeed(t, "the first part", feed(t, s, first, 0, 2), "[1 2] next 2 more true first 1 last 5 removed 0")
		wantFeed(t, "the second part", feed(t, s, first, 2, 3), "[3 4 5] next 5 more false first 1 last 5 removed 0")
		wantFeed(t, "the part behind the end", feed(t, s, first, 5, 3), "[] next 5 more false first 1 last 5 removed 0")
		wantFeed(t, "what comes after a sequence that was not given out", feed(t, s, first, 9, 3), "[] next 9 more false first 1 last 5 removed 0")
		wantFeed(t, "the feed of the other webhook", feed(t, s, second, 0, 10), "[1] next 1 more false first 1 last 1 removed 0")
		item := feed(t, s, first, 4, 1).Items[0]
		if d := delivery(t, s, item.DeliveryID); d.WebhookID != first || item.Event != "user.created" || item.State != bugle.Pending || !item.CreatedAt.Equal(storetest.Start) ||
			string(item.Payload.Text) != events(t, s)[4].Envelope {
			t.Errorf("the last item is %+v, of the delivery %+v", item, d)
		}
		for _, of := range []struct{ organization, webhook int64 }{{2, first}, {1, 99}} {
			if _, err := s.Feed(t.Context(), of.organization, of.webhook, 0, 1); !errors.Is(err, bugle.ErrNotFound) {
				t.Errorf("the feed of webhook %d in organization %d: %v, want ErrNotFound", of.webhook, of.organization, err)
			}
		}
	})
}

// A part ends early if it is long, but never has nothing in it.
func TestFeed_longEnvelopes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/1", nil).ID
		owe(t, s, 3)
		size := len(feed(t, s, w, 0, 1).Items[0].Payload.Text)
		defer store.MaxFeedBytes(store.MaxFeedBytes(2*size + size/2))
		wantFeed(t, "a part of two", feed(t, s, w, 0, 10), "[1 2] next 2 more true first 1 last 3 removed 0")
		store.MaxFeedBytes(1)
		wantFeed(t, "a part of one", feed(t, s, w, 1, 10), "[2] next 2 more true first 1 last 3 removed 0")
		wantFeed(t, "the last part", feed(t, s, w, 2, 10), "[3] next 3 more false first 1 last 3 removed 0")
	})
}

func TestFeed_afterRetention(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		w := storetest.AddWebhook(t, s, "https://example.com/1", nil).ID
		owe(t, s, 6)
		remove := func(condition string) {
			storetest.Change(t, s, func(tx *store.Tx) error { return tx.Exec("DELETE FROM deliveries WHERE " + condition) })
		}
		remove("sequence IN (1, 2, 4)")
		wantFeed(t, "the feed without its beginning", feed(t, s, w, 0, 2), "[3 5] next 5 more true first 3 last 6 removed 3")
		wantFeed(t, "the rest", feed(t, s, w, 5, 2), "[6] next 6 more false first 3 last 6 removed 0")
		remove("TRUE")
		wantFeed(t, "the feed of which nothing is left", feed(t, s, w, 4, 2), "[] next 6 more false first 0 last 6 removed 2")
	})
}

// The sequence has no gaps, whatever else happens at the same time: changes that fail, tests, redeliveries, messages
// of automations.
func TestFeed_withoutGaps(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		hooks := []int64{storetest.AddWebhook(t, s, "https://example.com/1", nil).ID, storetest.AddWebhook(t, s, "https://example.com/2", nil).ID}
		const writers, each = 8, 30
		failure := errors.New("on purpose")
		var work sync.WaitGroup
		for writer := range writers {
			work.Go(func() {
				for i := range each {
					err := s.Update(t.Context(), func(tx *store.Tx) error {
						if _, err := tx.Create(storetest.Actor(), &personnel.Calendar, value.Map("name", "?", "color", "#2563eb")); err != nil {
							return err
						}
						switch (writer + i) % 4 {
						case 0:
							return failure
						case 1:
							_, err := tx.SendTest(storetest.Actor(), hooks[0], nil)
							return err
						case 2:
							_, err := tx.Redeliver(1, 1)
							if errors.Is(err, bugle.ErrNotFound) { // the first change may be one that failed
								err = nil
							}
							return err
						default:
							_, err := tx.Address(&bugle.Event{OrganizationID: 1, Name: "calendar.created", CreatedAt: storetest.Start, Envelope: []byte("{}")}, hooks[1])
							return err
						}
					})
					if err != nil && !errors.Is(err, failure) {
						t.Error(err)
					}
				}
			})
		}
		work.Wait()
		for _, id := range hooks {
			f := feed(t, s, id, 0, 1000)
			sequences := make([]int64, len(f.Items))
			for i, item := range f.Items {
				sequences[i] = item.Sequence
				if i > 0 && item.DeliveryID <= f.Items[i-1].DeliveryID {
					t.Errorf("delivery %d has the sequence after that of %d", item.DeliveryID, f.Items[i-1].DeliveryID)
				}
			}
			want := make([]int64, writers*each) // three of four writers' changes, and a fourth beside them
			for i := range want {
				want[i] = int64(i + 1)
			}
			if !slices.Equal(sequences, want) || f.Removed != 0 {
				t.Errorf("webhook %d has the sequences %d, and %d were removed", id, sequences, f.Removed)
			}
		}
	})
}
