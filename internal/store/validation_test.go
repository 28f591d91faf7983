package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// create and change are for requests that may be refused.
func create(s *store.Store, a store.Actor, k *personnel.Kind, fields *value.Array) (r *personnel.Resource, err error) {
	err = s.Update(context.Background(), func(tx *store.Tx) error {
		r, err = tx.Create(a, k, fields)
		return err
	})
	return r, err
}

func change(s *store.Store, k *personnel.Kind, id int64, fields *value.Array) (r *personnel.Resource, err error) {
	err = s.Update(context.Background(), func(tx *store.Tx) error {
		r, err = tx.Update(storetest.Actor(), k, id, fields)
		return err
	})
	return r, err
}

// anyOf returns the id of a resource of the kind in organization 1, making one if there is none.
func anyOf(t *testing.T, s *store.Store, k *personnel.Kind) int64 {
	t.Helper()
	if ids := query[int64](t, s, "SELECT id FROM "+k.Table+" WHERE organization_id = 1 ORDER BY id LIMIT 1"); len(ids) > 0 {
		return ids[0]
	}
	if k == &personnel.NewsfeedItem { // which only a record makes
		if _, err := create(s, storetest.Actor(), &personnel.RankRecord, validFields(t, s, &personnel.RankRecord)); err != nil {
			t.Fatal(err)
		}
		return anyOf(t, s, k)
	}
	r, err := create(s, storetest.Actor(), k, validFields(t, s, k))
	if err != nil {
		t.Fatal(err)
	}
	return r.ID()
}

// validFields returns a value for every field of a kind that may be written.
func validFields(t *testing.T, s *store.Store, k *personnel.Kind) *value.Array {
	t.Helper()
	fields := value.NewArray(len(k.Fields))
	for i := range k.Fields {
		if f := &k.Fields[i]; writable(f) {
			fields.Set(f.SentAs(), validValue(t, s, k, f))
		}
	}
	return fields
}

func writable(f *personnel.Field) bool { return !f.ReadOnly && !f.Hidden }

// made are the kinds that requests can make resources of.
func made() []*personnel.Kind {
	return slices.DeleteFunc(slices.Clone(personnel.Kinds()), func(k *personnel.Kind) bool { return k.Listed })
}

func validValue(t *testing.T, s *store.Store, k *personnel.Kind, f *personnel.Field) any {
	t.Helper()
	unique := ""
	if f.Unique {
		unique = fmt.Sprint(count(t, s, k.Table))
	}
	switch f.Type {
	case personnel.Integer:
		if f.Name == "model_id" {
			model, _ := k.Field("model_type").Options[0].(string)
			return anyOf(t, s, personnel.ByModel(model))
		}
		return int64(3)
	case personnel.Reference:
		return anyOf(t, s, personnel.ByName(f.Refers))
	case personnel.Boolean:
		return k != &personnel.CustomField || f.Name != "required" // of everything that it applies to
	case personnel.DateTime:
		return "2026-01-01T18:30:00+02:00"
	case personnel.Email:
		return "jane" + unique + "@example.com"
	case personnel.Choice, personnel.Code:
		return f.Options[0]
	case personnel.Strings:
		return value.List(f.Options[1], f.Options[0])
	case personnel.Integers:
		return value.List(int64(12), int64(7))
	case personnel.JSON:
		return value.Map("a", value.List(int64(1), "ü"))
	case personnel.Photo, personnel.File:
		return &personnel.Upload{Name: "photo.png", Path: "1/photo.png", Type: "image/png", Size: 1}
	}
	switch {
	case f.Name == "color":
		return "#16a34a"
	case f.Name == "rules":
		return "string|max:20"
	}
	return "text" + unique
}

// wrongValues are of each sort that a field must refuse.
func wrongValues(f *personnel.Field) map[string]any {
	list, object := value.List(int64(1), "two"), value.Map("key", "value")
	wrong := map[string]any{"list": list, "object": object, "boolean": true, "text": "neither here nor there", "number": int64(77), "fraction": 1.5}
	switch f.Type {
	case personnel.Integer:
		delete(wrong, "number")
		wrong["too large"], wrong["too small"] = int64(1)<<31, -int64(1)<<31-1
		if f.Name == "model_id" {
			wrong["unknown"] = int64(987654)
		}
	case personnel.Reference:
		wrong["unknown"], wrong["zero"], wrong["negative"] = int64(987654), int64(0), int64(-1)
		delete(wrong, "number") // it is the id of something, perhaps
	case personnel.Boolean:
		delete(wrong, "boolean")
		wrong["word"] = "true"
	case personnel.DateTime:
		wrong["no such day"], wrong["year 10000"] = "2026-02-30", "10000-01-01"
	case personnel.Email:
		wrong["no host"], wrong["name"], wrong["too long"] = "jane@", "Jane <jane@example.com>", strings.Repeat("j", 250)+"@example.com"
		wrong["two"], wrong["line break"] = "a@example.com, b@example.com", "a@example.com\n"
	case personnel.Strings:
		wrong["unknown option"], wrong["one of them unknown"] = value.List("smoke"), value.List(f.Options[0], "smoke")
		if f.Required {
			wrong["empty"] = value.List()
		}
	case personnel.Integers:
		wrong["zero"], wrong["too many"] = value.List(int64(0)), tooMany(10001)
	case personnel.JSON:
		return map[string]any{"too long": strings.Repeat("x", 65536)}
	case personnel.Photo:
		wrong["no image"] = &personnel.Upload{Name: "a.svg", Path: "1/a.svg", Type: "image/svg+xml", Size: 1}
		wrong["empty file"], wrong["path"] = &personnel.Upload{Name: "a.png", Path: "1/a.png", Type: "image/png"}, "1/another.png"
	case personnel.File:
		wrong["empty file"], wrong["path"] = &personnel.Upload{Name: "a.pdf", Path: "1/a.pdf", Type: "application/pdf"}, "1/another.pdf"
	case personnel.String:
		delete(wrong, "text")
		wrong["too long"], wrong["NUL"] = strings.Repeat("ü", 256), "a\x00b"
		if f.Required {
			wrong["blank"] = "  "
		}
		if f.Pattern != nil {
			wrong["other form"], wrong["line break"] = "no_such__form", "#16a34a\n"
		}
	case personnel.Text:
		delete(wrong, "text")
		wrong["too long"], wrong["NUL"] = strings.Repeat("ü", 32768), "a\x00b"
		if f.Required {
			wrong["blank"] = " \n "
		}
	}
	if f.Required || !f.Null && f.Default == nil {
		wrong["null"], wrong["empty text"] = nil, ""
	}
	return wrong
}

func tooMany(n int) *value.Array {
	list := value.NewArray(n)
	for range n {
		list.Append(1)
	}
	return list
}

func TestValidation_namesTheWrongField(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for _, k := range made() {
			existing := anyOf(t, s, k)
			fields := validFields(t, s, k)
			before, eventsBefore := jsonText(t, render(t, s, get(t, s, k, existing))), len(events(t, s))
			rows := count(t, s, k.Table)
			for i := range k.Fields {
				f := &k.Fields[i]
				if !writable(f) {
					continue
				}
				for sort, wrong := range wrongValues(f) {
					t.Run(k.Name+"."+f.Name+" "+sort, func(t *testing.T) {
						sent := fields.Clone()
						sent.Set(f.SentAs(), wrong)
						_, err := create(s, storetest.Actor(), k, sent)
						wantProblems(t, err, f.SentAs())
						_, err = change(s, k, existing, value.Map(f.SentAs(), wrong))
						wantProblems(t, err, f.SentAs())
					})
				}
				if f.Required {
					t.Run(k.Name+"."+f.Name+" missing", func(t *testing.T) {
						sent := fields.Clone()
						sent.Delete(f.SentAs())
						_, err := create(s, storetest.Actor(), k, sent)
						wantProblems(t, err, f.SentAs())
					})
				}
				if f.Unique {
					t.Run(k.Name+"."+f.Name+" taken", func(t *testing.T) {
						sent := fields.Clone()
						sent.Set(f.Name, get(t, s, k, existing).Get(f.Name))
						_, err := create(s, storetest.Actor(), k, sent)
						wantProblems(t, err, f.Name)
					})
				}
			}
			if n := count(t, s, k.Table); n != rows {
				t.Errorf("refused requests left %d more rows in %s", n-rows, k.Table)
			}
			if n := len(events(t, s)); n != eventsBefore {
				t.Errorf("refused requests to %s left %d events", k.Name, n-eventsBefore)
			}
			wantText(t, jsonText(t, render(t, s, get(t, s, k, existing))), before)
		}
	})
}

// What may be written is stored, and appears as it was sent.
func TestValidation_acceptsWhatIsRight(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for _, k := range made() {
			t.Run(k.Name, func(t *testing.T) {
				anyOf(t, s, k)
				sent := validFields(t, s, k)
				r, err := create(s, storetest.Actor(), k, sent)
				if err != nil {
					t.Fatal(err)
				}
				data := render(t, s, r)
				for _, f := range k.Fields {
					if !writable(&f) {
						continue
					}
					v, _ := sent.Get(f.SentAs())
					if u, isUpload := v.(*personnel.Upload); isUpload {
						v = u.Path
					}
					want, got := jsonText(t, v), ""
					if shown, found := data.Get(f.Name); found {
						got = jsonText(t, shown)
					}
					switch f.Type {
					case personnel.DateTime:
						want = `"2026-01-01T16:30:00.000000Z"`
						if k == &personnel.CalendarEvent && (f.Name == "starts" || f.Name == "ends") { // all day
							want = `"2026-01-01T00:00:00.000000Z"`
						}
					}
					if got != want {
						t.Errorf("%s is %s, want %s", f.Name, got, want)
					}
				}
			})
		}
	})
}

// Fields that may not be written are left alone, as unknown ones are.
func TestValidation_ignoresWhatIsNotWritable(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for _, k := range made() {
			t.Run(k.Name, func(t *testing.T) {
				anyOf(t, s, k)
				sent := validFields(t, s, k)
				for i := range k.Fields {
					if f := &k.Fields[i]; !writable(f) {
						sent.Set(f.Name, "smuggled")
					}
				}
				sent.Set("organization_id", int64(2))
				sent.Set("data", "smuggled")
				r, err := create(s, storetest.Actor(), k, sent)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range k.Fields {
					if r.Get(f.Name) == "smuggled" {
						t.Errorf("%s was written", f.Name)
					}
				}
				if r.Custom.Len() != 0 {
					t.Errorf("custom fields are %q", r.Custom.Keys())
				}
				get(t, s, k, r.ID())
			})
		}
	})
}

func TestValidation_reportsEverythingInTheOrderOfTheFields(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane := user(t, s, "Jane Roe").ID()
		john := user(t, s, "John Doe").ID()
		_, err := create(s, storetest.Actor(), &personnel.User, value.Map("notes", 5, "rank_id", 77, "approved", "maybe"))
		wantProblems(t, err, "name", "email", "rank_id", "approved", "notes")
		_, err = change(s, &personnel.User, john, value.Map("last_seen_at", "soon", "unit_id", 77, "email", "jane.roe@example.com", "name", nil))
		wantProblems(t, err, "name", "email", "unit_id", "last_seen_at")
		if want := "The name field is required. (and 3 more errors)"; err.Error() != want {
			t.Errorf("error is %q, want %q", err, want)
		}
		form := storetest.Create(t, s, &personnel.Form, "name", "Leave", "slug", "leave", "is_public", false).ID()
		reason := storetest.Create(t, s, &personnel.CustomField, "name", "Reason", "key", "reason", "type", "text", "required", true).ID()
		days := storetest.Create(t, s, &personnel.CustomField, "name", "Days", "key", "days", "type", "number", "rules", "integer|between:1,30").ID()
		link(t, s, &personnel.Form, form, reason, days)
		_, err = create(s, storetest.Actor(), &personnel.Submission, value.Map("form_id", form, "user_id", 77, "days", 31))
		wantProblems(t, err, "user_id", "reason", "days")
		if problems := err.(*bugle.InvalidError).Problems; problems[2].Reason != "The days field must be from 1 to 30, not 31." {
			t.Errorf("the reason is %q", problems[2].Reason)
		}
		if _, err := create(s, storetest.Actor(), &personnel.Submission, value.Map("form_id", form, "user_id", jane, "days", "30", "reason", "?", "unknown", 1)); err != nil {
			t.Error(err)
		}
	})
}

// A user's own address may be sent back to him, in PERSCOM it may not.
func TestValidation_ownUniqueValueIsNotTaken(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		jane := user(t, s, "Jane Roe").ID()
		if _, err := change(s, &personnel.User, jane, value.Map("email", "jane.roe@example.com", "name", "Jane Doe")); err != nil {
			t.Error(err)
		}
	})
}

// An address is the same in either case, as in PERSCOM's database.
func TestValidation_emailIsTakenInEitherCase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		user(t, s, "Jane Roe")
		_, err := create(s, storetest.Actor(), &personnel.User, value.Map("name", "Jane", "email", "Jane.Roe@Example.com"))
		wantProblems(t, err, "email")
	})
}

func TestSubmission_answersChangeOneByOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		addReferences(t, s)
		id := storetest.Create(t, s, &personnel.Submission, "form_id", 3, "user_id", 1, "reason", "Leave", "start_date", "2026-02-01").ID()
		list := eventsOf(t, s, func() { storetest.Update(t, s, &personnel.Submission, id, "start_date", "2026-03-01") })
		wantChanges(t, list, `{"data":"{\"reason\":\"Leave\",\"start_date\":\"2026-03-01\"}","updated_at":"2026-01-14 12:00:00"}`)
		storetest.Update(t, s, &personnel.Submission, id, "reason", nil)
		if got := attribute(t, s, &personnel.Submission, id, "reason"); got != nil {
			t.Errorf("reason is %v once it is null", got)
		}
		_, err := change(s, &personnel.Submission, id, value.Map("start_date", "soon"))
		wantProblems(t, err, "start_date")
	})
}
