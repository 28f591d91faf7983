package erasure_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/erasure"
	"github.com/buglehq/bugle/personnel"
)

// jane is who is erased, known from an event.
func jane(t *testing.T) *erasure.Person {
	t.Helper()
	p := &erasure.Person{ID: 7}
	about, err := p.Learn(&personnel.User, 7, []byte(`{"event":"user.updated","data":{"id":7,"name":"Jane \"J\" Roe","email":"j.roe@example.com","phone_number":"+1 555 0100","notes":"A & B","blood":"0","unit":{"id":7,"name":"Alpha"}},"changes":{"name":"Jane \"J\" Roe"}}`),
		func(each func(name string, v any)) {
			each("name", "Zoë Früher")
			each("data", `{"blood":"AB","hat":"a long text that nobody else has"}`)
		})
	if err != nil || !about {
		t.Fatalf("%t, %v", about, err)
	}
	return p
}

func TestPerson_Text(t *testing.T) {
	p := jane(t)
	for _, test := range []struct{ text, want, about string }{
		{`Jane "J" Roe came.`, `[erased] came.`, ""},
		{`JANE "J" ROE, j.Roe@Example.com`, `[erased], [erased]`, ""},
		{`to:j.roe@example.com;`, `to:[erased];`, ""},
		{`xj.roe@example.community`, `xj.roe@example.community`, ""},
		{`Jane &quot;J&quot; Roe, Jane &#34;J&#34; Roe`, `[erased], [erased]`, ""},
		{`q=Jane+%22J%22+Roe&m=j.roe%40example.com`, `q=[erased]&m=[erased]`, ""},
		{`{"a":"Jane \"J\" Roe\nj.roe@example.com"`, `{"a":"[erased]\n[erased]"`, ""},
		{`Zo\u00eb Fr\u00fcher and Zoë Früher`, `[erased] and [erased]`, ""},
		{`call +1 555 0100 or +1 555 01001`, `call [erased] or +1 555 01001`, ""},
		{`A long text that nobody else has!`, `[erased]!`, ""},
		{`type AB`, `type AB`, `type [erased]`},
		{`Jane, Roe, Alpha`, `Jane, Roe, Alpha`, ""},
		{"", "", ""},
	} {
		if got := p.Text(test.text, false); got != test.want {
			t.Errorf("%q became %q, want %q", test.text, got, test.want)
		}
		want := test.about
		if want == "" {
			want = test.want
		}
		if got := p.Text(test.text, true); got != want {
			t.Errorf("%q, about him, became %q, want %q", test.text, got, want)
		}
	}
}

func TestPerson_Envelope(t *testing.T) {
	p := jane(t)
	for _, test := range []struct {
		kind       *personnel.Kind
		id         int64
		text, want string
	}{
		{&personnel.User, 7, `{"event":"user.created","data":{"id":7,"name":"J","email":null,"approved":true,"blood":0,"display_name":"J","rank":{"id":7,"name":"J"}},"changes":[]}`,
			`{"event":"user.created","data":{"id":7,"name":"[erased]","email":null,"approved":true,"blood":null,"display_name":"[erased]","rank":{"id":7,"name":"J"}},"changes":[]}`},
		{&personnel.User, 7, `{"event":"user.updated","data":{"id":7},"changes":{"notes":"x","data":"{\"blood\":1}","rank_id":2}}`,
			`{"event":"user.updated","data":{"id":7},"changes":{"notes":"[erased]","data":"[erased]","rank_id":2}}`},
		{&personnel.User, 8, `{"event":"user.updated","data":{"id":8,"name":"Zo\u00eb Fr\u00fcher","notes":"As Zo\u00eb Fr\u00fcher"},"changes":{"email":"x"}}`,
			`{"event":"user.updated","data":{"id":8,"name":"Zo\u00eb Fr\u00fcher","notes":"As [erased]"},"changes":{"email":"x"}}`},
		{&personnel.RankRecord, 7, `{"event":"rankrecord.created","data":{"id":7,"user_id":7,"user":{"id":7,"name":"J","notes":"N"},"author":{"id":8,"name":"Sam"},"text":"For Jane \"J\" Roe"},"changes":[]}`,
			`{"event":"rankrecord.created","data":{"id":7,"user_id":7,"user":{"id":7,"name":"[erased]","notes":"[erased]"},"author":{"id":8,"name":"Sam"},"text":"For [erased]"},"changes":[]}`},
		{&personnel.Submission, 3, `{"event":"submission.created","data":{"id":3,"user_id":7,"form_id":1,"why":"ill"},"changes":[]}`, `{"event":"submission.created","data":{"id":3,"user_id":7,"form_id":1,"why":"[erased]"},"changes":[]}`},
		{&personnel.Submission, 3, `{"event":"submission.created","data":{"id":3,"user_id":8,"form_id":1,"why":"ill"},"changes":[]}`, ""},
		{&personnel.Rank, 7, `{"event":"rank.created","data":{"id":7,"name":"J"},"changes":[]}`, ""},
		{nil, 0, `{"content":"Jane \"J\" Roe is here","embeds":[{"x":"{\"y\":\"j.roe@example.com\"}"}]}`, `{"content":"[erased] is here","embeds":[{"x":"{\"y\":\"[erased]\"}"}]}`},
		{nil, 0, `"j.roe@example.com"`, `"[erased]"`},
	} {
		want := test.want
		if want == "" {
			want = test.text
		}
		got, changed, err := p.Envelope(test.kind, test.id, []byte(test.text), false)
		if err != nil || string(got) != want || changed != (want != test.text) {
			t.Errorf("%t, %v\n     %s\nwant %s", changed, err, got, want)
		}
	}
	if _, _, err := p.Envelope(nil, 0, []byte("no JSON"), false); err == nil {
		t.Error("what is no JSON is no error")
	}
}

// However much somebody has written, what is looked for is bounded.
func TestPerson_Learn_bounded(t *testing.T) {
	p := &erasure.Person{ID: 7}
	for i := range 10_000 {
		p.LearnValue("name", strings.Repeat("x", 4+i%50)+string(rune('a'+i%26))+strings.Repeat("y", i/100))
		p.LearnValue("hat", string(rune('a'+i%26))+strings.Repeat("z", i%15)+strings.Repeat("y", i%7)+string(rune('a'+i/26%26)))
	}
	if len(p.Names) > 2000 || len(p.Values) > 2000 || len(p.Names) < 100 || len(p.Values) < 100 {
		t.Errorf("%d names and %d values", len(p.Names), len(p.Values))
	}
	if !p.Cut || jane(t).Cut {
		t.Error("it is not said of whom more is known than is kept")
	}
	// Long notes, changed again and again.
	p = &erasure.Person{ID: 7}
	for i := range 80 {
		p.LearnValue("notes", fmt.Sprint(i, " ", strings.Repeat("She is <well> & fine. ", 2000)))
	}
	if n := len(strings.Join(p.Names, "")); !p.Cut || n < 1<<20 || n > 4<<20 {
		t.Errorf("%d bytes are kept, cut: %t", n, p.Cut)
	}
	text := "Her notes: " + p.Names[20] + "!"
	if got := p.Text(text, false); got != "Her notes: [erased]!" {
		t.Errorf("long notes became %d bytes: %.100s", len(got), got)
	}
}

// What is in another that is found, or overlaps it, is found too where the other is not.
func TestPerson_Text_overlapping(t *testing.T) {
	p := &erasure.Person{ID: 7}
	for _, name := range []string{"Jane Roe", "Jane Roe the Elder", "Roe the First", "ßtraße"} {
		p.LearnValue("name", name)
	}
	for text, want := range map[string]string{
		"Jane Roe the Elderly": "[erased] the Elderly", "Jane Roe the Elder": "[erased]", "Jane Roe the First": "[erased] the First", "a Roe the First": "a [erased]",
		"xJane Roe": "xJane Roe", "Jane RoeJane Roe": "Jane RoeJane Roe", "Jane Roe Jane Roe": "[erased] [erased]", "ẞTRAẞE": "[erased]", "J": "J", "\xff\xfeJane Roe\xff": "\xff\xfe[erased]\xff",
	} {
		if got := p.Text(text, false); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
