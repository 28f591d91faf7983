package value

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
)

func TestArray_keysThatAreIntegers(t *testing.T) {
	tests := []struct {
		key   string
		isInt bool
	}{
		{"0", true},
		{"12", true},
		{"-3", true},
		{"9223372036854775807", true},
		{"-9223372036854775808", true},

		{"", false},
		{"-", false},
		{"01", false},
		{"-0", false},
		{"-01", false},
		{"+1", false},
		{"1.0", false},
		{"1e3", false},
		{" 1", false},
		{"1 ", false},
		{"1a", false},
		{"٣", false},
		{"9223372036854775808", false},
		{"-9223372036854775809", false},
		{"18446744073709551617", false},
		{"99999999999999999999", false},
	}
	for _, tt := range tests {
		a := Map(tt.key, "v")
		for k := range a.All() {
			if k.IsInt() != tt.isInt {
				t.Errorf("key %q: integer is %v, want %v", tt.key, k.IsInt(), tt.isInt)
			}
			if k.String() != tt.key {
				t.Errorf("key %q: reads as %q", tt.key, k)
			}
		}
		if v, ok := a.Get(tt.key); v != "v" || !ok {
			t.Errorf("key %q: got %v, %v", tt.key, v, ok)
		}
	}
}

func TestArray_integerAndItsTextAreOneKey(t *testing.T) {
	a := Map("7", "text", 7, "int", int64(-1), "negative")
	wantKeys(t, a, "7", "-1")
	if v, _ := a.GetInt(7); v != "int" {
		t.Errorf("got %v, want int", v)
	}
	if v, _ := a.Get("-1"); v != "negative" {
		t.Errorf("got %v, want negative", v)
	}
}

func TestArray_Set_keepsThePlace(t *testing.T) {
	a := Map("a", 1, "b", 2, "c", 3)
	a.Set("b", 20)
	a.Set("d", 4)
	wantJSON(t, a, `{"a":1,"b":20,"c":3,"d":4}`)

	l := List(1, 2, 3)
	l.Set("1", 20)
	l.SetInt(0, 10)
	wantJSON(t, l, `[10,20,3]`)
}

func TestArray_isListWhileKeysAreInOrder(t *testing.T) {
	var none *Array
	tests := []struct {
		name string
		a    *Array
		want bool
	}{
		{"nil", none, true},
		{"empty", &Array{}, true},
		{"list", List("a", "b"), true},
		{"keys set in order", Map("0", "a", 1, "b"), true},
		{"keys set out of order", Map(1, "b", 0, "a"), false},
		{"gap", Map(0, "a", 2, "c"), false},
		{"from 1", Map(1, "a"), false},
		{"string key", Map(0, "a", "b", "b"), false},
		{"first deleted", without(List(1, 2), "0"), false},
		{"last deleted", without(List(1, 2), "1"), true},
		{"string key deleted again", without(Map(0, "a", "x", 1), "x"), true},
	}
	for _, tt := range tests {
		if got := tt.a.IsList(); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

func TestArray_Append_followsTheLargestInteger(t *testing.T) {
	tests := []struct {
		name string
		a    *Array
		want string // the new key
	}{
		{"empty", &Array{}, "0"},
		{"list", List("a", "b"), "2"},
		{"strings only", Map("a", 1), "0"},
		{"gap", Map(5, "a", 2, "b", "x", "c"), "6"},
		{"negative", Map(-5, "a"), "-4"},
		{"last deleted", without(List("a", "b"), "1"), "2"},
		{"all deleted", without(List("a"), "0"), "1"},
		{"near the end", Map(math.MaxInt64-1, "a"), "9223372036854775807"},
	}
	for _, tt := range tests {
		tt.a.Append("new")
		keys := tt.a.Keys()
		if got := keys[len(keys)-1]; got != tt.want {
			t.Errorf("%s: got key %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestArray_Append_panicsWithoutAKeyLeft(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	a := Map(math.MaxInt64, "a")
	a.Append("b")
}

func TestMap_panicsOnAKeyOfAnotherType(t *testing.T) {
	for _, pairs := range [][]any{{1.5, "a"}, {nil, "a"}, {"a"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic for %v", pairs)
				}
			}()
			Map(pairs...)
		}()
	}
}

func TestArray_Delete_leavesOtherKeysAlone(t *testing.T) {
	a := List("a", "b", "c")
	a.Delete("1")
	a.Delete("1")
	a.Delete("nothing")
	wantJSON(t, a, `{"0":"a","2":"c"}`)
	if v, _ := a.GetInt(2); v != "c" || a.Has("1") {
		t.Errorf("got %v", v)
	}
}

func TestArray_nilReadsAsEmpty(t *testing.T) {
	var a *Array
	if _, ok := a.Get("x"); ok || a.Has("0") || a.Len() != 0 || len(a.Keys()) != 0 {
		t.Error("not empty")
	}
	if _, ok := a.GetInt(0); ok {
		t.Error("not empty")
	}
	for range a.All() {
		t.Error("not empty")
	}
	if c := a.Clone(); c == nil || c.Len() != 0 {
		t.Error("clone is nil or not empty")
	}
	wantJSON(t, a, `[]`)
	if q := Query(a); q != "" {
		t.Errorf("query is %q", q)
	}
}

func TestArray_All_stopsWhenAsked(t *testing.T) {
	n := 0
	for range List(1, 2, 3).All() {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("got %d entries", n)
	}
}

func TestArray_Clone_isDeep(t *testing.T) {
	a := Map("list", List(1, Map("x", 1)), "s", "t", 5, "five")
	c := a.Clone()
	inner, _ := a.Get("list")
	inner.(*Array).Append(3)
	a.Set("s", "changed")
	a.Append("six")
	wantJSON(t, c, `{"list":[1,{"x":1}],"s":"t","5":"five"}`)
	c.Append("new")
	wantKeys(t, c, "list", "s", "5", "6")
}

// Beyond scanLimit keys there is an index, which has to follow every change.
func TestArray_largeIsLikeSmall(t *testing.T) {
	const n = 10 * scanLimit
	a := &Array{}
	for i := range n {
		a.Set("k"+strconv.Itoa(i), i)
	}
	for i := 0; i < n; i += 2 {
		a.Set("k"+strconv.Itoa(i), -i)
	}
	a.Delete("k5")
	a.SetInt(3, "three")
	a.Append("four")
	a.Set("k7", "seven")
	if a.Len() != n+1 {
		t.Fatalf("got %d entries, want %d", a.Len(), n+1)
	}
	for i, key := range a.Keys()[:n-1] {
		if i >= 5 {
			i++
		}
		var want any = int64(i)
		switch {
		case i == 7:
			want = "seven"
		case i%2 == 0:
			want = int64(-i)
		}
		if got, ok := a.Get(key); key != fmt.Sprintf("k%d", i) || got != want || !ok {
			t.Fatalf("entry %d: got %s: %v, want %v", i, key, got, want)
		}
	}
	if v, _ := a.Get("4"); v != "four" {
		t.Errorf("got %v, want four", v)
	}
	if a.Has("k5") || a.Has("k") || a.Has("5") {
		t.Error("has a key that was not set, or was deleted")
	}
}

func without(a *Array, key string) *Array {
	a.Delete(key)
	return a
}

func wantKeys(t *testing.T, a *Array, want ...string) {
	t.Helper()
	if got := a.Keys(); !slices.Equal(got, want) {
		t.Errorf("got keys %q, want %q", got, want)
	}
}

func wantJSON(t *testing.T, v any, want string) {
	t.Helper()
	got, err := JSON(v)
	if err != nil {
		t.Errorf("want %s, got %v", want, err)
	} else if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Entries that are appended to a map are found as fast as those that are set, in copies, too.
func TestArray_index(t *testing.T) {
	a := Map("x", 1)
	for i := range 1000 {
		a.Append(i)
	}
	for _, a := range []*Array{a, a.Clone()} {
		if n := a.search(); n != 1 {
			t.Errorf("%d keys are looked at", n)
		}
		if v, ok := a.GetInt(999); !ok || v != int64(999) {
			t.Errorf("the last item is %v, %v", v, ok)
		}
	}
	clone := a.Clone()
	clone.Set("y", 2)
	if a.Has("y") {
		t.Error("what is set in a copy is there in the original")
	}
}
