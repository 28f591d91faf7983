package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// hold keeps the writer busy with a change until release is called: those that come meanwhile wait.
func hold(t *testing.T, s *store.Store) (release func()) {
	t.Helper()
	begun, gate, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		err := s.Update(context.Background(), func(*store.Tx) error {
			close(begun)
			<-gate
			return nil
		})
		if err != nil {
			t.Errorf("the change that holds the writer: %v", err)
		}
	}()
	<-begun
	release = sync.OnceFunc(func() {
		close(gate)
		<-done
	})
	t.Cleanup(release) // before the store is closed, which waits for it
	return release
}

// waitFor returns once n changes wait.
func waitFor(s *store.Store, n int) {
	for s.Waiting() < n {
		runtime.Gosched()
	}
}

// told collects what a store passes on after its commits.
type told struct {
	mu      sync.Mutex
	commits [][]store.NewDelivery
}

func (to *told) committed(c store.Committed) {
	to.mu.Lock()
	defer to.mu.Unlock()
	to.commits = append(to.commits, c.Deliveries)
}

// deliveries returns those of all commits, in order.
func (to *told) deliveries() []store.NewDelivery {
	to.mu.Lock()
	defer to.mu.Unlock()
	return slices.Concat(to.commits...)
}

func addCalendar(name string) func(tx *store.Tx) error {
	return func(tx *store.Tx) error {
		_, err := tx.Create(storetest.Actor(), &personnel.Calendar, value.Map("name", name, "color", "#2563eb"))
		return err
	}
}

func calendars(t *testing.T, s *store.Store) []string {
	t.Helper()
	return query[string](t, s, "SELECT name FROM calendars ORDER BY id")
}

func TestStore_Update_changesThatWaitShareACommit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		var to told
		s.Notify(to.committed)
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		release := hold(t, s)

		const n = 20
		var work sync.WaitGroup
		for i := range n {
			work.Go(func() {
				var created *personnel.Resource
				err := s.Update(t.Context(), func(tx *store.Tx) (err error) {
					created, err = tx.Create(storetest.Actor(), &personnel.Calendar, value.Map("name", fmt.Sprint(i), "color", "#2563eb"))
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				read, err := s.Get(t.Context(), 1, &personnel.Calendar, created.ID())
				if err != nil || read.Text("name") != fmt.Sprint(i) {
					t.Errorf("calendar %d reads back as %v, %v", i, read, err)
				}
				if !slices.ContainsFunc(to.deliveries(), func(d store.NewDelivery) bool {
					return strings.Contains(string(d.Payload.Text), fmt.Sprintf(`"name":"%d"`, i))
				}) {
					t.Errorf("Update of calendar %d returned before its delivery was passed on", i)
				}
			})
		}
		waitFor(s, n)
		release()
		work.Wait()

		if len(to.commits) != 1 || len(to.commits[0]) != n {
			t.Errorf("there were %d commits with deliveries, want 1 with all %d", len(to.commits), n)
		}
	})
}

func TestStore_Update_failureIsUndoneAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		var to told
		s.Notify(to.committed)
		storetest.AddWebhook(t, s, "https://example.com/hook", nil)
		release := hold(t, s)

		failure := errors.New("this one fails")
		errs := map[string]error{}
		var mu sync.Mutex
		var work sync.WaitGroup
		change := func(name string, then func() error) {
			waiting := s.Waiting()
			work.Go(func() {
				err := s.Update(t.Context(), func(tx *store.Tx) error {
					if err := addCalendar(name)(tx); err != nil {
						return err
					}
					return then()
				})
				mu.Lock()
				defer mu.Unlock()
				errs[name] = err
			})
			waitFor(s, waiting+1) // so that they run in this order
		}
		change("first", func() error { return nil })
		change("fails", func() error { return failure })
		change("second", func() error { return nil })
		change("panics", func() error { panic("out of order") })
		change("third", func() error { return nil })
		release()
		work.Wait()

		for _, name := range []string{"first", "second", "third"} {
			if errs[name] != nil {
				t.Errorf("%s: %v", name, errs[name])
			}
		}
		if errs["fails"] != failure {
			t.Errorf("the failure arrives as %v, want it as it was", errs["fails"])
		}
		if err := errs["panics"]; err == nil || !strings.HasPrefix(err.Error(), "panic in a change: out of order") {
			t.Errorf("the panic arrives as %v", err)
		}
		if got, want := calendars(t, s), []string{"first", "second", "third"}; !slices.Equal(got, want) {
			t.Errorf("calendars are %q, want %q", got, want)
		}
		if len(to.commits) != 1 || len(to.commits[0]) != 3 {
			t.Errorf("passed on were %d commits, want 1 with 3 deliveries", len(to.commits))
		}
		wantSequences(t, s, 1, 2, 3)
	})
}

// wantSequences checks the sequence numbers of all deliveries, in the order of their ids.
func wantSequences(t *testing.T, s *store.Store, want ...int) {
	t.Helper()
	if got := query[int](t, s, "SELECT sequence FROM deliveries ORDER BY id"); !slices.Equal(got, want) {
		t.Errorf("sequences are %d, want %d", got, want)
	}
}

func TestStore_Update_cancelledWhileItWaits(t *testing.T) {
	s, _ := storetest.New(t)
	release := hold(t, s)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the client has gone")
	result := make(chan error)
	go func() { result <- s.Update(ctx, addCalendar("never")) }()
	waitFor(s, 1)

	cancel(gone)
	if err := <-result; err != gone { // while the writer is still held
		t.Errorf("error is %v, want %v", err, gone)
	}
	release()
	storetest.Change(t, s, addCalendar("later"))
	if got := calendars(t, s); !slices.Equal(got, []string{"later"}) {
		t.Errorf("calendars are %q: the withdrawn change was made", got)
	}
}

func TestStore_Update_cancelledOnceBegun(t *testing.T) {
	s, _ := storetest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx *store.Tx) error {
		cancel()
		return addCalendar("finished")(tx)
	})
	if err != nil {
		t.Errorf("error is %v, want the change finished", err)
	}
	if got := calendars(t, s); !slices.Equal(got, []string{"finished"}) {
		t.Errorf("calendars are %q", got)
	}
}

func TestStore_Update_afterClose(t *testing.T) {
	s := openAt(t, databasePath(t))
	release := hold(t, s)
	waiting := make(chan error)
	go func() { waiting <- s.Update(context.Background(), addCalendar("waits")) }()
	waitFor(s, 1)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for !s.Closed() {
		runtime.Gosched()
	}
	release() // the change under way is finished, the one that waits refused

	if err := <-waiting; !errors.Is(err, store.ErrClosed) {
		t.Errorf("the change that waited: %v, want ErrClosed", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := s.Update(context.Background(), addCalendar("late")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a change after Close: %v, want ErrClosed", err)
	}
}

func TestStore_Notify_inTheOrderOfCommits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		var to told
		s.Notify(to.committed)
		first := storetest.AddWebhook(t, s, "https://example.com/1", nil)
		second := storetest.AddWebhook(t, s, "https://example.com/2", nil)
		for i := range 3 {
			storetest.Change(t, s, addCalendar(fmt.Sprint(i)))
			clock.Advance(1)
			deliveries := to.deliveries()
			if len(deliveries) != 2*(i+1) {
				t.Fatalf("%d deliveries were passed on after %d changes to 2 webhooks", len(deliveries), i+1)
			}
			for j, w := range []int64{first.ID, second.ID} {
				d := deliveries[2*i+j]
				if d.WebhookID != w || d.ID != int64(2*i+j+1) || d.EventID != int64(i+1) || d.Attempts != 0 {
					t.Errorf("change %d passed on %+v", i, d)
				}
				if stored := query[string](t, s, "SELECT envelope FROM events WHERE id = $1", d.EventID); stored[0] != string(d.Payload.Text) {
					t.Errorf("the envelope passed on is %s, stored %s", d.Payload.Text, stored)
				}
			}
		}
	})
}
