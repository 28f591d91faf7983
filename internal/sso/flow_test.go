package sso

import (
	"strings"
	"testing"
)

func newTestSealer(t testing.TB, secret string) sealer {
	t.Helper()
	s, err := newSealer(secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a browser keeps opens for servers with the same client alone, and not if a bit of it was changed.
func TestSealer(t *testing.T) {
	s, same, other := newTestSealer(t, "secret"), newTestSealer(t, "secret"), newTestSealer(t, "another")
	f := flow{State: "state", Nonce: "nonce", Verifier: "verifier", Next: "/webhooks", Until: 4711}
	kept, err := s.seal(f)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.seal(f); err != nil || again == kept {
		t.Errorf("sealed twice it is the same, %v", err)
	}
	if got, err := same.open(kept); err != nil || got != f {
		t.Errorf("opened it is %+v, %v", got, err)
	}
	if _, err := other.open(kept); err == nil {
		t.Error("another client opens it")
	}
	for i := range len(kept) - 1 { // the last character has bits that mean nothing
		changed := kept[:i] + string(rune('A'+(kept[i]+1)%26)) + kept[i+1:]
		if _, err := s.open(changed); changed != kept && err == nil {
			t.Errorf("with another character %d it opens", i)
		}
	}
	for _, text := range []string{"", "A", "====", strings.Repeat("A", maxKept+1), kept[:len(kept)/2]} {
		if _, err := s.open(text); err == nil {
			t.Errorf("%.20q opens", text)
		}
	}
}

// Nothing that was not sealed opens.
func FuzzSealer(f *testing.F) {
	s := newTestSealer(f, "secret")
	kept, err := s.seal(flow{State: "state"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(kept)
	f.Add("")
	f.Add(strings.Repeat("A", 100))
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := s.open(text); err == nil && got != (flow{State: "state"}) {
			t.Errorf("%q opens as %+v", text, got)
		}
	})
}
