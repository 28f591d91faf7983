package twig

import (
	"strings"
	"testing"

	"github.com/buglehq/bugle/internal/engine"
	"github.com/buglehq/bugle/value"
)

func TestEscape(t *testing.T) {
	const text = `<a href='x'>"é& 😀</a>` + "\t\n\\/;{}\x01"
	runCases(t, filters, []useCase{
		{"escape", with(`<b>O'Neil & "Co"</b>`), Markup("&lt;b&gt;O&#039;Neil &amp; &quot;Co&quot;&lt;/b&gt;")},
		{"e", with("<br>"), Markup("&lt;br&gt;")},
		{"escape", with("a\xffb"), Markup("a\ufffdb")},
		{"escape", with(Markup("<br>")), Markup("&lt;br&gt;")},
		{"escape", with(text, "js"), Markup(`\u003Ca\u0020href\u003D\u0027x\u0027\u003E\u0022\u00E9\u0026\u0020\uD83D\uDE00\u003C\/a\u003E\t\n\\\/\u003B\u007B\u007D\u0001`)},
		{"escape", with("a b<é", "css"), Markup(`a\20 b\3C \E9 `)},
		{"escape", with("<br /> \x01é\"&.-_", "html_attr"), Markup("&lt;br&#x20;&#x2F;&gt;&#x20;&#xFFFD;&#x00E9;&quot;&amp;.-_")},
		{"escape", with("a b/é~", "url"), Markup("a%20b%2F%C3%A9~")},
		{"escape", with(nil), nil},
		{"escape", with(5), 5},
		{"escape", with("x", "odd"), failure{}},
		{"escape", with(5, "odd"), failure{}},
		{"escape", with("\xff", "js"), failure{}},
		{"raw", with("<b>"), Markup("<b>")},
		{"raw", with(5), 5},
	})
}

func TestTextFilters(t *testing.T) {
	runCases(t, filters, []useCase{
		{"upper", with("éa ß"), "ÉA SS"},
		{"upper", with(nil), ""},
		{"upper", with(true), "1"},
		{"upper", with(value.List()), failure{}},
		{"upper", with(Markup("<b>")), "<B>"},
		{"lower", with("ÀB"), "àb"},
		{"capitalize", with("élan VITAL"), "Élan vital"},
		{"capitalize", with(""), ""},
		{"title", with("I like o'neil-bräuer 1st"), "I Like O'neil-Bräuer 1St"},
		{"title", with("ßa"), "Ssa"},
		{"trim", with("  x\n"), "x"},
		{"trim", with("xxay", "x", "left"), "ay"},
		{"trim", with("abcXcba", "a..c"), "X"},
		{"trim", with("xax", "x", "right"), "xa"},
		{"trim", with("x", "x", "middle"), failure{}},
		{"trim", with(Markup(" <b> ")), Markup("<b>")},
		{"trim", with(Markup(" <b> "), "<"), " <b> "},
		{"nl2br", with("<a>\nb\r\nc\rd"), Markup("&lt;a&gt;<br />\nb<br />\r\nc<br />\rd")},
		{"nl2br", with(Markup("<b>\n")), Markup("<b><br />\n")},
		{"spaceless", with(" <div>  <b> x </b>\n</div> "), Markup("<div><b> x </b></div>")},
		{"striptags", with("<p>Hello, <strong>World</strong>!</p>"), "Hello, World!"},
		{"striptags", with("<p>a <b>b</b></p>", "<b>"), "a <b>b</b>"},
		{"striptags", with("<p>a <b>b</b><br/></p>", value.List("b", "br")), "a <b>b</b><br/>"},
		{"striptags", with("1 < 2 <!-- x > y -->z<a title='>'>q"), "1 < 2 zq"},
		{"striptags", with("a<b"), "a"},
		{"replace", with("abc", value.Map("a", "b", "b", "c")), "bcc"},
		{"replace", with("Hi all", value.Map("Hi", "Hello", "Hello", "x", "H", "-", "", "y")), "Hello all"},
		{"replace", with("I like 1", value.Map("1", 5)), "I like 5"},
		{"replace", with(nil, value.Map("1", 5)), ""},
		{"replace", with("a", "b"), failure{}},
		{"replace", with("a", value.Map("a", value.List())), failure{}},
		{"split", with("one,two,three", ","), value.List("one", "two", "three")},
		{"split", with("one,two,three", ",", 2), value.List("one", "two,three")},
		{"split", with("one,two,three", ",", -1), value.List("one", "two")},
		{"split", with("one,two,three", ",", -9), value.List()},
		{"split", with("one,two", ",", 0), value.List("one,two")},
		{"split", with("", ","), value.List("")},
		{"split", with("été", ""), value.List("é", "t", "é")},
		{"split", with("abcde", "", 2), value.List("ab", "cd", "e")},
		{"split", with("é", "", 10), value.List("é")},
		{"split", with("\xff", ""), failure{}},
		{"url_encode", with("spéß le~c0d@d"), "sp%C3%A9%C3%9F%20le~c0d%40d"},
		{"url_encode", with(value.Map("a b", "c d", "n", nil, "t", true, "f", false, "l", value.List(1, value.Map("k", "v")))), "a%20b=c%20d&t=1&f=0&l%5B0%5D=1&l%5B1%5D%5Bk%5D=v"},
		{"url_encode", with(value.List()), ""},
		{"convert_encoding", with("é", "UTF-8", "utf-8"), "é"},
		{"convert_encoding", with("é", "UTF-8", "ISO-8859-1"), failure{}},
		{"slug", with("Wôrķšƥáçè ~~sèťtïñğš~~"), "Workspace-settings"},
		{"slug", with("Straße & Ærø", "_"), "Strasse_AEro"},
		{"default", with("", "x"), "x"},
		{"default", with(0, "x"), 0},
		{"default", with("0", "x"), "0"},
		{"default", with(false), ""},
	})
}

func TestFormat(t *testing.T) {
	runCases(t, filters, []useCase{
		{"format", with("%s/%d", "bar", 3), "bar/3"},
		{"format", with(nil, 3), ""},
		{"format", with("%2$s %1$s %2$s", "a", "b"), "b a b"},
		{"format", with("%x %X %o %b %c %e %u %'*10s %-5s| %+d", 255, 255, 8, 5, 65, 1234.5, 3, "pad", "l", 7), "ff FF 10 101 A 1.234500e+3 3 *******pad l    | +7"},
		{"format", with("%05d|%5d|%-5d|%+05d|%05.1f", -12, 12, 12, 12, -1.25), "-0012|   12|12   |+0012|-01.3"},
		{"format", with("%.2f %F %.0f %5.1e", 1.005, 2, 2.5, 12345.678), "1.01 2.000000 3 1.2e+4"},
		{"format", with("%g %G %g %g", 0.00001234, 1e20, 100000, 1.5), "1.234e-5 1.0E+20 100000 1.5"},
		{"format", with("%.2s|%5.1s|", "abc", "xyz"), "ab|    x|"},
		{"format", with("%*d", 5, 42), "   42"},
		{"format", with("%d %d %d %s", "12abc", "x", nil, true), "12 0 0 1"},
		{"format", with("%x %u", -1, -1), "ffffffffffffffff 18446744073709551615"},
		{"format", with("100%%"), "100%"},
		{"format", with("%d"), failure{}},
		{"format", with("%3$d", 1), failure{}},
		{"format", with("%0$d", 1), failure{}},
		{"format", with("%y", 1), failure{}},
		{"format", with("%", 1), failure{}},
		{"format", with("%'", 1), failure{}},
		{"format", with("%99999999999999999999d", 1), failure{}},
		{"format", with("%s", value.List()), failure{}},
	})
}

func TestJSONEncode(t *testing.T) {
	all := value.Map("s", "a/b \"é\" 😀 \n\x01", "f", 1.0, "g", 0.1, "n", nil, "b", true, "l", value.List(1, value.List()), "sp", value.Map("3", "a", "1", "b"))
	runCases(t, filters, []useCase{
		{"json_encode", with(all), `{"s":"a\/b \"\u00e9\" \ud83d\ude00 \n\u0001","f":1,"g":0.1,"n":null,"b":true,"l":[1,[]],"sp":{"3":"a","1":"b"}}`},
		{"json_encode", with("a/é", 64|256), `"a/é"`},
		{"json_encode", with(value.Map("a", value.List(1, 2), "b", value.List()), 128), "{\n    \"a\": [\n        1,\n        2\n    ],\n    \"b\": []\n}"},
		{"json_encode", with(value.List(1.0, "5", "x"), 16|32|1024), `{"0":1.0,"1":5,"2":"x"}`},
		{"json_encode", with("<&'\">", 1|2|4|8), `"\u003C\u0026\u0027\u0022\u003E"`},
		{"json_encode", with(Markup("<")), `"<"`},
		{"json_encode", with(value.Date{Time: wednesday}), `{"date":"2026-01-14 12:30:15.000000","timezone_type":3,"timezone":"UTC"}`},
		{"json_encode", with("\xff"), failure{}},
		{"json_encode", with(1, 1<<20), failure{}},
		{"json_encode", with(value.List(value.List()), 0, 1), failure{}},
	})
}

func TestArrayFilters(t *testing.T) {
	abc := value.Map("a", 1, "b", 2, "c", 3)
	list := value.List(1, 2, 3, 4)
	above2 := arrowOf(func(s []any) any { return value.Compare(s[0], int64(2)) > 0 })
	sum := arrowOf(func(s []any) any { return value.Add(s[0], s[1]) })
	byKey := arrowOf(func(s []any) any { return s[1] })
	descending := arrowOf(func(s []any) any { return int64(value.Compare(s[1], s[0])) })
	greater := arrowOf(func(s []any) any { return value.Compare(s[0], s[1]) > 0 })
	rows := value.List(value.Map("id", 7, "n", "x"), value.Map("id", 8, "n", "y"), value.Map("id", 9), "text")
	runCases(t, filters, []useCase{
		{"batch", with(list, 3), value.List(value.Map(0, 1, 1, 2, 2, 3), value.Map(3, 4))},
		{"batch", with(list, 3, "-"), value.List(value.List(1, 2, 3), value.Map(3, 4, 4, "-", 5, "-"))},
		{"batch", with(list, 2.5, absent{}, false), value.List(value.List(1, 2, 3), value.List(4))},
		{"batch", with(value.List(), 2, "-"), value.List()},
		{"batch", with(list, 0), failure{}},
		{"batch", with("x", 2), failure{}},
		{"column", with(rows, "n"), value.List("x", "y")},
		{"column", with(rows, "n", "id"), value.Map(7, "x", 8, "y")},
		{"column", with("x", "n"), failure{}},
		{"filter", with(list, above2), value.Map(2, 3, 3, 4)},
		{"filter", with(list, "strtoupper"), failure{}},
		{"filter", with("x", above2), failure{}},
		{"find", with(list, above2), 3},
		{"find", with(value.List(1), above2), nil},
		{"map", with(abc, byKey), value.Map("a", "a", "b", "b", "c", "c")},
		{"map", with(list, "system"), failure{}},
		{"reduce", with(list, sum, 10), 20},
		{"reduce", with(value.List(), sum), nil},
		{"join", with(list, ", "), "1, 2, 3, 4"},
		{"join", with(list, ", ", " and "), "1, 2, 3 and 4"},
		{"join", with(value.List("x"), ", ", " and "), "x"},
		{"join", with(value.List("a", "b", "c"), "-", ""), "a-bc"},
		{"join", with(nil), ""},
		{"join", with(5), "5"},
		{"join", with(value.List(true, nil, 1.0, Markup("<")), ","), "1,,1,<"},
		{"join", with(value.List(value.List())), failure{}},
		{"keys", with(value.Map("a", 1, "7", 2)), value.List("a", 7)},
		{"keys", with("x"), value.List()},
		{"merge", with(value.List(1), value.List(2), value.List(3)), value.List(1, 2, 3)},
		{"merge", with(value.Map("a", 1, "5", 2), value.Map("a", 3, "5", 4)), value.Map("a", 3, 0, 2, 1, 4)},
		{"merge", with(value.List(1), 2), failure{}},
		{"sort", with(value.List(10, "9", 1.5)), value.Map(2, 1.5, 1, "9", 0, 10)},
		{"sort", with(value.List(1, 2, 3), descending), value.Map(2, 3, 1, 2, 0, 1)},
		{"sort", with(value.List(2, 1), greater), value.Map(1, 1, 0, 2)},
		{"sort", with("x"), failure{}},
		{"sort", with(list, "strcmp"), failure{}},
		{"first", with(list), 1},
		{"first", with("Ä€é"), "Ä"},
		{"first", with(value.List()), false},
		{"first", with(nil), ""},
		{"last", with(abc), 3},
		{"last", with("Ä€é"), "é"},
		{"last", with(""), ""},
		{"length", with(abc), 3},
		{"length", with("été"), 3},
		{"length", with(1000), 4},
		{"length", with(nil), 0},
		{"length", with(false), 0},
		{"reverse", with(value.List(1, 2)), value.List(2, 1)},
		{"reverse", with(value.List(1, 2), true), value.Map(1, 2, 0, 1)},
		{"reverse", with(value.Map("a", 1, "b", 2)), value.Map("b", 2, "a", 1)},
		{"reverse", with("été!"), "!été"},
		{"shuffle", with(value.List("x")), value.List("x")},
		{"shuffle", with("éé"), "éé"},
		{"shuffle", with(5), 5},
		{"slice", with(list, 1, 2), value.List(2, 3)},
		{"slice", with(list, 1, 2, true), value.Map(1, 2, 2, 3)},
		{"slice", with(list, -2), value.List(3, 4)},
		{"slice", with(list, 0, -1), value.List(1, 2, 3)},
		{"slice", with(list, 9), value.List()},
		{"slice", with(list, -9, 1), value.List(1)},
		{"slice", with(abc, 1, 1), value.Map("b", 2)},
		{"slice", with("été", 1), "té"},
		{"slice", with("abcdef", -3, 2), "de"},
		{"slice", with("abcdef", 0, -2), "abcd"},
		{"slice", with("abc", 3), ""},
		{"slice", with("abc", 1, 1<<62), "bc"},
	})
}

func TestNumberFilters(t *testing.T) {
	runCases(t, filters, []useCase{
		{"abs", with(-5.5), 5.5},
		{"abs", with(-5), 5},
		{"abs", with("-7"), 7},
		{"abs", with(-1 << 63), 9.223372036854775808e18},
		{"abs", with("x"), failure{}},
		{"increment", with(5), 6},
		{"increment", with(5, 2.5), 7.5},
		{"increment", with("5", "3"), 8},
		{"increment", with(nil), 1},
		{"increment", with("x", 4), 4},
		{"increment", with(true, 4), 4},
		{"increment", with(5, nil), failure{}},
		{"increment", with(5, "x"), failure{}},
		{"decrement", with(5), 4},
		{"decrement", with(nil, 3), -3},
		{"round", with(2.5), 3.0},
		{"round", with(-2.5), -3.0},
		{"round", with(1.005, 2), 1.01},
		{"round", with(1.955, 2), 1.96},
		{"round", with(1234567.0, -3), 1235000.0},
		{"round", with(2.1234, 3, "floor"), 2.123},
		{"round", with(42.55, 1, "floor"), 42.5},
		{"round", with(2.1, 0, "ceil"), 3.0},
		{"round", with("21.3", -1, "ceil"), 30.0},
		{"round", with(nil, 2), 0.0},
		{"round", with("abc"), 0.0},
		{"round", with(0.4), 0.0},
		{"round", with(5, 0, "odd"), failure{}},
		{"round", with(value.List()), failure{}},
		{"number_format", with(20.25), "20"},
		{"number_format", with(1020.25, 2), "1,020.25"},
		{"number_format", with("1020.25", 2, ",", "."), "1.020,25"},
		{"number_format", with(1234567.891, 2, "", ""), "123456789"},
		{"number_format", with(-1234.567, 2), "-1,234.57"},
		{"number_format", with(-0.4), "0"},
		{"number_format", with(nil, 2), "0.00"},
		{"number_format", with(0.5), "1"},
		{"number_format", with(123, -2), "123"},
		{"number_format", with(1e15, 1, ".", " "), "1 000 000 000 000 000.0"},
		{"format_number", with("12.345"), "12.345"},
		{"format_number", with(1234.5678), "1,234.568"},
		{"format_number", with(1234), "1,234"},
		{"format_number", with(0.5, value.Map("fraction_digit", 0)), "0"},
		{"format_number", with("12.345", absent{}, "percent"), "1,234%"},
		{"format_number", with(1, absent{}, "spellout"), failure{}},
		{"format_number", with(1, absent{}, absent{}, absent{}, "fr"), failure{}},
		{"format_currency", with("1000000", "EUR"), "€1,000,000.00"},
		{"format_currency", with(-5.5, "usd"), "-$5.50"},
		{"format_currency", with("12.345", "EUR", value.Map("rounding_mode", "floor")), "€12.34"},
		{"format_currency", with("125000", "YEN"), "YEN\u00a0125,000.00"},
		{"format_currency", with(1, "EURO"), failure{}},
	})
}

func TestFunctions(t *testing.T) {
	runCases(t, functions, []useCase{
		{"cycle", with(value.List("odd", "even"), 3), "even"},
		{"cycle", with(value.List(), 3), failure{}},
		{"cycle", with("x", 3), failure{}},
		{"max", with(2, 1, 5), 5},
		{"max", with(value.List(2, 9, 5)), 9},
		{"max", with(value.Map(2, "two", 1, "one", 3, "three")), "two"},
		{"min", with(2, 1, 5), 1},
		{"min", with(value.List()), failure{}},
		{"min", with(5), failure{}},
		{"random", with(0), 0},
		{"random", with(5, 5), 5},
		{"random", with(""), ""},
		{"random", with("ééé"), "é"},
		{"random", with(value.List("x")), "x"},
		{"random", with(value.List()), failure{}},
		{"random", with(5, 1), failure{}},
		{"range", with(1, 10, 3), value.List(1, 4, 7, 10)},
		{"range", with(3, 1), value.List(3, 2, 1)},
		{"range", with("a", "c"), value.List("a", "b", "c")},
	})
	for range 100 {
		for _, args := range [][]any{{absent{}, absent{}}, {int64(10), absent{}}, {int64(-10), absent{}}, {int64(-1 << 63), int64(1<<63 - 1)}} {
			if v, err := functionRandom(newCall(engine.Limits{}, args...)); err != nil {
				t.Fatalf("random%v = %v, %v", args, v, err)
			}
		}
	}
}

func TestTests(t *testing.T) {
	list, object := value.List(1), value.Map("a", 1)
	runCases(t, tests, []useCase{
		{"divisible by", with(9, 3), true},
		{"divisible by", with("9", 2), false},
		{"divisible by", with(9, 0), failure{}},
		{"divisible by", with("x", 3), failure{}},
		{"empty", with(""), true},
		{"empty", with("0"), false},
		{"empty", with(0), false},
		{"empty", with(false), true},
		{"empty", with(Markup("")), true},
		{"empty", with(value.List()), true},
		{"empty", with(list), false},
		{"even", with(4), true},
		{"even", with(nil), true},
		{"odd", with(-3), true},
		{"odd", with("x"), failure{}},
		{"iterable", with(list), true},
		{"iterable", with("x"), false},
		{"mapping", with(object), true},
		{"mapping", with(list), false},
		{"sequence", with(list), true},
		{"sequence", with(object), false},
		{"none", with(nil), true},
		{"null", with(false), false},
		{"same as", with(1, 1), true},
		{"same as", with(1, "1"), false},
		{"same as", with(1, 1.0), false},
		{"same as", with(Markup("x"), "x"), true},
		{"same as", with(value.Date{Time: wednesday}, value.Date{Time: wednesday}), true},
		{"true", with("0"), false},
		{"true", with("x"), true},
	})
}

func TestInflect(t *testing.T) {
	for _, pair := range strings.Fields(`unit/units rank/ranks award/awards company/companies battery/batteries squadron/squadrons army/armies division/divisions
		day/days class/classes box/boxes branch/branches wish/wishes buzz/buzzes rifleman/riflemen airman/airmen corpsman/corpsmen human/humans
		person/people Person/People man/men woman/women child/children foot/feet mouse/mice criterion/criteria analysis/analyses index/indices status/statuses
		bus/buses virus/viruses aircraft/aircraft corps/corps personnel/personnel headquarters/headquarters series/series hero/heroes radio/radios photo/photos
		knife/knives leaf/leaves chief/chiefs staff/staff roof/roofs base/bases house/houses sortie/sorties matrix/matrices quiz/quizzes medium/media
		court-martial/courts-martial commander-in-chief/commanders-in-chief FOX/FOXES Company/Companies qualification/qualifications specialty/specialties
		assignment/assignments position/positions medal/medals ribbon/ribbons citation/citations mission/missions exercise/exercises platoon/platoons`) {
		one, many, _ := strings.Cut(pair, "/")
		runCases(t, filters, []useCase{{"plural", with(one), many}, {"singular", with(many), one}})
	}
	runCases(t, filters, []useCase{
		{"plural", with("fire team"), "fire teams"},
		{"plural", with("Sergeant Major"), "Sergeants Major"},
		{"plural", with(""), ""},
		{"plural", with("42"), "42"},
		{"singular", with("military police"), "military police"},
		{"singular", with("combat boots"), "combat boot"},
		{"singular", with("news"), "news"},
		{"singular", with("unit"), "unit"},
		{"plural", with("unit", "fr"), failure{}},
		{"plural", with("unit", "en", true), failure{}},
	})
}
