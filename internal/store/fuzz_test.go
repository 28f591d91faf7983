package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/storetest"
	"github.com/buglehq/bugle/value"
)

// Whatever JSON is sent for whatever kind, the request is refused, or stored and can be read back,
// rendered, changed by the same once more, and deleted.
func FuzzCreate(f *testing.F) {
	for i, k := range made() {
		f.Add(i, `{"name":"?","email":"jane@example.com","title":null,"text":"?","type":"primary","color":"#fff","all_day":true,"starts":"2026-01-14","ends":""}`)
		f.Add(i, `{"`+k.Fields[1].Name+`":[{}],"created_at":"9999-12-31","order":"7","channels":["mail"],"recipients":["1"],"options":{"a":[1.5]}}`)
	}
	s, _ := storetest.New(f)
	ctx := context.Background()
	f.Fuzz(func(t *testing.T, kind int, text string) {
		kinds := made()
		k := kinds[uint(kind)%uint(len(kinds))]
		decoded, err := value.Decode([]byte(text))
		sent, ok := decoded.(*value.Array)
		if err != nil || !ok {
			t.Skip("the fuzzer made what is no JSON object")
		}
		r, err := create(s, storetest.Actor(), k, sent)
		if invalid := (*bugle.InvalidError)(nil); errors.As(err, &invalid) {
			return
		} else if err != nil {
			t.Fatalf("%s for a %s: %v", text, k.Name, err)
		}
		read, err := s.Get(ctx, 1, k, r.ID())
		if err != nil {
			t.Fatal(err)
		}
		first := jsonText(t, render(t, s, read))
		if _, err := change(s, k, r.ID(), sent); err != nil {
			t.Errorf("%s for a %s the second time: %v", text, k.Name, err)
		}
		wantText(t, jsonText(t, render(t, s, get(t, s, k, r.ID()))), first)
		storetest.Delete(t, s, k, r.ID())
	})
}
