// Package egress has ways out around the guard, to show that TestEveryWayOutIsGuarded finds them.
package egress

import (
	"context"
	"crypto/tls"
	. "net"
	web "net/http"
	"net/smtp"
)

func escapeGet()             { web.Get("http://127.0.0.1/") }
func escapeDefault() any     { return web.DefaultClient }
func escapeClient() any      { return &web.Client{} }
func escapeNew() any         { return new(web.Transport) }
func escapeZero()            { var c web.Client; c.Get("http://127.0.0.1/") }
func escapeDot()             { Dial("tcp", "127.0.0.1:1") }
func escapeDialer()          { (&Dialer{}).DialContext(context.Background(), "tcp", "127.0.0.1:1") }
func escapeTLS()             { tls.Dial("tcp", "127.0.0.1:1", nil) }
func escapeMail()            { smtp.SendMail("127.0.0.1:25", nil, "", nil, nil) }
func escapeValue() any       { return web.Post }
func fine(c *web.Client) any { return c }
func fineListener() any      { l, _ := Listen("tcp", "127.0.0.1:0"); return l }
func fineServer() any        { return &web.Server{} }

type escapeField struct{ c web.Client }
type fineField struct{ c *web.Client }
