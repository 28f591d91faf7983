package policy_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/policy"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

const key = "the key of the webhook"

// hook is a webhook with rules of the form "name action"; presets begin with @.
func hook(rules ...string) *bugle.Webhook {
	w := &bugle.Webhook{ID: 1, PolicyKey: key, PolicyVersion: 2}
	for _, text := range rules {
		name, action, _ := strings.Cut(text, " ")
		r := bugle.FieldRule{Attribute: name, Action: bugle.FieldAction(action)}
		if preset, ok := strings.CutPrefix(name, "@"); ok {
			r.Attribute, r.Preset = "", preset
		}
		w.FieldPolicy = append(w.FieldPolicy, r)
	}
	return w
}

func hashOf(text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return "hmac-sha256:" + hex.EncodeToString(mac.Sum(nil))
}

func TestApply(t *testing.T) {
	jane := `{"name":"Jane","email":"j@example.com","last":"x"}`
	for _, test := range []struct{ name, event, data, changes, rules, want, wantChanges string }{
		{"drop", "user.created", jane, "[]", "email drop", `{"name":"Jane","last":"x"}`, "[]"},
		{"hash", "user.created", jane, "[]", "email hash", `{"name":"Jane","email":"` + hashOf("j@example.com") + `","last":"x"}`, "[]"},
		{"null stays null", "user.created", `{"email":null,"phone_number":null}`, "[]", "email hash,phone_number drop", `{"email":null}`, "[]"},
		{"numbers, lists and objects are hashed as JSON", "a.b", `{"a":5,"b":[1,2],"c":{"d":"e"},"f":true}`, "[]", "a hash,b hash,c hash,f hash",
			`{"a":"` + hashOf("5") + `","b":"` + hashOf("[1,2]") + `","c":"` + hashOf(`{"d":"e"}`) + `","f":"` + hashOf("true") + `"}`, "[]"},
		{"case does not count", "a.b", `{"E-Mail":"x","EMAIL":"y"}`, "[]", "email drop,e-MAIL drop", `[]`, "[]"},
		{"at any depth", "a.b", `{"a":{"b":[{"email":"x","c":1},{"email":"y"}]}}`, "[]", "email drop", `{"a":{"b":[{"c":1},[]]}}`, "[]"},
		{"nothing there", "user.created", jane, `{"a":"{\"b\":1}"}`, "nosuch drop", jane, `{"a":"{\"b\":1}"}`},
		{"by kind, wherever it is", "rankrecord.created", `{"name":"no user","user":{"name":"Jane"},"author":{"name":"Sam"},"rank":{"name":"Sergeant"}}`, "[]", "user.name drop",
			`{"name":"no user","user":[],"author":[],"rank":{"name":"Sergeant"}}`, "[]"},
		{"by the relation alone", "rankrecord.created", `{"user":{"name":"Jane"},"author":{"name":"Sam"}}`, "[]", "author.name drop", `{"user":{"name":"Jane"},"author":[]}`, "[]"},
		{"the longer path decides", "rankrecord.created", `{"user":{"email":"a"},"x":{"email":"b"}}`, "[]", "email drop,user.email hash", `{"user":{"email":"` + hashOf("a") + `"},"x":[]}`, "[]"},
		{"an attribute before a preset", "user.created", `{"email":"a","phone_number":"b"}`, "[]", "@contact drop,email hash", `{"email":"` + hashOf("a") + `"}`, "[]"},
		{"what is made of it goes with it", "user.created", `{"name":"Jane","display_name":"Sgt Jane","profile_photo_url":"https:\/\/x\/?name=J","id":1}`, "[]", "name drop", `{"id":1}`, "[]"},
		{"a custom field that looks like a file", "user.created", `{"mail2":"a@b.de","mail2_url":"https:\/\/x\/a@b.de"}`, "[]", "mail2 drop", `[]`, "[]"},
		{"custom fields", "user.created", `{"id":1,"name":"Jane","shoe":44,"label":"User: 1","rank":{"id":2,"extra":1}}`, "[]", "@custom_fields drop", `{"id":1,"name":"Jane","label":"User: 1","rank":{"id":2,"extra":1}}`, "[]"},
		{"changes", "user.updated", `{"id":1}`, `{"email":"new","notes":null,"rank_id":2}`, "email hash,user.notes drop", `{"id":1}`, `{"email":"` + hashOf("new") + `","rank_id":2}`},
		{"custom fields in changes are JSON in a text", "user.updated", `{"shoe":44,"hat":7}`, `{"data":"{\"shoe\":44,\"hat\":7}"}`, "shoe drop", `{"hat":7}`, `{"data":"{\"hat\":7}"}`},
		{"the preset reaches them too", "user.updated", `{"shoe":44}`, `{"data":"{\"shoe\":44,\"hat\":7}","name":"J"}`, "@custom_fields drop", `[]`, `{"data":"[]","name":"J"}`},
		{"JSON in a text, however deep", "a.b", `{"x":"[{\"y\":\"{\\\"email\\\":\\\"a\\\",\\\"z\\\":1}\"}]"}`, "[]", "email drop", `{"x":"[{\"y\":\"{\\\"z\\\":1}\"}]"}`, "[]"},
		{"what looks like JSON and is none", "a.b", `{"x":"{email","y":"[1","z":" {}"}`, "[]", "email drop", `{"x":"{email","y":"[1","z":" {}"}`, "[]"},
		{"keys that are numbers", "a.b", `{"x":{"7":{"email":"a"},"9":{"b":1}}}`, "[]", "x.email drop", `{"x":{"7":[],"9":{"b":1}}}`, "[]"},
		{"a document with the tag", "rankrecord.created", `{"document_parsed":"To a@b","document":{"content":"To {user_email}"}}`, "[]", "email drop", `{"document":{"content":"To {user_email}"}}`, "[]"},
		{"a document without it", "rankrecord.created", `{"document_parsed":"To Jane","document":{"content":"To {user_name}"}}`, "[]", "email drop", `{"document_parsed":"To Jane","document":{"content":"To {user_name}"}}`, "[]"},
		{"a document that is not known", "rankrecord.updated", `{"document_parsed":"To a@b"}`, "[]", "user.email hash", `{"document_parsed":"` + hashOf("To a@b") + `"}`, "[]"},
		{"a document with the text of the record", "rankrecord.created", `{"text":"secret","document_parsed":"For secret","document":{"content":"For {rank_record_text}"}}`, "[]", "@free_text drop", `{"document":{"content":"For {rank_record_text}"}}`, "[]"},
		{"a document with the author", "rankrecord.created", `{"document_parsed":"By Sam","document":{"content":"By {author_resource_name}"}}`, "[]", "user.name drop", `{"document":{"content":"By {author_resource_name}"}}`, "[]"},
		{"a user that is dropped as a whole", "rankrecord.created", `{"user":{"email":"a"},"document_parsed":"To a","document":{"content":"To {user_email}"}}`, "[]", "rankrecord.user drop", `{"document":{"content":"To {user_email}"}}`, "[]"},
		{"a preset that is not known is taken for the worst", "user.created", `{"id":1,"shoe":44}`, "[]", "@newer hash", `{"id":1}`, "[]"},
	} {
		envelope := func(data, changes string) string {
			return `{"event":"` + test.event + `","created":"2026-01-14T12:00:00.000000Z","request_id":"1","trace_id":"2","data":` + data + `,"changes":` + changes + `}`
		}
		given := envelope(test.data, test.changes)
		body, err := policy.Apply(hook(strings.Split(test.rules, ",")...), bugle.Payload{Text: []byte(given)})
		if got, want := string(body.Bytes()), envelope(test.want, test.wantChanges); err != nil || got != want {
			t.Errorf("%s: %v\n     %s\nwant %s", test.name, err, got, want)
		}
	}
}

// Without a policy the bytes are the very same.
func TestApply_withoutPolicy(t *testing.T) {
	for _, text := range []string{`{"event":"user.created","data":{"email":"a"}}`, "{ \"a\" : 1.0 }", "no JSON", ""} {
		given := []byte(text)
		body, err := policy.Apply(hook(), bugle.Payload{Text: given, Rendered: 1})
		if err != nil || !bytes.Equal(body.Bytes(), given) || len(given) > 0 && &body.Bytes()[0] != &given[0] {
			t.Errorf("%q became %q, %v", text, body.Bytes(), err)
		}
	}
	w, text := hook(), []byte("text")
	if n := testing.AllocsPerRun(100, func() { policy.Apply(w, bugle.Payload{Text: text}) }); n > 0 {
		t.Errorf("%g allocations", n)
	}
}

// What cannot be read, or was written by a template under another policy, is not sent at all.
func TestApply_closed(t *testing.T) {
	w := hook("email drop")
	for _, text := range []string{"", "no JSON", `{"data":{"email":"a"}`, `[{"email":"a"}]`, `"a@example.com"`, `{"data":"` + "\xff" + `"}`} {
		if body, err := policy.Apply(w, bugle.Payload{Text: []byte(text)}); err == nil || len(body.Bytes()) > 0 {
			t.Errorf("%q became %q, %v", text, body.Bytes(), err)
		}
	}
	rendered := bugle.Payload{Text: []byte("free text"), Rendered: 2}
	if body, err := policy.Apply(w, rendered); err != nil || string(body.Bytes()) != "free text" {
		t.Errorf("what a template wrote under the policy became %q, %v", body.Bytes(), err)
	}
	for _, version := range []int{1, 3} {
		rendered.Rendered = version
		if body, err := policy.Apply(w, rendered); !errors.Is(err, policy.ErrWithheld) || len(body.Bytes()) > 0 {
			t.Errorf("what a template wrote under version %d became %q, %v", version, body.Bytes(), err)
		}
	}
	w.PolicyKey = "" // it was deleted with the webhook
	body, err := policy.Apply(hookWithout(w, "email hash"), bugle.Payload{Text: []byte(`{"data":{"email":"a","b":1}}`)})
	if err != nil || string(body.Bytes()) != `{"data":{"b":1}}` {
		t.Errorf("without the key: %s, %v", body.Bytes(), err)
	}
}

func hookWithout(w *bugle.Webhook, rule string) *bugle.Webhook {
	other := *hook(rule)
	other.PolicyKey = w.PolicyKey
	return &other
}

// Nothing that is given is changed: others are still to get it.
func TestFilter_Data_leavesTheArgument(t *testing.T) {
	data := value.Map("user", value.Map("email", "a", "tags", value.List("x")), "text", `{"email":"b"}`)
	before, _ := value.JSON(data)
	policy.New(hook("email drop", "tags hash")).Data(&personnel.RankRecord, data)
	if after, _ := value.JSON(data); !bytes.Equal(before, after) {
		t.Errorf("it became %s", after)
	}
}

// What every kind's examples show of people goes with the presets, wherever it is.
func TestApply_presetsOnEveryKind(t *testing.T) {
	var rules []string
	for _, p := range bugle.FieldPresets {
		rules = append(rules, "@"+p.Name+" drop")
	}
	w := hook(rules...)
	for _, k := range personnel.Kinds() {
		for _, verb := range personnel.Verbs {
			if !k.Emits {
				continue
			}
			text, err := bugle.Envelope{Event: k.Name + "." + verb, Data: k.ExampleData(verb), Changes: value.NewArray(0)}.JSON()
			if err != nil {
				t.Fatal(err)
			}
			body, err := policy.Apply(w, bugle.Payload{Text: text})
			if err != nil {
				t.Fatal(err)
			}
			for _, personal := range []string{"Jane Roe", "jane.roe@example.com", "+1 555 0100", "For leadership under fire.", "ui-avatars"} {
				if strings.Contains(string(body.Bytes()), personal) {
					t.Errorf("%s.%s still has %q: %s", k.Name, verb, personal, body.Bytes())
				}
			}
		}
	}
}

func BenchmarkApply(b *testing.B) {
	text, err := bugle.Envelope{Event: "rankrecord.created", Data: personnel.RankRecord.ExampleData("created"), Changes: value.NewArray(0)}.JSON()
	if err != nil {
		b.Fatal(err)
	}
	for name, w := range map[string]*bugle.Webhook{"without": hook(), "email": hook("user.email drop"), "presets": hook("@contact hash", "@name hash", "@free_text drop", "@custom_fields drop")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := policy.Apply(w, bugle.Payload{Text: text}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a policy says of users holds wherever a payload leads to them.
func TestFilter_whereUsersAre(t *testing.T) {
	f := policy.New(&bugle.Webhook{FieldPolicy: []bugle.FieldRule{{Attribute: "user.email", Action: bugle.DropField}}, PolicyKey: "k"})
	for _, key := range []string{"user", "users", "author", "causer", "recipient", "recipients", "instructor", "owner", "assigned_by"} {
		got, err := value.JSON(f.Data(nil, value.Map(key, value.List(value.Map("email", "jane@example.com", "id", int64(1))))))
		if want := `{"` + key + `":[{"id":1}]}`; err != nil || string(got) != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
}
