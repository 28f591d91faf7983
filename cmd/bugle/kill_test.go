package main

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/buglehq/bugle/value"
)

// What was answered 201 is delivered, whenever the process is killed, and there is no event whose
// change is not there.
func TestServe_killedUnderLoad(t *testing.T) {
	const rounds, writers, changesPerRound = 5, 8, 150
	var mu sync.Mutex
	arrived := map[int64]int{} // requests by user
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender was killed in the middle
		}
		envelope, err := value.Decode(body)
		if err != nil {
			t.Errorf("the receiver got what is no JSON: %q", body)
			return
		}
		id, _ := at(envelope, "data", "id").(int64)
		mu.Lock()
		defer mu.Unlock()
		arrived[id]++
	}))
	defer receiver.Close()

	database, key := newDatabase(t)
	var acknowledged []int64
	for round := range rounds {
		server := startServer(t, database)
		if round == 0 {
			for i := range 3 {
				server.mustCall(t, key, "POST", "/v2/webhooks", fmt.Sprintf(
					`{"name":"hook %d","url":"%s/hook","events":["user.created"],"retry_schedule":[1],"max_attempts":50}`, i, receiver.URL), 201)
			}
		}
		var made atomic.Int64
		var group sync.WaitGroup
		for writer := range writers {
			group.Go(func() {
				for i := 0; ; i++ {
					status, data, err := server.call(key, "POST", "/v2/users",
						fmt.Sprintf(`{"name":"User %d","email":"u%d-%d-%d@example.com"}`, i, round, writer, i))
					if err != nil {
						return // killed
					}
					if status != 201 {
						t.Errorf("status %d", status)
						return
					}
					mu.Lock()
					acknowledged = append(acknowledged, at(data, "data", "id").(int64))
					mu.Unlock()
					if made.Add(1) == changesPerRound {
						go server.kill()
					}
				}
			})
		}
		group.Wait()
	}

	server := startServer(t, database)
	waitFor(t, "no delivery is pending", func() bool {
		return at(server.mustCall(t, key, "GET", "/v2/deliveries?state=pending&limit=1", "", 200), "meta", "total") == int64(0)
	})
	for _, state := range []string{"failed", "cancelled"} {
		if n := at(server.mustCall(t, key, "GET", "/v2/deliveries?state="+state, "", 200), "meta", "total"); n != int64(0) {
			t.Errorf("%v deliveries are %s", n, state)
		}
	}
	server.stop(t)

	mu.Lock()
	defer mu.Unlock()
	if len(acknowledged) < rounds*changesPerRound {
		t.Errorf("only %d changes were acknowledged", len(acknowledged))
	}
	repeats := 0
	for _, id := range acknowledged {
		if arrived[id] < 3 {
			t.Errorf("user %d arrived %d times, want once for each of 3 webhooks", id, arrived[id])
		}
		repeats += max(arrived[id]-3, 0)
	}
	t.Logf("%d changes acknowledged, %d requests repeated", len(acknowledged), repeats)
	for name, query := range map[string]string{
		"events without a user":       "SELECT COUNT(*) FROM events e WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = e.resource_id)",
		"users without an event":      "SELECT COUNT(*) FROM users u WHERE NOT EXISTS (SELECT 1 FROM events e WHERE u.id = e.resource_id)",
		"events without 3 deliveries": "SELECT COUNT(*) FROM events e WHERE (SELECT COUNT(*) FROM deliveries d WHERE d.event_id = e.id) <> 3",
		"deliveries with no attempt":  "SELECT COUNT(*) FROM deliveries d WHERE NOT EXISTS (SELECT 1 FROM attempts a WHERE a.delivery_id = d.id AND a.status_code = 200)",
	} {
		if n := count(t, database, query); n != 0 {
			t.Errorf("%d %s", n, name)
		}
	}
	if status, out, _ := runBugle(t, "", "doctor", "--prove", "--database", database); status != 0 {
		t.Errorf("the doctor says\n%s", out)
	}
	for id := range arrived {
		if n := count(t, database, fmt.Sprintf("SELECT COUNT(*) FROM users WHERE id = %d", id)); n != 1 {
			t.Errorf("user %d was delivered, but is not there", id)
		}
	}
}

// count runs a query of one number on a database that nobody has open.
func count(t *testing.T, database, query string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(database, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// patience is how long tests wait for something that has to come. It is long, because nothing is measured by it and
// machines may be busy.
const patience = 3 * time.Minute

// waitFor asks until the answer is yes, for as long as patience lasts.
func waitFor(t *testing.T, what string, yes func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	give := time.After(patience)
	for !yes() {
		select {
		case <-ticker.C:
		case <-give:
			t.Fatalf("waited %s for: %s", patience, what)
		}
	}
}

// dump is all that a query of one column returns, a line each.
func dump(t *testing.T, database, query string) string {
	t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(database, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var lines strings.Builder
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		lines.WriteString(text + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines.String()
}
