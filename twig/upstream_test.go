package twig

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/buglehq/bugle/value"
)

func TestRender_asTwigsOwnTests(t *testing.T) {
	folder := os.Getenv("BUGLE_TEST_UPSTREAM_CASES")
	if folder == "" {
		t.Skip("BUGLE_TEST_UPSTREAM_CASES names no folder")
	}
	text, err := os.ReadFile(filepath.Join(folder, "upstream-twig.json"))
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := value.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range decoded.(*value.Array).All() {
		checkCase(t, item.(*value.Array))
	}
}
