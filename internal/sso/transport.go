package sso

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/buglehq/bugle/internal/delivery"
)

// A transport makes the calls to the provider by the guarded client, each within callTimeout, and reads answers up to a size:
// the libraries read them to the end.
type transport struct{ client *delivery.Client }

// maxAnswer is that of the provider's keys, which are the largest of its answers.
const maxAnswer = 1 << 20

// RoundTrip makes a transport an http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	response, err := t.client.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, errors.New("the answer is too long")
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}
