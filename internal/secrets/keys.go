// Package secrets keeps the keys by which secrets are encrypted in the database, and encrypts with them. The keys are a
// keyset of Tink, of keys for AEAD; each ciphertext begins with the id of its key.
package secrets

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// A KeyID names a key of a keyset.
type KeyID uint32

// MaxKeys is how many keys a keyset may have: more than rotations leave behind.
const MaxKeys = 64

// Keys are a keyset. They do not change: what adds or removes a key returns other Keys.
type Keys struct {
	handle  *keyset.Handle
	primary KeyID
	ids     []KeyID // in the order of the keyset
	with    map[KeyID]tink.AEAD
}

// inJSON is held while a keyset is read or written as JSON. Protobuf does that by reflection, and what reflection keeps of types
// at their first use the race detector takes for a race between two that begin at once.
var inJSON sync.Mutex

// New returns a keyset of one new key, for AES-256 in Galois/counter mode.
func New() (*Keys, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return fromHandle(handle)
}

// Parse reads a keyset in Tink's JSON. An error does not say what was read.
func Parse(text []byte) (*Keys, error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil, errors.New("it is empty, want a keyset in Tink's JSON, such as \"bugle secrets new\" prints")
	}
	inJSON.Lock()
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	inJSON.Unlock()
	if err != nil {
		return nil, fmt.Errorf("its %d bytes are no keyset in Tink's JSON, such as \"bugle secrets new\" prints", len(text))
	}
	return fromHandle(handle)
}

func fromHandle(handle *keyset.Handle) (*Keys, error) {
	info := handle.KeysetInfo()
	if len(info.KeyInfo) > MaxKeys {
		return nil, fmt.Errorf("the keyset has %d keys, want at most %d: \"bugle secrets prune\" removes those that nothing needs", len(info.KeyInfo), MaxKeys)
	}
	k := &Keys{handle: handle, primary: KeyID(info.PrimaryKeyId), with: map[KeyID]tink.AEAD{}}
	for _, key := range info.KeyInfo {
		id := KeyID(key.KeyId)
		if key.OutputPrefixType != tinkpb.OutputPrefixType_TINK {
			return nil, fmt.Errorf("key %d writes no id before what it encrypts, want Tink's output prefix", id)
		}
		if key.Status != tinkpb.KeyStatusType_ENABLED {
			continue
		}
		manager := keyset.NewManagerFromHandle(handle)
		if err := manager.SetPrimary(uint32(id)); err != nil {
			return nil, fmt.Errorf("key %d cannot be used: %w", id, err)
		}
		first, err := manager.Handle()
		if err != nil {
			return nil, fmt.Errorf("key %d cannot be used: %w", id, err)
		}
		if k.with[id], err = aead.New(first); err != nil {
			return nil, errors.New("the keyset has keys of another kind, want keys for AEAD, such as AES256_GCM")
		}
		k.ids = append(k.ids, id)
	}
	return k, nil
}

// Text is the keyset in Tink's JSON, with the keys as they are.
func (k *Keys) Text() ([]byte, error) {
	inJSON.Lock()
	defer inJSON.Unlock()
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(k.handle, keyset.NewJSONWriter(&text)); err != nil {
		return nil, fmt.Errorf("write the keyset: %w", err)
	}
	return append(bytes.TrimSpace(text.Bytes()), '\n'), nil
}

// Primary is the key that the keyset names for what is new.
func (k *Keys) Primary() KeyID { return k.primary }

// IDs are those of the keys that can be used.
func (k *Keys) IDs() []KeyID { return slices.Clone(k.ids) }

// Has reports whether there is a key with the id.
func (k *Keys) Has(id KeyID) bool { return k.with[id] != nil }

// Add returns the keys and a new one, which is not the primary one yet, and its id.
func (k *Keys) Add() (*Keys, KeyID, error) {
	manager := keyset.NewManagerFromHandle(k.handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, 0, fmt.Errorf("make a key: %w", err)
	}
	more, err := k.changed(manager)
	return more, KeyID(id), err
}

// Use returns the keys with another primary one.
func (k *Keys) Use(id KeyID) (*Keys, error) {
	manager := keyset.NewManagerFromHandle(k.handle)
	if err := manager.SetPrimary(uint32(id)); err != nil {
		return nil, fmt.Errorf("make key %d the primary one: %w", id, err)
	}
	return k.changed(manager)
}

// Without returns the keys without one, which must not be the primary one.
func (k *Keys) Without(id KeyID) (*Keys, error) {
	manager := keyset.NewManagerFromHandle(k.handle)
	if err := manager.Delete(uint32(id)); err != nil {
		return nil, fmt.Errorf("remove key %d: %w", id, err)
	}
	return k.changed(manager)
}

func (k *Keys) changed(manager *keyset.Manager) (*Keys, error) {
	handle, err := manager.Handle()
	if err != nil {
		return nil, err
	}
	return fromHandle(handle)
}

// Seal encrypts a text with a key. It opens only with the same about, which says what and whose it is.
func (k *Keys) Seal(id KeyID, text, about []byte) ([]byte, error) {
	with := k.with[id]
	if with == nil {
		return nil, fmt.Errorf("there is no key %d", id)
	}
	return with.Encrypt(text, about)
}

// Open decrypts what was sealed.
func (k *Keys) Open(sealed, about []byte) ([]byte, error) {
	id, ok := SealedWith(sealed)
	if !ok {
		return nil, errors.New("it was not encrypted by Bugle")
	}
	with := k.with[id]
	if with == nil {
		return nil, fmt.Errorf("it was encrypted with key %d, which is not there", id)
	}
	text, err := with.Decrypt(sealed, about)
	if err != nil {
		return nil, fmt.Errorf("it does not open with key %d: it was changed, or belongs to something else", id)
	}
	return text, nil
}

// SealedWith returns the id of the key with which something was sealed, by the prefix that Tink gives it.
func SealedWith(sealed []byte) (KeyID, bool) {
	if len(sealed) < 5 || sealed[0] != 1 {
		return 0, false
	}
	return KeyID(binary.BigEndian.Uint32(sealed[1:5])), true
}
