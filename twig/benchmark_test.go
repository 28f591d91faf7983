package twig

import (
	"io"
	"strings"
	"testing"
	texttemplate "text/template"
	"time"
)

func BenchmarkRender(b *testing.B) {
	t, err := Compile("{{ model.name|upper }} was promoted to {{ model.rank.name ?? 'none' }} on {{ now|date('Y-m-d') }}", Options{Autoescape: "html"})
	if err != nil {
		b.Fatal(err)
	}
	v := variables()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := t.Render(v); err != nil {
			b.Fatal(err)
		}
	}
}

// The same as text/template has it, with Go's maps.
func BenchmarkTextTemplate(b *testing.B) {
	t := texttemplate.Must(texttemplate.New("").Funcs(texttemplate.FuncMap{
		"upper": strings.ToUpper,
		"date":  func(layout string, at time.Time) string { return at.Format(layout) },
	}).Parse(`{{ .model.name | upper | html }} was promoted to {{ or .model.rank.name "none" | html }} on {{ .now | date "2006-01-02" | html }}`))
	data := map[string]any{"now": rendered, "model": map[string]any{"id": 7, "name": "Jane <Roe>", "rank": map[string]any{"name": "Sergeant", "order": 5}}}
	b.ReportAllocs()
	for b.Loop() {
		if err := t.Execute(io.Discard, data); err != nil {
			b.Fatal(err)
		}
	}
}
