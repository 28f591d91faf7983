package delivery

import (
	"net/http"
	"slices"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// anyone may have a turn.
func anyone(int64) bool { return true }

// order takes all lanes, each of which comes again so many times, and returns their ids.
func (t *turns) all(again int) (ids []int64) {
	times := map[*lane]int{}
	for !t.isEmpty() {
		l := t.take(t.find(anyone))
		ids = append(ids, l.id)
		if times[l]++; times[l] < again {
			t.add(l)
		}
	}
	return ids
}

func TestTurns(t *testing.T) {
	lanes := func(organizations ...int64) *turns {
		var w turns
		for i, of := range organizations {
			w.add(&lane{id: int64(i + 1), organization: of})
		}
		return &w
	}
	for name, c := range map[string]struct {
		turns *turns
		again int
		want  []int64
	}{
		"none":                         {lanes(), 1, nil},
		"one organization":             {lanes(1, 1, 1), 2, []int64{1, 2, 3, 1, 2, 3}},
		"many lanes, and a single one": {lanes(1, 1, 1, 1, 2), 3, []int64{1, 5, 2, 5, 3, 5, 4, 1, 2, 3, 4, 1, 2, 3, 4}},
		"three organizations":          {lanes(1, 1, 2, 3, 3), 1, []int64{1, 3, 4, 2, 5}},
		"lanes that are not read yet":  {lanes(0, 0, 7), 1, []int64{1, 3, 2}},
	} {
		if got := c.turns.all(c.again); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Who may have no turn now keeps its place.
func TestTurns_passOver(t *testing.T) {
	var w turns
	for i, of := range []int64{1, 2, 3} {
		w.add(&lane{id: int64(i + 1), organization: of})
	}
	if got := w.take(w.find(func(of int64) bool { return of == 2 })); got.id != 2 {
		t.Errorf("lane %d, want 2", got.id)
	}
	if place := w.find(func(of int64) bool { return of > 3 }); place != -1 {
		t.Errorf("the place of nobody is %d", place)
	}
	if got := w.all(1); !slices.Equal(got, []int64{1, 3}) {
		t.Errorf("then come %v", got)
	}
}

// However many organizations hang, each new one finds room, and one alone can use most of it.
func TestEngine_mayTake(t *testing.T) {
	for organizations, want := range map[int64]int{1: 80, 2: 44, 3: 30, 10: 9} {
		e := &Engine{o: Options{MaxInFlight: 100}, underWay: map[int64]int{}}
		for took := true; took; {
			took = false
			for of := range organizations {
				if e.mayTake(of) {
					e.take(&lane{organization: of})
					took = true
				}
			}
		}
		for of := range organizations {
			if got := e.underWay[of]; got < want {
				t.Errorf("of %d organizations the %d. has %d under way, want %d", organizations, of+1, got, want)
			}
		}
		if !e.mayTake(organizations) {
			t.Errorf("%d organizations leave no room for another", organizations)
		}
		for of, n := range e.underWay {
			for range n {
				e.giveBack(&lane{organization: of})
			}
		}
		if e.inFlight != 0 || len(e.underWay) != 0 {
			t.Errorf("after all have ended, %d are under way: %v", e.inFlight, e.underWay)
		}
	}
}

// second adds another organization.
func (r *rig) second() (organizationID int64) {
	r.Helper()
	storetest.Change(r, r.store, func(tx *store.Tx) error {
		o, err := tx.AddOrganization("2nd Test Battalion")
		organizationID = o.ID
		return err
	})
	return organizationID
}

// One organization has a hundred busy webhooks, another has one: that one gets every other request.
func TestEngine_organizationsTakeTurns(t *testing.T) {
	r := newRig(t)
	r.options.Fast, r.options.MaxInFlight = 1, 1
	to := r.receiver(nil)
	blocked, open := r.gate()
	first := r.receiver(func(http.ResponseWriter, *http.Request) { <-blocked })
	other := r.second()
	var hooks []*bugle.Webhook
	few := map[int64]bool{} // deliveries of the other organization
	paused := func(w *bugle.Webhook) { w.Events, w.Status = nil, bugle.Paused }
	for range 100 {
		w := r.hook(to.URL, paused)
		r.send(w, 3)
		hooks = append(hooks, w)
	}
	w := r.hook(to.URL, func(w *bugle.Webhook) { paused(w); w.OrganizationID = other })
	for _, id := range r.send(w, 40) {
		few[id] = true
	}
	hooks = append(hooks, w)
	r.start()
	r.sendOne(r.hook(first.URL, nil))
	r.until("the one worker to be busy", func() bool { return first.len() == 1 })
	for _, w := range hooks {
		r.edit(w, func(w *bugle.Webhook) { w.Status = bugle.Active })
	}
	r.until("the lanes to be read", func() bool {
		return r.locked(func() bool {
			return !slices.ContainsFunc(hooks, func(w *bugle.Webhook) bool { return r.engine.lanes[w.ID] == nil || !r.engine.lanes[w.ID].listed })
		})
	})
	open()
	r.until("all to arrive", func() bool { return to.len() == 340 })
	ids := to.ids()
	for i := 1; i < 80; i++ {
		if few[ids[i]] == few[ids[i-1]] {
			t.Fatalf("requests %d and %d are both of one organization, that with a single webhook: %v", i, i+1, few[ids[i]])
		}
	}
}

// An organization whose receivers hang does not take all workers, however many webhooks it has.
func TestEngine_hungOrganizationLeavesRoom(t *testing.T) {
	r := newRig(t)
	r.options.MaxInFlight = 100
	blocked, open := r.gate()
	hung, fine := r.receiver(func(http.ResponseWriter, *http.Request) { <-blocked }), r.receiver(nil)
	other := r.second()
	for range 100 { // ten slots each: ten times what may be under way
		r.send(r.hook(hung.URL, func(w *bugle.Webhook) { w.Events, w.TimeoutSeconds = nil, 30 }), 12)
	}
	w := r.hook(fine.URL, func(w *bugle.Webhook) { w.OrganizationID = other })
	r.start()
	r.until("the organization to have all that it may", func() bool { return hung.len() == 80 })
	for n := range 20 {
		r.sendOne(w)
		r.until("the other's to arrive", func() bool { return fine.len() == n+1 })
	}
	r.send(w, 300)
	r.until("many at once to arrive", func() bool { return fine.len() == 320 })
	if n := hung.len(); n != 80 {
		t.Errorf("%d requests are under way to the hung receiver, want 80", n)
	}
	open()
	r.until("the hung webhooks to go on", func() bool { return hung.len() == 1200 })
}
