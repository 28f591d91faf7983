package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"

	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/internal/store"
)

// database is the option that all commands with data have.
type database struct {
	SecretsKey keySource `help:"Where the keys are that secrets are encrypted with: file: and a path, env: and the name of an environment variable, or command: and a program that prints them; the file secrets.key beside the database file unless set, or bugle-data/secrets.key with PostgreSQL. It is made for a new database. Nodes have to have the same keys." placeholder:"SOURCE" env:"BUGLE_SECRETS_KEY"`
	Database   string    `help:"Where the data is: sqlite: and a path, or the address of a PostgreSQL database, postgres://user:password@host:5432/database. Rather in the environment if it has a password." default:"sqlite:bugle-data/bugle.db" env:"BUGLE_DATABASE"`
}

// open opens the database for a command beside the server.
func (d database) open(ctx context.Context) (*store.Store, error) {
	return store.Open(ctx, d.Database, store.Options{Secrets: d.SecretsKey.Source})
}

// organizationOf is the organization that a command is for: the one given, or the first, which is made if there is none.
func organizationOf(ctx context.Context, db *store.Store, given int64) (int64, error) {
	first, err := db.EnsureOrganization(ctx, firstOrganization)
	if err != nil || given != 0 {
		return given, err
	}
	return first.ID, nil
}

// keySource is an option that says where keys are; without a Source, where they are unless it is set.
type keySource struct{ secrets.Source }

// UnmarshalText reads the option.
func (k *keySource) UnmarshalText(text []byte) (err error) {
	if len(text) > 0 {
		k.Source, err = secrets.ParseSource(string(text))
	}
	return err
}

// logging says how the server logs.
type logging struct {
	LogFormat string `help:"How log lines are written: text or json." enum:"text,json" default:"text" env:"BUGLE_LOG_FORMAT"`
	LogLevel  string `help:"What is logged: debug (every delivery), info (failed ones too), warn or error." enum:"debug,info,warn,error" default:"info" env:"BUGLE_LOG_LEVEL"`
}

// logger writes to w.
func (l logging) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.LogLevel)); err != nil {
		level = slog.LevelInfo // kong lets no other name through
	}
	o := &slog.HandlerOptions{Level: level}
	if l.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// checkPublicURL returns what is wrong with the address that the server is told to have.
func checkPublicURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(text, "/") {
		return fmt.Errorf("--public-url is %q, want an address without a slash at its end, such as https://bugle.example.com", text)
	}
	return nil
}
