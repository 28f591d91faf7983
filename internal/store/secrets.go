package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/value"
)

// SecretsSource is where the keys to a database's secrets are unless an option says otherwise: a file beside that of SQLite,
// or in bugle-data.
func SecretsSource(database string) secrets.Source {
	path, isFile := strings.CutPrefix(database, "sqlite:")
	if !isFile {
		return secrets.File(filepath.Join("bugle-data", "secrets.key"))
	}
	return secrets.File(filepath.Join(filepath.Dir(path), "secrets.key"))
}

// seals have the keys, once they were needed.
type seals struct {
	store  *Store
	source secrets.Source
	clock  clockwork.Clock

	keys atomic.Pointer[secrets.Keys] // nil: not read yet

	mu     sync.Mutex // of who reads or changes them, which takes as long as the source does
	made   bool       // the first key was made here
	failed error      // why they could not be read at readAt
	readAt time.Time  // when they were last read because they, or one of them, were missing
}

// rereadAfter is how often the source is asked for a key that was not there.
const rereadAfter = time.Second

// aboutProof is what the proof of a key is about, and of what it is the encryption.
const aboutProof = "bugle secret_keys.proof"

// aboutWebhook is what the secrets of a webhook are bound to: they open in no other row. It is the same in every database,
// so that rows can be copied.
func aboutWebhook(organizationID, id int64) []byte {
	return fmt.Appendf(nil, "bugle webhooks.sealed organization=%d id=%d", organizationID, id)
}

// A SecretKey is a key that the database knows.
type SecretKey struct {
	ID        secrets.KeyID
	Main      bool // what is new is encrypted with it
	CreatedAt time.Time
	Secrets   int // how many webhooks, channels and second factors have secrets that it encrypts
	proof     []byte
}

func selectSecretKeys(ctx context.Context, c conn) ([]SecretKey, error) {
	var list []SecretKey
	err := c.each(ctx, func(scan func(to ...any) error) error {
		var k SecretKey
		var created int64
		err := scan(&k.ID, &k.proof, &k.Main, &created)
		k.CreatedAt = fromMicroseconds(created)
		list = append(list, k)
		return err
	}, "SELECT key_id, proof, main, created_us FROM secret_keys ORDER BY created_us, key_id")
	if err != nil {
		return nil, fmt.Errorf("read which keys encrypt secrets: %w", err)
	}
	return list, nil
}

// read asks the source for the keys, and checks that they are those of the database.
func (s *seals) read(ctx context.Context, known []SecretKey) (*secrets.Keys, error) {
	keys, err := s.source.Read(ctx)
	if len(known) == 0 {
		if err != nil && !errors.Is(err, secrets.ErrNoKeys) {
			err = fmt.Errorf("read the key to secrets (--secrets-key %s): %w", s.source, err)
		}
		return keys, err
	}
	ids := make([]string, len(known))
	for i, k := range known {
		ids[i] = fmt.Sprint(k.ID)
	}
	switch {
	case errors.Is(err, secrets.ErrNoKeys):
		return nil, fmt.Errorf("the secrets in the database are encrypted with the key %s, and %s has none (%w): put the file with the key back, or say where it is by --secrets-key; if it is lost, \"bugle secrets reset\" gives up the secrets",
			strings.Join(ids, ", "), s.source, err)
	case err != nil:
		return nil, fmt.Errorf("read the key to secrets (--secrets-key %s): %w", s.source, err)
	}
	for _, k := range known {
		if !keys.Has(k.ID) {
			return nil, fmt.Errorf("the secrets in the database are encrypted with the key %s, and %s has other keys, without %d: put the right one there, the same for every server, or say where it is by --secrets-key; if it is lost, \"bugle secrets reset\" gives up the secrets",
				strings.Join(ids, ", "), s.source, k.ID)
		}
		if text, err := keys.Open(k.proof, []byte(aboutProof)); err != nil || string(text) != aboutProof {
			return nil, fmt.Errorf("the key %d in %s is another than that of the same id which the secrets in the database are encrypted with: put the right one there", k.ID, s.source)
		}
	}
	return keys, nil
}

// reread reads the keys anew. Those that there were stay if that fails.
func (s *seals) reread(ctx context.Context) (*secrets.Keys, error) {
	known, err := selectSecretKeys(ctx, s.store.view())
	if err != nil {
		return nil, err
	}
	keys, err := s.read(ctx, known)
	if err != nil {
		return nil, err
	}
	s.keys.Store(keys)
	s.failed = nil
	return keys, nil
}

// with returns the keys, among which is the one with the id: if it is not, somebody may have added it since they were read.
func (s *seals) with(ctx context.Context, id secrets.KeyID) (*secrets.Keys, error) {
	if keys := s.keys.Load(); keys != nil && keys.Has(id) {
		return keys, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.keys.Load()
	if keys != nil && keys.Has(id) {
		return keys, nil
	}
	if s.clock.Since(s.readAt) >= rereadAfter {
		keys, s.failed = s.reread(ctx)
		s.readAt = s.clock.Now()
	}
	if s.failed != nil {
		return nil, s.failed
	}
	if !keys.Has(id) {
		return nil, fmt.Errorf("%s has no key %d, with which secrets in the database are encrypted", s.source, id)
	}
	return keys, nil
}

// open decrypts what is sealed in a row.
func (s *seals) open(ctx context.Context, sealed, about []byte) ([]byte, error) {
	id, ok := secrets.SealedWith(sealed)
	if !ok {
		return nil, errors.New("it was not encrypted by Bugle")
	}
	keys, err := s.with(ctx, id)
	if err != nil {
		return nil, err
	}
	return keys.Open(sealed, about)
}

// seal encrypts with the main key, as it is in the transaction, so that no key is removed that a change still uses.
func (tx *Tx) seal(text, about []byte) (sealed []byte, id secrets.KeyID, err error) {
	s, ctx := tx.w.store.seals, context.Background()
	err = tx.view().one(ctx, []any{&id}, "SELECT key_id FROM secret_keys WHERE main")
	if errors.Is(err, bugle.ErrNotFound) {
		id, err = tx.firstKey(ctx)
	}
	if err != nil {
		return nil, 0, err
	}
	keys, err := s.with(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	sealed, err = keys.Seal(id, text, about)
	return sealed, id, err
}

// firstKey notes the key of a database that has none, and makes one if there is none yet.
func (tx *Tx) firstKey(ctx context.Context) (secrets.KeyID, error) {
	s := tx.w.store.seals
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := s.read(ctx, nil)
	if errors.Is(err, secrets.ErrNoKeys) {
		keys, err = s.make(err)
	}
	if err != nil {
		return 0, err
	}
	s.keys.Store(keys)
	return keys.Primary(), tx.addSecretKey(keys, keys.Primary())
}

// make makes the first key, if the source can be written to.
func (s *seals) make(missing error) (*secrets.Keys, error) {
	to, writable := s.source.(secrets.Writable)
	if !writable {
		return nil, fmt.Errorf("there is no key to encrypt secrets with: %w; put there what \"bugle secrets new\" prints", missing)
	}
	keys, err := secrets.New()
	if err == nil {
		keys, err = to.Create(keys)
	}
	if err != nil {
		return nil, fmt.Errorf("make a key to encrypt secrets with (--secrets-key %s): %w", s.source, err)
	}
	s.made = true
	return keys, nil
}

// addSecretKey makes a key the main one.
func (tx *Tx) addSecretKey(keys *secrets.Keys, id secrets.KeyID) error {
	proof, err := keys.Seal(id, []byte(aboutProof), []byte(aboutProof))
	if err != nil {
		return err
	}
	if err := tx.exec("UPDATE secret_keys SET main = FALSE WHERE main"); err != nil {
		return err
	}
	return tx.exec(`
		INSERT INTO secret_keys (key_id, proof, main, created_us) VALUES ($1, $2, TRUE, $3)
		ON CONFLICT (key_id) DO UPDATE SET main = TRUE`, int64(id), proof, tx.now.UnixMicro())
}

// auditSecretKeys tells the server's own audit log what has become of keys.
func (tx *Tx) auditSecretKeys(action string, ids ...secrets.KeyID) error {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatInt(int64(id), 10)
	}
	return tx.audit(0, action, serverSubject, attribute{name: "keys", value: strings.Join(texts, ", ")})
}

// beginSecrets checks the keys when a server starts, makes the first one, and encrypts what older versions have written.
func (s *Store) beginSecrets(ctx context.Context, o Options) error {
	known, err := selectSecretKeys(ctx, s.view())
	if err != nil {
		return err
	}
	if len(known) == 0 {
		made := s.Update(ctx, func(tx *Tx) error {
			known, err := selectSecretKeys(ctx, tx.view())
			if err != nil || len(known) > 0 {
				return err
			}
			_, err = tx.firstKey(ctx)
			return err
		})
		if known, err = selectSecretKeys(ctx, s.view()); err != nil || len(known) == 0 {
			return errors.Join(made, err)
		} // or another node was first, with a key of its own, and the next lines say so
	}
	s.seals.mu.Lock()
	_, err = s.seals.reread(ctx)
	made := s.seals.made
	s.seals.mu.Unlock()
	if err != nil {
		return err
	}
	if made {
		o.Log.InfoContext(ctx, "the key to secrets was made: keep a copy of it apart from the database", "key", s.seals.source.String())
	}
	if w, ok := s.seals.source.(secrets.Writable); ok && w.Warning() != "" {
		o.Log.WarnContext(ctx, "the keys to secrets are not kept well", "warning", w.Warning())
	}
	return s.sealOld(ctx, o)
}

// sealOld encrypts secrets that are in the tables as they are, in steps, and leaves no copy of them in the file.
func (s *Store) sealOld(ctx context.Context, o Options) error {
	var plain int
	if err := s.view().one(ctx, []any{&plain}, "SELECT COUNT(*) FROM webhooks WHERE sealed_key = 0"); err != nil || plain == 0 {
		return err
	}
	var done, failed int
	err := s.dialect.erasing(ctx, s, func() (err error) {
		done, failed, err = s.resealAll(ctx, "w.sealed_key = 0", nil)
		return err
	})
	if err == nil {
		err = s.dialect.endLog(ctx, s)
	}
	if err != nil && !errors.Is(err, errBusy) { // who reads now sees to it that the log ends later
		return fmt.Errorf("encrypt secrets: %w", err)
	}
	o.Log.InfoContext(ctx, "secrets encrypted", "webhooks", done, "failed", failed)
	return nil
}

// CheckSecrets returns why secrets cannot be encrypted with the key that is to be used; nil: they can. Errors of the database
// are left to who checks that.
func (s *Store) CheckSecrets(ctx context.Context) error {
	var id secrets.KeyID
	if err := s.view().one(ctx, []any{&id}, "SELECT key_id FROM secret_keys WHERE main"); err != nil {
		return nil
	}
	_, err := s.seals.with(ctx, id)
	return err
}

// resealPage is how many webhooks a step encrypts anew.
const resealPage = 100

// Reseal encrypts everything anew that is not encrypted with the main key, in small steps between which others work. It
// returns how many webhooks, channels and second factors that were, and how many cannot be read. The step is told now and then how many are
// done; nil: nobody is.
func (s *Store) Reseal(ctx context.Context, step func(done int)) (done, failed int, err error) {
	done, failed, err = s.resealAll(ctx, "w.sealed_key <> (SELECT key_id FROM secret_keys WHERE main)", step)
	for after, n := int64(0), resealPage; err == nil && n == resealPage; {
		var bad int
		if err = s.Update(ctx, func(tx *Tx) (err error) {
			after, n, bad, err = tx.resealSecondFactors(ctx, after)
			return err
		}); err == nil {
			done, failed = done+n-bad, failed+bad
		}
		if n > 0 && step != nil {
			step(done)
		}
	}
	if err != nil {
		return done, failed, fmt.Errorf("encrypt secrets anew: %w", err)
	}
	return done, failed, nil
}

func (s *Store) resealAll(ctx context.Context, which string, step func(done int)) (done, failed int, err error) {
	for after := int64(0); ; {
		var n, bad int
		err := s.Update(ctx, func(tx *Tx) error {
			n, bad = 0, 0
			ids, err := tx.view().ids(ctx, "SELECT w.id FROM webhooks w WHERE w.id > $1 AND "+which+" ORDER BY w.id LIMIT $2", after, resealPage)
			for _, id := range ids {
				after = id
				n++
				w, err := findWebhook(ctx, tx.view(), "WHERE w.id = $1", id)
				if errors.Is(err, ErrUnreadable) {
					bad++
					continue
				}
				if err == nil {
					err = tx.sealWebhook(w)
				}
				if err != nil {
					return err
				}
			}
			return err
		})
		if err != nil {
			return done, failed, err
		}
		done, failed = done+n-bad, failed+bad
		if n > 0 && step != nil {
			step(done)
		}
		if n < resealPage {
			return done, failed, nil
		}
	}
}

// sealWebhook writes the secrets of a webhook, encrypted, and empties the columns in which they were.
func (tx *Tx) sealWebhook(w *bugle.Webhook) error {
	text, err := secretsOf(w)
	if err != nil {
		return err
	}
	sealed, key, err := tx.seal(text, aboutWebhook(w.OrganizationID, w.ID))
	if err != nil {
		return fmt.Errorf("encrypt the secrets of webhook %d: %w", w.ID, err)
	}
	return tx.exec("UPDATE webhooks SET sealed = $1, sealed_key = $2, secret = '', old_secret = '', headers = '[]', settings = '' WHERE id = $3",
		sealed, int64(key), w.ID)
}

// secretsOf is what is encrypted of a webhook: an object in JSON.
func secretsOf(w *bugle.Webhook) ([]byte, error) {
	// A list of pairs, because names such as "1" would lose their case or place as keys.
	headers := make([]any, len(w.Headers))
	for i, h := range w.Headers {
		headers[i] = value.List(h.Name, h.Value)
	}
	all := value.Map("secret", w.Secret, "old_secret", w.OldSecret, "headers", value.List(headers...))
	if w.PolicyKey != "" {
		all.Set("policy_key", w.PolicyKey)
	}
	if w.Channel != "" {
		all.Set("settings", w.Settings)
	}
	text, err := value.JSON(all)
	if err != nil {
		return nil, fmt.Errorf("secrets of webhook %d: %w", w.ID, err)
	}
	return text, nil
}

// ErrUnreadable is what an error is when a webhook is there, and its secrets cannot be read.
var ErrUnreadable = errors.New("secrets cannot be read")

// An unreadableError says that secrets cannot be read.
type unreadableError struct {
	id    int64 // of the webhook, or of the lane of a channel
	cause error
}

func (e *unreadableError) Error() string {
	return fmt.Sprintf("the secrets of webhook %d cannot be read: %v", e.id, e.cause)
}

func (e *unreadableError) Unwrap() []error { return []error{ErrUnreadable, e.cause} }

// openWebhook fills in what is encrypted of a webhook.
func (s *seals) openWebhook(ctx context.Context, w *bugle.Webhook, sealed []byte) error {
	text, err := s.open(ctx, sealed, aboutWebhook(w.OrganizationID, w.ID))
	if err != nil {
		return &unreadableError{w.ID, err}
	}
	decoded, err := value.Decode(text)
	if err != nil {
		return &unreadableError{w.ID, errors.New("they are no JSON")}
	}
	all, _ := decoded.(*value.Array)
	secret, _ := all.Get("secret")
	w.Secret, _ = secret.(string)
	old, _ := all.Get("old_secret")
	w.OldSecret, _ = old.(string)
	key, _ := all.Get("policy_key")
	w.PolicyKey, _ = key.(string)
	headers, _ := all.Get("headers")
	pairs, _ := headers.(*value.Array)
	w.Headers = headersOf(pairs)
	if w.Channel != "" {
		settings, _ := all.Get("settings")
		w.Settings, _ = settings.(*value.Array)
	}
	return nil
}

func headersOf(pairs *value.Array) []bugle.Header {
	var list []bugle.Header
	for _, v := range pairs.All() {
		pair, _ := v.(*value.Array)
		name, _ := pair.Get("0")
		text, _ := pair.Get("1")
		h := bugle.Header{}
		h.Name, _ = name.(string)
		h.Value, _ = text.(string)
		list = append(list, h)
	}
	return list
}

// SecretsStatus says how the secrets in a database are encrypted.
type SecretsStatus struct {
	Source     string          // of the keys
	Keys       []SecretKey     // that the database knows, oldest first
	Unused     []secrets.KeyID // of the source, which the database does not know: they were added for later
	Plain      int             // how many webhooks and channels have secrets that are not encrypted yet
	Unreadable int             // how many have secrets that do not open
	First      []Unreadable    // of those, by their ids; no more than maxUnreadable
	Warning    string          // of how the keys are kept; empty: well
	KeysError  error           // why the keys cannot be read; nil: they can
}

// Unreadable is a webhook, a channel or a second factor whose secrets do not open.
type Unreadable struct {
	ID             int64 // of the webhook, or of the lane of a channel; 0: it is a second factor
	UserID         int64 // whose second factor it is
	OrganizationID int64
	Channel        string // empty: a webhook
	Name           string // of the webhook or the user
	Reason         string
}

// String says whose secrets they are.
func (u Unreadable) String() string {
	if u.UserID != 0 {
		return fmt.Sprintf("the second factor of user %d %q of organization %d", u.UserID, u.Name, u.OrganizationID)
	}
	if u.Channel != "" {
		return fmt.Sprintf("the channel %s of organization %d", u.Channel, u.OrganizationID)
	}
	return fmt.Sprintf("webhook %d %q of organization %d", u.ID, u.Name, u.OrganizationID)
}

// maxUnreadable is how many a status names.
const maxUnreadable = 20

// SecretsStatus looks at all secrets. It only reads.
func (s *Store) SecretsStatus(ctx context.Context) (SecretsStatus, error) {
	status := SecretsStatus{Source: s.seals.source.String()}
	if w, ok := s.seals.source.(secrets.Writable); ok {
		status.Warning = w.Warning()
	}
	var err error
	if status.Keys, err = selectSecretKeys(ctx, s.view()); err != nil {
		return status, err
	}
	s.seals.mu.Lock()
	keys, err := s.seals.reread(ctx)
	s.seals.mu.Unlock()
	if err != nil && (len(status.Keys) > 0 || !errors.Is(err, secrets.ErrNoKeys)) {
		status.KeysError = err
	}
	count := map[secrets.KeyID]int{}
	err = s.eachSealed(ctx, nil, func(u Unreadable, key secrets.KeyID, plain bool, wrong error) {
		switch {
		case plain:
			status.Plain++
			return
		case wrong != nil:
			status.Unreadable++
			if len(status.First) < maxUnreadable {
				u.Reason = wrong.Error()
				status.First = append(status.First, u)
			}
		}
		count[key]++
	})
	for i := range status.First {
		u := &status.First[i]
		switch {
		case err != nil:
		case u.UserID != 0:
			err = s.view().one(ctx, []any{&u.Name}, "SELECT name FROM users WHERE id = $1", u.UserID)
		default:
			err = s.view().one(ctx, []any{&u.OrganizationID, &u.Channel, &u.Name}, "SELECT organization_id, channel, name FROM webhooks WHERE id = $1", u.ID)
		}
		if errors.Is(err, bugle.ErrNotFound) {
			err = nil // it was deleted meanwhile
		}
	}
	if err != nil {
		return status, fmt.Errorf("read secrets: %w", err)
	}
	known := map[secrets.KeyID]bool{}
	for i := range status.Keys {
		k := &status.Keys[i]
		k.Secrets, known[k.ID] = count[k.ID], true
	}
	if keys != nil {
		for _, id := range keys.IDs() {
			if !known[id] {
				status.Unused = append(status.Unused, id)
			}
		}
	}
	slices.Sort(status.Unused)
	return status, nil
}

// eachSealed opens the secrets of every webhook, channel and second factor, a page of rows at a time, and says of each whether they are
// plain, or why they do not open. Of what Unreadable has, only the ids are filled in.
func (s *Store) eachSealed(ctx context.Context, paused func(), with func(u Unreadable, key secrets.KeyID, plain bool, wrong error)) error {
	type row struct {
		id, organizationID int64
		key                secrets.KeyID
		sealed             []byte
	}
	for _, table := range []struct {
		query string
		about func(organizationID, id int64) []byte
		names func(r row) Unreadable
	}{
		{"SELECT id, organization_id, sealed_key, sealed FROM webhooks WHERE id > $1 ORDER BY id LIMIT $2", aboutWebhook,
			func(r row) Unreadable { return Unreadable{ID: r.id, OrganizationID: r.organizationID} }},
		{"SELECT user_id, organization_id, sealed_key, sealed FROM second_factors WHERE user_id > $1 ORDER BY user_id LIMIT $2", aboutSecondFactor,
			func(r row) Unreadable { return Unreadable{UserID: r.id, OrganizationID: r.organizationID} }},
	} {
		for after, n := int64(0), provePage; n == provePage; {
			var rows []row
			err := s.view().each(ctx, func(scan func(to ...any) error) error {
				var r row
				err := scan(&r.id, &r.organizationID, &r.key, &r.sealed)
				rows = append(rows, r)
				return err
			}, table.query, after, provePage)
			if err != nil {
				return err
			}
			n = len(rows)
			for _, r := range rows {
				after = r.id
				if r.key == 0 {
					with(table.names(r), 0, true, nil)
					continue
				}
				_, wrong := s.seals.open(ctx, r.sealed, table.about(r.organizationID, r.id))
				with(table.names(r), r.key, false, wrong)
			}
			if paused != nil {
				paused()
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

// AddSecretKey adds a new key to the source, where it can be written to, and returns its id and the keys with it. Nothing is
// encrypted with it before UseSecretKey: servers that share the database have to have it first.
func (s *Store) AddSecretKey(ctx context.Context) (id secrets.KeyID, keys *secrets.Keys, err error) {
	s.seals.mu.Lock()
	defer s.seals.mu.Unlock()
	if keys, err = s.seals.reread(ctx); err != nil {
		return 0, nil, err
	}
	if keys, id, err = keys.Add(); err != nil {
		return 0, nil, err
	}
	return id, keys, s.seals.replace(keys)
}

// replace writes other keys to the source if that is possible, and uses them.
func (s *seals) replace(keys *secrets.Keys) error {
	to, writable := s.source.(secrets.Writable)
	if !writable {
		return nil
	}
	if err := to.Replace(keys); err != nil {
		return fmt.Errorf("write the keys (%s): %w", s.source, err)
	}
	s.keys.Store(keys)
	return nil
}

// UseSecretKey lets everything that is written from now on be encrypted with a key that the source has; 0: the only one
// that nothing was encrypted with yet. It returns its id, and the keys with it as the primary one.
func (s *Store) UseSecretKey(ctx context.Context, id secrets.KeyID) (secrets.KeyID, *secrets.Keys, error) {
	status, err := s.SecretsStatus(ctx)
	if err == nil {
		err = status.KeysError
	}
	if err != nil {
		return 0, nil, err
	}
	if id == 0 {
		if len(status.Unused) != 1 {
			return 0, nil, fmt.Errorf("%s has %d keys that nothing was encrypted with yet, want one: \"bugle secrets add\" makes one, and --key says which", status.Source, len(status.Unused))
		}
		id = status.Unused[0]
	}
	s.seals.mu.Lock()
	defer s.seals.mu.Unlock()
	keys := s.seals.keys.Load()
	if keys == nil || !keys.Has(id) {
		return 0, nil, fmt.Errorf("%s has no key %d: \"bugle secrets status\" shows those that it has", status.Source, id)
	}
	if keys, err = keys.Use(id); err != nil {
		return 0, nil, err
	}
	// The file first: a server that starts in between finds a key that it does not use yet.
	if err := s.seals.replace(keys); err != nil {
		return 0, nil, err
	}
	err = s.Update(ctx, func(tx *Tx) error {
		if err := tx.addSecretKey(keys, id); err != nil {
			return err
		}
		return tx.auditSecretKeys("secret_key.used", id)
	})
	if err != nil {
		return 0, nil, fmt.Errorf("make key %d the main one: %w", id, err)
	}
	return id, keys, nil
}

// PruneSecretKeys removes those keys that nothing is encrypted with any more, from the database and from the source if it
// can be written to. It returns their ids, and the keys that are left.
func (s *Store) PruneSecretKeys(ctx context.Context) (removed []secrets.KeyID, left *secrets.Keys, err error) {
	s.seals.mu.Lock()
	defer s.seals.mu.Unlock()
	keys, err := s.seals.reread(ctx)
	if err != nil {
		return nil, nil, err
	}
	err = s.Update(ctx, func(tx *Tx) error {
		removed = nil
		err := tx.each(func(scan func(to ...any) error) error {
			var id secrets.KeyID
			err := scan(&id)
			removed = append(removed, id)
			return err
		}, "DELETE FROM secret_keys WHERE NOT main AND key_id NOT IN (SELECT sealed_key FROM webhooks UNION SELECT sealed_key FROM second_factors UNION SELECT known_key FROM erasures) RETURNING key_id")
		slices.SortFunc(removed, cmp.Compare[secrets.KeyID])
		if err != nil || len(removed) == 0 {
			return err
		}
		return tx.auditSecretKeys("secret_keys.removed", removed...)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("remove keys: %w", err)
	}
	for _, id := range removed {
		if keys.Primary() == id {
			var main secrets.KeyID
			if err := s.view().one(ctx, []any{&main}, "SELECT key_id FROM secret_keys WHERE main"); err != nil {
				return removed, nil, err
			}
			if keys, err = keys.Use(main); err != nil {
				return removed, nil, err
			}
		}
		if keys, err = keys.Without(id); err != nil {
			return removed, nil, err
		}
	}
	return removed, keys, s.seals.replace(keys)
}

// ResetSecrets gives up the secrets that do not open, for a database whose key is lost: such webhooks get a new secret, lose
// their headers and are paused, such channels lose their settings, and accounts with such a second factor lose it. It needs a key, and makes one where it can.
// It returns how many were reset.
func (s *Store) ResetSecrets(ctx context.Context) (reset int, err error) {
	s.seals.mu.Lock()
	keys, err := s.seals.read(ctx, nil)
	if errors.Is(err, secrets.ErrNoKeys) {
		keys, err = s.seals.make(err)
	}
	s.seals.keys.Store(keys)
	s.seals.mu.Unlock()
	if err != nil {
		return 0, err
	}
	err = s.Update(ctx, func(tx *Tx) error {
		known, err := selectSecretKeys(ctx, tx.view())
		if err != nil {
			return err
		}
		for _, k := range known {
			if text, err := keys.Open(k.proof, []byte(aboutProof)); err == nil && string(text) == aboutProof {
				continue
			}
			if err := tx.exec("DELETE FROM secret_keys WHERE key_id = $1", int64(k.ID)); err != nil {
				return err
			}
		}
		if err := tx.addSecretKey(keys, keys.Primary()); err != nil {
			return err
		}
		return tx.auditSecretKeys("secret_keys.reset", keys.Primary())
	})
	if err != nil {
		return 0, fmt.Errorf("reset secrets: %w", err)
	}
	var lost []Unreadable
	err = s.eachSealed(ctx, nil, func(u Unreadable, _ secrets.KeyID, plain bool, wrong error) {
		if !plain && wrong != nil {
			lost = append(lost, u)
		}
	})
	if err != nil {
		return 0, fmt.Errorf("reset secrets: %w", err)
	}
	for page := range slices.Chunk(lost, resealPage) {
		err := s.Update(ctx, func(tx *Tx) error {
			for _, u := range page {
				var err error
				if u.UserID == 0 {
					err = tx.resetWebhook(ctx, u.ID)
				} else {
					err = tx.resetSecondFactor(u.OrganizationID, u.UserID)
				}
				if err != nil {
					return fmt.Errorf("reset the secrets of %s: %w", u, err)
				}
			}
			return nil
		})
		if err != nil {
			return reset, err
		}
		reset += len(page)
	}
	return reset, nil
}

// resetWebhook gives a webhook secrets as a new one has them. It is paused, because its receiver does not know them.
func (tx *Tx) resetWebhook(ctx context.Context, id int64) error {
	if err := tx.exec("UPDATE webhooks SET sealed = NULL, sealed_key = 0, secret = '', old_secret = '', headers = '[]', settings = '[]', old_secret_us = 0 WHERE id = $1", id); err != nil {
		return err
	}
	w, err := findWebhook(ctx, tx.view(), "WHERE w.id = $1", id)
	if err != nil {
		return err
	}
	w.Secret = bugle.RandomText(32)
	w.NeedPolicyKey()
	if w.Channel == "" && w.Status == bugle.Active {
		w.Status = bugle.Paused
	}
	return tx.SaveWebhook(w)
}

// resetSecondFactor takes a second factor away whose key is lost, confirmed or not.
func (tx *Tx) resetSecondFactor(organizationID, userID int64) error {
	err := tx.RemoveSecondFactor(organizationID, userID)
	if errors.Is(err, bugle.ErrNotFound) {
		err = tx.exec("DELETE FROM second_factors WHERE organization_id = $1 AND user_id = $2", organizationID, userID)
	}
	return err
}
