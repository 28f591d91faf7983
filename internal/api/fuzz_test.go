package api_test

import (
	"testing"

	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// Whatever is sent to make a user is taken or refused, and nothing breaks.
func FuzzCreateUser(f *testing.F) {
	s := newServer(f)
	s.watch()
	for _, body := range []string{
		"", "{}", "[]", "null", `{"name":"Jane","email":"jane@example.com"}`, `{"name":"Jane","email":"jane2@example.com","rank_id":1,"approved":"1"}`,
		`{"name":5,"email":[],"notes":{},"profile_photo":"x","data":{},"id":7}`, `{"name":"\u0000","email":"a@b","created_at":"2026-01-01"}`,
		`{"name":"\ud800","email":"x"}`, `{"name":1e999}`, `{"name":"a","name":"b"}`, "\xef\xbb\xbf{}", `[[[[]]]]`, `{"":"","0":0}`,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, form bool) {
		s := s.in(t)
		media := "application/json"
		if form {
			media = "multipart/form-data; boundary=x"
		}
		a := s.send("POST", "/v2/users", string(body), "Authorization", "Bearer "+s.key, "Content-Type", media)
		switch a.status {
		case 201:
			wantEqual(t, "what show answers", s.want(200, "GET", path(&personnel.User, id(a.at("data"))), nil).text, a.text)
			s.want(200, "GET", "users", nil)
			s.want(200, "DELETE", path(&personnel.User, id(a.at("data"))), nil)
		case 422:
			if wrong, _ := a.at("error", "errors").(*value.Array); wrong.Len() == 0 {
				t.Errorf("422 without errors: %s", a.text)
			}
		case 400, 413, 415:
			a.wantIDs(t)
		default:
			t.Errorf("status %d\n%s", a.status, a.text)
		}
	})
}
