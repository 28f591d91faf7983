package perscom_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/api"
	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/perscom"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// An installation is a server of the API on the loopback interface, with all that it keeps.
type installation struct {
	testing.TB
	store  *store.Store
	db     *sql.DB // the same database, for what no request can write
	files  *files.Folder
	url    string
	key    string
	before func(w http.ResponseWriter, r *http.Request) (answered bool) // if set, sees every request first
	asked  int                                                          // requests so far
}

// install returns one without rows.
func install(t testing.TB) *installation { return installed(t, empty) }

// filled returns one with rows of everything.
func filled(t testing.TB) *installation { return installed(t, full) }

// empty and full are folders of such installations, made once: with the race detector that takes longer
// than most tests.
var (
	empty = sync.OnceValue(func() string {
		dir := filepath.Join(templates, "empty")
		s, err := store.Open(context.Background(), "sqlite:"+filepath.Join(dir, "bugle.db"), store.Options{})
		if err == nil {
			_, err = s.EnsureOrganization(context.Background(), "My Organization")
			err = errors.Join(err, s.Close())
		}
		if err != nil {
			panic(err)
		}
		return dir
	})
	full = sync.OnceValue(func() string {
		dir := filepath.Join(templates, "full")
		if err := os.CopyFS(dir, os.DirFS(empty())); err != nil {
			panic(err)
		}
		i := &installation{}
		i.open(dir)
		i.fill("one")
		i.exec("UPDATE organizations SET name = '1st Test Battalion', display_name_format = '{rank.abbreviation} {name}'")
		if err := errors.Join(i.db.Close(), i.files.Close()); err != nil {
			panic(err)
		}
		return dir
	})
	templates string // a folder of this run
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "perscom-")
	if err != nil {
		panic(err)
	}
	templates = dir
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// open opens the files of a folder.
func (i *installation) open(dir string) {
	var err error
	if i.files, err = files.Open(filepath.Join(dir, "storage")); err != nil {
		panic(err)
	}
	// What is written here need not outlive the machine.
	if i.db, err = sql.Open("sqlite", "file:"+filepath.Join(dir, "bugle.db")+"?_pragma=busy_timeout(10000)&_pragma=synchronous(off)"); err != nil {
		panic(err)
	}
}

func installed(t testing.TB, template func() string) *installation {
	t.Helper()
	i := &installation{TB: t}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(template())); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	i.url = "http://" + server.Listener.Addr().String()
	clock := clockwork.NewFakeClockAt(storetest.Start)
	i.store = storetest.Open(t, "sqlite:"+filepath.Join(dir, "bugle.db"), store.Options{Clock: clock, BaseURL: i.url})
	i.open(dir)
	t.Cleanup(func() { i.files.Close() })
	t.Cleanup(func() { i.db.Close() })
	handler := api.New(i.store, api.Options{Clock: clock, Files: i.files})
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.asked++
		if i.before == nil || !i.before(w, r) {
			handler.ServeHTTP(w, r)
		}
	})
	server.Start()
	t.Cleanup(server.Close)
	i.key = i.addKey("*")
	return i
}

func (i *installation) addKey(scopes ...string) (text string) {
	storetest.Change(i, i.store, func(tx *store.Tx) (err error) {
		text, err = tx.AddKey(&bugle.APIKey{OrganizationID: 1, Scopes: scopes})
		return err
	})
	return text
}

// exec panics if it fails, because no test may be running yet.
func (i *installation) exec(query string, args ...any) {
	if _, err := i.db.Exec(query, args...); err != nil {
		panic(fmt.Sprintf("%s %v: %v", query, args, err))
	}
}

// ids returns what a query of one column of numbers finds.
func (i *installation) ids(query string, args ...any) []int64 {
	i.Helper()
	rows, err := i.db.Query(query, args...)
	if err != nil {
		i.Fatal(err)
	}
	defer rows.Close()
	var list []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			i.Fatal(err)
		}
		list = append(list, id)
	}
	return list
}

func (i *installation) count(table string) int64 {
	i.Helper()
	return i.ids("SELECT COUNT(*) FROM " + table)[0]
}

// get returns the data of an answer, as bytes, and as it is decoded.
func (i *installation) get(method, path, body string) (string, *value.Array) {
	i.Helper()
	r, err := http.NewRequest(method, i.url+path, strings.NewReader(body))
	if err != nil {
		i.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+i.key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		i.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		i.Fatalf("%s %s: %d %v: %s", method, path, answer.StatusCode, err, text)
	}
	decoded, err := value.Decode(text)
	if err != nil {
		i.Fatal(err)
	}
	data, _ := decoded.(*value.Array).Get("data")
	list := data.(*value.Array)
	text, err = value.JSON(list)
	if err != nil {
		i.Fatal(err)
	}
	return string(text), list
}

// written are the ids of the rows that fill writes of each kind.
var written = []int64{3, 5, 9}

// picture is a small PNG.
var picture = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde")

// fill writes rows of every kind with every column, links in every pivot, custom fields and files. The
// word makes values differ that may not be the same.
func (i *installation) fill(word string) {
	for _, k := range personnel.Kinds() {
		for n, id := range written {
			names, args := []string{"organization_id"}, []any{1}
			for f := range k.Fields {
				field := &k.Fields[f]
				v := i.fieldValue(k, field, n, word)
				names, args = append(names, `"`+field.Name+`"`), append(args, v)
			}
			args[1] = id
			if k.Custom {
				names, args = append(names, "data"), append(args, i.customValue(n, word))
			}
			i.exec("INSERT INTO "+k.Table+" ("+strings.Join(names, ", ")+") VALUES (?"+strings.Repeat(", ?", len(args)-1)+")", args...)
		}
	}
	done := map[string]bool{}
	for _, k := range personnel.Kinds() {
		done[k.Table] = true
	}
	for _, k := range personnel.Kinds() {
		for _, rel := range k.Relations {
			if rel.Pivot == nil || rel.Pivot.ReadOnly || done[rel.Pivot.Table] {
				continue
			}
			done[rel.Pivot.Table] = true
			pairs := [][2]int64{{3, 3}, {3, 5}, {5, 5}, {5, 9}, {9, 9}}
			if rel.Pivot.Repeats {
				pairs = slices.Insert(pairs, 1, pairs[0])
			}
			for n, pair := range pairs {
				names, args := []string{"organization_id", rel.Pivot.Local, rel.Pivot.Foreign}, []any{1, pair[0], pair[1]}
				for f := range rel.Pivot.Fields {
					field := &rel.Pivot.Fields[f]
					names, args = append(names, `"`+field.Name+`"`), append(args, i.fieldValue(k, field, n%3, word))
				}
				at := fmt.Sprintf("2026-01-%02d 08:00:00", n+1)
				if !slices.Contains(rel.Pivot.Shown, "created_at") { // no list tells it
					at = i.fieldValue(k, k.Field("created_at"), slices.Index(written, pair[0]), word).(string)
				}
				names, args = append(names, "created_at", "updated_at"), append(args, at, at)
				i.exec("INSERT INTO "+rel.Pivot.Table+" ("+strings.Join(names, ", ")+") VALUES (?"+strings.Repeat(", ?", len(args)-1)+")", args...)
			}
		}
	}
}

// fieldValue is what the nth row holds, as stored. The last one has null where it may.
func (i *installation) fieldValue(k *personnel.Kind, f *personnel.Field, n int, word string) any {
	switch {
	case k == &personnel.Schedule && f.Name == "event_id":
		return []any{written[0], nil, written[1]}[n]
	case k == &personnel.Schedule && f.Name == "message_id":
		return []any{nil, written[0], nil}[n]
	case k == &personnel.UnitSlot && f.Type == personnel.Reference:
		return written[(n+len(f.Name))%3] // so that some are in use and others not
	case k == &personnel.NewsfeedItem && f.Name == "type":
		return []any{"rankrecord", "awardrecord", "combatrecord"}[n]
	case k == &personnel.CustomField && f.Name == "key":
		return []any{"points_" + word, "citation_" + word, "leader_" + word}[n]
	case k == &personnel.CustomField && f.Name == "type":
		return []any{"number", "file", "select"}[n]
	case k == &personnel.CustomField && f.Name == "options_type":
		return []any{"array", "array", "model"}[n]
	case k == &personnel.CustomField && f.Name == "options_model":
		return []any{nil, nil, "users"}[n]
	case f.Type == personnel.Email:
		return word + strconv.Itoa(n) + "@example.com"
	case f.Null && n == 2 && f.Name != "created_at" && f.Name != "path":
		return nil
	}
	text := fmt.Sprintf("%s %s \u00e9/%d %s", k.Name, f.Name, n, word)
	switch f.Type {
	case personnel.Integer:
		if f.Name == "model_id" {
			return written[n]
		}
		return int64(10*n + 1)
	case personnel.Reference:
		return written[(n+1)%3]
	case personnel.Boolean:
		return n == 1
	case personnel.DateTime, personnel.RawTime:
		return fmt.Sprintf("2026-01-%02d 12:00:00", n+len(f.Name))
	case personnel.Choice:
		return f.Options[n%len(f.Options)]
	case personnel.Code:
		return f.Options[n%len(f.Options)]
	case personnel.Strings:
		return `["` + f.Options[n%len(f.Options)].(string) + `"]`
	case personnel.Integers:
		return `[3,9]`
	case personnel.JSON:
		return `{"a":[1,2.5,{"b":null}]}`
	case personnel.Photo, personnel.File:
		return i.put(append(slices.Clone(picture), text...))
	}
	return text
}

func (i *installation) put(content []byte) string {
	u, err := i.files.Put(1, "picture.png", bytes.NewReader(content), 1<<20)
	if err != nil {
		panic(err)
	}
	return u.Path
}

func (i *installation) customValue(n int, word string) any {
	switch n {
	case 0:
		return fmt.Sprintf(`{"zeta":[1,"two"],"points_%s":7,"citation_%s":%q,"leader_%s":9,"nothing":null}`, word, word, i.put(append(slices.Clone(picture), "citation"...)), word)
	case 1:
		return fmt.Sprintf(`{"leader_%s":["3","5"],"mail":"not@a.file","points_%s":1.5}`, word, word)
	}
	return nil
}

// copier copies from one installation to another, with a clock that never keeps it waiting.
func copier(t testing.TB, from, to *installation) *perscom.Copy {
	t.Helper()
	clock := clockwork.NewFakeClockAt(storetest.Start)
	go func() {
		for clock.BlockUntilContext(t.Context(), 1) == nil {
			clock.Advance(perscomWait)
		}
	}()
	client, err := perscom.New(from.url, perscom.Options{Key: from.key, UserAgent: "Bugle/test", Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &perscom.Copy{Source: client, Store: to.store, Files: to.files, OrganizationID: 1}
}

// mustCopy copies all.
func mustCopy(t testing.TB, c *perscom.Copy) *perscom.Result {
	t.Helper()
	result, err := c.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range result.Problems {
		t.Errorf("not copied: %s", p)
	}
	return result
}

var (
	fileFolder = regexp.MustCompile(`[0-9]+\\/([A-Za-z0-9]{32}\.png)`)
	filePath   = regexp.MustCompile(`[0-9]+\\/[A-Za-z0-9]{32}\.png`)
	stamps     = regexp.MustCompile(`"(created|updated)_at":"[^"]*"`)
)

// lists returns everything that the API lists, by what is asked, with addresses and the folders of files
// made equal.
func (i *installation) lists() map[string]string {
	i.Helper()
	all := map[string]string{}
	ask := func(method, path, body string) *value.Array {
		text, list := i.get(method, path, body)
		text = strings.ReplaceAll(text, strings.ReplaceAll(i.url, "/", `\/`), "HOST")
		text = fileFolder.ReplaceAllString(text, `FOLDER\/$1`)
		if strings.HasPrefix(path, "/v2/settings") {
			text = stamps.ReplaceAllString(text, "")
		}
		all[method+" "+path+" "+body] = text
		return list
	}
	for _, k := range personnel.Kinds() {
		if k.Path == "" {
			continue
		}
		path := "/v2/" + k.Path
		query := "?limit=1000&include=" + strings.Join(k.Includes, ",")
		rows := []*value.Array{ask("GET", path+query, "")}
		if k.Hiding != nil {
			rows = append(rows, ask("POST", path+"/search"+query, `{"scopes":[{"name":"`+k.Hiding.Hidden+`"}]}`))
		}
		for _, nested := range k.Nested {
			rel := k.Relation(nested.Relation)
			if !rel.IsMany() {
				continue
			}
			for _, list := range rows {
				for _, item := range list.All() {
					id, _ := item.(*value.Array).Get("id")
					below := fmt.Sprintf("%s/%d/%s", path, id, nested.Path)
					ask("GET", below+"?limit=1000", "")
					if hiding := personnel.ByName(rel.Kind).Hiding; hiding != nil {
						ask("POST", below+"/search", `{"scopes":[{"name":"`+hiding.Hidden+`"}]}`)
					}
				}
			}
		}
	}
	ask("GET", "/v2/roster?type=automatic", "")
	ask("GET", "/v2/roster?type=manual", "")
	ask("GET", "/v2/settings", "")
	return all
}

// wantSame checks that two installations list the same.
func wantSame(t testing.TB, got, want map[string]string) {
	t.Helper()
	for what, text := range want {
		if got[what] != text {
			from := 0
			for from < len(text) && from < len(got[what]) && text[from] == got[what][from] {
				from++
			}
			part := func(s string) string { return s[min(len(s), max(from-60, 0)):min(len(s), from+100)] }
			t.Errorf("%s differs:\n     %q\nwant %q", what, part(got[what]), part(text))
		}
	}
	if len(got) != len(want) {
		t.Errorf("there are %d lists, want %d", len(got), len(want))
	}
}
