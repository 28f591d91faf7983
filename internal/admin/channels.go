package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// channels adds the pages of the ways that messages take.
func (s *server) channels() {
	s.page("GET /channels", "view_any_channel", s.listChannels)
	s.page("GET /channels/{name}/edit", "update_channel", s.showChannel)
	s.page("POST /channels/{name}", "update_channel", s.saveChannel)
	s.page("POST /channels/{name}/clear", "update_channel", s.clearChannel)
	s.page("POST /channels/{name}/test", "update_channel", s.testChannel)
}

type channelsPage struct {
	frame
	Channels []channelRow
}

type channelRow struct {
	*bugle.Channel
	Lane    *bugle.Webhook // nil: it stays within the server
	Missing []string
}

func (s *server) listChannels(v *visit) error {
	p := &channelsPage{frame: v.newFrame("Channels", "channels")}
	p.Lead = "The ways that messages take to people."
	for i := range bugle.Channels {
		row := channelRow{Channel: &bugle.Channels[i]}
		if row.Outside() {
			lane, err := s.store.Lane(v.Context(), v.actor.OrganizationID, row.Channel)
			if err != nil {
				return err
			}
			row.Lane, row.Missing = lane, row.Channel.Missing(lane.Settings)
		}
		p.Channels = append(p.Channels, row)
	}
	return v.render(http.StatusOK, "channels.html", p)
}

// channel returns the channel of the path, which must lead outside.
func (v *visit) channel() (*bugle.Channel, error) {
	c := bugle.ChannelByName(v.PathValue("name"))
	if c == nil || !c.Outside() {
		return nil, bugle.ErrNotFound
	}
	return c, nil
}

type channelPage struct {
	frame
	Channel *bugle.Channel
	Form    *form
	Inputs  []input
	Ready   bool
}

// settingLabel is what pages call a setting: "API URL".
func settingLabel(name string) string {
	words := strings.Split(name, "_")
	for i, word := range words {
		switch word {
		case "api", "url", "id", "sid":
			words[i] = strings.ToUpper(word)
		}
	}
	return title(strings.Join(words, " "))
}

func channelInputs(c *bugle.Channel, lane *bugle.Webhook) []input {
	shown := lane.MaskedSettings()
	var inputs []input
	for i := range c.Settings {
		setting := &c.Settings[i]
		in := input{Name: setting.Name, Label: settingLabel(setting.Name), Kind: inputText, Help: strings.ReplaceAll(setting.About, "`", ""), Required: setting.Required}
		if stored, ok := shown.Get(setting.Name); ok && stored != nil {
			in.Value = fmt.Sprint(stored)
		}
		switch {
		case len(setting.Options) > 0:
			in.Kind = inputSelect
			for _, o := range setting.Options {
				in.Options = append(in.Options, option{Value: o, Label: o})
			}
		case setting.Type == bugle.PortSetting:
			in.Kind = inputNumber
		case setting.Secret:
			in.AutoFill = "off"
			if in.Value != "" {
				in.Help = strings.TrimSpace(in.Help + " Left as it is, it stays.")
			}
		}
		inputs = append(inputs, in)
	}
	return inputs
}

func (s *server) showChannel(v *visit) error {
	c, err := v.channel()
	if err != nil {
		return err
	}
	return s.renderChannel(v, http.StatusOK, newForm(nil), c)
}

func (s *server) renderChannel(v *visit, status int, f *form, c *bugle.Channel) error {
	lane, err := s.store.Lane(v.Context(), v.actor.OrganizationID, c)
	if err != nil {
		return err
	}
	p := &channelPage{frame: v.newFrame(c.Label, "channels"), Channel: c, Form: f, Inputs: f.fill(channelInputs(c, lane)), Ready: c.Missing(lane.Settings) == nil}
	p.Lead, p.Back, p.Narrow = c.About, &link{"/channels", "Channels"}, true
	return v.render(status, "channel.html", p)
}

func (s *server) saveChannel(v *visit) error {
	c, err := v.channel()
	if err != nil {
		return err
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	settings := value.NewArray(len(c.Settings))
	for i := range c.Settings {
		name := c.Settings[i].Name
		if text := strings.TrimSpace(f.Get(name)); text == "" {
			settings.Set(name, nil)
		} else if c.Settings[i].Type == bugle.PortSetting {
			settings.Set(name, numberOrText(text))
		} else {
			settings.Set(name, text)
		}
	}
	err = s.changeChannel(v, c, func(lane *bugle.Webhook) error {
		if err := lane.SetChannel(value.Map("settings", settings)); err != nil {
			return err
		}
		return s.o.Guard.CheckTargets(lane)
	})
	var invalid *bugle.InvalidError
	if errors.As(err, &invalid) {
		for _, problem := range invalid.Problems {
			f.add(strings.TrimPrefix(problem.Field, "settings."), problem.Reason)
		}
		return s.renderChannel(v, http.StatusUnprocessableEntity, f, c)
	}
	if err != nil {
		return err
	}
	v.flash("success", c.Label+" is saved.")
	return v.redirect("/channels/" + c.Name + "/edit")
}

func (s *server) changeChannel(v *visit, c *bugle.Channel, change func(lane *bugle.Webhook) error) error {
	return s.store.Update(v.Context(), func(tx *store.Tx) error {
		lane, err := tx.Lane(v.actor.OrganizationID, c)
		if err != nil {
			return err
		}
		if err := change(lane); err != nil {
			return err
		}
		return tx.SaveLane(lane)
	})
}

func (s *server) clearChannel(v *visit) error {
	c, err := v.channel()
	if err != nil {
		return err
	}
	if err := s.changeChannel(v, c, func(lane *bugle.Webhook) error { lane.ClearChannel(); return nil }); err != nil {
		return err
	}
	v.flash("success", "The settings of "+c.Label+" are forgotten.")
	return v.redirect("/channels")
}

// testChannel sends a message by the channel: to the visitor himself, if it gets to single people.
func (s *server) testChannel(v *visit) error {
	c, err := v.channel()
	if err != nil {
		return err
	}
	var id int64
	err = s.store.Update(v.Context(), func(tx *store.Tx) error {
		var user *personnel.Resource
		if c.Reach == bugle.ToEach {
			var err error
			if user, err = tx.Get(v.actor.OrganizationID, &personnel.User, v.actor.UserID); err != nil {
				return err
			}
		}
		var err error
		id, err = tx.TestLane(v.actor, c, "<p>This is a test of the channel "+c.Label+".</p>", user)
		return err
	})
	if err != nil {
		return err
	}
	v.flash("info", "The test is on its way. What came of it is here.")
	return v.redirect(fmt.Sprintf("/webhook-logs/%d", id))
}

// notifications adds the page of what has come to the visitor.
func (s *server) notifications() {
	s.page("GET /notifications", "", s.listNotifications)
	s.page("POST /notifications/read", "", s.readNotifications)
}

type notificationsPage struct {
	frame
	Items []*bugle.Notification
	Pager pager
}

func (s *server) listNotifications(v *visit) error {
	page, err := s.store.Notifications(v.Context(), v.actor.OrganizationID, v.actor.UserID, v.paging())
	if err != nil {
		return err
	}
	p := &notificationsPage{frame: v.newFrame("Notifications", "notifications"), Items: page.Items, Pager: pagerOf(v, page)}
	p.Lead = "Messages to you."
	return v.render(http.StatusOK, "notifications.html", p)
}

func (s *server) readNotifications(v *visit) error {
	err := s.store.Update(v.Context(), func(tx *store.Tx) error {
		_, err := tx.ReadNotifications(v.actor.OrganizationID, v.actor.UserID)
		return err
	})
	if err != nil {
		return err
	}
	return v.redirect("/notifications")
}

// Unread is how many notifications the visitor has not read, up to some.
func (f *frame) Unread() int {
	if f.account == nil {
		return 0
	}
	n, err := f.server.store.Unread(f.Context(), f.actor.OrganizationID, f.actor.UserID)
	if err != nil {
		f.server.o.Log.ErrorContext(f.Context(), "counting notifications failed", "error", err)
	}
	return n
}
