package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// trySearch searches with a body of JSON, which may be refused.
func trySearch(t testing.TB, s *store.Store, organizationID int64, k *personnel.Kind, body string, p store.PageRequest) (page store.Page[*personnel.Resource], err error) {
	t.Helper()
	decoded, err := value.Decode([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	keys, err := s.CustomKeys(context.Background(), organizationID)
	if err != nil {
		t.Fatal(err)
	}
	search, err := personnel.ReadSearch(k, nil, decoded.(*value.Array), func(key string) bool { return keys[key] })
	if err != nil {
		return page, err
	}
	if page, err = s.Search(context.Background(), organizationID, search, p); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return page, nil
}

// found returns the ids of what a search finds, in order: "1 2 3".
func found(t testing.TB, s *store.Store, organizationID int64, k *personnel.Kind, body string) string {
	t.Helper()
	page, err := trySearch(t, s, organizationID, k, body, store.PageRequest{Number: 1, Limit: 100})
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if page.Total != len(page.Items) {
		t.Errorf("%s: total %d, %d items", body, page.Total, len(page.Items))
	}
	return listed(page.Items)
}

func listed(list []*personnel.Resource) string {
	var all []string
	for _, r := range list {
		all = append(all, strconv.FormatInt(r.ID(), 10))
	}
	return strings.Join(all, " ")
}

func wantFound(t testing.TB, s *store.Store, k *personnel.Kind, body, want string) {
	t.Helper()
	if got := found(t, s, 1, k, body); got != want {
		t.Errorf("%s %s finds %q, want %q", k.Path, body, got, want)
	}
}

// A roster is users 1 to 5 and messages 1 to 4 to search in.
//
//	user  name        rank      unit  approved  created           points  drives
//	1     Ann Ö%_\    1 Private -     yes       01-13 23:59:59    10      ["car","truck"]
//	2     Bob         2 Captain 1     no        01-14 00:00:00    20      "car"
//	3     Cid         1 Private 2     yes       01-14 23:59:59    null    []
//	4     Dee ann     -         -     yes       01-15 00:00:00    -       -
//	5     Bob         2 Captain 2     no        null              20.5    [null,1]
func roster(t testing.TB, s *store.Store) {
	t.Helper()
	for _, name := range []string{"Private", "Captain"} {
		storetest.Create(t, s, &personnel.Rank, "name", name, "abbreviation", name[:1], "created_at", "2026-01-1"+strconv.Itoa(len(name)-4))
	}
	storetest.Create(t, s, &personnel.Unit, "name", "1st Squad", "description", "Alpha")
	storetest.Create(t, s, &personnel.Unit, "name", "2nd Squad")
	storetest.Create(t, s, &personnel.CustomField, "name", "Points", "key", "points", "type", "number")
	storetest.Create(t, s, &personnel.CustomField, "name", "Drives", "key", "drives", "type", "select")
	for i, name := range []string{`Ann Ö%_\`, "Bob", "Cid", "Dee ann", "Bob"} {
		storetest.Create(t, s, &personnel.User, "name", name, "email", fmt.Sprintf("user%d@example.com", i+1), "notes", []any{"A", nil, "c", "B", nil}[i],
			"rank_id", []any{1, 2, 1, nil, 2}[i], "unit_id", []any{nil, 1, 2, nil, 2}[i], "approved", i != 1 && i != 4, "last_seen_at", []any{"2026-01-10", nil, "2026-01-11", nil, "2026-01-12"}[i])
		exec(t, s, "UPDATE users SET created_at = $1, data = $2 WHERE id = $3",
			[]any{"2026-01-13 23:59:59", "2026-01-14 00:00:00", "2026-01-14 23:59:59", "2026-01-15 00:00:00", nil}[i],
			[]any{`{"points":10,"drives":["car","truck"]}`, `{"points":20,"drives":"car"}`, `{"points":null,"drives":[]}`, nil, `{"points":20.5,"drives":[null,1],"secret":"x"}`}[i], i+1)
	}
	storetest.Create(t, s, &personnel.Message, "message", "one", "channels", value.List("mail", "sms"), "recipients", value.List(1, 2))
	storetest.Create(t, s, &personnel.Message, "message", "two", "channels", value.List("mail"), "recipients", value.List(2))
	storetest.Create(t, s, &personnel.Message, "message", "three", "channels", value.List("sms"))
	storetest.Create(t, s, &personnel.Message, "message", "four", "channels", value.List("slack", "mail"), "recipients", value.List())
}

// eachRoster is storetest.Each with a roster.
func eachRoster(t *testing.T, test func(t *testing.T, s *store.Store)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		roster(t, s)
		test(t, s)
	})
}

func TestSearch_operators(t *testing.T) {
	eachRoster(t, func(t *testing.T, s *store.Store) {
		for _, test := range []struct {
			kind                   *personnel.Kind
			field, operator, value string
			want                   string
		}{
			{&personnel.User, "name", "=", `"Bob"`, "2 5"},
			{&personnel.User, "name", "!=", `"Bob"`, "1 3 4"},
			{&personnel.User, "name", "<", `"Bob"`, "1"},
			{&personnel.User, "name", "<=", `"Bob"`, "1 2 5"},
			{&personnel.User, "name", ">", `"Bob"`, "3 4"},
			{&personnel.User, "name", ">=", `"Bob"`, "2 3 4 5"},
			{&personnel.User, "name", "in", `["Bob","Cid"]`, "2 3 5"},
			{&personnel.User, "name", "in", `[]`, ""},
			{&personnel.User, "name", "not in", `["Bob","Cid"]`, "1 4"},
			{&personnel.User, "name", "not in", `[]`, "1 2 3 4 5"},
			{&personnel.User, "name", "in", `{"a":"Bob"}`, "2 5"},
			{&personnel.User, "name", "in", `["Bob' OR '1'='1"]`, ""},
			{&personnel.User, "notes", "=", `null`, "2 5"},
			{&personnel.User, "notes", "!=", `null`, "1 3 4"},
			{&personnel.User, "notes", "!=", `"A"`, "3 4"},
			{&personnel.User, "notes", "<", `null`, ""},
			{&personnel.User, "notes", ">=", `null`, ""},
			{&personnel.User, "notes", "in", `["A",null]`, "1 2 5"},
			{&personnel.User, "notes", "in", `[null]`, "2 5"},
			{&personnel.User, "notes", "not in", `["A"]`, "3 4"},
			{&personnel.User, "notes", "not in", `["A",null]`, "3 4"},
			{&personnel.User, "notes", "not in", `[null]`, "1 3 4"},

			{&personnel.User, "name", "like", `"ann%"`, "1"},
			{&personnel.User, "name", "like", `"%ANN%"`, "1 4"},
			{&personnel.User, "name", "like", `"_ob"`, "2 5"},
			{&personnel.User, "name", "like", `"ann"`, ""},
			{&personnel.User, "name", "like", `""`, ""},
			{&personnel.User, "name", "like", `"%"`, "1 2 3 4 5"},
			{&personnel.User, "name", "like", `"%\\%%"`, "1"},
			{&personnel.User, "name", "like", `"%\\\\"`, "1"},
			{&personnel.User, "name", "ilike", `"%ANN%"`, "1 4"},
			{&personnel.User, "name", "not like", `"%ANN%"`, "2 3 5"},
			{&personnel.User, "name", "not ilike", `"b%"`, "1 3 4"},
			{&personnel.User, "notes", "not like", `"a"`, "3 4"},
			{&personnel.User, "id", "like", `"%3%"`, "3"},
			{&personnel.User, "created_at", "like", `"2026-01-14%"`, "2 3"},
			{&personnel.User, "approved", "like", `"1"`, "1 3 4"},

			{&personnel.User, "id", "=", `3`, "3"},
			{&personnel.User, "id", "!=", `"3"`, "1 2 4 5"},
			{&personnel.User, "id", "<", `3`, "1 2"},
			{&personnel.User, "id", "<=", `3`, "1 2 3"},
			{&personnel.User, "id", ">", `3`, "4 5"},
			{&personnel.User, "id", ">=", `3`, "3 4 5"},
			{&personnel.User, "id", "in", `[1,"5",9]`, "1 5"},
			{&personnel.User, "rank_id", "=", `2`, "2 5"},
			{&personnel.User, "rank_id", "!=", `2`, "1 3"},
			{&personnel.User, "rank_id", "=", `null`, "4"},
			{&personnel.User, "rank_id", "in", `[1,null]`, "1 3 4"},
			{&personnel.User, "rank_id", "not in", `[1,null]`, "2 5"},
			{&personnel.Rank, "order", ">", `1`, "2"},

			{&personnel.User, "approved", "=", `true`, "1 3 4"},
			{&personnel.User, "approved", "=", `0`, "2 5"},
			{&personnel.User, "approved", "!=", `"1"`, "2 5"},
			{&personnel.User, "approved", "<", `true`, "2 5"},
			{&personnel.User, "approved", "in", `[true,null]`, "1 3 4"},
			{&personnel.User, "approved", "not in", `[false]`, "1 3 4"},
			{&personnel.User, "approved", "=", `null`, ""},

			{&personnel.User, "last_seen_at", "=", `"2026-01-11"`, "3"},
			{&personnel.User, "last_seen_at", ">=", `"2026-01-11T00:00:00Z"`, "3 5"},
			{&personnel.User, "last_seen_at", ">", `"2026-01-11T00:00:00+01:00"`, "3 5"},
			{&personnel.User, "last_seen_at", "<", `"2026-01-11"`, "1"},
			{&personnel.User, "last_seen_at", "!=", `"2026-01-11"`, "1 5"},
			{&personnel.User, "last_seen_at", "=", `null`, "2 4"},
			{&personnel.User, "last_seen_at", "in", `["2026-01-12",null]`, "2 4 5"},
			{&personnel.User, "last_seen_at", "not in", `["2026-01-12"]`, "1 3"},

			{&personnel.User, "points", "=", `20`, "2"},
			{&personnel.User, "points", "!=", `20`, "1 5"},
			{&personnel.User, "points", ">", `10`, "2 5"},
			{&personnel.User, "points", ">=", `10`, "1 2 5"},
			{&personnel.User, "points", "<", `20.5`, "1 2"},
			{&personnel.User, "points", "<=", `20.5`, "1 2 5"},
			{&personnel.User, "points", "=", `null`, "3 4"},
			{&personnel.User, "points", "!=", `null`, "1 2 5"},
			{&personnel.User, "points", "in", `[10,null]`, "1 3 4"},
			{&personnel.User, "points", "not in", `[10]`, "2 5"},
			{&personnel.User, "points", "like", `"20%"`, "2 5"},
			{&personnel.User, "points", "not like", `"20%"`, "1"},
			{&personnel.User, "drives", "=", `"car"`, "2"},
			{&personnel.User, "drives", "any in", `["car","bus"]`, "1 2"},
			{&personnel.User, "drives", "any in", `[null]`, "5"},
			{&personnel.User, "drives", "any in", `["bus",1]`, "5"},
			{&personnel.User, "drives", "all in", `["car","truck"]`, "1"},
			{&personnel.User, "drives", "all in", `[1,null]`, "5"},

			{&personnel.Message, "channels", "any in", `["sms"]`, "1 3"},
			{&personnel.Message, "channels", "any in", `["slack","sms","x"]`, "1 3 4"},
			{&personnel.Message, "channels", "any in", `[]`, ""},
			{&personnel.Message, "channels", "any in", `["mai"]`, ""},
			{&personnel.Message, "channels", "all in", `["sms","mail"]`, "1"},
			{&personnel.Message, "channels", "all in", `["mail"]`, "1 2 4"},
			{&personnel.Message, "channels", "all in", `[]`, "1 2 3 4"},
			{&personnel.Message, "channels", "like", `"%slack%"`, "4"},
			{&personnel.Message, "channels", "=", `"[\"mail\"]"`, "2"},
			{&personnel.Message, "channels->0", "=", `"mail"`, "1 2"},
			{&personnel.Message, "channels->0", "!=", `"mail"`, "3 4"},
			{&personnel.Message, "channels->1", "=", `null`, "2 3"},
			{&personnel.Message, "channels->0", "in", `["sms","slack"]`, "3 4"},
			{&personnel.Message, "channels->0", "like", `"S%"`, "3 4"},
			{&personnel.Message, "channels->0", "any in", `["sms"]`, "3"},
			{&personnel.Message, "channels->x", "=", `"mail"`, ""},
			{&personnel.Message, "recipients", "any in", `[2]`, "1 2"},
			{&personnel.Message, "recipients", "all in", `[2,1]`, "1"},
			{&personnel.Message, "recipients", "any in", `["2"]`, ""},
			{&personnel.Message, "recipients", "any in", `[null]`, ""},
			{&personnel.Message, "recipients", "=", `null`, "3"},
			{&personnel.Message, "recipients->0", ">", `1`, "2"},
		} {
			wantFound(t, s, test.kind, fmt.Sprintf(`{"filters":[{"field":%q,"operator":%q,"value":%s}],"sort":[{"field":"id"}]}`, test.field, test.operator, test.value), test.want)
		}
	})
}

// Any path into any JSON is found or not, whatever is there.
func TestSearch_jsonPaths(t *testing.T) {
	eachRoster(t, func(t *testing.T, s *store.Store) {
		for _, options := range []any{nil, "text", 5, true, value.List(1, "a"), value.Map("a", value.Map("b", value.List("x", nil)), "0", "zero", "a.b", "dot", "t", "text")} {
			storetest.Create(t, s, &personnel.CustomField, "name", "F", "key", fmt.Sprintf("f%d", count(t, s, "fields")), "type", "select", "options", options)
		}
		for _, test := range []struct{ field, operator, value, want string }{
			{"options->a->b->0", "=", `"x"`, "8"},
			{"options->a->b", "any in", `["x"]`, "8"},
			{"options->a->b", "all in", `["x",null]`, "8"},
			{"options->a->b->1", "=", `null`, "1 2 3 4 5 6 7 8"},
			{"options->a.b", "=", `"dot"`, "8"},
			{"options->t", "any in", `["text"]`, "8"},
			{"options->1", "=", `"a"`, "7"},
			{"options->4294967296", "=", `1`, "refused"},
			{"options", "any in", `["a"]`, "7"},
			{"options", "any in", `["text"]`, "4"},
			{"options->a'", "=", `"x"`, ""},
		} {
			body := fmt.Sprintf(`{"filters":[{"field":%q,"operator":%q,"value":%s}],"sort":[{"field":"id"}]}`, test.field, test.operator, test.value)
			if test.want == "refused" {
				_, err := trySearch(t, s, 1, &personnel.CustomField, body, store.PageRequest{Number: 1, Limit: 1})
				wantProblems(t, err, "filters.0.field")
				continue
			}
			wantFound(t, s, &personnel.CustomField, body, test.want)
		}
	})
}

// Midnight of created_at and updated_at is the whole day.
func TestSearch_days(t *testing.T) {
	eachRoster(t, func(t *testing.T, s *store.Store) {
		exec(t, s, "UPDATE users SET updated_at = created_at")
		for _, field := range []string{"created_at", "updated_at"} {
			for _, test := range []struct{ operator, value, want string }{
				{"=", `"2026-01-14"`, "2 3"},
				{"!=", `"2026-01-14"`, "1 4"},
				{"<", `"2026-01-14"`, "1"},
				{"<=", `"2026-01-14"`, "1 2 3"},
				{">", `"2026-01-14"`, "4"},
				{">=", `"2026-01-14"`, "2 3 4"},
				{"=", `"2026-01-14 00:00:00"`, "2 3"},
				{"=", `"2026-01-14T00:00:00.000000Z"`, "2 3"},
				{"=", `"2026-01-14T23:59:59Z"`, "3"},
				{"<=", `"2026-01-14T23:59:58Z"`, "1 2"},
				{">", `"2026-01-14T00:00:01Z"`, "3 4"},
				{"in", `["2026-01-14"]`, "2"},
				{"<=", `"9999-12-31"`, "1 2 3 4"},
				{"<", `"9999-12-31"`, "1 2 3 4"},
				{">", `"0001-01-01"`, "1 2 3 4"},
				{"=", `null`, "5"},
			} {
				wantFound(t, s, &personnel.User, fmt.Sprintf(`{"filters":[{"field":%q,"operator":%q,"value":%s}]}`, field, test.operator, test.value), test.want)
			}
		}
		wantFound(t, s, &personnel.User, `{"filters":[{"field":"rank.created_at","operator":"<=","value":"2026-01-13"}]}`, "1 2 3 5")
	})
}

// And binds tighter than or, as in SQL; the type joins a filter to the one before.
func TestSearch_andOr(t *testing.T) {
	eachRoster(t, func(t *testing.T, s *store.Store) {
		is := func(kind string, id int) string { return fmt.Sprintf(`{"type":%q,"field":"id","value":%d}`, kind, id) }
		const bob, approved = `"field":"name","value":"Bob"`, `"field":"approved","value":true`
		nested := func(kind string, filters ...string) string {
			return fmt.Sprintf(`{"type":%q,"nested":[%s]}`, kind, strings.Join(filters, ","))
		}
		for _, test := range []struct {
			filters []string
			want    string
		}{
			{[]string{is("and", 1), is("and", 2)}, ""},
			{[]string{is("or", 1), is("or", 2)}, "1 2"},
			{[]string{is("or", 1)}, "1"},
			{[]string{is("and", 1), is("or", 2), `{"type":"and",` + approved + `}`}, "1"},
			{[]string{is("and", 2), `{"type":"and",` + approved + `}`, is("or", 1)}, "1"},
			{[]string{is("and", 1), is("or", 2), `{"type":"and",` + bob + `}`, is("or", 5), `{"type":"and",` + bob + `}`}, "1 2 5"},
			{[]string{`{` + bob + `}`, `{` + approved + `}`}, ""},
			{[]string{`{` + approved + `}`, nested("and", is("and", 1), is("or", 2))}, "1"},
			{[]string{`{` + approved + `}`, nested("or", is("or", 1), is("or", 2))}, "1 2 3 4"},
			{[]string{nested("and", is("or", 1), is("or", 3)), `{` + approved + `}`}, "1 3"},
			{[]string{nested("or", is("or", 1), is("or", 2)), nested("and", is("or", 2), is("or", 3))}, "2"},
			{[]string{nested("or"), is("or", 2)}, "2"},
			{[]string{is("or", 2), nested("or"), `{` + approved + `}`}, ""},
		} {
			wantFound(t, s, &personnel.User, `{"filters":[`+strings.Join(test.filters, ",")+`]}`, test.want)
		}
		wantFound(t, s, &personnel.User, `{"filters":[`+is("or", 1)+`,`+is("or", 2)+`],"search":{"value":"bob"}}`, "2")
	})
}

// For each relation that leads to one resource, its fields find and sort those that refer to it.
func TestSearch_everyRelation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for _, k := range personnel.Kinds() {
			for _, rel := range k.Relations {
				other := personnel.ByName(rel.Kind)
				if rel.Via == "" || rel.Model || other.Path == "" || k.Field(rel.Via).Hidden {
					continue
				}
				id := anyOf(t, s, k)
				exec(t, s, "UPDATE "+k.Table+" SET "+rel.Via+" = $1 WHERE id = $2", anyOf(t, s, other), id)
				related := get(t, s, other, anyOf(t, s, other))
				if k.Hiding != nil {
					exec(t, s, "UPDATE "+k.Table+" SET "+k.Hiding.Field+" = "+boolean(!k.Hiding.When))
				}
				for _, f := range other.Fields {
					if f.Hidden {
						continue
					}
					v, err := value.JSON(related.Get(f.Name))
					if err != nil {
						t.Fatal(err)
					}
					column := rel.Name + "." + f.Name
					wantFound(t, s, k, `{"filters":[{"field":"id","value":`+strconv.FormatInt(id, 10)+`},{"field":"`+column+`","value":`+string(v)+`}],"sort":[{"field":"`+column+`"}]}`, strconv.FormatInt(id, 10))
					wantFound(t, s, k, `{"filters":[{"field":"id","value":`+strconv.FormatInt(id, 10)+`},{"field":"`+column+`","operator":"!=","value":`+string(v)+`}]}`, "")
				}
			}
		}
	})
}

func TestSearch_relations(t *testing.T) {
	eachRoster(t, func(t *testing.T, s *store.Store) {
		for _, test := range []struct{ field, operator, value, want string }{
			{"rank.name", "=", `"Private"`, "1 3"},
			{"rank.name", "!=", `"Private"`, "2 5"},
			{"rank.name", "like", `"%a%"`, "1 2 3 5"},
			{"rank.name", "not like", `"pri%"`, "2 5"},
			{"rank.name", "in", `["Captain","x"]`, "2 5"},
			{"rank.name", "not in", `[]`, "1 2 3 5"},
			{"rank.id", "<", `2`, "1 3"},
			{"unit.description", "=", `null`, "3 5"},
			{"unit.description", "!=", `null`, "2"},
			{"unit.description", "in", `["Alpha",null]`, "2 3 5"},
			{"unit.hidden", "=", `false`, "2 3 5"},
		} {
			wantFound(t, s, &personnel.User, fmt.Sprintf(`{"filters":[{"field":%q,"operator":%q,"value":%s}]}`, test.field, test.operator, test.value), test.want)
		}
		wantFound(t, s, &personnel.User, `{"filters":[{"field":"rank.name","value":"Private"},{"type":"or","nested":[{"field":"unit.name","value":"1st Squad"},{"type":"or","field":"id","value":4}]}]}`, "1 2 3 4")
	})
}

func TestSearch_sorts(t *testing.T) {
	eachRoster(t, func(t *testing.T, s *store.Store) {
		for _, test := range []struct{ sort, want string }{
			{``, "1 2 3 4 5"},
			{`{"field":"name"}`, "1 2 5 3 4"},
			{`{"field":"name","direction":"desc"}`, "4 3 2 5 1"},
			{`{"field":"id","direction":"desc"}`, "5 4 3 2 1"},
			{`{"field":"approved"},{"field":"name","direction":"desc"},{"field":"id","direction":"desc"}`, "5 2 4 3 1"},
			{`{"field":"rank.name","direction":"desc"},{"field":"name"}`, "1 3 2 5 4"},
			{`{"field":"unit.name","direction":"desc"},{"field":"rank.abbreviation"}`, "5 3 2 4 1"},
			{`{"field":"points","direction":"desc"}`, "5 2 1 3 4"},
			{`{"field":"name"},{"field":"name","direction":"desc"}`, "1 2 5 3 4"},
			{`{"field":"created_at","direction":"desc"}`, "4 3 2 1 5"},
		} {
			wantFound(t, s, &personnel.User, `{"sort":[`+test.sort+`]}`, test.want)
		}
		wantFound(t, s, &personnel.Message, `{"sort":[{"field":"channels->0","direction":"desc"},{"field":"message"}]}`, "3 4 1 2")
		wantFound(t, s, &personnel.Message, `{"filters":[{"field":"channels","operator":"any in","value":["mail"]}],"search":{"value":"o"},"sort":[{"field":"channels->1"}]}`, "2 4 1")
	})
}

func TestSearch_pagesDoNotOverlap(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for i := range 25 {
			storetest.Create(t, s, &personnel.Rank, "name", "Same", "order", i%2)
		}
		for _, sort := range []string{``, `{"field":"name"}`, `{"field":"name","direction":"desc"}`, `{"field":"order"},{"field":"created_at","direction":"desc"}`} {
			seen := map[int64]bool{}
			for number := 1; number <= 4; number++ {
				page, err := trySearch(t, s, 1, &personnel.Rank, `{"sort":[`+sort+`]}`, store.PageRequest{Number: number, Limit: 7})
				if err != nil {
					t.Fatal(err)
				}
				if want := min(7, 25-len(seen)); len(page.Items) != want || page.Total != 25 || page.Number != number || page.Limit != 7 {
					t.Errorf("page %d by %s has %d items of %d, want %d of 25", number, sort, len(page.Items), page.Total, want)
				}
				for _, r := range page.Items {
					if seen[r.ID()] {
						t.Errorf("rank %d is on two pages by %s", r.ID(), sort)
					}
					seen[r.ID()] = true
				}
			}
		}
	})
}

// A search value is found as it is, anywhere in what is shown, and only there.
func TestSearch_text(t *testing.T) {
	eachRoster(t, func(t *testing.T, s *store.Store) {
		exec(t, s, `UPDATE users SET password = 'hush', remember_token = 'hush', discord_private_channel_id = 'hush', phone_number = '100% a_b' WHERE id = 3`)
		for _, test := range []struct{ text, want string }{
			{"bob", "2 5"},
			{"BOB", "2 5"},
			{"ann", "1 4"},
			{"Ö", "1"},
			{"%", "1 3"},
			{"_", "1 3"},
			{`\`, "1"},
			{`%_\`, "1"},
			{`\\`, ""},
			{"%%", ""},
			{"0% a", "3"},
			{"b%b", ""},
			{"b_b", ""},
			{"user5@example", "5"},
			{"2026-01-15", "4"},
			{"hush", ""},
			{"truck", ""},
			{"secret", ""},
			{"Private", ""},
			{"' OR '1'='1", ""},
			{"", "1 2 3 4 5"},
		} {
			body, err := value.JSON(value.Map("search", value.Map("value", test.text), "filters", value.List(value.Map("field", "id", "operator", "<=", "value", 5))))
			if err != nil {
				t.Fatal(err)
			}
			wantFound(t, s, &personnel.User, string(body), test.want)
		}
	})
}

// Every shown text of every kind is found by a search value, and no hidden one is.
func TestSearch_textInEveryField(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for _, k := range personnel.Kinds() {
			id := anyOf(t, s, k)
			if k.Hiding != nil {
				exec(t, s, "UPDATE "+k.Table+" SET "+k.Hiding.Field+" = "+boolean(!k.Hiding.When))
			}
			if k.Custom {
				exec(t, s, "UPDATE "+k.Table+` SET data = '{"key":"Needle"}'`)
			}
			wantFound(t, s, k, `{"search":{"value":"needle"}}`, "")
			for _, f := range k.Fields {
				switch f.Type {
				case personnel.String, personnel.Text, personnel.Email, personnel.Choice, personnel.Photo, personnel.File:
				default:
					continue
				}
				before := query[*string](t, s, "SELECT "+`"`+f.Name+`"`+" FROM "+k.Table+" WHERE id = $1", id)[0]
				exec(t, s, "UPDATE "+k.Table+` SET "`+f.Name+`" = 'a needle!' WHERE id = $1`, id)
				want := strconv.FormatInt(id, 10)
				if f.Hidden {
					want = ""
				}
				if got := found(t, s, 1, k, `{"search":{"value":"A Needle"}}`); got != want {
					t.Errorf("the text in %s.%s finds %q, want %q", k.Name, f.Name, got, want)
				}
				exec(t, s, "UPDATE "+k.Table+` SET "`+f.Name+`" = $1 WHERE id = $2`, before, id)
			}
		}
	})
}

func TestSearch_scopes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for _, k := range []*personnel.Kind{&personnel.Unit, &personnel.Slot} {
			for i := range 4 {
				storetest.Create(t, s, k, "name", "N", "hidden", i%2 == 0)
			}
			wantFound(t, s, k, `{}`, "2 4")
			wantFound(t, s, k, `{"scopes":[{"name":"visible"}]}`, "2 4")
			wantFound(t, s, k, `{"scopes":[{"name":"hidden"}]}`, "1 3")
			wantFound(t, s, k, `{"scopes":[{"name":"hidden"}],"filters":[{"field":"id","value":3},{"type":"or","field":"id","value":4}]}`, "3")
			wantFound(t, s, k, `{"filters":[{"field":"id","value":1},{"type":"or","field":"id","value":2},{"type":"or","nested":[{"type":"or","field":"hidden","value":true}]}]}`, "2")
			wantFound(t, s, k, `{"filters":[{"field":"hidden","value":true}]}`, "")
			wantFound(t, s, k, `{"scopes":[{"name":"hidden"}],"search":{"value":"n"}}`, "1 3")
		}
	})
}

func TestSearch_emptyIsTheList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		for _, k := range made() {
			for range 3 {
				if _, err := create(s, storetest.Actor(), k, validFields(t, s, k)); err != nil {
					t.Fatal(err)
				}
			}
			if k.Hiding != nil {
				exec(t, s, "UPDATE "+k.Table+" SET "+k.Hiding.Field+" = (id % 2 = 0) = "+boolean(k.Hiding.When))
			}
			for _, p := range []store.PageRequest{{Number: 1, Limit: 100}, {Number: 2, Limit: 1}, {Number: 99, Limit: 2}} {
				list, err := s.List(t.Context(), 1, k, p)
				if err != nil {
					t.Fatal(err)
				}
				page, err := trySearch(t, s, 1, k, `{}`, p)
				if err != nil {
					t.Fatal(err)
				}
				if listed(page.Items) != listed(list.Items) || page.Total != list.Total {
					t.Errorf("page %+v of %s: search finds %q of %d, the list has %q of %d", p, k.Name, listed(page.Items), page.Total, listed(list.Items), list.Total)
				}
				for i, r := range page.Items {
					wantText(t, jsonText(t, render(t, s, r)), jsonText(t, render(t, s, list.Items[i])))
				}
			}
		}
	})
}

// everything are bodies that find any row of a kind, or would if something in them ended the
// condition that keeps organizations apart.
func everything(k *personnel.Kind) []string {
	bodies := []string{`{}`, `[]`,
		`{"filters":[{"field":"id","operator":">","value":0}]}`,
		`{"filters":[{"field":"id","value":0},{"type":"or","field":"id","operator":">","value":0}]}`,
		`{"filters":[{"type":"or","field":"id","operator":">","value":0},{"type":"or","field":"id","operator":"not in","value":[]}]}`,
		`{"filters":[{"type":"or","nested":[{"type":"or","field":"id","value":0},{"type":"or","field":"id","operator":">","value":0}]}]}`,
		`{"filters":[{"field":"id","value":0},{"type":"or","nested":[{"type":"or","field":"id","operator":"!=","value":0}]},{"type":"or","field":"id","operator":"not like","value":"x"}],"search":{"value":"e"}}`,
		`{"filters":[{"field":"id","value":0},{"type":"or","nested":[]},{"type":"or","field":"id","operator":"!=","value":null}],"sort":[{"field":"id"}]}`,
		`{"search":{"value":"2"}}`, `{"search":{"value":"e"}}`, `{"search":{"value":"%' OR 1=1 --"}}`, `{"search":{"value":"') OR (1=1"}}`,
		`{"filters":[{"field":"id","operator":"like","value":"%') OR (1=1"},{"type":"or","field":"id","operator":"in","value":[]},{"type":"or","field":"created_at","operator":">","value":"2000-01-01"}]}`,
	}
	if k.Hiding != nil {
		bodies = append(bodies, `{"scopes":[{"name":"`+k.Hiding.Hidden+`"}],"filters":[{"field":"id","value":0},{"type":"or","field":"id","operator":">","value":0}]}`,
			`{"scopes":[{"name":"`+k.Hiding.Visible+`"}],"search":{"value":"e"}}`)
	}
	for _, rel := range k.Relations {
		if rel.Via != "" && !rel.Model && personnel.ByName(rel.Kind).Path != "" {
			bodies = append(bodies, `{"filters":[{"field":"id","value":0},{"type":"or","field":"`+rel.Name+`.id","operator":">","value":0}],"sort":[{"field":"`+rel.Name+`.id","direction":"desc"}]}`,
				`{"filters":[{"type":"or","nested":[{"type":"or","field":"`+rel.Name+`.id","operator":"!=","value":null},{"type":"or","field":"id","operator":">","value":0}]}]}`)
		}
	}
	return bodies
}

// Nothing that a search says makes it find what another organization has.
func TestSearch_findsNothingOfOtherOrganizations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *clockwork.FakeClock) {
		other := addOrganization(t, s)
		own := map[string]string{}
		for _, k := range personnel.Kinds() {
			anyOf(t, s, k)
		}
		for _, k := range personnel.Kinds() {
			if k.Listed {
				continue // there is no search
			}
			for _, body := range everything(k) {
				if got := found(t, s, other.OrganizationID, k, body); got != "" {
					t.Errorf("%s %s finds %q of organization 1", k.Name, body, got)
				}
			}
		}
		for _, k := range []*personnel.Kind{&personnel.Unit, &personnel.Rank, &personnel.User, &personnel.Calendar} {
			own[k.Name] = strconv.FormatInt(createIn(t, s, other, k, "name", "Theirs", "email", "theirs@example.com", "color", "#123456").ID(), 10)
			for _, body := range everything(k) {
				if got := found(t, s, other.OrganizationID, k, body); got != own[k.Name] && got != "" {
					t.Errorf("%s %s finds %q, want at most %s", k.Name, body, got, own[k.Name])
				}
				if got := found(t, s, 1, k, body); slices.Contains(strings.Fields(got), own[k.Name]) {
					t.Errorf("%s %s finds %s of organization %d", k.Name, body, got, other.OrganizationID)
				}
			}
		}
	})
}

// A reference to a row of another organization, if there ever were one, tells nothing about that row.
func TestSearch_relationsStayInTheOrganization(t *testing.T) {
	eachRoster(t, func(t *testing.T, s *store.Store) {
		other := addOrganization(t, s)
		theirs := createIn(t, s, other, &personnel.User, "name", "Theirs", "email", "theirs@example.com").ID()
		own := createIn(t, s, other, &personnel.User, "name", "Another", "email", "another@example.com").ID()
		exec(t, s, "UPDATE users SET rank_id = 1 WHERE id = $1", theirs)
		exec(t, s, "UPDATE users SET rank_id = 2 WHERE id = $1", own)
		for _, filter := range []string{`"field":"rank.name","value":"Private"`, `"field":"rank.id","operator":">","value":0`, `"field":"rank.name","operator":"like","value":"%"`,
			`"field":"rank.description","value":null`, `"field":"rank.name","operator":"not in","value":[]`} {
			if got := found(t, s, other.OrganizationID, &personnel.User, `{"filters":[{`+filter+`}]}`); got != "" {
				t.Errorf("%s finds %q by a rank of another organization", filter, got)
			}
		}
		want := fmt.Sprintf("%d %d", theirs, own)
		if got := found(t, s, other.OrganizationID, &personnel.User, `{"sort":[{"field":"rank.name"}]}`); got != want {
			t.Errorf("sorted by a rank of another organization: %q, want %q", got, want)
		}
	})
}

// Only custom fields that the organization itself defines can be searched by.
func TestSearch_customFieldsOfTheOrganization(t *testing.T) {
	eachRoster(t, func(t *testing.T, s *store.Store) {
		other := addOrganization(t, s)
		createIn(t, s, other, &personnel.CustomField, "name", "Secret", "key", "secret", "type", "text")
		first := store.PageRequest{Number: 1, Limit: 10}
		for _, key := range []string{"secret", "points' OR 1=1 --", `points\"`, "data", "nothing", "Points"} {
			_, err := trySearch(t, s, 1, &personnel.User, `{"filters":[{"field":"`+key+`","value":"x"}],"sort":[{"field":"`+key+`"}]}`, first)
			wantProblems(t, err, "filters.0.field", "sort.0.field")
		}
		_, err := trySearch(t, s, other.OrganizationID, &personnel.User, `{"sort":[{"field":"points"}]}`, first)
		wantProblems(t, err, "sort.0.field")
		_, err = trySearch(t, s, 1, &personnel.Rank, `{"sort":[{"field":"points"}]}`, first)
		wantProblems(t, err, "sort.0.field")
		keys, err := s.CustomKeys(t.Context(), 1)
		if err != nil || len(keys) != 2 || !keys["points"] || !keys["drives"] {
			t.Errorf("custom keys are %v, %v", keys, err)
		}
	})
}

// SQL in any text of a search is a text like any other.
func TestSearch_injection(t *testing.T) {
	eachRoster(t, func(t *testing.T, s *store.Store) {
		before := query[string](t, s, "SELECT name || email FROM users ORDER BY id")
		for _, text := range []string{`' OR '1'='1`, `") OR 1=1 --`, `1); DROP TABLE users; --`, `$1`, `?`, `?1`, `:a`, `@a`, `'; UPDATE users SET name = 'x'; --`, `/*`, `\`, `\'`, `"`, "`", `%' ESCAPE 'x`, `[0]`, `json_extract(data,'$')`} {
			for _, place := range []string{
				`{"filters":[{"field":$}]}`, `{"filters":[{"field":"name","value":$}]}`, `{"filters":[{"field":"name","operator":$}]}`, `{"filters":[{"field":"name","type":$}]}`,
				`{"filters":[{"field":"name","operator":"in","value":[$]}]}`, `{"filters":[{"field":"rank.name","operator":"like","value":$}]}`,
				`{"filters":[{"field":"points","value":$}]}`, `{"filters":[{"field":"drives","operator":"any in","value":[$]}]}`, `{"filters":[{"field":"created_at","value":$}]}`,
				`{"filters":[{"nested":[{"field":$}]}]}`, `{"sort":[{"field":$}]}`, `{"sort":[{"field":"name","direction":$}]}`, `{"scopes":[{"name":$}]}`, `{"search":{"value":$}}`, `{"includes":[{"relation":$}]}`,
			} {
				body := strings.Replace(place, "$", jsonText(t, text), 1)
				page, err := trySearch(t, s, 1, &personnel.User, body, store.PageRequest{Number: 1, Limit: 10})
				if invalid := (*bugle.InvalidError)(nil); err != nil && !errors.As(err, &invalid) {
					t.Errorf("%s: %v", body, err)
				}
				hit := place == `{"search":{"value":$}}` && text == `\` || strings.Contains(place, "includes")
				if err == nil && page.Total > 0 && !hit {
					t.Errorf("%s finds %q", body, listed(page.Items))
				}
			}
			path := strings.Replace(`{"filters":[{"field":$,"operator":"!=","value":"x"}],"sort":[{"field":$}]}`, "$", jsonText(t, "channels->"+text), 2)
			if page, err := trySearch(t, s, 1, &personnel.Message, path, store.PageRequest{Number: 1, Limit: 10}); err == nil && page.Total > 0 {
				t.Errorf("%s finds %q", path, listed(page.Items))
			}
		}
		if after := query[string](t, s, "SELECT name || email FROM users ORDER BY id"); !slices.Equal(after, before) {
			t.Errorf("users are\n     %q\nwant %q", after, before)
		}
	})
}

// The largest search that is accepted is one that the database takes.
func TestSearch_atItsLimits(t *testing.T) {
	eachRoster(t, func(t *testing.T, s *store.Store) {
		many := func(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
		never := strings.Repeat("%a_", 85)
		for _, test := range []struct {
			kind *personnel.Kind
			body string
			want string
		}{
			{&personnel.User, `{"filters":[` + many(100, `{"type":"or","field":"rank.name","value":"Private"}`) + `],"sort":[` + many(10, `{"field":"unit.name"}`) + `],"search":{"value":"a"}}`, "1 3"},
			{&personnel.User, `{"filters":[` + many(10, `{"type":"or","nested":[`+many(9, `{"field":"id","operator":"in","value":[1,null]}`)+`]}`) + `]}`, "1"},
			{&personnel.User, `{"filters":[{"field":"id","operator":"in","value":[` + many(1000, `3`) + `]}]}`, "3"},
			{&personnel.User, `{"filters":[{"field":"drives","operator":"any in","value":[` + many(1000, `"car"`) + `]}]}`, "1 2"},
			{&personnel.Message, `{"filters":[{"field":"channels","operator":"any in","value":[` + many(1000, `"sms"`) + `]}]}`, "1 3"},
			{&personnel.Message, `{"filters":[` + many(10, `{"field":"channels","operator":"all in","value":[`+many(100, `"sms"`)+`]}`) + `]}`, "1 3"},
			{&personnel.User, `{"filters":[` + many(100, `{"type":"or","field":"name","operator":"like","value":"`+never+`"}`) + `]}`, ""},
		} {
			if got := found(t, s, 1, test.kind, test.body); got != test.want {
				t.Errorf("%.100s… finds %q, want %q", test.body, got, test.want)
			}
		}
	})
}

// Whatever JSON is a search, it is refused or it runs, and finds nothing of another organization.
func FuzzReadSearch(f *testing.F) {
	s, _ := storetest.New(f)
	roster(f, s)
	other := addOrganization(f, s)
	theirs := map[*personnel.Kind]int64{
		&personnel.User: createIn(f, s, other, &personnel.User, "name", "Theirs", "email", "theirs@example.com").ID(),
		&personnel.Rank: createIn(f, s, other, &personnel.Rank, "name", "Theirs").ID(),
	}
	for i, k := range personnel.Kinds() {
		f.Add(i, `{"filters":[{"field":"id","operator":"in","value":[1,null]},{"type":"or","nested":[{"field":"created_at","operator":">=","value":"2026-01-14"}]}],"search":{"value":"%e_"},"sort":[{"field":"id","direction":"desc"}]}`)
		for _, body := range everything(k) {
			f.Add(i, body)
		}
	}
	user, message, field := slices.Index(personnel.Kinds(), &personnel.User), slices.Index(personnel.Kinds(), &personnel.Message), slices.Index(personnel.Kinds(), &personnel.CustomField)
	for _, body := range []string{
		`{"filters":[{"field":"points","operator":"!=","value":1e308},{"type":"or","field":"drives","operator":"all in","value":["car",true,1.5]}],"sort":[{"field":"rank.name"},{"field":"points"}]}`,
		`{"filters":5,"sort":[5],"scopes":{"a":1},"search":[],"includes":null}`, `{"filters":[{"field":"rank.created_at","operator":"<","value":"9999-12-31"}]}`,
	} {
		f.Add(user, body)
	}
	f.Add(message, `{"filters":[{"field":"channels->0","operator":"any in","value":["mail"]},{"field":"recipients","operator":"all in","value":[1]}],"sort":[{"field":"channels->a->1"}]}`)
	f.Add(field, `{"filters":[{"field":"options->a.b->0","operator":"not ilike","value":"\\"}],"search":{"value":1.5}}`)
	f.Fuzz(func(t *testing.T, kind int, body string) {
		k := personnel.Kinds()[uint(kind)%uint(len(personnel.Kinds()))]
		if decoded, err := value.Decode([]byte(body)); err != nil {
			t.Skip("the fuzzer made what is no JSON object")
		} else if _, ok := decoded.(*value.Array); !ok {
			t.Skip("the fuzzer made what is no JSON object")
		}
		page, err := trySearch(t, s, 1, k, body, store.PageRequest{Number: 1, Limit: 20})
		if invalid := (*bugle.InvalidError)(nil); err != nil && !errors.As(err, &invalid) {
			t.Fatal(err)
		}
		for _, r := range page.Items {
			if r.ID() == theirs[k] {
				t.Errorf("%s %s finds %d of another organization", k.Name, body, r.ID())
			}
		}
	})
}

// boolean is a condition that is true or false.
func boolean(b bool) string { return strings.ToUpper(strconv.FormatBool(b)) }
