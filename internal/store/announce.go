package store

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// What a commit means has to reach the servers that share the database with whoever made it. It is announced on a
// channel of PostgreSQL, after the commit and on a connection of its own: within the transaction it would make all
// commits wait for one another. An announcement can be lost, so nodes look into the tables every few seconds as well.

const (
	announceChannel = "bugle"
	announceDelay   = 2 * time.Millisecond   // what comes meanwhile goes along
	newsDelay       = 100 * time.Millisecond // the same for what only pages wait for
	maxAnnounced    = 300                    // ids of a kind in one announcement, which has to stay below 8000 bytes
	announceTimeout = 5 * time.Second
)

// An announcement is what goes through the channel, as JSON.
type announcement struct {
	From     int64   `json:"n,omitempty"` // the node; 0: a command
	Lanes    []int64 `json:"d,omitempty"`
	Webhooks []int64 `json:"w,omitempty"`
	Recorded []int64 `json:"x,omitempty"`
	Finished []int64 `json:"f,omitempty"`
	Runs     bool    `json:"r,omitempty"`
	Sendings bool    `json:"s,omitempty"`
	Retries  bool    `json:"t,omitempty"`
	Replays  bool    `json:"p,omitempty"`
	Holds    bool    `json:"h,omitempty"`
	Erased   bool    `json:"e,omitempty"`
	Slices   bool    `json:"l,omitempty"`
	Missed   bool    `json:"m,omitempty"` // too much to be listed
}

// An announcer passes on what this process commits.
type announcer struct {
	store  *Store
	config *pgx.ConnConfig
	log    *slog.Logger

	mu       sync.Mutex
	lanes    map[int64]bool
	webhooks map[int64]bool
	recorded []int64
	finished []int64
	flags    announcement
	urgent   bool
	empty    bool
	running  bool
	wake     chan struct{}
	closing  chan struct{}
	done     chan struct{}
}

func newAnnouncer(s *Store, config *pgx.ConnConfig, log *slog.Logger) *announcer {
	return &announcer{store: s, config: config, log: log, empty: true, lanes: map[int64]bool{}, webhooks: map[int64]bool{},
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
}

// add takes what is to be announced. A node that is alone has nobody to tell.
func (a *announcer) add(c Committed) {
	if a.store.node != nil && a.store.IsAlone() && !c.Slices {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range c.Deliveries {
		a.lanes[d.WebhookID] = true
	}
	for _, id := range c.Webhooks {
		a.webhooks[id] = true
	}
	a.recorded = newestIDs(append(a.recorded, c.Recorded...))
	a.finished = newestIDs(append(a.finished, c.Finished...))
	a.flags.Runs = a.flags.Runs || c.Runs
	a.flags.Sendings = a.flags.Sendings || c.Sendings
	a.flags.Retries = a.flags.Retries || c.Retries
	a.flags.Replays = a.flags.Replays || c.Replays
	a.flags.Holds = a.flags.Holds || c.Holds
	a.flags.Erased = a.flags.Erased || c.Erased
	a.flags.Slices = a.flags.Slices || c.Slices
	a.urgent = a.urgent || len(c.Deliveries)+len(c.Webhooks) > 0 || c.Runs || c.Sendings || c.Retries || c.Replays || c.Holds || c.Erased || c.Slices
	a.empty = false
	if !a.running {
		a.running = true
		go a.run()
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func newestIDs(ids []int64) []int64 {
	if len(ids) > maxAnnounced {
		return append(ids[:0], ids[len(ids)-maxAnnounced:]...)
	}
	return ids
}

// take returns what is to be announced now.
func (a *announcer) take() (text string, isEmpty bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.empty {
		return "", true
	}
	m := a.flags
	if a.store.node != nil {
		m.From = a.store.node.id
	}
	if len(a.lanes) > maxAnnounced || len(a.webhooks) > maxAnnounced {
		m.Missed = true
	} else {
		for id := range a.lanes {
			m.Lanes = append(m.Lanes, id)
		}
		for id := range a.webhooks {
			m.Webhooks = append(m.Webhooks, id)
		}
	}
	room := max(0, 2*maxAnnounced-len(m.Lanes)-len(m.Webhooks)) / 2 // ids have up to 19 digits, most far less
	m.Recorded = append(m.Recorded, a.recorded[max(0, len(a.recorded)-room):]...)
	m.Finished = append(m.Finished, a.finished[max(0, len(a.finished)-room):]...)
	clear(a.lanes)
	clear(a.webhooks)
	a.recorded, a.finished, a.flags, a.urgent, a.empty = a.recorded[:0], a.finished[:0], announcement{}, false, true
	for {
		bytes, err := json.Marshal(m)
		if err == nil && len(bytes) < 7900 {
			return string(bytes), false
		}
		m.Recorded, m.Finished = nil, nil
		if err != nil || len(m.Lanes)+len(m.Webhooks) > 0 {
			m.Lanes, m.Webhooks, m.Missed = nil, nil, true
		}
	}
}

// run announces until close, and then what is left.
func (a *announcer) run() {
	defer close(a.done)
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			conn.Close(ctx)
		}
	}()
	for closing := false; ; {
		if !closing {
			select {
			case <-a.wake:
			case <-a.closing:
				closing = true
			}
		}
		if !closing {
			closing = a.gather()
		}
		text, isEmpty := a.take()
		if isEmpty {
			if closing {
				return
			}
			continue
		}
		var err error
		if conn, err = a.send(conn, text); err != nil {
			a.log.Warn("announcing to other nodes failed", "error", err) // they find it in the tables
		}
	}
}

// gather waits for what comes soon.
func (a *announcer) gather() (closing bool) {
	for delay := announceDelay; delay <= newsDelay; delay += newsDelay - announceDelay {
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-a.closing:
			timer.Stop()
			return true
		}
		a.mu.Lock()
		urgent := a.urgent
		a.mu.Unlock()
		if urgent {
			break
		}
	}
	return false
}

// send announces on the connection, or a new one if it is nil or dead.
func (a *announcer) send(conn *pgx.Conn, text string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), announceTimeout)
	defer cancel()
	for isNew := false; ; {
		if conn == nil {
			var err error
			isNew = true
			if conn, err = pgx.ConnectConfig(ctx, a.config); err != nil {
				return nil, err
			}
			// An announcement need not survive anything, and so need not wait for the disk.
			if _, err := conn.Exec(ctx, "SET synchronous_commit = off"); err != nil {
				conn.Close(ctx)
				return nil, err
			}
		}
		_, err := conn.Exec(ctx, "SELECT pg_notify($1, $2)", announceChannel, text)
		if err == nil {
			return conn, nil
		}
		conn.Close(ctx)
		conn = nil
		if isNew {
			return nil, err
		}
	}
}

func (a *announcer) close() {
	a.mu.Lock()
	running := a.running
	a.running = true // nothing starts it any more
	a.mu.Unlock()
	select {
	case <-a.closing:
		return
	default:
		close(a.closing)
	}
	if running {
		<-a.done
	}
}

// A listener hears what others announce. Its connection also holds the lock that tells commands that there is a server.
type listener struct {
	store  *Store
	config *pgx.ConnConfig
	log    *slog.Logger
	stop   context.CancelFunc
	done   chan struct{}
}

// listen begins to hear, or returns ErrInUse if a command wants to be alone.
func listen(ctx context.Context, s *Store, config *pgx.ConnConfig, log *slog.Logger) (*listener, error) {
	l := &listener{store: s, config: config, log: log, done: make(chan struct{})}
	conn, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	go l.run(ctx, conn)
	return l, nil
}

func (l *listener) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, l.config)
	if err != nil {
		return nil, err
	}
	var got bool
	if err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock_shared($1)", int64(serversLock)).Scan(&got); err == nil && !got {
		err = ErrInUse
	}
	if err == nil {
		_, err = conn.Exec(ctx, "LISTEN "+announceChannel)
	}
	if err != nil {
		conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

// run hears until ctx is done, and connects again when the connection is lost.
func (l *listener) run(ctx context.Context, conn *pgx.Conn) {
	defer close(l.done)
	for {
		for conn != nil {
			n, err := conn.WaitForNotification(ctx)
			if err == nil {
				l.heard(n.Payload)
				continue
			}
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			conn.Close(closing)
			cancel()
			conn = nil
			if ctx.Err() == nil {
				l.log.Warn("the connection for announcements of other nodes is lost", "error", err)
			}
		}
		if ctx.Err() != nil {
			return
		}
		var err error
		if conn, err = l.connect(ctx); err != nil {
			timer := time.NewTimer(500 * time.Millisecond)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
			continue
		}
		l.log.Info("hearing announcements of other nodes again")
		l.store.tell(Committed{Missed: true, Runs: true, Sendings: true, Replays: true, Holds: true, Erased: true, Slices: true})
	}
}

// heard tells of an announcement of somebody else.
func (l *listener) heard(payload string) {
	var m announcement
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		l.log.Warn("an announcement cannot be read", "error", err)
		m = announcement{Missed: true, Runs: true, Sendings: true, Replays: true, Holds: true, Erased: true}
	}
	if m.From == l.store.node.id {
		return
	}
	l.store.tell(Committed{Lanes: m.Lanes, Webhooks: m.Webhooks, Recorded: m.Recorded, Finished: m.Finished,
		Runs: m.Runs, Sendings: m.Sendings, Retries: m.Retries, Replays: m.Replays, Holds: m.Holds, Erased: m.Erased, Slices: m.Slices, Missed: m.Missed})
}

func (l *listener) close() {
	l.stop()
	<-l.done
}
