// Package expression evaluates conditions in the language of Symfony's ExpressionLanguage, with the
// semantics that PHP 8 gives its operators:
//
//	changed("rank_id") and model.rank["order"] > 4 and not blank(model.text ?? null)
//
// Values are those of package value: nil, bool, int64, float64, string and *value.Array, and
// value.Date. A program is compiled once and can be evaluated any number of times, also at the same
// time. It can reach nothing but the values and functions that it is given, and its cost is bounded.
//
// Two things work here that are errors in Symfony: map.key is map["key"], and contains(a, b) can be
// called anywhere although contains is an operator too.
package expression
