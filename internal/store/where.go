package store

import (
	"fmt"
	"strings"
)

// A where collects the conditions of a list, with their parameters.
type where struct {
	conditions []string
	args       []any
}

// newWhere begins with a column that must equal a value.
func newWhere(column string, v any) *where {
	w := &where{}
	w.add(column+" = $%d", v)
	return w
}

// add adds a condition in which %d stands for the number of its parameter.
func (w *where) add(condition string, v any) {
	w.args = append(w.args, v)
	w.conditions = append(w.conditions, fmt.Sprintf(condition, len(w.args)))
}

// addPlain adds a condition without a parameter.
func (w *where) addPlain(condition string) { w.conditions = append(w.conditions, condition) }

// addText adds a condition that one of the columns contains a text, in either case.
func (w *where) addText(text string, columns ...string) {
	w.args = append(w.args, "%"+strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)+"%")
	any := make([]string, len(columns))
	for i, column := range columns {
		any[i] = likeText(column, fmt.Sprintf("$%d", len(w.args)))
	}
	w.conditions = append(w.conditions, "("+strings.Join(any, " OR ")+")")
}

// String returns the clause.
func (w *where) String() string { return " WHERE " + strings.Join(w.conditions, " AND ") }

// limit returns the clause that cuts a page out, and adds its parameters, which come last.
func (w *where) limit(p PageRequest) string {
	w.args = append(w.args, p.Limit, p.offset())
	return fmt.Sprintf(" LIMIT $%d OFFSET $%d", len(w.args)-1, len(w.args))
}
