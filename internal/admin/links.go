package admin

import (
	"context"
	"fmt"
	"strconv"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/dispatch"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// resourceLink is what a resource is called by its kind and id, "Rank Record 12", and the address of its page:
// empty if its kind has none. Without a kind the link is zero.
func resourceLink(kindName string, id int64) link {
	if kindName == "" {
		return link{}
	}
	k := personnel.ByName(kindName)
	if k == nil {
		return link{Text: fmt.Sprintf("%s %d", title(kindName), id)}
	}
	l := link{Text: fmt.Sprintf("%s %d", k.Class, id)}
	if k.Path != "" {
		l.URL = fmt.Sprintf("/%s/%d", k.Path, id)
	}
	return l
}

// resource is resourceLink, without the address if the visitor may not see such resources.
func (v *visit) resource(kindName string, id int64) link {
	l := resourceLink(kindName, id)
	if k := personnel.ByName(kindName); k != nil && !v.Can("view_"+permissionName(k)) {
		l.URL = ""
	}
	return l
}

// about is the link to the resource of an event, with what it is about in words, "Rank Record 12: Jane Roe →
// Sergeant", for those who may see events.
func (v *visit) about(e *bugle.Event) link {
	l := v.resource(e.ResourceKind, e.ResourceID)
	if l.Text != "" && v.Can("view_event_log") {
		l.Text = dispatch.EventLabel(e)
	}
	return l
}

// guarded is a link whose address only those see who have the permission.
func (v *visit) guarded(permission, url, text string) link {
	if !v.Can(permission) {
		url = ""
	}
	return link{url, text}
}

// userLinks are the links to users by their ids, with their names as far as they are still there.
func (v *visit) userLinks(ctx context.Context, ids []int64) (map[int64]link, error) {
	links := map[int64]link{}
	wanted := value.NewArray(len(ids))
	for _, id := range ids {
		if _, seen := links[id]; id != 0 && !seen {
			links[id] = link{Text: "User " + strconv.FormatInt(id, 10)}
			wanted.Append(id)
		}
	}
	if len(links) == 0 {
		return links, nil
	}
	users, err := v.usersBy(ctx, "id", "in", wanted, len(links))
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		links[u.ID()] = v.guarded("view_user", fmt.Sprintf("/users/%d", u.ID()), u.Text("name"))
	}
	return links, nil
}

// usersBy finds users by one of their fields.
func (v *visit) usersBy(ctx context.Context, field, operator string, wanted any, limit int) ([]*personnel.Resource, error) {
	filters := value.List(value.Map("field", field, "operator", operator, "value", wanted))
	search, err := personnel.ReadSearch(&personnel.User, nil, value.Map("filters", filters), func(string) bool { return false })
	if err != nil {
		return nil, err
	}
	page, err := v.server.store.Search(ctx, v.actor.OrganizationID, search, store.PageRequest{Number: 1, Limit: limit, CountTo: -1})
	return page.Items, err
}
