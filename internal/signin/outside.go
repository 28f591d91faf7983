package signin

import (
	"context"

	"github.com/buglehq/bugle"
)

// An Outside is an attempt to sign in by a provider of single sign-on, which counts with those by a password from the same address.
type Outside struct {
	a   *Authenticator
	try *try
}

// Outside begins an attempt, which counts as failed until it is said that it did not. It returns a *TooManyError if too many have failed.
func (a *Authenticator) Outside(ctx context.Context, address string) (*Outside, error) {
	t, err := a.begin(ctx, nil, "", address, limit{who: whoIs("address", bugle.Network(address)), max: maxAddress, longest: longest})
	if err != nil {
		return nil, err
	}
	return &Outside{a, t}, nil
}

// Uncount forgets the attempt: it succeeded, or it was not the visitor's fault that it did not.
func (o *Outside) Uncount() { o.a.uncount(o.try) }

// Failed tells the audit log of the attempt, as one to sign in to an account; nil: nobody's.
func (o *Outside) Failed(ctx context.Context, account *bugle.Account) error {
	if account != nil {
		o.try.accounts = []*bugle.Account{account}
	}
	return o.a.failed(ctx, o.try)
}
