package api

import "context"

// MaxUses is how many uses of keys are kept until they are written.
const MaxUses = maxUses

// Note takes down a use.
func (k *KeyUses) Note(id int64, address string) { k.note(id, address) }

// Write writes what waits.
func (k *KeyUses) Write(ctx context.Context) { k.write(ctx) }

// Waiting is how many uses are not written yet.
func (k *KeyUses) Waiting() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.uses)
}
