package store

import (
	"context"
	"fmt"
	"time"
)

// A SendingHold is that nothing is sent, because the database is a copy of another: what it owes may have been sent
// since by the one that it was copied from.
type SendingHold struct {
	Reason string
	Since  time.Time
}

// SendingHold returns the hold on sending; nil if there is none.
func (s *Store) SendingHold(ctx context.Context) (*SendingHold, error) {
	var hold *SendingHold
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		hold = &SendingHold{}
		var since int64
		err := scan(&hold.Reason, &since)
		hold.Since = fromMicroseconds(since)
		return err
	}, "SELECT reason, held_us FROM sending_hold")
	if err != nil {
		return nil, fmt.Errorf("read whether sending is held: %w", err)
	}
	return hold, nil
}

const insertSendingHold = `
	INSERT INTO sending_hold (id, reason, held_us) VALUES (1, $1, $2)
	ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, held_us = excluded.held_us`

// HoldSending lets servers that start on the database send nothing until ReleaseSending. One that sends already goes on.
func (tx *Tx) HoldSending(reason string) error {
	if err := tx.exec(insertSendingHold, reason, tx.now.UnixMicro()); err != nil {
		return fmt.Errorf("hold sending: %w", err)
	}
	return tx.audit(0, "sending.held", serverSubject, attribute{name: "reason", value: reason})
}

// ReleaseSending ends the hold, and reports whether there was one. Servers that wait for it begin to send within seconds.
func (tx *Tx) ReleaseSending() (held bool, err error) {
	n, err := tx.count("DELETE FROM sending_hold")
	if err != nil {
		return false, fmt.Errorf("release sending: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	return true, tx.audit(0, "sending.released", serverSubject)
}
