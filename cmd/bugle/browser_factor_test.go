package main

import (
	"encoding/base32"
	"strings"
	"testing"
	"time"

	"github.com/buglehq/bugle/internal/signin"
)

// Somebody sets up a second factor, and signs in with it afterwards; when the phone is lost, with a recovery code.
func TestPanel_secondFactor(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b := newTab(t, p.url)
	p.setUp(b)
	b.open("/account")
	b.see("Where you are signed in")
	b.see("This one")
	b.follow("Set up")
	b.follow("Set up")
	b.see("Let it read this picture")
	if !eval[bool](b, `(() => { const r = document.querySelector("svg.qr").getBoundingClientRect(); return r.width >= 200 && r.height === r.width })()`) {
		t.Error("the picture of the key cannot be seen")
	}
	b.accessible("setting up a second factor")
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(eval[string](b, `document.querySelector("#key").textContent`), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	b.fill("Code", signin.Code(key, time.Now().Add(-30*time.Second))) // so that the present one is left
	b.fill("Your password", panelPassword)
	b.follow("Turn on")
	b.see("not shown again")
	b.accessible("recovery codes")
	recovery := eval[string](b, `document.querySelector("#recovery-codes li").textContent`)
	b.follow("I have kept them")
	b.see("A code is asked for besides your password")
	b.accessible("the account")

	out := func() {
		t.Helper()
		b.click("Account: Alex Carter")
		b.follow("Sign out")
	}
	out()
	signIn(b, panelEmail, panelPassword)
	b.see("Six digits of your authenticator app")
	b.accessible("asking for a code")
	b.expect("status of 422")
	b.fill("Code", "000000")
	b.follow("Sign in")
	b.see("This code is wrong")
	b.fill("Code", signin.Code(key, time.Now()))
	b.follow("Sign in")
	b.see("Dashboard")
	out()
	b.open("/webhooks")
	signIn(b, panelEmail, panelPassword)
	b.fill("Code", recovery)
	b.follow("Sign in")
	b.see("You have used a recovery code: 9 are left")
	if b.path() != "/webhooks" {
		t.Errorf("signing in leads to %s", b.path())
	}
}
