package delivery

import (
	"context"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// Nodes that share a database deal out the lanes by leases of their slices. Each keeps its leases, leaves slices of which
// it has too many once nothing of them is under way, and stops what it does when its leases end unrenewed, before others
// begin.

const (
	renewEvery   = time.Second
	renewTimeout = 2 * time.Second
	lookEvery    = 2 * time.Second // for what no announcement told of
	lookAgain    = 3 * time.Second // before a lane is read again that has something due and does not send it
	lookAtPaused = time.Minute     // the same for one that is not to send
)

// owns reports whether the lane of a webhook is this node's and stays so.
func (e *Engine) owns(id int64) bool {
	return e.store.Owns(id) && !e.leaving[store.SliceOf(id)]
}

// keepLeases renews the leases until ended, and from the end of ctx on leaves the slices.
func (e *Engine) keepLeases(ctx context.Context, ended <-chan struct{}) {
	always := context.WithoutCancel(ctx)
	alone, leaves := e.store.IsAlone(), false
	for {
		if ctx.Err() != nil && !leaves {
			leaves = true
			e.leaveAll()
		}
		if e.renew(always, &alone, !leaves) {
			e.store.Wake()
		}
		e.release(always)
		timer := time.NewTimer(renewEvery)
		stopping := ctx.Done()
		if leaves {
			stopping = nil
		}
		select {
		case <-timer.C:
		case <-e.wakeLease:
		case <-stopping:
		case <-ended:
			timer.Stop()
			leaving, cancel := context.WithTimeout(always, renewTimeout)
			defer cancel()
			if err := e.store.LeaveNodes(leaving); err != nil {
				e.o.Log.Error("leaving the other nodes failed; they take over when the leases end", "error", err)
			}
			return
		}
		timer.Stop()
	}
}

// renew renews the leases, begins and ends the work that they are for, and reports whether there is more of it.
func (e *Engine) renew(ctx context.Context, alone *bool, works bool) (gained bool) {
	renewing, cancel := context.WithTimeout(ctx, renewTimeout)
	lease, err := e.store.RenewLease(renewing, works)
	cancel()
	if err != nil {
		e.o.Log.WarnContext(ctx, "leases cannot be renewed", "error", err)
		if !e.store.Holds() {
			e.cutLanes()
		}
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if *alone && lease.Others {
		for _, l := range e.lanes { // what the others have added meanwhile is behind nothing that is known here
			l.stale = true
		}
	}
	*alone = !lease.Others
	for _, l := range e.lanes {
		isAway := !e.owns(l.id)
		switch {
		case isAway && !e.store.Owns(l.id):
			l.away = true
			l.cut()
		case !isAway && l.away, l.ctx.Err() != nil && e.work.Err() == nil:
			l.away, l.stale = false, true
			l.ctx, l.cut = context.WithCancel(e.work)
		}
		if l.away && l.isQuiet() {
			e.drop(l)
			continue
		}
		e.schedule(l)
	}
	if works {
		e.leaveSome(len(lease.Slices) - len(e.leaving) - lease.Share)
	}
	if len(lease.Taken) > 0 {
		e.o.Log.InfoContext(ctx, "slices taken", "slices", len(lease.Taken), "held", len(lease.Slices), "nodes", lease.Nodes)
		signal(e.wakeLook)
	}
	e.spawn()
	signal(e.wakeLoop)
	return len(lease.Taken) > 0
}

// cutLanes ends all attempts.
func (e *Engine) cutLanes() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lanes {
		l.cut()
	}
}

// leaveAll leaves every slice.
func (e *Engine) leaveAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leaveSome(store.Slices)
}

// leaveSome begins to leave n slices more, or all: first those of which the fewest lanes are in memory.
func (e *Engine) leaveSome(n int) {
	lanes := map[int]int{}
	for id := range e.lanes {
		lanes[store.SliceOf(id)]++
	}
	for ; n > 0; n-- {
		best := -1
		for slice := range store.Slices {
			if e.store.Owns(int64(slice)) && !e.leaving[slice] && (best < 0 || lanes[slice] < lanes[best]) {
				best = slice
			}
		}
		if best < 0 {
			return
		}
		e.leaving[best] = true
	}
	for _, l := range e.lanes {
		if e.leaving[store.SliceOf(l.id)] {
			l.away = true
		}
	}
}

// release gives away the slices that are being left and of which nothing is under way any more.
func (e *Engine) release(ctx context.Context) {
	e.mu.Lock()
	busy := map[int]bool{}
	for _, l := range e.lanes {
		if slice := store.SliceOf(l.id); e.leaving[slice] {
			l.away = true
			if !l.isQuiet() {
				busy[slice] = true
			}
		}
	}
	var free []int
	for slice := range e.leaving {
		if !busy[slice] {
			free = append(free, slice)
		}
	}
	for _, l := range e.lanes {
		if slice := store.SliceOf(l.id); e.leaving[slice] && !busy[slice] {
			e.drop(l)
		}
	}
	e.mu.Unlock()
	if len(free) == 0 {
		return
	}
	releasing, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	err := e.store.ReleaseSlices(releasing, free)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, slice := range free {
		delete(e.leaving, slice)
	}
	if err != nil {
		e.o.Log.WarnContext(ctx, "slices cannot be released", "error", err)
	} else {
		e.o.Log.InfoContext(ctx, "slices released", "slices", len(free))
	}
}

// missed notes that there is something new in a lane that is not this node's. Should that be so because its lease is late, or
// the clock was set, it is read anew with the lease.
func (e *Engine) missed(id int64) {
	if l := e.lanes[id]; l != nil {
		l.stale = true
	}
}

// heard takes what other nodes have committed.
func (e *Engine) heard(c store.Committed, alone bool) {
	for _, id := range c.Lanes {
		if !e.owns(id) {
			e.missed(id)
			continue
		}
		l := e.lane(id)
		if alone {
			l.stale = true // this node did not know of the other yet
		} else {
			l.behind()
		}
		e.schedule(l)
	}
	if c.Missed {
		for _, l := range e.lanes {
			l.stale = true
			e.schedule(l)
		}
		signal(e.wakeLook)
	}
	if c.Slices {
		signal(e.wakeLease)
	}
}

// lookAround returns what tells when to look for what no announcement told of; nil where nobody else is.
func (e *Engine) lookAround() <-chan time.Time {
	if !e.store.Shared() {
		return nil
	}
	return e.o.Clock.After(lookEvery)
}

// findMissed finds lanes that have something due of which nothing is in memory, and retries.
func (e *Engine) findMissed(ctx context.Context) {
	if !e.store.Holds() {
		return
	}
	ids, err := e.store.DueLanes(ctx)
	if err == nil {
		err = e.planRetry(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			e.o.Log.WarnContext(ctx, "what is due cannot be read", "error", err)
		}
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.o.Clock.Now()
	for _, id := range ids {
		if !e.owns(id) {
			continue
		}
		l := e.lane(id)
		again := lookAgain
		if l.hook != nil && l.hook.Status != bugle.Active {
			again = lookAtPaused
		}
		if l.isQuiet() && l.len() == 0 && !l.away && now.Sub(l.readAt) > again {
			l.stale = true
		}
		e.schedule(l)
	}
}
