package admin

import (
	"bytes"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
)

// A page that fails is logged with what finds the request, but not with the token that its path has.
func TestLog_hidesTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bugle.db")
	s := storetest.Open(t, "sqlite:"+path, store.Options{})
	if _, err := s.EnsureOrganization(t.Context(), "1st Test Battalion"); err != nil {
		t.Fatal(err)
	}
	token, err := s.Setup(t.Context(), 1)
	if err != nil || token == "" {
		t.Fatalf("the token is %q, %v", token, err)
	}
	var log bytes.Buffer
	panel := New(s, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	defer panel.Close()
	file, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Exec("ALTER TABLE invitations RENAME TO elsewhere")
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	panel.ServeHTTP(w, httptest.NewRequest("GET", "/welcome/"+token, nil))
	if w.Code != http.StatusInternalServerError {
		t.Fatalf("status %d", w.Code)
	}
	got := log.String()
	for _, want := range []string{`msg="page failed" method=GET path=/welcome/********`, "request_id=" + w.Header().Get("X-Perscom-Request-Id"), "trace_id=" + w.Header().Get("X-Perscom-Trace-Id"), "no such table"} {
		if !strings.Contains(got, want) {
			t.Errorf("the log is %s, want %s in it", got, want)
		}
	}
	if strings.Contains(got, token) {
		t.Errorf("the log shows the token: %s", got)
	}
}
