// Package smtptest is a mail server on the loopback interface for tests. It keeps what it is sent.
package smtptest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"net"
	"strings"
	"sync"
	"testing"
)

// A Server takes mails until the test ends. Its fields are to be set before Start.
type Server struct {
	TLS      *tls.Config // with a certificate: offers STARTTLS; nil: does not
	Implicit bool        // speaks TLS from the start
	User     string      // who has to log in; empty: nobody
	Password string

	// Reply may answer a command in place of the server, with a line such as "550 no". It may be nil, and
	// an empty line leaves the answer to the server.
	Reply func(command string) string

	listener net.Listener
	done     sync.WaitGroup
	mu       sync.Mutex
	mails    []Mail
	conns    []net.Conn
}

// A Mail is one that the server has taken.
type Mail struct {
	From, To  string
	Data      string // headers and body, lines end in \n
	Encrypted bool
	User      string // who had logged in
}

// Start begins to listen, and returns the host and port.
func (s *Server) Start(t testing.TB) (host string, port int) {
	t.Helper()
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.Implicit {
		s.listener = tls.NewListener(s.listener, s.TLS)
	}
	s.done.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			s.done.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		s.listener.Close()
		s.mu.Lock()
		for _, conn := range s.conns {
			conn.Close()
		}
		s.mu.Unlock()
		s.done.Wait()
	})
	addr := s.listener.Addr().(*net.TCPAddr)
	return addr.IP.String(), addr.Port
}

// Mails returns what the server has taken so far.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	mail := Mail{Encrypted: s.Implicit}
	lines := bufio.NewReader(conn)
	read := func() (string, bool) {
		line, err := lines.ReadString('\n')
		return strings.TrimRight(line, "\r\n"), err == nil
	}
	say := func(line string) { conn.Write([]byte(line + "\r\n")) }
	say("220 test ESMTP")
	for {
		line, ok := read()
		if !ok {
			return
		}
		if s.Reply != nil {
			if reply := s.Reply(line); reply != "" {
				say(reply)
				continue
			}
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO", "HELO":
			say("250-test")
			if s.TLS != nil && !mail.Encrypted {
				say("250-STARTTLS")
			}
			if s.User != "" {
				say("250-AUTH PLAIN LOGIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go ahead")
			secured := tls.Server(conn, s.TLS)
			if secured.Handshake() != nil {
				return
			}
			conn, lines, mail.Encrypted = secured, bufio.NewReader(secured), true
		case "AUTH":
			s.login(&mail, rest, read, say)
		case "MAIL":
			if s.User != "" && mail.User == "" {
				say("530 log in first")
				continue
			}
			mail.From = address(rest)
			say("250 ok")
		case "RCPT":
			mail.To = address(rest)
			say("250 ok")
		case "DATA":
			say("354 go on")
			var data strings.Builder
			for line, ok = read(); ok && line != "."; line, ok = read() {
				data.WriteString(strings.TrimPrefix(line, ".") + "\n")
			}
			if !ok {
				return
			}
			mail.Data = data.String()
			s.mu.Lock()
			s.mails = append(s.mails, mail)
			s.mu.Unlock()
			say("250 2.0.0 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// login reads a name and password, as PLAIN or LOGIN have them.
func (s *Server) login(mail *Mail, rest string, read func() (string, bool), say func(string)) {
	mechanism, first, _ := strings.Cut(rest, " ")
	decode := func(text string) string {
		decoded, _ := base64.StdEncoding.DecodeString(text)
		return string(decoded)
	}
	var user, password string
	if mechanism == "PLAIN" {
		parts := strings.Split(decode(first), "\x00")
		if len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	} else {
		say("334 " + base64.StdEncoding.EncodeToString([]byte("Username:")))
		line, _ := read()
		user = decode(line)
		say("334 " + base64.StdEncoding.EncodeToString([]byte("Password:")))
		line, _ = read()
		password = decode(line)
	}
	if user != s.User || password != s.Password {
		say("535 5.7.8 wrong: " + password) // some servers are as careless
		return
	}
	mail.User = user
	say("235 welcome")
}

func address(text string) string {
	_, text, _ = strings.Cut(text, "<")
	text, _, _ = strings.Cut(text, ">")
	return text
}
