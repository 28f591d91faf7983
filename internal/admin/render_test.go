package admin

import "testing"

// Every page can be parsed, which else is done when somebody first asks for it.
func TestTemplates(t *testing.T) {
	for name, page := range templates {
		if page().Lookup("content") == nil {
			t.Errorf("%s has no content", name)
		}
	}
	if len(templates) < 20 {
		t.Errorf("there are %d pages", len(templates))
	}
}
