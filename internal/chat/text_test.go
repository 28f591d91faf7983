package chat

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// z is a space of no width, which cannot be seen in a test.
const z = "\u200b"

func TestDiscordText(t *testing.T) {
	for in, want := range map[string]string{
		"":                                      "",
		" \n ":                                  "",
		"Hello":                                 "Hello",
		"one\ntwo\r\nthree\n\n\n4":              "one\ntwo\nthree\n\n4",
		"a   b\tc":                              "a b c",
		"<p>one\ntwo</p>":                       "one two",
		"one<br>two":                            "one\ntwo",
		"<div>one</div>two<br/><br/><br/>three": "one\ntwo\n\nthree",
		"<p>one</p><p>two</p>":                  "one\n\ntwo",

		"<b>bold</b> <strong>too</strong>":    "**bold** **too**",
		"<i>a</i> <em>b</em>":                 "*a* *b*",
		"<u>a</u> <ins>b</ins>":               "__a__ __b__",
		"<s>a</s> <del>b</del>":               "~~a~~ ~~b~~",
		"<b><i>both</i></b>":                  "***both***",
		"<b>a<b>b</b></b>":                    "**ab**",
		"x<b> a </b>y":                        "x **a** y",
		"<b>a</b><b>b</b>":                    "**a**" + z + "**b**",
		"<b></b>x<b> </b>y":                   "x y",
		"<b>one<br>two</b>":                   "**one**\n**two**",
		"<b>never closed":                     "**never closed**",
		"<b>a<i>b</b>c</i>":                   "**a*b***c",
		"</b></p>x":                           "x",
		"<mark>a</mark><x-y>b</x-y>":          "ab",
		"a <joe@example.com>":                 `a \<joe@example.com>`,
		"a < b & c > d &amp; &eacute;":        `a \< b & c > d & é`,
		"<!-- a --><!doctype html>b":          "b",
		"<script>x<b></script>a<style>y":      "a",
		"<script/>x</script>a":                "a",
		"<svg/>a<svg><svg>x</svg>y</svg>b":    "ab",
		"<title>t</title><head>a</head>":      "a",
		"<plaintext><b>a":                     `\<b>a`,
		"a\x00b\x1bc&#1;d\xff":                "abcd",
		"<img src=x alt='A cat'> <img src=y>": "A cat",

		"<h1>a</h1><h2>b</h2><h3>c</h3><h4>d</h4>e": "# a\n\n## b\n\n### c\n\n**d**\ne",
		"<h1></h1>a":                                           "a",
		"<ul><li>a</li><li>b</li></ul>c":                       "- a\n- b\nc",
		"<ol><li>a<li>b</ol>":                                  "1. a\n2. b",
		"<ol start=9><li>a<li><p>b</p></ol>":                   "9. a\n10. b",
		"<ol start=x><li>a</ol>":                               "1. a",
		"<ul><li>a<ol><li>b<li>c</ol><li>d</ul>":               "- a\n  1. b\n  2. c\n- d",
		"<ul><li></li><li>a</ul>":                              "- a",
		"<li>a":                                                "- a",
		"a<blockquote><p>b</p><p><b>c</b></p></blockquote>d":   "a\n> b\n> **c**\nd",
		"<blockquote>a<blockquote>b</blockquote></blockquote>": "> a\n> b",
		"<table><tr><td>a<td>b<tr><th>c</table>":               "a b\nc",
		"<dl><dt>a<dd>b</dl>":                                  "a\nb",

		"<code>a*b</code>":                       "`a*b`",
		"<code>a`b <b>c</b></code>":              "`aˋb c`",
		"<pre>\n a\n\n  *b* ```\n\n</pre>c":      "```\n a\n\n  *b* ˋˋˋ\n```\nc",
		"<pre> \n </pre>a":                       "a",
		"<b>x<pre>a<br>b</pre>y</b>":             "**x**\n```\na\nb\n```\n**y**",
		"<blockquote>x<pre>a</pre></blockquote>": "> x\n```\na\n```",
		"<code>a <pre>b</pre></code>":            "`a b`",

		`<a href="https://e.com/a_b?c=(1)&amp;d=2">here</a>`:      "[here](https://e.com/a_b?c=%281%29&d=2)",
		`<a href="https://e.com">a <b>b</b></a>`:                  "[a **b**](https://e.com)",
		`<a href="https://e.com"><p>a</p><p>b</p></a>`:            "[a b](https://e.com)",
		`<a href="https://e.com"><h1>a</h1><code>b</code></a>`:    "[**a** b](https://e.com)",
		`<a href="https://e.com">a<a href="https://f.com">b</a>`:  "[a](https://e.com)" + z + "[b](https://f.com)",
		`<a href="https://e.com">https://e.com</a>`:               "<https://e.com>",
		`<a href="https://evil.com">https://e.com</a>`:            z + "https://e.com (<https://evil.com>)",
		`<a href="https://e.com/ a&#10;b&nbsp;c">x</a>`:           "[x](https://e.com/%20ab%C2%A0c)",
		`<a href="HTTPS://E.com">x</a>`:                           "[x](https://E.com)",
		`<a href="javascript:alert(1)">a</a><a>b</a>`:             "ab",
		`<a href="mailto:a@e.com">a</a> <a href="https://">b</a>`: "a b",
		`<a href="https://e.com"></a>x`:                           "x",

		`*a* _b_ ~c~ |d| [e](f) \g ` + "`h`": `\*a\* \_b\_ \~c\~ \|d\| \[e\](f) \\g \` + "`h\\`",
		"# a\n- b\n+ c\n> d\n1. e\n-# f":     "\\# a\n\\- b\n\\+ c\n\\> d\n1\\. e\n\\-# f",
		"a # b - c 1. d":                     "a # b - c 1. d",
		"<li># a":                            "- \\# a",
		"https://e.com/a_b*c a_b":            `https://e.com/a_b%2Ac a\_b`,

		"@everyone @HERE @channel @joe a@b.c":                   "@" + z + "everyone @" + z + "HERE @" + z + "channel @joe a@b.c",
		"@<span>every</span>one <b></b>@<b></b>here":            "@" + z + "everyone @" + z + "here",
		"<b>@</b><b>everyone</b> @<!-- x -->here":               "**@**" + z + "**everyone** @" + z + "here",
		"&lt;@1> &lt;@&amp;2> &lt;#3> &lt;t:4> &lt;b>":          `\<` + z + `@1> \<` + z + `@&2> \<` + z + `#3> \<` + z + `t:4> \<b>`,
		"<code>@everyone &lt;@1></code>":                        "`@" + z + "everyone <" + z + "@1>`",
		"https://e.com/@everyone":                               "https://e.com/%40everyone",
		`<a href="https://e.com/@everyone">x</a>`:               "[x](https://e.com/%40everyone)",
		`@<a href="https://e.com">everyone ://</a>`:             "@" + z + "everyone :// (<https://e.com>)",
		`<a href="https://e.com/@">https://e.com/@</a>everyone`: "<https://e.com/@>everyone",
	} {
		if got := DiscordText(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestSlackText(t *testing.T) {
	for in, want := range map[string]string{
		"plain & <simple>\ntext":                            "plain &amp;\ntext",
		"<b>a</b> <i>b</i> <s>c</s> <u>d</u>":               "*a* _b_ ~c~ d",
		"<h1>a</h1><p>b</p>":                                "*a*\n\nb",
		"<ul><li>a<li>b</ul>":                               "• a\n• b",
		"<blockquote>a<br>b</blockquote>":                   "> a\n> b",
		"<pre>a &lt; b</pre>":                               "```\na &lt; b\n```",
		"<code>a`&amp;</code>":                              "`aˋ&amp;`",
		`<a href="https://e.com/?a=1&amp;b=|">x &gt; y</a>`: "<https://e.com/?a=1&amp;b=%7C|x &gt; y>",
		"&lt;!channel> &lt;@U1>":                            "&lt;!channel&gt; &lt;@U1&gt;",
		"<!channel> x":                                      "x",
		"@channel @here @joe":                               "@" + z + "channel @" + z + "here @joe",
		"&gt; a":                                            z + "&gt; a",
	} {
		if got := SlackText(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestTelegramText(t *testing.T) {
	for in, want := range map[string]string{
		"plain & \ntext": "plain &amp;\ntext",
		"<strong>a</strong> <em>b</em> <ins>c</ins> <del>d</del>": "<b>a</b> <i>b</i> <u>c</u> <s>d</s>",
		"<b>one<br>two</b>":                                       "<b>one\ntwo</b>",
		"<b>a<i>b</b>c</i>":                                       "<b>a<i>b</i></b>c",
		"<h2>a</h2><p>b</p><ul><li>c</ul>":                        "<b>a</b>\n\nb\n\n• c",
		"<p><code>a <b>b</b></code></p>":                          "<code>a b</code>",
		"<pre><code class=x>a\n b</code></pre>c":                  "<pre>a\n b</pre>\nc",
		"<blockquote>a<blockquote>b</blockquote></blockquote>":    "<blockquote>a\nb</blockquote>",
		`<a href='https://e.com/?a="&amp;b=1'><code>x</code></a>`: `<a href="https://e.com/?a=%22&amp;b=1">x</a>`,
		`<a href="tg://user?id=1">x</a>`:                          "x",
		`<a href="https://e.com"><p>a</p>b</a>`:                   "<a href=\"https://e.com\">a\n\nb</a>",
		`<span class="tg-spoiler">a</span> "b"`:                   `a "b"`,
	} {
		if got := TelegramText(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestPlainText(t *testing.T) {
	for _, test := range []struct {
		in    string
		limit int
		want  string
	}{
		{"<h1>Title</h1><p>Hello <b>you</b> &amp; me</p><ul><li>a<li>b</ul>", 100, "Title\nHello you & me\na\nb"},
		{"one\ntwo", 100, "one\ntwo"},
		{"<a href='https://e.com'>x</a><pre> a\n  b</pre>", 100, "x\n a\n  b"},
		{"one two three", 13, "one two three"},
		{"one two three", 12, "one two…"},
		{"one two three", 8, "one two…"},
		{"one two three", 7, "one…"},
		{"onetwothree", 6, "onetw…"},
		{"😀😀😀", 3, "😀😀😀"},
		{"😀😀😀", 2, "😀…"},
		{"<p>a</p><p>b</p>", 2, "a…"},
		{"ab", 1, "…"},
		{"a", 1, "a"},
		{"ab", 0, ""},
		{"", 0, ""},
		{"ab", -1, ""},
	} {
		if got := PlainText(test.in, test.limit); got != test.want {
			t.Errorf("%q in %d characters is %q, want %q", test.in, test.limit, got, test.want)
		}
	}
}

func TestMailHTML(t *testing.T) {
	for in, want := range map[string]string{
		"one\ntwo & <three>":     "one<br/>two &amp; ",
		"<p>one\ntwo</p>":        "<p>one\ntwo</p>",
		"<b onclick=x>a<i>b</b>": "<b>a<i>b</i></b>",
		"</div></td>a<div>b":     "a<div>b</div>",
		`<a href="javascript:x">a</a><a href="https://e.com">b</a>`: `a<a href="https://e.com" rel="nofollow">b</a>`,
		"<script>x</script><style>y</style><form><input>a</form>":   "a",
		`<img src="https://e.com/a.png" onerror=x>`:                 `<img src="https://e.com/a.png"/>`,
	} {
		if got := MailHTML(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// A text of just the limit is whole, one more character is cut at a word, and marks are closed.
func TestText_limits(t *testing.T) {
	words := strings.Repeat("word ", 2000)
	for _, test := range []struct {
		name  string
		write func(string) string
		limit int
		open  string
		close string
	}{
		{"Discord", DiscordText, 2000, "**", "**"},
		{"Slack", SlackText, 4000, "*", "*"},
		{"Telegram", TelegramText, 4096, "<b>", "</b>"},
	} {
		inside := test.limit - len(test.open) - len(test.close)
		if got := test.write("<b>" + strings.Repeat("x", inside) + "</b>"); got != test.open+strings.Repeat("x", inside)+test.close {
			t.Errorf("%s cuts what fits: %d bytes", test.name, len(got))
		}
		got := test.write("<b>" + strings.Repeat("x", inside+1) + "</b>")
		if want := test.open + strings.Repeat("x", inside-1) + ellipsis + test.close; got != want {
			t.Errorf("%s cuts one letter too many to %d bytes, want %d", test.name, len(got), len(want))
		}
		got = test.write("<b>" + words + "</b>")
		if n := utf8.RuneCountInString(got); n > test.limit || n < test.limit-5 || !strings.HasSuffix(got, "word"+ellipsis+test.close) {
			t.Errorf("%s cuts words to %d characters, …%q", test.name, n, got[len(got)-20:])
		}
	}
	if got, want := DiscordText("<pre>"+words+"</pre>"), "word…\n```"; !strings.HasSuffix(got, want) {
		t.Errorf("code ends with %q, want %q", got[len(got)-20:], want)
	}
	if got, want := DiscordText(strings.Repeat("x", 1999)+"*"), strings.Repeat("x", 1999)+"…"; got != want {
		t.Errorf("an escaped character is cut in two: …%q", got[len(got)-10:])
	}
	// Telegram and Slack may count UTF-16 code units.
	if got := TelegramText(strings.Repeat("😀", 4096)); utf16Len(got) > 4096 {
		t.Errorf("Telegram's text has %d UTF-16 code units", utf16Len(got))
	}
}

// HTML that is made to be slow must not be: no parser or renderer may repeat work for each of its
// paragraphs, and no stack may overflow.
func TestText_hostile(t *testing.T) {
	var unclosed strings.Builder
	for i := range 400 {
		fmt.Fprintf(&unclosed, "<b id=%d>", i)
	}
	const size = 10 * maxInput
	for name, in := range map[string]string{
		"deep":       strings.Repeat("<div>", size/5) + "x",
		"quotes":     strings.Repeat("<blockquote><b>x<i>", size/19),
		"lists":      strings.Repeat("<ul><li>x", size/9),
		"unclosed":   "<p>" + unclosed.String() + strings.Repeat("<p>x", size/4),
		"links":      strings.Repeat("<a href=https://e.com/>x", size/24),
		"tables":     strings.Repeat("<table><tr><td><a href=https://e.com/>", size/38),
		"ends":       strings.Repeat("</div>", size/6),
		"breaks":     "<b><i><s><u>" + strings.Repeat("x<br>", size/5),
		"code":       strings.Repeat("<code>`", size/7),
		"entities":   strings.Repeat("&amp;", size/5),
		"attributes": "<b " + strings.Repeat("a=1 ", size/4) + ">x",
		"one tag":    "<" + strings.Repeat("a", size),
		"text":       strings.Repeat("@everyone<@", size/11),
		"spaces":     strings.Repeat(" \n", size/2),
		"comment":    "<!--" + strings.Repeat("--!", size/3),
	} {
		start := time.Now()
		wantSound(t, in)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s takes %s", name, took)
		}
	}
}

// wantSound checks what holds for any input: limits, balance, and that nobody is notified.
func wantSound(t *testing.T, in string) {
	t.Helper()
	discord, slack, telegram := DiscordText(in), SlackText(in), TelegramText(in)
	for name, got := range map[string]struct {
		text  string
		limit int
	}{
		"Discord": {discord, 2000}, "Slack": {slack, 4000}, "Telegram": {telegram, 4096},
		"plain": {PlainText(in, 100), 100}, "very short": {PlainText(in, 1), 1},
	} {
		if n := utf8.RuneCountInString(got.text); n > got.limit {
			t.Errorf("%s has %d characters, more than %d", name, n, got.limit)
		}
		if !utf8.ValidString(got.text) {
			t.Errorf("%s is not UTF-8: %q", name, got.text)
		}
		if strings.TrimLeft(got.text, " \n") != got.text && name != "plain" && name != "very short" {
			t.Errorf("%s starts with white space: %.20q", name, got.text)
		}
	}
	if mention := discordMention.FindString(discord); mention != "" {
		t.Errorf("Discord notifies %s in %q", mention, discord)
	}
	if mention := slackMention.FindString(slack); mention != "" {
		t.Errorf("Slack notifies %s in %q", mention, slack)
	}
	if s := telegramTag.ReplaceAllString(telegram, ""); strings.ContainsAny(s, "<>") {
		t.Errorf("Telegram has another tag: %q", telegram)
	}
	wantBalanced(t, telegram)
	mail := MailHTML(in)
	wantBalanced(t, mail)
	if lower := strings.ToLower(mail); strings.Contains(lower, "<script") || strings.Contains(lower, "<style") {
		t.Errorf("the mail has %q", mail)
	}
}

var (
	discordMention = regexp.MustCompile(`(?i:@everyone|@here)|<[@#:/]|<(a|t|id):`)
	slackMention   = regexp.MustCompile(`(?i)@(everyone|here|channel)|<[^h]|<h[^t]`)
	telegramTag    = regexp.MustCompile(`</?(b|i|u|s|a|code|pre|blockquote)>|<a href="https?://[^"<>]*">`)
)

// wantBalanced checks that every element ends in the right place.
func wantBalanced(t *testing.T, text string) {
	t.Helper()
	var open []string
	tokens := html.NewTokenizer(strings.NewReader(text))
	for {
		switch kind := tokens.Next(); kind {
		case html.ErrorToken:
			if len(open) > 0 {
				t.Errorf("%v have no end in %q", open, text)
			}
			return
		case html.StartTagToken, html.EndTagToken:
			name, _ := tokens.TagName()
			switch {
			case kind == html.StartTagToken:
				open = append(open, string(name))
			case len(open) == 0 || open[len(open)-1] != string(name):
				t.Errorf("</%s> ends nothing in %q", name, text)
				return
			default:
				open = open[:len(open)-1]
			}
		}
	}
}

func FuzzText(f *testing.F) {
	seeds := []string{
		"plain\ntext", "<p>a<b>b<i>c</b>d</i><br>e", "<ul><li>a<ol start=3><li>b</ul>", "<pre>a\n`b`</pre><code>c</code>",
		`<a href="https://e.com/@everyone">x<p>y</a>`, "@<b></b>everyone &lt;@1> <!channel>", "<blockquote><pre>x</pre>y<h1>z",
		"<table><tr><td>a<td>b", "<script>x</script><svg/><plaintext><b>", "<h1><a href=http://e.com>https://x", "&#64;here &lt;&#33;here>",
		`<b "<i>=1 x>a`, "<img alt='@every'>one", "<div><p>a<div>b</p>c", "<select><option>a<option>b", "<textarea><b></textarea>",
	}
	for _, seed := range append(slices.Clone(seeds), strings.Join(seeds, strings.Repeat("word ", 200))) {
		f.Add(seed)
	}
	f.Fuzz(wantSound)
}
