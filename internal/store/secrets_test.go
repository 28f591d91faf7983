package store_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/value"
)

const (
	hookSecret   = "sentinel-of-the-secret-0"
	oldSecret    = "sentinel-of-the-old-secret"
	credential   = "sentinel-of-the-header"
	channelToken = "sentinel-of-the-channel"
)

var sentinels = []string{hookSecret, oldSecret, credential, channelToken}

// addSecrets adds a webhook and a channel with secrets in each place.
func addSecrets(t *testing.T, s *store.Store) (hook, channel *bugle.Webhook) {
	t.Helper()
	hook = storetest.AddWebhook(t, s, "https://example.com/hook", func(w *bugle.Webhook) {
		w.Secret, w.OldSecret, w.OldSecretUntil = hookSecret, oldSecret, storetest.Start.Add(time.Hour)
		w.Headers = []bugle.Header{{Name: "Authorization", Value: credential}, {Name: "1", Value: "ä\n\x00"}}
	})
	lane := bugle.ChannelByName("slack").Lane(1)
	lane.Settings = value.Map("url", "https://hooks.slack.com/services/"+channelToken)
	storetest.Change(t, s, func(tx *store.Tx) error { return tx.AddWebhook(&lane) })
	return hook, &lane
}

// wantNoSentinel looks into the files of a database of SQLite.
func wantNoSentinel(t *testing.T, database string) {
	t.Helper()
	path := strings.TrimPrefix(database, "sqlite:")
	for _, name := range []string{path, path + "-wal"} {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for _, s := range sentinels {
			for _, form := range []string{s, base64.StdEncoding.EncodeToString([]byte(s))[:len(s)], hex.EncodeToString([]byte(s))} {
				if bytes.Contains(raw, []byte(form)) {
					t.Errorf("%s holds %q", filepath.Base(name), form)
				}
			}
		}
	}
}

func TestSecrets_areNotInTheTables(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		hook, lane := addSecrets(t, s)
		hook.Description = "saved again"
		storetest.Change(t, s, func(tx *store.Tx) error { return tx.SaveWebhook(hook) })
		wantWebhook(t, s, hook)
		if got, err := s.LaneWebhook(t.Context(), lane.ID); err != nil || !reflect.DeepEqual(got.Settings, lane.Settings) {
			t.Errorf("the channel is %+v, %v", got, err)
		}
		for _, row := range query[string](t, s, "SELECT CAST(id AS TEXT) || name || url || secret || old_secret || headers || settings || channel FROM webhooks ORDER BY id") {
			for _, sentinel := range sentinels {
				if strings.Contains(row, sentinel) {
					t.Errorf("a row holds %s: %s", sentinel, row)
				}
			}
		}
		if n := query[int](t, s, "SELECT COUNT(*) FROM webhooks WHERE sealed_key <> (SELECT key_id FROM secret_keys WHERE main)"); n[0] != 0 {
			t.Errorf("%d webhooks are not encrypted with the main key", n[0])
		}
		wantFaults(t, prove(t, s))
	})
}

func TestSecrets_areNotInTheFile(t *testing.T) {
	t.Setenv("BUGLE_TEST_POSTGRES", "")
	database := storetest.Database(t)
	s := storetest.Open(t, database, store.Options{Node: "one"})
	addSecrets(t, s)
	wantNoSentinel(t, database)
	closeStore(t, s)
	wantNoSentinel(t, database)
}

// What is encrypted opens only where it was written.
func TestSecrets_ofAnotherRowDoNotOpen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		hook, lane := addSecrets(t, s)
		other := addOrganization(t, s)
		second := storetest.AddWebhook(t, s, "https://example.com/2", nil)
		exec(t, s, fmt.Sprintf("UPDATE webhooks SET sealed = (SELECT sealed FROM webhooks WHERE id = %d) WHERE id = %d", hook.ID, second.ID))
		exec(t, s, fmt.Sprintf("UPDATE webhooks SET organization_id = %d WHERE id = %d", other.OrganizationID, lane.ID))
		const moved = "its secrets cannot be read: it does not open with key %d: it was changed, or belongs to something else"
		id := query[int64](t, s, "SELECT key_id FROM secret_keys")[0]
		wantFaults(t, prove(t, s), fmt.Sprintf("secrets %d: "+moved, lane.ID, id), fmt.Sprintf("secrets %d: "+moved, second.ID, id))
		if _, err := s.Webhook(t.Context(), 1, second.ID); err == nil || !strings.Contains(err.Error(), "does not open") {
			t.Errorf("reading it: %v", err)
		}
		if _, err := s.Webhook(t.Context(), 1, hook.ID); err != nil {
			t.Errorf("reading the first: %v", err)
		}
		exec(t, s, fmt.Sprintf("UPDATE webhooks SET sealed = '' WHERE id = %d", second.ID))
		if _, err := s.Webhook(t.Context(), 1, second.ID); err == nil || !strings.Contains(err.Error(), "not encrypted by Bugle") {
			t.Errorf("reading nothing: %v", err)
		}
	})
}

// openServer opens a database as a server does, and returns the error.
func openServer(t *testing.T, database string, source secrets.Source) error {
	t.Helper()
	s, err := store.Open(t.Context(), database, store.Options{Node: "one", Secrets: source, Clock: clockwork.NewFakeClockAt(storetest.Start)})
	if err == nil {
		closeStore(t, s)
	}
	return err
}

// The key is made at the first start and never again.
func TestSecrets_key(t *testing.T) {
	database, folder := storetest.Database(t), filepath.Join(t.TempDir(), "keys")
	file := secrets.File(filepath.Join(folder, "secrets.key"))
	var first bytes.Buffer
	closeStore(t, storetest.Open(t, database, store.Options{Node: "one", Secrets: file, Log: slog.New(slog.NewTextHandler(&first, nil))}))
	if !strings.Contains(first.String(), "the key to secrets was made") || !strings.Contains(first.String(), string(file)) {
		t.Errorf("the first start says %s", &first)
	}
	info, err := os.Stat(string(file))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Fatalf("the file's mode is %v, %v", info.Mode(), err)
	}
	if all, err := os.ReadDir(folder); err != nil || len(all) != 1 {
		t.Errorf("there are %v, %v", all, err)
	}
	var log bytes.Buffer
	closeStore(t, storetest.Open(t, database, store.Options{Node: "one", Secrets: file, Log: slog.New(slog.NewTextHandler(&log, nil))}))
	if strings.Contains(log.String(), "was made") {
		t.Errorf("the second start says %s", &log)
	}
	elsewhere := secrets.File(filepath.Join(folder, "none", "secrets.key"))
	wantRefused := func(source secrets.Source, texts ...string) {
		t.Helper()
		err := openServer(t, database, source)
		for _, text := range texts {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("opening with %s: %v, want it to say %q", source, err, text)
			}
		}
	}
	wantRefused(elsewhere, "has none", "put the file with the key back", "bugle secrets reset")
	if _, err := os.Stat(filepath.Dir(string(elsewhere))); !errors.Is(err, os.ErrNotExist) {
		t.Error("another key was made")
	}
	another, err := secrets.NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(another, "has other keys", "the same for every server")
	t.Setenv("EMPTY", "")
	wantRefused(secrets.Env("EMPTY"), "EMPTY: it is empty")
	wantRefused(secrets.Env("NOT_SET_AT_ALL"), "NOT_SET_AT_ALL is not set")
	wantRefused(secrets.Command{"/nowhere/kms"}, "the program /nowhere/kms that prints the keys failed")
	fresh := storetest.Database(t)
	database = fresh
	wantRefused(secrets.Env("NOT_SET_AT_ALL"), "NOT_SET_AT_ALL is not set", "bugle secrets new")
}

// Of nodes that start at once with a new database and files of their own, one makes the key, and the others say that they
// have another.
func TestSecrets_nodesThatStartAtOnce(t *testing.T) {
	if !storetest.OnPostgres() {
		t.Skip("one server has a file of SQLite at a time")
	}
	database, folder := storetest.Database(t), t.TempDir()
	start := func(i int, file string) error {
		s, err := store.Open(t.Context(), database, store.Options{Node: fmt.Sprint("node", i), Secrets: secrets.File(filepath.Join(folder, file))})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	refused := make([]error, 8)
	var all sync.WaitGroup
	for i := range refused {
		all.Go(func() { refused[i] = start(i, fmt.Sprint(i, ".key")) })
	}
	all.Wait()
	var first []int
	for i, err := range refused {
		if err == nil {
			first = append(first, i)
		} else if !strings.Contains(err.Error(), "put the right one there, the same for every server") && !strings.Contains(err.Error(), "has none") {
			t.Errorf("node %d: %v", i, err)
		}
	}
	if len(first) != 1 {
		t.Fatalf("%d have started: %v", first, refused)
	}
	for i := range refused {
		if err := start(i, fmt.Sprint(first[0], ".key")); err != nil {
			t.Errorf("node %d with the key of the first: %v", i, err)
		}
	}
}

// Another key with the id of the right one is told from it.
func TestSecrets_keyOfTheSameID(t *testing.T) {
	database := storetest.Database(t)
	right, err := secrets.NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	if err := openServer(t, database, right); err != nil {
		t.Fatal(err)
	}
	other, err := secrets.NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	text, err := other.Keys.Text()
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := secrets.Parse(bytes.ReplaceAll(text, []byte(fmt.Sprint(other.Keys.Primary())), []byte(fmt.Sprint(right.Keys.Primary()))))
	if err != nil {
		t.Fatal(err)
	}
	if err := openServer(t, database, &secrets.Memory{Keys: wrong}); err == nil || !strings.Contains(err.Error(), "is another than that of the same id") {
		t.Errorf("opening: %v", err)
	}
}

func TestSecrets_warnsOfAKeyThatOthersMayRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes mean nothing here")
	}
	database, file := storetest.Database(t), secrets.File(filepath.Join(t.TempDir(), "secrets.key"))
	if err := openServer(t, database, file); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(string(file), 0o640); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	storetest.Open(t, database, store.Options{Node: "one", Secrets: file, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "mode 640") {
		t.Errorf("the log is %s", &log)
	}
}

// What older versions have written is encrypted when a server starts, and leaves no trace in the file.
func TestSecrets_ofOlderVersions(t *testing.T) {
	database := storetest.Database(t)
	s := storetest.Open(t, database, store.Options{})
	var ids []int64
	for range 250 {
		ids = append(ids, storetest.AddWebhook(t, s, "https://example.com/hook", nil).ID)
	}
	hook, lane := addSecrets(t, s)
	plain := fmt.Sprintf("UPDATE webhooks SET sealed = NULL, sealed_key = 0, secret = '%s', old_secret = '%s', headers = '[[\"Authorization\",\"%s\"]]'", hookSecret, oldSecret, credential)
	exec(t, s, plain)
	// It takes pages of its own, which are free afterwards.
	exec(t, s, fmt.Sprintf(`UPDATE webhooks SET settings = '{"url":"https://hooks.slack.com/services/%s","x":"%s"}' WHERE id = %d`, channelToken, strings.Repeat(channelToken, 2000), lane.ID))
	wantRead := func(s *store.Store) {
		t.Helper()
		for _, id := range append(ids, hook.ID) {
			w, err := s.Webhook(t.Context(), 1, id)
			if err != nil || w.Secret != hookSecret || w.OldSecret != oldSecret || !slices.Equal(w.Headers, []bugle.Header{{Name: "Authorization", Value: credential}}) {
				t.Fatalf("webhook %d is %+v, %v", id, w, err)
			}
		}
		w, err := s.LaneWebhook(t.Context(), lane.ID)
		if err != nil || !strings.HasSuffix(w.Setting("url"), channelToken) {
			t.Fatalf("the channel is %+v, %v", w, err)
		}
	}
	wantRead(s) // a command beside the server reads them as they are
	closeStore(t, s)
	for range 2 {
		server := storetest.Open(t, database, store.Options{Node: "one"})
		wantRead(server)
		if n := query[int](t, server, "SELECT COUNT(*) FROM webhooks WHERE sealed_key = 0 OR secret <> '' OR old_secret <> '' OR headers <> '[]' OR settings <> ''"); n[0] != 0 {
			t.Errorf("%d webhooks have secrets in their columns", n[0])
		}
		if !storetest.OnPostgres() {
			wantNoSentinel(t, database)
		}
		closeStore(t, server)
	}
}

// A key is replaced while servers run: they find the new one by themselves, and the old one goes when nothing needs it.
func TestSecrets_rotation(t *testing.T) {
	database, file := storetest.Database(t), secrets.File(filepath.Join(t.TempDir(), "secrets.key"))
	clock := clockwork.NewFakeClockAt(storetest.Start)
	server := storetest.Open(t, database, store.Options{Node: "one", Secrets: file, Clock: clock})
	hook, _ := addSecrets(t, server)
	for range 150 {
		storetest.AddWebhook(t, server, "https://example.com/hook", nil)
	}
	command := storetest.Open(t, database, store.Options{Secrets: file, Clock: clock})
	first := query[int64](t, server, "SELECT key_id FROM secret_keys")[0]

	id, keys, err := command.AddSecretKey(t.Context())
	if err != nil || len(keys.IDs()) != 2 {
		t.Fatalf("adding a key: %v", err)
	}
	storetest.AddWebhook(t, server, "https://example.com/hook", nil) // with the old key, which is all that the server knows
	if removed, _, err := command.PruneSecretKeys(t.Context()); err != nil || len(removed) != 0 {
		t.Fatalf("removed too early: %d, %v", removed, err)
	}
	if used, _, err := command.UseSecretKey(t.Context(), 0); err != nil || used != id {
		t.Fatalf("using it: %d, %v", used, err)
	}
	hook.Name = "written with the new key"
	storetest.Change(t, server, func(tx *store.Tx) error { return tx.SaveWebhook(hook) })
	if used := query[int64](t, server, fmt.Sprintf("SELECT sealed_key FROM webhooks WHERE id = %d", hook.ID))[0]; used != int64(id) {
		t.Errorf("it is encrypted with %d, want %d", used, id)
	}
	if removed, _, err := command.PruneSecretKeys(t.Context()); err != nil || len(removed) != 0 {
		t.Fatalf("removed while it is needed: %d, %v", removed, err)
	}
	var steps []int
	if done, failed, err := command.Reseal(t.Context(), func(done int) { steps = append(steps, done) }); done != 152 || failed != 0 || err != nil || !slices.Equal(steps, []int{100, 152}) {
		t.Errorf("encrypted anew: %d, %d, %v, in steps %d", done, failed, err, steps)
	}
	wantWebhook(t, server, hook)
	removed, _, err := command.PruneSecretKeys(t.Context())
	if err != nil || !slices.Equal(removed, []secrets.KeyID{secrets.KeyID(first)}) {
		t.Fatalf("removed %d, %v, want %d", removed, err, first)
	}
	var told []string
	for _, e := range audited(t, command, 0, store.AuditFilter{}) {
		told = append(told, e.Action+" "+e.After)
	}
	if want := []string{fmt.Sprintf(`secret_key.used {"keys":"%d"}`, id), fmt.Sprintf(`secret_keys.removed {"keys":"%d"}`, first)}; !slices.Equal(told, want) {
		t.Errorf("the audit log has %q, want %q", told, want)
	}
	status, err := command.SecretsStatus(t.Context())
	if err != nil || status.KeysError != nil || len(status.Keys) != 1 || status.Keys[0].ID != id || !status.Keys[0].Main || status.Keys[0].Secrets != 153 || status.Unreadable+status.Plain+len(status.Unused) != 0 {
		t.Errorf("the status is %+v, %v", status, err)
	}
	wantWebhook(t, server, hook)
	closeStore(t, server)
	if err := openServer(t, database, file); err != nil {
		t.Errorf("the next start: %v", err)
	}
}

// A server that lacks the key it is to encrypt with says so, asks for it no more than once a second, and goes on once it is there.
func TestSecrets_keyThatAServerLacks(t *testing.T) {
	database := storetest.Database(t)
	clock := clockwork.NewFakeClockAt(storetest.Start)
	mine, err := secrets.NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	source := &counted{Memory: mine}
	server := storetest.Open(t, database, store.Options{Node: "one", Secrets: source, Clock: clock})
	hook, _ := addSecrets(t, server)
	more, id, err := mine.Keys.Add()
	if err != nil {
		t.Fatal(err)
	}
	command := storetest.Open(t, database, store.Options{Secrets: &secrets.Memory{Keys: more}, Clock: clock})
	if _, _, err := command.UseSecretKey(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	read := source.read
	for range 3 {
		err := server.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveWebhook(hook) })
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d", id)) {
			t.Errorf("saving: %v", err)
		}
	}
	if source.read != read+1 {
		t.Errorf("the source was read %d times", source.read-read)
	}
	if got, err := server.Webhook(t.Context(), 1, hook.ID); err != nil || got.Secret != hookSecret {
		t.Errorf("what has the old key is %+v, %v", got, err)
	}
	mine.Keys = more
	clock.Advance(time.Second)
	if err := server.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveWebhook(hook) }); err != nil {
		t.Error(err)
	}
	wantWebhook(t, server, hook)
}

// counted is keys that count how often they are read.
type counted struct {
	*secrets.Memory
	read int
}

func (c *counted) Read(ctx context.Context) (*secrets.Keys, error) {
	c.read++
	return c.Memory.Read(ctx)
}

// An installation whose key is lost can be had back without its secrets.
func TestResetSecrets(t *testing.T) {
	database, folder := storetest.Database(t), t.TempDir()
	lost := secrets.File(filepath.Join(folder, "lost.key"))
	s := storetest.Open(t, database, store.Options{Node: "one", Secrets: lost})
	hook, lane := addSecrets(t, s)
	closeStore(t, s)
	file := secrets.File(filepath.Join(folder, "new.key"))
	s = storetest.Open(t, database, store.Options{Secrets: file})
	if n, err := s.ResetSecrets(t.Context()); n != 2 || err != nil {
		t.Fatalf("reset %d, %v", n, err)
	}
	if e := audited(t, s, 0, store.AuditFilter{}); len(e) != 1 || e[0].Action != "secret_keys.reset" {
		t.Errorf("the audit log has %+v", e)
	}
	w, err := s.Webhook(t.Context(), 1, hook.ID)
	if err != nil || len(w.Secret) != 32 || w.OldSecret != "" || len(w.Headers) != 0 || w.Status != bugle.Paused || w.URL != hook.URL {
		t.Errorf("the webhook is %+v, %v", w, err)
	}
	if w, err = s.LaneWebhook(t.Context(), lane.ID); err != nil || w.Setting("url") != "" {
		t.Errorf("the channel is %+v, %v", w, err)
	}
	if n, err := s.ResetSecrets(t.Context()); n != 0 || err != nil {
		t.Errorf("reset again: %d, %v", n, err)
	}
	wantFaults(t, prove(t, s))
	closeStore(t, s)
	if err := openServer(t, database, file); err != nil {
		t.Error(err)
	}
}

// Rows that are copied open in the other database with the same keys, and only with them.
func TestCopy_secrets(t *testing.T) {
	t.Setenv("BUGLE_TEST_POSTGRES", "")
	database, file := storetest.Database(t), secrets.File(filepath.Join(t.TempDir(), "secrets.key"))
	s := storetest.Open(t, database, store.Options{Node: "one", Secrets: file})
	hook, _ := addSecrets(t, s)
	closeStore(t, s)
	to := "sqlite:" + filepath.Join(t.TempDir(), "copy.db")
	if _, err := store.Copy(t.Context(), database, to, store.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := openServer(t, to, nil); err == nil || !strings.Contains(err.Error(), "put the file with the key back") {
		t.Errorf("without the key: %v", err)
	}
	wantWebhook(t, storetest.Open(t, to, store.Options{Node: "two", Secrets: file}), hook)
}
