package signin

import (
	"context"

	"github.com/buglehq/bugle"
)

// An Outside is an attempt to sign in by a provider of single sign-on, which counts with those by a password from the same address.
type Outside struct {
	a       *Authenticator
	address string
	limits  []limit
}

// Outside begins an attempt, which counts as failed until it is said that it did not. It returns a *TooManyError if too many have failed.
func (a *Authenticator) Outside(address string) (*Outside, error) {
	o := &Outside{a, network(address), []limit{{whoIs("address", network(address)), maxAddress}}}
	if wait := a.begin(o.limits); wait > 0 {
		return nil, &TooManyError{wait}
	}
	return o, nil
}

// Uncount forgets the attempt: it succeeded, or it was not the visitor's fault that it did not.
func (o *Outside) Uncount() { o.a.uncount(o.limits) }

// Failed tells the audit log of the attempt, as one to sign in to an account; nil: nobody's.
func (o *Outside) Failed(ctx context.Context, account *bugle.Account) error {
	var accounts []*bugle.Account
	if account != nil {
		accounts = append(accounts, account)
	}
	return o.a.tell(ctx, accounts, o.address)
}
