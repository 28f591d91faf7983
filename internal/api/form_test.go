package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/api"
	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// An uploading server keeps files in a folder that the test can look into.
type uploading struct {
	*server
	dir string
}

func newUploading(t testing.TB, set ...func(*api.Options)) *uploading {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "storage")
	folder, err := files.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	db, clock := storetest.NewWith(t, store.Options{Dropped: func(paths []string) {
		if err := folder.Remove(paths...); err != nil {
			t.Error(err)
		}
	}})
	set = append(set, func(o *api.Options) { o.Files = folder })
	return &uploading{serve(t, db, clock, set...), dir}
}

// stored are the paths of all files that the server keeps.
func (s *uploading) stored() []string {
	s.Helper()
	paths := []string{}
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			path, err = filepath.Rel(s.dir, path)
			paths = append(paths, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return paths
}

// wantStored checks that these files are kept, and no others.
func (s *uploading) wantStored(paths ...any) {
	s.Helper()
	want := []string{}
	for _, path := range paths {
		want = append(want, fmt.Sprint(path))
	}
	slices.Sort(want)
	if got := s.stored(); !slices.Equal(got, want) {
		s.Errorf("stored are %q, want %q", got, want)
	}
}

// A part is a field of a form: text, or a file if it has a name.
type part struct{ field, filename, content string }

// form encodes parts, and returns the body with its type.
func form(parts ...part) (body, media string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		disposition := map[string]string{"name": p.field}
		if p.filename != "" {
			disposition["filename"] = p.filename
		}
		header := textproto.MIMEHeader{}
		header.Set("Content-Disposition", formDisposition(disposition))
		part, err := w.CreatePart(header)
		if err == nil {
			_, err = io.WriteString(part, p.content)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String(), w.FormDataContentType()
}

func formDisposition(params map[string]string) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	text := `form-data; name="` + quoted.Replace(params["name"]) + `"`
	if name, ok := params["filename"]; ok {
		text += `; filename="` + quoted.Replace(name) + `"`
	}
	return text
}

// post sends a form.
func (s *server) post(method, path string, parts ...part) *answer {
	s.Helper()
	body, media := form(parts...)
	return s.send(method, "/"+s.version+"/"+path, body, "Authorization", "Bearer "+s.key, "Content-Type", media)
}

func (s *server) wantPost(status int, method, path string, parts ...part) *answer {
	s.Helper()
	a := s.post(method, path, parts...)
	a.wantStatus(s, status)
	return a
}

var pngFile = func() string {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		panic(err)
	}
	return b.String()
}()

func TestUploads_profilePhoto(t *testing.T) {
	s := newUploading(t)
	s.watch()
	s.create("users", "name", "Jane", "email", "jane@example.com")
	photo := part{"profile_photo", "me.png", pngFile}

	a := s.wantPost(200, "POST", "users/1", part{"_method", "", "put"}, photo, part{"name", "", "Jane Roe"})
	first := a.at("data", "profile_photo")
	s.wantStored(first)
	wantEqual(t, "name", a.at("data", "name"), "Jane Roe")
	wantEqual(t, "URL", a.at("data", "profile_photo_url"), fmt.Sprint(storetest.BaseURL, "/storage/", first))
	wantEqual(t, "what show answers", s.want(200, "GET", "users/1", nil).text, a.text)
	wantEqual(t, "the file", s.send("GET", fmt.Sprint("/storage/", first), nil).text, pngFile)

	// What came back may be sent again, and is not a way to name other files.
	a = s.want(200, "PUT", "users/1", value.Map("profile_photo", first))
	wantEqual(t, "photo", a.at("data", "profile_photo"), first)
	s.do("PUT", "users/1", value.Map("cover_photo", first)).wantInvalid(t, "cover_photo")
	s.wantStored(first)

	// A new photo replaces the old one, whichever the method and the place of _method.
	var last any = first
	for _, request := range []struct{ method, spoof string }{{"PUT", ""}, {"PATCH", ""}, {"POST", "PATCH"}, {"POST", "Put"}} {
		parts := []part{photo}
		if request.spoof != "" {
			parts = append(parts, part{"_method", "", request.spoof})
		}
		a = s.wantPost(200, request.method, "users/1", parts...)
		if a.at("data", "profile_photo") == last {
			t.Errorf("%v: the photo stays %v", request, last)
		}
		last = a.at("data", "profile_photo")
		s.wantStored(last)
	}

	cover := s.wantPost(200, "PUT", "users/1", part{"cover_photo", "c.gif", "GIF89a\x01\x00\x01\x00\x00\x00\x00;"}).at("data", "cover_photo")
	s.wantStored(last, cover)
	a = s.want(200, "PUT", "users/1", `{"profile_photo":null}`)
	wantEqual(t, "photo", a.at("data", "profile_photo"), nil)
	s.wantStored(cover)
	s.wantPost(200, "PUT", "users/1", photo)
	s.want(200, "DELETE", "users/1", nil)
	s.wantStored()
}

// What was uploaded and is not used goes, whatever the reason.
func TestUploads_notKept(t *testing.T) {
	s := newUploading(t)
	s.create("users", "name", "Jane", "email", "jane@example.com")
	photo := part{"profile_photo", "me.png", pngFile}
	large := strings.Repeat("x", personnel.MaxUpload+1)
	for name, test := range map[string]struct {
		parts []part
		wrong []string
	}{
		"another field is wrong": {[]part{photo, {"email", "", "nobody"}}, []string{"email"}},
		"HTML as a PNG":          {[]part{{"profile_photo", "me.png", "<!DOCTYPE html><script>alert(1)</script>"}}, []string{"profile_photo"}},
		"SVG":                    {[]part{{"profile_photo", "me.svg", `<svg xmlns="http://www.w3.org/2000/svg"></svg>`}}, []string{"profile_photo"}},
		"empty":                  {[]part{{"profile_photo", "me.png", ""}}, []string{"profile_photo"}},
		"too large":              {[]part{photo, {"cover_photo", "me.png", large}}, []string{"cover_photo"}},
		"for a text":             {[]part{{"notes", "me.png", pngFile}, {"rank_id", "a", "b"}, {"approved", "a", "b"}}, []string{"rank_id", "approved", "notes"}},
		"a list of files":        {[]part{{"profile_photo[]", "me.png", pngFile}, {"email[0]", "me.png", pngFile}}, []string{"email", "profile_photo"}},
	} {
		t.Run(name, func(t *testing.T) {
			s.in(t).post("PUT", "users/1", test.parts...).wantInvalid(t, test.wrong...)
			s.wantStored()
		})
	}
	a := s.post("PUT", "users/1", part{"cover_photo", "me.png", large})
	wantEqual(t, "reason", a.at("error", "message"), "The cover_photo field must not be greater than 10000 kilobytes.")

	s.wantPost(404, "PUT", "users/99", photo)
	s.wantPost(200, "PUT", "users/1", part{"unknown", "me.png", pngFile}, part{"password", "me.png", pngFile})
	s.wantPost(200, "PUT", "users/1", part{"name", "", "Jane"})
	s.wantStored()
	s.in(t).post("POST", "users/batch", part{"resources[0][name]", "", "Joe"}, part{"resources[0][email]", "", "joe@example.com"},
		part{"resources[0][profile_photo]", "a.png", pngFile}, part{"resources[1][profile_photo]", "b.png", pngFile}).
		wantInvalid(t, "resources.1.name", "resources.1.email")
	s.wantStored()

	// A file at the limit is one that may be kept.
	a = s.wantPost(200, "PUT", "users/1", part{"cover_photo", "me.png", pngFile + strings.Repeat("x", personnel.MaxUpload-len(pngFile))})
	s.wantStored(a.at("data", "cover_photo"))
}

// A change that was committed keeps its files although the client does not wait for the answer.
func TestUploads_keptOnceCommitted(t *testing.T) {
	s := newUploading(t)
	s.create("users", "name", "Jane", "email", "jane@example.com")
	// An include that is too much fails after the change.
	a := s.wantPost(200, "PUT", "users/1?include=nonsense", part{"profile_photo", "me.png", pngFile})
	s.wantStored(a.at("data", "profile_photo"))
	u := &personnel.Upload{Name: "a.png", Path: "1/a.png", Type: "image/png", Size: 1}
	ctx, cancel := context.WithCancel(context.Background())
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Update(storetest.Actor(), &personnel.User, 1, value.Map("profile_photo", u))
		cancel()
		return err
	})
	if err != nil || !u.Taken || !u.Kept {
		t.Errorf("error %v, taken %v, kept %v", err, u.Taken, u.Kept)
	}
	u = &personnel.Upload{Name: "b.png", Path: "1/b.png", Type: "image/png", Size: 1}
	err = s.store.Update(context.Background(), func(tx *store.Tx) error {
		_, err := tx.Update(storetest.Actor(), &personnel.User, 1, value.Map("profile_photo", u, "email", "nobody"))
		return err
	})
	if err == nil || u.Kept {
		t.Errorf("error %v, kept %v", err, u.Kept)
	}
}

func TestUploads_imagesAndAttachments(t *testing.T) {
	s := newUploading(t)
	for _, test := range []struct{ path, field, content, url string }{
		{"images", "image", pngFile, "image_url"},
		{"attachments", "file", "%PDF-1.7\n", "attachment_url"},
	} {
		s.do("POST", test.path, `{"name":"Map"}`).wantInvalid(t, test.field)
		s.do("POST", test.path, value.Map("name", "Map", test.field, "1/a.png")).wantInvalid(t, test.field)
		s.post("POST", test.path, part{"name", "", "Map"}, part{test.field, "a.png", ""}).wantInvalid(t, test.field)
		s.post("POST", test.path, part{test.field, "a.png", test.content}).wantInvalid(t, "name")
		s.wantStored()
		a := s.wantPost(201, "POST", test.path, part{"name", "", "Map"}, part{test.field, `C:\maps\Karte "Süd".png`, test.content})
		old := a.at("data", "path")
		s.wantStored(old)
		wantEqual(t, "filename", a.at("data", "filename"), `Karte "Süd".png`)
		wantEqual(t, "URL", a.at("data", test.url), fmt.Sprint(storetest.BaseURL, "/storage/", old))
		one := fmt.Sprint(test.path, "/", id(a.at("data")))
		s.do("PUT", one, value.Map(test.field, nil)).wantInvalid(t, test.field)
		s.want(200, "PUT", one, value.Map("name", "The map", test.field, old, "path", "1/other.png", "filename", "other"))
		s.wantStored(old)
		a = s.wantPost(200, "POST", one, part{"_method", "", "PUT"}, part{test.field, "new.png", test.content})
		wantEqual(t, "filename", a.at("data", "filename"), "new.png")
		wantEqual(t, "name", a.at("data", "name"), "The map")
		s.wantStored(a.at("data", "path"))
		s.want(200, "DELETE", one, nil)
		s.wantStored()
	}
	s.post("POST", "images", part{"name", "", "Map"}, part{"image", "a.png", "%PDF-1.7\n"}).wantInvalid(t, "image")
	s.wantStored()
}

// What belongs to a resource goes with it, with its files.
func TestUploads_goWithWhatTheyBelongTo(t *testing.T) {
	s := newUploading(t)
	s.create("users", "name", "Jane", "email", "jane@example.com")
	s.create("calendars", "name", "Operations", "color", "#fff")
	s.create("events", "calendar_id", 1, "name", "Exercise", "starts", "2026-02-01", "ends", "2026-02-02", "all_day", true)
	letter := s.wantPost(201, "POST", "users/1/attachments", part{"name", "", "Letter"}, part{"file", "letter.pdf", "%PDF-1.7\n"}).at("data", "path")
	s.wantStored(letter)
	picture := []part{{"name", "", "Map"}, {"image", "map.png", pngFile}}
	first := s.wantPost(201, "POST", "events/1/image", picture...).at("data", "path")
	s.wantStored(letter, first)
	second := s.wantPost(201, "POST", "events/1/image", picture...).at("data", "path")
	s.want(200, "DELETE", "users/1", nil)
	s.wantStored(first, second)
	s.want(200, "DELETE", "calendars/1", nil)
	s.wantStored()
}

func TestUploads_customFields(t *testing.T) {
	s := newUploading(t)
	user := id(s.create("users", "name", "Jane", "email", "jane@example.com"))
	leave := id(s.create("forms", "name", "Leave", "slug", "leave", "is_public", true))
	of := fmt.Sprint("forms/", leave)
	s.addField(of, "proof", "file", "file|mimes:pdf,jpg|max:2", false)
	s.addField(of, "reason", "text", "", false)
	s.addField(of, "choice", "select", "", false)
	s.addField(of, "place", "text", "", false)
	given := []part{{"form_id", "", fmt.Sprint(leave)}, {"user_id", "", fmt.Sprint(user)}}
	pdf := part{"proof", "proof.pdf", "%PDF-1.7\n"}
	for name, wrong := range map[string]part{
		"too large": {"proof", "proof.pdf", "%PDF-1.7\n" + strings.Repeat("x", 2048)},
		"a PNG":     {"proof", "proof.pdf", pngFile},
		"empty":     {"proof", "proof.pdf", ""},
		"a text":    {"proof", "", "1/other.pdf"},
		"files":     {"proof[]", "proof.pdf", pdf.content},
	} {
		t.Run(name, func(t *testing.T) {
			s.in(t).post("POST", "submissions", append(given, wrong)...).wantInvalid(t, "proof")
		})
	}
	s.post("POST", "submissions", append(given, part{"reason", "a.pdf", pdf.content}, part{"choice", "a.pdf", pdf.content},
		part{"place[a][b]", "a.pdf", pdf.content})...).wantInvalid(t, "reason", "choice", "place")
	s.post("POST", "submissions", append(given, part{"choice[a][]", "a.pdf", pdf.content})...).wantInvalid(t, "choice")
	s.wantStored()

	a := s.wantPost(201, "POST", "submissions", append(given, pdf, part{"place", "", "Here"})...)
	old := a.at("data", "proof")
	s.wantStored(old)
	wantEqual(t, "URL", a.at("data", "proof_url"), fmt.Sprint(storetest.BaseURL, "/storage/", old))
	one := fmt.Sprint("submissions/", id(a.at("data")))
	wantEqual(t, "what show answers", s.want(200, "GET", one, nil).text, a.text)
	a = s.want(200, "PUT", one, value.Map("proof", old, "place", old)) // the same again, and a text that looks like it
	wantEqual(t, "proof", a.at("data", "proof"), old)
	s.want(200, "PUT", one, value.Map("place", "There"))
	s.wantStored(old)
	a = s.wantPost(200, "PUT", one, pdf)
	s.wantStored(a.at("data", "proof"))
	s.want(200, "PUT", one, `{"proof":null}`)
	s.wantStored()
	s.wantPost(200, "PUT", one, pdf)
	s.want(200, "DELETE", of, nil)
	s.wantStored()
}

// Only who may change something here can leave files, however briefly.
func TestUploads_needAKey(t *testing.T) {
	s := newUploading(t)
	s.create("users", "name", "Jane", "email", "jane@example.com")
	body, media := form(part{"profile_photo", "me.png", pngFile}, part{"_method", "", "delete"})
	s.send("POST", "/v2/users/1", body, "Content-Type", media).wantUnauthenticated(t)
	s.send("POST", "/v2/users/1", body, "Content-Type", media, "Authorization", "Bearer nonsense").wantUnauthenticated(t)
	for _, scopes := range [][]string{{"view:user"}, {"view:user", "create:user", "update:rank"}, {"view:user", "update:user"}} {
		s.scoped(scopes...).post("POST", "users/1", part{"profile_photo", "me.png", pngFile}, part{"_method", "", "delete"}).wantForbidden(t)
		s.wantStored()
	}
	s.want(200, "GET", "users/1", nil)
	s.scoped("delete:user").wantPost(200, "POST", "users/1", part{"profile_photo", "me.png", pngFile}, part{"_method", "", "delete"})
	s.wantStored()
	s.do("GET", "users/1", nil).wantNotFound(t)
}

func TestForms_spoofedMethods(t *testing.T) {
	s := newUploading(t)
	s.create("users", "name", "Jane", "email", "jane@example.com")
	send := func(method, path, body string) *answer {
		t.Helper()
		return s.send(method, "/v2/"+path, body, "Authorization", "Bearer "+s.key, "Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	}
	send("POST", "users/1", "_method=put&name=Joe").wantStatus(t, 200)
	wantEqual(t, "name", s.want(200, "GET", "users/1", nil).at("data", "name"), "Joe")
	for _, body := range []string{"_method=get", "_method=post", "_method=", "_method[]=put", "_method=options", "name=put", `{"_method":"put"}`} {
		send("POST", "users/1", body).wantError(t, 405, "MethodNotAllowedHttpException",
			"The POST method is not supported for this route. Supported methods: GET, HEAD, PUT, PATCH, DELETE.")
	}
	s.do("POST", "users/1", `{"_method":"put","name":"Max"}`).wantError(t, 405, "MethodNotAllowedHttpException", "")
	send("POST", "users", "_method=put").wantError(t, 405, "MethodNotAllowedHttpException",
		"The PUT method is not supported for this route. Supported methods: GET, HEAD, POST.")
	send("PATCH", "users/1", "_method=delete&name=Jim").wantStatus(t, 200)
	send("POST", "users?x=1", "_method=nonsense&name=Ann&email=ann%40example.com").wantStatus(t, 201)
	send("POST", "users/batch", "_method=PATCH&resources[2][name]=Anna").wantStatus(t, 200)
	wantEqual(t, "name", s.want(200, "GET", "users/2", nil).at("data", "name"), "Anna")
	send("POST", "users/batch", "_method=delete&resources[]=2&resources[]=99").wantStatus(t, 200)
	s.do("GET", "users/2", nil).wantNotFound(t)
	send("POST", "deliveries/1", "_method=put").wantStatus(t, 405)
	send("POST", "nowhere", "_method=put").wantNotFound(t)
}

// Names become nested arrays as in PHP, in both kinds of form.
func TestForms_names(t *testing.T) {
	s := newUploading(t)
	hook := s.watch()
	for i, test := range []struct {
		form string // name=value pairs joined by &
		want string // the JSON of payload
	}{
		{"payload[x]=a", `{"x":"a"}`},
		{"payload[x]=a&payload[x]=b", `{"x":"b"}`},
		{"payload[x]", `{"x":""}`},
		{"payload[x]=", `{"x":""}`},
		{"payload[x]==a", `{"x":"=a"}`},
		{"payload[]=a&payload[]=b", `["a","b"]`},
		{"payload[a]=1&payload[b][]=2&payload[b][]=3", `{"a":"1","b":["2","3"]}`},
		{"payload[0][name]=a&payload[1][name]=b&payload[0][x]=c", `[{"name":"a","x":"c"},{"name":"b"}]`},
		{"payload[5]=a&payload[]=b&payload[05]=c", `{"5":"a","6":"b","05":"c"}`},
		{"payload=a&payload[b]=c", `{"b":"c"}`},
		{"payload[a][b]=c&payload[a]=d", `{"a":"d"}`},
		{"payload[a]b=c", `{"a":"c"}`},
		{"payload[a][b=c", `{"a":"c"}`},
		{"payload[ ]=a&payload[ b]=c", `{"0":"a","b":"c"}`},
		{"payload[a b.c]=d", `{"a b.c":"d"}`},
		{"payload[[a]=b", `{"[a":"b"}`},
		{" payload[]=a", `["a"]`},
		{"[a]=b&payload[]=c", `["c"]`},
		{"=b&payload[]=c&&", `["c"]`},
		{"payload[9223372036854775807]=a&payload[]=b&payload[][c]=d", `{"9223372036854775807":"a"}`},
		{"payload[ü]=/", `{"\u00fc":"\/"}`},
	} {
		var parts []part
		pairs := strings.Split(test.form, "&")
		for j, pair := range pairs {
			name, v, equals := strings.Cut(pair, "=")
			if name != "" {
				parts = append(parts, part{name, "", v})
			}
			if pairs[j] = url.QueryEscape(name); equals {
				pairs[j] += "=" + url.QueryEscape(v)
			}
		}
		body, media := form(parts...)
		for media, body := range map[string]string{
			media:                               body,
			"application/x-www-form-urlencoded": strings.Join(pairs, "&"),
			"Application/X-WWW-Form-Urlencoded": strings.ReplaceAll(test.form, " ", "+"),
		} {
			if strings.HasPrefix(body, "[") {
				continue // that is JSON
			}
			a := s.send("POST", fmt.Sprintf("/v2/webhooks/%d/test", hook.ID), body, "Authorization", "Bearer "+s.key, "Content-Type", media)
			if a.status != 202 {
				t.Errorf("%s as %s: status %d: %s", test.form, media, a.status, a.text)
				continue
			}
			newest, _ := s.deliveries()
			payload, err := s.store.Payload(t.Context(), newest[0].EventID)
			if err != nil {
				t.Fatal(err)
			}
			envelope := payload.Text
			decoded, err := value.Decode(envelope)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(at(decoded, "data")); got != test.want {
				t.Errorf("%d: %s as %s is %s, want %s", i, test.form, media, got, test.want)
			}
		}
	}
	// Dots and spaces before a bracket become underscores, and so does a bracket that nothing closes.
	for i, name := range []string{"options_type", "options.type", "options+type", "options[type", "options%20type"} {
		a := s.send("POST", "/v2/fields", fmt.Sprintf("name=A&type=text&key=key_%d&%s=model", i, name),
			"Authorization", "Bearer "+s.key, "Content-Type", "application/x-www-form-urlencoded")
		a.wantStatus(t, 201)
		wantEqual(t, "options_type by "+name, a.at("data", "options_type"), "model")
	}
	for raw, want := range map[string]string{"%": "%", "%zz": "%zz", "a%2": "a%2", "%2B+%2b": "+ +", "%e2%82%ac": "€"} {
		a := s.send("POST", "/v2/ranks", "name="+raw+"x", "Authorization", "Bearer "+s.key, "Content-Type", "application/x-www-form-urlencoded")
		wantEqual(t, "name by "+raw, a.at("data", "name"), want+"x")
	}
}

// Values of a form are texts, and fields take them as what they hold.
func TestForms_values(t *testing.T) {
	s := newUploading(t)
	s.create("ranks", "name", "Private")
	a := s.wantPost(201, "POST", "users", part{"name", "", "Jane"}, part{"email", "", "jane@example.com"}, part{"rank_id", "", "1"},
		part{"approved", "", "0"}, part{"notes", "", ""}, part{"profile_photo", "", ""})
	wantEqual(t, "user", value.List(a.at("data", "rank_id"), a.at("data", "approved"), a.at("data", "notes"), a.at("data", "profile_photo")),
		value.List(1, false, nil, nil))
	// Browsers send a file without name and content where none was chosen.
	body := "--x\r\nContent-Disposition: form-data; name=\"profile_photo\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nJane Roe\r\n--x--\r\nand what follows"
	a = s.send("PUT", "/v2/users/1", body, "Authorization", "Bearer "+s.key, "Content-Type", "multipart/form-data; boundary=x")
	a.wantStatus(t, 200)
	wantEqual(t, "name", a.at("data", "name"), "Jane Roe")
	s.wantStored()
}

func TestForms_refused(t *testing.T) {
	s := newUploading(t)
	many := func(n int, p part) (parts []part) {
		for range n {
			parts = append(parts, p)
		}
		return parts
	}
	of := func(parts ...part) []string {
		body, media := form(parts...)
		return []string{body, media}
	}
	whole := of(part{"profile_photo", "a.png", pngFile}, part{"name", "", "Jane"})
	const urlencoded, multipart = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
	for name, test := range map[string]struct {
		body    []string // and its type
		status  int
		message string
	}{
		"too many fields":         {of(many(1001, part{"a", "", ""})...), 400, "The request body has more than 1000 fields."},
		"too many pairs":          {[]string{strings.Repeat("a&", 1001), urlencoded}, 400, "The request body has more than 1000 fields."},
		"too many files":          {of(many(21, part{"a", "a", "a"})...), 400, "The request body has more than 20 files."},
		"too deep":                {of(part{"a" + strings.Repeat("[b]", 64), "", ""}), 400, "The request body has a field nested more than 64 levels deep."},
		"too deep by pairs":       {[]string{"a" + strings.Repeat("[]", 100000), urlencoded}, 400, "The request body has a field nested more than 64 levels deep."},
		"too much text":           {of(part{"a", "", strings.Repeat("x", 1<<19)}, part{"b", "", strings.Repeat("x", 1<<19)}), 413, "The request body is longer than 1048576 bytes."},
		"too long a text":         {[]string{"a=" + strings.Repeat("x", 1<<20), urlencoded}, 413, "The request body is longer than 1048576 bytes."},
		"too many large files":    {of(many(2, part{"a", "a", strings.Repeat("x", personnel.MaxUpload)})...), 413, "The request body is longer than 11288576 bytes."},
		"no UTF-8":                {of(part{"name", "", "\xff"}), 400, "The request body holds text that is not UTF-8."},
		"no UTF-8 in pairs":       {[]string{"name=%ff", urlencoded}, 400, "The request body holds text that is not UTF-8."},
		"no UTF-8 in a name":      {of(part{"\xff", "a.png", pngFile}), 400, "The request body holds text that is not UTF-8."},
		"no boundary":             {[]string{whole[0], "multipart/form-data"}, 400, ""},
		"another boundary":        {[]string{whole[0], multipart}, 400, "The request body broke off."},
		"no end":                  {[]string{whole[0][:len(whole[0])-8], whole[1]}, 400, "The request body broke off."},
		"no end of a file":        {[]string{whole[0][:250], whole[1]}, 400, "The request body broke off."},
		"no name":                 {[]string{"--x\r\nContent-Type: text/plain\r\n\r\na\r\n--x--\r\n", multipart}, 400, "The request body has a part without a name."},
		"an empty name":           {of(part{"", "a.png", pngFile}), 400, "The request body has a part without a name."},
		"a broken header":         {[]string{"--x\r\nnonsense\r\n\r\na\r\n--x--\r\n", multipart}, 400, ""},
		"something between parts": {[]string{"--x\r\nContent-Disposition: form-data; name=a\r\n\r\na\r\n--xnonsense\r\n--x--\r\n", multipart}, 422, ""},
		"JSON that is broken":     {[]string{"{\"name\":", urlencoded}, 400, ""},
		"nothing at all":          {[]string{"", multipart}, 422, ""},
		"a file beside JSON":      {[]string{"[{}]", multipart}, 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.in(t).send("POST", "/v2/users", test.body[0], "Authorization", "Bearer "+s.key, "Content-Type", test.body[1])
			kind := map[int]string{400: "HttpException", 413: "PostTooLargeException", 422: "ValidationException"}[test.status]
			a.wantError(t, test.status, kind, test.message)
			s.wantStored()
		})
	}
	// JSON is read although it is announced as a form.
	for _, media := range []string{urlencoded, multipart} {
		s.send("POST", "/v2/ranks", ` {"name":"Private"}`, "Authorization", "Bearer "+s.key, "Content-Type", media).wantStatus(t, 201)
	}
}

func TestUploads_withoutAFolder(t *testing.T) {
	s := newServer(t, func(o *api.Options) { o.Files = nil })
	s.post("POST", "users", part{"name", "", "Jane"}, part{"profile_photo", "a.png", pngFile}, part{"resources[0][image]", "a.png", pngFile}).
		wantInvalid(t, "profile_photo", "resources.0.image")
	s.send("GET", "/storage/1/a.png", nil).wantNotFound(t)
}

// Files are read without a key, as often as anybody likes.
func TestStorage(t *testing.T) {
	s := newUploading(t, func(o *api.Options) { o.GuestLimit = 1 })
	s.create("users", "name", "Jane", "email", "jane@example.com")
	path := fmt.Sprint("/storage/", s.wantPost(200, "PUT", "users/1", part{"profile_photo", "me.png", pngFile}).at("data", "profile_photo"))
	for range 3 {
		a := s.send("GET", path, nil, "Origin", "https://unit.example.com")
		a.wantStatus(t, 200)
		a.wantIDs(t)
		wantEqual(t, "content", a.text, pngFile)
		for name, want := range map[string]string{
			"Content-Type": "image/png", "Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; sandbox", "Access-Control-Allow-Origin": "https://unit.example.com",
		} {
			wantEqual(t, name, a.header.Get(name), want)
		}
	}
	s.send("HEAD", path, nil).wantStatus(t, 200)
	s.send("OPTIONS", path, nil).wantStatus(t, 204)
	s.send("POST", path, "").wantStatus(t, 405)
	for _, path := range []string{"/storage/", "/storage/1/", "/storage/..%2fbugle.db", "/storage/1/..%2f..%2fbugle.db", "/storage/1/%2e%2e/x", "/storage/1/missing.png", path + "%00"} {
		a := s.send("GET", path, nil)
		a.wantStatus(t, 404)
		wantEqual(t, "Cache-Control", a.header.Get("Cache-Control"), "no-store")
	}
}

// A client that stops sending is told so, and is rid of; one that is slow is waited for.
func TestBodies_idle(t *testing.T) {
	const idle = 50 * time.Millisecond
	s := newUploading(t, func(o *api.Options) { o.BodyIdle = idle })
	s.create("users", "name", "Jane", "email", "jane@example.com")
	body, media := form(part{"profile_photo", "me.png", pngFile}, part{"name", "", "Jane Roe"})
	dial := func(media string, length int, key string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(c, "PUT /v2/users/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", key, media, length)
		return c
	}
	answered := func(c net.Conn) (status int, message string, r *bufio.Reader) {
		t.Helper()
		r = bufio.NewReader(c)
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var decoded struct {
			Error struct{ Type, Message string }
		}
		if err := json.NewDecoder(response.Body).Decode(&decoded); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, decoded.Error.Type + ": " + decoded.Error.Message, r
	}
	for name, sent := range map[string]string{"nothing": "", "half a file": body[:200]} {
		t.Run(name, func(t *testing.T) {
			c := dial(media, len(body), s.key)
			io.WriteString(c, sent)
			status, message, rest := answered(c)
			if status != 408 || message != "HttpException: The request body took too long to arrive." {
				t.Errorf("status %d, %s", status, message)
			}
			if _, err := rest.ReadByte(); err != io.EOF {
				t.Errorf("the connection is left open: %v", err)
			}
			s.wantStored()
		})
	}
	t.Run("without a key", func(t *testing.T) {
		c := dial("application/json", 100, "nonsense")
		status, _, rest := answered(c)
		if status != 401 {
			t.Errorf("status %d", status)
		}
		if _, err := rest.ReadByte(); err != io.EOF {
			t.Errorf("the connection is left open: %v", err)
		}
	})
	t.Run("slow", func(t *testing.T) {
		c := dial(media, len(body), s.key)
		began := time.Now()
		for chunk := range slices.Chunk([]byte(body), len(body)/8+1) {
			time.Sleep(idle / 4)
			c.Write(chunk)
		}
		if status, message, _ := answered(c); status != 200 && time.Since(began) < 5*idle {
			t.Errorf("status %d, %s", status, message)
		}
	})
}

// Whatever form comes, it is taken or refused, and leaves no file behind that nobody keeps.
func FuzzForm(f *testing.F) {
	s := newUploading(f)
	field := storetest.Create(f, s.store, &personnel.CustomField, "name", "Proof", "key", "proof", "type", "file")
	storetest.Create(f, s.store, &personnel.User, "name", "Jane", "email", "jane@example.com")
	s.want(200, "POST", "users/1/fields/attach", value.Map("resources", value.List(field.ID())))
	for _, body := range []string{
		"", "name=Jane", "_method=put&name=Joe", "resources[0][name]=a&resources[0][email]=b", "a[b][c", "[", "a[]=%", "%ff=%00", "=&=&&", `{"name":"x"}`,
		"--x\r\nContent-Disposition: form-data; name=\"profile_photo\"; filename=\"a.png\"\r\n\r\n" + pngFile + "\r\n--x--\r\n",
		"--x\r\nContent-Disposition: form-data; name=\"proof\"; filename=\"a.pdf\"\r\n\r\n%PDF-1.7\n\r\n--x--\r\n",
		"--x\r\nContent-Disposition: form-data; name=\"resources[1][notes][]\"; filename*=UTF-8''%e2%82%ac\r\n\r\nx\r\n--x\r\n" +
			"Content-Disposition: form-data; name=\"_method\"\r\n\r\npatch\r\n--x--",
		"--x\r\nContent-Disposition: form-data; name=\"profile_photo[a]\"; filename=\"\"\r\n\r\nx\r\n--x--\r\n", "--x--", "--x\r\n\r\n", "\r\n--x\r\n",
		"--x\r\nContent-Disposition: form-data; name=\"payload\"; filename=\"a\"\r\n\r\nx\r\n--x--\r\n",
	} {
		for route := range uint8(6) {
			f.Add([]byte(body), true, route)
			f.Add([]byte(body), false, route)
		}
	}
	hook := s.watch()
	f.Fuzz(func(t *testing.T, body []byte, multipart bool, route uint8) {
		s := &uploading{s.in(t), s.dir}
		media := "application/x-www-form-urlencoded"
		if multipart {
			media = "multipart/form-data; boundary=x"
		}
		routes := []string{"PUT users/1", "POST users/batch", "POST users/search", "POST users/1/fields/attach", fmt.Sprintf("POST webhooks/%d/test", hook.ID), "POST users/1"}
		method, path, _ := strings.Cut(routes[int(route)%len(routes)], " ")
		before := s.stored()
		a := s.send(method, "/v2/"+path, string(body), "Authorization", "Bearer "+s.key, "Content-Type", media)
		if a.status >= 500 {
			t.Fatalf("status %d\n%s\n%s", a.status, a.text, s.log)
		}
		if after := s.stored(); a.status >= 400 && !slices.Equal(after, before) {
			t.Errorf("a form that is refused turns the files %q into %q", before, after)
		}
	})
}
