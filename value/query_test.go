package value

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"testing"
)

func TestQuery_writesAsPHP(t *testing.T) {
	tests := []struct {
		name string
		a    *Array
		want string
	}{
		{"empty", &Array{}, ``},
		{"order", Map("b", 1, "a", 2), `b=1&a=2`},
		{"nested", Map("a", Map("b", List("x", "y"))), `a%5Bb%5D%5B0%5D=x&a%5Bb%5D%5B1%5D=y`},
		{"three levels", Map("a", Map("b", Map("c", 1), "d", 2), "e", 3),
			`a%5Bb%5D%5Bc%5D=1&a%5Bd%5D=2&e=3`},
		{"list at the top", List("x", List(1)), `0=x&1%5B0%5D=1`},
		{"booleans", Map("t", true, "f", false), `t=1&f=0`},
		{"null goes", Map("a", nil, "b", 1, "c", nil), `b=1`},
		{"empty arrays go", Map("a", List(), "b", 1, "c", Map("d", List())), `b=1`},
		{"indexes stay when a value goes", List(nil, "x"), `1=x`},
		{"empty string stays", Map("a", ""), `a=`},
		{"integers", Map("a", math.MinInt64), `a=-9223372036854775808`},
		{"negative keys", Map("a", Map(-1, "x")), `a%5B-1%5D=x`},
		{"unreserved", Map("a", "AZaz09-_.~"), `a=AZaz09-_.~`},
		{"reserved", Map("a", " +/?#[]@!$&'()*,;=:%\"<>^`{|}\\"),
			`a=%20%2B%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2C%3B%3D%3A%25%22%3C%3E%5E%60%7B%7C%7D%5C`},
		{"other bytes", Map("a", "é\x00\x7f\xff"), `a=%C3%A9%00%7F%FF`},
		{"keys", Map("a b", Map("[é]", 1)), `a%20b%5B%5B%C3%A9%5D%5D=1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Query(tt.a); got != tt.want {
				t.Errorf("\ngot  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestQuery_floats(t *testing.T) {
	tests := []struct {
		f    float64
		want string
	}{
		{0, `0`},
		{math.Copysign(0, -1), `-0`},
		{1, `1`},
		{-2.5, `-2.5`},
		{0.30000000000000004, `0.3`},
		{10.0 / 3, `3.3333333333333`},
		{0.12345678901234567, `0.12345678901235`},
		{29000000000000.7123123, `29000000000001`},
		{99999999999999.9, `1.0E%2B14`},
		{12345678901234, `12345678901234`},
		{1e14, `1.0E%2B14`},
		{1e15, `1.0E%2B15`},
		{1234567890123456, `1.2345678901235E%2B15`},
		{0.0001, `0.0001`},
		{0.00001, `1.0E-5`},
		{math.NaN(), `NAN`},
		{math.Inf(1), `INF`},
		{math.Inf(-1), `-INF`},
	}
	for _, tt := range tests {
		if got := Query(Map("f", tt.f)); got != "f="+tt.want {
			t.Errorf("%v: got %s, want f=%s", tt.f, got, tt.want)
		}
	}
}

func TestQuery_leavesOutWhatIsNoValue(t *testing.T) {
	a := Map("a", int32(1), "b", 2, "deep", nested(600), "c", 3)
	inner := List("x")
	for range 511 {
		inner = List(inner)
	}
	a.Set("deepest", inner)
	if got := Query(a); got != `b=2&c=3` {
		t.Errorf("got %.80s", got)
	}
	if got := Query(endless()); got != "" {
		t.Errorf("got %.80s", got)
	}
}

func TestAppendQuery_appends(t *testing.T) {
	if got := string(AppendQuery([]byte("/hook?"), Map("a", 1, "b", 2))); got != "/hook?a=1&b=2" {
		t.Errorf("got %s", got)
	}
}

// A webhook's body, its signature, and the query of the same webhook by GET, for which PHP omits
// the date object that created still is.
const (
	webhookSecret    = "0123456789abcdef0123456789abcdef"
	webhookBody      = `{"event":"calendar.updated","created":"2026-01-14T12:00:00.123456Z","request_id":"9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11","trace_id":"2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21","data":{"id":2,"name":"\u00dcbungen \/ \"Ops\"","description":null,"color":"#2563eb","created_at":"2026-01-01T00:00:00.000000Z","updated_at":"2026-01-14T12:00:00.000000Z","label":"Calendar: 2"},"changes":{"name":"\u00dcbungen \/ \"Ops\"","updated_at":"2026-01-14 12:00:00"}}`
	webhookSignature = "916122b9ba899fbbc4f3da0e1ce574598cb7c3267e2668ab95707442987270fa"
	webhookQuery     = `event=calendar.updated&request_id=9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11&trace_id=2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21&data%5Bid%5D=2&data%5Bname%5D=%C3%9Cbungen%20%2F%20%22Ops%22&data%5Bcolor%5D=%232563eb&data%5Bcreated_at%5D=2026-01-01T00%3A00%3A00.000000Z&data%5Bupdated_at%5D=2026-01-14T12%3A00%3A00.000000Z&data%5Blabel%5D=Calendar%3A%202&changes%5Bname%5D=%C3%9Cbungen%20%2F%20%22Ops%22&changes%5Bupdated_at%5D=2026-01-14%2012%3A00%3A00`
)

func TestWebhook_isByteForByte(t *testing.T) {
	if len(webhookBody) != 444 {
		t.Fatalf("the vector has %d bytes, want 444", len(webhookBody))
	}
	v, err := Decode([]byte(webhookBody))
	if err != nil {
		t.Fatal(err)
	}
	envelope := v.(*Array)
	wantJSON(t, envelope, webhookBody)
	wantSignature(t, envelope, webhookSignature)

	query := envelope.Clone()
	query.Delete("created")
	if got := Query(query); got != webhookQuery {
		t.Errorf("\ngot  %s\nwant %s", got, webhookQuery)
	}

	envelope.Set("changes", List())
	wantSignature(t, envelope, "dfad924445b84ad53ec5821d55f841233e754808e4b2b3c419e2e3420281027e")
	query.Set("changes", List())
	want, _, _ := strings.Cut(webhookQuery, "&changes")
	if got := Query(query); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

func TestWebhook_builtInGo(t *testing.T) {
	envelope := Map(
		"event", "webhook.test",
		"created", "2026-01-14T12:00:00.123456Z",
		"request_id", "9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11",
		"trace_id", "2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21",
		"data", Map("status", "ok"),
		"changes", nil,
	)
	wantSignature(t, envelope, "2d1757d9e8cc20a62524dd8a808e732938914611af1e21dbdf028df6feaa4c9a")
}

func wantSignature(t *testing.T, envelope *Array, want string) {
	t.Helper()
	body, err := JSON(envelope)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write(body)
	if got := hex.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("%s\nhas signature %s, want %s", body, got, want)
	}
}

// document is a typical webhook body of about 1 KB.
const document = `{"event":"rankrecord.created","created":"2026-01-14T12:00:00.123456Z","request_id":"9b1f6f0e-6f0a-4c8e-9d55-0c0f6a3f3b11","trace_id":"2c1d7a52-53a6-4f5c-8f43-7f6f7b0d9e21","data":{"id":31,"user_id":12,"rank_id":4,"document_id":null,"author_id":1,"text":"Promoted for the \u00dcbungen \/ \"Ops\" in January.","type":0,"created_at":"2026-01-14T12:00:00.000000Z","updated_at":"2026-01-14T12:00:00.000000Z","label":"Rank Record: 31","document_parsed":null,"user":{"id":12,"name":"J\u00f6rg M\u00fcller","email":"joerg@example.org","rank_id":4,"unit_id":3,"position_id":7,"approved":true,"last_seen_at":"2026-01-14T11:58:03.000000Z","created_at":"2025-03-01T08:00:00.000000Z","updated_at":"2026-01-14T12:00:00.000000Z","label":"User: 12","display_name":"Sgt. J\u00f6rg M\u00fcller","online":true,"profile_photo_url":null,"cover_photo_url":"https:\/\/example.org\/storage\/covers\/12.jpg","score":0.75},"rank":{"id":4,"name":"Sergeant","abbreviation":"Sgt","paygrade":"E-5","order":4}},"changes":[]}`
