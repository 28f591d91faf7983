package sso

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// A flow is a sign-in under way. The browser keeps it, sealed, so that the server need not, and so that it comes back to the browser
// that it began in.
type flow struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // of PKCE
	Next     string `json:"to"`
	Until    int64  `json:"t"` // seconds
}

// A sealer encrypts flows, with a key that all servers with the same client have.
type sealer struct{ cipher.AEAD }

func newSealer(secret string) (sealer, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "bugle sign-in under way", 32)
	if err != nil {
		return sealer{}, fmt.Errorf("derive a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("derive a key: %w", err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{gcm}, err
}

func (s sealer) seal(f flow) (string, error) {
	text, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("seal a sign-in: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.Seal(nil, nil, text, nil)), nil
}

// maxKept bounds what a browser may send back.
const maxKept = 4096

func (s sealer) open(kept string) (flow, error) {
	var f flow
	if kept == "" || len(kept) > maxKept {
		return f, errors.New("nothing that was sealed")
	}
	sealed, err := base64.RawURLEncoding.DecodeString(kept)
	if err != nil {
		return f, err
	}
	text, err := s.Open(nil, nil, sealed, nil)
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(text, &f)
}
