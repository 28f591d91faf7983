package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

type authorKey struct{}

// WithAuthor returns a context in which changes of the configuration are the author's: Update tells the audit log so. Without
// one they are the server's own.
func WithAuthor(ctx context.Context, a bugle.Author) context.Context {
	return context.WithValue(ctx, authorKey{}, a)
}

func authorOf(ctx context.Context) bugle.Author {
	a, _ := ctx.Value(authorKey{}).(bugle.Author)
	if a.Kind == "" {
		a.Kind = bugle.ByServer
	}
	return a
}

// An attribute is a part of what the audit log tells the changes of.
type attribute struct {
	name   string
	value  any // as package value has it
	masked any // shown in its place; nil: it is no secret
}

// maxAudited is how long the JSON of an attribute may be in the audit log; of a longer one its beginning is shown, and its
// hash. maxAuditName is how long names may be.
const (
	maxAudited   = 2000
	maxAuditName = 255
)

// shown is the attribute as the audit log has it.
func (a attribute) shown() (any, error) {
	v := a.value
	if a.masked != nil && !isBlank(v) {
		v = a.masked
	}
	if text, isText := v.(string); isText {
		v = auditText(text, -1)
	}
	text, err := value.JSON(v)
	if err != nil || len(text) <= maxAudited {
		return v, err
	}
	return fmt.Sprintf("%s… (%d bytes of JSON, SHA-256 %x)", strings.ToValidUTF8(string(text[:maxAudited/2]), ""), len(text), sha256.Sum256(text)), nil
}

// auditText is a text that every database keeps as it is, of at most so many bytes; -1: any number.
func auditText(text string, most int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if most >= 0 && len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}

func isBlank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case *value.Array:
		return v.Len() == 0
	}
	return false
}

// changedOnly renders two states of a subject without what is the same in both. Nil is that there was, or is, no subject: then
// what is blank is left out of the other.
func changedOnly(before, after []attribute) (was, is string, err error) {
	old, now := value.NewArray(4), value.NewArray(4)
	put := func(to *value.Array, a attribute) error {
		v, err := a.shown()
		to.Set(a.name, v)
		return err
	}
	switch {
	case before == nil || after == nil:
		for to, list := range map[*value.Array][]attribute{old: before, now: after} {
			for _, a := range list {
				if isBlank(a.value) {
					continue
				}
				if err := put(to, a); err != nil {
					return "", "", err
				}
			}
		}
	default:
		for i := range before {
			same, err := sameJSON(before[i].value, after[i].value)
			if err != nil {
				return "", "", err
			}
			if same {
				continue
			}
			if err := errors.Join(put(old, before[i]), put(now, after[i])); err != nil {
				return "", "", err
			}
		}
	}
	if was, err = objectJSON(old); err == nil {
		is, err = objectJSON(now)
	}
	return was, is, err
}

func sameJSON(a, b any) (bool, error) {
	one, err := value.JSON(a)
	if err != nil {
		return false, err
	}
	other, err := value.JSON(b)
	return bytes.Equal(one, other), err
}

// objectJSON is value.JSON of an object, also of an empty one.
func objectJSON(a *value.Array) (string, error) {
	if a.Len() == 0 {
		return "{}", nil
	}
	text, err := value.JSON(a)
	return string(text), err
}

// auditChange tells the audit log of a change of a subject, unless its states are the same.
func (tx *Tx) auditChange(organizationID int64, action string, subject bugle.Subject, before, after []attribute) error {
	was, is, err := changedOnly(before, after)
	if err != nil {
		return fmt.Errorf("audit %s: %w", action, err)
	}
	if before != nil && after != nil && was == "{}" && is == "{}" {
		return nil
	}
	return tx.addAuditEntry(&bugle.AuditEntry{OrganizationID: organizationID, Author: tx.author, Action: action, Subject: subject, Before: was, After: is})
}

// audit tells the audit log of what has no states, with what there is to say of it.
func (tx *Tx) audit(organizationID int64, action string, subject bugle.Subject, facts ...attribute) error {
	return tx.auditChange(organizationID, action, subject, nil, facts)
}

// addAuditEntry puts an entry at the end of the chain of its organization. Transactions that change something run one at a
// time, so nobody else adds one there.
func (tx *Tx) addAuditEntry(e *bugle.AuditEntry) error {
	if e.Author.Kind == "" {
		e.Author.Kind = bugle.ByServer
	}
	e.Author.Name, e.Subject.Name = auditText(e.Author.Name, maxAuditName), auditText(e.Subject.Name, maxAuditName)
	e.Author.Address, e.Author.RequestID = auditText(e.Author.Address, maxAuditName), auditText(e.Author.RequestID, maxAuditName)
	e.CreatedAt = tx.now
	var previous []byte
	err := tx.one([]any{&e.Number, &previous}, "SELECT number, hash FROM audit_heads WHERE organization_id = $1", e.OrganizationID)
	if err != nil && !errors.Is(err, bugle.ErrNotFound) {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	e.Number++
	e.Hash = e.ChainHash(previous)
	err = tx.exec(`
		INSERT INTO audit_entries (organization_id, number, created_us, author_kind, author_id, author_name, address, request_id,
		    action, subject_kind, subject_id, subject_name, old_values, new_values, hash)
		VALUES (`+parameters(1, 15)+`)`,
		e.OrganizationID, e.Number, e.CreatedAt.UnixMicro(), string(e.Author.Kind), e.Author.ID, e.Author.Name, e.Author.Address, e.Author.RequestID,
		e.Action, e.Subject.Kind, e.Subject.ID, e.Subject.Name, e.Before, e.After, e.Hash)
	if err == nil {
		err = tx.exec(`
			INSERT INTO audit_heads (organization_id, number, hash) VALUES ($1, $2, $3)
			ON CONFLICT (organization_id) DO UPDATE SET number = excluded.number, hash = excluded.hash`, e.OrganizationID, e.Number, e.Hash)
	}
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return nil
}

const auditColumns = `a.organization_id, a.number, a.created_us, a.author_kind, a.author_id, a.author_name, a.address, a.request_id,
	a.action, a.subject_kind, a.subject_id, a.subject_name, a.old_values, a.new_values, a.hash`

func scanAuditEntry(scan func(to ...any) error) (*bugle.AuditEntry, error) {
	var e bugle.AuditEntry
	var created int64
	err := scan(&e.OrganizationID, &e.Number, &created, &e.Author.Kind, &e.Author.ID, &e.Author.Name, &e.Author.Address, &e.Author.RequestID,
		&e.Action, &e.Subject.Kind, &e.Subject.ID, &e.Subject.Name, &e.Before, &e.After, &e.Hash)
	e.CreatedAt = time.UnixMicro(created).UTC()
	return &e, err
}

// An AuditFilter narrows the list of the audit log; what is zero does not.
type AuditFilter struct {
	Action      string // "webhook.updated", or what is before the dot
	AuthorKind  bugle.AuthorKind
	AuthorID    int64
	SubjectKind string
	SubjectID   int64
	Since       time.Time // at this time or later
	Until       time.Time // before this time
}

// AuditEntries returns a page of the organization's audit log, newest first; organization 0 has what belongs to none. Numbers
// take the place of ids in the request.
func (s *Store) AuditEntries(ctx context.Context, organizationID int64, f AuditFilter, p PageRequest) (Page[*bugle.AuditEntry], error) {
	of := source{tables: "audit_entries a", id: "a.number", key: "a.number", created: "a.created_us"}.with("a.organization_id = ?", organizationID)
	filter := &logFilter{since: f.Since, until: f.Until}
	switch {
	case strings.Contains(f.Action, "."):
		filter.add("a.action = ?", f.Action)
	case f.Action != "":
		filter.add("a.action >= ?", f.Action+".")
		filter.add("a.action < ?", f.Action+"/")
	}
	if f.AuthorKind != "" {
		filter.add("a.author_kind = ?", string(f.AuthorKind))
	}
	if f.AuthorID != 0 {
		filter.add("a.author_id = ?", f.AuthorID)
	}
	if f.SubjectKind != "" {
		filter.add("a.subject_kind = ?", f.SubjectKind)
	}
	if f.SubjectID != 0 {
		filter.add("a.subject_id = ?", f.SubjectID)
	}
	c := s.view()
	page, err := readLog(ctx, c, []source{of}, filter, p, func(numbers []int64) (list []*bugle.AuditEntry, err error) {
		err = c.each(ctx, func(scan func(to ...any) error) error {
			e, err := scanAuditEntry(scan)
			list = append(list, e)
			return err
		}, "SELECT "+auditColumns+" FROM audit_entries a WHERE a.organization_id = $1 AND "+inIDs("a.number", 2)+" ORDER BY a.number DESC",
			organizationID, idList(numbers))
		return list, err
	})
	if err != nil {
		return page, fmt.Errorf("list audit log: %w", err)
	}
	return page, nil
}

// An AuditChain is what walking along the audit log of an organization has shown.
type AuditChain struct {
	OrganizationID int64 // 0: what belongs to none
	Entries        int64 // as many as there should be
	Hash           []byte
	BrokenAt       int64  // the number of the first entry that is not as it was written; 0: there is none
	Problem        string // what is wrong with it; empty: nothing
}

// auditPage is how many entries one statement reads.
const auditPage = 1000

// CheckAudit walks along the audit log of each organization, up to what is its newest entry now. It may run beside a server.
// The pause, if there is one, is called after each statement with how long it took.
func (s *Store) CheckAudit(ctx context.Context, pause func(took time.Duration)) ([]AuditChain, error) {
	return checkAudit(ctx, s.view(), pause)
}

func checkAudit(ctx context.Context, c conn, pause func(time.Duration)) ([]AuditChain, error) {
	var chains []AuditChain
	err := c.each(ctx, func(scan func(to ...any) error) error {
		var chain AuditChain
		err := scan(&chain.OrganizationID, &chain.Entries, &chain.Hash)
		chains = append(chains, chain)
		return err
	}, `
		SELECT h.organization_id, h.number, h.hash FROM audit_heads h
		UNION ALL
		SELECT DISTINCT a.organization_id, 0, `+c.dialect.textBytes("''")+` FROM audit_entries a
		WHERE  NOT EXISTS (SELECT 1 FROM audit_heads h WHERE h.organization_id = a.organization_id)
		ORDER  BY 1`)
	for i := 0; err == nil && i < len(chains); i++ {
		err = chains[i].walk(ctx, c, pause)
	}
	if err != nil {
		return nil, fmt.Errorf("check audit log: %w", err)
	}
	return chains, nil
}

// walk looks for the first entry that is not as it was written.
func (a *AuditChain) walk(ctx context.Context, c conn, pause func(time.Duration)) error {
	if a.Entries == 0 {
		a.BrokenAt, a.Problem = 1, "which entry is the newest is not known any more: its row in audit_heads is gone"
		return nil
	}
	var last int64
	var hash []byte
	for last < a.Entries {
		began, n := time.Now(), 0
		err := c.each(ctx, func(scan func(to ...any) error) error {
			n++
			e, err := scanAuditEntry(scan)
			if err != nil || a.BrokenAt != 0 {
				return err
			}
			switch {
			case e.Number != last+1:
				a.BrokenAt, a.Problem = last+1, fmt.Sprintf("entry %d is missing", last+1)
			case !bytes.Equal(e.Hash, e.ChainHash(hash)):
				a.BrokenAt, a.Problem = e.Number, fmt.Sprintf("entry %d, %s of %s, is not as it was written, or the one before it is not", e.Number, e.Action, bugle.FormatTime(e.CreatedAt))
			}
			last, hash = e.Number, e.Hash
			return nil
		}, "SELECT "+auditColumns+" FROM audit_entries a WHERE a.organization_id = $1 AND a.number > $2 AND a.number <= $3 ORDER BY a.number LIMIT $4",
			a.OrganizationID, last, a.Entries, auditPage)
		if err != nil {
			return err
		}
		if pause != nil {
			pause(time.Since(began))
		}
		switch {
		case a.BrokenAt != 0:
			return nil
		case n == 0:
			a.BrokenAt, a.Problem = last+1, fmt.Sprintf("entries %d to %d, the newest, are missing", last+1, a.Entries)
			return nil
		}
	}
	if !bytes.Equal(hash, a.Hash) {
		a.BrokenAt, a.Problem = last, fmt.Sprintf("entry %d is not the one that was written last", last)
	}
	return nil
}
