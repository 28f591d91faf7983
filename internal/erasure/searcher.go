package erasure

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/buglehq/bugle/value"
)

// A searcher finds texts in whichever form they were written into others. It is no regular expression, which would take a
// hundred times the memory of the texts, of which there may be megabytes.
type searcher struct {
	starts map[[2]rune][][]rune // forms by how they begin, folded; the longest first, because others may be parts of them
}

// newSearcher returns one for texts of two characters or more.
func newSearcher(texts []string) *searcher {
	s := &searcher{map[[2]rune][][]rune{}}
	known := map[string]bool{}
	for _, text := range texts {
		list := forms(text)
		for i, form := range list {
			if slices.Contains(list[:i], form) {
				continue
			}
			folded := []rune(form)
			for i, r := range folded {
				folded[i] = fold(r)
			}
			if key := string(folded); len(folded) >= 2 && !known[key] {
				known[key] = true
				start := [2]rune{folded[0], folded[1]}
				s.starts[start] = append(s.starts[start], folded)
			}
		}
	}
	for _, list := range s.starts {
		slices.SortFunc(list, func(a, b []rune) int { return len(b) - len(a) })
	}
	return s
}

// fold is the same for a letter whether it is small or capital.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	return least
}

// forms are how a text may be written: as it is, in HTML, in an address, in JSON.
func forms(text string) []string {
	list := []string{text, html.EscapeString(text), strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#039;").Replace(text),
		url.QueryEscape(text), url.PathEscape(text)}
	if php, err := value.JSON(text); err == nil {
		list = append(list, string(php[1:len(php)-1]))
	}
	if other, err := json.Marshal(text); err == nil {
		list = append(list, string(other[1:len(other)-1]))
	}
	return list
}

// replace puts Erased where one of the texts is a word, or words.
func (s *searcher) replace(text string) string {
	if len(s.starts) == 0 || len(text) < 2 {
		return text
	}
	folded, at := make([]rune, 0, len(text)), make([]int, 0, len(text)+1)
	for i, r := range text {
		folded, at = append(folded, fold(r)), append(at, i)
	}
	at = append(at, len(text))
	var made strings.Builder
	done := 0
	for i := 0; i+1 < len(folded); i++ {
		for _, form := range s.starts[[2]rune{folded[i], folded[i+1]}] {
			end := i + len(form)
			if end > len(folded) || !slices.Equal(form, folded[i:end]) || !isWhole(text, at[i], at[end]) {
				continue
			}
			made.WriteString(text[done:at[i]])
			made.WriteString(Erased)
			done = at[end]
			i = end - 1
			break
		}
	}
	if done == 0 {
		return text
	}
	made.WriteString(text[done:])
	return made.String()
}

// isWhole reports whether a part of a text neither begins nor ends within a word.
func isWhole(text string, from, to int) bool {
	previous, _ := utf8.DecodeLastRuneInString(text[:from])
	next, _ := utf8.DecodeRuneInString(text[to:])
	first, _ := utf8.DecodeRuneInString(text[from:])
	last, _ := utf8.DecodeLastRuneInString(text[:to])
	return (!isWord(previous) || !isWord(first) || escapes(text[:from])) && (!isWord(next) || !isWord(last))
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// escapes reports whether a text ends in something that only looks like a part of a word: \n, %20, \u00e4.
func escapes(text string) bool { return escape.MatchString(text[max(0, len(text)-6):]) }

var escape = regexp.MustCompile(`(\\[nrtbf]|%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})$`)
