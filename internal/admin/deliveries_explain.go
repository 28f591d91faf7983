package admin

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/buglehq/bugle"
)

// An explanation says how an attempt ended, and what an admin can do about it.
type explanation struct {
	OK     bool
	Text   string // a sentence
	Advice string // a sentence or two; empty: there is nothing to do
}

// errorWords are the kinds of errors in a word or two, in the order in which a request runs into them.
var errorWords = []struct {
	kind bugle.ErrorKind
	text string
}{
	{bugle.ErrorConfig, "Not set up"}, {bugle.ErrorBlocked, "Address not allowed"}, {bugle.ErrorDNS, "Unknown host"},
	{bugle.ErrorConnect, "No connection"}, {bugle.ErrorTLS, "Certificate problem"}, {bugle.ErrorTimeout, "No answer in time"},
	{bugle.ErrorRedirect, "Redirected"}, {bugle.ErrorStatus, "Refused by the receiver"}, {bugle.ErrorBody, "Answer broke off"},
	{bugle.ErrorProxy, "Proxy problem"}, {bugle.ErrorCancelled, "Cancelled"},
}

func errorWord(kind bugle.ErrorKind) string {
	for _, w := range errorWords {
		if w.kind == kind {
			return w.text
		}
	}
	return title(string(kind))
}

// explain says what an attempt means in words for an admin. The webhook, or lane of a channel, is as it is
// today; nil if it was deleted.
func explain(a *bugle.Attempt, w *bugle.Webhook) explanation {
	if a.OK() {
		return explanation{OK: true, Text: strings.TrimSpace(fmt.Sprintf("The receiver took it: it answered %d %s", a.Status, reasonOf(a))) + "."}
	}
	if a.Error == nil {
		return explainStatus(a)
	}
	message := title(strings.TrimSuffix(a.Error.Message, ".")) + "."
	e := explanation{Text: message}
	isMessage := w != nil && w.Channel != ""
	switch a.Error.Kind {
	case bugle.ErrorDNS:
		e.Advice = "Is the address of the webhook spelled correctly? If it is, the receiver's domain may have expired, or name servers have a problem that passes."
	case bugle.ErrorConnect:
		e.Advice = "Is the receiver running, and is the port in the address right? A firewall in between may refuse the connection too."
	case bugle.ErrorTLS:
		e.Advice = "The secure connection could not be made. Whoever runs the receiver has to put its certificate right; an address with http:// avoids it, but is not safe on the internet."
	case bugle.ErrorTimeout:
		e.Advice = "Receivers should answer at once and do their work afterwards."
		if w != nil && !isMessage && w.TimeoutSeconds < 30 {
			e.Advice += fmt.Sprintf(" If yours cannot, give it more time in the webhook's settings: it has %d s, and may have 30.", w.TimeoutSeconds)
		}
	case bugle.ErrorBlocked:
		e.Text = "This address is not allowed: " + strings.TrimSuffix(a.Error.Message, ".") + "."
		e.Advice = "Webhooks may call public addresses only, so that nobody reaches into the server's own network with them. Nothing was sent."
	case bugle.ErrorRedirect:
		e.Advice = "Enter the address that the receiver points to in the webhook, if you trust it."
	case bugle.ErrorStatus:
		return explainStatus(a)
	case bugle.ErrorBody:
		e.Advice = "The receiver may have got the event all the same. It should drop what it gets twice: the header webhook-id is the same each time."
	case bugle.ErrorProxy:
		e.Advice = "The server calls receivers through a proxy, which is not the receiver's. Tell whoever runs the server. It is tried again by the webhook's schedule."
	case bugle.ErrorCancelled:
		e.Advice = "Whether the receiver got it is not known. Redeliver it if it is still wanted."
	case bugle.ErrorConfig:
		e.Advice = "Complete the settings, then redeliver."
		if isMessage {
			e.Advice = "Complete the channel's settings, or what the recipient's profile lacks, then redeliver."
		}
	}
	return e
}

// reasonOf are the words of an answer's status.
func reasonOf(a *bugle.Attempt) string {
	if a.Reason != "" {
		return cut(100, a.Reason)
	}
	return http.StatusText(a.Status)
}

// explainStatus is explain for an answer that refuses.
func explainStatus(a *bugle.Attempt) explanation {
	answer := strings.TrimSpace(fmt.Sprintf("The receiver answered %d %s", a.Status, reasonOf(a)))
	switch a.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return explanation{Text: answer + ": it does not like what was sent.",
			Advice: "Its answer below may say why. Chat services such as Discord want a message of their own form: an automation with a template makes one."}
	case http.StatusUnauthorized, http.StatusForbidden:
		return explanation{Text: answer + ": it does not let us in.",
			Advice: "Does it check the signature with the webhook's secret as it is today? Does it want a key, in the address or in a header of the webhook?"}
	case http.StatusNotFound:
		return explanation{Text: answer + ": is the address right?", Advice: "Compare the address of the webhook with what the receiver gave you. It may have been deleted there."}
	case http.StatusMethodNotAllowed:
		return explanation{Text: answer + ": it does not take such requests.", Advice: "Change the method of the webhook, GET or POST, to what the receiver wants."}
	case http.StatusRequestTimeout:
		return explanation{Text: answer + ": it waited too long for the request.", Advice: "This passes in most cases."}
	case http.StatusGone:
		return explanation{Text: answer + ": it does not want this any more.", Advice: "A webhook that is answered so is disabled. Enable it again if that was a mistake."}
	case http.StatusRequestEntityTooLarge:
		return explanation{Text: answer + ": what was sent is too large for it.", Advice: "Raise the limit of the receiver, or send less by an automation with a template."}
	case http.StatusTooManyRequests:
		return explanation{Text: answer + ": it gets too much at once.", Advice: "We wait as long as it asks. If it happens often, limit the webhook's rate in its settings."}
	case http.StatusInternalServerError:
		return explanation{Text: answer + ": something went wrong in the receiver.", Advice: "Its own log should say what."}
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return explanation{Text: answer + ": it is not working at the moment.", Advice: "It may be restarting or overloaded. If it lasts, ask whoever runs it."}
	}
	switch {
	case a.Status >= 500:
		return explanation{Text: answer + ": something is wrong with the receiver.", Advice: "Its own log should say what."}
	case a.Status >= 400:
		return explanation{Text: answer + ": it refused what was sent.", Advice: "Its answer below may say why."}
	case a.Status >= 300:
		return explanation{Text: answer + ": it points elsewhere, and redirects are not followed.", Advice: "Enter the address that the receiver points to in the webhook, if you trust it."}
	case a.Status == 0:
		return explanation{Text: "There was no answer."}
	}
	return explanation{Text: answer + ", which is neither yes nor no.", Advice: "Receivers should answer with a status from 200 to 299."}
}
