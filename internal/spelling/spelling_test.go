package spelling

import (
	"strings"
	"testing"
)

func TestClosest(t *testing.T) {
	candidates := []string{"user.created", "user.updated", "user.deleted", "event.created", "rankrecord.created"}
	for name, want := range map[string]string{
		"user.created":        "user.created",
		"user.creatd":         "user.created",
		"users.created":       "user.created",
		"USER.UPDATED":        "user.updated",
		"user_deleted":        "user.deleted",
		"rank-record.created": "rankrecord.created",
		"rankrecords.create":  "rankrecord.created",

		"":                               "",
		"u":                              "",
		"mission.started":                "",
		strings.Repeat("x", 1_000_000):   "",
		"user.created" + "/user.created": "",
	} {
		if got := Closest(name, candidates); got != want {
			t.Errorf("closest to %.40q is %q, want %q", name, got, want)
		}
	}
	if got := Closest("user.created", nil); got != "" {
		t.Errorf("among none it is %q", got)
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 2}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"saturday", "sunday", 3},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("from %q to %q: %d, want %d", test.a, test.b, got, test.want)
		}
		if got := distance(test.b, test.a); got != test.want {
			t.Errorf("from %q to %q: %d, want %d", test.b, test.a, got, test.want)
		}
	}
}
