package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/twig"
)

// An effect is what an action does to the database.
type effect interface {
	// apply does it on behalf of an actor, and notes in the run what it made.
	apply(tx *store.Tx, a store.Actor, r *bugle.Run) error
	// whole says that apply has done nothing if it fails.
	whole() bool
}

// A failure is a reason for which an action cannot be taken, in words for an admin.
type failure struct{ reason string }

func (f *failure) Error() string { return f.reason }

func fail(format string, args ...any) error { return &failure{fmt.Sprintf(format, args...)} }

// isOwn reports whether an error of an effect is about the action, rather than the database's trouble, so
// that trying again would not help.
func isOwn(err error) bool {
	var f *failure
	var field *fieldError
	var invalid *bugle.InvalidError
	return errors.As(err, &f) || errors.As(err, &field) || errors.As(err, &invalid) ||
		errors.Is(err, bugle.ErrNotFound) || errors.Is(err, bugle.ErrConflict)
}

// decide evaluates a program for an event. It fills in of the run how that ended, and returns what is
// still to be done; nil if that is nothing. An error is the database's trouble.
func (p *program) decide(ctx context.Context, from reader, e *bugle.Event, c *Context, now time.Time, r *bugle.Run) (effect, error) {
	began := time.Now()
	defer func() { r.Took = time.Since(began) }()
	r.Condition, r.EvaluatedAt = p.Condition, now
	holds, err := p.holds(c)
	if err != nil {
		r.Status = bugle.RunFailed
		describe(r, err)
		return nil, nil
	}
	r.ConditionResult = &holds
	switch {
	case !holds:
		r.Status = bugle.RunConditionFailed
		return nil, nil
	case e.Chain.Stops(p.ID):
		r.Status = bugle.RunLoopStopped
		r.Error = loopReason(e.Chain, p.ID)
		return nil, nil
	}
	act, err := p.action(ctx, from, e, c, now, r)
	if errors.Is(err, twig.ErrStopped) {
		act, err = nil, nil
		skip(r, p.ActionType, "the template stopped by {% stop %}")
	}
	if err != nil && !isOwn(err) {
		return nil, err
	}
	r.Status = bugle.RunExecuted
	if err != nil {
		r.Status, r.ActionPayload, r.ConditionResult = bugle.RunFailed, nil, nil
		describe(r, err)
		return nil, nil
	}
	return act, nil
}

// holds evaluates the condition.
func (p *program) holds(c *Context) (bool, error) {
	if len(p.failures) > 0 { // it was stored when other rules held
		return false, p.failures[0]
	}
	if err := p.problems.Err(); err != nil {
		return false, err
	}
	if p.condition == nil {
		return true, nil
	}
	holds, err := p.condition.Test(c.values...)
	if err != nil {
		return false, &fieldError{"condition", fmt.Errorf("%w, in: %s", err, p.Condition)}
	}
	return holds, nil
}

func loopReason(chain bugle.Chain, automationID int64) string {
	for _, id := range chain.Automations {
		if id == automationID {
			return fmt.Sprintf("the automation has acted already in the chain that led here: event %d, then automations %v", chain.Root, chain.Automations)
		}
	}
	return fmt.Sprintf("more than %d actions followed from one another: event %d, then automations %v", bugle.MaxDepth, chain.Root, chain.Automations)
}

// action returns what is to be done now that the condition holds.
func (p *program) action(ctx context.Context, from reader, e *bugle.Event, c *Context, now time.Time, r *bugle.Run) (effect, error) {
	switch p.ActionType {
	case bugle.SendMessage:
		return p.message(c, now, r)
	case bugle.UpdateModel:
		return p.update(ctx, from, c, r)
	}
	return p.send(ctx, from, e, c, now, r)
}
