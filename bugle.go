// Package bugle holds the words of a server that keeps an organization's personnel data and calls
// webhooks when it changes:
//
//	change → event → match webhooks, run automations → delivery → attempt → log
//
// Somebody changes a resource of the personnel catalogue (package personnel): a user, a rank
// record, a calendar. The transaction that writes the change also writes an [Event], with the bytes
// that will be sent, and a [Delivery] for each [Webhook] that subscribes to it. After the commit
// everything owed is in the database; before it, nothing is visible. The deliveries of one webhook
// form its lane, which is worked with the webhook's own concurrency, rate and order, so that one
// slow receiver never delays another. Each HTTP exchange is an [Attempt], kept as the log that can
// be read back, and a failed attempt is followed by another until the delivery is delivered or its
// attempts are used up.
//
// The types here come with those rules that need neither database nor clock.
package bugle
