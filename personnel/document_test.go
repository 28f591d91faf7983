package personnel

import (
	"testing"
	"time"
)

func TestDocumentParsed(t *testing.T) {
	jane := New(&User)
	for field, v := range map[string]any{"name": "Jane Roe", "email": "jane@example.com", "phone_number": "555", "email_verified_at": "2025-11-02 09:15:00",
		"last_seen_at": "2026-01-14 11:59:00", "discord_user_id": "42"} {
		jane.Set(field, v)
	}
	jane.Related = map[string]*Resource{"rank": related(&Rank, "Sergeant", "SGT"), "specialty": related(&Specialty, "Infantryman", "11B"),
		"unit": related(&Unit, "1st Squad", ""), "position": related(&Position, "Team Leader", ""), "status": related(&Status, "Active", "")}
	john := New(&User)
	john.Set("name", "John Doe")

	record := func(k *Kind, values map[string]any, relations map[string]*Resource) *Resource {
		r := New(k)
		r.Set("created_at", "2026-01-14 15:05:00")
		r.Set("text", "<b>text</b>")
		for field, v := range values {
			r.Set(field, v)
		}
		r.Related = map[string]*Resource{"user": jane, "author": john}
		for name, other := range relations {
			r.Related[name] = other
		}
		return r
	}
	assignment := record(&AssignmentRecord, map[string]any{"type": "secondary"}, map[string]*Resource{"status": related(&Status, "Reserve", ""),
		"unit": related(&Unit, "2nd Squad", ""), "position": related(&Position, "Medic", ""), "specialty": related(&Specialty, "Corpsman", "")})
	rank := record(&RankRecord, map[string]any{"type": Lateral}, map[string]*Resource{"rank": related(&Rank, "Corporal", "CPL")})
	award := record(&AwardRecord, nil, map[string]*Resource{"award": related(&Award, "Medal", "")})
	qualification := record(&QualificationRecord, nil, map[string]*Resource{"qualification": related(&Qualification, "Marksman", "")})
	orphan := record(&CombatRecord, nil, map[string]*Resource{"user": nil, "author": nil})

	tests := []struct {
		record        *Resource
		content, want string
	}{
		{rank, "no tags", "no tags"},
		{rank, "{user_name} {user_email} {user_phone_number}", "Jane Roe jane@example.com 555"},
		{rank, "{user_email_verified_at}", "Sun, Nov 2, 2025 9:15 AM"},
		{rank, "{user_online} {user_discord_tag}", "True <@42>"},
		{rank, "{user_status} {user_rank} {user_position} {user_specialty} {user_unit}", "Active Sergeant Team Leader Infantryman 1st Squad"},
		{rank, "{user_assignment_position}, {user_assignment_specialty}, {user_assignment_unit}", "Team Leader, Infantryman, 1st Squad"},
		{rank, "{user_rank_abbreviation} {user_specialty_abbreviation}", "SGT 11B"},
		{rank, "{author_resource_name}", "John Doe"},
		{rank, "{rank_record_rank} {rank_record_rank_abbreviation} {rank_record_type}", "Corporal CPL Lateral"},
		{rank, "{rank_record_text} {rank_record_date}", "<b>text</b> Wed, Jan 14, 2026 3:05 PM"},
		{assignment, "{assignment_record_status} {assignment_record_unit} {assignment_record_position}", "Reserve 2nd Squad Medic"},
		{assignment, "{assignment_record_specialty} {assignment_record_speciality} {assignment_record_type}", "Corpsman Corpsman Secondary"},
		{award, "{award_record_award} {award_record_date}", "Medal Wed, Jan 14, 2026 3:05 PM"},
		{qualification, "{qualification_record_qualification}", "Marksman"},

		{rank, "{} {unknown} {user_} {user_password} {award_record_award}", "{} {unknown} {user_} {user_password} {award_record_award}"},
		{rank, "{{user_name}} {user_name", "{{user_name}} {user_name"},
		{rank, "{\n}", "{\n}"},
		{orphan, "{user_name} {author_resource_name} {combat_record_text}", "{user_name} {author_resource_name} <b>text</b>"},
	}
	view := &View{Now: time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC)}
	for _, test := range tests {
		document := New(&Document)
		document.Set("content", test.content)
		test.record.Related["document"] = document
		if got := documentParsed(test.record, view); got != test.want {
			t.Errorf("%q becomes\n     %q\nwant %q", test.content, got, test.want)
		}
	}
	delete(rank.Related, "document")
	if got := documentParsed(rank, view); got != nil {
		t.Errorf("without a document: %v, want null", got)
	}
}
