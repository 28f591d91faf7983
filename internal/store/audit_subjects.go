package store

import (
	"slices"
	"strings"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// What the audit log knows of each subject. The attributes of one have a fixed order and number.

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return bugle.FormatTime(t)
}

func zeroIsNull(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

func textList(texts []string) *value.Array { return value.List(anyList(texts)...) }

// secret is an attribute of which only that it changed is told.
func secret(name, text string) attribute {
	return attribute{name: name, value: text, masked: bugle.Mask("")}
}

// webhookSubject is a webhook, or the channel whose lane it is.
func webhookSubject(w *bugle.Webhook) bugle.Subject {
	if w.Channel != "" {
		return bugle.Subject{Kind: "channel", ID: w.ID, Name: w.Channel}
	}
	return bugle.Subject{Kind: "webhook", ID: w.ID, Name: w.Name}
}

// quotaAttributes have null where the server's default holds, 0 for no limit.
func quotaAttributes(choice bugle.QuotaChoice) []attribute {
	list := make([]attribute, len(bugle.QuotaNames))
	for i, name := range bugle.QuotaNames {
		list[i] = attribute{name: name}
		if limit, decided := choice[name]; decided {
			list[i].value = limit
		}
	}
	return list
}

func webhookAttributes(w *bugle.Webhook) []attribute {
	seconds := value.NewArray(len(w.RetrySchedule))
	for _, s := range w.RetrySchedule {
		seconds.Append(int64(s))
	}
	var rate any
	if w.RatePerSecond != 0 {
		rate = w.RatePerSecond
	}
	lane := []attribute{
		{name: "status", value: string(w.Status)}, {name: "timeout_seconds", value: int64(w.TimeoutSeconds)}, {name: "max_attempts", value: int64(w.MaxAttempts)},
		{name: "retry_schedule", value: seconds}, {name: "max_concurrency", value: int64(w.MaxConcurrency)}, {name: "rate_per_second", value: rate},
	}
	if channel := bugle.ChannelByName(w.Channel); channel != nil {
		for _, s := range channel.Settings {
			v, _ := w.Settings.Get(s.Name)
			a := attribute{name: "settings." + s.Name, value: v}
			if text, isText := v.(string); isText && s.Secret {
				a = secret(a.name, text)
			} else if isText && s.Type == bugle.URLSetting {
				a.masked = bugle.MaskURL(text)
			}
			lane = append(lane, a)
		}
		return lane
	}
	events := slices.Sorted(slices.Values(w.Events))
	headers, maskedHeaders := value.NewArray(len(w.Headers)), value.NewArray(len(w.Headers))
	for _, h := range w.Headers {
		headers.Append(value.Map("name", h.Name, "value", h.Value))
		maskedHeaders.Append(value.Map("name", h.Name, "value", bugle.Mask("")))
	}
	return append([]attribute{
		{name: "name", value: w.Name}, {name: "description", value: w.Description}, {name: "url", value: w.URL, masked: bugle.MaskURL(w.URL)},
		{name: "method", value: w.Method}, {name: "events", value: textList(events)}, secret("secret", w.Secret),
		secret("old_secret", w.OldSecret), {name: "old_secret_until", value: timeOrNull(w.OldSecretUntil)}, {name: "ordered", value: w.Ordered},
		{name: "headers", value: headers, masked: maskedHeaders}, {name: "field_policy", value: policyValue(w.FieldPolicy)},
	}, lane...)
}

// policyValue is a field policy as the API has it.
func policyValue(rules []bugle.FieldRule) *value.Array {
	list := value.NewArray(len(rules))
	for _, r := range rules {
		list.Append(r.Value())
	}
	return list
}

func automationSubject(a *bugle.Automation) bugle.Subject {
	return bugle.Subject{Kind: "automation", ID: a.ID, Name: a.Name}
}

func automationAttributes(a *bugle.Automation) []attribute {
	return []attribute{
		{name: "name", value: a.Name}, {name: "description", value: a.Description}, {name: "enabled", value: a.Enabled}, {name: "trigger", value: a.Trigger},
		{name: "condition", value: a.Condition}, {name: "action_type", value: string(a.ActionType)}, {name: "webhook_id", value: zeroIsNull(a.WebhookID)},
		{name: "webhook_payload_template", value: a.PayloadTemplate}, {name: "webhook_payload_format", value: string(a.PayloadFormat)},
		{name: "message_channels", value: textList(a.MessageChannels)}, {name: "message_content", value: a.MessageContent},
		{name: "message_recipients_expression", value: a.MessageRecipients}, {name: "message_rrule", value: a.MessageRRule},
		{name: "model_update_target", value: a.UpdateTarget}, {name: "model_update_lookup_type", value: string(a.UpdateLookup)},
		{name: "model_update_lookup_expression", value: a.UpdateLookupExpression},
		{name: "model_update_lookup_conditions", value: a.UpdateLookupConditions}, {name: "model_update_fields", value: a.UpdateFields},
		{name: "typed_values", value: a.TypedValues}, {name: "perscom_compatible", value: a.PerscomCompatible}, {name: "priority", value: int64(a.Priority)},
	}
}

func keySubject(k *bugle.APIKey) bugle.Subject {
	return bugle.Subject{Kind: "api_key", ID: k.ID, Name: k.Name}
}

func keyAttributes(k *bugle.APIKey) []attribute {
	return []attribute{
		{name: "name", value: k.Name}, {name: "scopes", value: textList(k.Scopes)}, {name: "user_id", value: zeroIsNull(k.UserID)},
		{name: "expires_at", value: timeOrNull(k.ExpiresAt)}, {name: "revoked_at", value: timeOrNull(k.RevokedAt)},
	}
}

func roleSubject(r *bugle.Role) bugle.Subject {
	return bugle.Subject{Kind: "role", ID: r.ID, Name: r.Name}
}

func roleAttributes(r *bugle.Role) []attribute {
	return []attribute{{name: "name", value: r.Name}, {name: "permissions", value: textList(r.Permissions)}}
}

func accountSubject(a *bugle.Account) bugle.Subject {
	return bugle.Subject{Kind: "account", ID: a.UserID, Name: a.Name}
}

func accountAttributes(a *bugle.Account) []attribute {
	return []attribute{
		{name: "role_id", value: a.Role.ID}, {name: "role", value: a.Role.Name}, {name: "time_zone", value: a.TimeZone},
		{name: "disabled", value: a.Disabled}, secret("password", a.PasswordHash),
	}
}

func invitationSubject(i *bugle.Invitation) bugle.Subject {
	return bugle.Subject{Kind: "invitation", ID: i.ID, Name: i.Name}
}

func invitationAttributes(i *bugle.Invitation) []attribute {
	return []attribute{
		{name: "purpose", value: string(i.Purpose)}, {name: "email", value: i.Email}, {name: "user_id", value: zeroIsNull(i.UserID)},
		{name: "role_id", value: zeroIsNull(i.RoleID)}, {name: "expires_at", value: timeOrNull(i.ExpiresAt)},
	}
}

func organizationSubject(o *bugle.Organization) bugle.Subject {
	return bugle.Subject{Kind: "organization", ID: o.ID, Name: o.Name}
}

func organizationAttributes(o *bugle.Organization) []attribute {
	return []attribute{
		{name: "name", value: o.Name}, {name: "display_name_format", value: o.DisplayNameFormat}, {name: "time_zone", value: o.TimeZone},
		{name: "alert_mail", value: o.AlertMail}, {name: "alert_channel", value: o.AlertChannel}, {name: "disable_after_days", value: int64(o.DisableAfterDays)},
		{name: "second_factor_required", value: o.SecondFactorRequired},
	}
}

func retentionAttributes(choice bugle.RetentionChoice) []attribute {
	number := func(n *int) any {
		if n == nil {
			return nil
		}
		return int64(*n)
	}
	var list []attribute
	for _, name := range bugle.RetentionNames {
		list = append(list, attribute{name: name + "_days", value: number(choice[name].Days)}, attribute{name: name + "_rows", value: number(choice[name].Rows)})
	}
	return list
}

// serverSubject is what is about all organizations.
var serverSubject = bugle.Subject{Kind: "server"}

// auditAction names what was done to a subject: "webhook.created".
func auditAction(s bugle.Subject, verb string) string {
	return strings.Join([]string{s.Kind, verb}, ".")
}
