package secrets

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

func newKeys(t testing.TB) *Keys {
	t.Helper()
	keys, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestKeys_openWhatTheySealed(t *testing.T) {
	first := newKeys(t)
	sealed, err := first.Seal(first.Primary(), []byte("text"), []byte("about"))
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := SealedWith(sealed); !ok || id != first.Primary() {
		t.Errorf("sealed with %d, %v", id, ok)
	}
	more, id, err := first.Add()
	if err != nil || more.Primary() != first.Primary() || len(first.IDs()) != 1 {
		t.Fatalf("another key: %v", err)
	}
	text, err := more.Text()
	if err != nil {
		t.Fatal(err)
	}
	read, err := Parse(text)
	if err != nil || !read.Has(id) || !read.Has(first.Primary()) {
		t.Fatalf("read again: %v", err)
	}
	if got, err := read.Open(sealed, []byte("about")); err != nil || string(got) != "text" {
		t.Errorf("opened: %q, %v", got, err)
	}
	if _, err := read.Without(read.Primary()); err == nil {
		t.Error("the primary key can be removed")
	}
	used, err := read.Use(id)
	if err != nil || used.Primary() != id {
		t.Fatalf("used: %v", err)
	}
	left, err := used.Without(first.Primary())
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1]++
	for what, fails := range map[string]func() ([]byte, error){
		"another text that it is about": func() ([]byte, error) { return read.Open(sealed, []byte("else")) },
		"a bit that is wrong":           func() ([]byte, error) { return read.Open(changed, []byte("about")) },
		"no key":                        func() ([]byte, error) { return left.Open(sealed, []byte("about")) },
		"nothing":                       func() ([]byte, error) { return read.Open(nil, []byte("about")) },
		"a key that is not there":       func() ([]byte, error) { return left.Seal(first.Primary(), nil, nil) },
	} {
		if got, err := fails(); err == nil || got != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	if _, err := read.Use(left.Primary() + 1); err == nil {
		t.Error("a key that is not there can be used")
	}
}

func TestParse_refuses(t *testing.T) {
	write := func(templates ...*tinkpb.KeyTemplate) string {
		m := keyset.NewManager()
		for _, template := range templates {
			id, err := m.Add(template)
			if err != nil {
				t.Fatal(err)
			}
			m.SetPrimary(id)
		}
		handle, err := m.Handle()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	many := make([]*tinkpb.KeyTemplate, MaxKeys+1)
	for i := range many {
		many[i] = aead.AES256GCMKeyTemplate()
	}
	for text, want := range map[string]string{
		"  \n":                                     "it is empty",
		"hunter2 is no keyset":                     "are no keyset",
		`{"primaryKeyId":1}`:                       "are no keyset",
		write(mac.HMACSHA256Tag256KeyTemplate()):   "want keys for AEAD",
		write(aead.AES256GCMNoPrefixKeyTemplate()): "output prefix",
		write(many...):                             "want at most 64",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
}

// Processes that start at once have one key, whoever was first.
func TestFile_createOnce(t *testing.T) {
	file := File(filepath.Join(t.TempDir(), "new", "secrets.key"))
	if _, err := file.Read(t.Context()); !errors.Is(err, ErrNoKeys) {
		t.Errorf("of no file: %v", err)
	}
	ids := make([]KeyID, 20)
	var all sync.WaitGroup
	for i := range ids {
		keys := newKeys(t)
		all.Go(func() {
			got, err := file.Create(keys)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = got.Primary()
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("there are %d", ids)
			break
		}
	}
	next := newKeys(t)
	if err := file.Replace(next); err != nil {
		t.Fatal(err)
	}
	if got, err := file.Read(t.Context()); err != nil || got.Primary() != next.Primary() {
		t.Errorf("replaced: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(string(file))); err != nil || len(entries) != 1 {
		t.Errorf("there are %v, %v", entries, err)
	}
	if file.Warning() != "" {
		t.Error(file.Warning())
	}
}

func TestFile_refusesWhatIsTooLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), maxText+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := File(path).Read(t.Context()); err == nil || !strings.Contains(err.Error(), "no keyset has") {
		t.Errorf("error %v", err)
	}
	if _, err := File(t.TempDir()).Read(t.Context()); err == nil || errors.Is(err, ErrNoKeys) {
		t.Errorf("of a folder: %v", err)
	}
}

func TestCommand_read(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh")
	}
	path := filepath.Join(t.TempDir(), "keys")
	keys := newKeys(t)
	text, err := keys.Text()
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	source, err := ParseSource("command:cat  " + path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := source.Read(t.Context()); err != nil || got.Primary() != keys.Primary() {
		t.Errorf("error %v", err)
	}
	if strings.Contains(source.String(), path) {
		t.Errorf("it is shown as %s", source)
	}
	for script, want := range map[string]string{
		"echo no access >&2; exit 3": `exit status 3: "no access"`,
		"yes":                        "no keyset has",
		"echo '; touch x'":           "no keyset",
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if script == "yes" {
			script = "head -c 100000 /dev/zero"
		}
		if _, err := (Command{"sh", "-c", script}).Read(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", script, err, want)
		}
		cancel(nil)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("over"))
	if _, err := (Command{"sleep", "60"}).Read(ctx); err == nil {
		t.Error("a program that was ended has printed keys")
	}
}

func BenchmarkOpen(b *testing.B) {
	keys := newKeys(b)
	sealed, err := keys.Seal(keys.Primary(), make([]byte, 200), []byte("about"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := keys.Open(sealed, []byte("about")); err != nil {
			b.Fatal(err)
		}
	}
}
