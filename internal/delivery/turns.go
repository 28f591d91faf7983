package delivery

import "slices"

// turns are lanes that wait for the same thing, such as a worker. Their organizations take turns, and so do the lanes of
// each: an organization with a hundred lanes gets as much as one with a single lane, as long as both want more.
type turns struct {
	order []int64 // organizations with a lane that waits, each once; the first is next
	lanes map[int64][]*lane
}

// add puts a lane behind the others of its organization.
func (t *turns) add(l *lane) {
	if t.lanes == nil {
		t.lanes = map[int64][]*lane{}
	}
	of := l.organization
	if len(t.lanes[of]) == 0 {
		t.order = append(t.order, of)
	}
	t.lanes[of] = append(t.lanes[of], l)
}

// find returns the place in the order of the first organization that may have a turn, or -1.
func (t *turns) find(may func(organizationID int64) bool) int {
	return slices.IndexFunc(t.order, may)
}

// take removes the next lane of the organization at a place in the order, which goes behind the others.
func (t *turns) take(place int) *lane {
	of := t.order[place]
	if place == 0 {
		t.order = t.order[1:]
	} else {
		t.order = slices.Delete(t.order, place, place+1)
	}
	lanes := t.lanes[of]
	l := lanes[0]
	lanes[0] = nil
	if lanes = lanes[1:]; len(lanes) == 0 {
		delete(t.lanes, of)
	} else {
		t.lanes[of] = lanes
		t.order = append(t.order, of)
	}
	return l
}

// isEmpty reports whether no lane waits.
func (t *turns) isEmpty() bool { return len(t.order) == 0 }

// fairShare bounds what one organization may have under way: at most so many times what it leaves free for others. Who
// hangs alone thus holds 4/5 of all, two 4/9 each, and there is always room for one more.
const fairShare = 4

// mayTake reports whether an organization may have one more attempt under way.
func (e *Engine) mayTake(organizationID int64) bool {
	if e.inFlight == 0 {
		return true
	}
	return e.underWay[organizationID]+1 <= fairShare*(e.o.MaxInFlight-e.inFlight-1)
}

// take books an attempt that begins.
func (e *Engine) take(l *lane) {
	l.inFlight++
	e.inFlight++
	e.underWay[l.organization]++
}

// giveBack books the end of an attempt.
func (e *Engine) giveBack(l *lane) {
	l.inFlight--
	e.inFlight--
	if e.underWay[l.organization]--; e.underWay[l.organization] == 0 {
		delete(e.underWay, l.organization)
	}
}
