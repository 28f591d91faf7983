package personnel

import "testing"

// related returns a resource with a name and perhaps an abbreviation.
func related(k *Kind, name, abbreviation string) *Resource {
	r := New(k)
	r.Set("name", name)
	if abbreviation != "" {
		r.Set("abbreviation", abbreviation)
	}
	return r
}

func TestDisplayName(t *testing.T) {
	jane := New(&User)
	jane.Set("name", "Jane Roe Jr.")
	jane.Related = map[string]*Resource{
		"rank": related(&Rank, "Sergeant", "SGT"), "unit": related(&Unit, "- 1st | 2nd -", ""), "specialty": related(&Specialty, "Infantryman", ""), "status": nil,
	}
	tests := []struct{ format, want string }{
		{"", "Jane Roe Jr."},
		{"{name}", "Jane Roe Jr."},
		{"{rank.abbreviation} {name}", "SGT Jane Roe Jr."},
		{"{rank.name}. {name}, {unit.name}", "Sergeant. Jane Roe Jr., - 1st | 2nd -"},
		{"  {name}  ", "  Jane Roe Jr.  "},

		{"{position.name} {name}", "Jane Roe Jr."},
		{"{position.name}. {name}", "Jane Roe Jr."},
		{"{name} - {position.name}", "Jane Roe Jr."},
		{"{name} | {status.name} | {rank.name}", "Jane Roe Jr. | Sergeant"},
		{"{status.name}, {name}, {position.name}", "Jane Roe Jr."},
		{"{specialty.name} ({specialty.abbreviation}) {name}", "Infantryman () Jane Roe Jr."},
		{"{unit.name} / {position.name} / {name}", "- 1st | 2nd - / Jane Roe Jr."},
		{"{position.name} – {status.name}", ""},
		{"{name} {nonsense} {rank.nonsense}", "Jane Roe Jr."},
		{"{name} {NAME} {", "Jane Roe Jr. {NAME} {"},
	}
	for _, test := range tests {
		if got := displayName(jane, test.format); got != test.want {
			t.Errorf("%q gives %q, want %q", test.format, got, test.want)
		}
	}
}

func TestProfilePhotoURL_initials(t *testing.T) {
	for name, want := range map[string]string{
		"Jane Roe":      "J+R",
		"Jane":          "J",
		" jane  van R ": "j+v+R",
		"Élodie Ö":      "%C3%89+%C3%96",
		"🙂 & Co":        "%F0%9F%99%82+%26+C",
	} {
		r := New(&User)
		r.Set("name", name)
		if got, want := profilePhotoURL(r, &View{}), "https://ui-avatars.com/api/?name="+want+"&color=2563eb&background=eff6ff"; got != want {
			t.Errorf("%q has the photo %v, want %s", name, got, want)
		}
	}
}
