package chat

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/buglehq/bugle/value"
)

// A rule is a body and the warnings it gets, a line each: "! path: message", with the exclamation mark
// if the service refuses the body.
type rule struct{ body, want string }

// repeats finds ‹x*3›, which stands for xxx.
var repeats = regexp.MustCompile(`‹(.+?)\*(\d+)›`)

func expand(s string) string {
	return repeats.ReplaceAllStringFunc(s, func(m string) string {
		part := repeats.FindStringSubmatch(m)
		n, _ := strconv.Atoi(part[2])
		return strings.TrimSuffix(strings.Repeat(part[1], n), ",")
	})
}

func describe(warnings []Warning) string {
	var b strings.Builder
	for _, w := range warnings {
		if w.Refused {
			b.WriteString("! ")
		}
		fmt.Fprintf(&b, "%s: %s\n", w.Path, w.Message)
	}
	return strings.TrimSpace(b.String())
}

func check(t *testing.T, s Service, rules []rule) {
	t.Helper()
	for _, r := range rules {
		if got := describe(Check(s, decode(t, expand(r.body)))); got != r.want {
			t.Errorf("%s of\n%.300s\nis\n%s\nwant\n%s", s, r.body, got, r.want)
		}
	}
}

func TestCheck_discord(t *testing.T) {
	check(t, Discord, []rule{
		{`{"content": "Somebody was promoted."}`, ""},
		{`{"content": "‹x*2000›"}`, ""},
		{`{"content": "‹😀*2000›"}`, ""}, // code points, not UTF-16 code units
		{`{"content": " ‹x*2000›\n"}`, ""},
		{`{"content": "‹x*2001›"}`, `! content: The content has 2001 characters; Discord refuses more than 2000.`},
		{`{"content": 12}`, `! content: The content is 12; Discord wants a text.`},
		{`{"content": null, "embeds": [{"title": "x"}], "username": null}`, ""},

		{`{}`, `! : The message is empty; Discord wants at least one of content, embeds, components, poll and files.`},
		{`{"content": " \n", "embeds": [], "username": "x"}`, `! : The message is empty; Discord wants at least one of content, embeds, components, poll and files.`},
		{`{"components": [{"type": 1}]}`, ""},
		{`{"poll": {"question": {"text": "?"}}}`, ""},
		{`{"files[0]": "x"}`, ""},
		{`{"files": "x", "payload_json": "x"}`, ""},
		{`{"poll": "x"}`, `! poll: The poll is "x"; Discord wants an object.`},
		{`{"components": "x"}`, `! components: The components are "x"; Discord wants a list.`},
		{`{"content": "x", "components": [‹1,*40›]}`, ""},
		{`{"content": "x", "components": [‹1,*41›]}`, `! components: There are 41 components; Discord refuses more than 40.`},
		{`{"content": "x", "attachments": [‹1,*11›]}`, `! attachments: There are 11 attachments; Discord refuses more than 10.`},
		{`{"content": "x", "applied_tags": [‹1,*6›]}`, `! applied_tags: There are 6 tags; Discord refuses more than 5.`},

		{`{"content": "x", "username": "‹x*80›"}`, ""},
		{`{"content": "x", "username": "‹x*81›"}`, `! username: The username has 81 characters; Discord refuses more than 80.`},
		{`{"content": "x", "username": ""}`, `! username: The username is empty; Discord wants 1 to 80 characters.`},
		{`{"content": "x", "username": "My DISCORD bot"}`, `! username: The username is "My DISCORD bot"; Discord refuses names that contain "discord".`},
		{`{"content": "x", "username": "Clyde"}`, `! username: The username is "Clyde"; Discord refuses names that contain "clyde".`},
		{`{"content": "x", "username": [1]}`, `! username: The username is a list of 1 item; Discord wants a text.`},
		{`{"content": "x", "avatar_url": "https://example.com/a.png"}`, ""},
		{`{"content": "x", "avatar_url": "a.png"}`, `! avatar_url: The avatar's address is "a.png"; Discord wants an address that starts with https:// or http://.`},
		{`{"content": "x", "avatar_url": "attachment://a.png"}`, `! avatar_url: The avatar's address is "attachment://a.png"; Discord wants an address that starts with https:// or http://.`},
		{`{"content": "x", "tts": true, "thread_name": "‹x*100›"}`, ""},
		{`{"content": "x", "tts": "yes"}`, `tts: tts is "yes"; Discord wants true or false.`},
		{`{"content": "x", "thread_name": "‹x*101›"}`, `! thread_name: The thread's name has 101 characters; Discord refuses more than 100.`},
		{`{"content": "x", "flags": 4}`, ""},
		{`{"content": "x", "flags": "4"}`, `! flags: flags is "4"; Discord wants an integer.`},
		{`{"components": [{"type": 17}], "flags": 32768}`, ""},
		{`{"content": "x", "components": [{"type": 17}], "flags": 32768}`, `! content: The message has the flag IS_COMPONENTS_V2 and content; Discord takes nothing but components then.`},

		{`{"content": "x", "embed": []}`, `embed: Discord does not know "embed" and ignores it; perhaps "embeds" was meant.`},
		{`{"content": "x", "zzzzzzzzzz": 1}`, `zzzzzzzzzz: Discord does not know "zzzzzzzzzz" and ignores it.`},

		{`{"content": "Hi @everyone"}`, `content: The content has @everyone, which notifies many people; "allowed_mentions": {"parse": []} lets it notify nobody.`},
		{`{"content": "Hi @here"}`, `content: The content has @here, which notifies many people; "allowed_mentions": {"parse": []} lets it notify nobody.`},
		{`{"content": "Hi <@&123>"}`, `content: The content has <@&123>, which notifies many people; "allowed_mentions": {"parse": []} lets it notify nobody.`},
		{`{"content": "Hi @everyone", "allowed_mentions": null}`, `content: The content has @everyone, which notifies many people; "allowed_mentions": {"parse": []} lets it notify nobody.`},
		{`{"content": "Hi <@123>, joe@here.example"}`, `content: The content has @here, which notifies many people; "allowed_mentions": {"parse": []} lets it notify nobody.`},
		{`{"content": "Hi <@123>"}`, ""},
		{`{"content": "Hi @everyone", "allowed_mentions": {"parse": []}}`, ""},
		{`{"content": "Hi @everyone", "allowed_mentions": {"parse": ["everyone"]}}`, ""},
		{`{"embeds": [{"description": "@everyone"}]}`, ""},
		{`{"content": "x", "allowed_mentions": {"parse": ["users"], "roles": ["1"], "replied_user": false}}`, ""},
		{`{"content": "x", "allowed_mentions": {}}`, `allowed_mentions: allowed_mentions is empty and arrives as a list, [], where Discord wants an object; write {"parse": []}.`},
		{`{"content": "x", "allowed_mentions": "none"}`, `! allowed_mentions: allowed_mentions is "none"; Discord wants an object.`},
		{`{"content": "x", "allowed_mentions": {"parse": "none"}}`, `! allowed_mentions.parse: The mentions to parse are "none"; Discord wants a list.`},
		{`{"content": "x", "allowed_mentions": {"parse": ["roles", "role"]}}`, `! allowed_mentions.parse.1: This is "role"; Discord wants "roles", "users" or "everyone".`},
		{`{"content": "x", "allowed_mentions": {"parse": ["roles"], "roles": ["1"]}}`, `! allowed_mentions.roles: roles are allowed in parse and one by one; Discord refuses both at once.`},
		{`{"content": "x", "allowed_mentions": {"users": [‹1,*101›]}}`, `! allowed_mentions.users: There are 101 users; Discord refuses more than 100.`},
		{`{"content": "x", "allowed_mentions": {"parsed": []}}`, `allowed_mentions.parsed: Discord does not know "parsed" and ignores it; perhaps "parse" was meant.`},
		{`{"content": "x", "allowed_mentions": {"parse": [], "replied_user": 1}}`, `allowed_mentions.replied_user: replied_user is 1; Discord wants true or false.`},
	})
	check(t, Discord, []rule{
		{`"x"`, `! : The body is "x"; Discord takes a JSON object.`},
		{`[1]`, `! : The body is a list of 1 item; Discord takes a JSON object.`},
	})
}

func TestCheck_discordEmbeds(t *testing.T) {
	wrap := func(rules []rule) {
		t.Helper()
		for i, r := range rules {
			rules[i].body = `{"embeds": [` + r.body + `]}`
		}
		check(t, Discord, rules)
	}
	check(t, Discord, []rule{
		{`{"embeds": {"title": "x"}}`, `! embeds: The embeds are an object with 1 key; Discord wants a list.`},
		{`{"embeds": "x"}`, `! embeds: The embeds are "x"; Discord wants a list.`},
		{`{"embeds": [‹{"title":"x"},*10›]}`, ""},
		{`{"embeds": [‹{"title":"x"},*11›]}`, `! embeds: There are 11 embeds; Discord refuses more than 10.`},
		{`{"embeds": ["x"]}`, `! embeds.0: The embed is "x"; Discord wants an object.`},
	})
	wrap([]rule{
		{`{"title": "‹x*256›", "type": "rich", "url": "https://example.com"}`, ""},
		{`{"title": "‹x*257›"}`, `! embeds.0.title: The title has 257 characters; Discord refuses more than 256.`},
		{`{"title": 1}`, `! embeds.0.title: The title is 1; Discord wants a text.`},
		{`{"title": null, "description": "‹x*4096›"}`, ""},
		{`{"description": "‹x*4097›"}`, `! embeds.0.description: The description has 4097 characters; Discord refuses more than 4096.`},
		{`{"title": "x", "url": "/x"}`, `! embeds.0.url: The embed's address is "/x"; Discord wants an address that starts with https:// or http://.`},
		{`{"title": "x", "url": "https://"}`, `! embeds.0.url: The embed's address is "https://"; Discord wants an address that starts with https:// or http://.`},
		{`{"title": "x", "url": "https://a b"}`, `! embeds.0.url: The embed's address is "https://a b"; Discord wants an address that starts with https:// or http://.`},
		{`{"title": "x", "url": ""}`, ""},
		{`{"title": "x", "url": "https://e.com/‹x*2034›"}`, ""},
		{`{"title": "x", "url": "https://e.com/‹x*2035›"}`, `! embeds.0.url: The embed's address has 2049 characters; Discord refuses more than 2048.`},
		{`{"title": "x", "colour": 1}`, `embeds.0.colour: Discord does not know "colour" and ignores it; perhaps "color" was meant.`},
		{`{"color": 1}`, `embeds.0: The embed shows nothing; give it a title, a description, fields or an image.`},

		{`{"title": "x", "color": 0}`, ""},
		{`{"title": "x", "color": 16777215}`, ""},
		{`{"title": "x", "color": 16777215.0}`, ""},
		{`{"title": "x", "color": 16777216}`, `! embeds.0.color: The color is 16777216; Discord wants an integer from 0 to 16777215.`},
		{`{"title": "x", "color": -1}`, `! embeds.0.color: The color is -1; Discord wants an integer from 0 to 16777215.`},
		{`{"title": "x", "color": 1.5}`, `! embeds.0.color: The color is 1.5; Discord wants an integer from 0 to 16777215.`},
		{`{"title": "x", "color": true}`, `! embeds.0.color: The color is true; Discord wants an integer from 0 to 16777215.`},
		{`{"title": "x", "color": "#5865F2"}`, `! embeds.0.color: The color is the text "#5865F2"; Discord wants an integer from 0 to 16777215, such as 5793266 for #5865F2. Typed values would keep it a number.`},
		{`{"title": "x", "color": "16777216"}`, `! embeds.0.color: The color is the text "16777216"; Discord wants an integer from 0 to 16777215, such as 5793266 for #5865F2. Typed values would keep it a number.`},
		{`{"title": "x", "color": "5793266"}`, `embeds.0.color: The color is the text "5793266"; Discord's documentation wants an integer. Typed values would keep it a number.`},

		{`{"timestamp": "2026-01-14T12:00:00Z"}`, ""},
		{`{"timestamp": "2026-01-14T12:00:00.123456+02:00"}`, ""},
		{`{"timestamp": "2026-01-14 12:00:00"}`, ""},
		{`{"timestamp": "2026-01-14T12:00"}`, ""},
		{`{"timestamp": "2026-01-14"}`, `! embeds.0.timestamp: The timestamp is "2026-01-14"; Discord wants ISO 8601, such as 2026-01-14T12:00:00Z.`},
		{`{"timestamp": "2026-13-14T12:00:00Z"}`, `! embeds.0.timestamp: The timestamp is "2026-13-14T12:00:00Z"; Discord wants ISO 8601, such as 2026-01-14T12:00:00Z.`},
		{`{"timestamp": "yesterday"}`, `! embeds.0.timestamp: The timestamp is "yesterday"; Discord wants ISO 8601, such as 2026-01-14T12:00:00Z.`},
		{`{"timestamp": 1700000000}`, `! embeds.0.timestamp: The timestamp is 1700000000; Discord wants a text.`},

		{`{"footer": {"text": "‹x*2048›", "icon_url": "attachment://a.png"}}`, ""},
		{`{"footer": {"text": "‹x*2049›"}}`, `! embeds.0.footer.text: The footer's text has 2049 characters; Discord refuses more than 2048.`},
		{`{"footer": {"icon_url": "https://e.com/a.png"}}`, `embeds.0.footer.text: The footer has no text; Discord's documentation wants one.`},
		{`{"footer": "x"}`, `! embeds.0.footer: The footer is "x"; Discord wants an object.`},
		{`{"author": {"name": "‹x*256›", "url": "https://e.com", "icon_url": "https://e.com"}}`, ""},
		{`{"author": {"name": "‹x*257›"}}`, `! embeds.0.author.name: The author's name has 257 characters; Discord refuses more than 256.`},
		{`{"author": {"url": "x"}}`, `! embeds.0.author.name: The author has no name; Discord wants one.` + "\n" +
			`! embeds.0.author.url: The author's address is "x"; Discord wants an address that starts with https:// or http://.`},
		{`{"author": {"name": "x", "icon_url": "x"}}`, `! embeds.0.author.icon_url: The author's icon is "x"; Discord wants an address that starts with https:// or http:// or attachment://.`},
		{`{"image": {"url": "attachment://a.png"}, "thumbnail": {"url": "http://e.com/a.png"}}`, ""},
		{`{"image": {"url": "a.png"}}`, `! embeds.0.image.url: The image's address is "a.png"; Discord wants an address that starts with https:// or http:// or attachment://.`},
		{`{"thumbnail": {"height": 1}}`, `! embeds.0.thumbnail.url: The thumbnail has no url; Discord wants one.`},
		{`{"image": "https://e.com/a.png"}`, `! embeds.0.image: The image is "https://e.com/a.png"; Discord wants an object.`},
	})
	fields := []rule{
		{`‹{"name":"x","value":"y"},*25›`, ""},
		{`‹{"name":"x","value":"y"},*26›`, `! embeds.0.fields: There are 26 fields; Discord refuses more than 25.`},
		{`{"name": "‹x*256›", "value": "‹x*1024›", "inline": true}`, ""},
		{`{"name": "‹x*257›", "value": "‹x*1025›"}`, `! embeds.0.fields.0.name: The field's name has 257 characters; Discord refuses more than 256.` + "\n" +
			`! embeds.0.fields.0.value: The field's value has 1025 characters; Discord refuses more than 1024.`},
		{`{"name": "", "value": " "}`, `! embeds.0.fields.0.name: The field's name is empty; Discord wants 1 to 256 characters.` + "\n" +
			`! embeds.0.fields.0.value: The field's value is empty; Discord wants 1 to 1024 characters.`},
		{`{"inline": "yes", "value": null}`, `embeds.0.fields.0.inline: inline is "yes"; Discord wants true or false.` + "\n" +
			`! embeds.0.fields.0.name: The field has no name; Discord wants one.` + "\n" +
			`! embeds.0.fields.0.value: The field has no value; Discord wants one.`},
		{`{"name": "x", "value": 1, "values": 1}`, `! embeds.0.fields.0.value: The field's value is 1; Discord wants a text.` + "\n" +
			`embeds.0.fields.0.values: Discord does not know "values" and ignores it; perhaps "value" was meant.`},
		{`"x"`, `! embeds.0.fields.0: The field is "x"; Discord wants an object.`},
	}
	for i, r := range fields {
		fields[i].body = `{"fields": [` + r.body + `]}`
	}
	wrap(fields)
	check(t, Discord, []rule{
		{`{"embeds": [{"fields": "x"}]}`, `! embeds.0.fields: The fields are "x"; Discord wants a list.`},
		// 4096 + 256 + 256 + 1024 + 200 + 168 are 6000, over two embeds.
		{`{"embeds": [{"description": "‹x*4096›", "title": "‹x*256›"}, {"author": {"name": "‹x*256›"}, "fields": [{"name": "‹x*200›", "value": "‹x*1024›"}], "footer": {"text": "‹x*168›"}}]}`, ""},
		{`{"embeds": [{"description": "‹x*4096›", "title": "‹x*256›"}, {"author": {"name": "‹x*256›"}, "fields": [{"name": "‹x*200›", "value": "‹x*1024›"}], "footer": {"text": "‹x*169›"}}]}`,
			`! embeds: The embeds have 6001 characters in titles, descriptions, fields, footers and authors; Discord refuses more than 6000.`},
	})
}

func TestCheck_slack(t *testing.T) {
	check(t, Slack, []rule{
		{`{"text": "Somebody was *promoted*."}`, ""},
		{`{"text": "‹x*4000›", "channel": "C1"}`, ""},
		{`{"text": "‹x*4001›"}`, `text: The text has 4001 characters; Slack recommends no more than 4000, and may split it.`},
		{`{"text": "‹x*40001›"}`, `text: The text has 40001 characters; Slack cuts it off after 40000.`},
		{`{"text": 1}`, `! text: The text is 1; Slack wants a text.`},
		{`{}`, `! : The message is empty; Slack wants at least one of text, blocks and attachments.`},
		{`{"text": " ", "blocks": [], "attachments": null}`, `! : The message is empty; Slack wants at least one of text, blocks and attachments.`},
		{`{"markdown_text": "x"}`, ""},
		{`{"attachments": [{"text": "x"}]}`, ""},
		{`{"blocks": [{"type": "divider"}]}`, `text: There is no text beside the blocks; notifications and screen readers, which do not show blocks, have nothing to say.`},
		{`{"text": "Hi <!channel>"}`, `text: The text has <!channel>, which notifies many people.`},
		{`{"text": "Hi <!here|here>"}`, `text: The text has <!here|here>, which notifies many people.`},
		{`{"text": "Hi <!everyone>"}`, `text: The text has <!everyone>, which notifies many people.`},
		{`{"text": "Hi &lt;!channel&gt; <@U1> <!subteam^S1> <!date^1^{date}|x>"}`, ""},
		{`{"attachments": [‹{},*20›]}`, ""},
		{`{"attachments": [‹{},*21›]}`, `attachments: There are 21 attachments; Slack recommends no more than 20.`},
		{`{"attachments": [‹{},*101›]}`, `! attachments: There are 101 attachments; Slack refuses more than 100.`},
		{`{"attachments": "x"}`, `! attachments: The attachments are "x"; Slack wants a list.`},
		{`{"attachments": ["x"]}`, `! attachments.0: The attachment is "x"; Slack wants an object.`},
		{`{"attachments": [{"blocks": [{}]}]}`, `! attachments.0.blocks.0.type: The block has no type; Slack wants one.`},
		{`"x"`, `! : The body is "x"; Slack takes a JSON object.`},
	})
}

func TestCheck_slackBlocks(t *testing.T) {
	rules := []rule{
		{`{"type": "divider"}`, ""},
		{`‹{"type":"divider"},*50›`, ""},
		{`‹{"type":"divider"},*51›`, `! blocks: There are 51 blocks; Slack refuses more than 50.`},
		{`"x"`, `! blocks.0: The block is "x"; Slack wants an object.`},
		{`{"text": "x"}`, `! blocks.0.type: The block has no type; Slack wants one.`},
		{`{"type": 1}`, `! blocks.0.type: The type is 1; Slack wants a text.`},
		{`{"type": "sektion"}`, `! blocks.0.type: The type is "sektion", which Slack does not know; perhaps "section" was meant.`},
		{`{"type": "hologram"}`, `blocks.0.type: The type "hologram" is not known here; Slack refuses blocks that it does not know.`},
		{`{"type": "rich_text", "elements": [{}]}`, ""},
		{`{"type": "divider", "block_id": "‹x*255›"}`, ""},
		{`{"type": "divider", "block_id": "‹x*256›"}`, `! blocks.0.block_id: The block_id has 256 characters; Slack refuses more than 255.`},
		{`{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}`, `! blocks.1.block_id: The block_id "a" is that of blocks.0, too; Slack wants each once.`},

		{`{"type": "section", "text": {"type": "mrkdwn", "text": "‹x*3000›"}}`, ""},
		{`{"type": "section", "text": {"type": "plain_text", "text": "‹x*3001›"}}`, `! blocks.0.text.text: The section's text has 3001 characters; Slack refuses more than 3000.`},
		{`{"type": "section"}`, `! blocks.0: The section has neither text nor fields; Slack wants at least one of them.`},
		{`{"type": "section", "text": null, "fields": []}`, `! blocks.0: The section has neither text nor fields; Slack wants at least one of them.`},
		{`{"type": "section", "text": "x"}`, `! blocks.0.text: The section's text is a plain text; Slack wants an object, {"type": "mrkdwn", "text": "…"}.`},
		{`{"type": "section", "text": 1}`, `! blocks.0.text: The section's text is 1; Slack wants an object.`},
		{`{"type": "section", "text": {"type": "markdown", "text": "x"}}`, `! blocks.0.text.type: The type is "markdown"; Slack wants mrkdwn or plain_text.`},
		{`{"type": "section", "text": {"type": "mrkdwn"}}`, `! blocks.0.text.text: The section's text has no text; Slack wants one.`},
		{`{"type": "section", "text": {"text": "x"}}`, `! blocks.0.text.type: The section's text has no type; Slack wants one.`},
		{`{"type": "section", "text": {"type": "mrkdwn", "text": ""}}`, `! blocks.0.text.text: The section's text is empty; Slack wants 1 to 3000 characters.`},
		{`{"type": "section", "text": {"type": "mrkdwn", "text": "<!here>"}}`, `blocks.0.text.text: The text has <!here>, which notifies many people.`},
		{`{"type": "section", "text": {"type": "plain_text", "text": "<!here>"}}`, ""},
		{`{"type": "section", "fields": [‹{"type":"mrkdwn","text":"x"},*10›]}`, ""},
		{`{"type": "section", "fields": [‹{"type":"mrkdwn","text":"x"},*11›]}`, `! blocks.0.fields: There are 11 fields; Slack refuses more than 10.`},
		{`{"type": "section", "fields": [{"type": "mrkdwn", "text": "‹x*2000›"}, {"type": "mrkdwn", "text": "‹x*2001›"}]}`, `! blocks.0.fields.1.text: The field has 2001 characters; Slack refuses more than 2000.`},
		{`{"type": "section", "fields": [null]}`, `! blocks.0.fields.0: The field is null; Slack wants a text object.`},
		{`{"type": "section", "text": {"type": "mrkdwn", "text": "x"}, "accessory": "x"}`, `! blocks.0.accessory: The accessory is "x"; Slack wants an object.`},
		{`{"type": "section", "text": {"type": "mrkdwn", "text": "x"}, "accessory": {"type": "image", "image_url": "https://e.com/a.png"}}`, `! blocks.0.accessory.alt_text: The image has no alt_text; Slack wants one.`},

		{`{"type": "header", "text": {"type": "plain_text", "text": "‹x*150›"}}`, ""},
		{`{"type": "header", "text": {"type": "plain_text", "text": "‹x*151›"}}`, `! blocks.0.text.text: The header has 151 characters; Slack refuses more than 150.`},
		{`{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}`, `! blocks.0.text.type: The type is "mrkdwn"; Slack wants plain_text.`},
		{`{"type": "header"}`, `! blocks.0.text: The header has no text; Slack wants one.`},
		{`{"type": "markdown", "text": "‹x*12000›"}`, ""},
		{`{"type": "markdown", "text": "‹x*12001›"}`, `! blocks.0.text: The text has 12001 characters; Slack refuses more than 12000.`},
		{`{"type": "markdown"}`, `! blocks.0.text: The block has no text; Slack wants one.`},

		{`{"type": "context", "elements": [‹{"type":"mrkdwn","text":"x"},*10›]}`, ""},
		{`{"type": "context", "elements": [‹{"type":"mrkdwn","text":"x"},*11›]}`, `! blocks.0.elements: There are 11 elements; Slack refuses more than 10.`},
		{`{"type": "context", "elements": []}`, `! blocks.0.elements: There are no elements; Slack wants 1 to 10.`},
		{`{"type": "context"}`, `! blocks.0.elements: The block has no elements; Slack wants one.`},
		{`{"type": "context", "elements": "x"}`, `! blocks.0.elements: The elements are "x"; Slack wants a list.`},
		{`{"type": "context", "elements": ["x"]}`, `! blocks.0.elements.0: The element is "x"; Slack wants an object.`},
		{`{"type": "context", "elements": [{"type": "image", "image_url": "x", "alt_text": "x"}]}`, `! blocks.0.elements.0.image_url: The image's address is "x"; Slack wants an address that starts with https:// or http://.`},
		{`{"type": "actions", "elements": [‹{"type":"static_select"},*25›]}`, ""},
		{`{"type": "actions", "elements": [‹{"type":"static_select"},*26›]}`, `! blocks.0.elements: There are 26 elements; Slack refuses more than 25.`},
		{`{"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "‹x*75›"}, "url": "https://e.com", "value": "‹x*2000›", "action_id": "‹x*255›"}]}`, ""},
		{`{"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "‹x*76›"}}]}`, `! blocks.0.elements.0.text.text: The button's text has 76 characters; Slack refuses more than 75.`},
		{`{"type": "actions", "elements": [{"type": "button"}]}`, `! blocks.0.elements.0.text: The button has no text; Slack wants one.`},
		{`{"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x"}, "url": "‹x*3001›", "value": "‹x*2001›", "action_id": "‹x*256›"}]}`,
			`! blocks.0.elements.0.action_id: The action_id has 256 characters; Slack refuses more than 255.` + "\n" +
				`! blocks.0.elements.0.url: The button's address has 3001 characters; Slack refuses more than 3000.` + "\n" +
				`! blocks.0.elements.0.value: The button's value has 2001 characters; Slack refuses more than 2000.`},
		{`{"type": "actions", "elements": [{}]}`, `! blocks.0.elements.0.type: The element has no type; Slack wants one.`},

		{`{"type": "image", "image_url": "https://e.com/‹x*2986›", "alt_text": "‹x*2000›", "title": {"type": "plain_text", "text": "x"}}`, ""},
		{`{"type": "image", "slack_file": {"id": "F1"}, "alt_text": "x"}`, ""},
		{`{"type": "image", "image_url": "https://e.com/‹x*2987›", "alt_text": "‹x*2001›"}`, `! blocks.0.image_url: The image's address has 3001 characters; Slack refuses more than 3000.` + "\n" +
			`! blocks.0.alt_text: The image's alt_text has 2001 characters; Slack refuses more than 2000.`},
		{`{"type": "image", "image_url": "", "alt_text": "x"}`, `! blocks.0.image_url: The image's address is empty; Slack wants one.`},
		{`{"type": "image"}`, `! blocks.0: The image has neither image_url nor slack_file; Slack wants one of them.` + "\n" +
			`! blocks.0.alt_text: The image has no alt_text; Slack wants one.`},
	}
	for i, r := range rules {
		rules[i].body = `{"text": "x", "blocks": [` + r.body + `]}`
	}
	check(t, Slack, append(rules, rule{`{"text": "x", "blocks": {"type": "divider"}}`, `! blocks: The blocks are an object with 1 key; Slack wants a list.`}))
}

func TestCheck_telegram(t *testing.T) {
	check(t, Telegram, []rule{
		{`{"chat_id": -100123, "text": "‹x*4096›"}`, ""},
		{`{"chat_id": "@news", "text": "x", "parse_mode": "html"}`, ""},
		{`{"chat_id": "-100123", "text": "x", "parse_mode": ""}`, ""},
		{`{"chat_id": 1, "text": "‹x*4097›"}`, `! text: The text has 4097 characters; Telegram refuses more than 4096.`},
		{`{"chat_id": 1, "text": "<b>‹&amp;*4096›</b>", "parse_mode": "HTML"}`, ""},
		{`{"chat_id": 1, "text": "<b>‹&amp;*4097›</b>", "parse_mode": "HTML"}`, `! text: The text has 4097 characters; Telegram refuses more than 4096.`},
		{`{"chat_id": 1, "text": "‹\\*4097›", "parse_mode": "MarkdownV2"}`, `text: The text has 4097 characters with its Markdown; Telegram refuses more than 4096 without it.`},
		{`{"text": "x"}`, `! chat_id: The message has no chat_id; Telegram wants one.`},
		{`{"chat_id": 1}`, `! text: The message has no text; Telegram wants one.`},
		{`{"chat_id": 1, "text": " "}`, `! text: The text is empty; Telegram wants 1 to 4096 characters.`},
		{`{"chat_id": 1, "text": 1}`, `! text: The text is 1; Telegram wants a text.`},
		{`{"chat_id": 1.5, "text": "x"}`, `! chat_id: The chat_id is 1.5; Telegram wants the number of a chat or the @name of a channel.`},
		{`{"chat_id": "news", "text": "x"}`, `! chat_id: The chat_id is "news"; Telegram wants the number of a chat or the @name of a channel.`},
		{`{"chat_id": 1, "text": "x", "parse_mode": "Markup"}`, `! parse_mode: The parse_mode is "Markup"; Telegram wants MarkdownV2, HTML or Markdown.`},
		{`{"chat_id": 1, "text": "x", "parse_mode": 1}`, `! parse_mode: The parse_mode is 1; Telegram wants a text.`},
		{`{"chat_id": 1, "photo": "https://e.com/a.png", "caption": "‹x*1024›"}`, ""},
		{`{"chat_id": 1, "photo": "https://e.com/a.png", "caption": "‹x*1025›"}`, `! caption: The caption has 1025 characters; Telegram refuses more than 1024.`},
	})
}

func TestCheck_teams(t *testing.T) {
	check(t, Teams, []rule{
		{`{"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": {"type": "AdaptiveCard"}}]}`, ""},
		{`{"@type": "MessageCard", "@context": "https://schema.org/extensions", "summary": "x"}`, ""},
		{`{"text": "x"}`, ""},
		{`{"@type": "MessageCard", "title": "x", "text": " "}`, `! : The card has neither text nor summary; Teams wants at least one of them.`},
		{`{"@type": "Card", "text": "x"}`, `! @type: The @type is "Card"; Teams wants "MessageCard".`},
		{`{"type": "MessageCard", "text": "x"}`, `! @type: The @type is null; Teams wants "MessageCard".`},
		{`{"type": "AdaptiveCard"}`, `! type: The type is "AdaptiveCard"; Teams wants "message".` + "\n" +
			`! attachments: The message has no attachments; Teams wants one.`},
		{`{"type": "message", "attachments": {"contentType": "x"}}`, `! attachments: The attachments are an object with 1 key; Teams wants a list.`},
		{`{"type": "message", "attachments": []}`, `! attachments: There are no attachments; Teams wants a card.`},
		{`{"type": "message", "attachments": ["x", {"contentType": "text/html", "content": "x"}, {"contentType": 1}]}`,
			`! attachments.0: The attachment is "x"; Teams wants an object.` + "\n" +
				`! attachments.1.contentType: The contentType is "text/html"; Teams wants "application/vnd.microsoft.card.adaptive".` + "\n" +
				`! attachments.1.content: The content is "x"; Teams wants an object.` + "\n" +
				`! attachments.2.content: The attachment has no content; Teams wants one.` + "\n" +
				`! attachments.2.contentType: The contentType is 1; Teams wants a text.`},
		{`{"text": "‹x*28661›"}`, ""}, // 28 KiB with {"text":""}
		{`{"text": "‹x*28662›"}`, `! : The message has 28673 bytes; Teams refuses more than 28672.`},
	})
}

// Messages as organizations send them must come through without a word.
func TestCheck_goodMessages(t *testing.T) {
	check(t, Discord, []rule{{`{
		"username": "Personnel Office", "avatar_url": "https://example.com/logo.png", "content": "**New enlistment**",
		"allowed_mentions": {"parse": []},
		"embeds": [{
			"title": "Pvt. Jane Doe", "url": "https://example.com/users/7", "description": "Application received.", "color": 5793266,
			"timestamp": "2026-01-14T12:00:00+00:00",
			"author": {"name": "1st Battalion", "icon_url": "https://example.com/a.png"},
			"thumbnail": {"url": "https://example.com/patch.png"}, "image": {"url": "attachment://chart.png"},
			"fields": [{"name": "Unit", "value": "Alpha", "inline": true}, {"name": "Time zone", "value": "UTC", "inline": true}],
			"footer": {"text": "Sent by Bugle"}
		}]}`, ""}})
	check(t, Slack, []rule{{`{
		"text": "New enlistment: Jane Doe", "channel": "#recruiting",
		"blocks": [
			{"type": "header", "text": {"type": "plain_text", "text": "New enlistment", "emoji": true}},
			{"type": "section", "text": {"type": "mrkdwn", "text": "*Jane Doe* applied to <https://example.com|Alpha>"},
				"accessory": {"type": "image", "image_url": "https://example.com/patch.png", "alt_text": "Alpha's patch"}},
			{"type": "section", "fields": [{"type": "mrkdwn", "text": "*Unit*\nAlpha"}, {"type": "mrkdwn", "text": "*Time zone*\nUTC"}]},
			{"type": "divider"},
			{"type": "context", "elements": [{"type": "image", "image_url": "https://example.com/logo.png", "alt_text": "logo"}, {"type": "mrkdwn", "text": "Sent by Bugle"}]},
			{"type": "actions", "block_id": "open", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": "https://example.com/users/7"}]}
		]}`, ""}})
}

func TestCheck_otherValues(t *testing.T) {
	if got := Check("irc", value.Map("text", "x")); got != nil {
		t.Errorf("a service that is not known has warnings: %v", got)
	}
	// An empty object, a nil array and values that no JSON text has must not make it panic.
	for _, body := range []any{nil, (*value.Array)(nil), value.NewArray(0), math.NaN(), struct{}{},
		value.Map("embeds", (*value.Array)(nil)), value.Map("content", struct{}{}),
		value.Map("blocks", value.List(nil)), value.Map("type", "message", "attachments", value.List(math.Inf(1)))} {
		for _, s := range []Service{Discord, Slack, Telegram, Teams} {
			if len(Check(s, body)) == 0 {
				t.Errorf("%s has nothing to say of %#v", s, body)
			}
		}
	}
}

func TestCheck_atMost50(t *testing.T) {
	for s, body := range map[Service]string{
		Discord: `{"embeds": [‹"x",*1000›]}`,
		Slack:   `{"text": "x", "attachments": [‹{"blocks":["x"]},*100›], "blocks": [‹"x",*1000›]}`,
		Teams:   `{"type": "message", "attachments": [‹"x",*1000›]}`,
	} {
		if got := Check(s, decode(t, expand(body))); len(got) != 50 {
			t.Errorf("%s has %d warnings, want 50", s, len(got))
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		`{"content": "@everyone", "embeds": [{"title": "x", "color": "1", "fields": [{"name": 1}]}], "allowed_mentions": {"parse": [1]}}`,
		`{"blocks": [{"type": "context", "elements": [{"type": "mrkdwn"}]}, {"type": "section", "text": {}}], "attachments": [{"blocks": 1}]}`,
		`{"chat_id": "@x", "text": "<b>x", "parse_mode": "HTML"}`, `{"type": "message", "attachments": [{"content": {}}]}`, `[]`, `{"@type": []}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		body, err := value.Decode([]byte(text))
		if err != nil {
			return
		}
		ServiceOf("", body)
		for _, s := range []Service{Discord, Slack, Telegram, Teams} {
			warnings := Check(s, body)
			if len(warnings) > maxWarnings {
				t.Errorf("%s has %d warnings", s, len(warnings))
			}
			for _, w := range warnings {
				if !strings.HasSuffix(w.Message, ".") {
					t.Errorf("%q is no sentence", w.Message)
				}
			}
		}
	})
}
