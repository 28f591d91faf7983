package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
)

// settings adds the pages of settings.
func (s *server) settings() {
	s.page("GET /settings", "update_organization", s.showSettings)
	s.page("POST /settings", "update_organization", s.saveSettings)
	s.page("POST /settings/second-factor", "update_organization", s.requireSecondFactor)
	s.page("POST /settings/hold", "update_organization", s.holdEverything)
	s.page("POST /settings/release", "update_organization", s.releaseHeld)
	s.page("POST /release", bugle.AllPermissions, s.releaseSending)
	s.page("GET /targets", "view_any_webhook", s.showTargets)
	s.accounts()
	s.roles()
	s.channels()
	s.notifications()
	s.audit()
}

type settingsPage struct {
	frame
	Form    *form
	Inputs  []input
	Kept    [][]input // how long the log is kept: a row for each part of it
	Alerts  []input   // who is told of webhooks that fail
	Example string    // how the visitor's name is displayed
	Quotas  []quotaRow
}

// keptTexts are what the page says of bugle.RetentionNames.
var keptTexts = map[string]struct{ label, help string }{
	"attempts":   {"Attempts", "What was sent and answered. Without it the log of webhooks still says whether and when something arrived."},
	"deliveries": {"Deliveries", "The log of webhooks. What is still to be sent is kept in any case."},
	"events":     {"Events", "An event is kept as long as a delivery or a run of it."},
	"runs":       {"Runs", "The log of automations."},
}

// keptInputs are the fields for how long the log is kept, filled with what the organization has decided.
func (s *server) keptInputs(choice bugle.RetentionChoice, f *form) [][]input {
	text := func(n *int) string {
		if n == nil {
			return ""
		}
		return strconv.Itoa(*n)
	}
	others := func(n int, none string) string {
		if n == 0 {
			return none
		}
		return strconv.Itoa(n)
	}
	var rows [][]input
	for _, name := range bugle.RetentionNames {
		usual, kept := s.o.Retention.Of(name), keptTexts[name]
		rows = append(rows, f.fill([]input{
			{Name: name + "_days", Label: kept.label + ": days", Kind: inputNumber, Value: text(choice[name].Days), Placeholder: others(usual.Days, "for ever"), Help: kept.help},
			{Name: name + "_rows", Label: kept.label + ": at most", Kind: inputNumber, Value: text(choice[name].Rows), Placeholder: others(usual.Rows, "any number")},
		}))
	}
	return rows
}

// keptChoice reads what the form says about how long the log is kept.
func keptChoice(f *form) bugle.RetentionChoice {
	choice := bugle.RetentionChoice{}
	number := func(field string) *int {
		text := strings.TrimSpace(f.Get(field))
		if text == "" {
			return nil
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			f.add(field, "This must be a whole number.")
			return nil
		}
		return &n
	}
	for _, name := range bugle.RetentionNames {
		choice[name] = bugle.KeepChoice{Days: number(name + "_days"), Rows: number(name + "_rows")}
	}
	f.take(choice.Check())
	return choice
}

func (s *server) showSettings(v *visit) error {
	return s.renderSettings(v, http.StatusOK, newForm(nil))
}

func (s *server) renderSettings(v *visit, status int, f *form) error {
	p := &settingsPage{frame: v.newFrame("Organization", "settings"), Form: f}
	p.Narrow = true
	p.Inputs = f.fill([]input{
		{Name: "name", Label: "Name", Kind: inputText, Required: true, Max: 255, Value: v.organization.Name},
		{Name: "display_name_format", Label: "Display names", Kind: inputText, Required: true, Max: 255, Value: v.organization.DisplayNameFormat,
			Help: "How users are called in payloads: {name}, {rank.name}, {rank.abbreviation}, {position.name}, {unit.name} and {status.name} stand for what the user has."},
		{Name: "time_zone", Label: "Time zone", Kind: inputText, Required: true, Max: 64, Value: v.organization.TimeZone, Placeholder: "Europe/Berlin",
			Help: "In which times are shown to those who have chosen none, such as Europe/Berlin or America/New_York."},
	})
	choice, err := s.store.Retention(v.Context(), v.actor.OrganizationID)
	if err != nil {
		return err
	}
	p.Kept = s.keptInputs(choice, f)
	p.Alerts = f.fill(alertInputs(v.organization))
	if p.Quotas, err = v.quotaRows(); err != nil {
		return err
	}
	user, err := s.store.Get(v.Context(), v.actor.OrganizationID, &personnel.User, v.actor.UserID)
	if err != nil {
		return err
	}
	view, err := s.store.View(v.Context(), v.actor.OrganizationID)
	if err != nil {
		return err
	}
	if text := f.Get("display_name_format"); text != "" {
		view.DisplayName = text
	}
	name, _ := user.Data(view).Get("display_name")
	p.Example = fmt.Sprint(name)
	return v.render(status, "settings.html", p)
}

func (s *server) saveSettings(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	fields := map[string]string{}
	for _, name := range []string{"name", "display_name_format", "time_zone"} {
		fields[name] = strings.TrimSpace(f.Get(name))
		if fields[name] == "" || utf8.RuneCountInString(fields[name]) > 255 {
			f.add(name, "This is required, and may have 255 characters.")
		}
	}
	if problem := checkTimeZone(fields["time_zone"]); problem != "" {
		f.add("time_zone", problem)
	}
	choice := keptChoice(f)
	days, err := strconv.Atoi(strings.TrimSpace(f.Get("disable_after_days")))
	withAlerts := f.Has("disable_after_days")
	if withAlerts && err != nil {
		f.add("disable_after_days", "This must be a whole number.")
	}
	if f.Failed() {
		return s.renderSettings(v, http.StatusUnprocessableEntity, f)
	}
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		if err := tx.SetRetention(v.actor.OrganizationID, choice); err != nil {
			return err
		}
		if withAlerts {
			if err := tx.SetAlerts(v.actor.OrganizationID, f.Get("alert_mail") != "", f.Get("alert_channel"), days); err != nil {
				return err
			}
		}
		return tx.SetOrganization(v.actor.OrganizationID, fields["name"], fields["display_name_format"], fields["time_zone"])
	})
	if f.take(err) {
		return s.renderSettings(v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	v.flash("success", "Saved.")
	return v.redirect("/settings")
}

// requireSecondFactor decides whether those need a second factor who may change the configuration.
func (s *server) requireSecondFactor(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	required := f.Get("required") == "1"
	err = s.store.Update(v.Context(), func(tx *store.Tx) error { return tx.SetSecondFactorRequired(v.actor.OrganizationID, required) })
	if err != nil {
		return err
	}
	if required {
		v.flash("success", "Whoever may change the configuration needs a second factor from now on.")
	} else {
		v.flash("success", "Everybody decides about a second factor for himself.")
	}
	return v.redirect("/settings#second-factor")
}

// holdEverything lets what the organization sends wait.
func (s *server) holdEverything(v *visit) error {
	err := s.store.Update(v.Context(), func(tx *store.Tx) error {
		_, err := tx.Hold(v.actor.OrganizationID)
		return err
	})
	if errors.Is(err, bugle.ErrConflict) {
		v.flash("info", "It is held already.")
		return v.redirect("/settings")
	}
	if err != nil {
		return err
	}
	v.flash("success", "Everything that is sent is held from now on.")
	return v.redirect("/settings")
}

// releaseHeld ends the hold, in the way that was chosen.
func (s *server) releaseHeld(v *visit) error {
	f, err := v.form()
	if err != nil {
		return err
	}
	how := bugle.Release(f.Get("do"))
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		_, err := tx.Release(v.actor.OrganizationID, how)
		return err
	})
	if errors.Is(err, bugle.ErrConflict) {
		v.flash("info", "It is not held any more, or being released already.")
		return v.redirect("/settings")
	}
	if err != nil {
		return err
	}
	if how == bugle.ReleaseDeliver {
		v.flash("success", "The hold is over: what was held is being sent.")
	} else {
		v.flash("success", "The hold ends as soon as what was held is cancelled.")
	}
	return v.redirect("/settings")
}

// alertInputs are how people are told of webhooks that fail.
func alertInputs(o *bugle.Organization) []input {
	var channels []option
	for _, c := range bugle.Channels {
		if c.Reach == bugle.Posted {
			channels = append(channels, option{Value: c.Name, Label: c.Label})
		}
	}
	mail := ""
	if o.AlertMail {
		mail = "1"
	}
	return []input{
		{Name: "alert_mail", Label: "Mail people who may see webhooks", Kind: inputSwitch, Value: mail, Help: "They get a notification here in any case. Mails need the channel Email to be set up."},
		{Name: "alert_channel", Label: "Post to a channel too", Kind: inputSelect, Blank: "None", Options: channels, Value: o.AlertChannel},
		{Name: "disable_after_days", Label: "Disable after days of failure", Kind: inputNumber, Required: true, Value: strconv.Itoa(o.DisableAfterDays),
			Help: "A webhook that has not delivered anything for so many days is disabled, a day after its people were told that it will be. 0: never."},
	}
}

// releaseSending lets servers send what they held.
func (s *server) releaseSending(v *visit) error {
	alone, err := v.isAlone()
	if err != nil {
		return err
	}
	if !alone {
		return fmt.Errorf("what other organizations hold is sent too, so only who runs the server can release it: %w", bugle.ErrForbidden)
	}
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		_, err := tx.ReleaseSending()
		return err
	})
	if err != nil {
		return err
	}
	s.o.Log.InfoContext(v.Context(), "sending released in the panel", "user", v.actor.UserID, "organization", v.actor.OrganizationID)
	v.flash("success", "Sending is released: what is pending leaves within seconds.")
	return v.redirect("/")
}

// isAlone reports whether there is no other organization than the visitor's, so that an admin of it decides for the whole server.
func (v *visit) isAlone() (bool, error) {
	organizations, err := v.server.store.Organizations(v.Context(), 2)
	return len(organizations) == 1, err
}

type targetsPage struct {
	frame
	Address  string
	Checked  bool
	Allowed  bool
	Reason   string
	Allow    []string
	Deny     []string
	Proxy    string // through which they are called; empty: none
	Metadata bool   // what is allowed holds for metadata services too
}

// lookupTimeout is how long looking up a name may take.
const lookupTimeout = 5 * time.Second

// showTargets explains which addresses may be called, and says it of one.
func (s *server) showTargets(v *visit) error {
	p := &targetsPage{frame: v.newFrame("Targets", "targets"), Address: strings.TrimSpace(v.URL.Query().Get("address"))}
	p.Lead, p.Narrow = "Which addresses webhooks may call.", true
	if s.o.Guard != nil {
		p.Allow, p.Deny = s.o.Guard.Entries()
		p.Metadata = s.o.Guard.PermitsMetadata()
		if proxy := s.o.Guard.Proxy(); proxy != nil {
			p.Proxy = proxy.String()
		}
	}
	if p.Address != "" && s.o.Guard != nil {
		host := p.Address
		if u, err := url.Parse(p.Address); err == nil && u.Hostname() != "" {
			host = u.Hostname()
		}
		ctx, cancel := context.WithTimeout(v.Context(), lookupTimeout)
		defer cancel()
		p.Checked = true
		if err := s.o.Guard.Check(ctx, host); err != nil {
			p.Reason = err.Error()
		} else {
			p.Allowed = true
		}
	}
	return v.render(http.StatusOK, "targets.html", p)
}
