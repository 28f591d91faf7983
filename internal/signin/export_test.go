package signin

import "github.com/alexedwards/argon2id"

// Parameters are those of hashes; tests have cheaper ones.
var Parameters = parameters

func init() {
	parameters = &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// Fill leaves no room to compare passwords until the function that it returns is called.
func Fill() (empty func()) {
	for range maxWaiting {
		comparing <- struct{}{}
	}
	return func() {
		for range maxWaiting {
			<-comparing
		}
	}
}

// Occupy takes the places where passwords are hashed until the function that it returns is called.
func Occupy() (leave func()) {
	for range cap(hashing) {
		hashing <- struct{}{}
	}
	return func() {
		for range cap(hashing) {
			<-hashing
		}
	}
}

// Remembered returns how many failures are in memory.
func (a *Authenticator) Remembered() (names, order int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.failures), len(a.order)
}

// MaxRemember is how many may be.
const MaxRemember = maxRemember

// Comparing returns how many passwords are compared or wait for it.
func Comparing() int { return len(comparing) }
