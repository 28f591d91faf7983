package api

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// A request is one to be answered, with what is known of who asks. It is the ResponseWriter that the
// mux hands to methods, which is how it gets there.
type request struct {
	*http.Request
	w      http.ResponseWriter
	server *server
	key    *bugle.APIKey
	actor  store.Actor
	v1     bool

	included []string // relations that the body asks for

	parsed  *value.Array // the body, once it is read
	isForm  bool         // it came as a form
	uploads []*personnel.Upload
}

func (q *request) Header() http.Header         { return q.w.Header() }
func (q *request) Write(b []byte) (int, error) { return q.w.Write(b) }
func (q *request) WriteHeader(status int)      { q.w.WriteHeader(status) }

// identify finds the key, if there is a valid one, and counts the request.
func (q *request) identify() error {
	text, isBearer := bearer(q.Request.Header.Get("Authorization"))
	if !isBearer {
		text = q.URL.Query().Get("apikey")
	}
	key, err := q.lookUp(text)
	if err != nil && !errors.Is(err, bugle.ErrUnauthorized) {
		return err
	}
	who, limit := "address "+bugle.Network(address(q.Request)), q.server.o.GuestLimit
	if key != nil {
		who, limit = "key "+strconv.FormatInt(key.ID, 10), q.server.o.KeyLimit
		q.key = key
		q.server.o.KeyUses.note(key.ID, address(q.Request))
		q.actor.OrganizationID, q.actor.UserID, q.actor.Limited = key.OrganizationID, key.UserID, true
	}
	return q.server.limits.count(q.w.Header(), who, limit)
}

func (q *request) lookUp(text string) (*bugle.APIKey, error) {
	if text == "" {
		return nil, bugle.ErrUnauthorized
	}
	key, err := q.server.store.Key(q.Context(), text)
	if errors.Is(err, bugle.ErrNotFound) || err == nil && !key.Valid(q.server.o.Clock.Now()) {
		return nil, bugle.ErrUnauthorized
	}
	if err != nil {
		return nil, err
	}
	// With a single organization the header says nothing, as in PERSCOM's single-tenant mode.
	if asked := q.Request.Header.Get("X-Perscom-Id"); asked != "" && asked != strconv.FormatInt(key.OrganizationID, 10) {
		organizations, err := q.server.store.Organizations(q.Context(), 2)
		if err != nil {
			return nil, err
		}
		if len(organizations) > 1 {
			return nil, bugle.ErrUnauthorized
		}
	}
	return key, nil
}

// asAuthor makes what the request changes of the configuration that of its key.
func (q *request) asAuthor() {
	author := bugle.Author{Kind: bugle.ByKey, ID: q.key.ID, Name: q.key.Name, Address: address(q.Request), RequestID: q.actor.RequestID}
	q.Request = q.WithContext(store.WithAuthor(q.Context(), author))
}

func bearer(header string) (string, bool) {
	scheme, text, _ := strings.Cut(header, " ")
	text = strings.TrimSpace(text)
	return text, strings.EqualFold(scheme, "Bearer") && text != ""
}

// id returns the id in the path. What is no id names nothing.
func (q *request) id() (int64, error) {
	id, err := strconv.ParseInt(q.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, bugle.ErrNotFound
	}
	return id, nil
}

const defaultLimit = 15

// page returns the part of a list that the query asks for. Numbers that make no sense are the
// default, as in PERSCOM.
func (q *request) page() store.PageRequest {
	p := store.PageRequest{Number: 1, Limit: defaultLimit}
	query := q.URL.Query()
	if n, err := strconv.Atoi(query.Get("page")); err == nil && n > 0 {
		p.Number = min(n, 1<<31/store.MaxLimit)
	}
	if n, err := strconv.Atoi(query.Get("limit")); err == nil && n > 0 {
		p.Limit = min(n, store.MaxLimit)
	}
	return p
}

// maxSkipped is how much of a body that is too large is received for nothing.
const maxSkipped = 32 << 20

// body returns the JSON object or the form that the request brings; no body, and an empty list, are
// an empty one. JSON that is announced as a form, as curl does unless told otherwise, is read all the
// same.
func (q *request) body() (*value.Array, error) {
	if q.parsed != nil {
		return q.parsed, nil
	}
	media, params := q.formMedia()
	limit := int64(maxBody)
	if media == "multipart/form-data" {
		limit = maxMultipart
	}
	if q.ContentLength > limit {
		// Clients look for the answer once they have sent everything.
		if _, err := io.CopyN(io.Discard, q.Body, min(q.ContentLength, maxSkipped)); err != nil {
			return nil, q.bodyError(err)
		}
		return nil, tooLarge(limit)
	}
	body := bufio.NewReader(http.MaxBytesReader(q.w, q.Body, limit))
	first, err := firstByte(body)
	if err != nil && err != io.EOF {
		return nil, q.bodyError(err)
	}
	q.isForm = media != "" && first != '{' && first != '['
	switch {
	case err == io.EOF:
		q.parsed, err = value.NewArray(0), nil
	case !q.isForm:
		q.parsed, err = q.json(body)
	case media == "multipart/form-data":
		q.parsed, err = q.multipart(body, params["boundary"])
	default:
		q.parsed, err = q.urlencoded(body)
	}
	return q.parsed, err
}

// firstByte looks at the first byte that is no space, and skips the spaces.
func firstByte(r *bufio.Reader) (byte, error) {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if !strings.ContainsRune(" \t\r\n", rune(b)) {
			return b, r.UnreadByte()
		}
	}
}

// text reads a body that is one text.
func (q *request) text(body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err != nil {
		return nil, q.bodyError(err)
	}
	if len(text) > maxBody {
		return nil, tooLarge(maxBody)
	}
	return text, nil
}

func (q *request) json(body io.Reader) (*value.Array, error) {
	text, err := q.text(body)
	if err != nil {
		return nil, err
	}
	decoded, err := value.Decode(text)
	if err != nil {
		return nil, badRequest("The request body is " + err.Error() + ".")
	}
	if deeper(decoded, maxNesting) {
		return nil, badRequest("The request body is nested more than " + strconv.Itoa(maxNesting) + " levels deep.")
	}
	object, ok := decoded.(*value.Array)
	if !ok || object.Len() > 0 && object.IsList() {
		return nil, badRequest("The request body must be a JSON object, not " + value.Describe(decoded) + ".")
	}
	return object, nil
}

// maxNesting leaves room below the 512 levels that JSON may have: what is sent comes back within a
// resource within an envelope within an answer.
const maxNesting = 480

// deeper reports whether more than so many arrays and objects are nested in v.
func deeper(v any, levels int) bool {
	array, ok := v.(*value.Array)
	if !ok || levels == 0 {
		return ok
	}
	for _, item := range array.All() {
		if deeper(item, levels-1) {
			return true
		}
	}
	return false
}

// view is how resources are rendered in the answer.
func (q *request) view() (*personnel.View, error) {
	v, err := q.server.store.View(q.Context(), q.actor.OrganizationID)
	if err != nil {
		return nil, err
	}
	v.V1 = q.v1
	if v.BaseURL == "" {
		v.BaseURL = q.baseURL()
	}
	return v, nil
}

// baseURL is the address under which this server is asked.
func (q *request) baseURL() string {
	if q.server.o.PublicURL != "" {
		return q.server.o.PublicURL
	}
	scheme := "http"
	if q.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + q.Host
}

// collectionURL is the address of the path that is asked, without its query.
func (q *request) collectionURL() string {
	version := "/v2"
	if q.v1 {
		version = "/v1"
	}
	return q.baseURL() + version + q.URL.Path
}
