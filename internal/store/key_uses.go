package store

import (
	"context"
	"fmt"
	"time"
)

// A KeyUse is that an API key was used.
type KeyUse struct {
	At      time.Time
	Address string // IP address of who used it
}

// UsedKeys notes the last use of API keys, by id, unless a later one is known. Keys that do not exist any more are skipped.
func (s *Store) UsedKeys(ctx context.Context, uses map[int64]KeyUse) error {
	err := s.Update(ctx, func(tx *Tx) error {
		for id, use := range uses {
			if err := tx.usedKey(id, use); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note the use of %d keys: %w", len(uses), err)
	}
	return nil
}

func (tx *Tx) usedKey(id int64, use KeyUse) error {
	return tx.exec("UPDATE api_keys SET used_us = $1, used_address = $2 WHERE id = $3 AND used_us < $1", use.At.UnixMicro(), use.Address, id)
}
