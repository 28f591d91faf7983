package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
)

// maxScanned is how many rows are looked at for a page, and as many for its total; a row that takes
// looking up another counts as lookUpCost.
var maxScanned = 12000 // less in tests

const lookUpCost = 3

// A condition is one of a list, with ? for its arguments.
type condition struct {
	text string
	args []any
}

// A logFilter is what the rows of a list meet, whatever source they come from.
type logFilter struct {
	conditions   []condition
	since, until time.Time // zero: no limit
	lookUps      bool      // the conditions read other rows
}

func (f *logFilter) add(text string, args ...any) {
	f.conditions = append(f.conditions, condition{text, args})
}

// on returns the conditions for a source.
func (f *logFilter) on(s *source) []condition {
	list := slices.Clip(f.conditions)
	if !f.since.IsZero() {
		list = append(list, condition{s.created + " >= ?", []any{f.since.UnixMicro()}})
	}
	if !f.until.IsZero() {
		list = append(list, condition{s.created + " < ?", []any{f.until.UnixMicro()}})
	}
	return list
}

// A source is rows of a log that an index has together, in the order of a key that is also the order of
// their ids. A page is read from one or several, so that what is looked for is never far apart.
type source struct {
	tables     string
	id         string // of what is listed
	key        string
	created    string // when the row of the key was created, in microseconds
	keys       string // the tables of the key; empty: tables
	conditions []condition
	low, high  int64 // of the keys, the high one excluded; 0: no limit
	small      bool  // so few that all can be looked at
}

// from leaves out keys below one, and until those from one on.
func (s *source) from(key int64) { s.low = max(s.low, key) }

func (s *source) until(key int64) {
	if s.high == 0 || key < s.high {
		s.high = key
	}
}

// inRange are the conditions on the key: one of each sort, because an index is entered by one only.
func (s *source) inRange() []condition {
	var list []condition
	if s.low != 0 {
		list = append(list, condition{s.key + " >= ?", []any{s.low}})
	}
	if s.high != 0 {
		list = append(list, condition{s.key + " < ?", []any{s.high}})
	}
	return list
}

// with is the source with one more condition for its index.
func (s source) with(text string, args ...any) source {
	s.conditions = append(slices.Clip(s.conditions), condition{text, args})
	return s
}

// keyTables are the tables that it takes to find keys.
func (s *source) keyTables() string { return cmp.Or(s.keys, s.tables) }

// keyConditions are those on the tables of the key.
func (s *source) keyConditions() []condition {
	if s.keys == "" {
		return s.conditions
	}
	alias := s.keys[strings.LastIndexByte(s.keys, ' ')+1:] + "."
	return slices.DeleteFunc(slices.Clone(s.conditions), func(c condition) bool { return !strings.Contains(c.text, alias) })
}

// query writes a query of the columns from rows that meet the conditions.
func (s *source) query(columns, tables string, conditions []condition, after string) (string, []any) {
	conditions = slices.Concat(conditions, s.inRange())
	texts := make([]string, len(conditions))
	var args []any
	for i, c := range conditions {
		texts[i] = c.text
		args = append(args, c.args...)
	}
	return numbered("SELECT "+columns+" FROM "+tables+" WHERE "+strings.Join(texts, " AND ")+after, args)
}

// numbered writes a text with numbers for its parameters, which are ?.
func numbered(text string, args []any) (string, []any) {
	var b strings.Builder
	parts := strings.Split(text, "?")
	for i, part := range parts {
		if i > 0 {
			fmt.Fprintf(&b, "$%d", i)
		}
		b.WriteString(part)
	}
	return b.String(), args
}

// find returns the lowest key whose column is at least the value; math.MaxInt64 if there is none. The column has
// to grow with the key. It takes as many look-ups as the number of keys has bits.
func (s *source) find(ctx context.Context, c conn, column string, least int64) (int64, error) {
	end := func(direction string) (key int64, err error) {
		text, args := s.query(s.key, s.keyTables(), s.keyConditions(), " ORDER BY "+s.key+direction+" LIMIT 1")
		err = c.one(ctx, []any{&key}, text, args...)
		return key, err
	}
	low, err := end("")
	if errors.Is(err, bugle.ErrNotFound) {
		return math.MaxInt64, nil
	}
	if err != nil {
		return 0, err
	}
	high, err := end(" DESC")
	if err != nil {
		return 0, err
	}
	for high++; low < high; {
		middle := low + (high-low)/2
		var key, value int64
		above := *s
		above.from(middle)
		text, args := above.query(s.key+", "+column, s.keyTables(), s.keyConditions(), " ORDER BY "+s.key+" LIMIT 1")
		err := c.one(ctx, []any{&key, &value}, text, args...)
		switch {
		case errors.Is(err, bugle.ErrNotFound) || err == nil && value >= least:
			high = middle
		case err != nil:
			return 0, err
		default:
			low = key + 1
		}
	}
	return low, nil
}

// clockSlack is how far times of rows that follow each other may go back: the clock is set now and then.
const clockSlack = int64(time.Second / time.Microsecond)

// within narrows the keys to those of the times of a filter, so that what lies before and behind is not
// looked at.
func (s *source) within(ctx context.Context, c conn, f *logFilter) error {
	if !f.since.IsZero() {
		key, err := s.find(ctx, c, s.created, f.since.UnixMicro()-clockSlack)
		if err != nil {
			return err
		}
		s.from(key)
	}
	if !f.until.IsZero() {
		key, err := s.find(ctx, c, s.created, f.until.UnixMicro()+clockSlack)
		if err != nil {
			return err
		}
		s.until(key)
	}
	return nil
}

// beside narrows the keys to those of ids below or above one.
func (s *source) beside(ctx context.Context, c conn, p PageRequest) error {
	if p.Before != 0 {
		key, err := s.keyOf(ctx, c, p.Before)
		if err != nil {
			return err
		}
		if s.key != s.id {
			*s = s.with("+"+s.id+" < ?", p.Before)
			key = min(key, math.MaxInt64-1) + 1 // rows of one event share their key
		}
		s.until(key)
	}
	if p.After != 0 {
		key, err := s.keyOf(ctx, c, p.After)
		if err != nil {
			return err
		}
		*s = s.with("+"+s.id+" > ?", p.After)
		s.from(key)
	}
	return nil
}

// keyOf returns a key that no row with a lower id exceeds, nor one with a higher id falls below.
func (s *source) keyOf(ctx context.Context, c conn, id int64) (int64, error) {
	if s.key == s.id {
		return id, nil
	}
	of := ofEvent[s.id]
	if s.key != of.key {
		return s.find(ctx, c, s.id, id)
	}
	var key int64
	err := c.one(ctx, []any{&key}, "SELECT event_id FROM "+of.table+" WHERE id >= $1 ORDER BY id LIMIT 1", id)
	if errors.Is(err, bugle.ErrNotFound) {
		return math.MaxInt64, nil
	}
	return key, err
}

// ofEvent tells, by the id of what is listed, which keys are those of events, and where they are.
var ofEvent = map[string]struct{ key, table string }{"d.id": {"e.id", "deliveries"}, "r.id": {"r.event_id", "automation_runs"}}

// bound cuts a source off where so many rows were looked at, and returns the id there: 0 if it ends before. From
// there on, in the direction, nothing is known.
func (s *source) bound(ctx context.Context, c conn, direction string, rows int) (reached int64, err error) {
	if s.small {
		return 0, nil
	}
	id := s.id
	if s.keys != "" {
		id = "0"
	}
	var key int64
	text, args := s.query(s.key+", "+id, s.keyTables(), s.keyConditions(), fmt.Sprintf(" ORDER BY %s%s LIMIT 1 OFFSET %d", s.key, direction, rows-1))
	err = c.one(ctx, []any{&key, &reached}, text, args...)
	if errors.Is(err, bugle.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if direction == "" {
		s.until(key + 1)
	} else {
		s.from(key)
	}
	if s.keys == "" {
		return reached, nil
	}
	// The first or the last that there is of the event, or of those behind it.
	firstOf := "SELECT id FROM deliveries WHERE event_id >= $1 ORDER BY event_id, id LIMIT 1"
	reached = math.MaxInt64
	if direction == "" {
		firstOf, reached = "SELECT id FROM deliveries WHERE event_id <= $1 ORDER BY event_id DESC, id DESC LIMIT 1", 1
	}
	if err = c.one(ctx, []any{&reached}, firstOf, key); errors.Is(err, bugle.ErrNotFound) {
		err = nil
	}
	return reached, err
}

// rows is how many of each source are looked at.
func (f *logFilter) rows(sources []source) int {
	n := maxScanned / max(len(sources), 1)
	if f.lookUps {
		n /= lookUpCost
	}
	return max(n, 1)
}

func (p PageRequest) bounded() bool { return p.CountTo != 0 || p.Before != 0 || p.After != 0 }

// readLog reads a page from the sources, those of their rows that meet the filters: newest first. The sources
// have no rows in common. What is on the page is loaded by its ids.
func readLog[T any](ctx context.Context, c conn, sources []source, f *logFilter, p PageRequest, load func(ids []int64) ([]T, error)) (Page[T], error) {
	page := Page[T]{Number: max(p.Number, 1), Limit: p.Limit}
	bounded := p.bounded()
	direction := " DESC"
	if p.After != 0 && p.Before == 0 {
		direction = ""
	}
	skip := 0
	if p.Before == 0 && p.After == 0 {
		skip = max(p.Number-1, 0) * p.Limit
	}
	var ids, reached []int64
	narrowed := make([]source, len(sources)) // to the times, for the total
	for i, s := range sources {
		if bounded && !s.small {
			if err := s.within(ctx, c, f); err != nil {
				return page, err
			}
		}
		narrowed[i] = s
		if err := s.beside(ctx, c, p); err != nil {
			return page, err
		}
		end := int64(0)
		filters := f.on(&s)
		if bounded && (len(filters) > 0 || s.keys != "") {
			var err error
			if end, err = s.bound(ctx, c, direction, f.rows(sources)); err != nil {
				return page, err
			}
		}
		order := " ORDER BY " + s.id + direction
		if s.key != s.id {
			order = " ORDER BY " + s.key + direction + ", " + s.id + direction
		}
		limit := fmt.Sprintf(" LIMIT %d", p.Limit+skip)
		if len(sources) == 1 {
			limit = fmt.Sprintf(" LIMIT %d OFFSET %d", p.Limit, skip)
		}
		text, args := s.query(s.id, s.tables, append(slices.Clip(s.conditions), filters...), order+limit)
		found, err := c.ids(ctx, text, args...)
		if err != nil {
			return page, err
		}
		ids = append(ids, found...)
		if end != 0 && len(found) < p.Limit+skip {
			reached = append(reached, end)
		}
	}
	if len(sources) > 1 {
		ids = cut(ids, reached, direction, skip, p.Limit)
	}
	if page.Incomplete = len(reached) > 0 && len(ids) < p.Limit; page.Incomplete {
		if direction == "" {
			page.Reached = slices.Min(reached)
		} else {
			page.Reached = slices.Max(reached)
		}
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(b, a) })
	var err error
	if len(ids) > 0 {
		if page.Items, err = load(ids); err != nil {
			return page, err
		}
	}
	if p.Before == 0 && p.After == 0 && p.CountTo != 0 && len(ids) < p.Limit && (len(ids) > 0 || skip == 0) { // the end, of the list or of the search
		page.Total, page.More = skip+len(ids), page.Incomplete
		if p.CountTo > 0 && page.Total > p.CountTo {
			page.Total, page.More = p.CountTo, true
		}
		return page, nil
	}
	page.Total, page.More, err = total(ctx, c, narrowed, f, p)
	return page, err
}

// cut puts the ids of several sources together: those up to where each is known.
func cut(ids, reached []int64, direction string, skip, limit int) []int64 {
	slices.SortFunc(ids, func(a, b int64) int {
		if direction == "" {
			return cmp.Compare(a, b)
		}
		return cmp.Compare(b, a)
	})
	for _, end := range reached {
		ids = slices.DeleteFunc(ids, func(id int64) bool { return direction == "" && id > end || direction != "" && id < end })
	}
	ids = ids[min(skip, len(ids)):]
	return ids[:min(limit, len(ids))]
}

// total counts what the sources hold, as far as the request wants it.
func total(ctx context.Context, c conn, sources []source, f *logFilter, p PageRequest) (n int, more bool, err error) {
	for _, s := range sources {
		ends, filters := int64(0), f.on(&s)
		if p.CountTo > 0 && (len(filters) > 0 || s.keys != "") {
			if ends, err = s.bound(ctx, c, " DESC", f.rows(sources)); err != nil {
				return 0, false, err
			}
		}
		text, args := s.query("1", s.tables, append(slices.Clip(s.conditions), filters...), "")
		limit := p.CountTo
		if limit > 0 {
			limit = max(p.CountTo-n, 1)
		}
		one, beyond, err := c.countTo(ctx, limit, strings.TrimPrefix(text, "SELECT 1"), args...)
		if err != nil {
			return 0, false, err
		}
		n, more = n+one, more || beyond || ends != 0
	}
	if p.CountTo > 0 && n > p.CountTo {
		n, more = p.CountTo, true
	}
	return n, more, nil
}
