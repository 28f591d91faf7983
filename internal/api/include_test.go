package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// staff makes two ranks, a unit, two users, and records of the first one.
func staff(t *testing.T) *server {
	s := newServer(t)
	s.create("ranks", "name", "Private")
	s.create("ranks", "name", "Sergeant")
	s.create("units", "name", "1st Squad")
	s.create("users", "name", "Jane", "email", "jane@example.com", "rank_id", 1, "unit_id", 1)
	s.create("users", "name", "John", "email", "john@example.com", "rank_id", 1)
	s.create("rank-records", "user_id", 1, "rank_id", 2, "type", 0, "author_id", 2, "created_at", "2026-01-01")
	s.create("rank-records", "user_id", 1, "rank_id", 1, "type", 1, "author_id", 2, "created_at", "2026-01-02")
	s.create("assignment-records", "user_id", 1, "type", "secondary", "unit_id", 1)
	s.create("assignment-records", "user_id", 1, "type", "primary", "unit_id", 1)
	return s
}

func TestInclude_everywhere(t *testing.T) {
	s := staff(t)
	for _, test := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"GET", "rank-records?include=user,author", nil, 200},
		{"GET", "rank-records/1?include=user,author", nil, 200},
		{"PATCH", "rank-records/1?include=user,author", `{"text":"<p>x</p>"}`, 200},
		{"PATCH", "rank-records/batch?include=user,author", `{"resources":{"1":{"text":"<p>y</p>"}}}`, 200},
		{"POST", "rank-records/search?include=user,author", "[]", 200},
		{"POST", "rank-records/search?include=author", `{"includes":[{"relation":"user"}]}`, 200},
		{"POST", "rank-records?include=user,author", `{"user_id":1,"rank_id":1,"type":0,"author_id":2}`, 201},
		{"DELETE", "rank-records/3?include=user,author", nil, 200},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			s := s.in(t)
			data := s.want(test.status, test.method, test.path, test.body).at("data")
			if list, ok := data.(*value.Array); ok && list.IsList() {
				data, _ = list.Get("0")
			}
			wantEqual(t, "user.name", at(data, "user", "name"), "Jane")
			wantEqual(t, "author.name", at(data, "author", "name"), "John")
			wantEqual(t, "document", at(data, "document"), nil)
		})
	}
}

func TestInclude_many(t *testing.T) {
	s := staff(t)
	users := s.want(200, "GET", "users?include=rank_records.rank,primary_assignment_records,secondary_assignment_records", nil).items(t)
	jane, john := users[0], users[1]
	wantEqual(t, "newest record first", at(jane, "rank_records", "0", "rank", "name"), "Private")
	wantEqual(t, "the older record", at(jane, "rank_records", "1", "rank", "name"), "Sergeant")
	wantEqual(t, "primary", at(jane, "primary_assignment_records", "0", "type"), "primary")
	wantEqual(t, "secondary", at(jane, "secondary_assignment_records", "0", "type"), "secondary")
	wantEqual(t, "second secondary", at(jane, "secondary_assignment_records", "1"), nil)
	for _, name := range []string{"rank_records", "primary_assignment_records"} {
		if list, ok := at(john, name).(*value.Array); !ok || list.Len() != 0 {
			t.Errorf("%s of a user without any is %s", name, text(at(john, name)))
		}
	}
	unit := s.want(200, "GET", "units/1?include=users.rank_records,assignment_records.user", nil).data(t)
	wantEqual(t, "a user of the unit", at(unit, "users", "0", "name"), "Jane")
	wantEqual(t, "his records", at(unit, "users", "0", "rank_records", "1", "id"), int64(1))
	wantEqual(t, "a record of the unit", at(unit, "assignment_records", "1", "user", "name"), "Jane")
}

func TestInclude_throughPivots(t *testing.T) {
	s := newServer(t)
	s.create("statuses", "name", "New", "color", "#fff")
	s.create("forms", "name", "Leave", "slug", "leave", "is_public", false, "submission_status_id", 1)
	s.create("users", "name", "Jane", "email", "jane@example.com")
	s.addField("forms/1", "reason", "text", "", false)
	s.addField("forms/1", "days", "number", "", false)
	s.create("submissions", "form_id", 1, "user_id", 1, "reason", "Leave")
	first := id(s.create("fields", "name", "First", "key", "first", "type", "text"))
	s.want(200, "POST", "forms/1/fields/attach", fmt.Sprintf(`{"resources":{"%d":{"order":-1}}}`, first))
	wantEqual(t, "a field with a place of its own", s.want(200, "GET", "forms/1?include=fields", nil).at("data", "fields", "0", "key"), "first")
	s.want(200, "DELETE", "forms/1/fields/detach", fmt.Sprintf(`{"resources":[%d]}`, first))

	form := s.want(200, "GET", "forms/1?include=fields,submissions.user", nil).data(t)
	wantEqual(t, "second field", at(form, "fields", "1", "key"), "days")
	wantEqual(t, "its place", at(form, "fields", "1", "pivot", "order"), int64(2))
	wantEqual(t, "user of the submission", at(form, "submissions", "0", "user", "name"), "Jane")
	submission := s.want(200, "GET", "submissions/1?include=statuses,form.fields", nil).data(t)
	wantEqual(t, "status", at(submission, "statuses", "0", "name"), "New")
	wantEqual(t, "its record", at(submission, "statuses", "0", "record", "submission_id"), int64(1))
	wantEqual(t, "field of its form", at(submission, "form", "fields", "0", "key"), "reason")
	wantEqual(t, "the status' submission", s.want(200, "GET", "statuses/1?include=submissions", nil).at("data", "submissions", "0", "reason"), "Leave")
}

// What a kind does not list is left out, silently.
func TestInclude_onlyWhatIsListed(t *testing.T) {
	s := staff(t)
	plain := text(s.want(200, "GET", "ranks", nil).at("data"))
	for _, include := range []string{"users", "password", "rank", "image.x", "*", ",,", "users.*", "a.b.c.d.e.f", "%22"} {
		if got := text(s.want(200, "GET", "ranks?include="+include, nil).at("data")); got != plain {
			t.Errorf("include=%s gives %s, want %s", include, got, plain)
		}
	}
	record := s.want(200, "GET", "rank-records/1?include=user.rank_records.user.rank_records.user,user.password", nil).data(t)
	wantEqual(t, "too deep", record.Has("user"), true)
	wantEqual(t, "too deep below", at(record, "user", "rank_records"), nil)
	wantEqual(t, "a field", at(record, "user", "password"), nil)
}

// Every path that a kind lists can be included, alone and with something below it.
func TestInclude_eachOfEachKind(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		made := m.make(k)
		for _, path := range k.Includes {
			name, below, _ := strings.Cut(path, ".")
			if below == "*" {
				for _, rel := range personnel.ByName(k.Relation(name).Kind).Relations {
					s.want(200, "GET", fmt.Sprintf("%s/%d?include=%s.%s", k.Path, made, name, rel.Name), nil)
				}
				continue
			}
			data := s.want(200, "GET", fmt.Sprintf("%s/%d?include=%s", k.Path, made, path), nil).data(t)
			if !data.Has(name) {
				t.Errorf("%s with include=%s has no %s: %s", k.Name, path, name, text(data))
			}
		}
	})
}

// One organization's resources never show another's, whatever refers to what.
func TestInclude_withinTheOrganization(t *testing.T) {
	s := staff(t)
	other := s.another()
	other.create("units", "name", "Theirs")
	other.create("users", "name", "Theirs", "email", "jane@example.com", "unit_id", 2)
	if got := text(other.want(200, "GET", "units?include=users,assignment_records.user", nil).at("data")); strings.Contains(got, "Jane") {
		t.Errorf("another organization's user is shown: %s", got)
	}
}
