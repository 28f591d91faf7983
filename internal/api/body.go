package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	defaultBodyIdle = 20 * time.Second
	maxBodyTime     = 10 * time.Minute
)

// A patientBody is the body of a request from a client that may be slow, but must not stop. Deadlines
// of the connection are real ones, whatever the server's clock shows.
type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
	idle    time.Duration
	end     time.Time     // of all patience
	answer  time.Duration // that the server leaves for the answer; 0: any
}

// newPatientBody returns the body of a request, which has to go on arriving from now on.
func newPatientBody(w http.ResponseWriter, r *http.Request, idle time.Duration) *patientBody {
	b := &patientBody{ReadCloser: r.Body, control: http.NewResponseController(w), idle: idle, end: time.Now().Add(maxBodyTime)}
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok {
		b.answer = server.WriteTimeout
	}
	b.renew()
	return b
}

// renew sets the deadline of the next read. What has no deadlines, as in tests, does without.
func (b *patientBody) renew() {
	deadline := time.Now().Add(b.idle)
	if deadline.After(b.end) {
		deadline = b.end
	}
	b.control.SetReadDeadline(deadline)
}

func (b *patientBody) Read(p []byte) (int, error) {
	b.renew()
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		if err == io.EOF {
			b.control.SetReadDeadline(time.Time{}) // else the server would take its passing for a client that is gone
		}
		if b.answer > 0 { // the server counts it from the headers
			b.control.SetWriteDeadline(time.Now().Add(b.answer))
		}
	}
	return n, err
}

// bodyError is the answer for a body that could not be read.
func (q *request) bodyError(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		q.w.Header().Set("Connection", "close")
		return &statusError{http.StatusRequestTimeout, "HttpException", "The request body took too long to arrive."}
	}
	return badRequest("The request body broke off.")
}

func tooLarge(limit int64) error {
	return &statusError{http.StatusRequestEntityTooLarge, "PostTooLargeException",
		"The request body is longer than " + strconv.FormatInt(limit, 10) + " bytes."}
}

func badRequest(message string) error {
	return &statusError{http.StatusBadRequest, "HttpException", message}
}
