package twig

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unchanging are words that are the same for one and for many.
var unchanging = wordSet(`aircraft spacecraft hovercraft watercraft rotorcraft headquarters sheep deer moose fish species series news information equipment
	personnel police infantry cavalry artillery ordnance ammunition armor armour offspring swine salmon trout rice money luggage baggage corps means
	staff intelligence reconnaissance evidence feedback software hardware firmware furniture homework advice barracks crossroads gallows chassis`)

// wordSet returns the words of a list.
func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(list) {
		set[word] = true
	}
	return set
}

// irregular are words whose plurals follow no rule, or another one than they seem to.
var irregular = map[string]string{
	"person": "people", "man": "men", "woman": "women", "child": "children", "foot": "feet", "tooth": "teeth", "goose": "geese", "mouse": "mice", "louse": "lice",
	"ox": "oxen", "die": "dice", "penny": "pennies", "criterion": "criteria", "phenomenon": "phenomena", "datum": "data", "medium": "media", "bacterium": "bacteria",
	"stratum": "strata", "memorandum": "memoranda", "addendum": "addenda", "erratum": "errata", "curriculum": "curricula", "cactus": "cacti", "fungus": "fungi",
	"nucleus": "nuclei", "stimulus": "stimuli", "syllabus": "syllabi", "alumnus": "alumni", "radius": "radii", "locus": "loci", "focus": "foci",
	"analysis": "analyses", "axis": "axes", "basis": "bases", "crisis": "crises", "thesis": "theses", "hypothesis": "hypotheses", "diagnosis": "diagnoses",
	"oasis": "oases", "ellipsis": "ellipses", "parenthesis": "parentheses", "synthesis": "syntheses", "emphasis": "emphases", "appendix": "appendices",
	"index": "indices", "matrix": "matrices", "vertex": "vertices", "vortex": "vortices", "quiz": "quizzes", "leaf": "leaves", "loaf": "loaves", "thief": "thieves",
	"sheaf": "sheaves", "half": "halves", "calf": "calves", "elf": "elves", "self": "selves", "shelf": "shelves", "wolf": "wolves", "knife": "knives", "life": "lives",
	"wife": "wives", "scarf": "scarves", "hero": "heroes", "echo": "echoes", "potato": "potatoes", "tomato": "tomatoes", "torpedo": "torpedoes", "veto": "vetoes",
	"embargo": "embargoes", "mosquito": "mosquitoes", "cargo": "cargoes", "bus": "buses", "gas": "gases", "virus": "viruses", "campus": "campuses", "bonus": "bonuses",
	"status": "statuses", "census": "censuses", "apparatus": "apparatuses", "atlas": "atlases", "canvas": "canvases", "alias": "aliases", "bias": "biases",
	"lens": "lenses", "iris": "irises", "passerby": "passersby", "attorney general": "attorneys general", "sergeant major": "sergeants major",
	"court martial": "courts martial", "court-martial": "courts-martial", "sergeant-major": "sergeants-major", "commander-in-chief": "commanders-in-chief",
	"commander in chief": "commanders in chief", "aide-de-camp": "aides-de-camp", "chief of staff": "chiefs of staff", "officer in charge": "officers in charge",
	"man-at-arms": "men-at-arms", "brother-in-arms": "brothers-in-arms", "rank and file": "rank and file", "movie": "movies", "cookie": "cookies",
	"calorie": "calories", "rookie": "rookies", "zombie": "zombies", "tie": "ties", "pie": "pies", "lie": "lies", "cache": "caches", "axe": "axes", "sortie": "sorties",
	"horse": "horses", "house": "houses", "base": "bases", "case": "cases", "phase": "phases", "course": "courses", "nurse": "nurses", "response": "responses",
	"release": "releases", "license": "licenses", "purpose": "purposes", "cause": "causes", "exercise": "exercises", "corpse": "corpses", "increase": "increases",
	"purchase": "purchases", "database": "databases", "expense": "expenses", "warehouse": "warehouses", "size": "sizes", "prize": "prizes", "niche": "niches",
	"use": "uses", "rose": "roses", "noise": "noises", "offense": "offenses", "defense": "defenses", "course of action": "courses of action", "rule of engagement": "rules of engagement",
}

// regular is irregular by plurals. "bases" and "axes" are of two words: the one that units have.
var regular = func() map[string]string {
	of := make(map[string]string, len(irregular))
	for one, many := range irregular {
		if kept, ok := of[many]; !ok || one > kept {
			of[many] = one
		}
	}
	of["persons"] = "person"
	of["bases"] = "base"
	of["axes"] = "axis"
	of["indexes"] = "index"
	of["appendixes"] = "appendix"
	return of
}()

// vowelBeforeLast reports whether the letter before the last one is a vowel.
func vowelBeforeLast(word string) bool {
	return len(word) > 1 && strings.IndexByte("aeiou", word[len(word)-2]) >= 0
}

// pluralOf returns the plural of an English word, or of the last word of several.
func pluralOf(text string) string {
	return inflected(text, irregular, func(word string) string {
		switch {
		case strings.HasSuffix(word, "man") && len(word) > 4 && !strings.HasSuffix(word, "human") && !strings.HasSuffix(word, "german"):
			return word[:len(word)-2] + "en"
		case strings.HasSuffix(word, "y") && !vowelBeforeLast(word) && len(word) > 1:
			return word[:len(word)-1] + "ies"
		case hasSuffix(word, "s", "x", "z", "ch", "sh"):
			return word + "es"
		}
		return word + "s"
	})
}

// singularOf returns the word of which a text is the plural.
func singularOf(text string) string {
	return inflected(text, regular, func(word string) string {
		switch {
		case strings.HasSuffix(word, "men") && len(word) > 4 && word != "specimen" && word != "regimen":
			return word[:len(word)-2] + "an"
		case strings.HasSuffix(word, "ies") && len(word) > 4:
			return word[:len(word)-3] + "y"
		case hasSuffix(word, "sses", "shes", "ches", "xes", "zzes"):
			return word[:len(word)-2]
		case hasSuffix(word, "ss", "us", "is") || !strings.HasSuffix(word, "s") || len(word) < 3:
			return word
		}
		return word[:len(word)-1]
	})
}

func hasSuffix(word string, suffixes ...string) bool {
	for _, suffix := range suffixes {
		if strings.HasSuffix(word, suffix) {
			return true
		}
	}
	return false
}

// inflected looks a text up, then the last word of it, which it else inflects by rule. Capitals stay.
func inflected(text string, table map[string]string, rule func(word string) string) string {
	lower := strings.ToLower(text)
	if len(lower) != len(text) {
		return text // letters of other lengths: it is not English
	}
	if found, ok := table[lower]; ok {
		return likeCase(text, found)
	}
	at := strings.LastIndexFunc(lower, func(r rune) bool { return !unicode.IsLetter(r) }) + 1
	if at > 0 && at <= len(lower) {
		_, size := utf8.DecodeRuneInString(lower[at-1:])
		at += size - 1
	}
	head, word := text[:at], text[at:]
	small := lower[at:]
	if word == "" || unchanging[small] {
		return text
	}
	found, ok := table[small]
	if !ok {
		found = rule(small)
	}
	return head + likeCase(word, found)
}

// likeCase writes a word with the capitals of another one: those of its beginning, which they share, and
// all if that has nothing else.
func likeCase(model, word string) string {
	for _, between := range []string{" ", "-"} {
		models, words := strings.Split(model, between), strings.Split(word, between)
		if len(models) > 1 && len(models) == len(words) {
			for i := range words {
				words[i] = likeCase(models[i], words[i])
			}
			return strings.Join(words, between)
		}
	}
	if len(model) > 1 && model == strings.ToUpper(model) && model != strings.ToLower(model) {
		return strings.ToUpper(word)
	}
	n := 0
	for n < len(model) && n < len(word) {
		_, size := utf8.DecodeRuneInString(model[n:])
		_, other := utf8.DecodeRuneInString(word[n:])
		if !strings.EqualFold(model[n:n+size], word[n:n+other]) {
			break
		}
		n += size
	}
	if n == 0 {
		r, size := utf8.DecodeRuneInString(model)
		if unicode.IsUpper(r) && size == 1 {
			return strings.ToUpper(word[:1]) + word[1:]
		}
		return word
	}
	return model[:n] + word[n:]
}

func filterPlural(c *call) (any, error) { return inflect(c, pluralOf) }

func filterSingular(c *call) (any, error) { return inflect(c, singularOf) }

// inflect applies a rule of English. Twig's argument all, for all the forms there are, is not supported.
func inflect(c *call, rule func(text string) string) (any, error) {
	if err := c.english(1); err != nil {
		return nil, err
	}
	if c.flag(2, false) {
		return nil, fmt.Errorf("there is one form of a word only: the argument all is not supported")
	}
	s, err := c.input(2)
	if err != nil {
		return nil, err
	}
	return rule(s), c.Make(64)
}
