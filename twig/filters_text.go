package twig

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/buglehq/bugle/value"
)

// input returns the text that a filter is applied to, and accounts for a copy that is at most so many
// times as long.
func (c *call) input(times int) (string, error) {
	s, err := c.text(0, "")
	if err != nil {
		return "", err
	}
	if err := c.Make(times * len(s)); err != nil {
		return "", err
	}
	const slower = 32 // to change a character than to look at it only
	return s, c.Read(slower * len(s))
}

// longUpper are the characters whose capitals are several.
var longUpper = map[rune]string{
	'ß': "SS", 'ŉ': "ʼN", 'ǰ': "J̌", 'ΐ': "Ϊ́", 'ΰ': "Ϋ́", 'և': "ԵՒ", 'ﬀ': "FF", 'ﬁ': "FI", 'ﬂ': "FL", 'ﬃ': "FFI", 'ﬄ': "FFL", 'ﬅ': "ST", 'ﬆ': "ST",
}

func writeUpper(b *strings.Builder, r rune) {
	if long, ok := longUpper[r]; ok {
		b.WriteString(long)
		return
	}
	b.WriteRune(unicode.ToUpper(r))
}

func writeLower(b *strings.Builder, r rune) {
	if r == 'İ' {
		b.WriteString("i̇")
		return
	}
	b.WriteRune(unicode.ToLower(r))
}

func writeTitle(b *strings.Builder, r rune) {
	if long, ok := longUpper[r]; ok {
		first, size := utf8.DecodeRuneInString(long)
		b.WriteRune(first)
		for _, rest := range long[size:] {
			writeLower(b, rest)
		}
		return
	}
	b.WriteRune(unicode.ToTitle(r))
}

func filterUpper(c *call) (any, error) {
	s, err := c.input(2)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, r := range s {
		writeUpper(&b, r)
	}
	return b.String(), nil
}

func filterLower(c *call) (any, error) {
	s, err := c.input(2)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, r := range s {
		writeLower(&b, r)
	}
	return b.String(), nil
}

func filterCapitalize(c *call) (any, error) {
	s, err := c.input(2)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for i, r := range s {
		if i == 0 {
			writeUpper(&b, r)
			continue
		}
		writeLower(&b, r)
	}
	return b.String(), nil
}

// filterTitle is PHP's MB_CASE_TITLE: a letter is a capital unless it follows a letter, between which
// there may be marks and apostrophes.
func filterTitle(c *call) (any, error) {
	s, err := c.input(2)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	within := false
	for _, r := range s {
		if within {
			writeLower(&b, r)
		} else {
			writeTitle(&b, r)
		}
		if !unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) && !strings.ContainsRune("'.:·‘’․‧﹒﹕＇．：", r) {
			within = unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r)
		}
	}
	return b.String(), nil
}

// filterConvertEncoding knows UTF-8 only, from and to which it changes nothing.
func filterConvertEncoding(c *call) (any, error) {
	for i := 1; i <= 2; i++ {
		name, err := c.text(i, "")
		if err != nil {
			return nil, err
		}
		if name = strings.ToUpper(name); name != "UTF-8" && name != "UTF8" {
			return nil, fmt.Errorf("the encoding %q is not supported; texts are UTF-8", name)
		}
	}
	s, err := c.input(0)
	if err == nil && !utf8.ValidString(s) {
		err = fmt.Errorf("the text to convert is not UTF-8")
	}
	return s, err
}

// filterNL2BR puts <br /> before line breaks of HTML: a text is escaped first.
func filterNL2BR(c *call) (any, error) {
	s, err := escapedInput(c)
	if err != nil {
		return nil, err
	}
	const br = "<br />"
	if err := c.Make(len(s) + len(br)*(strings.Count(s, "\n")+strings.Count(s, "\r"))); err != nil {
		return nil, err
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' || s[i] == '\r' {
			b.WriteString(br)
			if i+1 < len(s) && s[i]+s[i+1] == '\n'+'\r' && s[i] != s[i+1] { // a pair is one line break
				b.WriteByte(s[i])
				i++
			}
		}
		b.WriteByte(s[i])
	}
	return Markup(b.String()), nil
}

const htmlSpace = " \t\n\r\v\f"

// filterSpaceless takes the white space out between tags of HTML. As in Twig, its input is taken for HTML
// and not escaped.
func filterSpaceless(c *call) (any, error) {
	s, err := c.input(1)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '>')
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i+1])
		s = s[i+1:]
		if rest := strings.TrimLeft(s, htmlSpace); strings.HasPrefix(rest, "<") {
			s = rest
		}
	}
	return Markup(strings.Trim(b.String(), trimmed)), nil
}

// trimmed is what PHP's trim takes away.
const trimmed = " \t\n\r\x00\x0b"

func filterTrim(c *call) (any, error) {
	s, err := c.input(0)
	if err != nil {
		return nil, err
	}
	mask := trimmed
	if c.arg(1, nil) != nil {
		if mask, err = c.text(1, ""); err != nil {
			return nil, err
		}
	}
	side, err := c.text(2, "both")
	if err != nil {
		return nil, err
	}
	if side != "both" && side != "left" && side != "right" {
		return nil, fmt.Errorf("a text can be trimmed at the side left, right or both, not %q", side)
	}
	set := byteSet(mask)
	if side != "right" {
		for s != "" && set[s[0]] {
			s = s[1:]
		}
	}
	if side != "left" {
		for s != "" && set[s[len(s)-1]] {
			s = s[:len(s)-1]
		}
	}
	if _, safe := c.args[0].(Markup); safe && mask == trimmed {
		return Markup(s), nil
	}
	return s, nil
}

// byteSet are the bytes that a mask of PHP's trim stands for, in which a..z is a range.
func byteSet(mask string) (set [256]bool) {
	for i := 0; i < len(mask); i++ {
		if strings.HasPrefix(mask[i+1:], "..") && i+3 < len(mask) && mask[i+3] >= mask[i] {
			for b := int(mask[i]); b <= int(mask[i+3]); b++ {
				set[b] = true
			}
			i += 3
			continue
		}
		set[mask[i]] = true
	}
	return set
}

// filterReplace is PHP's strtr: at each place the longest key that is there gets replaced, and what was
// put in is not looked at again.
func filterReplace(c *call) (any, error) {
	s, err := c.input(0)
	if err != nil {
		return nil, err
	}
	from, ok := c.args[1].(*value.Array)
	if !ok {
		return nil, fmt.Errorf(`what to replace must be an object such as {"a": "b"}, not %s`, value.Describe(plain(c.args[1])))
	}
	if err := c.room(from.Len()); err != nil {
		return nil, err
	}
	by := make(map[string]string, from.Len())
	var begins [256][]int // the lengths of the keys by their first bytes, longest first
	for key, v := range from.All() {
		k := key.String()
		if k == "" {
			continue
		}
		if by[k], err = toText(v); err != nil {
			return nil, err
		}
		lengths := &begins[k[0]]
		if at, found := slices.BinarySearchFunc(*lengths, len(k), func(a, b int) int { return b - a }); !found {
			*lengths = slices.Insert(*lengths, at, len(k))
		}
	}
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		replaced := false
		for _, n := range begins[s[i]] {
			if n > len(s)-i {
				continue
			}
			if err := c.Step(1 + n/64); err != nil {
				return nil, err
			}
			if to, ok := by[s[i:i+n]]; ok {
				if err := c.Make(i - done + len(to)); err != nil {
					return nil, err
				}
				b.WriteString(s[done:i])
				b.WriteString(to)
				i += n
				done, replaced = i, true
				break
			}
		}
		if !replaced {
			i++
		}
	}
	if done == 0 {
		return s, nil
	}
	if err := c.Make(len(s) - done); err != nil {
		return nil, err
	}
	b.WriteString(s[done:])
	return b.String(), nil
}

// filterSplit is explode, or without a delimiter pieces of as many characters as the limit says.
func filterSplit(c *call) (any, error) {
	s, err := c.input(0)
	if err != nil {
		return nil, err
	}
	delimiter, err := c.text(1, "")
	if err != nil {
		return nil, err
	}
	limit := int64(math.MaxInt32)
	if c.arg(2, nil) != nil {
		if limit, err = c.integer(2, 0); err != nil {
			return nil, err
		}
	}
	if delimiter == "" {
		if c.arg(2, nil) == nil {
			limit = 1
		}
		return c.pieces(s, int(max(min(limit, math.MaxInt32), 1)))
	}
	count := strings.Count(s, delimiter) + 1
	if limit == 0 {
		limit = 1
	}
	n := count
	if limit > 0 {
		n = int(min(int64(count), limit))
	}
	if err := c.room(n); err != nil {
		return nil, err
	}
	parts := strings.SplitN(s, delimiter, n)
	if limit < 0 {
		parts = parts[:max(int64(len(parts))+max(limit, -math.MaxInt32), 0)]
	}
	list := value.NewArray(len(parts))
	for _, part := range parts {
		list.Append(part)
	}
	return list, nil
}

// pieces cuts a text into pieces of size characters.
func (c *call) pieces(s string, size int) (any, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("a text that is not UTF-8 has no characters to split it into")
	}
	if err := c.room(utf8.RuneCountInString(s)/size + 1); err != nil {
		return nil, err
	}
	list := &value.Array{}
	begin, n := 0, 0
	for i := range s {
		if n == size {
			list.Append(s[begin:i])
			begin, n = i, 0
		}
		n++
	}
	list.Append(s[begin:])
	return list, nil
}

// filterStriptags is PHP's strip_tags.
func filterStriptags(c *call) (any, error) {
	s, err := c.input(1)
	if err != nil {
		return nil, err
	}
	allowed, err := allowedTags(c.arg(1, nil))
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		switch {
		case s[i] != '<', i+1 < len(s) && strings.IndexByte(htmlSpace, s[i+1]) >= 0:
			b.WriteByte(s[i])
			i++
		case strings.HasPrefix(s[i:], "<!--"):
			end := strings.Index(s[i:], "-->")
			if end < 0 {
				return b.String(), nil
			}
			i += end + len("-->")
		case strings.HasPrefix(s[i:], "<?"):
			end := strings.Index(s[i:], "?>")
			if end < 0 {
				return b.String(), nil
			}
			i += end + len("?>")
		default:
			end := markupEnd(s[i:])
			if end < 0 {
				return b.String(), nil
			}
			if allowed[markupName(s[i:i+end])] {
				b.WriteString(s[i : i+end])
			}
			i += end
		}
	}
	return b.String(), nil
}

// markupEnd returns how long the tag at the beginning of a text is, or -1 if it does not end. A > in quotes
// does not end it, nor one that belongs to another <.
func markupEnd(s string) int {
	var quote byte
	depth := 0
	for i := range len(s) {
		switch ch := s[i]; {
		case quote != 0:
			if ch == quote {
				quote = 0
			}
		case (ch == '"' || ch == '\'') && i > 0:
			quote = ch
		case ch == '<' && (i+1 == len(s) || strings.IndexByte(htmlSpace, s[i+1]) < 0):
			depth++
		case ch == '>':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

func markupName(tag string) string {
	tag = strings.TrimLeft(tag, "</"+htmlSpace)
	if end := strings.IndexAny(tag, "/>"+htmlSpace); end >= 0 {
		tag = tag[:end]
	}
	return strings.ToLower(tag)
}

// allowedTags reads "<b><i>" or ["b", "i"].
func allowedTags(v any) (map[string]bool, error) {
	allowed := map[string]bool{}
	if a, ok := v.(*value.Array); ok {
		for _, item := range a.All() {
			s, err := toText(item)
			if err != nil {
				return nil, err
			}
			allowed[markupName(s)] = true
		}
		return allowed, nil
	}
	s, err := toText(v)
	if err != nil {
		return nil, err
	}
	for tag := range strings.SplitSeq(s, ">") {
		if at := strings.IndexByte(tag, '<'); at >= 0 {
			allowed[markupName(tag[at:])] = true
		}
	}
	return allowed, nil
}

// latin are letters beyond ASCII by what they are written as in a slug.
var latin = func() map[rune]string {
	letters := map[rune]string{'ß': "ss", 'ẞ': "SS", 'æ': "ae", 'Æ': "AE", 'œ': "oe", 'Œ': "OE", 'þ': "th", 'Þ': "TH", 'ŉ': "'n", 'ĳ': "ij", 'Ĳ': "IJ"}
	for plain, marked := range map[string]string{
		"a": "àáâãäåāăąǎȁȃȧạảấầẩẫậắằẳẵặ", "c": "çćĉċčƈ", "d": "ďđðɗ", "e": "èéêëēĕėęěȅȇẹẻẽếềểễệ", "f": "ƒ", "g": "ĝğġģǧǵɠ", "h": "ĥħȟ",
		"i": "ìíîïĩīĭįıǐịỉ", "j": "ĵǰ", "k": "ķĸǩƙ", "l": "ĺļľŀł", "n": "ñńņňŋǹ", "o": "òóôõöøōŏőơǒọỏốồổỗộớờởỡợ", "p": "ƥ", "r": "ŕŗřȑ", "s": "śŝşšșſ",
		"t": "ţťŧțƭ", "u": "ùúûüũūŭůűųưǔụủứừửữự", "w": "ŵẁẃẅ", "y": "ýÿŷƴỳỵỷỹ", "z": "źżžƶ",
	} {
		for _, r := range marked {
			letters[r] = plain
			if upper := unicode.ToUpper(r); upper != r && upper >= utf8.RuneSelf {
				letters[upper] = strings.ToUpper(plain)
			}
		}
	}
	return letters
}()

// filterSlug writes a text with the letters and digits of ASCII only and a separator between words.
func filterSlug(c *call) (any, error) {
	s, err := c.input(1)
	if err != nil {
		return nil, err
	}
	separator, err := c.text(1, "-")
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	apart := false
	for _, r := range s {
		letters, ok := latin[r]
		switch {
		case isAlphanumeric(r):
			letters = string(r)
		case !ok && unicode.Is(unicode.Mn, r):
			continue
		case !ok:
			apart = true
			continue
		}
		if apart && b.Len() > 0 {
			if err := c.Make(len(separator)); err != nil {
				return nil, err
			}
			b.WriteString(separator)
		}
		apart = false
		b.WriteString(letters)
	}
	return b.String(), nil
}

// filterURLEncode is rawurlencode, and for arrays http_build_query, by RFC 3986.
func filterURLEncode(c *call) (any, error) {
	if a, ok := c.args[0].(*value.Array); ok {
		var b strings.Builder
		err := c.query(&b, a, "", 0)
		return b.String(), err
	}
	s, err := c.input(3)
	return rawURLEncode(s), err
}

// maxNesting is how deep arrays may be in arrays to be encoded.
const maxNesting = 512

func (c *call) query(b *strings.Builder, a *value.Array, within string, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("arrays are nested more than %d deep", maxNesting)
	}
	for key, v := range a.All() {
		if err := c.Step(1); err != nil {
			return err
		}
		v = plain(v)
		if err := c.Make(3*len(key.String()) + len(within)); err != nil {
			return err
		}
		name := rawURLEncode(key.String())
		if within != "" {
			name = within + "%5B" + name + "%5D"
		}
		switch inner := v.(type) {
		case nil:
			continue
		case *value.Array:
			if err := c.query(b, inner, name, depth+1); err != nil {
				return err
			}
			continue
		case bool:
			v = int64(0)
			if inner {
				v = int64(1)
			}
		}
		s, err := toText(v)
		if err != nil {
			return err
		}
		if err := c.Make(len(name) + 3*len(s) + 2); err != nil {
			return err
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name + "=" + rawURLEncode(s))
	}
	return nil
}

// The flags of json_encode that are supported.
const (
	jsonHexTag           = 1
	jsonHexAmp           = 2
	jsonHexApos          = 4
	jsonHexQuot          = 8
	jsonForceObject      = 16
	jsonNumericCheck     = 32
	jsonUnescapedSlashes = 64
	jsonPretty           = 128
	jsonUnescapedUnicode = 256
	jsonZeroFraction     = 1024
	jsonKnown            = 2048 - 1 - 512
)

func filterJSONEncode(c *call) (any, error) {
	flags, err := c.integer(1, 0)
	if err != nil {
		return nil, err
	}
	if flags&^jsonKnown != 0 {
		return nil, fmt.Errorf("the flags %d of json_encode are not supported", flags&^jsonKnown)
	}
	depth, err := c.integer(2, maxNesting)
	if err != nil {
		return nil, err
	}
	j := jsonWriter{call: c, flags: flags, depth: int(min(depth, maxNesting))}
	err = j.write(c.args[0], 0)
	return j.b.String(), err
}

// A jsonWriter writes a value as PHP's json_encode does.
type jsonWriter struct {
	*call
	b     strings.Builder
	flags int64
	depth int
}

func (j *jsonWriter) put(s string) error {
	if err := j.Make(len(s)); err != nil {
		return err
	}
	j.b.WriteString(s)
	return nil
}

func (j *jsonWriter) write(v any, depth int) error {
	if err := j.Step(1); err != nil {
		return err
	}
	v = plain(v)
	switch x := v.(type) {
	case *value.Array:
		return j.array(x, depth+1)
	case value.Date: // as the object that it is in PHP
		kind := 3
		if name := x.Location().String(); name == "" || name[0] == '+' || name[0] == '-' {
			kind = 1
		}
		return j.array(value.Map("date", x.Format("2006-01-02 15:04:05.000000"), "timezone_type", kind, "timezone", value.FormatDate(x.Time, "e")), depth+1)
	case string:
		if n, ok := value.Numeric(x); ok && j.flags&jsonNumericCheck != 0 {
			v = n
			break
		}
		return j.text(x)
	}
	text, err := value.JSON(v)
	if err != nil {
		return err
	}
	if f, ok := v.(float64); ok && j.flags&jsonZeroFraction != 0 && f == math.Trunc(f) && !strings.ContainsAny(string(text), ".e") {
		text = append(text, ".0"...)
	}
	return j.put(string(text))
}

func (j *jsonWriter) array(a *value.Array, depth int) error {
	if depth > j.depth {
		return fmt.Errorf("arrays are nested more than %d deep", j.depth)
	}
	begin, end := "{", "}"
	isList := a.IsList() && j.flags&jsonForceObject == 0
	if isList {
		begin, end = "[", "]"
	}
	if a.Len() == 0 {
		return j.put(begin + end)
	}
	line := func(depth int) string {
		if j.flags&jsonPretty == 0 {
			return ""
		}
		return "\n" + strings.Repeat("    ", depth)
	}
	colon := ":"
	if j.flags&jsonPretty != 0 {
		colon = ": "
	}
	before := begin
	for key, v := range a.All() {
		if err := j.put(before + line(depth)); err != nil {
			return err
		}
		before = ","
		if !isList {
			if err := j.text(key.String()); err != nil {
				return err
			}
			if err := j.put(colon); err != nil {
				return err
			}
		}
		if err := j.write(v, depth); err != nil {
			return err
		}
	}
	return j.put(line(depth-1) + end)
}

func (j *jsonWriter) text(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("a text that is not UTF-8 cannot be written as JSON")
	}
	const longest = 6 // of what a byte becomes: \uXXXX
	if err := j.Make(longest*len(s) + 2); err != nil {
		return err
	}
	j.b.WriteByte('"')
	for _, r := range s {
		hex := false
		switch r {
		case '<', '>':
			hex = j.flags&jsonHexTag != 0
		case '&':
			hex = j.flags&jsonHexAmp != 0
		case '\'':
			hex = j.flags&jsonHexApos != 0
		case '"':
			hex = j.flags&jsonHexQuot != 0
		case '\u2028', '\u2029': // end lines in JavaScript
			hex = true
		}
		switch at := strings.IndexRune("\b\f\n\r\t", r); {
		case hex || r < ' ' && at < 0 || r >= utf8.RuneSelf && r < 0x10000 && j.flags&jsonUnescapedUnicode == 0:
			if r < utf8.RuneSelf && r >= ' ' {
				fmt.Fprintf(&j.b, `\u%04X`, r)
			} else {
				fmt.Fprintf(&j.b, `\u%04x`, r)
			}
		case at >= 0:
			j.b.WriteString(`\` + "bfnrt"[at:at+1])
		case r >= 0x10000 && j.flags&jsonUnescapedUnicode == 0:
			fmt.Fprintf(&j.b, `\u%04x\u%04x`, 0xd800|(r-0x10000)>>10, 0xdc00|(r-0x10000)&0x3ff)
		case r == '"' || r == '\\' || r == '/' && j.flags&jsonUnescapedSlashes == 0:
			j.b.WriteByte('\\')
			j.b.WriteRune(r)
		default:
			j.b.WriteRune(r)
		}
	}
	j.b.WriteByte('"')
	return nil
}

// filterFormat is PHP's sprintf.
func filterFormat(c *call) (any, error) {
	layout, err := c.text(0, "")
	if err != nil {
		return nil, err
	}
	f := formatter{call: c, next: 1}
	for {
		i := strings.IndexByte(layout, '%')
		if i < 0 {
			i = len(layout)
		}
		if err := f.put(layout[:i]); err != nil {
			return nil, err
		}
		if i == len(layout) {
			return f.b.String(), nil
		}
		if layout, err = f.directive(layout[i+1:]); err != nil {
			return nil, err
		}
	}
}

// A formatter writes what a layout of sprintf says.
type formatter struct {
	*call
	b    strings.Builder
	next int // argument
}

func (f *formatter) put(s string) error {
	if err := f.Make(len(s)); err != nil {
		return err
	}
	f.b.WriteString(s)
	return nil
}

// A directive is what stands between % and the letter.
type directive struct {
	left      bool
	sign      bool
	padding   byte
	width     int
	precision int // -1: none
}

// count reads a number, or takes an argument for *.
func (f *formatter) count(s string) (n int, rest string, err error) {
	if rest, ok := strings.CutPrefix(s, "*"); ok {
		v, err := f.argument(f.next)
		f.next++
		if err != nil {
			return 0, "", err
		}
		i, ok := plain(v).(int64)
		if !ok || i < -1 || i > math.MaxInt32 {
			return 0, "", fmt.Errorf("a width must be an integer that is not negative, not %s", value.Describe(plain(v)))
		}
		return int(i), rest, nil
	}
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if digits == 0 {
		return -1, s, nil
	}
	n, err = strconv.Atoi(s[:digits])
	if err != nil || n > math.MaxInt32 {
		return 0, "", fmt.Errorf("the number %s in the format is too large", s[:digits])
	}
	return n, s[digits:], nil
}

func (f *formatter) argument(i int) (any, error) {
	if !f.has(i) {
		return nil, fmt.Errorf("the format needs %d arguments, and there are %d", i, len(f.args)-1)
	}
	return f.args[i], nil
}

// directive writes what follows a %, and returns the rest of the layout.
func (f *formatter) directive(s string) (rest string, err error) {
	if rest, ok := strings.CutPrefix(s, "%"); ok {
		return rest, f.put("%")
	}
	d := directive{padding: ' ', precision: -1}
	at := 0
	if n, rest, err := f.count(strings.TrimPrefix(s, "*")); err == nil && n >= 0 && strings.HasPrefix(rest, "$") && s[0] != '*' {
		if n == 0 {
			return "", fmt.Errorf("the arguments of a format are numbered from 1")
		}
		at, s = n, rest[1:]
	}
flags:
	for s != "" {
		switch s[0] {
		case '-':
			d.left = true
		case '+':
			d.sign = true
		case ' ', '0':
			d.padding = s[0]
		case '\'':
			if len(s) < 2 {
				return "", fmt.Errorf("the format ends where it should name a character to fill with")
			}
			d.padding = s[1]
			s = s[1:]
		default:
			break flags
		}
		s = s[1:]
	}
	if d.width, s, err = f.count(s); err != nil {
		return "", err
	}
	if after, ok := strings.CutPrefix(s, "."); ok {
		if d.precision, s, err = f.count(after); err != nil {
			return "", err
		}
		d.precision = max(d.precision, 0)
	}
	s = strings.TrimPrefix(s, "l")
	if s == "" {
		return "", fmt.Errorf("the format ends in the middle of a %%")
	}
	if strings.IndexByte("bcdeEfFgGhHosuxX", s[0]) < 0 {
		r, _ := utf8.DecodeRuneInString(s)
		return "", fmt.Errorf("there is no %%%c in formats", r)
	}
	if at == 0 {
		at = f.next
		f.next++
	}
	v, err := f.argument(at)
	if err != nil {
		return "", err
	}
	return s[1:], f.convert(d, s[0], v)
}

func (f *formatter) convert(d directive, letter byte, v any) error {
	if letter == 's' {
		s, err := toText(v)
		if err != nil {
			return err
		}
		if d.precision >= 0 {
			s = s[:min(d.precision, len(s))]
		}
		return f.pad(d, s, false)
	}
	n, err := f.cast(v)
	if err != nil {
		return err
	}
	i := value.ToInt(n)
	switch letter {
	case 'd':
		s := strconv.FormatInt(i, 10)
		if d.sign && i >= 0 {
			s = "+" + s
		}
		return f.pad(d, s, true)
	case 'u':
		return f.pad(d, strconv.FormatUint(uint64(i), 10), false)
	case 'c':
		return f.put(string([]byte{byte(i)}))
	case 'b':
		return f.pad(d, strconv.FormatUint(uint64(i), 2), false)
	case 'o':
		return f.pad(d, strconv.FormatUint(uint64(i), 8), false)
	case 'x':
		return f.pad(d, strconv.FormatUint(uint64(i), 16), false)
	case 'X':
		return f.pad(d, strings.ToUpper(strconv.FormatUint(uint64(i), 16)), false)
	}
	s := floatFormat(asFloat(n), letter, d.precision)
	if d.sign && s[0] != '-' {
		s = "+" + s
	}
	return f.pad(d, s, true)
}

// floatFormat writes a float by one of e, E, f, F, g, G, h and H. Precisions beyond 53 are 53, as in PHP.
func floatFormat(f float64, letter byte, precision int) string {
	if math.IsNaN(f) {
		return "NaN"
	}
	if math.IsInf(f, 0) {
		return strings.TrimPrefix(strconv.FormatFloat(f, 'f', -1, 64), "+")
	}
	if precision < 0 {
		precision = 6
	}
	precision = min(precision, 53)
	switch letter {
	case 'f', 'F':
		return strconv.FormatFloat(roundHalfUp(f, int64(precision)), 'f', precision, 64)
	case 'e', 'E':
		return shortExponent(strconv.FormatFloat(f, letter, precision, 64))
	}
	precision = max(precision, 1)
	lower := byte('e')
	if letter == 'G' || letter == 'H' {
		lower = 'E'
	}
	e := strconv.FormatFloat(f, 'e', precision-1, 64)
	exponent, _ := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	if f != 0 && (exponent < -4 || exponent >= precision) {
		mantissa := e[:strings.IndexByte(e, 'e')]
		if strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(mantissa, "0")
		}
		mantissa = strings.TrimSuffix(mantissa, ".")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		return fmt.Sprintf("%s%c%+d", mantissa, lower, exponent)
	}
	s := strconv.FormatFloat(f, 'f', max(precision-1-exponent, 0), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// shortExponent takes the zeros out of an exponent, of which PHP writes none.
func shortExponent(s string) string {
	at := strings.IndexAny(s, "eE") + 2
	digits := strings.TrimLeft(s[at:], "0")
	if digits == "" {
		digits = "0"
	}
	return s[:at] + digits
}

// pad puts a text in its width. Zeros go behind the sign of a number.
func (f *formatter) pad(d directive, s string, number bool) error {
	missing := d.width - len(s)
	if missing <= 0 {
		return f.put(s)
	}
	if err := f.Make(missing); err != nil {
		return err
	}
	fill := strings.Repeat(string([]byte{d.padding}), missing)
	switch {
	case d.left:
		return f.put(s + fill)
	case number && d.padding == '0' && (s[0] == '-' || s[0] == '+'):
		return f.put(s[:1] + fill + s[1:])
	}
	return f.put(fill + s)
}
