package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/signin"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// demoCommand is `bugle demo`.
type demoCommand struct {
	Listen   string        `help:"Address to listen on; if it is taken, a free port." default:"127.0.0.1:8080" env:"BUGLE_LISTEN"`
	Interval time.Duration `help:"Time between changes." default:"2s"`
	Count    int           `help:"Stop after N changes; 0 goes on until interrupted." placeholder:"N"`
}

// Help follows the one line that describes the command.
func (*demoCommand) Help() string {
	return `Nothing is left behind: the database is in a temporary folder, and everything is sent to a receiver within the demo.
A line is printed for each attempt: when, which event, to which webhook, the answer, how long it took, which attempt.`
}

// Validate reports options out of range.
func (c *demoCommand) Validate() error {
	var errs []error
	if c.Interval < time.Millisecond || c.Interval > time.Hour {
		errs = append(errs, fmt.Errorf("--interval is %s, want 1ms to 1h", c.Interval))
	}
	if c.Count < 0 {
		errs = append(errs, fmt.Errorf("--count is %d, want 0 or more", c.Count))
	}
	return errors.Join(errs...)
}

// Run serves the demo until ctx is done or the changes are made and delivered.
func (c *demoCommand) Run(ctx context.Context, out *output) error {
	dir, err := os.MkdirTemp("", "bugle-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	defer listener.Close()
	target, stopReceiver, err := demoReceiver()
	if err != nil {
		return err
	}
	defer stopReceiver()
	guard, err := delivery.NewGuard([]string{"127.0.0.1"}, nil)
	if err != nil {
		return err
	}
	ctx, finish := context.WithCancel(ctx)
	defer finish()
	d := &demo{demoCommand: c, out: out.Stdout, target: "http://" + target, finish: finish}
	var work sync.WaitGroup
	defer work.Wait()
	return serve(ctx, serverConfig{
		database: "sqlite:" + filepath.Join(dir, "bugle.db"), listener: listener, guard: guard, retention: bugle.DefaultRetention,
		log:       slog.New(slog.NewTextHandler(out.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		onAttempt: d.attempted,
		started: func(s *store.Store) error {
			key, err := d.prepare(ctx, s)
			if err != nil {
				return err
			}
			password, err := d.admit(ctx, s)
			if err != nil {
				return err
			}
			address := listener.Addr().String()
			fmt.Fprintf(out.Stdout, `Bugle demo: %s

  panel    http://%s   sign in as %s with the password %s
  key      %s
  try      curl -H 'Authorization: Bearer %s' http://%s/v2/users
           curl -H 'Authorization: Bearer %s' http://%s/v2/deliveries

%-10s %-28s %-22s %6s %8s  %s
`, unitName, address, demoEmail, password, key, key, address, key, address, "TIME", "EVENT", "WEBHOOK", "STATUS", "TOOK", "ATTEMPT")
			work.Go(func() { d.run(ctx, s) })
			return nil
		},
	})
}

// demoEmail is that of the admin.
const demoEmail = "carter@example.com"

const unitName = "2nd Battalion, 75th Rangers (simulated)"

// A demo is one that runs.
type demo struct {
	*demoCommand
	out    io.Writer
	target string // base URL of the receiver
	finish func()

	mu        sync.Mutex // lines are printed whole
	members   []int64
	ranks     []int64
	awards    []int64
	positions []int64
	units     []int64
	quals     []int64
	calendar  int64
	admin     int64
}

// demoReceiver answers 200, but under /flaky it refuses the first two attempts at every other delivery.
func demoReceiver() (target string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	good := &receiver{}
	var mu sync.Mutex
	refused := map[string]int{}
	flaky := 0
	server := &http.Server{
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/flaky") {
				id := r.Header.Get("webhook-id")
				mu.Lock()
				n := refused[id] + 1
				if n == 1 {
					flaky++
				}
				isRefused := n == 2 || n == 1 && flaky%2 == 1
				if isRefused {
					refused[id] = n
				} else {
					delete(refused, id)
				}
				mu.Unlock()
				if isRefused {
					http.Error(w, "not yet", http.StatusServiceUnavailable)
					return
				}
			}
			good.ServeHTTP(w, r)
		}),
	}
	go server.Serve(listener)
	return listener.Addr().String(), func() { server.Close() }, nil
}

func (d *demo) attempted(r delivery.AttemptReport) {
	status := "-"
	if r.Attempt.Status != 0 {
		status = fmt.Sprint(r.Attempt.Status)
	}
	note := ""
	switch {
	case r.Outcome.State == bugle.Pending:
		note = fmt.Sprintf(", again in %d s", int(time.Until(r.Outcome.NextAt).Seconds()+0.5))
	case r.Outcome.State == bugle.Failed:
		note = ", gave up"
	}
	event := sentName(r.Envelope)
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.out, "%-10s %-28s %-22s %6s %5.1f ms  attempt %d%s\n", time.Now().Format(time.TimeOnly), event, r.Webhook.Name, status,
		float64(r.Attempt.Took.Microseconds())/1000, r.Attempt.Number, note)
}

// sentName is what a line calls a body: the event of an envelope, or the title of the embed that an
// automation made.
func sentName(body []byte) string {
	decoded, err := value.Decode(body)
	if err != nil {
		return "?"
	}
	fields, _ := decoded.(*value.Array)
	if name, ok := fields.Get("event"); ok {
		return fmt.Sprint(name)
	}
	embeds, _ := fields.Get("embeds")
	list, _ := embeds.(*value.Array)
	first, _ := list.GetInt(0)
	embed, _ := first.(*value.Array)
	title, _ := embed.Get("title")
	return fmt.Sprintf("%.26q", title)
}

// demoEmbed is what the automation of the demo sends: a message as Discord shows it.
func demoEmbed() *value.Array {
	return value.Map(
		"username", "Bugle",
		"allowed_mentions", value.Map("parse", value.NewArray(0)),
		"embeds", value.List(value.Map(
			"title", "{{ model.user.name|slice(0, 100) }} is now {{ model.rank.name }}",
			"description", "{{ model.text|striptags|slice(0, 2000) }}",
			"color", "{{ 2450411 }}",
			"timestamp", "{{ model.created_at }}",
			"fields", value.List(value.Map("name", "Rank", "value", "{{ model.rank.name }}", "inline", true),
				value.Map("name", "By", "value", "{{ model.author.name ?? 'nobody' }}", "inline", true)))))
}

func demoActor(userID int64) store.Actor {
	return store.Actor{OrganizationID: 1, UserID: userID, RequestID: uuid.NewString(), TraceID: uuid.NewString()}
}

// admit lets the admin sign in, and returns his password.
func (d *demo) admit(ctx context.Context, s *store.Store) (password string, err error) {
	password = bugle.RandomText(12)
	hash, err := signin.Hash(password)
	if err != nil {
		return "", err
	}
	role, err := s.RoleByName(ctx, 1, bugle.AdminRole)
	if err != nil {
		return "", err
	}
	return password, s.Update(ctx, func(tx *store.Tx) error {
		if err := tx.SetOrganization(1, unitName, "", ""); err != nil {
			return err
		}
		return tx.AddAccount(&bugle.Account{OrganizationID: 1, UserID: d.admin, Role: role, PasswordHash: hash})
	})
}

// prepare makes the unit, the webhooks and a key.
func (d *demo) prepare(ctx context.Context, s *store.Store) (key string, err error) {
	err = s.Update(ctx, func(tx *store.Tx) error {
		add := func(k *personnel.Kind, fields ...any) (int64, error) {
			r, err := tx.Create(demoActor(d.admin), k, value.Map(fields...))
			if err != nil {
				return 0, err
			}
			return r.ID(), nil
		}
		if d.admin, err = add(&personnel.User, "name", "Alex Carter", "email", demoEmail); err != nil {
			return err
		}
		named := func(k *personnel.Kind, names []string, more func(name string) []any) (ids []int64, err error) {
			for _, name := range names {
				id, err := add(k, append([]any{"name", name}, more(name)...)...)
				if err != nil {
					return nil, err
				}
				ids = append(ids, id)
			}
			return ids, nil
		}
		nothing := func(string) []any { return nil }
		lists := []struct {
			to    *[]int64
			kind  *personnel.Kind
			names []string
			more  func(string) []any
		}{
			{&d.ranks, &personnel.Rank, []string{"Private", "Specialist", "Corporal", "Sergeant", "Staff Sergeant", "Second Lieutenant"}, nothing},
			{&d.units, &personnel.Unit, []string{"Headquarters", "1st Squad", "2nd Squad"}, nothing},
			{&d.positions, &personnel.Position, []string{"Rifleman", "Medic", "Team Leader", "Squad Leader"}, nothing},
			{&d.awards, &personnel.Award, []string{"Army Commendation Medal", "Purple Heart"}, nothing},
			{&d.quals, &personnel.Qualification, []string{"Expert Marksman", "Combat Lifesaver"}, nothing},
			{&d.members, &personnel.User, []string{"Jane Roe", "Sam Hill", "Maria Ortiz", "Lee Chen", "Omar Diaz", "Zoë Krüger"},
				func(name string) []any {
					n := len(name) // each has another rank, unit and position
					return []any{"email", strings.ToLower(strings.NewReplacer(" ", ".", "ë", "e", "ü", "u").Replace(name)) + "@example.com",
						"rank_id", d.ranks[n%len(d.ranks)], "unit_id", d.units[1+n%2], "position_id", d.positions[n%len(d.positions)]}
				}},
		}
		for _, l := range lists {
			if *l.to, err = named(l.kind, l.names, l.more); err != nil {
				return err
			}
		}
		if d.calendar, err = add(&personnel.Calendar, "name", "Operations", "color", "#16a34a"); err != nil {
			return err
		}
		for _, w := range []struct {
			name, method, path string
			schedule           []int
		}{
			{"Chat relay (POST)", "post", "/chat", nil},
			{"Spreadsheet (GET)", "get", "/sheet", nil},
			{"Flaky archive (POST)", "post", "/flaky", []int{1, 2, 4}},
		} {
			hook := bugle.NewWebhook()
			hook.OrganizationID, hook.Name, hook.Method, hook.URL, hook.Events = 1, w.name, w.method, d.target+w.path, personnel.EventNames()
			if w.schedule != nil {
				hook.RetrySchedule, hook.MaxAttempts = w.schedule, len(w.schedule)+1
			}
			if err := tx.AddWebhook(&hook); err != nil {
				return err
			}
		}
		chat := bugle.NewWebhook()
		chat.OrganizationID, chat.Name, chat.URL = 1, "Discord (automation)", d.target+"/discord"
		if err := tx.AddWebhook(&chat); err != nil {
			return err
		}
		promotion := bugle.NewAutomation()
		promotion.OrganizationID, promotion.Name, promotion.Trigger, promotion.WebhookID = 1, "Promotions in Discord", "rankrecord.created", chat.ID
		promotion.Condition = `model["type"] == 0 and filled(model.rank ?? null)`
		promotion.PayloadTemplate, promotion.PayloadFormat, promotion.TypedValues = demoEmbed(), bugle.PayloadJSON, true
		if err := dispatch.Check(&promotion, func(string) bool { return false }); err != nil {
			return err
		}
		if err := tx.AddAutomation(&promotion); err != nil {
			return err
		}
		key, err = tx.AddKey(&bugle.APIKey{OrganizationID: 1, UserID: d.admin, Name: "demo", Scopes: []string{"*"}})
		return err
	})
	return key, err
}

// run makes changes until ctx is done or there have been enough.
func (d *demo) run(ctx context.Context, s *store.Store) {
	ticker := time.NewTicker(d.Interval)
	defer ticker.Stop()
	for n := 0; d.Count == 0 || n < d.Count; n++ {
		if err := s.Update(ctx, func(tx *store.Tx) error { return d.change(tx, n) }); err != nil && ctx.Err() == nil {
			d.mu.Lock()
			fmt.Fprintln(d.out, "change failed:", err)
			d.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	for d.owes(ctx, s) {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	d.finish()
}

// owes reports whether runs or deliveries are still pending.
func (d *demo) owes(ctx context.Context, s *store.Store) bool {
	runs, err := s.Runs(ctx, 1, store.RunFilter{Status: bugle.RunPending}, store.PageRequest{Number: 1, Limit: 1})
	if err != nil || runs.Total > 0 {
		return true
	}
	page, err := s.Deliveries(ctx, 1, store.DeliveryFilter{State: bugle.Pending}, store.PageRequest{Number: 1, Limit: 1})
	return err != nil || page.Total > 0
}

func pick(ids []int64) int64 { return ids[rand.IntN(len(ids))] }

// change makes one of the changes that a unit sees, the n-th in turn.
func (d *demo) change(tx *store.Tx, n int) error {
	actor, member := demoActor(d.admin), pick(d.members)
	create := func(k *personnel.Kind, fields ...any) error {
		_, err := tx.Create(actor, k, value.Map(fields...))
		return err
	}
	switch n % 8 {
	case 0:
		return create(&personnel.RankRecord, "user_id", member, "rank_id", pick(d.ranks), "type", personnel.Promotion, "text", "<p>Promoted for good conduct.</p>")
	case 1:
		return create(&personnel.AwardRecord, "user_id", member, "award_id", pick(d.awards), "text", "<p>For meritorious service.</p>")
	case 2:
		return create(&personnel.AssignmentRecord, "user_id", member, "type", "primary", "unit_id", pick(d.units), "position_id", pick(d.positions))
	case 3:
		return create(&personnel.ServiceRecord, "user_id", member, "text", "<p>Completed basic training.</p>")
	case 4:
		starts := tx.Now().Add(48 * time.Hour)
		return create(&personnel.CalendarEvent, "name", "Weekly operation", "calendar_id", d.calendar, "all_day", false,
			"starts", starts.Format(time.RFC3339), "ends", starts.Add(2*time.Hour).Format(time.RFC3339))
	case 5:
		return create(&personnel.QualificationRecord, "user_id", member, "qualification_id", pick(d.quals))
	case 6:
		return create(&personnel.CombatRecord, "user_id", member, "text", "<p>Operation Iron Gate.</p>")
	}
	_, err := tx.Update(actor, &personnel.User, member, value.Map("notes", "<p>Seen at drill number "+fmt.Sprint(n)+".</p>"))
	return err
}
