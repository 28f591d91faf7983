package admin

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/buglehq/bugle/personnel"
)

// uploads are the paths of the files that the panel keeps.
func (p *peoplePanel) uploads() []string {
	p.Helper()
	var paths []string
	err := filepath.WalkDir(p.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			path, err = filepath.Rel(p.root, path)
			paths = append(paths, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		p.Fatal(err)
	}
	return paths
}

// A photo is kept as long as its user has it, and shown to whoever looks at him.
func TestUpload_photo(t *testing.T) {
	p := newPeoplePanel(t)
	path := fmt.Sprintf("/users/%d", p.user)
	p.form(path+"/edit").attach("profile_photo", "me.png", onePixel).saved()
	first := p.stored(&personnel.User, p.user).Text("profile_photo")
	if got := p.uploads(); !slices.Equal(got, []string{first}) || !strings.HasSuffix(first, ".png") {
		t.Fatalf("%s is the photo, and the files are %v", first, got)
	}
	shown := 0
	for _, n := range elements(p.page(path), "img") {
		if attr(n, "src") == "/storage/"+first {
			shown++
		}
	}
	if shown != 2 { // at the top and among the details
		t.Errorf("the photo is shown %d times", shown)
	}
	p.form(path+"/edit").set("name", "Jane Doe").saved()
	if got := p.stored(&personnel.User, p.user).Text("profile_photo"); got != first {
		t.Errorf("without a new file the photo is %q", got)
	}
	p.form(path+"/edit").attach("profile_photo", "me.png", onePixel).saved()
	second := p.stored(&personnel.User, p.user).Text("profile_photo")
	if got := p.uploads(); second == first || !slices.Equal(got, []string{second}) {
		t.Errorf("%s is the second photo, and the files are %v", second, got)
	}
}

// What is no picture, is too large or comes with something wrong is refused beside its field, and nothing of it stays.
func TestUpload_wrong(t *testing.T) {
	p := newPeoplePanel(t)
	path := fmt.Sprintf("/users/%d/edit", p.user)
	for _, c := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"me.png", []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), "must be an uploaded image"},
		{"me.png", []byte("<html><script>alert(1)</script>"), "must be an uploaded image"},
		{"me.png", nil, "must be an uploaded image"},
		{"me.png", append(bytes.Clone(onePixel), make([]byte, personnel.MaxUpload)...), "The file may have 10000 KiB"},
	} {
		page := p.form(path).set("notes", "typed").attach("profile_photo", c.name, c.content).send(http.StatusUnprocessableEntity)
		f := p.formOf(parsePage(t, page))
		if got := f.problem("profile_photo"); !strings.Contains(got, c.want) {
			t.Errorf("beside a file of %d bytes is %q, want %q", len(c.content), got, c.want)
		}
		if got := f.values.Get("notes"); got != "typed" {
			t.Errorf("the notes are %q again", got)
		}
	}
	p.form(path).set("name", "").attach("profile_photo", "me.png", onePixel).send(http.StatusUnprocessableEntity)
	if got := p.uploads(); len(got) > 0 {
		t.Errorf("%v are left", got)
	}
	if got := p.stored(&personnel.User, p.user).Get("profile_photo"); got != nil {
		t.Errorf("the photo is %v", got)
	}
	p.form(path).attach("cover_photo", "me.png", make([]byte, maxBody)).send(http.StatusRequestEntityTooLarge)
	if got := p.uploads(); len(got) > 0 {
		t.Errorf("%v are left", got)
	}
}

// A large upload waits on the disk while its form is read, and not longer.
func TestUpload_leavesNothingBehind(t *testing.T) {
	p := newPeoplePanel(t)
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	f := p.form("/attachments/create").set("name", "Map").attach("file", "map.bin", make([]byte, 9<<20))
	f.saved()
	p.form("/attachments/create").set("name", "").attach("file", "map.bin", make([]byte, 9<<20)).send(http.StatusUnprocessableEntity)
	left, err := os.ReadDir(folder)
	if err != nil || len(left) > 0 {
		t.Errorf("%d files are left of reading forms, such as %v (%v)", len(left), left, err)
	}
	if got := p.uploads(); len(got) != 1 {
		t.Errorf("%v are kept", got)
	}
}

// An attachment or picture that is made from a resource's page belongs to the resource.
func TestUpload_ofResource(t *testing.T) {
	p := newPeoplePanel(t)
	made := p.makeAll()
	for _, of := range []struct {
		path, field string
		kind, other *personnel.Kind
	}{
		{"/attachments/create", "file", &personnel.Attachment, &personnel.User},
		{"/attachments/create", "file", &personnel.Attachment, &personnel.RankRecord},
		{"/images/create", "image", &personnel.Image, &personnel.CalendarEvent},
	} {
		owner := made[of.other.Name]
		page := fmt.Sprintf("/%s/%d", of.other.Path, owner.ID())
		create := ""
		for _, n := range elements(p.page(page), "a") {
			if strings.HasPrefix(attr(n, "href"), of.path) {
				create = attr(n, "href")
			}
		}
		if create == "" {
			t.Fatalf("%s has no link to %s", page, of.path)
		}
		refused := p.form(create).attach(of.field, "x.png", onePixel).send(http.StatusUnprocessableEntity) // it has no name
		r := p.stored(of.kind, p.formOf(parsePage(t, refused)).set("name", "Of it").attach(of.field, "x.png", onePixel).saved())
		if r.Get("model_type") != of.other.Model() || r.Get("model_id") != owner.ID() {
			t.Errorf("it belongs to %v %v, want %s %d", r.Get("model_type"), r.Get("model_id"), of.other.Model(), owner.ID())
		}
		has(t, p.get(page, http.StatusOK), "Of it")
	}
	for _, owner := range []url.Values{
		{"model_type": {`App\Models\Nothing`}, "model_id": {"1"}}, {"model_type": {personnel.User.Model()}, "model_id": {"99"}},
		{"model_type": {personnel.User.Model()}}, {"model_type": {personnel.Tag.Model()}, "model_id": {"1"}},
	} {
		p.form("/attachments/create?"+owner.Encode()).set("name", "x").attach("file", "x.png", onePixel).send(http.StatusNotFound)
	}
}
