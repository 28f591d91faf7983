package delivery

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A rig is a store with an engine that sends what it owes to receivers on this machine.
type rig struct {
	testing.TB
	path    string // of the database
	store   *store.Store
	clock   *clockwork.FakeClock
	client  *Client
	options Options
	engine  *Engine
	stop    func() // ends the engine's Run and waits for it
	gates   []func()
}

// newDatabase is a database with organization 1 as a file, made once because that takes long with the
// race detector.
var newDatabase = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "bugle")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "bugle.db")
	s, err := store.Open(context.Background(), "sqlite:"+path, store.Options{Clock: clockwork.NewFakeClockAt(storetest.Start)})
	if err != nil {
		return nil, err
	}
	_, err = s.EnsureOrganization(context.Background(), "1st Test Battalion")
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// newRig returns a rig whose engine is not started yet, in a test that runs beside others. Retries
// come without jitter.
func newRig(t *testing.T) *rig {
	t.Parallel()
	file, err := newDatabase()
	path := filepath.Join(t.TempDir(), "bugle.db")
	if err == nil {
		err = os.WriteFile(path, file, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return openRig(t, path, storetest.Start)
}

// openRig returns a rig with the database at the path, and a clock that stands at the time.
func openRig(t *testing.T, path string, at time.Time) *rig {
	clock := clockwork.NewFakeClockAt(at)
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) // fails if the test has closed it
	return &rig{TB: t, path: path, store: s, clock: clock, client: loopbackClient(t), options: Options{Jitter: func() float64 { return 0 }}}
}

// startRig returns a rig whose engine runs.
func startRig(t *testing.T) *rig {
	r := newRig(t)
	r.start()
	return r
}

// start runs a new engine until stop, or the end of the test.
func (r *rig) start() {
	if r.options.Clock == nil {
		r.options.Clock = r.clock
	}
	r.engine = NewEngine(r.store, r.client, r.options)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func(e *Engine) {
		defer close(done)
		e.Run(ctx)
	}(r.engine)
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	stop := r.stop
	r.Cleanup(func() {
		for _, open := range r.gates {
			open()
		}
		stop()
	})
}

// stopLater begins stop, and returns once the engine knows. What is returned waits for the end.
func (r *rig) stopLater() (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.stop()
	}()
	r.until("the engine to stop", func() bool { return r.locked(func() bool { return r.engine.stopping }) })
	return func() { <-done }
}

// locked asks for something under the engine's lock.
func (r *rig) locked(ask func() bool) bool {
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	return ask()
}

// until waits for what is sure to come.
func (r *rig) until(what string, holds func() bool) {
	r.Helper()
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			r.Fatalf("waited in vain for %s", what)
		}
	}
}

// advance moves the clock once the engine waits for it.
func (r *rig) advance(d time.Duration) {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.clock.BlockUntilContext(ctx, 1); err != nil {
		r.Fatal("the engine waits for no time")
	}
	r.clock.Advance(d)
	signal(r.engine.wakeLoop) // it may just have been about to set its timer, by the time before
}

// gate returns a channel that blocks until it is opened, at the latest at the end of the test.
func (r *rig) gate() (blocked <-chan struct{}, open func()) {
	c := make(chan struct{})
	open = sync.OnceFunc(func() { close(c) })
	r.gates = append(r.gates, open)
	return c, open
}

// hook adds a webhook that subscribes to calendar.created.
func (r *rig) hook(url string, set func(*bugle.Webhook)) *bugle.Webhook {
	r.Helper()
	return storetest.AddWebhook(r, r.store, url, func(w *bugle.Webhook) {
		w.Events = []string{"calendar.created"}
		if set != nil {
			set(w)
		}
	})
}

// edit changes a webhook.
func (r *rig) edit(w *bugle.Webhook, set func(*bugle.Webhook)) {
	r.Helper()
	storetest.Change(r, r.store, func(tx *store.Tx) error {
		now, err := tx.Webhook(w.OrganizationID, w.ID)
		if err != nil {
			return err
		}
		set(now)
		return tx.SaveWebhook(now)
	})
}

// webhook returns a webhook as it is stored.
func (r *rig) webhook(w *bugle.Webhook) *bugle.Webhook {
	r.Helper()
	now, err := r.store.Webhook(context.Background(), 1, w.ID)
	if err != nil {
		r.Fatal(err)
	}
	return now
}

// change creates a calendar.
func (r *rig) change() {
	r.Helper()
	storetest.Create(r, r.store, &personnel.Calendar, "name", "Ops", "color", "#2563eb")
}

// send makes n tests for the webhook and returns their deliveries.
func (r *rig) send(w *bugle.Webhook, n int) []int64 {
	r.Helper()
	var ids []int64
	actor := storetest.Actor()
	actor.OrganizationID = w.OrganizationID
	storetest.Change(r, r.store, func(tx *store.Tx) error {
		for i := range n {
			id, err := tx.SendTest(actor, w.ID, value.Map("n", i))
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	return ids
}

// sql runs what no store would, as another process could.
func (r *rig) sql(query string, args ...any) {
	r.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: r.path}).EscapedPath()+"?_pragma=busy_timeout(10000)")
	if err != nil {
		r.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), query, args...); err != nil {
		r.Fatal(err)
	}
}

// pile makes n tests for the webhook in little time. The engine is not told of them.
func (r *rig) pile(w *bugle.Webhook, n int) {
	r.Helper()
	r.sql(`
		WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < ?)
		INSERT INTO deliveries (organization_id, webhook_id, event_id, sequence, order_us, next_attempt_us, created_us)
		SELECT organization_id, webhook_id, event_id, sequence + n, order_us, next_attempt_us, created_us FROM deliveries, more WHERE id = ?`,
		n-1, r.sendOne(w))
	r.sql("UPDATE lanes SET last_sequence = last_sequence + ? WHERE webhook_id = ?", n-1, w.ID)
}

func (r *rig) sendOne(w *bugle.Webhook) int64 {
	r.Helper()
	return r.send(w, 1)[0]
}

func (r *rig) redeliver(id int64) {
	r.Helper()
	storetest.Change(r, r.store, func(tx *store.Tx) error {
		_, err := tx.Redeliver(1, id)
		return err
	})
}

func (r *rig) cancel(id int64) {
	r.Helper()
	storetest.Change(r, r.store, func(tx *store.Tx) error {
		_, err := tx.Cancel(1, id)
		return err
	})
}

func (r *rig) delivery(id int64) *bugle.Delivery {
	r.Helper()
	d, err := r.store.Delivery(context.Background(), 1, id)
	if err != nil {
		r.Fatal(err)
	}
	return d
}

func (r *rig) attempts(id int64) []*bugle.Attempt {
	r.Helper()
	list, err := r.store.Attempts(context.Background(), id)
	if err != nil {
		r.Fatal(err)
	}
	return list
}

// stands reports whether a delivery has the state and number of attempts, all of them stored.
func (r *rig) stands(id int64, state bugle.DeliveryState, attempts int) bool {
	r.Helper()
	d := r.delivery(id)
	return d.State == state && d.AttemptsCount == attempts && len(r.attempts(id)) == attempts
}

func (r *rig) want(id int64, state bugle.DeliveryState, attempts int) {
	r.Helper()
	if !r.stands(id, state, attempts) {
		d := r.delivery(id)
		r.Errorf("delivery %d is %s after %d attempts, of which %d are stored; want %s after %d", id, d.State, d.AttemptsCount, len(r.attempts(id)), state, attempts)
	}
}

// await waits until a delivery has the state and number of attempts.
func (r *rig) await(id int64, state bugle.DeliveryState, attempts int) {
	r.Helper()
	r.until(fmt.Sprintf("delivery %d to be %s after %d attempts", id, state, attempts), func() bool { return r.stands(id, state, attempts) })
}

// count returns how many deliveries a filter finds.
func (r *rig) count(f store.DeliveryFilter) int {
	r.Helper()
	page, err := r.store.Deliveries(context.Background(), 1, f, store.PageRequest{Number: 1, Limit: 1})
	if err != nil {
		r.Fatal(err)
	}
	return page.Total
}

// A receiver keeps what it gets.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

type received struct {
	id, method, query, body string
	header                  http.Header
}

// receiver returns a receiver that answers as the handler does, or 204 without one.
func (r *rig) receiver(answer http.HandlerFunc) *receiver {
	to := &receiver{}
	to.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		to.mu.Lock()
		to.got = append(to.got, received{q.Header.Get("webhook-id"), q.Method, q.URL.RawQuery, string(body), q.Header})
		to.mu.Unlock()
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
		} else {
			answer(w, q)
		}
	}))
	r.Cleanup(to.Close)
	r.Cleanup(func() { // before Close, which waits for its handlers
		for _, open := range r.gates {
			open()
		}
	})
	return to
}

func (to *receiver) all() []received {
	to.mu.Lock()
	defer to.mu.Unlock()
	return slices.Clone(to.got)
}

func (to *receiver) len() int {
	to.mu.Lock()
	defer to.mu.Unlock()
	return len(to.got)
}

// ids returns the deliveries that arrived, in order.
func (to *receiver) ids() []int64 {
	var ids []int64
	for _, got := range to.all() {
		ids = append(ids, deliveryOf(got.id))
	}
	return ids
}

func deliveryOf(messageID string) int64 {
	id, _ := strconv.ParseInt(strings.TrimPrefix(messageID, "msg_"), 10, 64)
	return id
}

func wantIDs(t testing.TB, got, want []int64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("received %d, want %d", got, want)
	}
}

// status answers with a status, and headers as pairs.
func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// failing answers 500 to the first n requests of each delivery, and 204 to later ones.
func failing(n func(delivery int64) int) http.HandlerFunc {
	var mu sync.Mutex
	seen := map[int64]int{}
	return func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		id := deliveryOf(q.Header.Get("webhook-id"))
		if seen[id]++; seen[id] <= n(id) {
			w.WriteHeader(http.StatusInternalServerError)
		} else {
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

func TestEngine_bytesOnTheWire(t *testing.T) {
	r := newRig(t)
	r.options.UserAgent = "Bugle/1"
	r.start()
	arrived := make(chan string, 1)
	address := receiveRaw(t, func(conn net.Conn) {
		var text bytes.Buffer
		if readRequest(bufio.NewReader(io.TeeReader(conn, &text))) {
			arrived <- text.String()
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		}
	})
	for _, method := range []string{"post", "get"} {
		w := r.hook("http://"+address+"/a%2Fb?own=query", func(w *bugle.Webhook) {
			w.Method = method
			w.Headers = []bugle.Header{{Name: "x-unit", Value: "1st"}}
		})
		id := r.sendOne(w)
		text := <-arrived
		r.await(id, bugle.Delivered, 1)

		payload, err := r.store.Payload(t.Context(), r.delivery(id).EventID)
		if err != nil {
			t.Fatal(err)
		}
		envelope := payload.Text
		stamp := storetest.Start.Unix()
		start, length, body, content := "POST /a%2Fb?own=query", "Content-Length: "+strconv.Itoa(len(envelope))+"\r\n", string(envelope), envelope
		if method == "get" {
			query, err := envelopeQuery(envelope)
			if err != nil {
				t.Fatal(err)
			}
			start, length, body, content = "GET /a%2Fb?"+query, "", "", []byte(query)
		}
		want := start + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: Bugle/1\r\n" + length +
			"Content-Type: application/json\r\nSignature: " + Signature(w.Secret, envelope) + "\r\nX-Unit: 1st\r\n" +
			"webhook-id: " + bugle.MessageID(id) + "\r\nwebhook-signature: " + StandardSignature(w.Secret, bugle.MessageID(id), stamp, content) + "\r\n" +
			"webhook-timestamp: " + strconv.FormatInt(stamp, 10) + "\r\n\r\n" + body
		if text != want {
			t.Errorf("received\n%q, want\n%q", text, want)
		}
		if a := r.attempts(id)[0]; a.Method != strings.ToUpper(method) || a.URL != w.URL || a.Status != 204 || a.RemoteAddress != address {
			t.Errorf("stored %+v", a)
		}
	}
}

// causeEverything makes each of the 33 changes that have an event, at least once.
func causeEverything(t testing.TB, s *store.Store) {
	create := func(k *personnel.Kind, fields ...any) int64 { return storetest.Create(t, s, k, fields...).ID() }
	rank, award := create(&personnel.Rank, "name", "Sergeant"), create(&personnel.Award, "name", "Star")
	qualification, form := create(&personnel.Qualification, "name", "Medic"), create(&personnel.Form, "name", "Join", "slug", "join", "is_public", true)
	user := create(&personnel.User, "name", "Jane Doe", "email", "jane@example.com")
	calendar := create(&personnel.Calendar, "name", "Übungen / \"Ops\"", "color", "#2563eb")
	type resource struct {
		kind *personnel.Kind
		id   int64
		set  string
	}
	list := []resource{
		{&personnel.AssignmentRecord, create(&personnel.AssignmentRecord, "user_id", user, "type", "primary"), "text"},
		{&personnel.AwardRecord, create(&personnel.AwardRecord, "user_id", user, "award_id", award), "text"},
		{&personnel.CombatRecord, create(&personnel.CombatRecord, "user_id", user, "text", "a"), "text"},
		{&personnel.QualificationRecord, create(&personnel.QualificationRecord, "user_id", user, "qualification_id", qualification), "text"},
		{&personnel.RankRecord, create(&personnel.RankRecord, "user_id", user, "rank_id", rank, "type", personnel.Promotion), "text"},
		{&personnel.ServiceRecord, create(&personnel.ServiceRecord, "user_id", user, "text", "a"), "text"},
		{&personnel.Submission, create(&personnel.Submission, "form_id", form, "user_id", user), "created_at"},
		{&personnel.CalendarEvent, create(&personnel.CalendarEvent, "name", "Op", "calendar_id", calendar, "all_day", false,
			"starts", "2026-02-01T18:00:00Z", "ends", "2026-02-01T20:00:00Z"), "location"},
		{&personnel.Message, create(&personnel.Message, "message", "Muster", "channels", value.List("mail")), "message"},
		{&personnel.Calendar, calendar, "name"},
		{&personnel.User, user, "name"},
	}
	for _, one := range list {
		storetest.Update(t, s, one.kind, one.id, one.set, "2026-01-01T00:00:00Z")
		storetest.Delete(t, s, one.kind, one.id)
	}
}

func TestEngine_everyEventArrivesOnceAndVerifies(t *testing.T) {
	r := startRig(t)
	posts, gets := r.receiver(nil), r.receiver(nil)
	post := storetest.AddWebhook(t, r.store, posts.URL, nil)
	get := storetest.AddWebhook(t, r.store, gets.URL+"/?own=1", func(w *bugle.Webhook) {
		w.Method, w.Secret = "get", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	})
	none := storetest.AddWebhook(t, r.store, posts.URL, func(w *bugle.Webhook) { w.Events = nil })
	causeEverything(t, r.store)
	r.sendOne(post)
	r.sendOne(get)
	total := r.count(store.DeliveryFilter{})
	r.until("all to be delivered", func() bool { return r.count(store.DeliveryFilter{State: bugle.Delivered}) == total })
	if n := r.count(store.DeliveryFilter{WebhookID: none.ID}); n != 0 {
		t.Errorf("a webhook without events has %d deliveries", n)
	}

	for _, test := range []struct {
		to *receiver
		w  *bugle.Webhook
	}{{posts, post}, {gets, get}} {
		names, once := map[string]bool{}, map[string]bool{}
		for _, got := range test.to.all() {
			if once[got.id] {
				t.Errorf("%s arrived again", got.id)
			}
			once[got.id] = true
			d := r.delivery(deliveryOf(got.id))
			payload, err := r.store.Payload(t.Context(), d.EventID)
			if err != nil {
				t.Fatal(err)
			}
			envelope := payload.Text
			names[d.Event] = true
			content := got.body
			if test.w == post && content != string(envelope) {
				t.Errorf("received\n%s, stored is\n%s", content, envelope)
			}
			if test.w == get {
				if content = got.query; got.body != "" || strings.Contains(content, "created=") || !strings.HasPrefix(content, "event="+d.Event+"&request_id=") {
					t.Errorf("received %q with body %q", content, got.body)
				}
			}
			if err := oracle(t, test.w.Secret).VerifyIgnoringTimestamp([]byte(content), got.header); err != nil {
				t.Errorf("%s of %s: %v", got.method, d.Event, err)
			}
			verdict, err := Verifier{Secrets: []string{test.w.Secret}, Now: r.clock.Now}.Verify(got.header, got.method, []byte(got.body), got.query)
			if err != nil || verdict.Standard != CheckOK {
				t.Errorf("%s of %s: %+v, %v", got.method, d.Event, verdict, err)
			}
			if want := Signature(test.w.Secret, envelope); got.header.Get("Signature") != want {
				t.Errorf("%s of %s: Signature is %s, want %s", got.method, d.Event, got.header.Get("Signature"), want)
			}
		}
		if n := r.count(store.DeliveryFilter{WebhookID: test.w.ID}); n != len(once) {
			t.Errorf("%d deliveries arrived of %d", len(once), n)
		}
		for _, name := range append(personnel.EventNames(), bugle.TestEvent) {
			if !names[name] {
				t.Errorf("%s did not arrive", name)
			}
		}
	}
}

func TestEngine_retriesByTheSchedule(t *testing.T) {
	for _, jitter := range []float64{-1, 0, 1} {
		t.Run(fmt.Sprint(jitter), func(t *testing.T) {
			r := newRig(t)
			r.options.Jitter = func() float64 { return jitter }
			r.start()
			to := r.receiver(status(500))
			w := r.hook(to.URL, func(w *bugle.Webhook) { w.RetrySchedule, w.MaxAttempts = []int{10, 100}, 4 })
			id := r.sendOne(w)
			at, times := storetest.Start, []time.Time{storetest.Start}
			for n, seconds := range []float64{10, 100, 100} {
				r.await(id, bugle.Pending, n+1)
				delay := time.Duration(seconds * (1 + jitter/10) * float64(time.Second))
				at = at.Add(delay)
				times = append(times, at)
				if d := r.delivery(id); !d.NextAttemptAt.Equal(at) || d.Status != 500 || d.Error == nil || d.Error.Kind != bugle.ErrorStatus {
					t.Errorf("after attempt %d the delivery is %+v, want the next at %v", n+1, d, at)
				}
				r.advance(delay - time.Microsecond)
				r.advance(time.Microsecond)
			}
			r.await(id, bugle.Failed, 4)
			for i, a := range r.attempts(id) {
				if a.Number != i+1 || !a.StartedAt.Equal(times[i]) || a.Status != 500 || a.Reason != "Internal Server Error" {
					t.Errorf("attempt %d is %+v, want it at %v", i+1, a, times[i])
				}
			}
			if d := r.delivery(id); !d.NextAttemptAt.IsZero() || !d.FinishedAt.Equal(at) {
				t.Errorf("in the end the delivery is %+v", d)
			}
			wantIDs(t, to.ids(), []int64{id, id, id, id})
			if h := r.webhook(w).Health; h.ConsecutiveFailures != 4 || !h.LastFailureAt.Equal(at) || !h.LastSuccessAt.IsZero() {
				t.Errorf("health is %+v", h)
			}
		})
	}
}

// The engine's own timer wakes it, even if nothing else happens.
func TestEngine_retryWakesAnIdleEngine(t *testing.T) {
	r := startRig(t)
	to := r.receiver(failing(func(int64) int { return 1 }))
	id := r.sendOne(r.hook(to.URL, nil))
	r.await(id, bugle.Pending, 1)
	r.stop()

	r.start() // and so sets one timer, and no other
	if err := r.clock.BlockUntilContext(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	r.clock.Advance(5 * time.Second)
	r.await(id, bugle.Delivered, 2)
	a := r.attempts(id)
	if a[0].Status != 500 || a[1].Status != 204 || a[1].Error != nil {
		t.Errorf("attempts are %+v and %+v", a[0], a[1])
	}
	if h := r.webhook(&bugle.Webhook{ID: 1}).Health; h.ConsecutiveFailures != 0 || h.LastSuccessAt.IsZero() || h.LastFailureAt.IsZero() {
		t.Errorf("health is %+v", h)
	}
}

func TestEngine_retryAfter(t *testing.T) {
	for _, test := range []struct {
		name, value string
		status      int
		want        time.Duration
		holds       bool
	}{
		{"seconds", "120", 429, 2 * time.Minute, true},
		{"unavailable", "120", 503, 2 * time.Minute, true},
		{"date", storetest.Start.Add(time.Hour).Format(http.TimeFormat), 429, storetest.Start.Add(time.Hour).Truncate(time.Second).Sub(storetest.Start), true},
		{"a day at most", "9999999", 503, 24 * time.Hour, true},
		{"less than the schedule", "2", 429, 5 * time.Second, true},
		{"another status", "120", 500, 2 * time.Minute, false},
		{"nonsense", "soon", 429, 5 * time.Second, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := startRig(t)
			var first atomic.Bool
			to := r.receiver(func(w http.ResponseWriter, q *http.Request) {
				if first.CompareAndSwap(false, true) {
					status(test.status, "Retry-After", test.value)(w, q)
				}
			})
			w := r.hook(to.URL, nil)
			asked := r.sendOne(w)
			r.await(asked, bugle.Pending, 1)
			if got, want := r.delivery(asked).NextAttemptAt, storetest.Start.Add(test.want); !got.Equal(want) {
				t.Errorf("next attempt at %v, want %v", got, want)
			}
			other := r.sendOne(w)
			otherAt := storetest.Start
			if !test.holds {
				r.await(other, bugle.Delivered, 1)
			} else if test.name == "less than the schedule" {
				r.advance(2 * time.Second)
				otherAt = otherAt.Add(2 * time.Second)
				r.await(other, bugle.Delivered, 1)
				r.advance(3 * time.Second)
			} else {
				otherAt = otherAt.Add(test.want)
			}
			if test.name != "less than the schedule" {
				r.advance(test.want - time.Microsecond)
				r.advance(time.Microsecond)
			}
			r.await(asked, bugle.Delivered, 2)
			r.await(other, bugle.Delivered, 1)
			if at := r.attempts(other)[0].StartedAt; !at.Equal(otherAt) {
				t.Errorf("the other was sent at %v, want %v", at, otherAt)
			}
		})
	}
}

// Whoever cancels one delivery has not made the receiver ready for the others.
func TestEngine_retryAfter_outlastsACancel(t *testing.T) {
	r := startRig(t)
	var first atomic.Bool
	to := r.receiver(func(w http.ResponseWriter, q *http.Request) {
		if first.CompareAndSwap(false, true) {
			status(429, "Retry-After", "60")(w, q)
		}
	})
	w, other := r.hook(to.URL, nil), r.hook(r.receiver(nil).URL, nil)
	r.await(r.sendOne(w), bugle.Pending, 1)
	ids := r.send(w, 2)
	r.cancel(ids[0])
	r.await(r.sendOne(other), bugle.Delivered, 1)
	r.until("the lane to be read again", func() bool {
		return r.locked(func() bool { l := r.engine.lanes[w.ID]; return !l.stale && !l.loading && l.len() == 1 })
	})
	r.advance(time.Minute)
	r.await(ids[1], bugle.Delivered, 1)
	if at := r.attempts(ids[1])[0].StartedAt; !at.Equal(storetest.Start.Add(time.Minute)) {
		t.Errorf("sent at %v, %v after the receiver asked for silence", at, at.Sub(storetest.Start))
	}
	r.want(ids[0], bugle.Cancelled, 0)
}

func TestEngine_goneDisablesTheWebhook(t *testing.T) {
	r := startRig(t)
	to, fine := r.receiver(status(410)), r.receiver(nil)
	w, other := r.hook(to.URL, func(w *bugle.Webhook) { w.MaxConcurrency = 1 }), r.hook(fine.URL, nil)
	ids := r.send(w, 3)
	r.await(ids[0], bugle.Failed, 1)
	r.until("the webhook to be disabled", func() bool { return r.webhook(w).Status == bugle.Disabled })
	r.change()
	r.until("the other to get it", func() bool { return fine.len() == 1 })
	if n := r.count(store.DeliveryFilter{WebhookID: w.ID}); n != 3 {
		t.Errorf("a disabled webhook was given %d more deliveries", n-3)
	}
	wantIDs(t, to.ids(), ids[:1])
	r.want(ids[1], bugle.Pending, 0)
	if h := r.webhook(other).Health; h.State() != bugle.Healthy {
		t.Errorf("the other is %s", h.State())
	}

	r.edit(w, func(w *bugle.Webhook) { w.Status, w.URL = bugle.Active, fine.URL })
	r.await(ids[1], bugle.Delivered, 1)
	r.await(ids[2], bugle.Delivered, 1)
}

func TestEngine_errorKinds(t *testing.T) {
	r := startRig(t)
	refused, err := net.Listen("tcp", "127.0.0.2:0") // where no other test listens
	if err != nil {
		t.Fatal(err)
	}
	refused.Close()
	plain := r.receiver(nil)
	endless := r.receiver(func(w http.ResponseWriter, _ *http.Request) {
		for chunk := make([]byte, 32<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	cases := []struct {
		url    string
		kind   bugle.ErrorKind
		status int
		id     int64
	}{
		{url: r.receiver(status(302, "Location", "/elsewhere")).URL, kind: bugle.ErrorRedirect, status: 302},
		{url: r.receiver(status(404)).URL, kind: bugle.ErrorStatus, status: 404},
		{url: "http://" + refused.Addr().String(), kind: bugle.ErrorConnect},
		{url: answerRaw(t, "", false), kind: bugle.ErrorConnect},
		{url: strings.Replace(plain.URL, "http:", "https:", 1), kind: bugle.ErrorTLS},
		{url: "http://nothing.invalid/", kind: bugle.ErrorDNS},
		{url: "http://10.0.0.1/", kind: bugle.ErrorBlocked},
		{url: "http://[::1]/", kind: bugle.ErrorBlocked},
		{url: answerRaw(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", true), kind: bugle.ErrorTimeout, status: 200},
		{url: answerRaw(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", false), kind: bugle.ErrorBody, status: 200},
		{url: endless.URL, status: 200},
	}
	for i := range cases {
		cases[i].id = r.sendOne(r.hook(cases[i].url, func(w *bugle.Webhook) {
			w.MaxAttempts, w.TimeoutSeconds = 1, 30
			if cases[i].kind == bugle.ErrorTimeout {
				w.TimeoutSeconds = 1
			}
		}))
	}
	for _, test := range cases {
		if test.kind == "" {
			r.await(test.id, bugle.Delivered, 1)
			if a := r.attempts(test.id)[0]; len(a.ResponseBody) != MaxResponseBody || !a.ResponseTruncated {
				t.Errorf("of an endless body %d bytes are stored, truncated: %t", len(a.ResponseBody), a.ResponseTruncated)
			}
			continue
		}
		r.await(test.id, bugle.Failed, 1)
		a, d := r.attempts(test.id)[0], r.delivery(test.id)
		wantKind(t, a, test.kind)
		if d.Error == nil || *d.Error != *a.Error || d.Status != test.status || a.Status != test.status || a.URL != test.url {
			t.Errorf("%s: the delivery is %+v with %+v, its attempt %+v with %+v", test.url, d, d.Error, a, a.Error)
		}
	}
}

func TestEngine_maxConcurrency(t *testing.T) {
	r := startRig(t)
	blocked, open := r.gate()
	var under, most atomic.Int32
	to := r.receiver(func(http.ResponseWriter, *http.Request) {
		n := under.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-blocked
		under.Add(-1)
	})
	w := r.hook(to.URL, func(w *bugle.Webhook) { w.MaxConcurrency = 3 })
	ids := r.send(w, 100)
	r.until("three at once", func() bool { return under.Load() == 3 })
	r.await(r.sendOne(r.hook(r.receiver(nil).URL, nil)), bugle.Delivered, 1) // and a fourth could have come
	open()
	for _, id := range ids {
		r.await(id, bugle.Delivered, 1)
	}
	if n := most.Load(); n != 3 {
		t.Errorf("%d requests were under way at once, want 3", n)
	}
}

func TestEngine_hungLanesDelayNoOther(t *testing.T) {
	r := newRig(t)
	blocked, open := r.gate()
	hung, fine := r.receiver(func(http.ResponseWriter, *http.Request) { <-blocked }), r.receiver(nil)
	w := r.hook(fine.URL, nil)
	for range 10 { // ten slots each: more than may be under way with fast receivers
		r.pile(r.hook(hung.URL, func(w *bugle.Webhook) { w.Events, w.TimeoutSeconds = nil, 30 }), 2000)
	}
	r.start()
	r.until("all slots to hang", func() bool { return hung.len() == 100 })
	for range 20 {
		r.await(r.sendOne(w), bugle.Delivered, 1)
	}
	r.await(slices.Max(r.send(w, 300)), bugle.Delivered, 1)
	if n := hung.len(); n != 100 {
		t.Errorf("%d requests are under way to the hung receiver, want 100", n)
	}
	open()
	r.until("the hung lanes to go on", func() bool { return hung.len() > 500 })
}

func TestEngine_trippedLaneSendsOneAtATime(t *testing.T) {
	r := startRig(t)
	var down atomic.Bool
	down.Store(true)
	var under atomic.Int32
	step := make(chan struct{})
	blocked, _ := r.gate()
	to := r.receiver(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(500)
			return
		}
		under.Add(1)
		defer under.Add(-1)
		select {
		case <-step:
		case <-blocked:
		}
	})
	w := r.hook(to.URL, func(w *bugle.Webhook) { w.MaxConcurrency, w.RetrySchedule = 5, []int{3600} })
	for _, id := range r.send(w, bugle.TripAfter) {
		r.await(id, bugle.Pending, 1)
	}
	if state := r.webhook(w).Health.State(); state != bugle.Tripped {
		t.Fatalf("after %d failures the webhook is %s", bugle.TripAfter, state)
	}
	ids := r.send(w, 20)
	if ready, at := r.engine.readyOf(w.ID); ready || !at.Equal(r.clock.Now().Add(time.Second)) {
		t.Errorf("after it tripped the lane is ready: %t, or at %v", ready, at)
	}
	r.advance(time.Second)
	r.await(ids[0], bugle.Pending, 1) // a probe, and no other
	down.Store(false)
	r.advance(2*time.Second - time.Millisecond)
	r.want(ids[1], bugle.Pending, 0)
	r.advance(time.Millisecond)
	r.until("one request", func() bool { return under.Load() == 1 })
	if ready, _ := r.engine.readyOf(w.ID); ready {
		t.Error("a second request would be sent")
	}
	for _, n := range []int32{2, 3, 4, 5, 5} {
		step <- struct{}{} // one delivers
		r.until("one slot more to be used", func() bool { return under.Load() == n })
		if ready, _ := r.engine.readyOf(w.ID); ready {
			t.Errorf("more than %d requests would be sent", n)
		}
	}
	r.until("the webhook to be healthy", func() bool { return r.webhook(w).Health.State() == bugle.Healthy })
	for range len(ids) - 1 - 5 {
		step <- struct{}{}
	}
	r.await(ids[19], bugle.Delivered, 1)
}

// readyOf is ready of a webhook's lane.
func (e *Engine) readyOf(id int64) (bool, time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lanes[id].ready(e.o.Clock.Now())
}

func TestEngine_ratePerSecond(t *testing.T) {
	r := startRig(t)
	to := r.receiver(nil)
	w := r.hook(to.URL, func(w *bugle.Webhook) { w.RatePerSecond = 2 })
	ids := r.send(w, 6)
	for i, id := range ids {
		r.await(id, bugle.Delivered, 1)
		want := storetest.Start.Add(time.Duration(i) * 500 * time.Millisecond)
		if at := r.attempts(id)[0].StartedAt; !at.Equal(want) {
			t.Errorf("request %d was sent at %v, want %v", i+1, at, want)
		}
		if i < len(ids)-1 {
			r.advance(250 * time.Millisecond)
			r.advance(250 * time.Millisecond)
		}
	}
	wantIDs(t, to.ids(), ids)
}

func TestEngine_orderedLane(t *testing.T) {
	r := startRig(t)
	var heads sync.Map // id → how often it fails
	to := r.receiver(failing(func(id int64) int {
		n, _ := heads.Load(id)
		fails, _ := n.(int)
		return fails
	}))
	fine := r.receiver(nil)
	w := r.hook(to.URL, func(w *bugle.Webhook) { w.Ordered, w.MaxAttempts, w.RetrySchedule = true, 3, []int{10} })
	other := r.hook(fine.URL, nil)
	r.edit(w, func(w *bugle.Webhook) { w.Status = bugle.Paused })
	ids := r.send(w, 8)
	heads.Store(ids[1], 2)  // succeeds at the last attempt
	heads.Store(ids[4], 99) // never
	r.edit(w, func(w *bugle.Webhook) { w.Status = bugle.Active })

	r.await(ids[1], bugle.Pending, 1)
	if at := r.delivery(ids[1]).NextAttemptAt; !at.Equal(storetest.Start.Add(10 * time.Second)) {
		t.Errorf("the head is due at %v", at)
	}
	r.await(r.sendOne(other), bugle.Delivered, 1)
	r.advance(10 * time.Second)
	r.await(ids[1], bugle.Pending, 2)
	r.want(ids[2], bugle.Pending, 0)
	r.stop() // a restart does not let the others past the head

	r.start()
	late := r.sendOne(w)
	r.await(r.sendOne(other), bugle.Delivered, 1)
	r.until("the lane to be read", func() bool {
		return r.locked(func() bool { l := r.engine.lanes[w.ID]; return l != nil && l.len() == 8 })
	})
	if ready, at := r.engine.readyOf(w.ID); ready || !at.Equal(storetest.Start.Add(20*time.Second)) {
		t.Errorf("after the restart the lane is ready: %t, at %v", ready, at)
	}
	r.advance(10 * time.Second)
	for n := range 2 {
		r.await(ids[4], bugle.Pending, n+1)
		r.want(ids[5], bugle.Pending, 0)
		r.advance(10 * time.Second)
	}
	r.await(ids[4], bugle.Failed, 3)
	r.await(late, bugle.Delivered, 1)
	r.want(ids[1], bugle.Delivered, 3)
	wantIDs(t, to.ids(), []int64{ids[0], ids[1], ids[1], ids[1], ids[2], ids[3], ids[4], ids[4], ids[4], ids[5], ids[6], ids[7], late})
}

func TestEngine_roundRobin(t *testing.T) {
	r := newRig(t)
	r.options.Fast, r.options.MaxInFlight = 1, 1
	to := r.receiver(nil)
	blocked, open := r.gate()
	first := r.receiver(func(http.ResponseWriter, *http.Request) { <-blocked })
	var lanes []int64
	of := map[int64]int64{} // lanes of deliveries
	for range 3 {
		w := r.hook(to.URL, nil)
		lanes = append(lanes, w.ID)
		for _, id := range r.send(w, 50) {
			of[id] = w.ID
		}
		r.edit(w, func(w *bugle.Webhook) { w.Status = bugle.Paused })
	}
	r.start()
	r.sendOne(r.hook(first.URL, nil))
	r.until("the one worker to be busy", func() bool { return first.len() == 1 })
	for _, id := range lanes {
		r.edit(&bugle.Webhook{ID: id, OrganizationID: 1}, func(w *bugle.Webhook) { w.Status = bugle.Active })
	}
	r.until("the lanes to be read", func() bool {
		return r.locked(func() bool {
			return !slices.ContainsFunc(lanes, func(id int64) bool { return r.engine.lanes[id] == nil || !r.engine.lanes[id].listed })
		})
	})
	open()
	r.until("all to arrive", func() bool { return to.len() == 150 })
	for i, ids := 0, to.ids(); i < len(ids); i += 3 {
		turn := []int64{of[ids[i]], of[ids[i+1]], of[ids[i+2]]}
		slices.Sort(turn)
		if !slices.Equal(turn, lanes) {
			t.Fatalf("requests from the %d. on went to the webhooks %d, want each once", i+1, turn)
		}
	}
}

// wantOnce waits until n deliveries are delivered and checks that each arrived once.
func (r *rig) wantOnce(n int, receivers ...*receiver) {
	r.Helper()
	r.until("all to arrive", func() bool {
		arrived := 0
		for _, to := range receivers {
			arrived += to.len()
		}
		return arrived >= n
	})
	r.until("all to be delivered", func() bool { return r.count(store.DeliveryFilter{State: bugle.Delivered}) >= n })
	times := map[int64]int{}
	for _, to := range receivers {
		for _, id := range to.ids() {
			if times[id]++; times[id] > 1 {
				r.Errorf("delivery %d arrived %d times", id, times[id])
			}
		}
	}
	if len(times) != n || r.count(store.DeliveryFilter{}) != n {
		r.Errorf("%d deliveries arrived, want %d of %d", len(times), n, r.count(store.DeliveryFilter{}))
	}
}

// More than memory holds was waiting, and more comes from all sides while it drains.
func TestEngine_backlogArrivesOnce(t *testing.T) {
	r := newRig(t)
	const writers, changes = 6, 30
	var receivers []*receiver
	n := 0
	for _, backlog := range []int{3000, 700} {
		to := r.receiver(nil)
		receivers = append(receivers, to)
		r.pile(r.hook(to.URL, func(w *bugle.Webhook) { w.Ordered = backlog == 700 }), backlog)
		n += backlog
	}
	r.start()
	var work sync.WaitGroup
	for range writers {
		work.Go(func() {
			for range changes {
				r.change()
			}
		})
	}
	work.Wait()
	n += len(receivers) * writers * changes
	r.wantOnce(n, receivers...)
	if ids := receivers[1].ids(); !slices.IsSorted(ids) {
		t.Error("the ordered webhook got its deliveries in another order")
	}
}

// Lanes that are read anew all the time lose and repeat nothing.
func TestEngine_changesWhileLanesAreRead(t *testing.T) {
	r := startRig(t)
	const rounds = 60
	var receivers []*receiver
	var hooks []*bugle.Webhook
	for range 3 {
		to := r.receiver(nil)
		receivers = append(receivers, to)
		hooks = append(hooks, r.hook(to.URL, nil))
	}
	var work sync.WaitGroup
	for _, w := range hooks {
		work.Go(func() {
			for i := range rounds {
				r.edit(w, func(w *bugle.Webhook) { w.Description = strconv.Itoa(i) })
			}
		})
		work.Go(func() {
			for range rounds {
				r.change()
			}
		})
	}
	work.Wait()
	r.wantOnce(3*3*rounds, receivers...)
}

func TestEngine_pauseKeepsDeliveries(t *testing.T) {
	r := startRig(t)
	to, fine := r.receiver(nil), r.receiver(nil)
	w := r.hook(to.URL, func(w *bugle.Webhook) { w.MaxConcurrency, w.Status = 1, bugle.Paused })
	r.hook(fine.URL, nil)
	for range 5 {
		r.change()
	}
	r.until("the other to get them", func() bool { return fine.len() == 5 })
	if n := r.count(store.DeliveryFilter{WebhookID: w.ID, State: bugle.Pending}); n != 5 || to.len() != 0 {
		t.Errorf("while paused %d are kept and %d sent", n, to.len())
	}
	r.edit(w, func(w *bugle.Webhook) { w.Status = bugle.Active })
	r.until("the kept ones", func() bool { return to.len() == 5 })

	r.edit(w, func(w *bugle.Webhook) { w.Status = bugle.Disabled })
	r.change()
	r.until("the other to get it", func() bool { return fine.len() == 6 })
	r.edit(w, func(w *bugle.Webhook) { w.Status = bugle.Active })
	r.change()
	r.until("what came once it was enabled", func() bool { return to.len() == 6 && fine.len() == 7 })
	if ids := to.ids(); !slices.IsSorted(ids) || r.count(store.DeliveryFilter{WebhookID: w.ID}) != 6 {
		t.Errorf("received %d, of %d", ids, r.count(store.DeliveryFilter{WebhookID: w.ID}))
	}
}

func TestEngine_newURLAppliesToWhatWaits(t *testing.T) {
	r := startRig(t)
	blocked, open := r.gate()
	var first atomic.Bool
	before := r.receiver(func(w http.ResponseWriter, _ *http.Request) {
		if first.CompareAndSwap(false, true) {
			w.WriteHeader(500)
			return
		}
		<-blocked
	})
	after := r.receiver(nil)
	w := r.hook(before.URL, func(w *bugle.Webhook) { w.MaxConcurrency = 1 })
	retrying := r.sendOne(w)
	r.await(retrying, bugle.Pending, 1)
	ids := r.send(w, 3)
	r.until("one to be under way", func() bool { return before.len() == 2 })
	r.edit(w, func(w *bugle.Webhook) { w.URL = after.URL })
	open()
	r.await(ids[2], bugle.Delivered, 1)
	r.advance(5 * time.Second)
	r.await(retrying, bugle.Delivered, 2)
	wantIDs(t, before.ids(), []int64{retrying, ids[0]})
	wantIDs(t, after.ids(), []int64{ids[1], ids[2], retrying})
}

// busyLane returns a webhook with a delivery that waits for a retry, one that is under way until
// open, and two behind it.
func busyLane(r *rig) (w *bugle.Webhook, to *receiver, retrying int64, ids []int64, open func()) {
	r.Helper()
	blocked, open := r.gate()
	var first atomic.Bool
	to = r.receiver(func(w http.ResponseWriter, _ *http.Request) {
		if first.CompareAndSwap(false, true) {
			w.WriteHeader(500)
			return
		}
		<-blocked
	})
	w = r.hook(to.URL, func(w *bugle.Webhook) { w.MaxConcurrency = 1 })
	retrying = r.sendOne(w)
	r.await(retrying, bugle.Pending, 1)
	ids = r.send(w, 3)
	r.until("one to be under way", func() bool { return to.len() == 2 })
	return w, to, retrying, ids, open
}

func TestEngine_deletedWebhookIsOwedNothing(t *testing.T) {
	r := startRig(t)
	w, to, retrying, ids, open := busyLane(r)
	storetest.Change(t, r.store, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) })
	r.await(retrying, bugle.Cancelled, 1)
	r.await(ids[1], bugle.Cancelled, 0)
	r.await(ids[2], bugle.Cancelled, 0)
	open()
	r.await(ids[0], bugle.Delivered, 1) // it was under way
	wantIDs(t, to.ids(), []int64{retrying, ids[0]})
	if r.delivery(retrying).FinishedAt.IsZero() {
		t.Error("a cancelled delivery has no end")
	}

	// One that was under way and failed comes back after its wait, and is not sent then either.
	blocked, open := r.gate()
	to = r.receiver(func(w http.ResponseWriter, _ *http.Request) { <-blocked; w.WriteHeader(500) })
	w = r.hook(to.URL, nil)
	id := r.sendOne(w)
	r.until("it to be under way", func() bool { return to.len() == 1 })
	storetest.Change(t, r.store, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) })
	open()
	r.await(id, bugle.Cancelled, 1)
	if to.len() != 1 {
		t.Errorf("it was sent %d times", to.len())
	}
}

// Deleted by another process, or before a start: nothing tells the engine.
func TestEngine_deletedWhileStopped(t *testing.T) {
	r := startRig(t)
	w, to, retrying, ids, open := busyLane(r)
	wait := r.stopLater()
	open()
	wait()
	storetest.Change(t, r.store, func(tx *store.Tx) error { return tx.DeleteWebhook(1, w.ID) })
	r.start()
	r.await(ids[1], bugle.Cancelled, 0)
	r.await(ids[2], bugle.Cancelled, 0)
	r.await(retrying, bugle.Cancelled, 1)
	wantIDs(t, to.ids(), []int64{retrying, ids[0]})
}

func TestEngine_cancel(t *testing.T) {
	r := startRig(t)
	_, to, retrying, ids, open := busyLane(r)
	r.cancel(ids[1])
	r.cancel(retrying)
	open()
	r.await(ids[2], bugle.Delivered, 1)
	r.clock.Advance(time.Hour)
	last := r.sendOne(r.webhook(&bugle.Webhook{ID: 1}))
	r.await(last, bugle.Delivered, 1)
	r.want(ids[0], bugle.Delivered, 1)
	r.want(ids[1], bugle.Cancelled, 0)
	r.want(retrying, bugle.Cancelled, 1)
	wantIDs(t, to.ids(), []int64{retrying, ids[0], ids[2], last})
}

func TestEngine_redeliver(t *testing.T) {
	r := startRig(t)
	var down atomic.Bool
	to := r.receiver(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(500)
		}
	})
	w := r.hook(to.URL, func(w *bugle.Webhook) { w.MaxAttempts, w.RetrySchedule = 2, []int{10} })
	id := r.sendOne(w)
	r.await(id, bugle.Delivered, 1)

	r.redeliver(id) // delivered
	r.await(id, bugle.Delivered, 2)

	down.Store(true)
	r.redeliver(id) // and now it fails, by a series of its own
	r.await(id, bugle.Pending, 3)
	r.redeliver(id) // pending: at once, and anew
	r.await(id, bugle.Pending, 4)
	r.advance(10 * time.Second)
	r.await(id, bugle.Failed, 5)

	down.Store(false)
	r.redeliver(id) // failed
	r.await(id, bugle.Delivered, 6)

	r.edit(w, func(w *bugle.Webhook) { w.Status = bugle.Paused })
	r.redeliver(id)
	r.cancel(id)
	r.redeliver(id) // cancelled
	r.edit(w, func(w *bugle.Webhook) { w.Status = bugle.Active })
	r.await(id, bugle.Delivered, 7)
	wantIDs(t, to.ids(), slices.Repeat([]int64{id}, 7))
	for i, a := range r.attempts(id) {
		if a.Number != i+1 {
			t.Errorf("attempt %d has number %d", i+1, a.Number)
		}
	}
}

// Who asks for a delivery again while it is under way gets that attempt, not a second one beside it.
func TestEngine_redeliverWhileUnderWay(t *testing.T) {
	for name, ask := range map[string]func(*rig, int64){
		"redelivered":                func(r *rig, id int64) { r.redeliver(id) },
		"cancelled and redelivered":  func(r *rig, id int64) { r.cancel(id); r.redeliver(id) },
		"cancelled, twice requested": func(r *rig, id int64) { r.cancel(id); r.redeliver(id); r.redeliver(id) },
	} {
		t.Run(name, func(t *testing.T) {
			r := startRig(t)
			blocked, open := r.gate()
			to := r.receiver(func(http.ResponseWriter, *http.Request) { <-blocked })
			w := r.hook(to.URL, nil)
			id := r.sendOne(w)
			r.until("it to be under way", func() bool { return to.len() == 1 })
			ask(r, id)
			r.until("the lane to be read", func() bool {
				return r.locked(func() bool { l := r.engine.lanes[w.ID]; return !l.stale && !l.loading })
			})
			second := r.sendOne(w)
			r.until("the next to be under way", func() bool { return to.len() >= 2 })
			open()
			r.await(second, bugle.Delivered, 1)
			r.await(id, bugle.Delivered, 1)
			r.until("nothing to be left", func() bool {
				return r.locked(func() bool {
					l := r.engine.lanes[w.ID]
					return !l.stale && !l.loading && l.len()+l.inFlight+len(l.busy) == 0
				})
			})
			wantIDs(t, to.ids(), []int64{id, second})
		})
	}
}

func TestEngine_stopFinishesWhatIsUnderWay(t *testing.T) {
	r := startRig(t)
	_, to, retrying, ids, open := busyLane(r)
	wait := r.stopLater()
	open()
	wait()
	r.want(ids[0], bugle.Delivered, 1)
	r.want(ids[1], bugle.Pending, 0)
	r.want(ids[2], bugle.Pending, 0)
	wantIDs(t, to.ids(), []int64{retrying, ids[0]})
	late := r.sendOne(r.webhook(&bugle.Webhook{ID: 1})) // while nothing runs

	r.start()
	r.await(late, bugle.Delivered, 1)
	r.advance(5 * time.Second)
	r.await(retrying, bugle.Delivered, 2)
	wantIDs(t, to.ids(), []int64{retrying, ids[0], ids[1], ids[2], late, retrying})
}

func TestEngine_graceBoundsAHangingReceiver(t *testing.T) {
	r := newRig(t)
	r.options.Grace = 10 * time.Millisecond
	r.start()
	_, to, _, ids, open := busyLane(r)
	r.stop()
	r.want(ids[0], bugle.Pending, 0)
	if h := r.webhook(&bugle.Webhook{ID: 1}).Health; h.ConsecutiveFailures != 1 {
		t.Errorf("health is %+v: what the stop cut off counts as a failure", h)
	}
	open()
	r.start()
	r.await(ids[0], bugle.Delivered, 1)
	r.await(ids[2], bugle.Delivered, 1)
	wantIDs(t, to.ids()[2:], ids)
}

func TestEngine_manyRestarts(t *testing.T) {
	r := startRig(t)
	to := r.receiver(nil)
	w := r.hook(to.URL, nil)
	n := 0
	for range 10 {
		n += len(r.send(w, 60))
		r.stop()
		r.start()
	}
	r.wantOnce(n, to)
}

// Retries wait as long as they are to, also if the clock is set back meanwhile. What is set forward waits no longer.
func TestEngine_retriesFollowTheClock(t *testing.T) {
	fake := clockwork.NewFakeClockAt(time.Now())
	clock := &storetest.SetClock{Clock: fake}
	path := newRig(t).path
	s := storetest.Open(t, "sqlite:"+path, store.Options{Clock: clock})
	r := &rig{TB: t, path: path, store: s, clock: fake, client: loopbackClient(t), options: Options{Clock: clock, Jitter: func() float64 { return 0 }}}
	r.start()
	to := r.receiver(failing(func(int64) int { return 4 }))
	schedule := func(w *bugle.Webhook) { w.RetrySchedule, w.MaxAttempts = []int{10}, 10 }
	plain := r.hook(to.URL, schedule)
	ordered := r.hook(to.URL, func(w *bugle.Webhook) { schedule(w); w.Ordered = true })
	ids := []int64{r.sendOne(plain), r.sendOne(ordered)}
	for n, by := range []time.Duration{0, time.Hour, -time.Hour, 0} {
		for _, id := range ids {
			r.await(id, bugle.Pending, n+1)
		}
		clock.Set(by)
		if n == 1 || n == 3 { // set forward: they are due when they were to be, or earlier
			fake.Advance(10 * time.Second)
			signal(r.engine.wakeLoop)
			continue
		}
		r.advance(9 * time.Second)
		for _, id := range ids {
			r.want(id, bugle.Pending, n+1)
		}
		r.advance(time.Second)
	}
	for _, id := range ids {
		r.await(id, bugle.Delivered, 5)
	}
}

// A lane is about to be read when a failed attempt is recorded: what waits for its retry is found.
func TestEngine_recordedBeforeTheLaneIsRead(t *testing.T) {
	r := newRig(t)
	w := r.hook("http://127.0.0.1:9/", func(w *bugle.Webhook) { w.Ordered = true })
	id := r.sendOne(w)
	head, err := r.store.Due(t.Context(), w.ID, 0, 0, 1)
	if err != nil || len(head) != 1 {
		t.Fatal(head, err)
	}
	r.options.Clock = r.clock
	e := NewEngine(r.store, r.client, r.options)
	l := &lane{id: w.ID, busy: map[int64]int64{id: head[0].Order}, inFlight: 1, stale: true, loading: true} // its webhook was edited
	e.lanes[w.ID] = l
	e.recorded([]store.Result{{WebhookID: w.ID, DeliveryID: id, Ordered: true, Outcome: bugle.Outcome{State: bugle.Pending}}})
	if err := e.loadLane(t.Context(), l); err != nil || l.len() != 1 {
		t.Errorf("the lane holds %d deliveries, %v, want the one", l.len(), err)
	}
}

// What was delivered before the clock went back has later places than what comes then.
func TestEngine_clockGoesBack(t *testing.T) {
	r := newRig(t)
	plain, ordered := r.receiver(nil), r.receiver(nil)
	hooks := []*bugle.Webhook{r.hook(plain.URL, func(w *bugle.Webhook) { w.MaxConcurrency = 1 }), r.hook(ordered.URL, func(w *bugle.Webhook) { w.Ordered = true })}
	r.start()
	for _, w := range hooks {
		r.await(r.sendOne(w), bugle.Delivered, 1)
	}
	r.stop()
	for _, w := range hooks {
		r.send(w, 2)
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}

	r = openRig(t, r.path, storetest.Start.Add(-time.Hour))
	for _, w := range hooks {
		r.send(w, 2)
	}
	r.start()
	for _, w := range hooks {
		r.send(w, 2)
	}
	r.until("all to arrive", func() bool { return plain.len()+ordered.len() == 14 })
	for _, to := range []*receiver{plain, ordered} {
		if ids := to.ids(); len(ids) != 7 || !slices.IsSorted(ids) {
			t.Errorf("received %d", ids)
		}
	}
	r.until("all to be delivered", func() bool { return r.count(store.DeliveryFilter{State: bugle.Delivered}) == 14 })
}

// breakAttempts lets no attempt be written until mend is called.
func (r *rig) breakAttempts() (mend func()) {
	r.Helper()
	r.sql("CREATE TRIGGER broken BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END")
	return func() { r.sql("DROP TRIGGER broken") }
}

// Results are written once they can be, however long that takes.
func TestEngine_databaseErrorPasses(t *testing.T) {
	r := newRig(t)
	to := r.receiver(nil)
	w := r.hook(to.URL, nil)
	mend := r.breakAttempts()
	r.start()
	ids := r.send(w, 20)
	r.until("all to arrive", func() bool { return to.len() == 20 })
	r.until("an attempt to write", func() bool { return r.locked(func() bool { return r.engine.recording > 0 }) })
	r.want(ids[0], bugle.Pending, 0)
	mend()
	r.wantOnce(20, to)
	r.stop()
}

// A database that stays broken does not keep the engine from stopping, even with workers that wait
// for results to be written.
func TestEngine_databaseStaysBroken(t *testing.T) {
	r := newRig(t)
	r.options.Grace = 50 * time.Millisecond
	to := r.receiver(nil)
	w := r.hook(to.URL, nil)
	mend := r.breakAttempts()
	id := r.sendOne(w)
	r.options.OnAttempt = func(AttemptReport) {
		r.engine.mu.Lock()
		defer r.engine.mu.Unlock()
		r.engine.results = append(r.engine.results, make([]store.Result, maxUnrecorded)...) // as if of others
		for i := range r.engine.results {
			r.engine.results[i].Attempt = &bugle.Attempt{}
		}
	}
	r.start()
	r.until("it to arrive", func() bool { return to.len() == 1 })
	r.until("results to wait", func() bool {
		return r.locked(func() bool { return len(r.engine.results)+r.engine.recording > maxUnrecorded })
	})
	r.stop()
	r.want(id, bugle.Pending, 0)

	mend()
	r.options.OnAttempt = nil
	r.start()
	r.await(id, bugle.Delivered, 1)
	wantIDs(t, to.ids(), []int64{id, id})
	r.stop()
}

func TestEngine_databaseIsClosed(t *testing.T) {
	r := newRig(t)
	blocked, open := r.gate()
	to := r.receiver(func(http.ResponseWriter, *http.Request) { <-blocked })
	w := r.hook(to.URL, func(w *bugle.Webhook) { w.MaxConcurrency = 2 })
	r.start()
	r.send(w, 300)
	r.until("two to be under way", func() bool { return to.len() == 2 })
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	open()
	r.until("the engine to send no more", func() bool {
		return r.locked(func() bool { return r.engine.stopping && len(r.engine.workers) == 0 })
	})
	r.stop()
}

func TestEngine_closedBeforeItRuns(t *testing.T) {
	r := newRig(t)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.stop()
}

func TestEngine_reportsEveryAttempt(t *testing.T) {
	r := newRig(t)
	reports := make(chan AttemptReport, 10)
	r.options.OnAttempt = func(a AttemptReport) { reports <- a }
	r.start()
	to := r.receiver(failing(func(int64) int { return 1 }))
	w := r.hook(to.URL, nil)
	id := r.sendOne(w)
	first := <-reports
	r.await(id, bugle.Pending, 1)
	r.advance(5 * time.Second)
	second := <-reports
	envelope := to.all()[0].body
	for i, got := range []AttemptReport{first, second} {
		if got.DeliveryID != id || got.Webhook.ID != w.ID || got.Attempt.Number != i+1 || string(got.Envelope) != envelope {
			t.Errorf("report %d is %+v", i+1, got)
		}
	}
	if first.Outcome.State != bugle.Pending || !first.Outcome.NextAt.Equal(storetest.Start.Add(5*time.Second)) || second.Outcome.State != bugle.Delivered {
		t.Errorf("outcomes are %+v and %+v", first.Outcome, second.Outcome)
	}
}

// While an organization is held its lanes send nothing, also after a restart, and go on once it is released.
func TestEngine_holdKeepsDeliveries(t *testing.T) {
	r := startRig(t)
	to := r.receiver(status(200))
	w := r.hook(to.URL, nil)
	r.await(r.sendOne(w), bugle.Delivered, 1)
	storetest.Change(t, r.store, func(tx *store.Tx) error { _, err := tx.Hold(1); return err })
	held := r.send(w, 3)
	r.stop()
	r.start()
	held = append(held, r.send(w, 2)...)
	r.until("the lane to be read", func() bool {
		return r.locked(func() bool { l := r.engine.lanes[w.ID]; return l != nil && l.hook != nil && !l.loading })
	})
	for _, id := range held {
		r.want(id, bugle.Pending, 0)
	}
	storetest.Change(t, r.store, func(tx *store.Tx) error { _, err := tx.Release(1, bugle.ReleaseDrop); return err })
	for over := false; !over; {
		var err error
		if over, err = r.store.StepRelease(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	r.await(r.sendOne(w), bugle.Delivered, 1)
	for _, id := range held {
		r.want(id, bugle.Cancelled, 0)
	}
	storetest.Change(t, r.store, func(tx *store.Tx) error { _, err := tx.Hold(1); return err })
	held = r.send(w, 3)
	storetest.Change(t, r.store, func(tx *store.Tx) error { _, err := tx.Release(1, bugle.ReleaseDeliver); return err })
	for _, id := range held {
		r.await(id, bugle.Delivered, 1)
	}
	if n := to.len(); n != 5 {
		t.Errorf("the receiver has had %d requests, want 5", n)
	}
}

// Webhooks whose secrets cannot be read keep nobody from being read, and go on once they can be.
func TestEngine_secretsThatCannotBeRead(t *testing.T) {
	r := newRig(t)
	to := r.receiver(status(200))
	var broken []*bugle.Webhook
	for range 3 * loaders {
		broken = append(broken, r.hook(to.URL, nil))
	}
	well := r.hook(to.URL, nil)
	r.sql("CREATE TABLE kept AS SELECT id, sealed FROM webhooks")
	var owed []int64
	for _, w := range broken {
		owed = append(owed, r.sendOne(w))
	}
	r.sql("UPDATE webhooks SET sealed = (SELECT sealed FROM kept WHERE id = ?) WHERE id <> ?", well.ID, well.ID)
	r.start()
	for _, w := range broken {
		r.until("a lane to be put off", func() bool {
			return r.locked(func() bool {
				l := r.engine.lanes[w.ID]
				return l != nil && !l.loading && l.stale && l.wakesAt.Equal(r.clock.Now().Add(unreadablePause))
			})
		})
	}
	r.await(r.sendOne(well), bugle.Delivered, 1)
	if to.len() != 1 {
		t.Errorf("%d requests were sent, want 1", to.len())
	}
	r.sql("UPDATE webhooks SET sealed = (SELECT sealed FROM kept WHERE kept.id = webhooks.id)")
	r.advance(unreadablePause)
	for _, id := range owed {
		r.await(id, bugle.Delivered, 1)
	}
}

// A receiver may answer with what it was sent, as those for tests do. Signatures and credentials do not get into the log so.
func TestEngine_echoedCredentialsAreNotKept(t *testing.T) {
	const credential, key, short = "dXNlcjpwYXNzd29yZA==", "key/of/the/receiver", "abc"
	for _, code := range []int{200, 302, 500} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			r := newRig(t)
			var log bytes.Buffer
			r.options.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			r.start()
			to := r.receiver(func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("Location", "/"+q.Header.Get("X-Api-Key")+"/next")
				w.Header().Set("X-Echo", q.Header.Get("Signature"))
				w.WriteHeader(code)
				fmt.Fprintf(w, "%s %v", strings.ReplaceAll(q.Header.Get("X-Api-Key"), "/", `\/`), q.Header)
			})
			w := r.hook(to.URL, func(w *bugle.Webhook) {
				w.OldSecret, w.OldSecretUntil = "the old secret of this test", r.clock.Now().Add(time.Hour)
				w.Headers = []bugle.Header{{Name: "Authorization", Value: "Basic " + credential}, {Name: "X-Api-Key", Value: key}, {Name: "X-Token", Value: short}, {Name: "X-Unit", Value: "not a secret at all"}}
			})
			id := r.sendOne(w)
			r.until("an attempt", func() bool { return len(r.attempts(id)) == 1 })
			a := r.attempts(id)[0]
			r.stop()
			sent := to.all()[0].header
			kept := fmt.Sprintf("%+v %+v %s\n%s", a, a.Error, a.ResponseBody, &log)
			secrets := []string{credential, key, `key\/of\/the\/receiver`, sent.Get("Signature")}
			for signature := range strings.FieldsSeq(sent.Get("Webhook-Signature")) {
				secrets = append(secrets, strings.TrimPrefix(signature, "v1,"))
			}
			if len(secrets) != 6 {
				t.Fatalf("it was sent %v", sent)
			}
			for _, secret := range secrets {
				if strings.Contains(kept, secret) {
					t.Errorf("%s is in\n%s", secret, kept)
				}
			}
			for _, rest := range []string{"not a secret at all", "X-Token:[abc]", "Basic ********", "v1,******** v1,********", a.ResponseHeaders.Get("Date")} {
				if !strings.Contains(kept, rest) {
					t.Errorf("%q is not in\n%s", rest, kept)
				}
			}
		})
	}
}
