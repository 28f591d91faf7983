package bugle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle"
)

func TestParseQuotas(t *testing.T) {
	for text, want := range map[string]bugle.Quotas{
		"":                               {},
		"webhooks=100":                   {Webhooks: 100},
		" webhooks = 5 , automations=6,": {Webhooks: 5, Automations: 6},
		"events=600,backlog=100000":      {Events: 600, Backlog: 100000},
		"storage=2GiB":                   {Storage: 2 << 30},
		"storage=1 KiB,webhooks=none":    {Storage: 1 << 10},
		"storage=5":                      {Storage: 5},
	} {
		if got, err := bugle.ParseQuotas(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, part := range map[string]string{
		"hooks=1":                 `"hooks=1", want webhooks, automations, events, backlog, storage, = and a number`,
		"webhooks":                `"webhooks", want a whole number from 1 on, or none`,
		"webhooks=0":              `"webhooks=0"`,
		"webhooks=-1":             `"webhooks=-1"`,
		"webhooks=1KiB":           `"webhooks=1KiB"`,
		"storage=1GB":             `"storage=1GB", want bytes, such as 500MiB or 2GiB, or none`,
		"storage=9999999999GiB":   `"storage=9999999999GiB"`,
		"webhooks=x,automation=1": `"webhooks=x", want a whole number from 1 on, or none; "automation=1"`,
	} {
		if _, err := bugle.ParseQuotas(text); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v, want %s", text, err, part)
		}
	}
}

func TestQuotaChoice(t *testing.T) {
	choice, defaults, err := bugle.ParseQuotaChoice([]string{"webhooks=none", "storage=1MiB", "events=default"})
	if err != nil || len(defaults) != 1 || defaults[0] != "events" {
		t.Fatalf("%v, %v, %v", choice, defaults, err)
	}
	if got, want := choice.Over(bugle.Quotas{Webhooks: 3, Events: 9}), (bugle.Quotas{Events: 9, Storage: 1 << 20}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestSizeText(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1536: "1.5 KiB", 2 << 30: "2 GiB", 5 << 50: "5120 TiB"} {
		if got := bugle.SizeText(bytes); got != want {
			t.Errorf("%d is %q, want %q", bytes, got, want)
		}
	}
}

func TestQuotaError(t *testing.T) {
	for want, e := range map[string]bugle.QuotaError{
		"Your organization may have 3 webhooks, and has as many.":                       {Quota: "webhooks", Limit: 3},
		"events a minute, and would cause more. Nothing was changed. Try again in 13 s": {Quota: "events", Limit: 3, Wait: 12*time.Second + 1},
		"3 deliveries of your organization may be pending":                              {Quota: "backlog", Limit: 3, Wait: time.Second},
		"may take 3 MiB, and would take more":                                           {Quota: "storage", Limit: 3 << 20},
	} {
		if got := e.Error(); !strings.Contains(got, want) {
			t.Errorf("%q, want %q in it", got, want)
		}
	}
	if got := (&bugle.QuotaError{}).Seconds(); got != 0 {
		t.Errorf("nothing to wait for is %d seconds", got)
	}
}
