package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/value"
)

// A statusError is an answer with a status of its own. The type is the name of PERSCOM's exception.
type statusError struct {
	status  int
	kind    string
	message string
}

func (e *statusError) Error() string { return e.message }

// The texts that PERSCOM's API always answers with.
const (
	unauthenticated = "You are not authenticated. Please provide a valid API key that contains your PERSCOM ID to continue."
	forbidden       = "The API key provided does not have the correct permissions and/or scopes to perform the requested action."
	notFound        = "The requested resource or endpoint could not be found."
	rateExceeded    = "You have exceeded the API rate limit. Please wait a minute before trying again."
	serverError     = "The server encountered an error while processing the request. Please try again."
	maintenance     = "The API is currently down for maintenance. Please check back later."

	// Of which PERSCOM has none.
	noRoom = "The server has no room left for its data. Nothing was changed. Please try again later."
	away   = "The server cannot reach its database. Nothing was changed. Please try again in a moment."
	unsure = "The server lost its database while it made the change, and cannot say whether it was made. Please look in a moment."
)

// fail answers with an error, and logs it if it is none of the caller's.
func (q *request) fail(err error) {
	var invalid *bugle.InvalidError
	var quota *bugle.QuotaError
	var status *statusError
	switch {
	case errors.As(err, &invalid):
		status = &statusError{http.StatusUnprocessableEntity, "ValidationException", invalid.Error()}
	case errors.As(err, &quota):
		status = q.quotaError(quota)
	case errors.As(err, &status):
	case errors.Is(err, bugle.ErrUnauthorized):
		status = &statusError{http.StatusUnauthorized, "AuthenticationException", unauthenticated}
	case errors.Is(err, bugle.ErrForbidden):
		status = &statusError{http.StatusForbidden, "HttpException", forbidden}
	case errors.Is(err, bugle.ErrNotFound):
		status = &statusError{http.StatusNotFound, "NotFoundHttpException", notFound}
	case errors.Is(err, bugle.ErrConflict):
		status = &statusError{http.StatusConflict, "ConflictHttpException", "The request conflicts with the current state: " + strings.TrimSuffix(err.Error(), ": "+bugle.ErrConflict.Error()) + "."}
	case errors.Is(err, store.ErrClosed) || q.server.store.Closed():
		status = &statusError{http.StatusServiceUnavailable, "HttpException", maintenance}
	default:
		status = brokenError(err)
		if q.Context().Err() == nil {
			q.server.o.Log.ErrorContext(q.Context(), "request failed", "method", q.Method, "path", q.URL.Path,
				"request_id", q.actor.RequestID, "trace_id", q.actor.TraceID, "error", err)
		}
	}
	body := value.NewArray(5)
	body.Set("message", status.message)
	body.Set("type", status.kind)
	body.Set("request_id", q.actor.RequestID)
	body.Set("trace_id", q.actor.TraceID)
	if invalid != nil {
		body.Set("errors", problemsByField(invalid))
	}
	h := q.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Del("Surrogate-Control")
	h.Del("Surrogate-Key")
	q.write(status.status, value.Map("error", body))
}

// brokenError is the answer to an error that is none of the caller's.
func brokenError(err error) *statusError {
	switch {
	case errors.Is(err, store.ErrNoRoom):
		return &statusError{http.StatusInsufficientStorage, "HttpException", noRoom}
	case errors.Is(err, store.ErrUnsure):
		return &statusError{http.StatusServiceUnavailable, "HttpException", unsure}
	case errors.Is(err, store.ErrAway):
		return &statusError{http.StatusServiceUnavailable, "HttpException", away}
	}
	return &statusError{http.StatusInternalServerError, "Exception", serverError}
}

func problemsByField(e *bugle.InvalidError) *value.Array {
	fields := value.NewArray(len(e.Problems))
	for _, p := range e.Problems {
		list, _ := fields.Get(p.Field)
		reasons, ok := list.(*value.Array)
		if !ok {
			reasons = value.NewArray(1)
			fields.Set(p.Field, reasons)
		}
		reasons.Append(p.Reason)
	}
	return fields
}

// write answers with JSON, as PHP writes it.
func (q *request) write(status int, body *value.Array) error {
	text, err := value.JSON(body)
	if err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	q.w.WriteHeader(status)
	if q.Method != http.MethodHead {
		q.w.Write(text) // an error here is a client that went away
	}
	return nil
}

// data answers with {"data": …}.
func (q *request) data(status int, data any) error { return q.write(status, value.Map("data", data)) }

// list answers with a page.
func (q *request) list(items *value.Array, number, limit, total int) error {
	base := q.collectionURL()
	at := func(page int) any { return base + "?page=" + strconv.Itoa(page) }
	last := max((total+limit-1)/limit, 1)
	var from, to, prev, next any
	if items.Len() > 0 {
		from, to = int64((number-1)*limit+1), int64((number-1)*limit+items.Len())
	}
	if number > 1 {
		prev = at(number - 1)
	}
	if number < last {
		next = at(number + 1)
	}
	return q.write(http.StatusOK, value.Map(
		"data", items,
		"links", value.Map("first", at(1), "last", at(last), "prev", prev, "next", next),
		"meta", value.Map(
			"current_page", int64(number), "from", from, "last_page", int64(last),
			"links", pageLinks(number, last, prev, next, at),
			"path", base, "per_page", int64(limit), "to", to, "total", int64(total)),
	))
}

// pageLinks are the entries of a pager: previous, pages around the first, current and last one with
// gaps between, next. Source: UrlWindow of Laravel's pagination, with 3 pages on each side.
func pageLinks(current, last int, prev, next any, at func(int) any) *value.Array {
	links := value.NewArray(16)
	link := func(url any, label string, page any, active bool) {
		links.Append(value.Map("url", url, "label", label, "page", page, "active", active))
	}
	pages := func(from, to int) {
		for p := from; p <= to; p++ {
			link(at(p), strconv.Itoa(p), int64(p), p == current)
		}
	}
	number := func(url any, page int) any {
		if url == nil {
			return nil
		}
		return int64(page)
	}
	gap := func() { link(nil, "...", nil, false) }
	link(prev, "&laquo; Previous", number(prev, current-1), false)
	switch {
	case last < 14:
		pages(1, last)
	case current <= 7:
		pages(1, 10)
		gap()
		pages(last-1, last)
	case current > last-7:
		pages(1, 2)
		gap()
		pages(last-9, last)
	default:
		pages(1, 2)
		gap()
		pages(current-3, current+3)
		gap()
		pages(last-1, last)
	}
	link(next, "Next &raquo;", number(next, current+1), false)
	return links
}
