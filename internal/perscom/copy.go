package perscom

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A Copy copies an organization from a source into the database.
type Copy struct {
	Source         *Client
	Store          *store.Store
	Files          *files.Folder
	OrganizationID int64
	Notify         bool // write created events, and deliveries to webhooks

	// Progress is told how far the kinds, and the relations, have come. It may be nil.
	Progress func(Progress)

	importing *store.Import
	result    Result
	fields    map[string]definition // custom fields, by key
	people    people
	slots     []slot
	links     map[string][]links                        // to be copied once the resources are, by the name of the relation
	relations map[*personnel.Kind][]*personnel.Relation // that are copied
	ids       map[*personnel.Kind][]int64               // of kinds with such relations
	missing   map[*personnel.Kind]bool                  // collections that the source does not have
	hidden    map[*personnel.Kind]bool                  // whether there are rows that lists leave out
	schedules Count
}

// Progress is how far one kind has come: Done of Total steps, each a row read or written. Over is set
// once it is complete, with what has become of the rows.
type Progress struct {
	Name        string
	Done, Total int
	Over        bool
	Count       Count
}

// A Count is what has become of the rows of a kind, or of the links of a relation.
type Count struct {
	Name                               string
	Read, Imported, Skipped, NotCopied int
}

// add counts a row, or a link.
func (n *Count) add(r store.ImportResult) {
	n.Read++
	switch r {
	case store.Copied:
		n.Imported++
	case store.Skipped:
		n.Skipped++
	default:
		n.NotCopied++
	}
}

// A Problem is something that could not be copied.
type Problem struct {
	Kind   string // the path of its collection
	ID     int64  // at the source; 0: all of the kind
	Field  string // empty: the whole row
	Reason string
}

// String is the problem in a line.
func (p Problem) String() string {
	text := p.Kind
	if p.ID != 0 {
		text += fmt.Sprintf(" %d", p.ID)
	}
	if p.Field != "" {
		text += ", " + p.Field
	}
	return printable(text + ": " + p.Reason)
}

const (
	maxProblems = 50 // are kept; beyond it they are counted
	maxNotes    = 50
)

// A Result is what a Copy has done.
type Result struct {
	Counts   []Count   // in the order in which they were copied
	Problems []Problem // the first ones
	More     int       // how many others there were
	Notes    []string  // what is to be known besides
	KeptIDs  bool      // rows have the ids of the source, where those were free
}

// Complete reports whether all that was found is here now.
func (r *Result) Complete() bool { return len(r.Problems) == 0 }

func (c *Copy) problem(p Problem) {
	switch {
	case slices.Contains(c.result.Problems, p): // said already
	case len(c.result.Problems) < maxProblems:
		c.result.Problems = append(c.result.Problems, p)
	default:
		c.result.More++
	}
}

func (c *Copy) note(format string, args ...any) {
	if text := printable(fmt.Sprintf(format, args...)); !slices.Contains(c.result.Notes, text) && len(c.result.Notes) < maxNotes {
		c.result.Notes = append(c.result.Notes, text)
	}
}

const (
	pageSize  = 100
	batchSize = 200 // rows in a transaction
)

// Check asks the source for next to nothing, to see that it is one and that the key is good.
func (c *Copy) Check(ctx context.Context) error {
	_, err := c.Source.page(ctx, question{path: "me"}, 1, 1)
	if status(err) == http.StatusForbidden || status(err) == http.StatusNotFound {
		_, err = c.Source.page(ctx, question{path: "users"}, 1, 1)
	}
	if status(err) == http.StatusUnauthorized {
		return fmt.Errorf("the source does not accept the key, or not for this organization: %w", err)
	}
	if status(err) == http.StatusForbidden {
		return nil // the key is good, if not for this
	}
	return err
}

// Run copies everything that is not here yet. If it ends early, what it has copied stays, and the next
// Run goes on from there; the Result tells how far it came.
func (c *Copy) Run(ctx context.Context) (*Result, error) {
	c.result = Result{}
	c.links, c.ids = map[string][]links{}, map[*personnel.Kind][]int64{}
	c.missing, c.hidden = map[*personnel.Kind]bool{}, map[*personnel.Kind]bool{}
	c.fields, c.slots, c.schedules = map[string]definition{}, nil, Count{Name: "schedules"}
	c.people = people{ids: map[string][]int64{}, records: map[string][]record{}}
	c.relations = map[*personnel.Kind][]*personnel.Relation{}
	for _, k := range personnel.Kinds() {
		for i := range k.Relations {
			if isCopied(k, &k.Relations[i]) {
				c.relations[k] = append(c.relations[k], &k.Relations[i])
			}
		}
	}
	err := c.run(ctx)
	return &c.result, err
}

func (c *Copy) run(ctx context.Context) error {
	settings, err := c.settings(ctx)
	if err != nil {
		return err
	}
	if c.importing, err = c.Store.BeginImport(ctx, c.OrganizationID, c.Source.Source()); err != nil {
		return err
	}
	c.importing.Notify, c.result.KeptIDs = c.Notify, c.importing.Empty
	if err := c.saveSettings(ctx, settings); err != nil {
		return err
	}
	// Fields first: they say what the custom values of the others are.
	kinds := append([]*personnel.Kind{&personnel.CustomField}, personnel.Kinds()...)
	for n, k := range kinds {
		if n > 0 && k == &personnel.CustomField {
			continue
		}
		if err := c.kind(ctx, k); err != nil {
			return err
		}
		if n == 0 {
			if err := c.reserve(ctx); err != nil {
				return err
			}
		}
	}
	c.count(c.schedules)
	for _, k := range personnel.Kinds() {
		for _, rel := range c.relations[k] {
			if tableOf(rel.Pivot) != nil {
				continue // they were copied before what refers to them
			}
			if err := c.relation(ctx, k, rel); err != nil {
				return err
			}
		}
	}
	c.note("Webhooks, automations, API keys, passwords and event registrations are not in the API, or not with their secrets: set them up anew.")
	return nil
}

// settings reads what is set for the organization.
func (c *Copy) settings(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	p, err := c.Source.page(ctx, question{path: "settings"}, 1, pageSize)
	if isRefused(err) {
		c.note("The settings cannot be read: the organization keeps its name and its format of display names. (%v)", err)
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	for _, item := range p.items {
		text, isText := get(item, "payload").(string)
		if !isText || text == "" {
			continue
		}
		switch group, name := str(item, "group"), str(item, "name"); {
		case name == "name" && strings.Contains(group, "organization"):
			found["name"] = text
		case strings.Contains(name, "display_name"):
			found["display_name_format"] = text
		}
	}
	return found, nil
}

// saveSettings takes them over, unless the organization had rows of its own before.
func (c *Copy) saveSettings(ctx context.Context, settings map[string]string) error {
	if !c.importing.Empty || len(settings) == 0 {
		if len(settings) > 0 {
			c.note("The organization had rows of its own: it keeps its name and its format of display names.")
		}
		return nil
	}
	return c.Store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return tx.SetOrganization(c.OrganizationID, settings["name"], settings["display_name_format"], "")
	})
}

func get(a *value.Array, key string) any {
	v, _ := a.Get(key)
	return v
}

func str(a *value.Array, key string) string {
	text, _ := get(a, key).(string)
	return text
}

func idOf(a *value.Array, key string) int64 {
	n, _ := get(a, key).(int64)
	return n
}

func objects(v any) []*value.Array {
	list, _ := v.(*value.Array)
	var found []*value.Array
	for _, item := range list.All() {
		if object, ok := item.(*value.Array); ok {
			found = append(found, object)
		}
	}
	return found
}

// isAbsent reports whether an answer means that the source has no such collection.
func isAbsent(err error) bool {
	return status(err) == http.StatusNotFound || status(err) == http.StatusMethodNotAllowed
}

// isRefused reports whether the source answers, but not with what it was asked for, so that asking
// again is of no use.
func isRefused(err error) bool {
	s := status(err)
	return s/100 == 4 && s != http.StatusUnauthorized && s != http.StatusTooManyRequests
}

// title is how a kind is called to people: by its collection.
func title(k *personnel.Kind) string {
	if k.Path != "" {
		return k.Path
	}
	return strings.ReplaceAll(k.Table, "_", "-")
}

// kind reads all of a kind and copies it.
func (c *Copy) kind(ctx context.Context, k *personnel.Kind) error {
	if k.Path == "" {
		return c.withinOthers(ctx, k)
	}
	progress := Progress{Name: title(k)}
	c.report(progress)
	found, err := c.read(ctx, k, &progress)
	if err != nil {
		return err
	}
	count := Count{Name: title(k)}
	copied, err := c.Store.Imported(ctx, c.importing, k.Name)
	if err != nil {
		return err
	}
	progress.Done, progress.Total = len(found), 2*len(found)
	for batch := range slices.Chunk(found, batchSize) {
		if err := c.batch(ctx, k, batch, copied, &count); err != nil {
			c.count(count)
			return err
		}
		progress.Done += len(batch)
		c.report(progress)
	}
	progress.Over, progress.Count = true, count
	c.report(progress)
	c.count(count)
	return nil
}

// reserve decides about the ids of the kinds that custom fields refer to, before any of these is copied.
func (c *Copy) reserve(ctx context.Context) error {
	if c.importing.Empty {
		return nil // ids stay as they are
	}
	for _, k := range personnel.Kinds() {
		referred := false
		for _, d := range c.fields {
			referred = referred || d.refers == k
		}
		if !referred {
			continue
		}
		found, err := c.read(ctx, k, &Progress{Name: title(k)})
		if err != nil {
			return err
		}
		for batch := range slices.Chunk(found, batchSize) {
			rows := make([]*store.ImportRow, len(batch))
			for n, data := range batch {
				rows[n] = &store.ImportRow{Resource: personnel.New(k)}
				rows[n].Set("id", idOf(data, "id"))
				for i := range k.Fields {
					if f := &k.Fields[i]; f.Unique {
						rows[n].Values[i], _ = f.Keep(get(data, f.Name))
					}
				}
			}
			if err := c.Store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.ReserveRows(c.importing, rows) }); err != nil {
				return err
			}
			if slices.ContainsFunc(rows, func(row *store.ImportRow) bool { return row.Existing }) {
				c.noteExisting(k)
			}
		}
	}
	return nil
}

func (c *Copy) noteExisting(k *personnel.Kind) {
	c.note("Some %s were there before, with the same unique values: they are used as they are.", title(k))
}

func (c *Copy) count(n Count) {
	if n.Read > 0 {
		c.result.Counts = append(c.result.Counts, n)
	}
}

func (c *Copy) report(p Progress) {
	if c.Progress != nil {
		c.Progress(p)
	}
}

// batch copies some rows of a kind in one transaction.
func (c *Copy) batch(ctx context.Context, k *personnel.Kind, batch []*value.Array, copied map[int64]bool, count *Count) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var rows []*store.ImportRow
	var uploads []*personnel.Upload
	done := false
	defer func() {
		for _, u := range uploads {
			if !done || !u.Kept {
				c.Files.Remove(u.Path) // one that stays behind costs its place only
			}
		}
	}()
	for _, data := range batch {
		c.remember(k, data)
		if copied[idOf(data, "id")] {
			count.add(store.Skipped)
			continue
		}
		row, taken, err := c.row(ctx, k, data)
		uploads = append(uploads, taken...)
		if err != nil {
			return err
		}
		if row == nil {
			count.add(store.NotCopied)
			continue
		}
		for _, u := range taken {
			u.Taken = true
		}
		schedules, err := c.schedule(ctx, k, data)
		if err != nil {
			return err
		}
		rows = append(append(rows, row), schedules...)
	}
	// What has begun is finished: so an interruption falls between two batches.
	err := c.Store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.ImportRows(c.importing, rows) })
	if err != nil {
		return err
	}
	done = true
	kept := map[string]bool{}
	for _, row := range rows {
		for _, p := range row.Problems {
			c.problem(Problem{Kind: title(row.Kind), ID: row.SourceID, Field: p.Field, Reason: p.Reason})
		}
		if row.Kind == &personnel.Schedule {
			c.schedules.add(row.Result)
			continue
		}
		count.add(row.Result)
		switch row.Result {
		case store.Copied:
			for _, v := range row.Values {
				if path, ok := v.(string); ok {
					kept[path] = true
				}
			}
			for _, v := range row.Custom.All() {
				if path, ok := v.(string); ok {
					kept[path] = true
				}
			}
		case store.Skipped:
			if row.Existing {
				c.noteExisting(k)
			}
		}
	}
	for _, u := range uploads {
		u.Kept = kept[u.Path]
	}
	return nil
}

// read reads all rows of a kind, also those that lists leave out, by id.
func (c *Copy) read(ctx context.Context, k *personnel.Kind, progress *Progress) ([]*value.Array, error) {
	found, err := c.readAll(ctx, question{path: k.Path, include: includes(k)}, title(k), progress)
	switch {
	case isAbsent(err):
		c.missing[k] = true
		if found, err = c.gather(ctx, k); err != nil {
			return nil, err
		}
	case status(err) == http.StatusForbidden:
		c.missing[k] = true
		c.problem(Problem{Kind: title(k), Reason: "the key may not read them: " + err.Error()})
		return nil, nil
	case err != nil:
		return nil, err
	}
	if k.Hiding != nil && !c.missing[k] {
		hidden, err := c.readAll(ctx, question{path: k.Path, include: includes(k), scope: k.Hiding.Hidden}, title(k), nil)
		if status(err) == http.StatusUnprocessableEntity {
			c.note("The source does not list those %s that are %s.", title(k), k.Hiding.Hidden)
			hidden, err = nil, nil
		}
		if isRefused(err) {
			c.problem(Problem{Kind: title(k), Reason: "those that lists leave out cannot be read: " + err.Error()})
			hidden, err = nil, nil
		}
		if err != nil {
			return nil, err
		}
		c.hidden[k] = len(hidden) > 0
		found = unique(append(found, hidden...))
	}
	slices.SortStableFunc(found, func(a, b *value.Array) int { return cmp.Compare(idOf(a, "id"), idOf(b, "id")) })
	return found, nil
}

// unique leaves out objects without an id, and those whose id came before.
func unique(list []*value.Array) []*value.Array {
	seen := make(map[int64]bool, len(list))
	return slices.DeleteFunc(list, func(a *value.Array) bool {
		id := idOf(a, "id")
		if id <= 0 || seen[id] {
			return true
		}
		seen[id] = true
		return false
	})
}

// readAll reads all pages of a list. Should the order have changed meanwhile, so that some rows came
// twice and others not at all, it reads once more, by id.
func (c *Copy) readAll(ctx context.Context, q question, name string, progress *Progress) ([]*value.Array, error) {
	found, total, err := c.readPages(ctx, q, progress)
	if err != nil || len(found) >= total {
		return found, err
	}
	q.sorted = true
	again, total, err := c.readPages(ctx, q, progress)
	if isRefused(err) {
		again, err = nil, nil // there is no such search
	}
	if err != nil {
		return nil, err
	}
	found = unique(append(found, again...))
	if len(found) < total {
		c.problem(Problem{Kind: name, Reason: fmt.Sprintf("the source counts %d, but lists %d: run again when nobody changes them", total, len(found))})
	}
	return found, nil
}

// readPages reads a list page by page, by their numbers.
func (c *Copy) readPages(ctx context.Context, q question, progress *Progress) (found []*value.Array, total int, err error) {
	limit := pageSize
	for number := 1; ; number++ {
		p, err := c.Source.page(ctx, q, number, limit)
		if status(err) == http.StatusUnprocessableEntity && limit > 1 && len(q.include) > 0 {
			// What the page includes is too much: fewer at a time. All pages before end where one of these ends.
			number, limit = (number-1)*10, limit/10
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		found = append(found, p.items...)
		total = max(p.total, 0)
		if progress != nil {
			progress.Done, progress.Total = len(found), 2*max(total, len(found))
			c.report(*progress)
		}
		if len(p.items) == 0 || p.total >= 0 && number*limit >= p.total || p.total < 0 && len(p.items) < limit {
			if !q.repeats {
				found = unique(found)
			}
			return found, total, nil
		}
	}
}

// gather collects the resources of a kind that has no collection at the source from the relations that
// lead to it.
func (c *Copy) gather(ctx context.Context, k *personnel.Kind) ([]*value.Array, error) {
	var found []*value.Array
	from := false
	for _, other := range personnel.Kinds() {
		for _, rel := range other.Relations {
			if rel.Kind != k.Name || rel.Pivot == nil || rel.Pivot.ReadOnly || !slices.Contains(other.Includes, rel.Name) {
				continue
			}
			list, err := c.readAll(ctx, question{path: other.Path, include: []string{rel.Name}}, title(other), nil)
			if isRefused(err) {
				continue // it will be reported with that kind
			}
			if err != nil {
				return nil, err
			}
			from = true
			for _, item := range list {
				found = append(found, objects(get(item, rel.Name))...)
			}
		}
	}
	found = unique(found)
	switch {
	case !from:
		c.note("The source has no %s.", title(k))
	case k == &personnel.CustomField:
		c.note("The source has no list of fields: those of forms and users are copied; of others the values are, and their definitions are to be made anew (applies_to).")
	}
	return found, nil
}

// isCopied reports whether a relation is where the links of its pivot are read: each table is read
// from one side.
func isCopied(k *personnel.Kind, rel *personnel.Relation) bool {
	p := rel.Pivot
	if p == nil || p.ReadOnly || k.Path == "" {
		return false
	}
	nested := slices.ContainsFunc(k.Nested, func(n personnel.Nested) bool { return n.Relation == rel.Name })
	included := slices.Contains(k.Includes, rel.Name) || slices.Contains(k.Always, rel.Name)
	if nested && included {
		return true
	}
	other := personnel.ByName(rel.Kind)
	for i := range other.Relations {
		back := &other.Relations[i]
		if back.Pivot == nil || back.Pivot.Table != p.Table || back.Kind != k.Name || back == rel {
			continue
		}
		backIncluded := slices.Contains(other.Includes, back.Name)
		backNested := slices.ContainsFunc(other.Nested, func(n personnel.Nested) bool { return n.Relation == back.Name })
		if backIncluded && backNested || backIncluded && !included {
			return false
		}
	}
	return nested || included
}

// includes are the relations that a kind is read with.
func includes(k *personnel.Kind) []string {
	var names []string
	for i := range k.Relations {
		rel := &k.Relations[i]
		if slices.Contains(k.Includes, rel.Name) && (isCopied(k, rel) || rel.Kind == personnel.Schedule.Name) {
			names = append(names, rel.Name)
		}
	}
	if k == &personnel.Slot {
		names = append(names, "users", "assignment_records") // they know the ids of the units' slots
	}
	return names
}
