package api_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/api"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// addRanks adds n ranks, named R1 to Rn, which are listed in this order.
func addRanks(s *server, n int) {
	s.Helper()
	ranks := value.NewArray(n)
	for i := range n {
		ranks.Append(value.Map("name", "R"+strconv.Itoa(i+1)))
	}
	s.want(200, "POST", "ranks/batch", value.Map("resources", ranks))
}

func names(a *answer) string {
	var all []string
	data, _ := a.at("data").(*value.Array)
	for _, item := range data.All() {
		name, _ := at(item, "name").(string)
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

// wantPage checks links and meta against each other and what the page should be. A from of 0 is an
// empty page.
func wantPage(t *testing.T, a *answer, base string, number, limit, total, from, to int) {
	t.Helper()
	last := max((total+limit-1)/limit, 1)
	orNull := func(ok bool, v any) any {
		if ok {
			return v
		}
		return nil
	}
	at := func(page int) any { return base + "?page=" + strconv.Itoa(page) }
	body := a.body.(*value.Array)
	wantEqual(t, "keys", strings.Join(body.Keys(), " "), "data links meta")
	wantEqual(t, "links", a.at("links"), value.Map("first", at(1), "last", at(last),
		"prev", orNull(number > 1, at(number-1)), "next", orNull(number < last, at(number+1))))
	meta := a.at("meta").(*value.Array).Clone()
	links := meta.Clone()
	pager, _ := links.Get("links")
	meta.Set("links", nil)
	wantEqual(t, "meta", meta, value.Map("current_page", number, "from", orNull(from > 0, int64(from)), "last_page", last, "links", nil,
		"path", base, "per_page", limit, "to", orNull(from > 0, int64(to)), "total", total))
	list := pager.(*value.Array)
	first, _ := list.Get("0")
	wantEqual(t, "first entry of the pager", first, value.Map("url", orNull(number > 1, at(number-1)), "label", "&laquo; Previous",
		"page", orNull(number > 1, int64(number-1)), "active", false))
	end, _ := list.Get(strconv.Itoa(list.Len() - 1))
	wantEqual(t, "last entry of the pager", end, value.Map("url", orNull(number < last, at(number+1)), "label", "Next &raquo;",
		"page", orNull(number < last, int64(number+1)), "active", false))
}

func TestPages(t *testing.T) {
	s := newServer(t)
	base := s.url + "/v2/ranks"
	page := func(query string) *answer { return s.want(200, "GET", "ranks"+query, nil) }

	wantPage(t, page(""), base, 1, 15, 0, 0, 0)
	wantPage(t, page("?page=3"), base, 3, 15, 0, 0, 0)

	addRanks(s, 42)
	for _, test := range []struct {
		query                   string
		number, limit, from, to int
		first                   string
	}{
		{"", 1, 15, 1, 15, "R1"},
		{"?page=1", 1, 15, 1, 15, "R1"},
		{"?page=2", 2, 15, 16, 30, "R16"},
		{"?page=3", 3, 15, 31, 42, "R31"},
		{"?page=4", 4, 15, 0, 0, ""},
		{"?page=99", 99, 15, 0, 0, ""},
		{"?page=0", 1, 15, 1, 15, "R1"},
		{"?page=-1", 1, 15, 1, 15, "R1"},
		{"?page=abc", 1, 15, 1, 15, "R1"},
		{"?page=", 1, 15, 1, 15, "R1"},
		{"?page[]=2", 1, 15, 1, 15, "R1"},
		{"?page=99999999999999999999", 1, 15, 1, 15, "R1"},
		{"?limit=5", 1, 5, 1, 5, "R1"},
		{"?limit=5&page=9", 9, 5, 41, 42, "R41"},
		{"?limit=1&page=42", 42, 1, 42, 42, "R42"},
		{"?limit=42", 1, 42, 1, 42, "R1"},
		{"?limit=21&page=2", 2, 21, 22, 42, "R22"},
		{"?limit=0", 1, 15, 1, 15, "R1"},
		{"?limit=-1", 1, 15, 1, 15, "R1"},
		{"?limit=abc", 1, 15, 1, 15, "R1"},
		{"?limit=1000", 1, 1000, 1, 42, "R1"},
		{"?limit=100000", 1, 1000, 1, 42, "R1"},
		{"?include=image&with_trashed=true&limit=20&page=2", 2, 20, 21, 40, "R21"},
	} {
		t.Run(test.query, func(t *testing.T) {
			a := page(test.query)
			wantPage(t, a, base, test.number, test.limit, 42, test.from, test.to)
			first, _, _ := strings.Cut(names(a), " ")
			wantEqual(t, "first rank", first, test.first)
			count := 0
			if test.from > 0 {
				count = test.to - test.from + 1
			}
			wantEqual(t, "number of items", len(a.items(t)), count)
		})
	}
}

// The pager shows the pages around the first, the current and the last one.
func TestPages_pager(t *testing.T) {
	s := newServer(t)
	added := 0
	for _, test := range []struct {
		last, current int
		want          string
	}{
		{1, 1, "[1]"},
		{2, 2, "1 [2]"},
		{13, 1, "[1] 2 3 4 5 6 7 8 9 10 11 12 13"},
		{13, 20, "1 2 3 4 5 6 7 8 9 10 11 12 13"},
		{14, 1, "[1] 2 3 4 5 6 7 8 9 10 ... 13 14"},
		{14, 7, "1 2 3 4 5 6 [7] 8 9 10 ... 13 14"},
		{14, 8, "1 2 ... 5 6 7 [8] 9 10 11 12 13 14"},
		{14, 14, "1 2 ... 5 6 7 8 9 10 11 12 13 [14]"},
		{14, 99, "1 2 ... 5 6 7 8 9 10 11 12 13 14"},
		{15, 8, "1 2 ... 5 6 7 [8] 9 10 11 ... 14 15"},
		{15, 9, "1 2 ... 6 7 8 [9] 10 11 12 13 14 15"},
		{30, 7, "1 2 3 4 5 6 [7] 8 9 10 ... 29 30"},
		{30, 8, "1 2 ... 5 6 7 [8] 9 10 11 ... 29 30"},
		{30, 23, "1 2 ... 20 21 22 [23] 24 25 26 ... 29 30"},
		{30, 24, "1 2 ... 21 22 23 [24] 25 26 27 28 29 30"},
	} {
		addRanks(s, test.last-added)
		added = test.last
		pager, _ := s.want(200, "GET", fmt.Sprintf("ranks?limit=1&page=%d", test.current), nil).at("meta", "links").(*value.Array)
		var got []string
		for key, link := range pager.All() {
			label, _ := at(link, "label").(string)
			switch {
			case key.Int() == 0 || key.Int() == int64(pager.Len()-1):
				continue
			case label == "...":
				wantEqual(t, "a gap", link, value.Map("url", nil, "label", "...", "page", nil, "active", false))
			default:
				wantEqual(t, "url of page "+label, at(link, "url"), s.url+"/v2/ranks?page="+label)
				page, _ := at(link, "page").(int64)
				wantEqual(t, "page", strconv.FormatInt(page, 10), label)
			}
			if at(link, "active") == true {
				label = "[" + label + "]"
			}
			got = append(got, label)
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("page %d of %d: pager is %s, want %s", test.current, test.last, got, test.want)
		}
	}
}

// Links lead back to the server as it was asked, or to its public address.
func TestPages_addresses(t *testing.T) {
	s := newServer(t)
	wantEqual(t, "path under v1", s.send("GET", "/v1/users?page=1", nil, "Authorization", "Bearer "+s.key).at("meta", "path"), s.url+"/v1/users")
	wantEqual(t, "path by another host name", s.send("GET", "/v2/users", nil, "Authorization", "Bearer "+s.key, "Host", "api.example.com").at("meta", "path"),
		"http://api.example.com/v2/users")
	for _, path := range []string{"webhooks", "deliveries"} {
		wantEqual(t, "path", s.want(200, "GET", path+"?limit=3", nil).at("meta", "path"), s.url+"/v2/"+path)
	}
	s = newServer(t, func(o *api.Options) { o.PublicURL = "https://bugle.example.com" })
	wantEqual(t, "path with a public address", s.want(200, "GET", "users", nil).at("meta", "path"), "https://bugle.example.com/v2/users")
}

func TestLists_order(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, k *personnel.Kind, m *maker) {
		var ids []int64
		for i := range 3 {
			fields := m.required(k)
			// The second is the oldest, and comes first where order decides.
			fields.Set("created_at", []any{"2026-01-02", "2026-01-01", "2026-01-03"}[i])
			if k.Field("order") != nil {
				fields.Set("order", []any{int64(20), int64(10), nil}[i])
			}
			ids = append(ids, id(s.want(201, "POST", k.Path, fields).at("data")))
		}
		want := []int64{ids[0], ids[1], ids[2]}
		switch k.Order {
		case personnel.Newest:
			want = []int64{ids[2], ids[0], ids[1]}
		case personnel.BySorted:
			want = []int64{ids[2], ids[1], ids[0]} // null is the default, 0
		}
		var got []int64
		for _, item := range s.want(200, "GET", k.Path, nil).items(t) {
			if id(item) >= ids[0] {
				got = append(got, id(item))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("order is %v, want %v", got, want)
		}
	})
}

// Without an order a sortable resource comes last; one that was sent is kept.
func TestLists_orderCountsUp(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct {
		sent []any
		want int
	}{{nil, 1}, {nil, 2}, {[]any{"order", 10}, 10}, {nil, 11}, {[]any{"order", 5}, 5}, {nil, 12}} {
		wantEqual(t, "order", at(s.create("ranks", append([]any{"name", "Rank"}, test.sent...)...), "order"), test.want)
	}
	wantEqual(t, "order in another organization", at(s.another().create("ranks", "name", "Rank"), "order"), 1)
}

func TestLists_leaveHiddenOut(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"units", "groups", "slots"} {
		s.create(path, "name", "Seen")
		hidden := strconv.FormatInt(id(s.create(path, "name", "Hidden", "hidden", true)), 10)
		a := s.want(200, "GET", path, nil)
		wantEqual(t, path, names(a), "Seen")
		wantEqual(t, "total", a.at("meta", "total"), 1)
		wantEqual(t, "name", s.want(200, "GET", path+"/"+hidden, nil).at("data", "name"), "Hidden")
		s.want(200, "PUT", path+"/"+hidden, `{"hidden":false}`)
		wantEqual(t, path, names(s.want(200, "GET", path, nil)), "Seen Hidden")
	}
	unit := id(s.create("units", "name", "Secret", "hidden", true))
	wantEqual(t, "a user's hidden unit", at(s.create("users", "name", "Jane", "email", "jane@example.com", "unit_id", unit), "unit", "name"), "Secret")
}

// Every query is answered, whatever it says.
func FuzzListQuery(f *testing.F) {
	s := newServer(f)
	addRanks(s, 3)
	s.want(202, "POST", fmt.Sprintf("webhooks/%d/test", s.watch().ID), nil)
	for _, query := range []string{"", "page=2&limit=1", "page=-1", "limit=1e9", "page[]=1", "%zz", "a;b", "&&=", "apikey=x", "include=a.*,b",
		"webhook_id=1&state=pending&event=webhook.test", "since=2026-01-01&until=2026-13-01", "status_code=99999999999999999999", "request_id=\x00\xff",
		"since=0001-01-01T00:00:00Z&until=9999-12-31", "page=2147483647&limit=1000"} {
		f.Add(query)
	}
	limited := s.with(s.addKey(bugle.APIKey{Scopes: []string{"view:rank", "view:delivery"}}))
	f.Fuzz(func(t *testing.T, query string) {
		s := limited.in(t)
		query = sendable(query)
		a := s.want(200, "GET", "ranks?"+query, nil)
		if total := a.at("meta", "total"); total != int64(3) {
			t.Errorf("total is %v, want 3", total)
		}
		if a := s.do("GET", "deliveries?"+query, nil); a.status != 200 && a.status != 422 {
			t.Errorf("status %d for deliveries, want 200 or 422\n%s", a.status, a.text)
		}
	})
}
