package bugle

import "time"

// An Identity is who somebody is for a provider of single sign-on. It is linked to one account, which he signs in to.
type Identity struct {
	Issuer   string    // the provider's address
	Subject  string    // the provider's name of the person, which never changes
	Email    string    // as the provider had it when the identity was linked
	LinkedAt time.Time // zero: it is not
}
