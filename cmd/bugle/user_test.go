package main

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
)

// signsIn reports whether the password lets somebody in.
func signsIn(t *testing.T, database, email, password string) bool {
	t.Helper()
	db := openBeside(t, database)
	_, err := signin.New(db, clockwork.NewRealClock()).SignIn(t.Context(), email, password, "192.0.2.1")
	if err != nil && !errors.Is(err, bugle.ErrUnauthorized) {
		t.Fatal(err)
	}
	return err == nil
}

// openBeside opens a database as a command does, until the test ends.
func openBeside(t *testing.T, name string) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), name, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// prints runs a command that has to succeed and to print one line, and nothing else.
func prints(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	status, stdout, stderr := runBugle(t, stdin, args...)
	if status != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("bugle %q: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
	}
	return strings.TrimSpace(stdout)
}

func TestUser_createPasswdList(t *testing.T) {
	database, key := newDatabase(t)
	password := prints(t, "", "user", "create", "--database", database, "--email", "jane@example.com", "--name", "Jane Roe")
	if len(password) < 20 || !signsIn(t, database, "Jane@Example.com", password) {
		t.Errorf("the password %q lets nobody in", password)
	}
	server := startServer(t, database)
	if user := server.mustCall(t, key, "GET", "/v2/users/1", "", 200); at(user, "data", "email") != "jane@example.com" {
		t.Errorf("the user is %v", user)
	}

	// Beside the running server, for a user who is there already.
	server.mustCall(t, key, "POST", "/v2/users", `{"name":"Alex Carter","email":"carter@example.com"}`, 201)
	status, stdout, stderr := runBugle(t, "several plain words\n", "user", "create", "--database", database, "--email", "CARTER@example.com", "--role", "user", "--password-stdin")
	if status != 0 || stdout+stderr != "" {
		t.Fatalf("create with a password: status %d, %q, %q", status, stdout, stderr)
	}
	if !signsIn(t, database, "carter@example.com", "several plain words") {
		t.Error("the password of standard input lets nobody in")
	}
	if users := server.mustCall(t, key, "GET", "/v2/users", "", 200); at(users, "meta", "total") != int64(2) {
		t.Errorf("there are %v users, want 2", at(users, "meta", "total"))
	}

	again := prints(t, "", "user", "passwd", "--database", database, "--email", "carter@example.com")
	if signsIn(t, database, "carter@example.com", "several plain words") || !signsIn(t, database, "carter@example.com", again) {
		t.Error("the old password still lets in, or the new one does not")
	}
	_, list, _ := runBugle(t, "", "user", "list", "--database", database)
	for _, row := range []string{`USER +NAME +EMAIL`, `1 +Jane Roe +jane@example.com +1 +Admin +never +enabled`, `2 +Alex Carter +carter@example.com +1 +User +never +enabled`} {
		if !regexp.MustCompile(row).MatchString(list) {
			t.Errorf("the list does not show %s:\n%s", row, list)
		}
	}
	if strings.Contains(list, "argon2") {
		t.Errorf("the list shows a hash:\n%s", list)
	}
}

func TestUser_links(t *testing.T) {
	database, _ := newDatabase(t)
	token := func(link, address string) string {
		t.Helper()
		token, found := strings.CutPrefix(link, address+"/welcome/")
		if !found || len(token) < 43 {
			t.Fatalf("the link is %q", link)
		}
		return token
	}
	link := prints(t, "", "user", "create", "--database", database, "--email", "jane@example.com", "--name", "Jane Roe", "--role", "User", "--link")
	db := openBeside(t, database)
	i, err := db.InvitationByToken(t.Context(), token(link, "http://127.0.0.1:8080"))
	if err != nil || i.Purpose != bugle.JoinInvitation || i.Email != "jane@example.com" || i.Name != "Jane Roe" || i.RoleID == 0 {
		t.Errorf("the invitation is %+v, %v", i, err)
	}
	prints(t, "", "user", "create", "--database", database, "--email", "jane@example.com", "--name", "Jane Roe")
	link = prints(t, "", "user", "passwd", "--database", database, "--email", "jane@example.com", "--link", "--public-url", "https://bugle.example.com")
	i, err = db.InvitationByToken(t.Context(), token(link, "https://bugle.example.com"))
	if err != nil || i.Purpose != bugle.ResetInvitation || i.UserID != 1 {
		t.Errorf("the invitation is %+v, %v", i, err)
	}
}

// A running server would not send the deliveries that another process makes: those of a new user are
// refused then, and wait for the next start else.
func TestUser_createWithWebhooks(t *testing.T) {
	database, key := newDatabase(t)
	server := startServer(t, database)
	server.mustCall(t, key, "POST", "/v2/webhooks", `{"name":"Hook","url":"http://127.0.0.1:9/","events":["user.created"]}`, 201)
	args := []string{"user", "create", "--database", database, "--email", "jane@example.com", "--name", "Jane Roe"}
	status, stdout, stderr := runBugle(t, "", args...)
	if status != 1 || stdout != "" || !strings.Contains(stderr, "use --link") {
		t.Errorf("beside the server: status %d, %q, %q", status, stdout, stderr)
	}
	if users := server.mustCall(t, key, "GET", "/v2/users", "", 200); at(users, "meta", "total") != int64(0) {
		t.Errorf("there are %v users, want none", at(users, "meta", "total"))
	}
	prints(t, "", append(args, "--link")...)
	server.stop(t)

	status, stdout, stderr = runBugle(t, "several plain words", append(args, "--password-stdin")...)
	if status != 0 || stdout+stderr != "" || !signsIn(t, database, "jane@example.com", "several plain words") {
		t.Fatalf("without the server: status %d, %q, %q", status, stdout, stderr)
	}
	page, err := openBeside(t, database).Deliveries(context.Background(), 1, store.DeliveryFilter{}, store.PageRequest{Number: 1, Limit: 10})
	if err != nil || len(page.Items) != 1 || page.Items[0].Event != "user.created" {
		t.Errorf("the deliveries are %+v, %v", page, err)
	}
}

func TestUser_refuses(t *testing.T) {
	database, _ := newDatabase(t)
	prints(t, "", "user", "create", "--database", database, "--email", "jane@example.com", "--name", "Jane Roe")
	for _, test := range []struct {
		command, stdin string
		args           []string
		want           string
	}{
		{"create", "", nil, "--email"},
		{"create", "", []string{"--email", "alex@example.com"}, "give a --name"},
		{"create", "", []string{"--email", "alex", "--name", "Alex"}, "email"},
		{"create", "", []string{"--email", "alex", "--name", "Alex", "--link"}, "email"},
		{"create", "", []string{"--email", "alex@example.com", "--link"}, "name field is required"},
		{"create", "", []string{"--email", "jane@example.com"}, "has an account already"},
		{"create", "", []string{"--email", "jane@example.com", "--link"}, "has an account already"},
		{"create", "", []string{"--email", "alex@example.com", "--name", "Alex", "--role", "Boss"}, `--role is "Boss": `},
		{"create", "", []string{"--email", "alex@example.com", "--name", "Alex", "--organization", "9"}, "--organization is 9: "},
		{"create", "short\n", []string{"--email", "alex@example.com", "--name", "Alex", "--password-stdin"}, "at least 12 characters"},
		{"create", "Alexa Carter\r\n", []string{"--email", "alex@example.com", "--name", "Alexa Carter", "--password-stdin"}, "must not be the name"},
		{"create", "", []string{"--email", "alex@example.com", "--name", "Alex", "--password-stdin", "--link"}, "can't be used together"},
		{"create", "", []string{"--email", "alex@example.com", "--name", "Alex", "--link", "--public-url", "bugle.example.com"}, "--public-url is"},
		{"passwd", "", nil, "--email"},
		{"passwd", "", []string{"--email", "alex@example.com"}, "no account with the e-mail address alex@example.com"},
		{"passwd", "", []string{"--email", "jane@example.com", "--organization", "9"}, "no account"},
		{"passwd", "123456789012", []string{"--email", "jane@example.com", "--password-stdin"}, "tried first"},
	} {
		status, stdout, stderr := runBugle(t, test.stdin, append([]string{"user", test.command, "--database", database}, test.args...)...)
		if status == 0 || stdout != "" && !strings.HasPrefix(stdout, "Usage") || !strings.Contains(stderr, test.want) {
			t.Errorf("%s %q: status %d, stdout %q, stderr %q, want %q", test.command, test.args, status, stdout, stderr, test.want)
		}
	}
	db := openBeside(t, database)
	if page, err := db.Accounts(t.Context(), 1, "", store.PageRequest{Number: 1, Limit: 10}); err != nil || page.Total != 1 {
		t.Errorf("there are %d accounts, %v", page.Total, err)
	}
}

// One e-mail address may have accounts in several organizations, and an account may be disabled.
func TestUser_passwdOfWhom(t *testing.T) {
	database, _ := newDatabase(t)
	db := openBeside(t, database)
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.AddOrganization("2nd")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	create := []string{"user", "create", "--database", database, "--name", "Jane Roe"}
	first := prints(t, "", append(create, "--email", "jane@example.com")...)
	prints(t, "", append(create, "--email", "jane@example.com", "--organization", "2")...)
	prints(t, "", append(create, "--email", "other@example.com", "--organization", "2")...)
	passwd := []string{"user", "passwd", "--database", database, "--email", "jane@example.com"}
	if status, _, stderr := runBugle(t, "", passwd...); status != 1 || !strings.Contains(stderr, "organizations 1, 2: say which") {
		t.Errorf("of either: status %d, %q", status, stderr)
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.SetAccountDisabled(2, 2, true) }); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := runBugle(t, "", append(passwd, "--organization", "2")...)
	if status != 0 || strings.Count(stdout, "\n") != 1 || !strings.Contains(stderr, "disabled") {
		t.Errorf("of a disabled account: status %d, %q, %q", status, stdout, stderr)
	}
	if signsIn(t, database, "jane@example.com", strings.TrimSpace(stdout)) || !signsIn(t, database, "jane@example.com", first) {
		t.Error("the disabled account lets in, or the other one does not")
	}
	if _, list, _ := runBugle(t, "", "user", "list", "--database", database); !regexp.MustCompile(`2 +Jane Roe +jane@example.com +2 +Admin +never +disabled`).MatchString(list) {
		t.Errorf("the list is\n%s", list)
	}
}

// The operator lets somebody in again who has lost his second factor and his recovery codes.
func TestUser_secondFactor(t *testing.T) {
	database, _ := newDatabase(t)
	prints(t, "", "user", "create", "--database", database, "--email", "jane@example.com", "--name", "Jane Roe")
	args := []string{"user", "second-factor", "--database", database, "--email", "jane@example.com"}
	if said := prints(t, "", args...); said != "jane@example.com has no second factor." {
		t.Errorf("without one it says %q", said)
	}
	remove := append(args, "--remove")
	if status, _, stderr := runBugle(t, "", remove...); status != 1 || !strings.Contains(stderr, "has no second factor") {
		t.Errorf("removing none: status %d, %q", status, stderr)
	}
	db := openBeside(t, database)
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.BeginSecondFactor(1, 1, signin.NewKey()); err != nil {
			return err
		}
		return tx.TurnOnSecondFactor(1, 1, 1, []string{"abcdabcdabcdabcd"})
	}); err != nil {
		t.Fatal(err)
	}
	if said := prints(t, "", args...); !strings.Contains(said, "has a second factor since 2") {
		t.Errorf("with one it says %q", said)
	}
	if _, list, _ := runBugle(t, "", "user", "list", "--database", database); !strings.Contains(list, "enabled, with a second factor") {
		t.Errorf("the list is\n%s", list)
	}
	if said := prints(t, "", remove...); said != "jane@example.com signs in with the password alone now." {
		t.Errorf("removing it says %q", said)
	}
	if account, err := db.Account(t.Context(), 1, 1); err != nil || !account.SecondFactorSince.IsZero() {
		t.Errorf("the account is %+v, %v", account, err)
	}
	if status, _, stderr := runBugle(t, "", "user", "second-factor", "--database", database, "--email", "alex@example.com"); status != 1 || !strings.Contains(stderr, "no account") {
		t.Errorf("of nobody: status %d, %q", status, stderr)
	}
}
