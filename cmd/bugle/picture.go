package main

import (
	"fmt"
	"os"
	"strings"
)

// A picture is an SVG of panels below each other, each with axes and a title.
type picture struct {
	text   strings.Builder
	top    int // of the panel last begun
	panels int
}

// The places of a picture, in its units.
const (
	pictureWidth = 720
	panelHeight  = 120
	panelLeft    = 60
	panelGap     = 40
	panelWidth   = pictureWidth - panelLeft - 10
	pictureGrey  = "#4b5563"
	pictureBlue  = "#2563eb"
	pictureRed   = "#dc2626"
	pictureGreen = "#059669"
)

// panel begins the next one, whose vertical axis goes from 0 to what most says.
func (p *picture) panel(title, most string) {
	p.top = panelGap - 10 + p.panels*(panelHeight+panelGap)
	p.panels++
	fmt.Fprintf(&p.text, `<text x="%d" y="%d" fill="#111827">%s</text>`+"\n", panelLeft, p.top-6, title)
	fmt.Fprintf(&p.text, `<path d="M%d %dV%dH%d" fill="none" stroke="#9ca3af"/>`+"\n", panelLeft, p.top, p.top+panelHeight, pictureWidth-10)
	p.label(panelLeft-6, p.top+10, "end", pictureGrey, most)
	p.label(panelLeft-6, p.top+panelHeight, "end", pictureGrey, "0")
}

// label writes a text that begins, ends or has its middle at x.
func (p *picture) label(x, y int, anchor, colour, text string) {
	fmt.Fprintf(&p.text, `<text x="%d" y="%d" fill="%s" text-anchor="%s">%s</text>`+"\n", x, y, colour, anchor, text)
}

// below writes a text below the horizontal axis, at a share of its width.
func (p *picture) below(share float64, text string) {
	anchor := "middle"
	if share >= 1 {
		anchor = "end"
	}
	p.label(panelLeft+int(share*panelWidth), p.top+panelHeight+16, anchor, pictureGrey, text)
}

// line draws a line through points, each as shares of the panel's width and height.
func (p *picture) line(points [][2]float64, colour string) {
	var at strings.Builder
	for i, point := range points {
		if i > 0 {
			at.WriteByte(' ')
		}
		fmt.Fprintf(&at, "%.1f,%.1f", panelLeft+panelWidth*point[0], float64(p.top+panelHeight)-panelHeight*point[1])
	}
	fmt.Fprintf(&p.text, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", at.String(), colour)
}

// bar draws the bar in a place, of so many, to a share of the panel's height, with what it is below and its figure above.
func (p *picture) bar(place, places int, share float64, colour, name, figure string) {
	each := panelWidth / max(places, 1)
	width := min(each*2/3, 80)
	x := panelLeft + place*each + (each-width)/2
	height := int(share * panelHeight)
	fmt.Fprintf(&p.text, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", x, p.top+panelHeight-height, width, height, colour)
	p.label(x+width/2, p.top+panelHeight-height-4, "middle", pictureGrey, figure)
	p.label(x+width/2, p.top+panelHeight+16, "middle", pictureGrey, name)
}

func (p *picture) String() string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#ffffff"/>
%s</svg>
`, pictureWidth, p.panels*(panelHeight+panelGap)+10, p.text.String())
}

// A pictureFile is the name of a file to write a picture to; empty: none is wanted.
type pictureFile string

// begin makes the file: that it cannot be written is to be known before hours of work.
func (f pictureFile) begin() error { return f.write("") }

func (f pictureFile) write(picture string) error {
	if f == "" {
		return nil
	}
	if err := os.WriteFile(string(f), []byte(picture), 0o644); err != nil {
		return fmt.Errorf("write the picture (--plot): %w", err)
	}
	return nil
}
