package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// auditCommand is `bugle audit`.
type auditCommand struct {
	database
	Organization int64  `help:"Whose log; 0 is what belongs to none: attempts to sign in with an e-mail address that nobody has, and the sending of copies." default:"1"`
	Action       string `help:"Only entries of this action, such as webhook.updated, or of all that begin so, such as webhook."`
	Limit        int    `help:"How many of the newest." default:"100"`
	JSON         bool   `help:"Print an object a line." name:"json"`
}

// Help follows the one line that describes the command.
func (*auditCommand) Help() string {
	return `The newest entry comes first. It only reads, also beside a running server.

  bugle audit --action api_key
  bugle audit --organization 0 --json`
}

// Validate checks the options.
func (c *auditCommand) Validate() error {
	if c.Organization < 0 {
		return fmt.Errorf("--organization is %d, want the id of an organization, or 0", c.Organization)
	}
	if c.Limit < 1 {
		return fmt.Errorf("--limit is %d, want 1 or more", c.Limit)
	}
	return nil
}

// auditLine is an entry as JSON.
type auditLine struct {
	ID        int64           `json:"id"`
	CreatedAt time.Time       `json:"created_at"`
	Action    string          `json:"action"`
	Actor     auditName       `json:"actor"`
	Subject   auditName       `json:"subject"`
	Address   string          `json:"address,omitempty"`
	RequestID string          `json:"request_id,omitempty"`
	Before    json.RawMessage `json:"before"`
	After     json.RawMessage `json:"after"`
	Hash      string          `json:"hash"`
}

type auditName struct {
	Type string `json:"type"`
	ID   int64  `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Run prints the entries, a page at a time.
func (c *auditCommand) Run(ctx context.Context, out *output) error {
	db, err := store.Open(ctx, c.Database, store.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer db.Close()
	encoder := json.NewEncoder(out.Stdout)
	encoder.SetEscapeHTML(false)
	print := func(e *bugle.AuditEntry) error {
		if c.JSON {
			return encoder.Encode(auditLine{e.Number, e.CreatedAt, e.Action, auditName{string(e.Author.Kind), e.Author.ID, e.Author.Name},
				auditName{e.Subject.Kind, e.Subject.ID, e.Subject.Name}, e.Author.Address, e.Author.RequestID, json.RawMessage(e.Before), json.RawMessage(e.After),
				hex.EncodeToString(e.Hash)})
		}
		_, err := fmt.Fprintf(out.Stdout, "%d  %s  %s  %s %d %q  by %s %d %q  from %q  %s → %s\n", e.Number, bugle.FormatTime(e.CreatedAt), e.Action,
			e.Subject.Kind, e.Subject.ID, e.Subject.Name, e.Author.Kind, e.Author.ID, e.Author.Name, e.Author.Address, e.Before, e.After)
		return err
	}
	filter, at := store.AuditFilter{Action: c.Action}, store.PageRequest{Number: 1, CountTo: -1}
	for left := c.Limit; left > 0; {
		at.Limit = min(left, store.MaxLimit)
		page, err := db.AuditEntries(ctx, c.Organization, filter, at)
		if err != nil {
			return err
		}
		for _, e := range page.Items {
			if err := print(e); err != nil {
				return err
			}
		}
		left -= len(page.Items)
		switch {
		case page.Incomplete:
			at.Before = page.Reached
		case len(page.Items) < at.Limit:
			return nil
		default:
			at.Before = page.Items[len(page.Items)-1].Number
		}
	}
	return nil
}
