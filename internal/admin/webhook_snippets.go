package admin

import (
	"bytes"
	"embed"
	"encoding/base64"
	"strings"
	"text/template"

	"github.com/buglehq/bugle"
)

//go:embed snippets/*.txt
var snippetFiles embed.FS

// snippets are programs that verify requests. They are no HTML.
var snippets = template.Must(template.ParseFS(snippetFiles, "snippets/*.txt"))

// snippetLanguages in the order of their tabs.
var snippetLanguages = []struct{ key, label string }{
	{"php", "PHP"}, {"node", "Node.js"}, {"python", "Python"}, {"go", "Go"}, {"csharp", "C#"},
}

// A snippetTab is a program in one language.
type snippetTab struct {
	Key, Label, URL, Text string
	Selected              bool
}

// snippetOf returns a program that verifies what is sent to a webhook. What is to be hashed differs for GET,
// and the key for a secret that is written as Standard Webhooks does.
func snippetOf(language string, w *bugle.Webhook) (string, error) {
	var b bytes.Buffer
	err := snippets.ExecuteTemplate(&b, language+".txt", struct{ Get, Base64 bool }{w.Method == "get", isBase64Secret(w.Secret)})
	return b.String(), err
}

// isBase64Secret reports whether the key of webhook-signature is what follows whsec_, decoded.
func isBase64Secret(secret string) bool {
	rest, found := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(rest)
	return found && err == nil && len(key) > 0
}

func (v *visit) snippetTabs(w *bugle.Webhook) ([]snippetTab, error) {
	chosen := v.URL.Query().Get("code")
	var tabs []snippetTab
	for i, l := range snippetLanguages {
		text, err := snippetOf(l.key, w)
		if err != nil {
			return nil, err
		}
		tabs = append(tabs, snippetTab{Key: l.key, Label: l.label, URL: v.webhookURL(w, "code", l.key) + "#verify", Text: text, Selected: l.key == chosen || i == 0 && chosen == ""})
	}
	for _, tab := range tabs {
		if tab.Selected {
			return tabs, nil
		}
	}
	tabs[0].Selected = true
	return tabs, nil
}
