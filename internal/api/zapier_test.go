package api_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// PERSCOM's Zapier app finds, adds and changes users, with the scopes for that and no others.
func TestZapier(t *testing.T) {
	w := newWorld(t, newServer(t))
	key := w.addKey(bugle.APIKey{UserID: w.user, Scopes: []string{"view:user", "create:user", "update:user", "delete:user"}})
	call := func(status int, method, path string, body any) *answer {
		t.Helper()
		a := w.send(method, "/v1/"+path, body, "Accept", "application/json", "Content-Type", "application/json",
			"Authorization", "Bearer "+key, "X-Perscom-Id", strconv.FormatInt(w.org, 10), "X-Perscom-Zapier", "true")
		a.wantStatus(t, status)
		return a
	}

	// The test of the connection, and what the app shows as its name.
	wantEqual(t, "id of me", call(200, "GET", "me", nil).at("data", "0", "id"), w.user)

	created := call(201, "POST", "users", value.Map("name", "Richard Roe", "email", "richard@example.com")).data(t)
	user := id(created)
	wantEqual(t, "name", at(created, "name"), "Richard Roe")
	if ids := idsOf(call(200, "GET", "users", nil).items(t)); !slices.Contains(ids, user) {
		t.Errorf("the list has %d, want %d too", ids, user)
	}

	one := fmt.Sprintf("users/%d", user)
	wantEqual(t, "user", call(200, "GET", one, nil).data(t), created)
	// All fields of the form are sent each time, whether they changed or not.
	changed := call(200, "PUT", one, value.Map("name", "Richard Coe", "email", "richard@example.com")).data(t)
	wantEqual(t, "name after the update", at(changed, "name"), "Richard Coe")

	for _, wanted := range []string{"richard@example.com", "Richard Coe"} {
		found := call(200, "POST", "users/search", value.Map("search", value.Map("value", wanted))).items(t)
		wantEqual(t, "users found", idsJSON(idsOf(found)), value.List(user))
	}
	wantEqual(t, "users not found", call(200, "POST", "users/search", value.Map("search", value.Map("value", "nobody@example.com"))).at("data"), value.List())

	// In version 1 the status within a user has two more colors.
	status := call(200, "GET", fmt.Sprintf("users/%d", w.id("users")), nil).at("data", "status")
	wantEqual(t, "text_color", at(status, "text_color"), at(status, "color"))
	wantEqual(t, "bg_color", at(status, "bg_color"), at(status, "color"))

	for _, path := range []string{"ranks", "newsfeed", "settings"} {
		call(403, "GET", path, nil).wantForbidden(t)
	}
}
