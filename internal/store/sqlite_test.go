package store_test

import (
	"testing"

	"github.com/buglehq/bugle/internal/store"
)

func TestPositional(t *testing.T) {
	tests := []struct{ query, want string }{
		{"SELECT 1", "SELECT 1"},
		{"SELECT $1, $2 + $3", "SELECT ?, ? + ?"},
		{"$1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11", "? ? ? ? ? ? ? ? ? ? ?"},

		{"SELECT $2, $1", "SELECT $2, $1"},
		{"SELECT $1, $1", "SELECT $1, $1"},
		{"SELECT $1, $2, $1", "SELECT $1, $2, $1"},
		{"SELECT $2", "SELECT $2"},
		{"SELECT '$' || $1", "SELECT '$' || $1"},
	}
	for _, test := range tests {
		if got := store.Positional(test.query); got != test.want {
			t.Errorf("%q becomes %q, want %q", test.query, got, test.want)
		}
	}
}
