// Package twig renders templates in the language of Twig 3, with the semantics that PHP 8 gives its
// values:
//
//	{{ model.name|upper }} was promoted to {{ model.rank.name ?? 'none' }} on {{ now|date('Y-m-d') }}
//
// A template is compiled once and can be rendered any number of times, also at the same time. It can
// reach nothing but the values that it is given: there are no files, no other templates and no way
// into Go. What a rendering costs is bounded by [Limits].
//
// Values are those of package value: nil, bool, int64, float64, string, *value.Array and value.Date, and
// [Markup].
package twig

import (
	"fmt"
	"strings"
	"time"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/value"
)

// An Error says what is wrong in a template, and where.
type Error = engine.Error

// Limits bound what rendering a template may cost. Zero is the default.
type Limits struct {
	Steps  int           // turns of loops and other work; 1,000,000
	Bytes  int           // of texts and arrays that are made, also those that are not put out; 16 MiB
	Output int           // bytes; 256 KiB
	Depth  int           // of macros, blocks and arrow functions that call each other; 50
	Time   time.Duration // 250 ms
}

// Options are how a template is compiled and rendered.
type Options struct {
	Autoescape string           // html, js, css, url, html_attr, or empty for none
	Strict     bool             // what is missing is an error, rather than null
	Now        func() time.Time // the time of the rendering; time.Now unless set
	Limits     Limits
}

// maxSource is how many bytes a template may have.
const maxSource = 1 << 20

// A Template is a compiled template.
type Template struct {
	options Options
	limits  engine.Limits
	source  *engine.Source
	body    []statement
	frame   *frame
	blocks  map[string]*block
	macros  map[string]*macro
}

// Compile parses a template. An error is an *Error.
func Compile(source string, o Options) (*Template, error) {
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	s := &engine.Source{Text: source}
	if len(source) > maxSource {
		return nil, s.Fail(maxSource, fmt.Sprintf("it is longer than %d bytes", maxSource))
	}
	if !strategies[o.Autoescape] {
		return nil, s.Fail(0, fmt.Sprintf("there is no strategy %q to escape by", o.Autoescape))
	}
	tokens, err := lex(s)
	if err != nil {
		return nil, err
	}
	t := &Template{options: o, source: s, frame: newFrame(), blocks: map[string]*block{}, macros: map[string]*macro{}}
	if t.options.Now == nil {
		t.options.Now = time.Now
	}
	l := &t.options.Limits
	for _, limit := range []struct {
		n         *int
		otherwise int
	}{{&l.Steps, 1000000}, {&l.Bytes, 16 << 20}, {&l.Output, 256 << 10}, {&l.Depth, 50}} {
		if *limit.n == 0 {
			*limit.n = limit.otherwise
		}
	}
	if l.Time == 0 {
		l.Time = 250 * time.Millisecond
	}
	t.limits = engine.Limits{Steps: l.Steps, Bytes: l.Bytes, Depth: l.Depth}
	p := &parser{template: t, source: s, tokens: tokens, frame: t.frame, strategy: o.Autoescape}
	t.body, _, err = p.body(nil)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// strategies are the ways to escape.
var strategies = map[string]bool{"": true, "html": true, "js": true, "css": true, "url": true, "html_attr": true}

// A frame is what variables a template or macro can have, each with its slot.
type frame struct {
	slots    map[string]int
	names    []string
	macros   map[string]string // imported ones by the name they are called by
	imported map[string]bool   // names for all macros of the template
}

// hiddenSlot begins the names of slots that are no variables.
const hiddenSlot = " "

func newFrame() *frame { return &frame{slots: map[string]int{}} }

// slot returns the place of a variable.
func (f *frame) slot(name string) int {
	i, ok := f.slots[name]
	if !ok {
		i = len(f.names)
		f.slots[name] = i
		f.names = append(f.names, name)
	}
	return i
}

// missing is in the slot of a variable that is not set.
type missing struct{}

func (f *frame) empty() []any {
	slots := make([]any, len(f.names))
	for i := range slots {
		slots[i] = missing{}
	}
	return slots
}

// A run is one rendering.
type run struct {
	engine.Run
	template *Template
	frame    *frame // that the slots are of
	at       time.Time
	out      []byte
	captures int          // how many texts are being captured: they do not count as output
	context  *value.Array // what the caller gave
}

// Render returns the text of the template with these variables. An error is an *Error; it is
// ErrStopped if the template says so.
func (t *Template) Render(variables *value.Array) (string, error) {
	r := t.begin(variables)
	if err := r.all(t.body); err != nil {
		return "", t.source.Wrap(0, err)
	}
	return string(r.out), nil
}

// begin returns a run with the variables in their slots.
func (t *Template) begin(variables *value.Array) *run {
	r := &run{template: t, frame: t.frame, at: t.options.Now(), context: variables}
	r.Run.Reset(t.limits)
	r.Run.Host = r
	r.Run.End = time.Now().Add(t.options.Limits.Time)
	r.Slots = make([]any, len(t.frame.names))
	for i, name := range t.frame.names {
		v, ok := variables.Get(name)
		if !ok {
			v = missing{}
		}
		r.Slots[i] = v
	}
	return r
}

// all renders statements one after the other.
func (r *run) all(list []statement) error {
	for _, s := range list {
		if err := s.render(r); err != nil {
			return err
		}
	}
	return nil
}

// put puts out a text.
func (r *run) put(text string) error {
	if r.captures > 0 {
		if err := r.Make(len(text)); err != nil {
			return err
		}
	} else if len(r.out)+len(text) > r.template.options.Limits.Output {
		return fmt.Errorf("it puts out more than %d bytes", r.template.options.Limits.Output)
	}
	r.out = append(r.out, text...)
	return nil
}

// capture renders statements into a text of its own.
func (r *run) capture(list []statement) (string, error) {
	outer := r.out
	r.out = nil
	r.captures++
	err := r.all(list)
	text := string(r.out)
	r.out = outer
	r.captures--
	return text, err
}

// hostOf returns the run that an engine.Run is part of.
func hostOf(r *engine.Run) *run { return r.Host.(*run) }
