package admin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
)

// Whatever a browser sends as its cookies, only the one that was given to it opens the panel, and nothing breaks.
func FuzzSession(f *testing.F) {
	s, clock := storetest.New(f)
	panel := New(s, Options{Clock: clock, UserAgent: "Bugle/test"})
	f.Cleanup(panel.Close)
	hash, err := webhooksHash()
	if err != nil {
		f.Fatal(err)
	}
	user := storetest.Create(f, s, &personnel.User, "name", "Jane Roe", "email", "jane@example.com")
	storetest.Change(f, s, func(tx *store.Tx) error {
		role := &bugle.Role{OrganizationID: 1, Name: "Some"}
		if err := tx.AddRole(role); err != nil {
			return err
		}
		return tx.AddAccount(&bugle.Account{UserID: user.ID(), OrganizationID: 1, Role: role, PasswordHash: hash})
	})
	form := url.Values{"email": {"jane@example.com"}, "password": {webhooksPassword}}
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/login", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	panel.ServeHTTP(w, r)
	var given *http.Cookie
	for _, c := range w.Result().Cookies() {
		if strings.HasSuffix(c.Name, "bugle_session") {
			given = c
		}
	}
	if w.Code != http.StatusSeeOther || given == nil {
		f.Fatalf("signing in: %d, %v", w.Code, w.Header())
	}
	name, token := given.Name, given.Value
	for _, cookies := range []string{
		"", name + "=", name + "=" + token, name + "=" + token[:len(token)-1], name + "=" + token + "A", strings.ToUpper(name) + "=" + token,
		name + `="` + token + `"`, name + "=x; " + name + "=" + token, name + "=" + token + "; " + name + "=x", " ; ;=;" + name, name + "=%00", name + "=' OR 1=1 --",
		name + "=" + strings.Repeat("A", 4096), "theme=dark", "theme=\"><script>", name + "=\xff\xfe",
	} {
		f.Add(cookies)
	}
	f.Fuzz(func(t *testing.T, cookies string) {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/account", nil)
		r.Header.Set("Cookie", cookies)
		panel.ServeHTTP(w, r)
		opens := strings.Contains(cookies, token)
		switch {
		case w.Code == http.StatusOK && opens && strings.Contains(w.Body.String(), "jane@example.com"):
		case w.Code == http.StatusSeeOther && strings.HasPrefix(w.Header().Get("Location"), "/login"):
		default:
			t.Errorf("cookies %q: %d %s\n%.300s", cookies, w.Code, w.Header().Get("Location"), w.Body)
		}
		if cookies == name+"="+token && w.Code != http.StatusOK {
			t.Errorf("the cookie that was given opens nothing: %d", w.Code)
		}
	})
}
