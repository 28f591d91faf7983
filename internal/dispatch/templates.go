package dispatch

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/buglehq/bugle/value"
)

// A Template is an automation that can be taken as it is, or nearly.
type Template struct {
	Key           string
	Name          string
	Description   string
	Category      string
	Prerequisites []string
	Values        *value.Array // as the API takes them; a webhook is still to be chosen
}

//go:embed templates/*.json
var templateFiles embed.FS

// Templates returns all of them by category and name. They are shared: not to be changed.
func Templates() []Template { return templates() }

var templates = sync.OnceValue(func() []Template {
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic("dispatch: templates: " + err.Error())
	}
	var list []Template
	for _, entry := range entries {
		text, err := templateFiles.ReadFile("templates/" + entry.Name())
		if err == nil {
			var t Template
			t, err = readTemplate(strings.TrimSuffix(entry.Name(), ".json"), text)
			list = append(list, t)
		}
		if err != nil { // any test would show it
			panic("dispatch: template " + entry.Name() + ": " + err.Error())
		}
	}
	slices.SortFunc(list, func(a, b Template) int {
		return strings.Compare(a.Category+"\x00"+a.Name, b.Category+"\x00"+b.Name)
	})
	return list
})

func readTemplate(key string, text []byte) (Template, error) {
	decoded, err := value.Decode(text)
	if err != nil {
		return Template{}, err
	}
	fields, _ := decoded.(*value.Array)
	word := func(name string) string {
		v, _ := fields.Get(name)
		s, _ := v.(string)
		return s
	}
	t := Template{Key: key, Name: word("name"), Description: word("description"), Category: word("category")}
	v, _ := fields.Get("values")
	values, ok := v.(*value.Array)
	if !ok || t.Name == "" || t.Category == "" {
		return t, fmt.Errorf("it lacks a name, a category or values")
	}
	t.Values = values
	needs, _ := fields.Get("prerequisites")
	list, _ := needs.(*value.Array)
	for _, need := range list.All() {
		s, _ := need.(string)
		t.Prerequisites = append(t.Prerequisites, s)
	}
	return t, nil
}
