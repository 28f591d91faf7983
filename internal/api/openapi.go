package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A doc is what the OpenAPI document says of a route. What it names are components of the document.
type doc struct {
	id      string   // of the operation: "listRanks"
	summary string   // "List ranks"
	about   string   // more to say, in sentences; empty: nothing
	tag     string   // "Ranks"
	status  int      // of success
	answer  string   // response of success: "RankPage"; empty: it has no body
	body    string   // request body: "RankCreate"; empty: none is read
	query   []string // parameters beside those of the path: "page"
	fails   []int    // statuses beside those that its shape explains
}

// paging are the parameters of every list.
var paging = []string{"page", "limit"}

// A described path is one of the router, with its methods.
type described struct {
	path    string // "/v2/ranks/{id}"
	methods methods
}

// words are how the document speaks of a collection.
type words struct {
	one, many string   // names within those of operations: "UserRankRecord", "UserRankRecords"
	tag       string   // "Users Rank Records"
	schema    string   // "RankRecord"
	includes  bool     // answers can have relations
	filters   []string // parameters of the list beside paging
}

// plain is a name in words: "user rank records".
func plain(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// withArticle is a name in words with its article: "an award record". Words that start with u, of which the
// catalogue has user and unit, sound like you.
func withArticle(name string) string {
	if strings.ContainsAny(name[:1], "AEIO") {
		return "an " + plain(name)
	}
	return "a " + plain(name)
}

// camel joins the words of a path: "rank-records" is "RankRecords".
func camel(path string) string { return strings.ReplaceAll(title(path), " ", "") }

// title is a path as a heading: "Rank Records".
func title(path string) string {
	parts := strings.Split(path, "-")
	for i, part := range parts {
		parts[i] = strings.ToUpper(part[:1]) + part[1:]
	}
	return strings.Join(parts, " ")
}

// singular is one of what a path names in the plural.
func singular(path string) string {
	for _, ending := range [][2]string{{"ies", "y"}, {"uses", "us"}, {"s", ""}} {
		if stem, ok := strings.CutSuffix(path, ending[0]); ok {
			return stem + ending[1]
		}
	}
	return path
}

// typeName is what the document calls the fields of a kind: "RankRecord".
func typeName(k *personnel.Kind) string { return strings.ReplaceAll(k.Class, " ", "") }

// wordsOf are the words for the collection of a kind.
func wordsOf(k *personnel.Kind) words {
	return words{one: typeName(k), many: camel(k.Path), tag: title(k.Path), schema: typeName(k), includes: len(k.Includes) > 0}
}

// nestedWords are the words for a relation of a kind.
func nestedWords(k *personnel.Kind, n personnel.Nested) words {
	rel := k.Relation(n.Relation)
	other, one := personnel.ByName(rel.Kind), n.Path
	if rel.IsMany() {
		one = singular(n.Path)
	}
	return words{one: typeName(k) + camel(one), many: typeName(k) + camel(n.Path), tag: title(k.Path) + " " + title(n.Path), schema: typeName(other), includes: len(other.Includes) > 0}
}

// doc describes one of the verbs of a collection.
func (w words) doc(verb string) doc {
	d := doc{id: verb + w.one, tag: w.tag, status: http.StatusOK, answer: w.schema + "Data"}
	switch verb {
	case "list":
		d.id, d.summary, d.answer, d.query = verb+w.many, "List "+plain(w.many), w.schema+"Page", slices.Concat(paging, w.filters)
		if len(w.filters) > 0 {
			d.fails = []int{http.StatusUnprocessableEntity}
		}
	case "search":
		d.id, d.summary, d.answer, d.query, d.body = verb+w.many, "Search "+plain(w.many), w.schema+"Page", paging, "Search"
	case "get":
		d.summary = "Get " + withArticle(w.one)
	case "create":
		d.summary, d.status, d.body = "Create "+withArticle(w.one), http.StatusCreated, w.schema+"Create"
	case "update", "patch":
		d.summary, d.body = "Update "+withArticle(w.one), w.schema+"Update"
	case "delete":
		d.summary = "Delete " + withArticle(w.one)
	case "batchCreate":
		d.id, d.summary, d.body, d.answer = verb+w.many, "Create several "+plain(w.many), w.schema+"BatchCreate", w.schema+"List"
	case "batchUpdate":
		d.id, d.summary, d.body, d.answer = verb+w.many, "Update several "+plain(w.many), w.schema+"BatchUpdate", w.schema+"List"
	case "batchDelete":
		d.id, d.summary, d.body, d.answer = verb+w.many, "Delete several "+plain(w.many), "IDs", w.schema+"List"
	}
	if w.includes {
		d.query = append(slices.Clip(d.query), w.schema+"Include")
	}
	return d
}

// link describes what puts resources into a relation or takes them out.
func (w words) link(action, summary, body, answer string, fails ...int) doc {
	return doc{id: action + w.many, summary: summary, tag: w.tag, status: http.StatusOK, answer: answer, body: body, fails: fails}
}

// openDocs describe what GET answers to anybody.
var openDocs = []struct {
	path   string
	doc    doc
	answer string // in words
}{
	{"/health", doc{id: "health", summary: "Whether the server runs", tag: "Server", status: http.StatusNoContent}, "It does."},
	{"/readyz", doc{id: "ready", summary: "Whether the server can do its work", tag: "Server", status: http.StatusOK, answer: "Ready"}, ""},
	{"/metrics", doc{id: "metrics", summary: "Figures for Prometheus", tag: "Server", status: http.StatusOK}, "The figures, as text."},
	{"/spec.json", doc{id: "spec", summary: "This document", tag: "Server", status: http.StatusOK, answer: "Document"}, ""},
}

// document is the OpenAPI document of the server: what it says of a path comes from the path's routes,
// and what it says of resources from the catalogue.
func (s *server) document() *value.Array {
	url := s.o.PublicURL
	if url == "" {
		url = "/" // where the document is
	}
	tags := []any{}
	paths := value.NewArray(len(s.routes) + len(openDocs))
	for _, p := range s.routes {
		item := value.NewArray(len(p.methods) + 1)
		if inPath := pathParameters(p.path); inPath != nil {
			item.Set("parameters", inPath)
		}
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			route, ok := p.methods[method]
			if !ok {
				continue
			}
			item.Set(strings.ToLower(method), operation(p.path, route))
			if !slices.ContainsFunc(tags, func(t any) bool { return tagName(t) == route.doc.tag }) {
				tags = append(tags, value.Map("name", route.doc.tag))
			}
		}
		paths.Set(p.path, item)
	}
	for _, o := range openDocs {
		answers := value.NewArray(2)
		answers.Set(strconv.Itoa(o.doc.status), component("responses", o.doc.answer))
		if o.doc.answer == "" {
			answers.Set(strconv.Itoa(o.doc.status), value.Map("description", o.answer))
		}
		switch o.doc.answer {
		case "Ready":
			answers.Set("503", component("responses", "NotReady"))
		case "Document":
			answers.Set("304", value.Map("description", "It has not changed."))
		}
		get := value.Map("tags", value.List(o.doc.tag), "operationId", o.doc.id, "summary", o.doc.summary,
			"security", value.NewArray(0), "responses", answers)
		paths.Set(o.path, value.Map("get", get))
	}
	slices.SortFunc(tags, func(a, b any) int { return strings.Compare(tagName(a), tagName(b)) })
	tags = append(tags, value.Map("name", "Server"), value.Map("name", "Sent Events", "description", "What receivers of webhooks are sent."))
	return value.Map(
		"openapi", "3.1.0",
		"info", value.Map(
			"title", "Bugle",
			"version", "v2",
			"summary", "Personnel data, and webhooks when it changes",
			"description", aboutAPI,
			"license", value.Map("name", "Apache License 2.0", "identifier", "Apache-2.0")),
		"servers", value.List(value.Map("url", url)),
		"security", value.List(value.Map("key", value.NewArray(0)), value.Map("apikey", value.NewArray(0))),
		"tags", value.List(tags...),
		"paths", paths,
		"webhooks", eventDocs(),
		"components", components(),
	)
}

const aboutAPI = "Every answer has its result under `data`, and every error under `error`. Fields that a resource does not have are " +
	"left alone when they are sent, and `PUT` changes only what is sent, as `PATCH` does. A form is read as well as JSON; one that is " +
	"POSTed with the field `_method` is taken for that method. `/v1` in place of `/v2` answers the same, but that a status has " +
	"`text_color` and `bg_color` too."

func tagName(tag any) string {
	name, _ := tag.(*value.Array).Get("name")
	text, _ := name.(string)
	return text
}

// component refers to a component.
func component(group, name string) *value.Array {
	return value.Map("$ref", "#/components/"+group+"/"+name)
}

// pathParameters are the parameters in a path, or nil.
func pathParameters(path string) *value.Array {
	list := value.NewArray(2)
	for _, name := range []string{"parent", "id", "name"} {
		if strings.Contains(path, "{"+name+"}") {
			list.Append(component("parameters", name))
		}
	}
	if list.Len() == 0 {
		return nil
	}
	return list
}

// operation describes a route.
func operation(path string, r route) *value.Array {
	d := r.doc
	o := value.Map("tags", value.List(d.tag), "operationId", d.id, "summary", d.summary)
	if r.scope != "" {
		o.Set("description", strings.TrimSpace("The key needs the scope `"+r.scope+"`. "+d.about))
	}
	if len(d.query) > 0 {
		query := value.NewArray(len(d.query))
		for _, name := range d.query {
			query.Append(component("parameters", name))
		}
		o.Set("parameters", query)
	}
	if d.body != "" {
		o.Set("requestBody", component("requestBodies", d.body))
	}
	answers := value.NewArray(10)
	answers.Set(strconv.Itoa(d.status), component("responses", d.answer))
	fails := append([]int{http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable}, d.fails...)
	if r.scope != "" {
		fails = append(fails, http.StatusForbidden)
	}
	if strings.Contains(path, "{") {
		fails = append(fails, http.StatusNotFound)
	}
	if d.body != "" {
		fails = append(fails, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusInsufficientStorage)
	}
	if d.body != "" || len(d.query) > len(paging) {
		fails = append(fails, http.StatusUnprocessableEntity)
	}
	slices.Sort(fails)
	for _, status := range slices.Compact(fails) {
		answers.Set(strconv.Itoa(status), component("responses", "Error"+strconv.Itoa(status)))
	}
	answers.Set("default", component("responses", "Error"))
	o.Set("responses", answers)
	return o
}

// numbered is a parameter of a query that counts.
func numbered(name, description string, first, low int64, high any) *value.Array {
	schema := value.Map("type", "integer", "minimum", low)
	if high != nil {
		schema.Set("maximum", high)
	}
	schema.Set("default", first)
	return queried(name, description, schema)
}

// queried is a parameter of a query. It has no example, because pages that let a reader try the API
// would send that.
func queried(name, description string, schema *value.Array) *value.Array {
	return value.Map("name", name, "in", "query", "description", description, "schema", schema)
}

// parameters are those that operations share.
func parameters() *value.Array {
	inPath := func(name, description string) *value.Array {
		return value.Map("name", name, "in", "path", "required", true, "description", description,
			"schema", value.Map("type", "integer", "minimum", 1), "example", 1)
	}
	all := value.Map(
		"id", inPath("id", "Id of the resource."),
		"parent", inPath("parent", "Id of the resource that it belongs to."),
		"page", numbered("page", "Which page of the list.", 1, 1, nil),
		"limit", numbered("limit", "How many a page has.", defaultLimit, 1, int64(store.MaxLimit)),
	)
	for _, k := range personnel.Kinds() {
		if len(k.Includes) == 0 {
			continue
		}
		paths := includePaths(k)
		all.Set(typeName(k)+"Include", value.Map("name", "include", "in", "query",
			"description", "Relations to show, joined by commas. Those of "+openIncludes(k)+" can be followed further, up to four in a path; others are left out.",
			"style", "form", "explode", false,
			"schema", value.Map("type", "array", "items", value.Map("type", "string", "enum", value.List(paths...)))))
	}
	for name, p := range deliveryParameters().All() {
		all.Set(name.String(), p)
	}
	for name, p := range automationParameters().All() {
		all.Set(name.String(), p)
	}
	for name, p := range auditParameters().All() {
		all.Set(name.String(), p)
	}
	for name, p := range eventParameters().All() {
		all.Set(name.String(), p)
	}
	for name, p := range channelParameters().All() {
		all.Set(name.String(), p)
	}
	for name, p := range feedParameters().All() {
		all.Set(name.String(), p)
	}
	all.Set("RosterType", queried("type", "With the units' people, or with their slots and the people in them.",
		value.Map("type", "string", "enum", value.List("automatic", "manual"), "default", "automatic")))
	for name, p := range headerParameters().All() {
		all.Set(name.String(), p)
	}
	return all
}

// includePaths are the relations of a kind that can be included, and those within that are open, one
// level deep.
func includePaths(k *personnel.Kind) []any {
	var paths []any
	for _, path := range k.Includes {
		name, isOpen := strings.CutSuffix(path, ".*")
		rel := k.Relation(name)
		if !isOpen || rel.Model {
			paths = append(paths, path)
			continue
		}
		for _, below := range personnel.ByName(rel.Kind).Relations {
			paths = append(paths, name+"."+below.Name)
		}
	}
	return paths
}

func openIncludes(k *personnel.Kind) string {
	var names []string
	for _, path := range k.Includes {
		if name, isOpen := strings.CutSuffix(path, ".*"); isOpen {
			names = append(names, "`"+name+"`")
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}
