package store

import (
	"context"
	"fmt"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// insertRuns adds a pending run for each automation that an event triggers. Their ids are in the order
// in which they are to be evaluated.
const insertRuns = `
	INSERT INTO automation_runs (organization_id, automation_id, event_id, created_us)
	SELECT organization_id, id, $1, $2
	FROM   automations
	WHERE  organization_id = $3 AND "trigger" = $4 AND enabled
	ORDER  BY priority DESC, id`

func (tx *Tx) addRuns(e *bugle.Event) error {
	n, err := tx.count(insertRuns, e.ID, e.CreatedAt.UnixMicro(), e.OrganizationID, e.Name)
	tx.committed.Runs = tx.committed.Runs || n > 0
	return err
}

// pendingOrganizations finds the organizations with pending runs by one index look-up each.
const pendingOrganizations = `
WITH RECURSIVE pending (id) AS (
    SELECT MIN(organization_id) FROM automation_runs WHERE status = 'pending'
    UNION ALL
    SELECT (SELECT MIN(organization_id) FROM automation_runs WHERE status = 'pending' AND organization_id > pending.id)
    FROM   pending WHERE pending.id IS NOT NULL
)
SELECT id FROM pending WHERE id IS NOT NULL`

// PendingOrganizations returns the ids of organizations of this node that have pending runs.
func (s *Store) PendingOrganizations(ctx context.Context) ([]int64, error) {
	own, args := s.ownSlices("id", 1)
	ids, err := s.view().ids(ctx, pendingOrganizations+own, args...)
	if err != nil {
		return nil, fmt.Errorf("find pending runs: %w", err)
	}
	return ids, nil
}

// A PendingRun is a run that is to be evaluated.
type PendingRun struct {
	ID           int64
	AutomationID int64
	EventID      int64
}

// PendingRuns returns the next runs of an organization after the id, at most limit, in their order.
func (s *Store) PendingRuns(ctx context.Context, organizationID, after int64, limit int) ([]PendingRun, error) {
	list := make([]PendingRun, 0, limit)
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var r PendingRun
		err := scan(&r.ID, &r.AutomationID, &r.EventID)
		list = append(list, r)
		return err
	}, `
		SELECT id, automation_id, event_id
		FROM   automation_runs
		WHERE  organization_id = $1 AND status = 'pending' AND id > $2
		ORDER  BY id
		LIMIT  $3`, organizationID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read pending runs: %w", err)
	}
	return list, nil
}

// StillPending returns those of the runs that are pending.
func (tx *Tx) StillPending(ids []int64) (map[int64]bool, error) {
	pending := make(map[int64]bool, len(ids))
	err := tx.each(func(scan func(to ...any) error) error {
		var id int64
		err := scan(&id)
		pending[id] = true
		return err
	}, "SELECT id FROM automation_runs WHERE status = 'pending' AND "+inIDs("id", 1), idList(ids))
	if err != nil {
		return nil, fmt.Errorf("read pending runs: %w", err)
	}
	return pending, nil
}

// FinishRun writes how a pending run ended.
func (tx *Tx) FinishRun(r *bugle.Run) error {
	payload := ""
	if r.ActionPayload != nil {
		text, err := value.JSON(r.ActionPayload)
		if err != nil {
			return fmt.Errorf("finish run %d: %w", r.ID, err)
		}
		payload = string(text)
	}
	err := tx.exec(`
		UPDATE automation_runs
		SET    status = $1, condition = $2, condition_result = $3, action_payload = $4, error = $5, error_field = $6, error_line = $7,
		       error_column = $8, duration_us = $9, evaluated_us = $10, delivery_id = $11, message_id = $12, resource_kind = $13, resource_id = $14
		WHERE  id = $15 AND status = 'pending'`,
		string(r.Status), r.Condition, r.ConditionResult, payload, r.Error, r.ErrorField, r.ErrorLine, r.ErrorColumn, r.Took.Microseconds(),
		microseconds(r.EvaluatedAt), r.DeliveryID, r.MessageID, r.ResourceKind, r.ResourceID, r.ID)
	if err != nil {
		return fmt.Errorf("finish run %d: %w", r.ID, err)
	}
	tx.committed.Finished = append(tx.committed.Finished, r.ID)
	return nil
}

const runColumns = `r.id, r.organization_id, r.automation_id, r.event_id, r.status, r.condition, r.condition_result, r.action_payload,
	r.error, r.error_field, r.error_line, r.error_column, r.duration_us, r.created_us, r.evaluated_us, r.delivery_id, r.message_id,
	r.resource_kind, r.resource_id`

func scanRun(scan func(to ...any) error, more ...any) (*bugle.Run, error) {
	var r bugle.Run
	var payload string
	var took, created, evaluated int64
	err := scan(append([]any{&r.ID, &r.OrganizationID, &r.AutomationID, &r.EventID, &r.Status, &r.Condition, &r.ConditionResult, &payload,
		&r.Error, &r.ErrorField, &r.ErrorLine, &r.ErrorColumn, &took, &created, &evaluated, &r.DeliveryID, &r.MessageID,
		&r.ResourceKind, &r.ResourceID}, more...)...)
	if err != nil {
		return nil, err
	}
	r.Took = time.Duration(took) * time.Microsecond
	r.CreatedAt, r.EvaluatedAt = fromMicroseconds(created), fromMicroseconds(evaluated)
	if payload != "" {
		decoded, err := value.Decode([]byte(payload))
		if err != nil {
			return nil, fmt.Errorf("action payload of run %d: %w", r.ID, err)
		}
		r.ActionPayload, _ = decoded.(*value.Array)
	}
	return &r, nil
}

// A LoggedRun is a run as its log shows it, with what it is about.
type LoggedRun struct {
	bugle.Run
	Automation  string // its name
	Trigger     string // the event's name
	SubjectKind string // the event's resource
	SubjectID   int64
	CauserID    int64
	Chain       bugle.Chain // the event's
}

// A RunFilter narrows a list of runs; what is zero does not.
type RunFilter struct {
	AutomationID int64
	EventID      int64
	Status       bugle.RunStatus
	Trigger      string
	Since        time.Time // created at this time or later
	Until        time.Time // created before this time
}

const fromRuns = ` FROM automation_runs r JOIN automations a ON a.id = r.automation_id JOIN events e ON e.id = r.event_id `

const loggedColumns = runColumns + ", a.name, e.name, e.resource_kind, e.resource_id, e.causer_id, COALESCE(e.chain, '')"

func scanLogged(scan func(to ...any) error) (*LoggedRun, error) {
	var l LoggedRun
	var chain string
	r, err := scanRun(scan, &l.Automation, &l.Trigger, &l.SubjectKind, &l.SubjectID, &l.CauserID, &chain)
	if err != nil {
		return nil, err
	}
	l.Run = *r
	l.Chain, err = bugle.ParseChain(chain)
	return &l, err
}

// Runs returns a page of the organization's runs, newest first.
func (s *Store) Runs(ctx context.Context, organizationID int64, f RunFilter, p PageRequest) (Page[*LoggedRun], error) {
	c := s.view()
	of, filters := f.source(organizationID)
	page, err := readLog(ctx, c, []source{of}, filters, p, func(ids []int64) ([]*LoggedRun, error) {
		var list []*LoggedRun
		err := c.each(ctx, func(scan func(to ...any) error) error {
			r, err := scanLogged(scan)
			list = append(list, r)
			return err
		}, "SELECT "+loggedColumns+fromRuns+"WHERE "+inIDs("r.id", 1)+" ORDER BY r.id DESC", idList(ids))
		return list, err
	})
	if err != nil {
		return page, fmt.Errorf("list runs: %w", err)
	}
	return page, nil
}

// source is what has the least rows to look at, with what is to be asked of them.
func (f *RunFilter) source(organizationID int64) (source, *logFilter) {
	all := source{tables: "automation_runs r", id: "r.id", key: "r.id", created: "r.created_us"}
	filters := &logFilter{since: f.Since, until: f.Until}
	filter := filters.add
	of := all.with("r.organization_id = ?", organizationID)
	status := ""
	switch f.Status {
	case bugle.RunFailed, bugle.RunLoopStopped, bugle.RunPending:
		status = string(f.Status) // one of those with indexes, which have their name in them
	case "":
	default:
		filter("+r.status = ?", string(f.Status))
	}
	switch {
	case f.EventID != 0: // by the index of automations, of which an organization has few
		of = all.with("r.automation_id IN (SELECT id FROM automations WHERE organization_id = ?)", organizationID).with("r.event_id = ?", f.EventID)
		of.small = true
		if f.AutomationID != 0 {
			filter("r.automation_id = ?", f.AutomationID)
		}
	case f.AutomationID != 0 && status == "":
		of = all.with("r.automation_id = ?", f.AutomationID)
		of.key = "r.event_id" // in the order of the ids
		filter("+r.organization_id = ?", organizationID)
	case f.AutomationID != 0:
		filter("+r.automation_id = ?", f.AutomationID)
	}
	switch {
	case status == "":
	case f.EventID != 0:
		filter("+r.status = ?", status)
	default:
		of = of.with("r.status = '" + status + "'")
	}
	if f.Trigger != "" {
		filter("(SELECT e.name FROM events e WHERE e.id = r.event_id) = ?", f.Trigger)
		filters.lookUps = true
	}
	return of, filters
}

// Run returns a run of the organization, or bugle.ErrNotFound.
func (s *Store) Run(ctx context.Context, organizationID, id int64) (*LoggedRun, error) {
	var r *LoggedRun
	err := s.view().each(ctx, func(scan func(to ...any) error) (err error) {
		r, err = scanLogged(scan)
		return err
	}, "SELECT "+loggedColumns+fromRuns+"WHERE r.organization_id = $1 AND r.id = $2", organizationID, id)
	if err == nil && r == nil {
		err = bugle.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("run %d: %w", id, err)
	}
	return r, nil
}

// CountRuns returns how many runs each of the automations has had.
func (s *Store) CountRuns(ctx context.Context, automationIDs []int64) (map[int64]int, error) {
	counts := make(map[int64]int, len(automationIDs))
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var id int64
		var n int
		err := scan(&id, &n)
		counts[id] = n
		return err
	}, "SELECT automation_id, COUNT(*) FROM automation_runs WHERE "+inIDs("automation_id", 1)+" GROUP BY automation_id", idList(automationIDs))
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	return counts, nil
}

// CountRunsTo returns how many runs each of the automations has had, but counts no further than to most.
func (s *Store) CountRunsTo(ctx context.Context, automationIDs []int64, most int) (map[int64]int, error) {
	counts := make(map[int64]int, len(automationIDs))
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		var id int64
		var n int
		err := scan(&id, &n)
		counts[id] = n
		return err
	}, `
		SELECT a.id, (SELECT COUNT(*) FROM (SELECT 1 FROM automation_runs r WHERE r.automation_id = a.id LIMIT $1) AS counted)
		FROM   automations a
		WHERE  `+inIDs("a.id", 2), most, idList(automationIDs))
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	return counts, nil
}

// RunsByID returns those of the runs that are the organization's and there, oldest first.
func (s *Store) RunsByID(ctx context.Context, organizationID int64, ids []int64) ([]*LoggedRun, error) {
	var list []*LoggedRun
	if len(ids) == 0 {
		return nil, nil
	}
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		r, err := scanLogged(scan)
		list = append(list, r)
		return err
	}, "SELECT "+loggedColumns+fromRuns+"WHERE r.organization_id = $1 AND "+inIDs("r.id", 2)+" ORDER BY r.id", organizationID, idList(ids))
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return list, nil
}
