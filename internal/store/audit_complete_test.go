package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// audits are the tables of the configuration, and what writes to them.
var audits = regexp.MustCompile(`(?s)(INSERT INTO|UPDATE|DELETE FROM)\s+(webhooks|automations|api_keys|accounts|roles|organizations|retention|invitations|identities|sending_hold|quotas|secret_keys|second_factors|recovery_codes)\b`)

// unaudited are the functions that write to them and tell the audit log nothing, with the reason.
var unaudited = map[string]string{
	"usedKey":       "that a key is used changes nothing about it",
	"sealWebhook":   "the secrets are the same, or their change is told where they changed",
	"resetWebhook":  "SaveWebhook tells",
	"endHold":       "that it ends was told when it was released",
	"cancelHeld":    "how far a release is",
	"endResets":     "links to a new password end with the one that they were for",
	"UseInvitation": "what it was used for is told",
	"addSecretKey":  "who replaces a key tells; the first one is nobody's decision",

	"BeginSecondFactor":   "nothing is asked for before it is turned on",
	"UseStep":             "what the code was for is told",
	"writeRecoveryCodes":  "who calls it tells",
	"resealSecondFactors": "the key is the same",
	"resetSecondFactor":   "RemoveSecondFactor tells, and what was not turned on yet is nothing",
}

// Whatever writes to the configuration tells the audit log, or says here why not.
func TestAudit_nothingGetsAroundIt(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			text := string(source[set.Position(d.Pos()).Offset:set.Position(d.End()).Offset])
			if !audits.MatchString(text) {
				continue
			}
			name := "a declaration of " + file
			if f, isFunc := d.(*ast.FuncDecl); isFunc {
				name = f.Name.Name
			} else if strings.Contains(text, "insertSendingHold") {
				continue // by HoldSending, and by a copy that is made
			}
			found[name] = true
			if tells := strings.Contains(text, "tx.audit"); tells == (unaudited[name] != "") {
				t.Errorf("%s in %s tells the audit log: %t", name, file, tells)
			}
		}
	}
	if len(found) < 20 {
		t.Errorf("only %d functions were found", len(found))
	}
	for name := range unaudited {
		if !found[name] {
			t.Errorf("there is no %s any more", name)
		}
	}
}
