package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// What a paused webhook is owed goes out without the person, although the server had it in memory as it was.
func TestErasure_pendingDeliveries(t *testing.T) {
	var mu sync.Mutex
	var got []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(body))
	}))
	defer receiver.Close()
	database, key := newDatabase(t)
	p := startServer(t, database)
	p.mustCall(t, key, "POST", "/v2/webhooks", fmt.Sprintf(`{"name":"hook","url":"%s","status":"paused","events":["user.created","user.updated","user.deleted"]}`, receiver.URL), 201)
	p.mustCall(t, key, "POST", "/v2/users", `{"name":"Zebulon Quaxley","email":"zebulon@quaxley.example","notes":"Allergic to bees, quite"}`, 201)
	p.mustCall(t, key, "POST", "/v2/users/1/erase", "", 202)
	waitFor(t, "events to be erased", func() bool { // attempts have to wait longer
		return count(t, database, "SELECT COUNT(*) FROM erasures WHERE phase = 'attempts'") == 1
	})
	p.mustCall(t, key, "DELETE", "/v2/users/1", "", 200)
	p.mustCall(t, key, "POST", "/v2/webhooks/1/resume", "", 200)
	waitFor(t, "three deliveries", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == 3 })
	all := strings.Join(got, "\n")
	for _, secret := range []string{"Zebulon", "Quaxley", "quaxley", "bees"} {
		if strings.Contains(all, secret) {
			t.Errorf("the receiver got %s: %s", secret, all)
		}
	}
	for _, event := range []string{"user.created", "user.updated", "user.deleted"} {
		if !strings.Contains(all, `{"event":"`+event+`","created"`) {
			t.Errorf("there is no %s in %s", event, all)
		}
	}
	if status, out, errs := runBugle(t, "", "doctor", "--database", database, "--prove"); status != 0 {
		t.Errorf("doctor: status %d: %s%s", status, out, errs)
	}
}
