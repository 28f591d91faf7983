package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/policy"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

const defaultFeed = 100

// feed answers with what a webhook was to get after a sequence: the texts that are sent, and their ids. It shows
// payloads, so the key needs to see deliveries too.
func (s *server) feed(q *request, id int64) error {
	if !q.key.Allows("view:delivery") {
		return bugle.ErrForbidden
	}
	in := q.filters()
	after, limit := int64(0), int64(defaultFeed)
	whole := func(name string, low, high int64, to *int64) {
		text := in.query.Get(name)
		if text == "" {
			return
		}
		n, err := strconv.ParseInt(text, 10, 64)
		switch {
		case (err != nil || n < low) && high == 0:
			in.invalid.Add(name, "The %s parameter must be a whole number from %d on, not %q.", name, low, text)
		case err != nil || n < low || high != 0 && n > high:
			in.invalid.Add(name, "The %s parameter must be a whole number from %d to %d, not %q.", name, low, high, text)
		}
		*to = n
	}
	whole("after", 0, 0, &after)
	whole("limit", 1, store.MaxLimit, &limit)
	if err := in.invalid.Err(); err != nil {
		return err
	}
	f, err := s.store.Feed(q.Context(), q.actor.OrganizationID, id, after, int(limit))
	if err != nil {
		return err
	}
	data, err := feedData(f)
	if err != nil {
		return err
	}
	return q.write(http.StatusOK, data)
}

// feedData renders a part of a feed.
func feedData(f *store.Feed) (*value.Array, error) {
	items := value.NewArray(len(f.Items))
	for i := range f.Items {
		item := &f.Items[i]
		var text any
		switch body, err := policy.Apply(f.Webhook, item.Payload); {
		case err == nil:
			text = string(body.Bytes())
		case !errors.Is(err, policy.ErrWithheld):
			return nil, err
		}
		items.Append(value.Map("sequence", item.Sequence, "message_id", bugle.MessageID(item.DeliveryID), "delivery_id", item.DeliveryID, "event", item.Event,
			"state", string(item.State), "created_at", bugle.FormatTime(item.CreatedAt), "body", text))
	}
	var first any
	if f.First != 0 {
		first = f.First
	}
	return value.Map("data", items, "meta", value.Map("next", f.Next, "more", f.More, "first_available", first, "last", f.Last, "removed", f.Removed)), nil
}

// feed adds what answers with a webhook's feed.
func (c *componentSet) feed() {
	states := value.Map("type", "string", "enum", deliveryStates())
	item := closed(value.Map("sequence", annotated(typed("integer"), "Counts what the webhook was to get from 1, without gaps."),
		"message_id", annotated(typed("string"), "What is sent as `webhook-id`."), "delivery_id", typed("integer"), "event", typed("string"),
		"state", annotated(states, "Whether it was delivered by calling the webhook. Pulling changes nothing about that."), "created_at", moment(),
		"body", annotated(nullable(typed("string")), "The JSON text that is sent, to the byte. Null if a template wrote it before the webhook's field policy became what it is.")))
	meta := closed(value.Map("next", annotated(typed("integer"), "What to send as `after` next time."), "more", annotated(typed("boolean"), "There is a next part already."),
		"first_available", annotated(nullable(typed("integer")), "The lowest sequence that was not removed; null if none is left."),
		"last", annotated(typed("integer"), "The highest sequence so far."),
		"removed", annotated(typed("integer"), "How many between `after` and `next` were removed because of their age, and are missed.")))
	example, _ := feedData(&store.Feed{Webhook: &bugle.Webhook{}, Next: 8, First: 1, Last: 8, Items: []store.FeedItem{{DeliveryID: 21, Sequence: 8, Event: "rankrecord.created", State: bugle.Delivered,
		CreatedAt: exampleMoment, Payload: bugle.Payload{Text: []byte(`{"event":"rankrecord.created","created":"2026-01-14T12:00:00.000000Z"}`)}}}})
	c.answer("Feed", "A part of the feed.", closed(value.Map("data", listOf(item), "meta", meta)), example)
}

func feedParameters() *value.Array {
	return value.Map(
		"after", numbered("after", "Only what has a higher sequence: `meta.next` of the part before.", 0, 0, nil),
		"feed_limit", numbered("limit", "How many at most; fewer if they are long.", defaultFeed, 1, int64(store.MaxLimit)))
}
