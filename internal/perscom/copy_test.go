package perscom_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/perscom"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// perscomWait is longer than any wait that a source may ask for.
const perscomWait = time.Hour

// What a row refers to has to be copied before it.
func TestCopy_orderOfKinds(t *testing.T) {
	before := map[string]bool{}
	for _, k := range personnel.Kinds() {
		for _, f := range k.Fields {
			if f.Type == personnel.Reference && !before[f.Refers] {
				t.Errorf("%s.%s refers to %s, which comes later", k.Name, f.Name, f.Refers)
			}
		}
		before[k.Name] = true
	}
}

func TestCopy_listsAreIdentical(t *testing.T) {
	from, to := filled(t), install(t)
	result := mustCopy(t, copier(t, from, to))
	if !result.KeptIDs || !result.Complete() {
		t.Errorf("kept ids %v, complete %v, want both", result.KeptIDs, result.Complete())
	}
	wantSame(t, to.lists(), from.lists())
	for _, k := range personnel.Kinds() {
		if got, want := to.count(k.Table), from.count(k.Table); got != want {
			t.Errorf("there are %d rows in %s, want %d", got, k.Table, want)
		}
	}
	for _, k := range personnel.Kinds() {
		for _, rel := range k.Relations {
			if rel.Pivot == nil || rel.Pivot.ReadOnly {
				continue
			}
			if got, want := to.count(rel.Pivot.Table), from.count(rel.Pivot.Table); got != want || got < 3 {
				t.Errorf("there are %d rows in %s, want %d", got, rel.Pivot.Table, want)
			}
		}
	}
	for _, table := range []string{"events", "deliveries"} {
		if n := to.count(table); n != 0 {
			t.Errorf("there are %d rows in %s, want none", n, table)
		}
	}
	if n := to.count("users WHERE password IS NOT NULL"); n != 0 {
		t.Errorf("%d users have a password", n)
	}
}

// Files have random names: a copy has the same content under another.
func TestCopy_filesAreThere(t *testing.T) {
	from, to := filled(t), install(t)
	mustCopy(t, copier(t, from, to))
	fetch := func(i *installation, address string) string {
		t.Helper()
		answer, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK || !strings.HasPrefix(address, i.url) {
			t.Fatalf("%s: %d, %v", address, answer.StatusCode, err)
		}
		return string(body)
	}
	n := 0
	for _, in := range []struct{ path, key string }{
		{"images", "image_url"}, {"attachments", "attachment_url"}, {"users", "profile_photo_url"}, {"users", "cover_photo_url"},
		{"submissions", "citation_one_url"}, {"rank-records", "citation_one_url"},
	} {
		_, theirs := from.get("GET", "/v2/"+in.path, "")
		_, ours := to.get("GET", "/v2/"+in.path, "")
		for key, item := range theirs.All() {
			address, _ := item.(*value.Array).Get(in.key)
			text, _ := address.(string)
			if !strings.Contains(text, files.Prefix) {
				continue
			}
			other, _ := ours.Get(key.String())
			copied, _ := other.(*value.Array).Get(in.key)
			if got, want := fetch(to, copied.(string)), fetch(from, text); got != want {
				t.Errorf("%s of %s is %q, want %q", in.key, in.path, got, want)
			}
			n++
		}
	}
	if n < 12 {
		t.Errorf("%d files were compared, want all", n)
	}
}

// What is there already stays, and what is copied gets new ids: everything that refers to it follows.
func TestCopy_intoAnOrganizationWithRows(t *testing.T) {
	from, to := filled(t), install(t)
	to.fill("own")
	to.exec("UPDATE organizations SET display_name_format = '{rank.abbreviation} {name}'")
	own := to.idsOfAll(nil)
	before := to.ownLists(own)
	result := mustCopy(t, copier(t, from, to))
	if result.KeptIDs {
		t.Error("ids were kept, although some were taken")
	}
	after := to.idsOfAll(own)
	theirs := from.idsOfAll(nil)
	for _, k := range personnel.Kinds() {
		if len(after[k.Name]) != len(theirs[k.Name]) {
			t.Fatalf("%d %s were copied, want %d", len(after[k.Name]), k.Name, len(theirs[k.Name]))
		}
	}
	wantSame(t, to.namedLists(after), from.namedLists(theirs))
	now := to.ownLists(own)
	for what, text := range before {
		if got := now[what]; got != text {
			t.Errorf("%s has changed:\n     %s\nwant %s", what, got, text)
		}
	}
	name, _ := to.get("GET", "/v2/settings", "")
	if !strings.Contains(name, "My Organization") {
		t.Errorf("the settings are %s, want those from before", name)
	}
}

// Rows of another organization may have the ids: those rows get new ones, the others keep theirs.
func TestCopy_besideAnotherOrganization(t *testing.T) {
	from, to := filled(t), install(t)
	to.exec("INSERT INTO organizations (name, created_us) VALUES ('2nd', 1)")
	to.exec("INSERT INTO users (id, organization_id, name, email) VALUES (5, 2, 'Jane Roe', 'jane@example.com')")
	to.exec("INSERT INTO ranks (id, organization_id, name) VALUES (3, 2, 'Sergeant')")
	if result := mustCopy(t, copier(t, from, to)); !result.KeptIDs {
		t.Error("ids were not kept, although most were free")
	}
	for _, test := range []struct {
		query string
		want  []int64
	}{
		{"SELECT id FROM users WHERE organization_id = 1 ORDER BY email", []int64{3, 10, 9}},
		{"SELECT id FROM ranks WHERE organization_id = 1 ORDER BY name", []int64{4, 5, 9}},
		{"SELECT id FROM units WHERE organization_id = 1 ORDER BY name", written},
		{"SELECT user_id FROM rank_records ORDER BY id LIMIT 2", []int64{10, 9}},
		{"SELECT rank_id FROM users WHERE organization_id = 1 ORDER BY email LIMIT 2", []int64{5, 9}},
		{"SELECT model_id FROM images WHERE model_type LIKE '%Rank'", []int64{4}},
		{"SELECT user_id FROM user_fields ORDER BY id", []int64{3, 3, 10, 10, 9}},
		{"SELECT value FROM messages, json_each(recipients) WHERE messages.id = 3", []int64{3, 9}},
		{"SELECT json_extract(data, '$.leader_one[1]') FROM submissions WHERE id = 5", []int64{10}},
	} {
		if got := to.ids(test.query); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.query, got, test.want)
		}
	}
}

// An import that broke off goes on, however often: nothing comes twice, and in the end all is there.
func TestCopy_resumes(t *testing.T) {
	from, to := filled(t), install(t)
	copying := copier(t, from, to)
	left := 0
	from.before = func(w http.ResponseWriter, _ *http.Request) bool {
		left--
		if left < 0 {
			http.Error(w, `{"error":{"message":"Out of order."}}`, http.StatusInternalServerError)
		}
		return left < 0
	}
	broken := 0
	for n := 3; ; n += 11 {
		left = n
		result, err := copying.Run(t.Context())
		if err == nil && result.Complete() {
			break
		}
		if err != nil && (!strings.Contains(err.Error(), "500") || !strings.Contains(err.Error(), "Out of order.")) {
			t.Fatal(err)
		}
		broken++
	}
	if broken < 5 {
		t.Errorf("the import broke off %d times, want more", broken)
	}
	from.before = nil
	lists := from.lists()
	wantSame(t, to.lists(), lists)
	for _, k := range personnel.Kinds() {
		if got, want := to.count(k.Table), from.count(k.Table); got != want {
			t.Errorf("there are %d rows in %s, want %d", got, k.Table, want)
		}
	}
	result := mustCopy(t, copying)
	for _, n := range result.Counts {
		if n.Imported != 0 || n.NotCopied != 0 {
			t.Errorf("another import: %+v, want all skipped", n)
		}
	}
	wantSame(t, to.lists(), lists)
}

// What a run is interrupted in the middle of is finished.
func TestCopy_stopsBetweenBatches(t *testing.T) {
	from, to := filled(t), install(t)
	ctx, stop := context.WithCancel(t.Context())
	copying := copier(t, from, to)
	copying.Progress = func(p perscom.Progress) {
		if p.Name == "users" && p.Over {
			stop()
		}
	}
	result, err := copying.Run(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the error is %v", err)
	}
	if n := result.Counts[len(result.Counts)-1]; n.Name != "users" || n.Imported != 3 {
		t.Errorf("the last of the result is %+v", n)
	}
	copying.Progress = nil
	mustCopy(t, copying)
	for _, k := range personnel.Kinds() {
		if got, want := to.count(k.Table), from.count(k.Table); got != want {
			t.Errorf("there are %d rows in %s, want %d", got, k.Table, want)
		}
	}
}

func TestCopy_notify(t *testing.T) {
	from, to := filled(t), install(t)
	hook := storetest.AddWebhook(t, to.store, "https://hooks.example.com", nil)
	copying := copier(t, from, to)
	copying.Notify = true
	mustCopy(t, copying)
	emitting := 0
	for _, k := range personnel.Kinds() {
		if !k.Emits {
			continue
		}
		emitting++
		if n := to.count("events WHERE name = '" + k.Name + ".created'"); n != 3 {
			t.Errorf("there are %d events %s.created, want 3", n, k.Name)
		}
	}
	if n := to.count("events"); n != int64(3*emitting) {
		t.Errorf("there are %d events, want only created ones", n)
	}
	if n := to.count(fmt.Sprintf("deliveries WHERE webhook_id = %d AND state = 0", hook.ID)); n != int64(3*emitting) {
		t.Errorf("there are %d deliveries, want %d", n, 3*emitting)
	}
	// The envelope is that of a row as it stands, with the relations of any created event.
	if n := to.count(`events WHERE name = 'message.created' AND CAST(envelope AS TEXT) LIKE '%"schedule":{"id":5%'`); n != 1 {
		t.Errorf("%d of the messages' events have the schedule, want 1", n)
	}
	if n := to.count(`events WHERE CAST(envelope AS TEXT) NOT LIKE '%"changes":[]%'`); n != 0 {
		t.Errorf("%d events have changes", n)
	}
}

func TestCopy_wrongKey(t *testing.T) {
	from, to := filled(t), install(t)
	from.key = "wrong-key"
	copying := copier(t, from, to)
	if err := copying.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "does not accept the key") || strings.Contains(err.Error(), from.key) {
		t.Errorf("the check says %v", err)
	}
	if _, err := copying.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("the import says %v", err)
	}
	for _, table := range []string{"imports", "import_ids", "users"} {
		if n := to.count(table); n != 0 {
			t.Errorf("there are %d rows in %s", n, table)
		}
	}
}

// A key that may not read everything copies what it may.
func TestCopy_keyWithFewScopes(t *testing.T) {
	from, to := filled(t), install(t)
	from.key = from.addKey("view:rank", "view:user")
	result, err := copier(t, from, to).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if to.count("ranks") != 3 || to.count("users") != 3 || to.count("units") != 0 {
		t.Error("the copy does not have the ranks and users alone")
	}
	text := fmt.Sprint(result.Problems)
	for _, part := range []string{"units: the key may not read them", "users 3, unit_id: there is no unit 5"} {
		if !strings.Contains(text, part) {
			t.Errorf("the problems do not say %q: %s", part, text)
		}
	}
}

// Files that cannot be fetched are reported; what can be without one is copied without.
func TestCopy_filesThatAreGone(t *testing.T) {
	from, to := filled(t), install(t)
	from.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, files.Prefix) {
			http.NotFound(w, r)
			return true
		}
		return false
	}
	copying := copier(t, from, to)
	result, err := copying.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if to.count("images") != 0 || to.count("attachments") != 0 || to.count("users WHERE profile_photo IS NULL") != 3 {
		t.Error("rows have files that are not there")
	}
	text := fmt.Sprint(result.Problems)
	for _, part := range []string{"images 3, path: the file cannot be fetched", "users 3, profile_photo: ", "submissions 3, citation_one: ", "404 Not Found"} {
		if !strings.Contains(text, part) {
			t.Errorf("the problems do not say %q: %s", part, text)
		}
	}
	from.before = nil
	mustCopy(t, copying)
	if to.count("images") != 3 || to.count("attachments") != 3 {
		t.Error("a later import did not bring the images and attachments")
	}
}

// Pages that overlap, because rows come and go meanwhile, cost neither rows nor make any come twice.
func TestCopy_pagesThatShift(t *testing.T) {
	from, to := install(t), install(t)
	for n := range 250 {
		from.exec("INSERT INTO ranks (organization_id, name, \"order\") VALUES (1, ?, 1)", fmt.Sprint("Rank ", n))
	}
	from.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/ranks" && r.URL.Query().Get("page") == "2" {
			from.exec("UPDATE ranks SET \"order\" = 0 WHERE id > 245") // to the front: others move to later pages
			from.exec("UPDATE ranks SET \"order\" = 2 WHERE id < 20")
		}
		return false
	}
	mustCopy(t, copier(t, from, to))
	if n := to.count("ranks"); n != 250 {
		t.Errorf("there are %d ranks, want 250", n)
	}
}

// Namesakes in the newsfeed are told apart by the records that it tells of.
func TestCopy_newsfeedOfNamesakes(t *testing.T) {
	from, to := install(t), install(t)
	for n, email := range []string{"a@example.com", "b@example.com"} {
		storetest.Create(t, from.store, &personnel.User, "name", "Jane Roe", "email", email)
		storetest.Create(t, from.store, &personnel.ServiceRecord, "user_id", int64(n+1), "text", fmt.Sprint("<p>Joined as ", n, "</p>"))
	}
	mustCopy(t, copier(t, from, to))
	if got := to.ids("SELECT recipient_id FROM newsfeed ORDER BY id"); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("the newsfeed tells of %v, want 1 and 2", got)
	}
}

// A person who is there already, by the address, is not made once more: the records are his.
func TestCopy_samePerson(t *testing.T) {
	from, to := install(t), install(t)
	storetest.Create(t, from.store, &personnel.User, "name", "Jane Roe", "email", "jane@example.com")
	storetest.Create(t, from.store, &personnel.ServiceRecord, "user_id", int64(1), "text", "<p>Joined.</p>")
	storetest.Create(t, to.store, &personnel.User, "name", "Alex Carter", "email", "alex@example.com")
	storetest.Create(t, to.store, &personnel.User, "name", "Jane Roe-Doe", "email", "Jane@Example.com")
	mustCopy(t, copier(t, from, to))
	if got := to.ids("SELECT user_id FROM service_records"); !slices.Equal(got, []int64{2}) || to.count("users") != 2 {
		t.Errorf("the record is of %v, and there are %d users", got, to.count("users"))
	}
}
