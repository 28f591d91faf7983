package api

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/files"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

const (
	maxFields    = 1000 // of a form, files included
	maxFiles     = 20
	maxBrackets  = 64 // in the name of a field; PHP's max_input_nesting_level
	maxMultipart = personnel.MaxUpload + maxBody
)

// formMedia returns the type of the request's body if it says that it is a form, else the empty string.
func (q *request) formMedia() (media string, params map[string]string) {
	media, params, _ = mime.ParseMediaType(q.Request.Header.Get("Content-Type"))
	if media == "application/x-www-form-urlencoded" || media == "multipart/form-data" {
		return media, params
	}
	return "", nil
}

// spoofed returns the method that a POSTed form asks for in its field _method, or POST. The form is
// read for that, and its files stored, so the key must be good for something here.
func (q *request) spoofed(m methods) (string, error) {
	media, _ := q.formMedia()
	allowed, changes := false, false
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		if route, ok := m[method]; ok {
			changes = true
			allowed = allowed || route.scope == "" || q.key.Allows(route.scope)
		}
	}
	switch {
	case media == "" || !changes:
		return q.Method, nil
	case !allowed:
		return "", bugle.ErrForbidden
	}
	body, err := q.body()
	if err != nil || !q.isForm {
		return q.Method, err
	}
	v, _ := body.Get("_method")
	text, _ := v.(string)
	switch method := strings.ToUpper(text); method {
	case "PUT", "PATCH", "DELETE":
		return method, nil
	}
	return q.Method, nil
}

// A form collects the fields of a request as PHP would.
type form struct {
	q       *request
	fields  *value.Array
	count   int
	files   int
	text    int // bytes of names and values
	invalid bugle.InvalidError
}

var errNotUTF8 = badRequest("The request body holds text that is not UTF-8.")

// add sets a field by its name, which may have brackets.
func (f *form) add(name string, v any) error {
	text, _ := v.(string)
	if !utf8.ValidString(name) || !utf8.ValidString(text) {
		return errNotUTF8
	}
	if f.text += len(name) + len(text); f.text > maxBody {
		return tooLarge(maxBody)
	}
	keys := fieldKeys(name)
	if len(keys) > maxBrackets {
		return badRequest("The request body has a field nested more than " + strconv.Itoa(maxBrackets) + " levels deep.")
	}
	if len(keys) == 0 {
		return nil // as in PHP
	}
	at := f.fields
	for _, key := range keys[:len(keys)-1] {
		there, _ := at.Get(key)
		inner, ok := there.(*value.Array)
		if !ok {
			inner = value.NewArray(1)
			if !put(at, key, inner) {
				return nil
			}
		}
		at = inner
	}
	put(at, keys[len(keys)-1], v)
	return nil
}

// put sets a key, or appends if it is empty. It reports false if there is no number left to append
// under.
func put(a *value.Array, key string, v any) bool {
	if key != "" {
		a.Set(key, v)
		return true
	}
	if _, full := a.GetInt(1<<63 - 1); full {
		return false
	}
	a.Append(v)
	return true
}

// fieldKeys splits the name of a form's field at its brackets, as PHP does: "a[b][]" is "a", "b" and
// "", the key that appends. The first key has no spaces and dots; a bracket that is not closed ends
// the name. A name of nothing has no keys.
// Source: php_register_variable_ex in PHP's main/php_variables.c.
func fieldKeys(name string) []string {
	name = strings.TrimLeft(name, " ")
	first, rest := name, ""
	if bracket := strings.IndexByte(name, '['); bracket >= 0 {
		first, rest = name[:bracket], name[bracket:]
	}
	if first == "" {
		return nil
	}
	plain := strings.NewReplacer(" ", "_", ".", "_", "[", "_")
	keys := []string{plain.Replace(first)}
	for strings.HasPrefix(rest, "[") {
		key, after, closed := strings.Cut(rest[1:], "]")
		if !closed {
			if len(keys) == 1 {
				keys[0] += plain.Replace(rest)
			}
			break
		}
		keys, rest = append(keys, strings.TrimLeft(key, " \t\r\n")), after
		if len(keys) > maxBrackets {
			break
		}
	}
	return keys
}

// dotted is how a field is called in the errors of an answer: "resources.0.image".
func dotted(name string) string { return strings.Join(fieldKeys(name), ".") }

// countField counts one more field.
func (f *form) countField() error {
	if f.count++; f.count > maxFields {
		return badRequest("The request body has more than " + strconv.Itoa(maxFields) + " fields.")
	}
	return nil
}

// urlencoded reads name=value pairs joined by &.
func (q *request) urlencoded(body io.Reader) (*value.Array, error) {
	text, err := q.text(body)
	if err != nil {
		return nil, err
	}
	f := form{q: q, fields: value.NewArray(8)}
	for pair := range strings.SplitSeq(string(text), "&") {
		if pair == "" {
			continue
		}
		if err := f.countField(); err != nil {
			return nil, err
		}
		name, v, _ := strings.Cut(pair, "=")
		if err := f.add(unescape(name), unescape(v)); err != nil {
			return nil, err
		}
	}
	return f.fields, nil
}

// unescape decodes + and %20; what is no such code stays as it is.
func unescape(text string) string {
	if !strings.ContainsAny(text, "%+") {
		return text
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '+':
			plain = append(plain, ' ')
		case c == '%' && i+2 < len(text):
			n, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
			if err != nil {
				plain = append(plain, c)
				continue
			}
			plain = append(plain, byte(n))
			i += 2
		default:
			plain = append(plain, c)
		}
	}
	return string(plain)
}

// multipart reads the parts of a body, and stores its files.
func (q *request) multipart(body io.Reader, boundary string) (*value.Array, error) {
	if boundary == "" {
		return nil, badRequest("The request body is announced as multipart/form-data without a boundary.")
	}
	f := form{q: q, fields: value.NewArray(8)}
	parts := multipart.NewReader(body, boundary)
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, q.bodyError(err)
		}
		if err := f.part(part); err != nil {
			return nil, err
		}
	}
	if _, err := io.Copy(io.Discard, body); err != nil { // what follows the last part
		return nil, q.bodyError(err)
	}
	return f.fields, f.invalid.Err()
}

// part takes one part of a body.
func (f *form) part(part *multipart.Part) error {
	if err := f.countField(); err != nil {
		return err
	}
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	name := params["name"]
	if err != nil || name == "" {
		return badRequest("The request body has a part without a name.")
	}
	if filename, isFile := params["filename"]; isFile {
		return f.file(name, filename, part)
	}
	text, err := io.ReadAll(io.LimitReader(part, int64(maxBody-f.text+1)))
	if err != nil {
		return f.q.bodyError(err)
	}
	return f.add(name, string(text))
}

// file stores a file and sets its field. One that cannot be kept is a problem of the field.
func (f *form) file(name, filename string, part io.Reader) error {
	if f.files++; f.files > maxFiles {
		return badRequest("The request body has more than " + strconv.Itoa(maxFiles) + " files.")
	}
	folder := f.q.server.o.Files
	if folder == nil {
		f.invalid.Add(dotted(name), "The %s field must not be a file: uploads are not possible here.", dotted(name))
		return nil
	}
	if !utf8.ValidString(name) {
		return errNotUTF8
	}
	source := &source{Reader: part}
	quotas, err := f.q.server.store.Quotas(f.q.Context(), f.q.actor.OrganizationID)
	if err != nil {
		return err
	}
	u, err := folder.PutWithin(quotas.Storage, f.q.actor.OrganizationID, filename, source, personnel.MaxUpload)
	switch {
	case errors.Is(err, files.ErrTooLarge):
		f.invalid.Add(dotted(name), "The %s field must not be greater than %d kilobytes.", dotted(name), personnel.MaxUpload>>10)
		return nil
	case source.err != nil:
		return f.q.bodyError(source.err)
	case err != nil:
		return err
	}
	f.q.uploads = append(f.q.uploads, u)
	if filename == "" && u.Size == 0 {
		return nil // what browsers send for a choice of no file
	}
	return f.add(name, u)
}

// A source remembers whether it failed, to tell a client that breaks off from a disk that is full.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != io.EOF {
		s.err = err
	}
	return n, err
}

// removeUploads removes the files that came with the request and that no change has kept.
func (q *request) removeUploads() {
	var paths []string
	for _, u := range q.uploads {
		if !u.Kept {
			paths = append(paths, u.Path)
		}
	}
	q.uploads = nil
	if len(paths) == 0 {
		return
	}
	if err := q.server.o.Files.Remove(paths...); err != nil {
		q.server.o.Log.ErrorContext(q.Context(), "removing uploads failed", "request_id", q.actor.RequestID, "error", err)
	}
}
