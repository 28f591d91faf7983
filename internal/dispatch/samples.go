package dispatch

import (
	"context"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A SampleEvent is a past event on which an automation can be tried.
type SampleEvent struct {
	EventID   int64
	CreatedAt time.Time
	Label     string // such as "Rank Record 12: Jane Roe → Sergeant, 2026-01-14 12:00 UTC"
}

// MaxSamples is how many Samples there are at most.
const MaxSamples = 20

// Samples returns the newest events of a trigger, newest first, to choose one for a preview.
func (v *Previewer) Samples(ctx context.Context, organizationID int64, trigger string) ([]SampleEvent, error) {
	events, err := v.Store.NewestEvents(ctx, organizationID, trigger, MaxSamples)
	if err != nil {
		return nil, err
	}
	list := make([]SampleEvent, len(events))
	for i, e := range events {
		list[i] = SampleEvent{e.ID, e.CreatedAt, EventLabel(e) + e.CreatedAt.UTC().Format(", 2006-01-02 15:04 UTC")}
	}
	return list, nil
}

// maxLabelText is how many characters of a text a label shows.
const maxLabelText = 60

// EventLabel says what an event is about: "Rank Record 12: Jane Roe → Sergeant". What an update changed
// follows: "User 3: Jane Roe (notes)". Of an event from outside it is the name.
func EventLabel(e *bugle.Event) string {
	k := personnel.ByName(e.ResourceKind)
	if k == nil {
		return e.Name
	}
	label := fmt.Sprintf("%s %d", k.Class, e.ResourceID)
	decoded, err := value.Decode(e.Envelope)
	if err != nil { // it is said where the event is used
		return label
	}
	envelope, _ := decoded.(*value.Array)
	data, _ := envelope.Get("data")
	model, _ := data.(*value.Array)
	if about := aboutResource(k, model); about != "" {
		label += ": " + about
	}
	if changed := changedNames(e.Causes); changed != "" {
		label += " (" + changed + ")"
	}
	return label
}

// aboutResource is a resource's name, else whom it is of and what it gives him, else the beginning of its text.
func aboutResource(k *personnel.Kind, model *value.Array) string {
	word := func(of *value.Array, name string) string {
		v, _ := of.Get(name)
		text, _ := v.(string)
		return labelText(text)
	}
	for _, name := range []string{"name", "title"} {
		if text := word(model, name); text != "" {
			return text
		}
	}
	related := func(name string) string {
		v, _ := model.Get(name)
		of, _ := v.(*value.Array)
		return word(of, "name")
	}
	var subjects []string
	for _, name := range slices.Concat(k.Created, k.Always) {
		if text := related(name); text != "" && !slices.Contains([]string{"user", "author", "document"}, name) && !slices.Contains(subjects, text) {
			subjects = append(subjects, text)
		}
	}
	who, what := related("user"), strings.Join(subjects, ", ")
	if what == "" {
		for _, name := range []string{"message", "text"} {
			if what = word(model, name); what != "" {
				break
			}
		}
	}
	if who != "" && what != "" {
		return who + " → " + what
	}
	return who + what
}

var (
	endOfLine = regexp.MustCompile(`(?i)<(br|/p|/div|/li|/h[1-6]|/tr)\b[^<>]*>`)
	anyTag    = regexp.MustCompile(`<[^<>]*>`)
)

// labelText is a text in one line, without tags, and cut.
func labelText(text string) string {
	plain := html.UnescapeString(anyTag.ReplaceAllString(endOfLine.ReplaceAllString(text, " "), ""))
	runes := []rune(strings.Join(strings.Fields(plain), " "))
	if len(runes) > maxLabelText {
		return string(runes[:maxLabelText-1]) + "…"
	}
	return string(runes)
}

// changedNames are the first attributes that an update changed.
func changedNames(causes []bugle.Cause) string {
	const most = 3
	var names []string
	for _, c := range causes {
		if c.Attribute == "updated_at" {
			continue
		}
		if len(names) == most {
			names = append(names, "…")
			break
		}
		names = append(names, c.Attribute)
	}
	return strings.Join(names, ", ")
}
