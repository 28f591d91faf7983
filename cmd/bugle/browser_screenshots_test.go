package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/page"
)

// TestScreenshots takes the pictures of the documents, into the folder that the environment names:
//
//	make screenshots
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("BUGLE_SCREENSHOTS")
	if folder == "" {
		t.Skip("takes pictures for the documents, by make screenshots")
	}
	b := startDemo(t).signIn(t)
	quality := int64(88)
	for _, picture := range []struct {
		name, theme, path string
		width, height     int64
		ready             string // a condition in the page
	}{
		{"dashboard", "light", "/", 1280, 860, `document.querySelectorAll("canvas").length === 2`},
		{"webhooks", "light", "/webhooks", 1280, 800, `document.querySelector("canvas")`},
		{"webhook", "light", "/webhooks/2", 1280, 900, `document.querySelector("canvas")`},
		{"new-webhook", "light", "/webhooks/create", 1280, 900, "true"},
		{"logs", "light", "/webhook-logs", 1280, 800, "true"},
		{"delivery", "dark", "/webhook-logs/1", 1280, 900, "true"},
		{"event", "light", "/event-log/20", 1280, 800, "true"},
		{"automation", "light", "/automations/1/edit?tab=action", 1280, 1100, `document.querySelector(".cm-content") && document.querySelector(".preview-part")`},
		{"automations", "dark", "/automations", 1280, 900, "true"},
		{"users", "light", "/users", 1280, 700, "true"},
		{"user", "light", "/users/2", 1280, 900, "true"},
		{"roster", "light", "/roster", 1280, 800, "true"},
		{"phone-webhook", "dark", "/webhooks/2", 390, 844, `document.querySelector("canvas")`},
		{"phone-users", "light", "/users", 390, 844, "true"},
	} {
		b.theme(picture.theme)
		b.size(picture.width, picture.height)
		b.open(picture.path)
		b.wait("what the picture of "+picture.name+" shows", "!!("+picture.ready+")")
		taken := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatWebp, Quality: &quality})
		if err := os.WriteFile(filepath.Join(folder, picture.name+".webp"), taken.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
