package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/internal/spelling"
	"github.com/buglehq/bugle/internal/store"
)

// doctorCommand is `bugle doctor`.
type doctorCommand struct {
	database
	Storage string `help:"Folder of uploaded files, as that of bugle serve." placeholder:"FOLDER" env:"BUGLE_STORAGE"`
	Prove   bool   `help:"Walk through the whole database, beside a running server, and show that nothing that was accepted is lost."`
	JSON    bool   `help:"Print the result as JSON."`
}

// Help follows the one line that describes the command.
func (*doctorCommand) Help() string {
	return `It only reads, and ends with status 1 if something is wrong.

  bugle doctor
  bugle doctor --prove --json`
}

// A finding is one thing that was looked at. Its state is ok, note (worth knowing) or wrong.
type finding struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Text  string `json:"text"`
}

// examination is what is printed as JSON.
type examination struct {
	OK       bool      `json:"ok"`
	Findings []finding `json:"findings"`
	Proof    *proof    `json:"proof,omitempty"`
}

// proof is a store.Proof as JSON.
type proof struct {
	Began      time.Time `json:"began_at"`
	TookMS     int64     `json:"took_ms"`
	Events     int       `json:"events"`
	Deliveries int       `json:"deliveries"`
	Webhooks   int       `json:"webhooks"`
	Runs       int       `json:"runs"`
	Orphans    int       `json:"orphans"`
	Broken     int       `json:"broken"`
	Faults     []fault   `json:"faults"`
}

type fault struct {
	Check     string `json:"check"`
	ID        int64  `json:"id"`
	WebhookID int64  `json:"webhook_id,omitempty"`
	Text      string `json:"text"`
}

func (e *examination) add(name, state, text string, args ...any) {
	e.Findings = append(e.Findings, finding{name, state, fmt.Sprintf(text, args...)})
	e.OK = e.OK && state != "wrong"
}

// errUnhealthy is the error of a doctor who found something; what it is was printed.
var errUnhealthy = errors.New("something is wrong")

// Run looks at everything, and prints what it found.
func (c *doctorCommand) Run(ctx context.Context, out *output) error {
	e := &examination{OK: true}
	c.configuration(e)
	c.folder(e)
	if err := c.data(ctx, e, out.Stderr); err != nil {
		return err
	}
	if err := e.print(out.Stdout, c.JSON); err != nil {
		return err
	}
	if !e.OK {
		return errUnhealthy
	}
	return nil
}

// configuration looks at what bugle serve would be told by the environment.
func (c *doctorCommand) configuration(e *examination) {
	known := append(variables(), clientSecret)
	for _, setting := range os.Environ() {
		name, _, _ := strings.Cut(setting, "=")
		if !strings.HasPrefix(name, "BUGLE_") || strings.HasPrefix(name, "BUGLE_TEST_") || slices.Contains(known, name) {
			continue
		}
		if keys, is := c.SecretsKey.Source.(secrets.Env); is && name == string(keys) {
			continue
		}
		lower := make([]string, len(known))
		for i, name := range known {
			lower[i] = strings.ToLower(name)
		}
		if like := spelling.Closest(name, lower); like != "" {
			e.add("environment", "wrong", "no option has the name %s; did you mean %s?", name, strings.ToUpper(like))
		} else {
			e.add("environment", "note", "no option has the name %s", name)
		}
	}
	parser, err := newParser(context.Background(), &output{Stdin: os.Stdin, Stdout: io.Discard, Stderr: io.Discard}, func(int) {})
	if err == nil {
		_, err = parser.Parse([]string{"serve"})
	}
	if err != nil {
		e.add("configuration", "wrong", "bugle serve would not start: %v", err)
		return
	}
	e.add("configuration", "ok", "bugle serve understands its options")
}

// variables are the names of all options in the environment.
func variables() []string {
	parser, err := newParser(context.Background(), &output{Stdin: os.Stdin, Stdout: io.Discard, Stderr: io.Discard}, func(int) {})
	if err != nil {
		return nil
	}
	var names []string
	for _, leaf := range parser.Model.Leaves(false) {
		for _, flag := range leaf.Flags {
			names = append(names, flag.Envs...)
		}
	}
	return names
}

// folder looks at where uploaded files are.
func (c *doctorCommand) folder(e *examination) {
	folder := serverConfig{database: c.Database, storage: c.Storage}.storageFolder()
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, os.ErrNotExist):
		e.add("storage", "note", "there is no folder %s yet: bugle serve makes it", folder)
	case err != nil:
		e.add("storage", "wrong", "%v", err)
	case !info.IsDir():
		e.add("storage", "wrong", "%s is no folder", folder)
	default:
		e.add("storage", "ok", "uploaded files are in %s", folder)
	}
}

// data looks at the database. The error is that of a command that was stopped.
func (c *doctorCommand) data(ctx context.Context, e *examination, progress io.Writer) error {
	shown := store.ShownName(c.Database)
	db, err := store.Open(ctx, c.Database, store.Options{ReadOnly: true, Secrets: c.SecretsKey.Source})
	if err != nil {
		if path, isFile := strings.CutPrefix(c.Database, "sqlite:"); isFile && errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("there is no file %s: start bugle serve, or say where it is with --database", path)
		}
		e.add("database", "wrong", "%v", err)
		return ctx.Err()
	}
	defer db.Close()
	schema, err := db.Schema(ctx)
	if err != nil {
		e.add("database", "wrong", "%s: %v", shown, err)
		return ctx.Err()
	}
	e.add("database", "ok", "%s, tables of version %d", shown, schema.Version)
	hold, err := db.SendingHold(ctx)
	if err != nil {
		e.add("database", "wrong", "%v", err)
		return ctx.Err()
	}
	if hold != nil {
		e.add("sending", "note", "nothing is sent until bugle release: %s", hold.Reason)
	}
	if path, isFile := strings.CutPrefix(c.Database, "sqlite:"); isFile {
		fileFindings(e, path)
	}
	if err := c.secrets(ctx, e, db); err != nil {
		e.add("secrets", "wrong", "%v", err)
		return ctx.Err()
	}
	if !e.audit(ctx, db) {
		return ctx.Err()
	}
	if !c.Prove {
		return nil
	}
	bar := newBar(progress, -1, "walking through the database")
	wrong, err := db.Integrity(ctx)
	if err != nil {
		e.add("integrity", "wrong", "%v", err)
		return ctx.Err()
	}
	for _, text := range wrong {
		e.add("integrity", "wrong", "the file is damaged: %s", text)
	}
	p, err := db.Prove(ctx, func(time.Duration) { bar.Add(1) })
	bar.Finish()
	if err != nil {
		e.add("proof", "wrong", "%v", err)
		return ctx.Err()
	}
	e.prove(p)
	return nil
}

// secrets looks whether everything that is encrypted opens.
func (c *doctorCommand) secrets(ctx context.Context, e *examination, db *store.Store) error {
	status, err := db.SecretsStatus(ctx)
	if err != nil {
		return err
	}
	var sealed int
	for _, k := range status.Keys {
		sealed += k.Secrets
	}
	switch {
	case status.KeysError != nil:
		e.add("secrets", "wrong", "%v", status.KeysError)
		if status.Unreadable > 0 {
			e.add("secrets", "wrong", "so the secrets of %d webhooks, channels and second factors cannot be read: %s", status.Unreadable, unreadable(status))
		}
	case status.Unreadable > 0:
		e.add("secrets", "wrong", "the secrets of %d webhooks, channels and second factors do not open (bugle secrets reset gives them up): %s", status.Unreadable, unreadable(status))
	case len(status.Keys) == 0:
		e.add("secrets", "ok", "nothing is encrypted yet; keys are read from %s", status.Source)
	default:
		e.add("secrets", "ok", "the secrets of %d webhooks, channels and second factors open with %d keys of %s", sealed, len(status.Keys), status.Source)
	}
	if status.Plain > 0 {
		e.add("secrets", "note", "the secrets of %d webhooks and channels are not encrypted yet: bugle serve does it when it starts", status.Plain)
	}
	if status.Warning != "" {
		e.add("secrets", "note", "%s", status.Warning)
	}
	return nil
}

// unreadable names what does not open.
func unreadable(status store.SecretsStatus) string {
	names := make([]string, len(status.First))
	for i, u := range status.First {
		names[i] = u.String()
		if status.KeysError == nil { // which else is the reason
			names[i] += ": " + u.Reason
		}
	}
	if more := status.Unreadable - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, "; ")
}

// audit walks along the audit log, and reports whether that was possible. The newest hash of each organization is printed, so
// that it can be noted elsewhere: one who can write to the database can make another chain, but none with that hash.
func (e *examination) audit(ctx context.Context, db *store.Store) bool {
	chains, err := db.CheckAudit(ctx, nil)
	if err != nil {
		e.add("audit", "wrong", "%v", err)
		return false
	}
	for _, chain := range chains {
		whose := fmt.Sprintf("organization %d", chain.OrganizationID)
		if chain.OrganizationID == 0 {
			whose = "the server"
		}
		if chain.Problem != "" {
			e.add("audit", "wrong", "the audit log of %s is broken: %s", whose, chain.Problem)
		} else {
			e.add("audit", "ok", "the audit log of %s is as it was written: %d entries, the newest with the hash %x", whose, chain.Entries, chain.Hash)
		}
	}
	return true
}

// fileFindings looks at the file of SQLite.
func fileFindings(e *examination, path string) {
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			continue // there is no log where nothing was written
		}
		if info.Mode().Perm()&0o077 != 0 {
			e.add("file", "note", "others on this machine may read %s (mode %o): chmod 600 keeps it to its owner", name, info.Mode().Perm())
		}
		if name != path && info.Size() > 512<<20 {
			e.add("file", "note", "the log of writes %s has %d MB: something keeps the database open for reading", filepath.Base(name), info.Size()>>20)
		}
	}
}

// prove adds what a walk has shown.
func (e *examination) prove(p *store.Proof) {
	e.Proof = &proof{Began: p.Began, TookMS: p.Took.Milliseconds(), Events: p.Events, Deliveries: p.Deliveries, Webhooks: p.Webhooks, Runs: p.Runs,
		Orphans: p.Orphans, Broken: p.Broken, Faults: []fault{}}
	for _, f := range p.Faults {
		e.Proof.Faults = append(e.Proof.Faults, fault{f.Check, f.ID, f.WebhookID, f.Text})
	}
	if p.Orphans > 0 {
		e.add("proof", "note", "%d pending deliveries are of webhooks that were deleted: bugle serve cancels them", p.Orphans)
	}
	if p.Broken > 0 {
		e.add("proof", "wrong", "%d faults", p.Broken)
		return
	}
	e.add("proof", "ok", "nothing is lost: %d events, %d deliveries of %d webhooks and %d runs are as they should be (%s)", p.Events, p.Deliveries, p.Webhooks, p.Runs,
		p.Took.Round(time.Millisecond))
}

func (e *examination) print(w io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(e)
	}
	for _, f := range e.Findings {
		fmt.Fprintf(w, "%-6s %-14s %s\n", f.State, f.Name, f.Text)
	}
	if e.Proof == nil {
		return nil
	}
	for _, f := range e.Proof.Faults {
		fmt.Fprintf(w, "       %-14s %d: %s\n", f.Check, f.ID, f.Text)
	}
	if more := e.Proof.Broken - len(e.Proof.Faults); more > 0 {
		fmt.Fprintf(w, "       and %d more\n", more)
	}
	return nil
}
