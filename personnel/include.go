package personnel

import (
	"slices"
	"strings"
)

// An Include is a relation to be rendered within a resource, with those within it.
type Include struct {
	Name  string
	Below []Include
}

// Shown are includes of single relations, with nothing below them.
func Shown(names ...string) []Include {
	list := make([]Include, len(names))
	for i, name := range names {
		list[i].Name = name
	}
	return list
}

// maxIncludeDepth is how far a path of relations may lead.
const maxIncludeDepth = 4

// ReadIncludes returns those of the paths, such as "user.rank", that may be included in the kind's
// resources. Others are left out, as PERSCOM does.
func ReadIncludes(k *Kind, paths []string) []Include {
	var list []Include
	for _, path := range paths {
		parts := strings.Split(strings.TrimSpace(path), ".")
		if len(parts) <= maxIncludeDepth && k.mayInclude(parts) {
			list = addInclude(list, k, parts)
		}
	}
	return list
}

// mayInclude reports whether the kind's list has the path, or has it open from some relation on.
func (k *Kind) mayInclude(parts []string) bool {
	if slices.Contains(k.Includes, strings.Join(parts, ".")) {
		return true
	}
	for n := 1; n < len(parts); n++ {
		if slices.Contains(k.Includes, strings.Join(parts[:n], ".")+".*") {
			return true
		}
	}
	return false
}

// addInclude puts a path into the tree, as far as its relations exist and lead to what is public.
func addInclude(list []Include, k *Kind, parts []string) []Include {
	rel := k.Relation(parts[0])
	if rel == nil {
		return list
	}
	at := slices.IndexFunc(list, func(i Include) bool { return i.Name == rel.Name })
	if at < 0 {
		at, list = len(list), append(list, Include{Name: rel.Name})
	}
	if len(parts) > 1 && !rel.Model {
		list[at].Below = addInclude(list[at].Below, ByName(rel.Kind), parts[1:])
	}
	return list
}
