package admin

import (
	"errors"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// A form is what has been typed, and what is wrong with it.
type form struct {
	values   url.Values
	Problems map[string][]string // by field; of fields that the page does not show too
	sent     bool
	limited  bool // there were too many attempts
}

// newForm returns a form that holds values to begin with.
func newForm(values url.Values) *form { return &form{values: values, Problems: map[string][]string{}} }

// form reads what has been posted.
func (v *visit) form() (*form, error) {
	var err error
	if strings.HasPrefix(v.Header.Get("Content-Type"), "multipart/form-data") {
		err = v.ParseMultipartForm(1 << 20)
	} else {
		err = v.ParseForm()
	}
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, err
		}
		return nil, bugle.Invalid("", "The form cannot be read: %s.", err.Error())
	}
	f := newForm(v.PostForm)
	f.sent = true
	return f, nil
}

// file returns an uploaded file, nil if none was chosen.
func (v *visit) file(name string) *multipart.FileHeader {
	if v.MultipartForm == nil || len(v.MultipartForm.File[name]) == 0 {
		return nil
	}
	return v.MultipartForm.File[name][0]
}

// Get is what a field holds.
func (f *form) Get(name string) string { return f.values.Get(name) }

// Has reports whether a field was sent, or has something to begin with.
func (f *form) Has(name string) bool { return f.values.Has(name) }

// All is what a field holds that may hold several things.
func (f *form) All(name string) []string { return f.values[name] }

// take takes over what is wrong, and reports whether that is all that err says. Problems of a part of a
// field, such as retry_schedule.0, are the field's. Those of the fields except are known already.
func (f *form) take(err error, except ...string) bool {
	var invalid *bugle.InvalidError
	if !errors.As(err, &invalid) {
		return false
	}
	for _, p := range invalid.Problems {
		if field, _, _ := strings.Cut(p.Field, "."); !contains(except, field) {
			f.add(field, p.Reason)
		}
	}
	return true
}

func (f *form) add(field, reason string) { f.Problems[field] = append(f.Problems[field], reason) }

// status is that of the answer to a form that failed.
func (f *form) status() int {
	if f.limited {
		return http.StatusTooManyRequests
	}
	return http.StatusUnprocessableEntity
}

// Failed reports whether anything is wrong.
func (f *form) Failed() bool { return len(f.Problems) > 0 }

// Elsewhere are the problems of fields that are none of the inputs.
func (f *form) Elsewhere(inputs ...[]input) []string {
	shown := map[string]bool{}
	for _, list := range inputs {
		for _, in := range list {
			shown[in.Name] = true
		}
	}
	var others []string
	for field, reasons := range f.Problems {
		if !shown[field] {
			others = append(others, reasons...)
		}
	}
	return others
}

// The kinds of inputs.
const (
	inputText     = "text"
	inputEmail    = "email"
	inputURL      = "url"
	inputNumber   = "number"
	inputPassword = "password"
	inputDate     = "date"
	inputDateTime = "datetime-local"
	inputColor    = "color"
	inputFile     = "file"
	inputArea     = "textarea"
	inputEditor   = "editor" // a text area that becomes an editor
	inputSelect   = "select"
	inputChecks   = "checks" // several of the options
	inputSwitch   = "switch" // yes or no
	inputHidden   = "hidden"
)

// An input is a field of a form as the page shows it.
type input struct {
	Name        string
	Label       string
	Kind        string
	Value       string
	Values      []string // of checks
	Help        string
	Placeholder string
	Required    bool
	ReadOnly    bool
	Max         int // characters
	Rows        int // of a textarea
	Step        string
	Language    string // of an editor: json, twig, twig-json, condition
	Complete    string // of an editor: the address of what it completes
	Options     []option
	Blank       string // the text of a select's empty option; empty: it has none
	Accept      string // of a file
	Reveal      bool   // a password can be shown
	Generate    bool   // a password can be made
	AutoFill    string // for the browser: "current-password"
	Errors      []string
	IDSuffix    string // for another field of the same name on the page
}

// An option is one to choose.
type option struct {
	Value, Label, Help, Group string
	Selected                  bool
}

// ID is that of the element.
func (in input) ID() string {
	return "field-" + strings.NewReplacer(".", "-", "[", "-", "]", "").Replace(in.Name) + in.IDSuffix
}

// Described is what describes the element to those who listen.
func (in input) Described() string {
	var ids []string
	if len(in.Errors) > 0 {
		ids = append(ids, in.ID()+"-error")
	}
	if in.Help != "" {
		ids = append(ids, in.ID()+"-help")
	}
	return strings.Join(ids, " ")
}

// offers reports whether a value is one of the options.
func (in input) offers(value string) bool {
	return slices.ContainsFunc(in.Options, func(o option) bool { return o.Value == value })
}

// Groups are the options by their group, in their order.
func (in input) Groups() []optionGroup {
	var groups []optionGroup
	for _, o := range in.Options {
		if n := len(groups); n == 0 || groups[n-1].Name != o.Group {
			groups = append(groups, optionGroup{Name: o.Group})
		}
		last := &groups[len(groups)-1]
		last.Options = append(last.Options, o)
	}
	return groups
}

type optionGroup struct {
	Name    string
	Options []option
}

// fill gives inputs what the form holds, and what is wrong with it.
func (f *form) fill(inputs []input) []input {
	for i := range inputs {
		in := &inputs[i]
		in.Errors = f.Problems[in.Name]
		switch {
		case in.Kind == inputChecks:
			if f.sent || f.Has(in.Name) {
				in.Values = f.All(in.Name)
			}
			for j := range in.Options {
				in.Options[j].Selected = contains(in.Values, in.Options[j].Value)
			}
		case in.Kind == inputFile, strings.HasSuffix(in.AutoFill, "-password"): // nobody's password is in a page
		default:
			if f.sent && in.Kind == inputSwitch || f.Has(in.Name) {
				in.Value = f.Get(in.Name)
			}
			for j := range in.Options {
				in.Options[j].Selected = in.Options[j].Value == in.Value
			}
		}
	}
	return inputs
}

// untouched reports whether a field holds what the page showed in it. Browsers do not send that letter by letter,
// and what is stored need not be what an input can show: to save it as it comes back would change it.
func (f *form) untouched(in input) bool {
	sent := f.Get(in.Name)
	switch in.Kind {
	case inputSwitch:
		return (in.Value == "1" || in.Value == "true") == (sent == "1")
	case inputChecks:
		for _, o := range in.Options {
			if contains(in.Values, o.Value) != contains(f.All(in.Name), o.Value) {
				return false
			}
		}
		return true
	case inputSelect:
		if !in.offers(in.Value) {
			return sent == "" || in.Blank == "" && len(in.Options) > 0 && sent == in.Options[0].Value
		}
		return sent == in.Value
	case inputDate, inputDateTime:
		was, err := browserTime(in.Kind, in.Value)
		if err != nil { // the input was empty
			return sent == ""
		}
		now, err := browserTime(in.Kind, sent)
		return err == nil && now.Equal(was)
	case inputArea, inputEditor:
		lines := strings.NewReplacer("\r\n", "\n", "\r", "\n")
		return lines.Replace(sent) == lines.Replace(in.Value)
	}
	line := strings.NewReplacer("\r", "", "\n", "")
	if in.Kind == inputEmail || in.Kind == inputURL {
		return strings.TrimSpace(line.Replace(sent)) == strings.TrimSpace(line.Replace(in.Value))
	}
	return line.Replace(sent) == line.Replace(in.Value)
}

// browserTime reads the value of an input for times.
func browserTime(kind, text string) (time.Time, error) {
	if kind == inputDate {
		return time.Parse(time.DateOnly, text)
	}
	return parseLocal(text, time.UTC)
}

func contains(list []string, text string) bool {
	for _, item := range list {
		if item == text {
			return true
		}
	}
	return false
}

// array returns what the inputs hold as the rules of a resource take it: numbers as numbers, switches as
// true or false, empty as null. Those that may not be written are left out.
func (f *form) array(inputs []input) *value.Array {
	fields := value.NewArray(len(inputs))
	for _, in := range inputs {
		if in.ReadOnly || in.Kind == inputFile {
			continue
		}
		text := f.Get(in.Name)
		switch in.Kind {
		case inputSwitch:
			fields.Set(in.Name, text == "1")
		case inputChecks:
			list := value.NewArray(len(f.All(in.Name)))
			for _, item := range f.All(in.Name) {
				if item != "" {
					list.Append(item)
				}
			}
			fields.Set(in.Name, list)
		case inputNumber:
			fields.Set(in.Name, numberOrText(text))
		default:
			if text = strings.ReplaceAll(text, "\r\n", "\n"); text == "" {
				fields.Set(in.Name, nil)
			} else {
				fields.Set(in.Name, text)
			}
		}
	}
	return fields
}

// numberOrText returns a number; the text if it is none, which the rules then refuse in their words.
func numberOrText(text string) any {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n
	}
	return text
}
