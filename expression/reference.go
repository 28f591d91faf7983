package expression

import "slices"

// An Entry describes what conditions can be written with.
type Entry struct {
	Kind        string // "function" or "operator"
	Name        string
	Signature   string // how it is written: "in_array(needle, haystack)", "a and b"
	Description string // a sentence
}

// Reference describes the functions and operators of the language, functions first and each by name. It
// is shared: not to be changed.
func Reference() []Entry { return slices.Clip(reference) }

var reference = []Entry{
	{"function", "blank", "blank(v)", "Whether v is null, a text without anything but white space, or an empty list. Numbers and booleans never are."},
	{"function", "contains", "contains(text, part)", "Whether a text has another in it. False for what is no text."},
	{"function", "ends_with", "ends_with(text, part)", "Whether a text ends with another. False for what is no text."},
	{"function", "filled", "filled(v)", "The opposite of blank."},
	{"function", "in_array", "in_array(needle, list)", "Whether a list has an item that is == the needle. False if it is no list."},
	{"function", "max", "max(a, b, …)", "The greatest of several values, or of the items of one list."},
	{"function", "min", "min(a, b, …)", "The least of several values, or of the items of one list."},
	{"function", "starts_with", "starts_with(text, part)", "Whether a text begins with another. False for what is no text."},

	{"operator", "!", "!a", "Not: whether a is false, null, 0, an empty text, \"0\" or an empty list."},
	{"operator", "!=", "a != b", "Whether they are not equal."},
	{"operator", "!==", "a !== b", "Whether they are not equal, or not of the same type."},
	{"operator", "%", "a % b", "What is left when a is divided by b, as whole numbers."},
	{"operator", "&", "a & b", "The bits that both have."},
	{"operator", "&&", "a && b", "Whether both are true. The right one is evaluated only if the left one is."},
	{"operator", "*", "a * b", "The product."},
	{"operator", "**", "a ** b", "a to the power of b."},
	{"operator", "+", "a + b", "The sum, or the items of two lists under different keys."},
	{"operator", "-", "a - b", "The difference."},
	{"operator", "..", "a..b", "The list of the whole numbers from a to b."},
	{"operator", "/", "a / b", "The quotient. Dividing by 0 is an error."},
	{"operator", "<", "a < b", "Whether a is less than b."},
	{"operator", "<<", "a << b", "The bits of a, moved b places to the left."},
	{"operator", "<=", "a <= b", "Whether a is less than b or equal."},
	{"operator", "==", "a == b", "Whether they are equal; a number also equals a text that says it."},
	{"operator", "===", "a === b", "Whether they are equal and of the same type."},
	{"operator", ">", "a > b", "Whether a is greater than b."},
	{"operator", ">=", "a >= b", "Whether a is greater than b or equal."},
	{"operator", ">>", "a >> b", "The bits of a, moved b places to the right."},
	{"operator", "? :", "a ? b : c", "b if a is true, else c."},
	{"operator", "?.", "a?.b", "The item of a, or null if a is null."},
	{"operator", "?:", "a ?: b", "a if it is true, else b."},
	{"operator", "??", "a ?? b", "a unless it is missing or null, else b."},
	{"operator", "^", "a ^ b", "The bits that only one has."},
	{"operator", "and", "a and b", "Whether both are true. The right one is evaluated only if the left one is."},
	{"operator", "contains", "a contains b", "Whether the text a has b in it."},
	{"operator", "ends with", "a ends with b", "Whether the text a ends with b."},
	{"operator", "in", "a in list", "Whether the list has an item that is === a."},
	{"operator", "matches", "a matches \"/^x/i\"", "Whether the text a matches a regular expression, which has delimiters and perhaps flags."},
	{"operator", "not", "not a", "Whether a is not true. It binds tighter than comparisons: write not (a == b)."},
	{"operator", "not in", "a not in list", "Whether the list has no item that is === a."},
	{"operator", "or", "a or b", "Whether at least one is true. The right one is evaluated only if the left one is not."},
	{"operator", "starts with", "a starts with b", "Whether the text a begins with b."},
	{"operator", "xor", "a xor b", "Whether exactly one is true."},
	{"operator", "|", "a | b", "The bits that at least one has."},
	{"operator", "||", "a || b", "Whether at least one is true. The right one is evaluated only if the left one is not."},
	{"operator", "~", "a ~ b", "Both as one text. It binds tighter than + and -."},
}
