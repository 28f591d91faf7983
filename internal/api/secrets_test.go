package api_test

import (
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// No secret is where it must not be: neither in an answer whose purpose is not to show it, nor in
// the log.
func TestSecrets_areNotShown(t *testing.T) {
	s := newServer(t, limited)
	secrets := map[string]string{}
	keep := func(name string, v any) {
		t.Helper()
		text, _ := v.(string)
		if len(text) < 8 {
			t.Fatalf("%s is %q", name, text)
		}
		secrets[name] = text
	}
	keep("the key", s.key)
	var answers []string
	s.heard = func(method, path string, a *answer) {
		if s.clock.Advance(60e9); a.status == 429 {
			t.Fatalf("%s %s is throttled", method, path)
		}
		isSecret := strings.HasSuffix(path, "/secret") || strings.HasSuffix(path, "/rotate-secret") || method == "POST" && strings.HasSuffix(path, "/webhooks")
		if isSecret && a.status < 300 {
			return
		}
		var all strings.Builder
		all.WriteString(method + " " + path[:strings.IndexByte(path+"?", '?')] + "\n")
		if err := a.header.Write(&all); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, all.String()+"\n"+a.text)
	}

	hook := s.create("webhooks", "name", "x", "url", receiver, "events", value.List("calendar.created", "user.updated"),
		"headers", value.Map("Authorization", "Bearer header-credential-1", "X-Signing-Secret", "header-credential-2"))
	keep("the first secret", at(hook, "secret"))
	rotated := s.want(200, "POST", hookPath(hook, "rotate-secret"), nil)
	keep("the rotated secret", rotated.at("data", "secret"))
	keep("a credential", "header-credential-1")
	keep("another credential", "header-credential-2")
	keep("a secret that was given", "given-secret-given-secret")
	other := s.create("webhooks", "name", "y", "url", receiver, "method", "get", "secret", "given-secret-given-secret", "events", value.List("calendar.created"))
	keep("an expired key", s.addKey(bugle.APIKey{Scopes: []string{"*"}, ExpiresAt: s.clock.Now()}))

	s.create("calendars", "name", "Operations", "color", "#2563eb")
	s.create("users", "name", "Jane", "email", "jane@example.com")
	s.record(1, refused, bugle.Outcome{State: bugle.Failed})
	refusedGET := refused
	refusedGET.Method = "GET"
	s.record(2, refusedGET, bugle.Outcome{State: bugle.Failed})
	for _, path := range []string{
		"GET webhooks", "GET " + hookPath(hook), "PUT " + hookPath(hook), "POST " + hookPath(hook, "pause"), "POST " + hookPath(hook, "resume"),
		"POST " + hookPath(hook, "test"), "GET deliveries", "GET deliveries/1", "GET deliveries/2", "GET deliveries/3", "POST deliveries/1/redeliver",
		"POST deliveries/3/cancel", "POST deliveries/3/cancel", "GET users", "GET users/1", "PATCH users", "GET nowhere", "POST webhooks",
		"DELETE " + hookPath(other), "GET deliveries/2", "GET " + hookPath(other, "secret"),
	} {
		method, path, _ := strings.Cut(path, " ")
		s.do(method, path, nil)
		s.send(method, "/v2/"+path+"?apikey="+s.key, nil)
		s.send(method, "/v2/"+path+"?apikey="+secrets["an expired key"], nil)
	}
	s.want(422, "PUT", hookPath(hook), value.Map("secret", strings.Repeat(secrets["the rotated secret"], 10)))
	s.want(422, "PUT", hookPath(hook), value.Map("url", "x", "secret", secrets["the rotated secret"]))
	s.want(422, "POST", hookPath(hook, "rotate-secret"), value.Map("secret", secrets["the rotated secret"], "keep_old_seconds", -1))
	s.want(200, "GET", "webhooks?limit=1&page=1&token="+s.key, nil)
	s.want(400, "POST", "webhooks", `{"secret":"`+secrets["the rotated secret"]+`",`)
	if err := s.store.Close(); err != nil { // errors are logged from now on
		t.Fatal(err)
	}
	s.want(503, "GET", "webhooks", nil)
	s.send("GET", "/readyz", nil)

	for name, secret := range secrets {
		for _, a := range answers {
			if strings.Contains(a, secret) {
				t.Errorf("%s is in the answer of %s", name, a)
			}
		}
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("%s is in the log:\n%s", name, s.log)
		}
	}
	if s.log.String() == "" {
		t.Error("nothing was logged")
	}
}
