package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/value"
)

// eraseAll works on erasures until there is none left.
func (s *server) eraseAll(userID int64) {
	s.Helper()
	eraser := dispatch.NewEraser(s.store, dispatch.StepperOptions{Clock: s.clock})
	for range 1000 {
		found, err := eraser.Round(context.Background())
		if err != nil {
			s.Fatal(err)
		}
		if !found {
			if e, err := s.store.Erasure(context.Background(), 1, userID); err != nil || e.Ended() {
				return
			}
			s.clock.Advance(time.Minute)
		}
	}
	s.Fatal("the erasure does not end")
}

// What the API shows of a person who was erased, anywhere, is not he; that there was something sent stays.
func TestErasures(t *testing.T) {
	s := newServer(t)
	hook := s.watch()
	secrets := []string{"Zebulon Quaxley", "zebulon@quaxley.example", "Allergic to bees, quite"}
	user := s.create("users", "name", secrets[0], "email", secrets[1], "notes", secrets[2])
	id := at(user, "id").(int64)
	path := fmt.Sprintf("users/%d/", id)
	s.want(404, "GET", path+"erasure", nil)
	s.create("ranks", "name", "Sergeant")
	s.create("rank-records", "user_id", id, "rank_id", 1, "type", 0, "text", "For "+secrets[0])
	s.create("comments", "comment", "Ask "+secrets[1], "model_type", `App\Models\RankRecord`, "model_id", 1)
	s.want(202, "POST", fmt.Sprintf("webhooks/%d/test", hook.ID), value.Map("payload", value.Map("to", secrets[1])))

	started := s.want(202, "POST", path+"erase", nil)
	for key, want := range map[string]any{"user_id": id, "state": "running", "looked": 0, "error": nil, "finished_at": nil} {
		wantEqual(t, key, started.at("data", key), want)
	}
	s.want(409, "POST", path+"erase", nil)
	shown := s.want(200, "GET", strings.TrimSuffix(path, "/"), nil)
	wantEqual(t, "name", shown.at("data", "name"), "[erased]")
	wantEqual(t, "notes", shown.at("data", "notes"), nil)
	s.eraseAll(id)
	done := s.want(200, "GET", path+"erasure", nil)
	wantEqual(t, "state", done.at("data", "state"), "done")

	for _, list := range []string{"users", "rank-records?include=user,comments", "comments", "event-log", "deliveries", "automation-logs", "audit-log", "newsfeed"} {
		seen := s.want(200, "GET", list, nil).text
		for _, secret := range secrets {
			if strings.Contains(seen, secret) {
				t.Errorf("%s is in %s: %s", secret, list, seen)
			}
		}
	}
	n := 0
	for _, list := range []string{"event-log", "deliveries"} {
		for _, item := range s.want(200, "GET", list, nil).items(t) {
			n++
			seen := s.want(200, "GET", fmt.Sprintf("%s/%d", list, at(item, "id")), nil).text
			for _, secret := range secrets {
				if strings.Contains(seen, secret) {
					t.Errorf("%s is in %s of %s", secret, seen, list)
				}
			}
		}
	}
	if feed := s.want(200, "GET", fmt.Sprintf("webhooks/%d/feed", hook.ID), nil).text; strings.Contains(feed, secrets[0]) || strings.Contains(feed, secrets[1]) {
		t.Errorf("the feed has %s", feed)
	}
	if n < 3 {
		t.Errorf("only %d events and deliveries were seen", n)
	}

	// One who is deleted already can be erased; one who never was cannot.
	s.want(200, "DELETE", strings.TrimSuffix(path, "/"), nil)
	s.want(202, "POST", path+"erase", nil)
	s.eraseAll(id)
	s.want(404, "POST", "users/999/erase", nil)
	s.scoped("view:user", "update:user").want(403, "POST", path+"erase", nil)
}
