package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A place is what an assignment consists of, and another one to move to.
type place struct{ position, specialty, unit, status int64 }

func addPlace(t *testing.T, s *store.Store) place {
	t.Helper()
	return place{
		position:  storetest.Create(t, s, &personnel.Position, "name", "Team Leader").ID(),
		specialty: storetest.Create(t, s, &personnel.Specialty, "name", "Infantryman").ID(),
		unit:      storetest.Create(t, s, &personnel.Unit, "name", "1st Squad").ID(),
		status:    storetest.Create(t, s, &personnel.Status, "name", "Active", "color", "#16a34a").ID(),
	}
}

// wantPlace checks where a user stands; 0 is nowhere.
func wantPlace(t *testing.T, s *store.Store, userID int64, want place) {
	t.Helper()
	r := get(t, s, &personnel.User, userID)
	id := func(field string) int64 {
		n, _ := r.Get(field).(int64)
		return n
	}
	if got := (place{id("position_id"), id("specialty_id"), id("unit_id"), id("status_id")}); got != want {
		t.Errorf("the user stands at %+v, want %+v", got, want)
	}
}

// wantChanges checks the changes of events, in order.
func wantChanges(t *testing.T, list []event, want ...string) {
	t.Helper()
	for i, e := range list[:min(len(list), len(want))] {
		wantText(t, e.changes(t), want[i])
	}
}

func TestAssignment_primaryMovesTheUserFieldByField(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane, to := user(t, s, "Jane Roe").ID(), addPlace(t, s)
		list := eventsOf(t, s, func() {
			storetest.Create(t, s, &personnel.AssignmentRecord, "user_id", jane, "type", "primary",
				"status_id", to.status, "unit_id", to.unit, "specialty_id", to.specialty, "position_id", to.position)
		})
		wantNames(t, list, "user.updated", "user.updated", "user.updated", "user.updated", "assignmentrecord.created")
		wantChanges(t, list,
			`{"position_id":1,"updated_at":"2026-01-14 12:00:00"}`,
			`{"specialty_id":1,"updated_at":"2026-01-14 12:00:00"}`,
			`{"unit_id":1,"updated_at":"2026-01-14 12:00:00"}`,
			`{"status_id":1,"updated_at":"2026-01-14 12:00:00"}`)
		wantPlace(t, s, jane, to)

		// The same again changes nothing about the user, and a part of it only that part.
		wantNames(t, eventsOf(t, s, func() {
			storetest.Create(t, s, &personnel.AssignmentRecord, "user_id", jane, "type", "primary", "unit_id", to.unit)
		}), "assignmentrecord.created")
		wantPlace(t, s, jane, to)
		other := storetest.Create(t, s, &personnel.Unit, "name", "2nd Squad").ID()
		wantNames(t, eventsOf(t, s, func() {
			storetest.Create(t, s, &personnel.AssignmentRecord, "user_id", jane, "type", "primary", "unit_id", other, "position_id", nil)
		}), "user.updated", "assignmentrecord.created")
		wantPlace(t, s, jane, place{to.position, to.specialty, other, to.status})
	})
}

func TestAssignment_leavesTheUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane, to := user(t, s, "Jane Roe").ID(), addPlace(t, s)
		var record *personnel.Resource
		wantNames(t, eventsOf(t, s, func() {
			record = storetest.Create(t, s, &personnel.AssignmentRecord, "user_id", jane, "type", "secondary", "unit_id", to.unit)
		}), "assignmentrecord.created")
		wantNames(t, eventsOf(t, s, func() {
			storetest.Update(t, s, &personnel.AssignmentRecord, record.ID(), "type", "primary", "position_id", to.position)
		}), "assignmentrecord.updated")
		wantPlace(t, s, jane, place{})

		storetest.Create(t, s, &personnel.AssignmentRecord, "user_id", jane, "type", "primary", "unit_id", to.unit)
		wantNames(t, eventsOf(t, s, func() { storetest.Delete(t, s, &personnel.AssignmentRecord, record.ID()+1) }), "assignmentrecord.deleted")
		wantPlace(t, s, jane, place{unit: to.unit})
	})
}

func TestAssignment_slotDecides(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane, sent, to := user(t, s, "Jane Roe").ID(), addPlace(t, s), addPlace(t, s)
		slot := storetest.Create(t, s, &personnel.Slot, "name", "Leader", "position_id", to.position, "specialty_id", to.specialty)
		unitSlot := storetest.Create(t, s, &personnel.UnitSlot, "unit_id", to.unit, "slot_id", slot.ID())
		record := personnel.New(&personnel.AssignmentRecord)
		for field, v := range map[string]any{"user_id": jane, "type": "primary", "unit_slot_id": unitSlot.ID(),
			"unit_id": sent.unit, "position_id": sent.position, "specialty_id": sent.specialty, "status_id": sent.status} {
			record.Set(field, v)
		}
		list := eventsOf(t, s, func() {
			storetest.Change(t, s, func(tx *store.Tx) error { return tx.Insert(storetest.Actor(), record) })
		})
		wantNames(t, list, "user.updated", "user.updated", "user.updated", "user.updated", "user.updated", "assignmentrecord.created")
		wantText(t, list[4].changes(t), `{"unit_slot_id":1,"updated_at":"2026-01-14 12:00:00"}`)
		data := list[5].data(t)
		for field, want := range map[string]int64{"unit_id": to.unit, "position_id": to.position, "specialty_id": to.specialty, "status_id": sent.status} {
			if got, _ := data.Get(field); got != want {
				t.Errorf("the record's %s is %v, want %d", field, got, want)
			}
		}
		if unitSlot, _ := data.Get("unit_slot"); unitSlot == nil {
			t.Error("the event is without its unit_slot")
		}
		wantPlace(t, s, jane, place{to.position, to.specialty, to.unit, sent.status})
	})
}

func TestRankRecord_movesTheUserWhateverItsType(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane := user(t, s, "Jane Roe").ID()
		for recordType := range int64(4) {
			rank := storetest.Create(t, s, &personnel.Rank, "name", "Rank").ID()
			record := func() {
				storetest.Create(t, s, &personnel.RankRecord, "user_id", jane, "rank_id", rank, "type", recordType)
			}
			list := eventsOf(t, s, record)
			wantNames(t, list, "user.updated", "rankrecord.created")
			user, _ := list[1].data(t).Get("user")
			if got, _ := user.(*value.Array).Get("rank_id"); got != rank {
				t.Errorf("the user in the event has rank %v, want %d already", got, rank)
			}
			wantNames(t, eventsOf(t, s, record), "rankrecord.created") // no other rank, nothing to say of the user
			if got := get(t, s, &personnel.User, jane).Get("rank_id"); got != rank {
				t.Errorf("after a record of type %d the rank is %v, want %d", recordType, got, rank)
			}
		}
	})
}

// Of the kinds that have an author, the one who is logged in is it, unless another was sent.
func TestAuthor_isTheActor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		addReferences(t, s)
		actor := storetest.Actor()
		actor.UserID = user(t, s, "Actor").ID()
		for _, k := range []*personnel.Kind{&personnel.AssignmentRecord, &personnel.AwardRecord, &personnel.CombatRecord, &personnel.QualificationRecord,
			&personnel.RankRecord, &personnel.ServiceRecord, &personnel.TrainingRecord, &personnel.CalendarEvent, &personnel.Document, &personnel.Comment} {
			t.Run(k.Name, func(t *testing.T) {
				fields := validFields(t, s, k)
				fields.Delete("author_id")
				if r, err := create(s, actor, k, fields); err != nil || r.Get("author_id") != actor.UserID {
					t.Errorf("%v, %v: want the author %d", r, err, actor.UserID)
				}
				if r, err := create(s, storetest.Actor(), k, fields); err != nil || r.Get("author_id") != nil {
					t.Errorf("%v, %v: want no author, as nobody is logged in", r, err)
				}
				fields.Set("author_id", 1)
				if r, err := create(s, actor, k, fields); err != nil || r.Get("author_id") != int64(1) {
					t.Errorf("%v, %v: want the author that was sent", r, err)
				}
			})
		}
	})
}

func TestOrder_followsTheLast(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for _, k := range personnel.Kinds() {
			if k.Order != personnel.BySorted {
				continue
			}
			for _, step := range []struct{ sent, want any }{{nil, 1}, {nil, 2}, {7, 7}, {nil, 8}, {3, 3}, {nil, 9}} {
				fields := []any{"name", "?", "color", "#16a34a", "type", "other", "issuer_id", anyOf(t, s, &personnel.Issuer)}
				if step.sent != nil {
					fields = append(fields, "order", step.sent)
				}
				if got := storetest.Create(t, s, k, fields...).Get("order"); got != int64(step.want.(int)) {
					t.Errorf("%s: order is %v, want %v", k.Name, got, step.want)
				}
			}
			page, err := s.List(t.Context(), 1, k, store.PageRequest{Number: 1, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.IsSortedFunc(page.Items, func(a, b *personnel.Resource) int {
				return int(a.Get("order").(int64) - b.Get("order").(int64))
			}) {
				t.Errorf("%s are not listed in their order", k.Table)
			}
		}
	})
}

func TestUser_notesAreDatedQuietly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		jane := user(t, s, "Jane Roe").ID()
		clock.Advance(time.Hour)
		list := eventsOf(t, s, func() { storetest.Update(t, s, &personnel.User, jane, "notes", "Good.") })
		wantNames(t, list, "user.updated")
		wantChanges(t, list, `{"notes":"Good.","updated_at":"2026-01-14 13:00:00"}`)
		if got, _ := list[0].data(t).Get("notes_updated_at"); got != "2026-01-14T13:00:00.000000Z" {
			t.Errorf("notes_updated_at is %v in the event", got)
		}
		clock.Advance(time.Hour)
		storetest.Update(t, s, &personnel.User, jane, "name", "Jane Doe")
		if got := get(t, s, &personnel.User, jane).Get("notes_updated_at"); got != "2026-01-14 13:00:00" {
			t.Errorf("notes_updated_at is %v", got)
		}
	})
}

func TestUpdate_withoutADifferenceSaysNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		addReferences(t, s)
		for _, e := range examples {
			createAt(t, s, e.kind, e.id, e.create...)
		}
		clock.Advance(time.Hour)
		for _, e := range examples {
			before := jsonText(t, render(t, s, get(t, s, e.kind, e.id)))
			list := eventsOf(t, s, func() {
				storetest.Update(t, s, e.kind, e.id)
				storetest.Update(t, s, e.kind, e.id, "unknown", 1, "id", 99)
				storetest.Update(t, s, e.kind, e.id, "updated_at", nil, "created_at", nil)
				sent := e.create
				if e.kind == &personnel.Submission {
					sent = sent[4:] // the user's own answers
				}
				storetest.Update(t, s, e.kind, e.id, sent...)
			})
			wantNames(t, list)
			wantText(t, jsonText(t, render(t, s, get(t, s, e.kind, e.id))), before)
		}
	})
}

// A client that reads a resource, edits it and sends all of it back did not mean the old updated_at.
func TestUpdate_updatedAt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		c := storetest.Create(t, s, &personnel.Calendar, "name", "Old", "color", "#2563eb").ID()
		clock.Advance(time.Hour)
		tests := []struct {
			sent []any
			want string
		}{
			{[]any{"name", "1", "updated_at", "2026-01-14T12:00:00.000000Z"}, `{"name":"1","updated_at":"2026-01-14 13:00:00"}`},
			{[]any{"name", "2", "updated_at", nil}, `{"name":"2","updated_at":"2026-01-14 13:00:00"}`},
			{[]any{"name", "3", "updated_at", "2020-02-02"}, `{"name":"3","updated_at":"2020-02-02 00:00:00"}`},
			{[]any{"updated_at", "2021-01-01"}, `{"updated_at":"2021-01-01 00:00:00"}`},
			{[]any{"created_at", "2021-01-01"}, `{"created_at":"2021-01-01 00:00:00","updated_at":"2026-01-14 13:00:00"}`},
		}
		for _, test := range tests {
			list := eventsOf(t, s, func() { storetest.Update(t, s, &personnel.Calendar, c, test.sent...) })
			wantNames(t, list, "calendar.updated")
			wantChanges(t, list, test.want)
		}
	})
}

func TestSubmission_getsTheFormsStatus(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane := user(t, s, "Jane Roe").ID()
		status := storetest.Create(t, s, &personnel.Status, "name", "Open", "color", "#16a34a").ID()
		with := storetest.Create(t, s, &personnel.Form, "name", "With", "slug", "with", "is_public", true, "submission_status_id", status).ID()
		without := storetest.Create(t, s, &personnel.Form, "name", "Without", "slug", "without", "is_public", true).ID()
		for _, form := range []int64{with, without} {
			wantNames(t, eventsOf(t, s, func() {
				storetest.Create(t, s, &personnel.Submission, "form_id", form, "user_id", jane)
			}), "submission.created")
		}
		got := query[string](t, s, "SELECT submission_id || ' ' || status_id || ' ' || created_at FROM submission_statuses")
		if want := []string{"1 1 2026-01-14 12:00:00"}; !slices.Equal(got, want) {
			t.Errorf("statuses of submissions are %q, want %q", got, want)
		}
	})
}

// attribute returns one of a resource's data as it is rendered now.
func attribute(t *testing.T, s *store.Store, k *personnel.Kind, id int64, name string) any {
	t.Helper()
	v, found := render(t, s, get(t, s, k, id)).Get(name)
	if !found {
		t.Fatalf("%s has no attribute %s", label(k, id), name)
	}
	return v
}

func TestUser_displayNameFollowsTheOrganization(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		rank := storetest.Create(t, s, &personnel.Rank, "name", "Sergeant", "abbreviation", "SGT").ID()
		jane := user(t, s, "Jane Roe").ID()
		exec(t, s, "UPDATE organizations SET display_name_format = '{rank.abbreviation} {name} - {unit.name}'")
		list := eventsOf(t, s, func() { storetest.Update(t, s, &personnel.User, jane, "rank_id", rank) })
		if got, _ := list[0].data(t).Get("display_name"); got != "SGT Jane Roe" {
			t.Errorf("display_name is %q in the event", got)
		}
		if got := attribute(t, s, &personnel.User, jane, "display_name"); got != "SGT Jane Roe" {
			t.Errorf("display_name is %q", got)
		}
	})
}

func TestUser_lastChanges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		rank := storetest.Create(t, s, &personnel.Rank, "name", "Sergeant").ID()
		jane, john := user(t, s, "Jane Roe").ID(), user(t, s, "John Doe").ID()
		wantLast := func(assignment, rank any) {
			t.Helper()
			if got := attribute(t, s, &personnel.User, jane, "last_assignment_change_date"); got != assignment {
				t.Errorf("last_assignment_change_date is %v, want %v", got, assignment)
			}
			if got := attribute(t, s, &personnel.User, jane, "last_rank_change_date"); got != rank {
				t.Errorf("last_rank_change_date is %v, want %v", got, rank)
			}
		}
		wantLast(nil, nil)
		add := func(k *personnel.Kind, user int64, day string, fields ...any) {
			t.Helper()
			storetest.Create(t, s, k, append(fields, "user_id", user, "created_at", day)...)
		}
		add(&personnel.AssignmentRecord, jane, "2025-03-01", "type", "primary")
		add(&personnel.AssignmentRecord, jane, "2025-02-01", "type", "primary")
		add(&personnel.AssignmentRecord, jane, "2025-04-01", "type", "secondary")
		add(&personnel.AssignmentRecord, john, "2025-05-01", "type", "primary")
		wantLast("2025-03-01T00:00:00.000000Z", nil)
		add(&personnel.RankRecord, jane, "2025-06-01", "rank_id", rank, "type", 0)
		add(&personnel.RankRecord, jane, "2025-05-01", "rank_id", rank, "type", 1)
		wantLast("2025-03-01T00:00:00.000000Z", "2025-06-01T00:00:00.000000Z")
	})
}

func TestUser_online(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *clockwork.FakeClock) {
		jane := user(t, s, "Jane Roe", "last_seen_at", "2026-01-14T12:00:00Z").ID()
		for _, step := range []struct {
			advance time.Duration
			want    bool
		}{{0, true}, {119 * time.Second, true}, {time.Second, false}, {time.Hour, false}} {
			clock.Advance(step.advance)
			if got := attribute(t, s, &personnel.User, jane, "online"); got != step.want {
				t.Errorf("at %s online is %v, want %v", clock.Now(), got, step.want)
			}
		}
	})
}

func TestUser_photos(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane := user(t, s, "Jane van Roe").ID()
		if got := attribute(t, s, &personnel.User, jane, "profile_photo_url"); got != "https://ui-avatars.com/api/?name=J+v+R&color=2563eb&background=eff6ff" {
			t.Errorf("profile_photo_url is %v", got)
		}
		if got := attribute(t, s, &personnel.User, jane, "cover_photo_url"); got != nil {
			t.Errorf("cover_photo_url is %v", got)
		}
		exec(t, s, "UPDATE users SET profile_photo = 'photos/jane.png', cover_photo = '/photos/cover.png'")
		if got := attribute(t, s, &personnel.User, jane, "profile_photo_url"); got != storetest.BaseURL+"/storage/photos/jane.png" {
			t.Errorf("profile_photo_url is %v", got)
		}
		if got := attribute(t, s, &personnel.User, jane, "cover_photo_url"); got != storetest.BaseURL+"/storage/photos/cover.png" {
			t.Errorf("cover_photo_url is %v", got)
		}
	})
}

// A record's document may name everything that the record and its user lead to, and all of it is
// loaded, in an event as in an answer.
func TestRecord_documentParsed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		to := addPlace(t, s)
		jane := user(t, s, "Jane Roe", "unit_id", to.unit, "status_id", to.status).ID()
		john := user(t, s, "John Doe").ID()
		document := storetest.Create(t, s, &personnel.Document, "name", "Orders", "content",
			"{user_name} ({user_status}, {user_unit}) as {assignment_record_position} by {author_resource_name} on {assignment_record_date}; {unknown} {user_rank}").ID()
		const want = "Jane Roe (Active, 1st Squad) as Team Leader by John Doe on Thu, Jan 1, 2026 6:00 PM; {unknown} {user_rank}"
		var record int64
		list := eventsOf(t, s, func() {
			record = storetest.Create(t, s, &personnel.AssignmentRecord, "user_id", jane, "type", "secondary", "position_id", to.position,
				"author_id", john, "document_id", document, "created_at", "2026-01-01T18:00:00Z").ID()
			storetest.Update(t, s, &personnel.AssignmentRecord, record, "text", "?")
			storetest.Delete(t, s, &personnel.AssignmentRecord, record)
		})
		wantNames(t, list, "assignmentrecord.created", "assignmentrecord.updated", "assignmentrecord.deleted")
		for _, e := range list {
			if got, _ := e.data(t).Get("document_parsed"); got != want {
				t.Errorf("%s: document_parsed is\n     %v\nwant %s", e.Name, got, want)
			}
		}
	})
}

func TestCustomFields_filesHaveAnAddress(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane := user(t, s, "Jane Roe").ID()
		exec(t, s, `UPDATE users SET data = '{"cv":"uploads/cv.pdf","site":"https://example.com/a.html","mail":"j@example.com","word":"plain","n":1.5}'`)
		data := render(t, s, get(t, s, &personnel.User, jane))
		var got []string
		for key := range data.All() {
			if strings.HasSuffix(key.String(), "_url") {
				got = append(got, key.String())
			}
		}
		if want := []string{"cv_url", "mail_url", "profile_photo_url", "cover_photo_url"}; !slices.Equal(got, want) {
			t.Errorf("addresses are %q, want %q", got, want)
		}
		if got, _ := data.Get("cv_url"); got != storetest.BaseURL+"/storage/uploads/cv.pdf" {
			t.Errorf("cv_url is %v", got)
		}
	})
}

func TestCustomFields_ofAUserAreThoseAttachedToHim(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		points := storetest.Create(t, s, &personnel.CustomField, "name", "Points", "key", "promotion_points", "type", "number", "rules", "integer|min:0").ID()
		storetest.Create(t, s, &personnel.CustomField, "name", "Other", "key", "other", "type", "text")
		jane := user(t, s, "Jane Roe", "promotion_points", 5).ID()
		if r := render(t, s, get(t, s, &personnel.User, jane)); r.Has("promotion_points") {
			t.Error("a new user has a field that is not attached")
		}
		link(t, s, &personnel.User, jane, points)
		list := eventsOf(t, s, func() {
			storetest.Update(t, s, &personnel.User, jane, "promotion_points", 10, "other", "ignored")
		})
		wantNames(t, list, "user.updated")
		wantChanges(t, list, `{"data":"{\"promotion_points\":10}","updated_at":"2026-01-14 12:00:00"}`)
		if got := attribute(t, s, &personnel.User, jane, "promotion_points"); got != int64(10) {
			t.Errorf("promotion_points is %v", got)
		}
		_, err := change(s, &personnel.User, jane, value.Map("promotion_points", -1, "name", ""))
		wantProblems(t, err, "name", "promotion_points")
	})
}

// A custom field that is called like a real one never shows in its place.
func TestCustomFields_doNotReplaceColumns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane := user(t, s, "Jane Roe").ID()
		exec(t, s, `UPDATE users SET data = '{"name":"Mallory","password":"?","label":"?","rank":"?","display_name":"?","data":"?"}'`)
		data := render(t, s, get(t, s, &personnel.User, jane))
		for key, want := range map[string]any{"name": "Jane Roe", "label": "User: 1", "display_name": "Jane Roe", "rank": nil} {
			if got, _ := data.Get(key); got != want {
				t.Errorf("%s is %v, want %v", key, got, want)
			}
		}
		if data.Has("password") || data.Has("data") {
			t.Errorf("hidden keys show in %q", data.Keys())
		}
	})
}

func TestCalendarEvent_allDayIsAtMidnight(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		c := storetest.Create(t, s, &personnel.Calendar, "name", "Drills", "color", "#2563eb").ID()
		e := storetest.Create(t, s, &personnel.CalendarEvent, "name", "Parade", "calendar_id", c, "all_day", true,
			"starts", "2026-02-01T19:00:00+01:00", "ends", "2026-02-02T21:00:00Z", "registration_deadline", "2026-01-31T12:30:00Z").ID()
		for name, want := range map[string]string{"starts": "2026-02-01T00:00:00.000000Z", "ends": "2026-02-02T00:00:00.000000Z",
			"registration_deadline": "2026-01-31T12:30:00.000000Z"} {
			if got := attribute(t, s, &personnel.CalendarEvent, e, name); got != want {
				t.Errorf("%s is %v, want %s", name, got, want)
			}
		}
		storetest.Update(t, s, &personnel.CalendarEvent, e, "all_day", false)
		if got := attribute(t, s, &personnel.CalendarEvent, e, "starts"); got != "2026-02-01T18:00:00.000000Z" {
			t.Errorf("starts is %v once it is not all day", got)
		}
	})
}

func TestFallbacks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		calendar := storetest.Create(t, s, &personnel.Calendar, "name", "Drills", "color", "#ffffff").ID()
		status := storetest.Create(t, s, &personnel.Status, "name", "Active", "color", "#ffffff").ID()
		exec(t, s, "UPDATE calendars SET color = NULL")
		exec(t, s, "UPDATE statuses SET color = NULL")
		e := createAt(t, s, &personnel.CalendarEvent, 7, "name", "Parade", "calendar_id", calendar, "all_day", true, "starts", "2026-02-01", "ends", "2026-02-01").ID()
		for _, test := range []struct {
			kind     *personnel.Kind
			id       int64
			attr     string
			fallback string
		}{
			{&personnel.Calendar, calendar, "color", "#2563eb"},
			{&personnel.Status, status, "color", "#2563eb"},
			{&personnel.CalendarEvent, e, "url", storetest.BaseURL + "/events/7"},
		} {
			if got := attribute(t, s, test.kind, test.id, test.attr); got != test.fallback {
				t.Errorf("%s of %s is %v, want %s", test.attr, label(test.kind, test.id), got, test.fallback)
			}
		}
	})
}

// What refers to a deleted resource without belonging to it stays, and no event says so.
func TestDelete_clearsReferencesQuietly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		to := addPlace(t, s)
		jane := user(t, s, "Jane Roe", "unit_id", to.unit).ID()
		wantNames(t, eventsOf(t, s, func() { storetest.Delete(t, s, &personnel.Unit, to.unit) }))
		wantPlace(t, s, jane, place{})
	})
}
