package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/erasure"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// An ErasureState says how far an erasure is.
type ErasureState string

const (
	ErasureRunning ErasureState = "running"
	ErasureDone    ErasureState = "done"
	ErasureFailed  ErasureState = "failed" // for a reason of our own, which the log has
)

// ErasureStates are all of them.
var ErasureStates = []ErasureState{ErasureRunning, ErasureDone, ErasureFailed}

// An Erasure takes a person out of what is stored. It is worked on in steps, which go on after a restart.
type Erasure struct {
	ID             int64
	OrganizationID int64
	UserID         int64
	State          ErasureState
	Phase          string // what is looked at: one of ErasurePhases
	Looked         int64  // rows that were looked at
	Changed        int64  // of them, those that held something of the person
	Error          string
	CreatedAt      time.Time
	UpdatedAt      time.Time
	FinishedAt     time.Time // zero while it runs
	WaitsUntil     time.Time // when the next step may be done, if the last one has to be waited for; zero: at once

	afterID int64
	known   []byte          // sealed
	person  *erasure.Person // what is known, once it was read
}

// Ended reports whether nothing more is done.
func (e *Erasure) Ended() bool { return e.State != ErasureRunning }

// erasureStep is how many rows are looked at in one step. Those that are changed are written in one transaction, for which other
// changes wait.
var erasureStep = 100 // less in tests

// spaceWait is until it is tried again to end the log of writes, from which readers may keep it.
const spaceWait = time.Second

// spaceTries is how often that is tried.
var spaceTries = int64(300) // fewer in tests

// knownTooMuch is said of an erasure in the end if not all could be looked for.
const knownTooMuch = "The person had so many names, notes and other texts that some were not looked for in what others wrote and in what templates made."

// erasureWait is for how long an attempt may be under way that was begun with what is erased now.
const erasureWait = 40 * time.Second

// ErasurePhases are what is looked at, in this order: first events, to know what to look for, then the attempts, among which
// may be some that were under way meanwhile, and at last the room in the files that nothing uses any more.
var ErasurePhases = slices.Concat([]string{"known", "events", "runs", "answers"}, erasedTableNames(), []string{"attempts", "space"})

// An erasedTable is one whose texts are searched for a person.
type erasedTable struct {
	name    string
	columns []string
}

// erasedTables are those in which people write about each other, and what is sent within the server. What an organization is made of
// – ranks, units, forms, automations – is about nobody.
var erasedTables = func() []erasedTable {
	list := []erasedTable{{"notifications", []string{"text"}}, {"invitations", []string{"email", "name"}}, {"replays", []string{"filter", "query"}},
		{"user_statuses", []string{"text"}}, {"submission_statuses", []string{"text"}}}
	kinds := []*personnel.Kind{&personnel.AssignmentRecord, &personnel.AwardRecord, &personnel.CombatRecord, &personnel.QualificationRecord, &personnel.RankRecord,
		&personnel.ServiceRecord, &personnel.TrainingRecord, &personnel.Comment, &personnel.Message, &personnel.Submission, &personnel.NewsfeedItem, &personnel.CalendarEvent,
		&personnel.Announcement, &personnel.Task, &personnel.Document, &personnel.Attachment, &personnel.Image}
	for _, k := range kinds {
		t := erasedTable{name: k.Table}
		for _, f := range k.Fields {
			if f.Type == personnel.Text || f.Type == personnel.JSON || f.Type == personnel.String && f.Name != "color" {
				t.columns = append(t.columns, f.Name)
			}
		}
		if k.Custom {
			t.columns = append(t.columns, "data")
		}
		if len(t.columns) > 0 {
			list = append(list, t)
		}
	}
	return append(list, erasedTable{"users", []string{"notes", "data"}}) // of others
}()

func erasedTableNames() []string {
	names := make([]string, len(erasedTables))
	for i, t := range erasedTables {
		names[i] = t.name
	}
	return names
}

func selectErasures(ctx context.Context, c conn, where string, args ...any) ([]*Erasure, error) {
	var list []*Erasure
	err := c.each(ctx, func(scan func(to ...any) error) error {
		var e Erasure
		var created, updated, finished int64
		err := scan(&e.ID, &e.OrganizationID, &e.UserID, &e.State, &e.Phase, &e.afterID, &e.Looked, &e.Changed, &e.known, &e.Error, &created, &updated, &finished)
		e.CreatedAt, e.UpdatedAt, e.FinishedAt = fromMicroseconds(created), fromMicroseconds(updated), fromMicroseconds(finished)
		list = append(list, &e)
		return err
	}, `
		SELECT id, organization_id, user_id, state, phase, after_id, looked, changed, known, error, created_us, updated_us, finished_us
		FROM   erasures `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read erasures: %w", err)
	}
	return list, nil
}

// Erasure returns the newest erasure of a user of the organization, who may be deleted, or bugle.ErrNotFound.
func (s *Store) Erasure(ctx context.Context, organizationID, userID int64) (*Erasure, error) {
	return newestErasure(ctx, s.view(), organizationID, userID)
}

func newestErasure(ctx context.Context, c conn, organizationID, userID int64) (*Erasure, error) {
	list, err := selectErasures(ctx, c, "WHERE organization_id = $1 AND user_id = $2 ORDER BY id DESC LIMIT 1", organizationID, userID)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("erasure of user %d: %w", userID, bugle.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// aboutErasure is what the knowledge of an erasure is bound to.
func aboutErasure(organizationID, id int64) []byte {
	return fmt.Appendf(nil, "bugle erasures.known organization=%d id=%d", organizationID, id)
}

// EraseUser takes the personal data out of a user's row, as a change with its event, and begins to take it out of everything
// else that is stored. The user may be deleted already; without any trace of him it returns bugle.ErrNotFound. It returns
// bugle.ErrConflict if he has an account, or if he is being erased.
func (tx *Tx) EraseUser(a Actor, userID int64) (*Erasure, error) {
	fail := func(err error) (*Erasure, error) { return nil, fmt.Errorf("erase user %d: %w", userID, err) }
	before, err := newestErasure(context.Background(), tx.view(), a.OrganizationID, userID)
	if err == nil && !before.Ended() {
		return fail(fmt.Errorf("he is being erased: %w", bugle.ErrConflict))
	}
	if err != nil && !errors.Is(err, bugle.ErrNotFound) {
		return fail(err)
	}
	person := &erasure.Person{ID: userID}
	old, err := tx.Get(a.OrganizationID, &personnel.User, userID)
	switch {
	case errors.Is(err, bugle.ErrNotFound):
		var event int64
		if err := tx.one([]any{&event}, "SELECT id FROM events WHERE organization_id = $1 AND resource_kind = 'user' AND resource_id = $2 LIMIT 1", a.OrganizationID, userID); err != nil {
			return fail(err)
		}
	case err != nil:
		return fail(err)
	default:
		if _, err := tx.Account(a.OrganizationID, userID); err == nil {
			return fail(fmt.Errorf("he has an account, which is to be deleted first: %w", bugle.ErrConflict))
		} else if !errors.Is(err, bugle.ErrNotFound) {
			return fail(err)
		}
		if err := tx.anonymize(a, person, old); err != nil {
			return fail(err)
		}
	}
	e := &Erasure{OrganizationID: a.OrganizationID, UserID: userID, State: ErasureRunning, Phase: ErasurePhases[0], CreatedAt: tx.now, UpdatedAt: tx.now}
	e.ID, err = tx.insert("INSERT INTO erasures (organization_id, user_id, phase, known, created_us, updated_us) VALUES ($1, $2, $3, $4, $5, $6)",
		e.OrganizationID, userID, e.Phase, []byte{}, tx.now.UnixMicro(), tx.now.UnixMicro())
	if err == nil {
		err = tx.saveKnown(e, person)
	}
	if err == nil {
		err = tx.audit(a.OrganizationID, "user.erased", bugle.Subject{Kind: "user", ID: userID}, attribute{name: "erasure_id", value: e.ID})
	}
	if err != nil {
		return fail(err)
	}
	tx.committed.Erasures = true
	return e, nil
}

// anonymize empties what is personal in a user's row, and learns what it was.
func (tx *Tx) anonymize(a Actor, person *erasure.Person, old *personnel.Resource) error {
	var last int64
	if err := tx.one([]any{&last}, "SELECT COALESCE(MAX(id), 0) FROM events"); err != nil {
		return err
	}
	r := old.Clone()
	for i := range old.Kind.Fields {
		f := &old.Kind.Fields[i]
		if !erasure.IsPersonal(f.Name) {
			continue
		}
		person.LearnValue(f.Name, old.Values[i])
		switch {
		case old.Values[i] == nil:
		case f.Name == "name":
			r.Values[i] = erasure.Erased
		case f.Name == "email":
			r.Values[i] = erasure.Email(person.ID)
		default:
			r.Values[i] = nil
		}
	}
	for key, v := range old.Custom.All() {
		person.LearnValue(key.String(), v)
	}
	r.Custom = nil
	if err := (change{tx, a}).update(old, r); err != nil {
		return err
	}
	// What the values were is in the event, where an automation would find it before the event's turn comes.
	events, err := selectEvents(context.Background(), tx.view(), "WHERE e.id > $1 AND e.resource_kind = 'user' AND e.resource_id = $2", last, person.ID)
	for _, e := range events {
		if err == nil {
			err = tx.eraseEvent(person, e, false)
		}
	}
	return err
}

// saveKnown writes what is known of the person, encrypted.
func (tx *Tx) saveKnown(e *Erasure, person *erasure.Person) error {
	text, err := json.Marshal(person)
	if err != nil {
		return err
	}
	sealed, key, err := tx.seal(text, aboutErasure(e.OrganizationID, e.ID))
	if err != nil {
		return err
	}
	e.known = sealed
	return tx.exec("UPDATE erasures SET known = $1, known_key = $2 WHERE id = $3", sealed, int64(key), e.ID)
}

// ClaimErasure gives the erasure that has waited longest to a worker, for the length of the lease; nil if there is none for
// him. Nobody else works on it meanwhile.
func (s *Store) ClaimErasure(ctx context.Context, worker string, lease time.Duration) (*Erasure, error) {
	id, err := s.claimJob(ctx, erasureJobs, worker, lease)
	var list []*Erasure
	if err == nil && id != 0 {
		list, err = selectErasures(ctx, s.view(), "WHERE id = $1", id)
	}
	if err != nil {
		return nil, fmt.Errorf("claim an erasure: %w", err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list[0], nil
}

// ReleaseErasures lets others take over what a worker has claimed.
func (s *Store) ReleaseErasures(ctx context.Context, worker string) error {
	return s.releaseJobs(ctx, erasureJobs, worker)
}

// FailErasure ends an erasure that cannot go on, and keeps why.
func (s *Store) FailErasure(ctx context.Context, e *Erasure, reason string) error {
	return s.Update(ctx, func(tx *Tx) error {
		return tx.exec("UPDATE erasures SET state = 'failed', error = $1, updated_us = $2, finished_us = $2, known = $3, known_key = 0 WHERE id = $4 AND state = 'running'",
			reason, tx.now.UnixMicro(), []byte{}, e.ID)
	})
}

// An erasing is a step that was prepared.
type erasing struct {
	last    int64 // the id that it came to
	more    bool  // there may be rows behind it
	looked  int
	changes []func(tx *Tx) error
	waits   time.Duration // before the next step
}

// StepErasure does the next part of an erasure that the worker has claimed, and changes e accordingly. One that waits is not to be
// claimed before it is time.
func (s *Store) StepErasure(ctx context.Context, e *Erasure, worker string) error {
	if err := s.stepErasure(ctx, e, worker); err != nil {
		return fmt.Errorf("erasure %d: %w", e.ID, err)
	}
	return nil
}

func (s *Store) stepErasure(ctx context.Context, e *Erasure, worker string) error {
	if e.person == nil {
		text, err := s.seals.open(ctx, e.known, aboutErasure(e.OrganizationID, e.ID))
		person := &erasure.Person{}
		if err == nil {
			err = json.Unmarshal(text, person)
		}
		if err != nil {
			return fmt.Errorf("what is looked for cannot be read: %w", err)
		}
		e.person = person
	}
	person := e.person
	step, err := s.prepareErasing(ctx, e, person)
	if err != nil {
		return err
	}
	next := *e
	next.Looked, next.Changed, next.afterID = e.Looked+int64(step.looked), e.Changed+int64(len(step.changes)), step.last
	next.WaitsUntil = time.Time{}
	if step.waits > 0 {
		next.WaitsUntil = s.now().Add(step.waits)
	}
	if !step.more {
		at := slices.Index(ErasurePhases, e.Phase) + 1
		next.afterID = 0
		switch {
		case at == len(ErasurePhases):
			next.State = ErasureDone
			if person.Cut {
				next.Error = knownTooMuch
			}
		default:
			next.Phase = ErasurePhases[at]
		}
		if next.Phase == "attempts" && next.State == ErasureRunning {
			next.WaitsUntil = s.now().Add(erasureWait)
		}
	}
	err = s.Update(ctx, func(tx *Tx) error {
		next.UpdatedAt = tx.now
		if next.Ended() {
			next.FinishedAt = tx.now
		}
		n, err := tx.count(`
			UPDATE erasures
			SET    state = $1, phase = $2, after_id = $3, looked = $4, changed = $5, error = $6, waits_us = $7, updated_us = $8, finished_us = $9
			WHERE  id = $10 AND state = 'running' AND worker = $11 AND phase = $12 AND after_id = $13`,
			next.State, next.Phase, next.afterID, next.Looked, next.Changed, next.Error, microseconds(next.WaitsUntil), tx.now.UnixMicro(), microseconds(next.FinishedAt),
			e.ID, worker, e.Phase, e.afterID)
		if err == nil && n == 0 {
			return errMoved
		}
		for _, change := range step.changes {
			if err == nil {
				err = change(tx)
			}
		}
		switch {
		case err != nil:
		case next.Ended():
			err = tx.exec("UPDATE erasures SET known = $1, known_key = 0 WHERE id = $2", []byte{}, e.ID)
		case e.Phase == "known":
			err = tx.saveKnown(&next, person)
		}
		return err
	})
	if errors.Is(err, errMoved) {
		list, err := selectErasures(ctx, s.view(), "WHERE id = $1", e.ID)
		if err == nil && len(list) > 0 {
			*e = *list[0]
		}
		return err
	}
	if err == nil {
		*e = next
	}
	return err
}

// prepareErasing looks at the next rows of a phase, and says what is to be changed of them.
func (s *Store) prepareErasing(ctx context.Context, e *Erasure, person *erasure.Person) (*erasing, error) {
	switch e.Phase {
	case "known", "events":
		return s.eraseEvents(ctx, e, person)
	case "runs":
		return s.eraseRuns(ctx, e, person)
	case "answers":
		return s.eraseAnswers(ctx, e)
	case "attempts":
		return s.eraseAttempts(ctx, e, person)
	case "space":
		return s.eraseSpace(ctx, e)
	}
	for _, t := range erasedTables {
		if t.name == e.Phase {
			return s.eraseTable(ctx, e, person, t)
		}
	}
	return nil, fmt.Errorf("the phase %q is not known to this program", e.Phase)
}

// aboutHim reports whether an event is about the person: a text that was made of it may hold what others have as well.
func aboutHim(ctx context.Context, c conn, person *erasure.Person, event *bugle.Event) (bool, error) {
	if event.Chain.RunID != 0 && event.Addressed {
		list, err := selectEvents(ctx, c, "WHERE e.id = (SELECT r.event_id FROM automation_runs r WHERE r.id = $1)", event.Chain.RunID)
		if err != nil {
			return false, err
		}
		if len(list) > 0 {
			event = list[0]
		}
	}
	quiet := &erasure.Person{ID: person.ID}
	return quiet.Learn(personnel.ByName(event.ResourceKind), event.ResourceID, event.Envelope, func(each func(name string, v any)) {})
}

func (s *Store) eraseEvents(ctx context.Context, e *Erasure, person *erasure.Person) (*erasing, error) {
	c := s.view()
	list, err := selectEvents(ctx, c, fmt.Sprintf("WHERE e.organization_id = $1 AND e.id > $2 ORDER BY e.id LIMIT %d", erasureStep), e.OrganizationID, e.afterID)
	step := &erasing{last: e.afterID, more: len(list) == erasureStep, looked: len(list)}
	for _, event := range list {
		if err != nil {
			break
		}
		step.last = event.ID
		if e.Phase == "known" {
			_, err = person.Learn(personnel.ByName(event.ResourceKind), event.ResourceID, event.Envelope, func(each func(name string, v any)) {
				for _, cause := range event.Causes {
					each(cause.Attribute, cause.Old)
					each(cause.Attribute, cause.New)
				}
			})
			continue
		}
		var about bool
		if about, err = aboutHim(ctx, c, person, event); err != nil {
			break
		}
		if about && event.ResourceKind == personnel.Submission.Name && !event.Addressed { // once he is deleted, only its event says whose it was
			step.changes = append(step.changes, func(tx *Tx) error {
				return tx.exec("UPDATE submissions SET data = NULL WHERE organization_id = $1 AND id = $2 AND COALESCE(user_id, $3) = $3", e.OrganizationID, event.ResourceID, e.UserID)
			})
		}
		var changed bool
		if changed, err = eraseFrom(person, event, about); changed {
			step.changes = append(step.changes, func(tx *Tx) error { return tx.saveErased(event) })
		}
	}
	if err != nil {
		return nil, err
	}
	return step, nil
}

// eraseFrom takes the person out of an event, and reports whether he was in it.
func eraseFrom(person *erasure.Person, event *bugle.Event, about bool) (changed bool, err error) {
	kind := personnel.ByName(event.ResourceKind)
	if event.Envelope, changed, err = person.Envelope(kind, event.ResourceID, event.Envelope, about); err != nil {
		return false, fmt.Errorf("envelope of event %d: %w", event.ID, err)
	}
	for i := range event.Causes {
		cause := &event.Causes[i]
		var before, after bool
		cause.Old, before = person.Change(kind, event.ResourceID, cause.Attribute, cause.Old)
		cause.New, after = person.Change(kind, event.ResourceID, cause.Attribute, cause.New)
		changed = changed || before || after
	}
	return changed, nil
}

func (tx *Tx) eraseEvent(person *erasure.Person, event *bugle.Event, about bool) error {
	changed, err := eraseFrom(person, event, about)
	if err != nil || !changed {
		return err
	}
	return tx.saveErased(event)
}

// saveErased writes what is left of an event: its envelope and what changed. The facts of it stay.
func (tx *Tx) saveErased(event *bugle.Event) error {
	causes, err := causesText(event.Causes)
	if err == nil {
		err = tx.exec("UPDATE events SET envelope = $1, causes = $2 WHERE id = $3", event.Envelope, causes, event.ID)
	}
	if err != nil {
		return fmt.Errorf("erase from event %d: %w", event.ID, err)
	}
	tx.committed.Erased = true
	return nil
}

func (s *Store) eraseRuns(ctx context.Context, e *Erasure, person *erasure.Person) (*erasing, error) {
	type row struct {
		id, event              int64
		condition, made, error string
	}
	var list []row
	c := s.view()
	err := c.each(ctx, func(scan func(to ...any) error) error {
		var r row
		err := scan(&r.id, &r.event, &r.condition, &r.made, &r.error)
		list = append(list, r)
		return err
	}, "SELECT id, event_id, condition, action_payload, error FROM automation_runs WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3", e.OrganizationID, e.afterID, erasureStep)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(list))
	for i, r := range list {
		ids[i] = r.event
	}
	about, err := s.aboutEvents(ctx, person, ids)
	if err != nil {
		return nil, err
	}
	step := &erasing{last: e.afterID, more: len(list) == erasureStep, looked: len(list)}
	for _, r := range list {
		step.last = r.id
		condition, made, failure := person.Text(r.condition, false), person.JSON(r.made, about[r.event]), person.Text(r.error, about[r.event])
		if condition != r.condition || made != r.made || failure != r.error {
			step.changes = append(step.changes, func(tx *Tx) error {
				return tx.exec("UPDATE automation_runs SET condition = $1, action_payload = $2, error = $3 WHERE id = $4", condition, made, failure, r.id)
			})
		}
	}
	return step, nil
}

// aboutEvents are those of the events that are about the person.
func (s *Store) aboutEvents(ctx context.Context, person *erasure.Person, ids []int64) (map[int64]bool, error) {
	events, err := s.EventsByID(ctx, ids)
	about := make(map[int64]bool, len(events))
	for _, event := range events {
		if err == nil {
			about[event.ID], err = aboutHim(ctx, s.view(), person, event)
		}
	}
	return about, err
}

// eraseAnswers empties what the person has filled in.
func (s *Store) eraseAnswers(ctx context.Context, e *Erasure) (*erasing, error) {
	ids, err := s.view().ids(ctx, fmt.Sprintf(`
		SELECT id FROM submissions
		WHERE  organization_id = $1 AND user_id = $2 AND id > $3 AND data IS NOT NULL
		ORDER  BY id LIMIT %d`, erasureStep), e.OrganizationID, e.UserID, e.afterID)
	if err != nil {
		return nil, err
	}
	step := &erasing{last: e.afterID, more: len(ids) == erasureStep, looked: len(ids)}
	for _, id := range ids {
		step.last = id
		step.changes = append(step.changes, func(tx *Tx) error { return tx.exec("UPDATE submissions SET data = NULL WHERE id = $1", id) })
	}
	return step, nil
}

func (s *Store) eraseTable(ctx context.Context, e *Erasure, person *erasure.Person, t erasedTable) (*erasing, error) {
	columns := make([]string, len(t.columns))
	for i, name := range t.columns {
		columns[i] = "COALESCE(" + quoted(name) + ", '')"
	}
	step := &erasing{last: e.afterID}
	err := s.view().each(ctx, func(scan func(to ...any) error) error {
		texts := make([]string, len(columns))
		to := []any{&step.last}
		for i := range texts {
			to = append(to, &texts[i])
		}
		if err := scan(to...); err != nil {
			return err
		}
		step.looked++
		id := step.last
		var set []string
		var args []any
		for i, text := range texts {
			if next := person.JSON(text, false); next != text {
				args = append(args, next)
				set = append(set, fmt.Sprintf("%s = $%d", quoted(t.columns[i]), len(args)))
			}
		}
		if len(set) > 0 {
			query := fmt.Sprintf("UPDATE %s SET %s WHERE id = $%d", t.name, strings.Join(set, ", "), len(args)+1)
			step.changes = append(step.changes, func(tx *Tx) error { return tx.exec(query, append(args, id)...) })
		}
		return nil
	}, fmt.Sprintf("SELECT id, %s FROM %s WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3", strings.Join(columns, ", "), t.name), e.OrganizationID, e.afterID, erasureStep)
	step.more = step.looked == erasureStep
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", t.name, err)
	}
	return step, nil
}

// eraseAttempts looks at the attempts of the next deliveries.
func (s *Store) eraseAttempts(ctx context.Context, e *Erasure, person *erasure.Person) (*erasing, error) {
	var ids, events []int64
	of := map[int64]int64{}
	c, limit := s.view(), max(erasureStep/4, 1)
	err := c.each(ctx, func(scan func(to ...any) error) error {
		var id, event int64
		err := scan(&id, &event)
		ids, events, of[id] = append(ids, id), append(events, event), event
		return err
	}, "SELECT id, event_id FROM deliveries WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3", e.OrganizationID, e.afterID, limit)
	if err != nil || len(ids) == 0 {
		return &erasing{}, err
	}
	about, err := s.aboutEvents(ctx, person, events)
	if err != nil {
		return nil, err
	}
	step := &erasing{last: ids[len(ids)-1], more: len(ids) == limit}
	err = c.each(ctx, func(scan func(to ...any) error) error {
		var id int64
		var number int
		var was [4]string
		var body []byte
		if err := scan(&id, &number, &was[0], &was[1], &was[2], &was[3], &body); err != nil {
			return err
		}
		step.looked++
		him := about[of[id]]
		is := was
		for i := range is[:3] {
			is[i] = person.Text(is[i], him)
		}
		is[3] = person.JSON(is[3], him)
		answer := []byte(person.Text(string(body), him))
		if is != was || string(answer) != string(body) {
			step.changes = append(step.changes, func(tx *Tx) error {
				return tx.exec(`
					UPDATE attempts
					SET    url = $1, reason = $2, error_message = $3, response_headers = $4, response_body = $5
					WHERE  delivery_id = $6 AND number = $7`, is[0], is[1], is[2], is[3], answer, id, number)
			})
		}
		return nil
	}, "SELECT delivery_id, number, url, reason, error_message, response_headers, response_body FROM attempts WHERE "+inIDs("delivery_id", 1), idList(ids))
	if err != nil {
		return nil, err
	}
	return step, nil
}

// eraseSpace takes out of the files what rows were before they were changed. Here the last id is how often that was tried.
func (s *Store) eraseSpace(ctx context.Context, e *Erasure) (*erasing, error) {
	more, err := s.dialect.giveBack(ctx, s, true)
	if err != nil || more {
		return &erasing{last: e.afterID, more: more}, err
	}
	err = s.dialect.endLog(ctx, s)
	if errors.Is(err, errBusy) && e.afterID < spaceTries {
		return &erasing{last: e.afterID + 1, more: true, waits: spaceWait}, nil
	}
	return &erasing{}, err
}

// causesText is what changed, as the database has it; nil: nothing.
func causesText(causes []bugle.Cause) (any, error) {
	if causes == nil {
		return nil, nil
	}
	list := value.NewArray(len(causes))
	for _, c := range causes {
		list.Append(value.List(c.Attribute, c.Old, c.New))
	}
	text, err := value.JSON(list)
	return string(text), err
}
