package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// openNodes opens a database as several nodes, each with a clock of its own.
func openNodes(t *testing.T, n int) (nodes []*store.Store, clocks []*clockwork.FakeClock) {
	t.Helper()
	onPostgres(t)
	database := storetest.Database(t)
	for i := range n {
		clock := clockwork.NewFakeClockAt(storetest.Start)
		nodes = append(nodes, storetest.Open(t, database, store.Options{Node: string(rune(97 + i)), Clock: clock}))
		clocks = append(clocks, clock)
	}
	return nodes, clocks
}

func renew(t *testing.T, s *store.Store) *store.Lease {
	t.Helper()
	l, err := s.RenewLease(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// endLeases makes all leases end, as time does.
func endLeases(t *testing.T, s *store.Store) {
	t.Helper()
	exec(t, s, "UPDATE slices SET until_us = 1")
	exec(t, s, "UPDATE nodes SET seen_us = seen_us - 60000000")
}

func TestNodes_shareTheSlices(t *testing.T) {
	nodes, clocks := openNodes(t, 3)
	a, b := nodes[0], nodes[1]
	if a.Owns(1) {
		t.Error("a node has a slice before it has renewed its lease")
	}
	if l := renew(t, a); len(l.Slices) != store.Slices || len(l.Taken) != store.Slices || l.Share != store.Slices || l.Nodes != 1 || l.Others {
		t.Fatalf("the only node has %+v, want everything", l)
	}
	if !a.IsAlone() || !a.Owns(1) || !a.Owns(12345) {
		t.Error("the only node is alone and has every lane")
	}
	if l := renew(t, b); len(l.Slices) != 0 || l.Share != store.Slices/2 || l.Nodes != 2 || !l.Others {
		t.Fatalf("the second node has %+v, want nothing yet", l)
	}
	l := renew(t, a)
	if len(l.Slices) != store.Slices || l.Share != store.Slices/2 || !l.Others || a.IsAlone() {
		t.Fatalf("beside a second node the first has %+v, want everything and to know that it is too much", l)
	}
	if err := a.ReleaseSlices(t.Context(), l.Slices[:32]); err != nil {
		t.Fatal(err)
	}
	if l := renew(t, b); !slices.Equal(l.Taken, l.Slices) || len(l.Taken) != 32 {
		t.Fatalf("the second node takes %+v, want 32 slices", l)
	}
	for id := range int64(2 * store.Slices) {
		if a.Owns(id) == b.Owns(id) {
			t.Errorf("lane %d is of both nodes or of none", id)
		}
	}
	// One that works on nothing counts for no share, but makes others know that they are not alone.
	if l, err := nodes[2].RenewLease(t.Context(), false); err != nil || len(l.Slices) != 0 || l.Share != 0 {
		t.Errorf("a node that works on nothing has %+v, %v", l, err)
	}
	if l := renew(t, a); l.Share != 32 || l.Nodes != 2 {
		t.Errorf("beside one that works on nothing: %+v", l)
	}

	// A lease ends on the node's own clock before others take the slices.
	clocks[0].Advance(store.LeaseTime - 2*time.Second)
	if !a.Holds() {
		t.Error("the lease has ended early")
	}
	clocks[0].Advance(time.Second)
	if a.Holds() || a.Owns(32) {
		t.Error("the lease has not ended in time")
	}
	endLeases(t, b)
	if l := renew(t, b); len(l.Slices) != store.Slices || l.Nodes != 1 {
		t.Errorf("after the end of the other the node has %+v, want everything", l)
	}
	if l := renew(t, a); len(l.Slices) != 0 {
		t.Errorf("a node that comes back has %+v, want nothing", l)
	}
	if err := b.LeaveNodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l := renew(t, a); len(l.Slices) != store.Slices {
		t.Errorf("after the other has left the node has %+v, want everything", l)
	}
}

// A clock that is behind gives out no place before those that others have given out.
func TestNodes_placesAreInTheOrderOfCommits(t *testing.T) {
	nodes, clocks := openNodes(t, 2)
	storetest.AddWebhook(t, nodes[0], "https://example.com", nil)
	clocks[0].Advance(time.Hour)
	for i := range 6 {
		storetest.Create(t, nodes[i%2], &personnel.User, "name", "Jane Roe", "email", string(rune('a'+i))+"@example.com")
	}
	places := query[int64](t, nodes[0], "SELECT order_us FROM deliveries ORDER BY id")
	if len(places) != 6 || !slices.IsSorted(places) || len(slices.Compact(slices.Clone(places))) != 6 {
		t.Errorf("places are %d, want 6 that increase", places)
	}
	if first := storetest.Start.Add(time.Hour).UnixMicro(); places[0] < first {
		t.Errorf("the first place is %d, want the time, %d", places[0], first)
	}
}

func TestNodes_hearOfOthers(t *testing.T) {
	nodes, _ := openNodes(t, 2)
	renew(t, nodes[0])
	renew(t, nodes[1])
	renew(t, nodes[0]) // and now it knows of the other
	heard := make(chan store.Committed, 100)
	nodes[1].Notify(func(c store.Committed) { heard <- c })
	hook := storetest.AddWebhook(t, nodes[0], "https://example.com", nil)
	user(t, nodes[0], "Jane Roe")
	storetest.Change(t, nodes[0], func(tx *store.Tx) error { return tx.SaveWebhook(hook) })
	for isNew, isDue := false, false; !isNew || !isDue; {
		select {
		case c := <-heard:
			isNew = isNew || slices.Contains(c.Webhooks, hook.ID)
			isDue = isDue || slices.Contains(c.Lanes, hook.ID)
			if len(c.Deliveries) > 0 {
				t.Errorf("deliveries of another node are told as if they were this one's: %+v", c)
			}
		case <-time.After(time.Minute):
			t.Fatal("the other node does not hear of the webhook and what it is owed")
		}
	}
}

func lateAttempt(number int, started time.Time, failed bool) *bugle.Attempt {
	a := &bugle.Attempt{Number: number, StartedAt: started, Took: time.Millisecond, Method: "POST", URL: "https://example.com", Status: 200}
	if failed {
		a.Status, a.Error = 500, &bugle.AttemptError{Kind: bugle.ErrorStatus, Message: "a\x00b\xff"}
	}
	return a
}

// A node that was away writes what it did, but another decides what happens next.
func TestNodes_lateResults(t *testing.T) {
	nodes, clocks := openNodes(t, 2)
	away, present := nodes[0], nodes[1]
	renew(t, away)
	hook := storetest.AddWebhook(t, away, "https://example.com", nil)
	user(t, away, "Jane Roe")
	user(t, away, "Sam Poe")
	endLeases(t, present)
	clocks[0].Advance(time.Minute)
	if l := renew(t, present); len(l.Slices) != store.Slices {
		t.Fatalf("the other node has %+v", l)
	}
	start := storetest.Start
	record := func(s *store.Store, id int64, a *bugle.Attempt, state bugle.DeliveryState) {
		t.Helper()
		r := store.Result{DeliveryID: id, WebhookID: hook.ID, Attempt: a, Outcome: bugle.Outcome{State: state, NextAt: start.Add(time.Hour)}}
		if err := s.Record(t.Context(), []store.Result{r}, map[int64]bugle.Health{hook.ID: {ConsecutiveFailures: 7}}); err != nil {
			t.Fatal(err)
		}
	}
	record(away, 1, lateAttempt(1, start, true), bugle.Pending)
	if got := query[int](t, present, "SELECT state * 10 + attempts FROM deliveries WHERE id = 1")[0]; got != 1 {
		t.Errorf("after a late failure state and attempts are %02d, want still due, after one attempt", got)
	}
	if n := query[int](t, present, "SELECT consecutive_failures FROM lanes")[0]; n != 0 {
		t.Errorf("a node that was away has written the health of its webhook")
	}
	record(present, 1, lateAttempt(1, start.Add(time.Second), false), bugle.Delivered) // begun before the late one was written
	if got := query[int](t, present, "SELECT state * 10 + attempts FROM deliveries WHERE id = 1")[0]; got != 22 {
		t.Errorf("state and attempts are %02d, want delivered, after two attempts", got)
	}
	if numbers := query[int](t, present, "SELECT number FROM attempts WHERE delivery_id = 1 ORDER BY number"); !slices.Equal(numbers, []int{1, 2}) {
		t.Errorf("attempts are numbered %d, want 1 and 2", numbers)
	}
	if got := query[string](t, present, "SELECT error_message FROM attempts WHERE delivery_id = 1 AND number = 1")[0]; got != "a\uFFFDb\uFFFD" {
		t.Errorf("the message is %q", got)
	}

	record(present, 2, lateAttempt(1, start, true), bugle.Pending)
	record(away, 2, lateAttempt(1, start.Add(time.Second), false), bugle.Delivered)
	if got := query[int](t, present, "SELECT state * 10 + attempts FROM deliveries WHERE id = 2")[0]; got != 22 {
		t.Errorf("state and attempts are %02d, want delivered, for the receiver has it", got)
	}
	record(away, 2, lateAttempt(1, start.Add(time.Second), false), bugle.Delivered) // again: the answer to the commit was lost
	if got := query[int](t, present, "SELECT state * 10 + attempts FROM deliveries WHERE id = 2")[0]; got != 22 {
		t.Errorf("state and attempts are %02d, want no attempt more", got)
	}
	if n := query[int](t, present, "SELECT attempts FROM delivery_stats WHERE webhook_id = 0 AND step_s = 60 ORDER BY attempts DESC"); len(n) == 0 || n[0] < 2 {
		t.Errorf("the organization's minutes count %d attempts", n)
	}
}

// The proof looks at leases too.
func TestNodes_proof(t *testing.T) {
	nodes, _ := openNodes(t, 1)
	renew(t, nodes[0])
	wantFaults := func(want int, what string) {
		t.Helper()
		p, err := nodes[0].Prove(t.Context(), nil)
		if err != nil || p.Broken != want {
			t.Errorf("%s: %d faults, %+v, %v, want %d", what, p.Broken, p.Faults, err, want)
		}
	}
	wantFaults(0, "leases that hold")
	exec(t, nodes[0], "UPDATE slices SET until_us = until_us + 3600000000 WHERE slice = 7")
	wantFaults(1, "a lease of an hour")
	exec(t, nodes[0], "UPDATE slices SET until_us = until_us - 3600000000 WHERE slice = 7")
	exec(t, nodes[0], "DELETE FROM nodes")
	wantFaults(store.Slices, "leases of nobody")
}
