package personnel

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

var documentTag = regexp.MustCompile(`\{(.*?)\}`)

// documentParsed is the content of a record's document with its tags replaced, or nil without one.
// A tag that is unknown, or for which there is nothing, stays as it is.
func documentParsed(r *Resource, v *View) any {
	document := r.Related["document"]
	if document == nil {
		return nil
	}
	return documentTag.ReplaceAllStringFunc(document.Text("content"), func(tag string) string {
		if text := tagText(tag[1:len(tag)-1], r, v); text != "" {
			return text
		}
		return tag
	})
}

// tagText returns what a tag stands for, or the empty string.
func tagText(tag string, r *Resource, v *View) string {
	if name, ok := strings.CutPrefix(tag, "user_"); ok {
		return userTag(name, r.Related["user"], v)
	}
	if tag == "author_resource_name" {
		return r.Related["author"].textOf("name")
	}
	name, ok := strings.CutPrefix(tag, strings.TrimSuffix(r.Kind.Table, "s")+"_")
	if !ok {
		return ""
	}
	switch name {
	case "text":
		return r.Text("text")
	case "date":
		return dayTime(r.Text("created_at"))
	case "type":
		return typeLabel(r)
	case "speciality": // so spelled in PERSCOM
		name = "specialty"
	case "rank_abbreviation":
		return r.Related["rank"].textOf("abbreviation")
	}
	if slices.Contains([]string{"status", "unit", "position", "specialty", "award", "qualification", "rank"}, name) {
		return r.Related[name].textOf("name")
	}
	return ""
}

func userTag(name string, user *Resource, v *View) string {
	if user == nil {
		return ""
	}
	switch name {
	case "name", "email", "phone_number":
		return user.Text(name)
	case "email_verified_at":
		return dayTime(user.Text(name))
	case "online":
		if seenLately(user.Text("last_seen_at"), v.Now) {
			return "True"
		}
		return "False"
	case "status", "rank", "position", "specialty", "unit":
		return user.Related[name].textOf("name")
	case "assignment_position", "assignment_specialty", "assignment_unit":
		return user.Related[strings.TrimPrefix(name, "assignment_")].textOf("name")
	case "rank_abbreviation", "specialty_abbreviation":
		return user.Related[strings.TrimSuffix(name, "_abbreviation")].textOf("abbreviation")
	case "discord_tag":
		if discord := user.Text("discord_user_id"); discord != "" {
			return "<@" + discord + ">"
		}
	}
	return ""
}

// DocumentSources returns what the tags in a document's content stand for, each as the keys that lead there from a record of the
// kind: user, email. Without a kind, tags of any record count.
func DocumentSources(k *Kind, content string) [][]string {
	var sources [][]string
	for _, tag := range documentTag.FindAllString(content, -1) {
		if path := tagSource(tag[1:len(tag)-1], k); path != nil {
			sources = append(sources, path)
		}
	}
	return sources
}

// tagSource is what tagText reads of a tag, or nil.
func tagSource(tag string, k *Kind) []string {
	if name, ok := strings.CutPrefix(tag, "user_"); ok {
		switch name {
		case "name", "email", "phone_number", "email_verified_at":
			return []string{"user", name}
		case "online":
			return []string{"user", "last_seen_at"}
		case "discord_tag":
			return []string{"user", "discord_user_id"}
		case "rank_abbreviation", "specialty_abbreviation":
			return []string{"user", strings.TrimSuffix(name, "_abbreviation"), "abbreviation"}
		}
		return []string{"user", strings.TrimPrefix(name, "assignment_"), "name"}
	}
	if tag == "author_resource_name" {
		return []string{"author", "name"}
	}
	name, ok := "", false
	if k != nil {
		name, ok = strings.CutPrefix(tag, strings.TrimSuffix(k.Table, "s")+"_")
	} else {
		_, name, ok = strings.Cut(tag, "record_")
	}
	switch {
	case !ok:
		return nil
	case name == "text" || name == "type":
		return []string{name}
	case name == "date":
		return []string{"created_at"}
	case name == "speciality":
		return []string{"specialty", "name"}
	case name == "rank_abbreviation":
		return []string{"rank", "abbreviation"}
	}
	return []string{name, "name"}
}

// textOf is Text for a resource that may be missing.
func (r *Resource) textOf(field string) string {
	if r == nil {
		return ""
	}
	return r.Text(field)
}

// dayTime is a stored time as documents show it: "Wed, Jan 14, 2026 12:00 PM".
func dayTime(stored string) string {
	at, err := time.Parse(StoredTime, stored)
	if err != nil {
		return ""
	}
	return at.Format("Mon, Jan 2, 2006 3:04 PM")
}

// typeLabel is the word for the type of an assignment or rank record.
func typeLabel(r *Resource) string {
	switch r.Kind.Name {
	case "assignmentrecord":
		if text := r.Text("type"); text != "" {
			return strings.ToUpper(text[:1]) + text[1:]
		}
	case "rankrecord":
		labels := []string{"Promotion", "Demotion", "Lateral", "Transfer"}
		if n, ok := r.Get("type").(int64); ok && n >= 0 && n < int64(len(labels)) {
			return labels[n]
		}
	}
	return ""
}
