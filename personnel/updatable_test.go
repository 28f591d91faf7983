package personnel_test

import (
	"slices"
	"testing"

	"github.com/buglehq/bugle/personnel"
)

// What an automation must not write: it would let whoever writes one become somebody else, or break
// what the database relies on.
func TestKind_Updatable(t *testing.T) {
	never := []string{"id", "password", "remember_token", "email", "email_verified_at", "approved", "discord_user_id",
		"discord_private_channel_id", "model_type", "model_id", "created_at", "updated_at", "profile_photo", "unit_slot_id"}
	seen := map[string]bool{}
	for _, k := range personnel.UpdatableKinds() {
		seen[k.Name] = true
		for _, f := range k.Updatable() {
			if slices.Contains(never, f.Name) || f.Hidden || f.ReadOnly || f.Cascade && f.Type == personnel.Reference {
				t.Errorf("%s.%s may be updated", k.Name, f.Name)
			}
		}
	}
	for _, name := range []string{"user", "rankrecord", "event", "submission", "award", "task"} {
		if !seen[name] {
			t.Errorf("no %s may be updated", name)
		}
	}
	if seen["newsfeed"] || seen["schedule"] || seen["unitslot"] {
		t.Errorf("kinds without a collection of their own may be updated: %v", seen)
	}
	var fields []string
	for _, f := range personnel.User.Updatable() {
		fields = append(fields, f.Name)
	}
	want := []string{"name", "position_id", "rank_id", "specialty_id", "status_id", "unit_id", "notes", "notes_updated_at", "last_seen_at"}
	if !slices.Equal(fields, want) {
		t.Errorf("of a user may be updated %v, want %v", fields, want)
	}
}
