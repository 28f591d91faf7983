package dispatch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Samples are the newest events, each with what it is about.
func TestPreviewer_Samples(t *testing.T) {
	s, clock := storetest.New(t)
	v := &dispatch.Previewer{Store: s, Clock: clock}
	rank := storetest.Create(t, s, &personnel.Rank, "name", "Sergeant")
	user := storetest.Create(t, s, &personnel.User, "name", "Jane Roe", "email", "jane@example.com")
	clock.Advance(24 * time.Hour)
	record := storetest.Create(t, s, &personnel.RankRecord, "user_id", user.ID(), "rank_id", rank.ID(), "type", 0)
	storetest.Create(t, s, &personnel.CombatRecord, "user_id", user.ID(), "text", "<p>Held the bridge\nat <b>Remagen</b> &amp; beyond.</p>")
	storetest.Create(t, s, &personnel.Message, "message", "<p>"+strings.Repeat("long ", 50)+"</p>", "channels", value.List("database"))
	storetest.Update(t, s, &personnel.User, user.ID(), "notes", "x", "last_seen_at", "2026-01-14 12:00:00")
	storetest.Delete(t, s, &personnel.RankRecord, record.ID())
	for trigger, want := range map[string]string{
		"user.created":         "User 1: Jane Roe, 2026-01-14 12:00 UTC",
		"user.updated":         "User 1: Jane Roe (notes, last_seen_at), 2026-01-15 12:00 UTC",
		"rankrecord.created":   "Rank Record 1: Jane Roe → Sergeant, 2026-01-15 12:00 UTC",
		"rankrecord.deleted":   "Rank Record 1, 2026-01-15 12:00 UTC",
		"combatrecord.created": "Combat Record 1: Jane Roe → Held the bridge at Remagen & beyond., 2026-01-15 12:00 UTC",
		"message.created":      "Message 1: " + strings.Repeat("long ", 11) + "long…, 2026-01-15 12:00 UTC",
		"awardrecord.created":  "",
	} {
		samples, err := v.Samples(t.Context(), 1, trigger)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" && len(samples) == 0 {
			continue
		}
		if len(samples) == 0 || samples[0].Label != want || samples[0].EventID == 0 || samples[0].CreatedAt.IsZero() {
			t.Errorf("%s: %+v, want %q", trigger, samples, want)
		}
	}
	for range 25 {
		storetest.Update(t, s, &personnel.User, user.ID(), "notes", bugle.RandomText(8))
	}
	samples, err := v.Samples(t.Context(), 1, "user.updated")
	if err != nil || len(samples) != dispatch.MaxSamples || samples[0].EventID <= samples[19].EventID {
		t.Errorf("%d samples, %v", len(samples), err)
	}
	if others, err := v.Samples(t.Context(), 2, "user.updated"); err != nil || len(others) > 0 {
		t.Errorf("another organization has %v, %v", others, err)
	}
	if label := dispatch.EventLabel(&bugle.Event{Name: "gate.opened"}); label != "gate.opened" {
		t.Error(label)
	}
}
