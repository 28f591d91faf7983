package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/secrets"
	"github.com/buglehq/bugle/personnel"
)

// A Proof is what a walk through the store has shown: that nothing that was accepted is lost, or what is broken.
type Proof struct {
	Began time.Time
	Took  time.Duration

	// How much was looked at.
	Events, Deliveries, Webhooks, Runs int

	// Orphans are pending deliveries whose webhook was deleted: the server cancels them.
	Orphans int

	Broken int     // how many faults there are
	Faults []Fault // the first MaxFaults of each check
}

// A Fault is something in the database that must not be.
type Fault struct {
	Check     string // one of Checks
	ID        int64  // of what the check is about: an event, a delivery, a webhook, a run or an organization
	WebhookID int64  // 0: about none
	Text      string // what is wrong with it, such as "delivered without an attempt"
}

// MaxFaults is how many faults of a check are listed; the others are counted.
const MaxFaults = 100

// provePage is how many rows one statement looks at.
const provePage = 1000

// A check looks for one kind of fault.
type check struct {
	name string
	run  func(*prover) error
}

// checks are all that is looked for.
var checks = []check{
	{"events", (*prover).events},         // every webhook that an event was matched with has a delivery of it
	{"deliveries", (*prover).deliveries}, // each has its event, a state that makes sense, and its attempts
	{"lanes", (*prover).lanes},           // the deliveries of a webhook are numbered without gaps, up to the last number given out
	{"runs", (*prover).runs},             // each has its event
	{"counters", (*prover).counters},     // what is counted is as many as there are
	{"leases", (*prover).leases},         // none lasts longer than it may, nor is anybody's who is not there
	{"secrets", (*prover).secrets},       // those of every webhook and channel open
	{"audit", (*prover).audit},           // the audit log is as it was written: see CheckAudit
}

// Checks are the names of what Prove looks at.
func Checks() []string {
	var names []string
	for _, c := range checks {
		names = append(names, c.name)
	}
	return names
}

// Prove walks through the store and shows that nothing is lost: see Checks. It only reads, 1,000 rows at a time, and
// may run beside a server: each statement sees one state of the database, and what it finds holds in that. The pause,
// if there is one, is called after each statement with how long it took. The error is one of the database or of ctx;
// what is broken is in the Proof.
func (s *Store) Prove(ctx context.Context, pause func(took time.Duration)) (*Proof, error) {
	p := &prover{conn: s.view(), store: s, ctx: ctx, pause: pause, listed: map[string]int{}}
	p.Began = s.now()
	began := time.Now()
	for _, c := range checks {
		p.check = c.name
		if err := c.run(p); err != nil {
			return nil, fmt.Errorf("prove %s: %w", c.name, err)
		}
	}
	p.Took = time.Since(began)
	return &p.Proof, nil
}

// A prover is a walk under way.
type prover struct {
	Proof
	conn
	store  *Store
	ctx    context.Context
	pause  func(time.Duration)
	check  string
	listed map[string]int
}

func (p *prover) fault(id, webhookID int64, text string, args ...any) {
	p.Broken++
	if p.listed[p.check]++; p.listed[p.check] <= MaxFaults {
		p.Faults = append(p.Faults, Fault{p.check, id, webhookID, fmt.Sprintf(text, args...)})
	}
}

// audit is about organizations, 0 being what belongs to none.
func (p *prover) audit() error {
	chains, err := checkAudit(p.ctx, p.conn, p.pause)
	for _, chain := range chains {
		if chain.Problem != "" {
			p.fault(chain.OrganizationID, 0, "%s", chain.Problem)
		}
	}
	return err
}

// query is each, and rests afterwards.
func (p *prover) query(row func(scan func(to ...any) error) error, text string, args ...any) error {
	began := time.Now()
	if err := p.each(p.ctx, row, text, args...); err != nil {
		return err
	}
	if p.pause != nil {
		p.pause(time.Since(began))
	}
	return p.ctx.Err()
}

// pages calls page for each range of ids of a table, above the first and up to the second; the last range has no end.
func (p *prover) pages(table string, seen *int, page func(after, to int64) error) error {
	for after := int64(0); ; {
		var n int
		var to int64
		err := p.query(func(scan func(to ...any) error) error { return scan(&n, &to) },
			"SELECT COUNT(*), COALESCE(MAX(id), 0) FROM (SELECT id FROM "+table+" WHERE id > $1 ORDER BY id LIMIT $2) AS page", after, provePage)
		if err != nil {
			return err
		}
		*seen += n
		if n < provePage {
			to = math.MaxInt64
		}
		if err := page(after, to); err != nil || n < provePage {
			return err
		}
		after = to
	}
}

// secrets looks for webhooks, channels and second factors whose secrets do not open.
func (p *prover) secrets() error {
	began := time.Now()
	return p.store.eachSealed(p.ctx, func() {
		if p.pause != nil {
			p.pause(time.Since(began))
		}
		began = time.Now()
	}, func(u Unreadable, _ secrets.KeyID, _ bool, wrong error) {
		switch {
		case wrong != nil && u.UserID != 0:
			p.fault(u.UserID, 0, "the key of this user's second factor cannot be read: %v", wrong)
		case wrong != nil:
			p.fault(u.ID, u.ID, "its secrets cannot be read: %v", wrong)
		}
	})
}

// matchMargin is how far the times of an event and of a change of a webhook have to be apart for their ids to say which
// was first: two nodes may write at once.
const matchMargin = int64(time.Minute / time.Microsecond)

// events looks for deliveries that are not there: an event after the last change of a webhook was matched with the webhook
// as it is now, by numberSubscribed. What an earlier event was matched with nobody has noted, but for the numbers that
// lanes gave out.
func (p *prover) events() error {
	return p.pages("events", &p.Events, func(after, to int64) error {
		return p.query(func(scan func(to ...any) error) error {
			var event, webhook int64
			var name string
			err := scan(&event, &webhook, &name)
			if err == nil {
				p.fault(event, webhook, "%s has no delivery for webhook %d, which subscribes to it", name, webhook)
			}
			return err
		}, `
			SELECT e.id, w.id, e.name
			FROM   events e
			JOIN   webhook_events s ON s.organization_id = e.organization_id AND s.event = e.name
			JOIN   webhooks w ON w.id = s.webhook_id
			LEFT   JOIN removed_deliveries r ON r.webhook_id = w.id
			WHERE  e.id > $1 AND e.id <= $2 AND NOT e.addressed AND e.name <> $3 AND w.status <> 'disabled'
			AND    e.id > w.changed_event_id AND ABS(e.created_us - w.updated_us) > $4
			AND    e.id > COALESCE(r.last_event_id, 0)
			AND    NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND d.webhook_id = w.id)
			ORDER  BY e.id, w.id`, after, to, bugle.TestEvent, matchMargin)
	})
}

// A provenDelivery is a delivery with what it should go with.
type provenDelivery struct {
	id, webhook, event, state, place, next, attempts, attemptsBefore, finished int64

	hasEvent, hasWebhook, hasLane bool
	rows, lowest, highest         int64 // of its attempts
	removed                       int64 // attempts of those that ended before this time may be gone
}

func (p *prover) deliveries() error {
	return p.pages("deliveries", &p.Deliveries, func(after, to int64) error {
		err := p.query(func(scan func(to ...any) error) error {
			var d provenDelivery
			err := scan(&d.id, &d.webhook, &d.event, &d.state, &d.place, &d.next, &d.attempts, &d.attemptsBefore, &d.finished,
				&d.hasEvent, &d.hasWebhook, &d.hasLane, &d.rows, &d.lowest, &d.highest, &d.removed)
			if err == nil {
				p.delivery(&d)
			}
			return err
		}, `
			SELECT d.id, d.webhook_id, d.event_id, d.state, d.order_us, d.next_attempt_us, d.attempts, d.attempts_before, d.finished_us,
			       CASE WHEN e.id IS NULL THEN 0 ELSE 1 END, CASE WHEN w.id IS NULL THEN 0 ELSE 1 END, CASE WHEN l.webhook_id IS NULL THEN 0 ELSE 1 END,
			       COALESCE(a.n, 0), COALESCE(a.lowest, 0), COALESCE(a.highest, 0), COALESCE(r.attempts_us, 0)
			FROM   deliveries d
			LEFT   JOIN events e ON e.id = d.event_id
			LEFT   JOIN webhooks w ON w.id = d.webhook_id
			LEFT   JOIN lanes l ON l.webhook_id = d.webhook_id
			LEFT   JOIN removed_attempts r ON r.organization_id = d.organization_id
			LEFT   JOIN (
			    SELECT delivery_id, COUNT(*) AS n, MIN(number) AS lowest, MAX(number) AS highest
			    FROM   attempts WHERE delivery_id > $1 AND delivery_id <= $2 GROUP BY delivery_id
			) a ON a.delivery_id = d.id
			WHERE  d.id > $1 AND d.id <= $2
			ORDER  BY d.id`, after, to)
		if err != nil {
			return err
		}
		return p.query(func(scan func(to ...any) error) error {
			var id int64
			err := scan(&id)
			if err == nil {
				p.fault(id, 0, "there are attempts of it, but no delivery")
			}
			return err
		}, `
			SELECT DISTINCT a.delivery_id FROM attempts a
			WHERE  a.delivery_id > $1 AND a.delivery_id <= $2 AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = a.delivery_id)
			ORDER  BY a.delivery_id`, after, to)
	})
}

// delivery looks at one.
func (p *prover) delivery(d *provenDelivery) {
	fault := func(text string, args ...any) { p.fault(d.id, d.webhook, text, args...) }
	if !d.hasEvent {
		fault("its event %d is not there", d.event)
	}
	switch {
	case d.hasWebhook && !d.hasLane:
		fault("its webhook has no lane")
	case !d.hasWebhook && d.state <= stateWaiting:
		p.Orphans++
	}
	switch d.state {
	case stateDue, stateWaiting:
		if d.finished != 0 {
			fault("pending, but finished")
		}
		if d.state == stateDue && d.place <= 0 {
			fault("due without a place in its lane")
		}
		if d.state == stateWaiting && d.next <= 0 {
			fault("waits for an attempt at no time")
		}
	case stateDelivered, stateFailed, stateCancelled:
		if d.finished <= 0 {
			fault("ended at no time")
		}
		if d.state != stateCancelled && d.attempts == 0 {
			fault("ended without an attempt")
		}
	default:
		fault("its state is %d, which is none", d.state)
	}
	if d.attemptsBefore > d.attempts {
		fault("%d attempts, %d of them in earlier series", d.attempts, d.attemptsBefore)
	}
	switch {
	case d.rows == 0 && d.attempts == 0:
	case d.rows == 0:
		// They may have been deleted once the delivery, or its series before this one, had ended.
		gone := d.removed > 0 && (d.state >= stateDelivered && d.finished < d.removed || d.attempts == d.attemptsBefore)
		if !gone {
			fault("%d attempts, but none is there", d.attempts)
		}
	case d.highest != d.attempts:
		fault("%d attempts, but the last one that is there is number %d", d.attempts, d.highest)
	case d.highest-d.lowest+1 != d.rows || d.lowest < 1:
		fault("of the attempts %d to %d only %d are there", d.lowest, d.highest, d.rows)
	case d.lowest > 1 && (d.removed == 0 || d.lowest > d.attemptsBefore+1):
		fault("the attempts before number %d are not there", d.lowest)
	}
}

// lanes looks at the numbers that webhooks have given out: each is a delivery, or one that was deleted.
func (p *prover) lanes() error {
	for webhook := int64(0); ; {
		var next *int64
		err := p.query(func(scan func(to ...any) error) error { return scan(&next) }, `
			SELECT MIN(id) FROM (
			    SELECT MIN(webhook_id) AS id FROM lanes WHERE webhook_id > $1
			    UNION ALL
			    SELECT MIN(webhook_id) AS id FROM deliveries WHERE webhook_id > $2
			    UNION ALL
			    SELECT MIN(id) AS id FROM webhooks WHERE id > $3) AS ids`, webhook, webhook, webhook)
		if err != nil || next == nil {
			return err
		}
		webhook = *next
		p.Webhooks++
		if err := p.lane(webhook); err != nil {
			return err
		}
	}
}

func (p *prover) lane(webhook int64) error {
	fault := func(text string, args ...any) { p.fault(webhook, webhook, text, args...) }
	var exists bool
	var counted *int64
	var newest, removed, removedTo, left int64
	err := p.query(func(scan func(to ...any) error) error {
		return scan(&exists, &counted, &newest, &removed, &removedTo, &left)
	}, `
		SELECT CASE WHEN w.id IS NULL THEN 0 ELSE 1 END, l.last_sequence,
		       COALESCE((SELECT MAX(sequence) FROM deliveries WHERE webhook_id = k.id), 0),
		       COALESCE(r.removed, 0), COALESCE(r.last_sequence, 0),
		       (SELECT COUNT(*) FROM deliveries WHERE webhook_id = k.id AND sequence <= r.last_sequence)
		FROM   (SELECT CAST($1 AS BIGINT) AS id) AS k
		LEFT   JOIN webhooks w ON w.id = k.id
		LEFT   JOIN lanes l ON l.webhook_id = k.id
		LEFT   JOIN removed_deliveries r ON r.webhook_id = k.id`, webhook)
	if err != nil {
		return err
	}
	last := newest // of a deleted webhook: nobody knows what it counted up to
	switch {
	case counted != nil:
		last = *counted
		if newest > last {
			fault("its newest delivery has number %d, but its lane has counted to %d", newest, last)
		}
	case exists:
		fault("it has no lane")
	}
	if left+removed != removedTo {
		fault("of its deliveries up to number %d there are %d, and %d were deleted", removedTo, left, removed)
	}
	for after := removedTo; after < last; after += provePage {
		if err := p.numbers(webhook, after, min(after+provePage, last)); err != nil {
			return err
		}
	}
	return nil
}

// numbers looks for the numbers above after, up to to.
func (p *prover) numbers(webhook, after, to int64) error {
	var there []int64
	err := p.query(func(scan func(to ...any) error) error {
		var removedTo int64
		var sequence *int64
		err := scan(&removedTo, &sequence)
		after = max(after, removedTo) // deleted meanwhile
		if sequence != nil {
			there = append(there, *sequence)
		}
		return err
	}, `
		SELECT COALESCE(r.last_sequence, 0), d.sequence
		FROM   (SELECT CAST($1 AS BIGINT) AS id) AS k
		LEFT   JOIN removed_deliveries r ON r.webhook_id = k.id
		LEFT   JOIN deliveries d ON d.webhook_id = k.id AND d.sequence > $2 AND d.sequence <= $3
		ORDER  BY d.sequence`, webhook, after, to)
	if err != nil {
		return err
	}
	for number := after + 1; number <= to; number++ {
		if _, found := slices.BinarySearch(there, number); !found {
			p.fault(webhook, webhook, "its delivery number %d is not there", number)
		}
	}
	return nil
}

func (p *prover) runs() error {
	return p.pages("automation_runs", &p.Runs, func(after, to int64) error {
		return p.query(func(scan func(to ...any) error) error {
			var id, event int64
			err := scan(&id, &event)
			if err == nil {
				p.fault(id, 0, "its event %d is not there", event)
			}
			return err
		}, `
			SELECT r.id, r.event_id FROM automation_runs r
			WHERE  r.id > $1 AND r.id <= $2 AND NOT EXISTS (SELECT 1 FROM events e WHERE e.id = r.event_id)
			ORDER  BY r.id`, after, to)
	})
}

// counters looks at those tables whose rows are counted.
func (p *prover) counters() error {
	counted := map[string]bool{}
	err := p.query(func(scan func(to ...any) error) error {
		var table string
		err := scan(&table)
		counted[table] = true
		return err
	}, "SELECT DISTINCT table_name FROM row_counts")
	if err != nil {
		return err
	}
	for _, k := range personnel.Kinds() {
		if !counted[k.Table] {
			continue
		}
		err := p.query(func(scan func(to ...any) error) error {
			var organization, counted, there int64
			err := scan(&organization, &counted, &there)
			if err == nil {
				p.fault(organization, 0, "%s are counted as %d, but there are %d", k.Table, counted, there)
			}
			return err
		}, `
			SELECT c.organization_id, c.n, COALESCE(r.n, 0)
			FROM   row_counts c
			LEFT   JOIN (SELECT organization_id, COUNT(*) AS n FROM `+k.Table+` GROUP BY organization_id) AS r ON r.organization_id = c.organization_id
			WHERE  c.table_name = $1 AND c.n <> COALESCE(r.n, 0)
			ORDER  BY c.organization_id`, k.Table)
		if err != nil {
			return err
		}
	}
	return nil
}

// Integrity lets SQLite check its file, all of it, and returns what is wrong, at most 10 things. PostgreSQL has tools of
// its own for that.
func (s *Store) Integrity(ctx context.Context) (wrong []string, err error) {
	if _, isFile := s.dialect.(sqlite); !isFile {
		return nil, nil
	}
	err = s.view().each(ctx, func(scan func(to ...any) error) error {
		var text string
		err := scan(&text)
		if text != "ok" {
			wrong = append(wrong, text)
		}
		return err
	}, "PRAGMA quick_check(10)")
	if err != nil {
		return nil, fmt.Errorf("check the file: %w", err)
	}
	return wrong, nil
}

// leases looks at what nodes hold; nobody shares a file of SQLite.
func (p *prover) leases() error {
	clock := p.dialect.clock()
	if clock == "" {
		return nil
	}
	return p.query(func(scan func(to ...any) error) error {
		var slice, node, ahead int64
		var known bool
		err := scan(&slice, &node, &ahead, &known)
		switch {
		case ahead > LeaseTime.Microseconds():
			p.fault(slice, 0, "slice %d is leased for another %s, which is longer than a lease", slice, time.Duration(ahead)*time.Microsecond)
		case ahead > 0 && !known:
			p.fault(slice, 0, "slice %d is leased by node %d, which is not known", slice, node)
		}
		return err
	}, "SELECT s.slice, s.node_id, s.until_us - "+clock+", EXISTS (SELECT 1 FROM nodes n WHERE n.id = s.node_id) FROM slices s WHERE s.node_id <> 0 ORDER BY s.slice")
}
