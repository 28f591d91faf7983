package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
)

// Outcomes say what came of attempts in some time.
type Outcomes struct {
	Attempts  int
	Delivered int // deliveries that arrived
	Failed    int // attempts that did not deliver
	GivenUp   int // deliveries that failed for good

	// How long receivers took, or were waited for; 0 if none was reached. The percentiles are those of a
	// bugle.Histogram.
	Mean, P50, P95 time.Duration
}

// SuccessRate is the share of the attempts that delivered, from 0 to 1; 1 if there were none.
func (o Outcomes) SuccessRate() float64 {
	if o.Attempts == 0 {
		return 1
	}
	return float64(o.Delivered) / float64(o.Attempts)
}

// A StatPoint is what came of the attempts of one step.
type StatPoint struct {
	At time.Time // when the step begins
	Outcomes
}

// Stats are what came of attempts, as a whole and by steps.
type Stats struct {
	Outcomes
	Points []StatPoint // one for each step, also where there was nothing
}

const (
	statMinute = 60 // the steps of the table, in seconds
	statHour   = 3600

	keepMinutes = 48 * time.Hour
	keepHours   = 400 * 24 * time.Hour

	// MaxStatPoints is how many steps can be asked for at once.
	MaxStatPoints = 1500
)

// A tally is a row of delivery_stats.
type tally struct {
	attempts, delivered, failed, givenUp, took int64
	latency                                    bugle.Histogram
}

func (t *tally) add(r *Result) {
	t.attempts++
	switch r.Outcome.State {
	case bugle.Delivered:
		t.delivered++
	case bugle.Failed:
		t.givenUp++
	}
	if r.Outcome.State != bugle.Delivered {
		t.failed++
	}
	a := r.Attempt
	if a.Status != 0 || a.Error != nil && a.Error.Kind == bugle.ErrorTimeout {
		t.took += a.Took.Microseconds()
		t.latency.Add(a.Took)
	}
}

func (t *tally) merge(other *tally) {
	t.attempts, t.delivered, t.failed, t.givenUp = t.attempts+other.attempts, t.delivered+other.delivered, t.failed+other.failed, t.givenUp+other.givenUp
	t.took += other.took
	t.latency.Merge(&other.latency)
}

func (t *tally) outcomes() Outcomes {
	o := Outcomes{Attempts: int(t.attempts), Delivered: int(t.delivered), Failed: int(t.failed), GivenUp: int(t.givenUp)}
	if n := t.latency.Count(); n > 0 {
		o.Mean = time.Duration(t.took/n) * time.Microsecond
		o.P50, o.P95 = t.latency.Percentile(0.5), t.latency.Percentile(0.95)
	}
	return o
}

// A statKey is a place in delivery_stats. The webhook 0 is the whole organization.
type statKey struct{ organizationID, webhookID, start int64 }

func (a statKey) compare(b statKey) int {
	return cmp.Or(cmp.Compare(a.organizationID, b.organizationID), cmp.Compare(a.webhookID, b.webhookID), cmp.Compare(a.start, b.start))
}

const tallyColumns = "organization_id, webhook_id, start_s, attempts, delivered, failed, given_up, took_us, latency"

func scanTally(scan func(to ...any) error) (statKey, *tally, error) {
	var k statKey
	var t tally
	var latency []byte
	err := scan(&k.organizationID, &k.webhookID, &k.start, &t.attempts, &t.delivered, &t.failed, &t.givenUp, &t.took, &latency)
	if err == nil {
		err = t.latency.UnmarshalBinary(latency)
	}
	return k, &t, err
}

// A statsMinute is what the writer has counted in the minute under way, and what of it the database
// has, so that a batch of results writes rows without reading them first.
type statsMinute struct {
	start         int64
	organizations map[int64]int64 // by webhook
	tallies       map[statKey]*tally
}

// countResults adds results to the minute, by webhook and for the organization. With the first ones of a
// minute, those before become part of their hours, and some of what is too old is deleted.
func (tx *Tx) countResults(list []Result) error {
	m := &tx.w.stats
	if start := tx.now.Unix() / statMinute * statMinute; start != m.start || m.tallies == nil {
		*m = statsMinute{start: start, organizations: map[int64]int64{}, tallies: map[statKey]*tally{}}
		if err := tx.sumMinutes(start); err != nil {
			return err
		}
		if _, err := tx.trimStats(tx.now, trimStep); err != nil {
			return err
		}
	}
	changed := map[statKey]*tally{}
	if tx.w.dialect.isShared() { // others write the same rows, one transaction at a time
		if err := tx.readTallies(list); err != nil {
			return err
		}
	}
	for i := range list {
		r := &list[i]
		organization, err := tx.organizationOf(r)
		if errors.Is(err, bugle.ErrNotFound) { // the delivery was deleted meanwhile
			continue
		}
		if err != nil {
			return err
		}
		for _, k := range []statKey{{organization, r.WebhookID, m.start}, {organization, 0, m.start}} {
			t := m.tallies[k]
			if t == nil && tx.w.dialect.isShared() {
				t = &tally{}
				m.tallies[k] = t
			}
			if t == nil {
				if t, err = tx.readTally(statMinute, k); err != nil {
					return err
				}
				m.tallies[k] = t
			}
			t.add(r)
			changed[k] = t
		}
	}
	return tx.writeTallies(statMinute, changed)
}

// readTallies reads the minute as it is for the webhooks of results and their organizations.
func (tx *Tx) readTallies(list []Result) error {
	m := &tx.w.stats
	webhooks, organizations := map[int64]bool{0: true}, map[int64]bool{}
	for i := range list {
		organization, err := tx.organizationOf(&list[i])
		if errors.Is(err, bugle.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		webhooks[list[i].WebhookID], organizations[organization] = true, true
	}
	clear(m.tallies)
	return tx.each(func(scan func(to ...any) error) error {
		k, t, err := scanTally(scan)
		m.tallies[k] = t
		return err
	}, "SELECT "+tallyColumns+" FROM delivery_stats WHERE step_s = 60 AND start_s = $1 AND "+inIDs("organization_id", 2)+" AND "+inIDs("webhook_id", 3),
		m.start, idList(slices.Collect(maps.Keys(organizations))), idList(slices.Collect(maps.Keys(webhooks))))
}

// organizationOf returns whose delivery a result is.
func (tx *Tx) organizationOf(r *Result) (id int64, err error) {
	known := tx.w.stats.organizations
	id, ok := known[r.WebhookID]
	if !ok {
		if err = tx.one([]any{&id}, "SELECT organization_id FROM deliveries WHERE id = $1", r.DeliveryID); err == nil {
			known[r.WebhookID] = id
		}
	}
	return id, err
}

// readTally returns what a row has counted; nothing if there is none yet.
func (tx *Tx) readTally(step int64, k statKey) (*tally, error) {
	found := &tally{}
	err := tx.each(func(scan func(to ...any) error) (err error) {
		_, found, err = scanTally(scan)
		return err
	}, "SELECT "+tallyColumns+" FROM delivery_stats WHERE organization_id = $1 AND webhook_id = $2 AND step_s = $3 AND start_s = $4",
		k.organizationID, k.webhookID, step, k.start)
	return found, err
}

// replaceTally ends an INSERT of rows that may be there.
const replaceTally = `
		ON CONFLICT (organization_id, webhook_id, step_s, start_s) DO UPDATE
		SET attempts = excluded.attempts, delivered = excluded.delivered, failed = excluded.failed, given_up = excluded.given_up,
		    took_us = excluded.took_us, latency = excluded.latency`

func (tx *Tx) writeTallies(step int64, tallies map[statKey]*tally) error {
	if len(tallies) == 0 {
		return nil
	}
	return tx.w.dialect.writeTallies(tx, step, slices.SortedFunc(maps.Keys(tallies), statKey.compare), tallies)
}

// sumMinutes adds the minutes before a time to their hours, unless that was done.
func (tx *Tx) sumMinutes(until int64) error {
	var from int64
	if err := tx.one([]any{&from}, "SELECT until_s FROM stats_summed WHERE id = 1"); err != nil {
		return err
	}
	if from >= until { // or the clock went back: those minutes are counted as they are until it has caught up
		return nil
	}
	minutes := map[statKey]*tally{}
	err := tx.each(func(scan func(to ...any) error) error {
		k, t, err := scanTally(scan)
		minutes[k] = t
		return err
	}, "SELECT "+tallyColumns+" FROM delivery_stats WHERE step_s = 60 AND start_s >= $1 AND start_s < $2", from, until)
	if err != nil {
		return err
	}
	hours := map[statKey]*tally{}
	for k, t := range minutes {
		k.start = k.start / statHour * statHour
		if hours[k] == nil {
			if hours[k], err = tx.readTally(statHour, k); err != nil {
				return err
			}
		}
		hours[k].merge(t)
	}
	if err := tx.writeTallies(statHour, hours); err != nil {
		return err
	}
	return tx.exec("UPDATE stats_summed SET until_s = $1 WHERE id = 1", until)
}

// trimStep is how many rows of each kind are deleted with the first results of a minute.
const trimStep = 2000

// TrimStats deletes what is too old at a time of that which statistics are made of, at most limit rows of
// minutes and as many of hours, and returns how many they were. Writing results does so now and then.
func (s *Store) TrimStats(ctx context.Context, now time.Time, limit int) (int, error) {
	n := 0
	err := s.writer.do(ctx, func(tx *Tx) (err error) {
		n, err = tx.trimStats(now, limit)
		return err
	}, results)
	if err != nil {
		return 0, fmt.Errorf("delete old statistics: %w", err)
	}
	return n, nil
}

func (tx *Tx) trimStats(now time.Time, limit int) (int, error) {
	total := 0
	for step, keep := range map[int64]time.Duration{statMinute: keepMinutes, statHour: keepHours} {
		n, err := tx.count(`
			DELETE FROM delivery_stats
			WHERE  (organization_id, webhook_id, step_s, start_s) IN (
			    SELECT organization_id, webhook_id, step_s, start_s FROM delivery_stats WHERE step_s = $1 AND start_s < $2
			    AND    start_s < (SELECT until_s FROM stats_summed WHERE id = 1) ORDER BY start_s LIMIT $3)`,
			step, now.Add(-keep).Unix(), limit)
		if err != nil {
			return total, err
		}
		total += int(n)
	}
	return total, nil
}

// selectTallies reads what steps are made of: hours, and minutes where there are no hours yet. %s says
// which webhooks. It is one statement, so that nothing is counted twice while minutes become hours.
const (
	selectMinutes = "SELECT " + tallyColumns + " FROM delivery_stats WHERE organization_id = $1 AND %s AND step_s = 60 AND start_s >= $3 AND start_s < $4"
	selectTallies = "SELECT " + tallyColumns + " FROM delivery_stats WHERE organization_id = $1 AND %s AND step_s = 3600 AND start_s >= $3 AND start_s < $4" +
		" UNION ALL " + selectMinutes + " AND start_s >= (SELECT until_s FROM stats_summed WHERE id = 1)"
)

// WebhookStats returns what came of the attempts of webhooks of the organization, from since until before
// until, by steps of whole minutes. Steps of whole hours reach back 400 days, others two. They begin at
// multiples of the step in UTC, the first at or before since; more than MaxStatPoints are an error. Every
// webhook is in the result, also one that was never called.
func (s *Store) WebhookStats(ctx context.Context, organizationID int64, webhookIDs []int64, since, until time.Time, step time.Duration) (map[int64]*Stats, error) {
	all, err := s.stats(ctx, organizationID, webhookIDs, since, until, step)
	if err != nil {
		return nil, fmt.Errorf("read statistics of webhooks: %w", err)
	}
	return all, nil
}

// OrganizationStats is WebhookStats for all webhooks and channels of the organization together.
func (s *Store) OrganizationStats(ctx context.Context, organizationID int64, since, until time.Time, step time.Duration) (*Stats, error) {
	all, err := s.stats(ctx, organizationID, []int64{0}, since, until, step)
	if err != nil {
		return nil, fmt.Errorf("read statistics of organization %d: %w", organizationID, err)
	}
	return all[0], nil
}

func (s *Store) stats(ctx context.Context, organizationID int64, webhookIDs []int64, since, until time.Time, step time.Duration) (map[int64]*Stats, error) {
	seconds := int64(step / time.Second)
	if step < time.Minute || step%time.Minute != 0 {
		return nil, fmt.Errorf("steps of %s, want whole minutes", step)
	}
	first := floorTo(since.Unix(), seconds)
	n := max((until.Unix()-first+seconds-1)/seconds, 0)
	if n > MaxStatPoints {
		return nil, fmt.Errorf("%d steps, want at most %d", n, MaxStatPoints)
	}
	query := selectMinutes
	if seconds%statHour == 0 {
		query = selectTallies
	}
	query = strings.ReplaceAll(query, "%s", inIDs("webhook_id", 2))
	points := make(map[int64][]tally, len(webhookIDs))
	for _, id := range webhookIDs {
		points[id] = make([]tally, n)
	}
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		k, t, err := scanTally(scan)
		if err == nil {
			points[k.webhookID][(k.start-first)/seconds].merge(t)
		}
		return err
	}, query, organizationID, idList(webhookIDs), first, first+n*seconds)
	if err != nil {
		return nil, err
	}
	all := make(map[int64]*Stats, len(points))
	for id, list := range points {
		var total tally
		one := &Stats{Points: make([]StatPoint, n)}
		for i := range list {
			one.Points[i] = StatPoint{At: time.Unix(first+int64(i)*seconds, 0).UTC(), Outcomes: list[i].outcomes()}
			total.merge(&list[i])
		}
		one.Outcomes = total.outcomes()
		all[id] = one
	}
	return all, nil
}

// floorTo is the multiple of step at or before n.
func floorTo(n, step int64) int64 { return n - ((n%step)+step)%step }
