package personnel_test

import (
	"testing"

	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

func TestField_Keep(t *testing.T) {
	for _, test := range []struct {
		kind   *personnel.Kind
		field  string
		v      any
		stored any
		wanted string
	}{
		{&personnel.User, "name", "Jane", "Jane", ""},
		{&personnel.User, "name", int64(7), "7", ""},
		{&personnel.User, "name", nil, "", ""}, // a person would have to give one
		{&personnel.User, "name", true, nil, "must be a string"},
		{&personnel.User, "name", "a\x00b", nil, "must not contain a NUL character"},
		{&personnel.User, "email", "not an address", "not an address", ""},
		{&personnel.User, "approved", int64(1), true, ""},
		{&personnel.User, "approved", nil, true, ""},
		{&personnel.User, "approved", "maybe", nil, "must be true or false"},
		{&personnel.User, "created_at", "2026-01-14T12:00:00.000000Z", "2026-01-14 12:00:00", ""},
		{&personnel.User, "created_at", nil, nil, ""},
		{&personnel.User, "created_at", "soon", nil, "must be a date such as 2026-01-31 or 2026-01-31T18:00:00Z"},
		{&personnel.User, "rank_id", "5", int64(5), ""},
		{&personnel.Submission, "form_id", nil, nil, "must not be null"},
		{&personnel.Credential, "type", "medal", "medal", ""},
		{&personnel.RankRecord, "type", int64(9), int64(9), ""},
		{&personnel.RankRecord, "type", "high", nil, "must be a whole number"},
		{&personnel.Message, "channels", "pigeon", `["pigeon"]`, ""},
		{&personnel.Message, "channels", value.List("mail", "sms"), `["mail","sms"]`, ""},
		{&personnel.Message, "channels", value.Map("a", "mail"), nil, "must be a list"},
		{&personnel.Message, "recipients", value.List(int64(1), "2"), "[1,2]", ""},
		{&personnel.CustomField, "options", value.Map("a", 1.5), `{"a":1.5}`, ""},
	} {
		stored, wanted := test.kind.Field(test.field).Keep(test.v)
		if stored != test.stored || wanted != test.wanted {
			t.Errorf("%s.%s keeps %v as %v, %q; want %v, %q", test.kind.Name, test.field, test.v, stored, wanted, test.stored, test.wanted)
		}
	}
}
