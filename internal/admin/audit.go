package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

// audit adds the log of what was changed of the configuration, and of who signed in.
func (s *server) audit() {
	s.page("GET /audit-log", "view_any_audit_log", s.listAuditLog)
}

type auditPage struct {
	frame
	Filters  []filter
	Problems []string
	Filtered bool
	Rows     []auditRow
	Pager    pager
}

// An auditRow is an entry in the list.
type auditRow struct {
	*bugle.AuditEntry
	Who     string
	Subject link
	Changes []auditChange
}

// An auditChange is an attribute as it was and as it is, as JSON that may be cut.
type auditChange struct{ Attribute, Old, New string }

var authorTexts = map[bugle.AuthorKind]string{bugle.ByServer: "The server", bugle.ByAccount: "Account", bugle.ByKey: "API key", bugle.ByCommand: "Command line",
	bugle.ByVisitor: "Somebody not signed in"}

func (v *visit) auditFilters() []filter {
	var actions, subjects, authors []option
	for _, action := range bugle.AuditActions {
		actions = append(actions, option{Value: action, Label: action})
	}
	slices.SortFunc(actions, func(a, b option) int { return cmp.Compare(a.Label, b.Label) })
	for _, kind := range bugle.AuditSubjects {
		if kind != "server" { // which is about no organization
			subjects = append(subjects, option{Value: kind, Label: title(strings.ReplaceAll(kind, "_", " "))})
		}
	}
	for _, kind := range bugle.AuthorKinds {
		authors = append(authors, option{Value: string(kind), Label: authorTexts[kind]})
	}
	return []filter{
		v.filterBy("action", "Action", "All", actions),
		v.filterBy("author", "By", "Anybody", authors),
		v.filterBy("subject", "About", "Anything", subjects),
		v.filterText("resource", "Number", "such as 12"),
		v.filterTime("since", "Since"),
		v.filterTime("until", "Until"),
	}
}

func (s *server) listAuditLog(v *visit) error {
	query := v.URL.Query()
	f := store.AuditFilter{Action: query.Get("action"), AuthorKind: bugle.AuthorKind(query.Get("author")), SubjectKind: query.Get("subject")}
	p := &auditPage{frame: v.newFrame("Audit Log", "audit-log"), Filters: v.auditFilters()}
	p.Lead = "Who changed the configuration and who signed in, from where. Entries stay for ever."
	if text := strings.TrimSpace(query.Get("resource")); text != "" {
		var err error
		if f.SubjectID, err = strconv.ParseInt(text, 10, 64); err != nil || f.SubjectID <= 0 {
			p.Problems = append(p.Problems, fmt.Sprintf("Number: %q is no number.", cut(40, text)))
		}
	}
	f.Since, f.Until, p.Problems = v.period(p.Problems)
	if len(p.Problems) > 0 {
		return v.render(http.StatusUnprocessableEntity, "audit.html", p)
	}
	at := v.logPaging()
	p.Filtered = f != store.AuditFilter{}
	if p.Filtered {
		at.CountTo = countFiltered
	}
	page, err := s.store.AuditEntries(v.Context(), v.actor.OrganizationID, f, at)
	if err != nil {
		return err
	}
	for _, e := range page.Items {
		row, err := v.auditRow(e)
		if err != nil {
			return err
		}
		p.Rows = append(p.Rows, row)
	}
	p.Pager = logPagerOf(v, at, page, func(e *bugle.AuditEntry) int64 { return e.Number })
	return v.render(http.StatusOK, "audit.html", p)
}

// auditRow adds to an entry what the list shows of it.
func (v *visit) auditRow(e *bugle.AuditEntry) (auditRow, error) {
	row := auditRow{AuditEntry: e, Who: authorTexts[e.Author.Kind]}
	switch {
	case e.Author.Kind == bugle.ByCommand:
		row.Who = e.Author.Name
	case e.Author.Name != "":
		row.Who += " " + e.Author.Name
	}
	row.Subject.Text = title(strings.ReplaceAll(e.Subject.Kind, "_", " "))
	if e.Subject.Kind == "account" && e.Subject.ID == 0 {
		row.Subject.Text = "No account"
	} else if e.Subject.Name != "" {
		row.Subject.Text += " " + e.Subject.Name
	} else if e.Subject.ID != 0 {
		row.Subject.Text += fmt.Sprintf(" %d", e.Subject.ID)
	}
	switch e.Subject.Kind {
	case "webhook":
		row.Subject = v.guarded("view_webhook", fmt.Sprintf("/webhooks/%d", e.Subject.ID), row.Subject.Text)
	case "automation":
		row.Subject = v.guarded("view_automation", fmt.Sprintf("/automations/%d", e.Subject.ID), row.Subject.Text)
	}
	old, err := decodeObject(e.Before)
	if err != nil {
		return row, err
	}
	now, err := decodeObject(e.After)
	if err != nil {
		return row, err
	}
	for _, state := range []*value.Array{old, now} {
		for key := range state.All() {
			name := key.String()
			if slices.ContainsFunc(row.Changes, func(c auditChange) bool { return c.Attribute == name }) {
				continue
			}
			row.Changes = append(row.Changes, auditChange{name, shownAttribute(old, name), shownAttribute(now, name)})
		}
	}
	return row, nil
}

func decodeObject(text string) (*value.Array, error) {
	decoded, err := value.Decode([]byte(text))
	object, _ := decoded.(*value.Array)
	return object, err
}

// maxShownAttribute is how much of an attribute is shown, in characters.
const maxShownAttribute = 300

func shownAttribute(state *value.Array, name string) string {
	v, found := state.Get(name)
	if !found {
		return ""
	}
	if text, isText := v.(string); isText && text != "" {
		return cut(maxShownAttribute, text)
	}
	text, err := value.JSON(v)
	if err != nil {
		return ""
	}
	return cut(maxShownAttribute, string(text))
}
