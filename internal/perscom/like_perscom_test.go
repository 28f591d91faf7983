package perscom_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/perscom"
	"github.com/buglehq/bugle/value"
)

// like is a source that answers as PERSCOM does: it has lists of neither fields nor tags, no search of
// rows that it does not hide, and no settings for this key.
var like = map[string]string{
	"me":       `[]`,
	"statuses": `[{"id":4,"name":"Open","color":"#2563eb","icon":null,"order":1,"created_at":"2025-10-01T00:00:00.000000Z","updated_at":null,"label":"Status: 4"}]`,
	"ranks": `[{"id":5,"name":"Sergeant","description":null,"abbreviation":"SGT","paygrade":"E-5","order":5,
		"created_at":"2025-10-01T00:00:00.000000Z","updated_at":"2025-10-01T00:00:00.000000Z","label":"Rank: 5"}]`,
	"units":                  `[{"id":4,"name":"1st Squad","description":null,"order":1,"hidden":false,"icon":null,"empty":null,"label":"Unit: 4"}]`,
	"units hidden":           `[{"id":7,"name":"Reserve","description":null,"order":2,"hidden":true,"icon":null,"empty":null,"label":"Unit: 7"}]`,
	"groups":                 `[{"id":1,"name":"Battalion","order":1,"hidden":false,"label":"Group: 1","units":[{"id":4,"name":"1st Squad","pivot":{"group_id":1,"unit_id":4}}]}]`,
	"groups hidden":          `[]`,
	"groups/1/units hidden":  `[{"id":7,"name":"Reserve","hidden":true,"pivot":{"group_id":1,"unit_id":7}}]`,
	"announcements":          `[]`,
	"announcements disabled": `[{"id":2,"title":"Old","content":"<p>Old.</p>","color":"#16a34a","global":false,"enabled":false,"expires_at":null}]`,
	"users": `[{"id":12,"name":"Jane Roe","email":"jane@example.com","phone_number":null,"rank_id":5,"unit_id":4,"status_id":null,"unit_slot_id":null,
		"approved":true,"last_seen_at":"2026-01-14T11:58:02.000000Z","created_at":"2025-11-02T09:14:10.000000Z","updated_at":"2026-01-14T12:00:00.000000Z",
		"promotion_points":10,"display_name":"SGT Jane Roe","last_rank_change_date":null,"online":true,
		"profile_photo":null,"profile_photo_url":"https://ui-avatars.com/api/?name=J+R","cover_photo_url":null,"label":"User: 12",
		"rank":{"id":5,"name":"Sergeant"},"position":null,
		"fields":[{"id":2,"name":"Points","key":"promotion_points","type":"number","required":false,"pivot":{"user_id":12,"field_id":2,"order":3}}]}]`,
	"users/12/status-records": `[{"id":4,"name":"Open","record":{"user_id":12,"status_id":4,"text":"Second.","created_at":"2026-01-02T00:00:00.000000Z","updated_at":null}},
		{"id":4,"name":"Open","record":{"user_id":12,"status_id":4,"text":"First.","created_at":"2026-01-01T00:00:00.000000Z","updated_at":null}}]`,
	"forms": `[{"id":3,"name":"Leave Request","slug":"leave-request","submission_status_id":4,"is_public":false,"label":"Form: 3",
		"fields":[{"id":1,"name":"Reason","key":"reason","type":"text","required":true,"pivot":{"form_id":3,"field_id":1,"order":2}}],
		"tags":[{"id":8,"name":"HR","created_at":"2025-10-01T00:00:00.000000Z","updated_at":null,"pivot":{"form_id":3,"tag_id":8}}]}]`,
	"submissions": `[{"id":14,"form_id":3,"user_id":12,"read_at":"2026-01-14 12:00:00","created_at":"2026-01-13T08:00:00.000000Z","updated_at":null,
		"reason":"Leave of absence","label":"Submission: 14","form":{"id":3,"name":"Leave Request","created_at":null},
		"statuses":[{"id":4,"name":"Open","record":{"submission_id":14,"status_id":4,"text":null,"created_at":"2026-01-13T08:00:01.000000Z"}}]}]`,
	"tasks": `[{"id":6,"title":"Range day","form_id":null,"label":"Task: 6","users":[{"id":12,"name":"Jane Roe",
		"assignment":{"user_id":12,"task_id":6,"assigned_by_id":12,"assigned_at":"2026-01-01T00:00:00.000000Z","due_at":null,"completed_at":null,"expires_at":null,"status":"assigned"}}]}]`,
	"messages": `[{"id":9,"message":"<p>Welcome!</p>","channels":["database","mail"],"recipients":[12],"repeats":true,"send_at":null,"sent_at":null,
		"label":"Message: 9","schedule":{"id":2,"start":"2026-01-14T12:00:00.000000Z","duration":1,"frequency":"WEEKLY","interval":1,"end_type":"never","by_day":["MO"]}}]`,
	"calendars": `[{"id":2,"name":"Operations","description":null,"color":"#2563eb","label":"Calendar: 2","tags":[]}]`,
	"events": `[{"id":7,"name":"Weekly Operation","calendar_id":2,"url":"http://127.0.0.1/app/events/7","author_id":12,"all_day":false,
		"starts":"2026-02-01T19:00:00.000000Z","ends":"2026-02-01T21:00:00.000000Z","repeats":false,"registration_enabled":true,
		"notifications_interval":["pt1h"],"notifications_channels":"mail","label":"Event: 7","schedule":null,"tags":[]}]`,
	"rank-records": `[{"id":31,"user_id":12,"rank_id":5,"document_id":null,"author_id":99,"text":"<p>Promoted.</p>","type":0,
		"created_at":"2026-01-14T12:00:00.000000Z","updated_at":null,"citation":"For merit","document_parsed":null,"label":"Rank Record: 31","document":null}]`,
	"newsfeed": `[{"id":1,"author":null,"recipient":"SGT Jane Roe","recipient_profile_photo":"https://ui-avatars.com/api/?name=J+R","description":"x",
		"event":"created","type":"rank","headline":"y","text":"<p>Promoted.</p>","item":"Sergeant","color":"#ca8a04",
		"likes":[{"id":12,"name":"Jane Roe","pivot":{}}],"created_at":"2026-01-14T12:00:00.000000Z"}]`,
}

func TestCopy_fromPERSCOM(t *testing.T) {
	var unasked []string
	for path := range like {
		unasked = append(unasked, path)
	}
	from, _ := source(t, func(w http.ResponseWriter, r *http.Request, _ int64) {
		path := strings.TrimPrefix(r.URL.Path, "/v2/")
		if search, ok := strings.CutSuffix(path, "/search"); ok {
			path = search + " hidden"
			if search == "announcements" {
				path = search + " disabled"
			}
		}
		unasked = slices.DeleteFunc(unasked, func(p string) bool { return p == path })
		data, ok := like[path]
		switch {
		case path == "settings":
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"error":{"message":"Forbidden."}}`)
		case ok && r.URL.Query().Get("page") == "1":
			fmt.Fprintf(w, `{"data":%s,"meta":{"current_page":1,"total":%d}}`, data, total(data))
		case ok:
			t.Errorf("it asks for %s", r.URL)
		case strings.HasSuffix(path, " hidden"):
			w.WriteHeader(http.StatusUnprocessableEntity)
		case path == "fields" || path == "tags":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"message":"Not found."}}`)
		default:
			fmt.Fprint(w, `{"data":[],"meta":{"total":0}}`)
		}
	})
	to := install(t)
	client, err := perscom.New(from, perscom.Options{Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	copying := &perscom.Copy{Source: client, Store: to.store, Files: to.files, OrganizationID: 1}
	if err := copying.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	result, err := copying.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(unasked) > 0 {
		t.Errorf("nobody asked for %q", unasked)
	}
	var problems []string
	for _, p := range result.Problems {
		problems = append(problems, p.String())
	}
	slices.Sort(problems)
	if want := []string{
		"rank-records 31, author_id: there is no user 99",
	}; !slices.Equal(problems, want) {
		t.Errorf("the problems are %q, want %q", problems, want)
	}
	for path, parts := range map[string][]string{
		"fields":                       {`"id":1,"name":"Reason","key":"reason"`, `"id":2,"name":"Points"`},
		"tags":                         {`{"id":8,"name":"HR","created_at":"2025-10-01T00:00:00.000000Z"`},
		"forms/3/fields":               {`"order":2}`},
		"forms/3/tags":                 {`"HR"`},
		"users/12/fields":              {`"order":3}`},
		"users":                        {`"last_seen_at":"2026-01-14T11:58:02.000000Z"`, `"promotion_points":10,"display_name"`},
		"users/12/tasks":               {`"assigned_by_id":12,"assigned_at":"2026-01-01T00:00:00.000000Z"`},
		"submissions?include=statuses": {`"read_at":"2026-01-14 12:00:00"`, `"reason":"Leave of absence"`, `"created_at":"2026-01-13T08:00:01.000000Z"`},
		"messages?include=schedule":    {`"schedule":{"id":2,"start":"2026-01-14T12:00:00.000000Z"`, `"by_day":["MO"]`, `"repeats":true`},
		"events":                       {`"url":"` + strings.ReplaceAll(to.url, "/", `\/`) + `\/events\/7"`, `"notifications_channels":["mail"]`},
		"rank-records":                 {`"author_id":null`, `"citation":"For merit"`},
		"newsfeed":                     {`"recipient":"Jane Roe"`, `"type":"rankrecord"`, `"likes":[{"id":12`},
		"users/12/status-records":      {`"text":"First."`, `"text":"Second."`},
		"groups?include=units":         {`"units":[{"id":4`},
	} {
		text, _ := to.get("GET", "/v2/"+path, "")
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s does not have %s: %s", path, part, text)
			}
		}
	}
	if text, _ := to.get("POST", "/v2/groups/1/units/search", `{"scopes":[{"name":"hidden"}]}`); !strings.Contains(text, `"name":"Reserve"`) {
		t.Errorf("the hidden unit is not in its group: %s", text)
	}
	if text, _ := to.get("POST", "/v2/announcements/search", `{"scopes":[{"name":"disabled"}]}`); !strings.Contains(text, `"title":"Old"`) {
		t.Errorf("the disabled announcement is not there: %s", text)
	}
	notes := strings.Join(result.Notes, "\n")
	for _, part := range []string{"Webhooks, automations, API keys", "The settings cannot be read", "The source has no list of fields", "The source does not list those slots that are hidden."} {
		if !strings.Contains(notes, part) {
			t.Errorf("the notes do not say %q: %s", part, notes)
		}
	}
}

// total counts the items of a list.
func total(list string) int {
	decoded, err := value.Decode([]byte(list))
	if err != nil {
		panic(err)
	}
	return decoded.(*value.Array).Len()
}
