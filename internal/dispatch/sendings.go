package dispatch

import (
	"context"
	"log/slog"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
)

// SenderOptions are how a Sender works; zero fields take the values named.
type SenderOptions struct {
	Clock clockwork.Clock // the real one
	Log   *slog.Logger    // none
}

// A Sender turns messages whose time has come into deliveries by their channels, while Run runs.
type Sender struct {
	store *store.Store
	o     SenderOptions
	wake  chan struct{}
}

const (
	sendAnyway = time.Minute // the longest that Run waits without looking, should the clock have been set
	sendPause  = time.Second // after an error of the database
)

// NewSender returns a sender for the store's messages. It is told of new ones at once, so that there must
// be no change to the store before.
func NewSender(s *store.Store, o SenderOptions) *Sender {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	sender := &Sender{store: s, o: o, wake: make(chan struct{}, 1)}
	s.Notify(func(c store.Committed) {
		if c.Sendings {
			sender.signal()
		}
	})
	return sender
}

func (s *Sender) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run sends messages until ctx is done; a step under way is finished.
func (s *Sender) Run(ctx context.Context) {
	for ctx.Err() == nil {
		sent, err := s.Round(ctx)
		wait := sendPause
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && sent:
			continue
		case err == nil:
			wait, err = s.untilNext(ctx)
		}
		if err != nil {
			s.o.Log.ErrorContext(ctx, "messages cannot be sent", "error", err)
		}
		timer := s.o.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.Chan():
		}
		timer.Stop()
	}
}

// Round does one step for each organization that has something to send, so that one with many recipients
// does not hold up the others. It reports whether there was anything.
func (s *Sender) Round(ctx context.Context) (sent bool, err error) {
	ids, err := s.store.SendingOrganizations(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		found, stepErr := s.store.StepSending(ctx, id)
		if stepErr != nil {
			err = stepErr // of one organization: the others go on
		}
		sent = sent || found
		if ctx.Err() != nil {
			break
		}
	}
	return sent, err
}

// untilNext is how long there is nothing to do, unless something new comes.
func (s *Sender) untilNext(ctx context.Context) (time.Duration, error) {
	at, err := s.store.NextSending(ctx)
	if err != nil {
		return sendPause, err
	}
	longest := sendAnyway
	if s.store.Shared() {
		longest = lookEvery
	}
	if at.IsZero() {
		return longest, nil
	}
	return min(max(at.Sub(s.o.Clock.Now()), 0), longest), nil
}
