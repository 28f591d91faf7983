package admin

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// keys adds the pages of API keys.
func (s *server) keys() {
	s.page("GET /api-keys", "view_any_api_key", s.listKeys)
	s.page("GET /api-keys/create", "create_api_key", s.newKey)
	s.page("POST /api-keys", "create_api_key", s.createKey)
	s.page("POST /api-keys/{id}/revoke", "delete_api_key", s.revokeKey)
}

type keysPage struct {
	frame
	Keys  []keyRow
	Pager pager
}

type keyRow struct {
	*bugle.APIKey
	Valid bool
}

func (s *server) listKeys(v *visit) error {
	page, err := s.store.KeysOf(v.Context(), v.actor.OrganizationID, v.paging())
	if err != nil {
		return err
	}
	p := &keysPage{frame: v.newFrame("API Keys", "api-keys"), Pager: pagerOf(v, page)}
	p.Lead = "What programs use to read and change data through the API."
	for _, k := range page.Items {
		p.Keys = append(p.Keys, keyRow{k, k.Valid(s.now())})
	}
	return v.render(http.StatusOK, "keys.html", p)
}

type keyPage struct {
	frame
	Form   *form
	Inputs []input
	Text   string // of the key that has just been made
}

// keyInputs are those of the form for a new key.
func (s *server) keyInputs() []input {
	scopes := make([]option, 0, len(s.o.Scopes))
	for _, scope := range s.o.Scopes {
		_, group, _ := strings.Cut(scope, ":")
		label := scope
		if scope == "*" {
			label, group = "Everything (*)", ""
		}
		scopes = append(scopes, option{Value: scope, Label: label, Group: group})
	}
	slices.SortStableFunc(scopes, func(a, b option) int { return strings.Compare(a.Group, b.Group) })
	return []input{
		{Name: "name", Label: "Name", Kind: inputText, Required: true, Max: 255, Help: "What it is for, such as the program that will use it."},
		{Name: "expires", Label: "Expires", Kind: inputSelect, Options: []option{
			{Value: "", Label: "Never"}, {Value: "30", Label: "In 30 days"}, {Value: "90", Label: "In 90 days"}, {Value: "365", Label: "In a year"}}},
		{Name: "scopes", Label: "Scopes", Kind: inputChecks, Required: true, Options: scopes, Help: "What the key may do. Choose no more than the program needs."},
	}
}

func (s *server) newKey(v *visit) error { return s.showKeyForm(v, http.StatusOK, newForm(nil)) }

func (s *server) showKeyForm(v *visit, status int, f *form) error {
	p := &keyPage{frame: v.newFrame("New API key", "api-keys"), Form: f, Inputs: f.fill(s.keyInputs())}
	p.Back, p.Narrow = &link{"/api-keys", "API Keys"}, true
	return v.render(status, "key.html", p)
}

func (s *server) createKey(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	key := &bugle.APIKey{OrganizationID: v.actor.OrganizationID, UserID: v.actor.UserID, Name: strings.TrimSpace(f.Get("name")), Scopes: f.All("scopes")}
	if key.Name == "" || len(key.Name) > 255 {
		f.add("name", "The name field is required, and may have 255 characters.")
	}
	if len(key.Scopes) == 0 {
		f.add("scopes", "Choose at least one scope.")
	}
	for _, scope := range key.Scopes {
		if !slices.Contains(s.o.Scopes, scope) {
			f.add("scopes", fmt.Sprintf("There is no scope %q.", scope))
		}
	}
	if days := map[string]int{"": 0, "30": 30, "90": 90, "365": 365}; f.Get("expires") != "" {
		n, ok := days[f.Get("expires")]
		if !ok {
			f.add("expires", "Choose one of the times in the list.")
		}
		key.ExpiresAt = s.now().Add(time.Duration(n) * 24 * time.Hour)
	}
	if f.Failed() {
		return s.showKeyForm(v, http.StatusUnprocessableEntity, f)
	}
	var text string
	err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		text, err = tx.AddKey(key)
		return err
	})
	if err != nil {
		return err
	}
	// The text is on this page only, and nowhere else afterwards: so there is no redirection.
	p := &keyPage{frame: v.newFrame("API key "+key.Name, "api-keys"), Text: text}
	p.Back, p.Narrow = &link{"/api-keys", "API Keys"}, true
	return v.render(http.StatusCreated, "key.html", p)
}

func (s *server) revokeKey(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	var key *bugle.APIKey
	err = s.store.Update(v.Context(), func(tx *store.Tx) (err error) {
		if key, err = tx.KeyOf(v.actor.OrganizationID, id); err != nil {
			return err
		}
		if err = tx.RevokeKey(id, tx.Now()); errors.Is(err, bugle.ErrNotFound) {
			return nil // it is revoked already
		}
		return err
	})
	if err != nil {
		return err
	}
	v.flash("success", "The key "+key.Name+" is revoked.")
	return v.redirect("/api-keys")
}
