package bugle

import (
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestNewKeyText(t *testing.T) {
	form := regexp.MustCompile(`^bugle_[A-Za-z0-9]{40}$`)
	first, second := NewKeyText(), NewKeyText()
	if !form.MatchString(first) || !form.MatchString(second) || first == second {
		t.Errorf("key texts are %q and %q", first, second)
	}
	if string(KeyHash(first)) == string(KeyHash(second)) {
		t.Error("two texts have the same hash")
	}
	if got, want := hex.EncodeToString(KeyHash("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; got != want {
		t.Errorf("the hash of abc is %s, want %s", got, want)
	}
}

func TestRandomText_usesAllAlphanumerics(t *testing.T) {
	text := RandomText(20_000) // that one of 62 is missing has a chance of less than 1 in 10^139
	if len(text) != 20_000 || strings.Trim(text, alphanumerics) != "" {
		t.Fatalf("the text of %d bytes holds others than alphanumerics", len(text))
	}
	for _, r := range alphanumerics {
		if !strings.ContainsRune(text, r) {
			t.Errorf("%c never comes up", r)
		}
	}
	if RandomText(0) != "" {
		t.Error("no characters are some")
	}
}

func TestAPIKey_Allows(t *testing.T) {
	tests := []struct {
		scopes string
		scope  string
		want   bool
	}{
		{"*", "view:user", true},
		{"view:user,create:rankrecord", "create:rankrecord", true},
		{"view:user,create:rankrecord", "view:rankrecord", false},
		{"view:user", "view:users", false},
		{"view:*", "view:user", false},
		{"", "view:user", false},
	}
	for _, test := range tests {
		k := APIKey{Scopes: strings.Split(test.scopes, ",")}
		if got := k.Allows(test.scope); got != test.want {
			t.Errorf("a key for %q allows %s: %v", test.scopes, test.scope, got)
		}
	}
	if (APIKey{}).Allows("view:user") {
		t.Error("a key without scopes allows something")
	}
}

func TestAPIKey_Valid(t *testing.T) {
	now := time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		key  APIKey
		want bool
	}{
		{"forever", APIKey{}, true},
		{"until later", APIKey{ExpiresAt: now.Add(1)}, true},
		{"until now", APIKey{ExpiresAt: now}, false},
		{"expired", APIKey{ExpiresAt: now.Add(-1)}, false},
		{"revoked", APIKey{RevokedAt: now.Add(-1)}, false},
		{"revoked before it expires", APIKey{RevokedAt: now.Add(-1), ExpiresAt: now.Add(1)}, false},
	}
	for _, test := range tests {
		if got := test.key.Valid(now); got != test.want {
			t.Errorf("%s: valid is %v", test.name, got)
		}
	}
}
