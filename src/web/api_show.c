#include "web/api_show.h"

#include <string.h>

#include "base/human.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "controller/audit.h"
#include "controller/catalog_agent.h"
#include "controller/catalog_job.h"
#include "controller/catalog_report.h"
#include "controller/catalog_snapshot.h"
#include "controller/people.h"
#include "controller/schedule.h"
#include "crypto/dsse.h"
#include "plans/calendar.h"

/*
 * INVARIANTS
 * (1) No secret and no hash of a secret is ever shown.
 */

/* Set a member unless it is absent; what fails leaves a NULL object to the encoder. */
static void set_text(json_t *o, const char *key, const char *text)
{
	if (text[0] != '\0')
		(void)json_object_set_new(o, key, jsonx_name(text, strlen(text)));
}

static void set_time(json_t *o, const char *key, int64_t ms)
{
	char text[HUMAN_BYTES];
	if (ms != 0)
		(void)json_object_set_new(o, key, json_string(human_time_utc(text, ms * 1000000)));
}

static void set_number(json_t *o, const char *key, int64_t v)
{
	(void)json_object_set_new(o, key, json_integer(v));
}

static void set_hex(json_t *o, const char *key, const uint8_t *data, size_t len)
{
	static const uint8_t none[32];
	char hex[65];
	if (len > 32 || memcmp(data, none, len) == 0)
		return;
	text_hex(data, len, hex);
	(void)json_object_set_new(o, key, json_string(hex));
}

/* The fingerprint by which report verify --key knows the key that signs an agent's reports. */
static void set_report_key(json_t *o, const uint8_t key[32])
{
	static const uint8_t none[32];
	char keyid[DSSE_KEYID_BYTES];
	if (memcmp(key, none, 32) == 0)
		return;
	dsse_keyid(key, keyid);
	set_text(o, "report_keyid", keyid);
}

json_t *api_show_agent(const struct catalog_agent *a, bool is_in_config)
{
	json_t *o = json_object();
	set_hex(o, "id", a->id, 16);
	set_text(o, "name", a->name);
	set_text(o, "role", msg_enrol_role_name(a->role));
	set_text(o, "state", catalog_agent_state_name(a->state));
	(void)json_object_set_new(o, "in_config", json_boolean(is_in_config));
	set_text(o, "version", a->version);
	set_text(o, "group", a->group);
	set_text(o, "address", a->address);
	set_text(o, "fingerprint", a->fingerprint);
	set_hex(o, "tls_key", a->tls_key_hash, 32);
	set_hex(o, "ik", a->ik, 32);
	set_hex(o, "delivery", a->delivery, 32);
	set_hex(o, "dk", a->dk, 32);
	set_hex(o, "report_key", a->report, 32);
	set_report_key(o, a->report);
	set_time(o, "enrolled", a->enrolled_ms);
	set_time(o, "approved", a->approved_ms);
	set_time(o, "seen", a->seen_ms);
	set_number(o, "clock_off_ms", a->clock_off_ms);
	set_time(o, "certificate_until", a->certificate_until_s * 1000);
	return o;
}

json_t *api_show_source(const struct msg_source *s)
{
	json_t *o = json_object();
	set_text(o, "name", s->name);
	set_text(o, "type", s->type);
	set_text(o, "consistency", s->consistency);
	return o;
}

static json_t *show_result(const struct msg_result *r)
{
	json_t *o = json_object();
	if (r->error.code != 0) {
		set_text(o, "error", err_id(r->error.code));
		set_text(o, "message", r->error.msg);
		set_text(o, "hint", r->error.hint);
	}
	set_number(o, "warnings", r->warnings);
	set_text(o, "first_warning", r->first_warning);
	set_text(o, "snapshot", r->snapshot);
	set_text(o, "verdict", r->verdict);
	set_number(o, "files", r->files);
	set_number(o, "dirs", r->dirs);
	set_number(o, "others", r->others);
	set_number(o, "bytes", r->bytes);
	set_number(o, "read_bytes", r->read_bytes);
	set_number(o, "sent_bytes", r->sent_bytes);
	set_number(o, "records", r->records);
	return o;
}

static json_t *show_progress(const struct msg_progress *p)
{
	json_t *o = json_object();
	set_text(o, "phase", p->phase);
	set_text(o, "text", p->text);
	set_number(o, "files", p->files);
	set_number(o, "bytes", p->bytes);
	set_number(o, "read_bytes", p->read_bytes);
	set_number(o, "sent_bytes", p->sent_bytes);
	return o;
}

json_t *api_show_job(const struct catalog_job *j, const char *agent)
{
	json_t *o = json_object();
	set_text(o, "id", j->id);
	set_text(o, "verb", msg_work_verb_name(j->verb));
	set_text(o, "state", catalog_job_state_name(j->state));
	set_text(o, "agent", agent);
	set_text(o, "source", j->source);
	set_text(o, "drill", j->drill);
	set_text(o, "schedule", j->schedule);
	set_text(o, "person", j->person);
	set_text(o, "reason", j->reason);
	set_number(o, "attempt", j->attempt);
	set_number(o, "retries_left", j->retries < 0 ? 0 : j->retries); /* < 0: it is to stop */
	set_time(o, "due", j->due_ms);
	set_time(o, "not_before", j->not_before_ms);
	set_time(o, "created", j->created_ms);
	set_time(o, "started", j->started_ms);
	set_time(o, "ended", j->ended_ms);
	if (j->state == JOB_RUNNING)
		(void)json_object_set_new(o, "progress", show_progress(&j->progress));
	if (j->result.attempt != 0)
		(void)json_object_set_new(o, "result", show_result(&j->result));
	return o;
}

json_t *api_show_attempt(const struct catalog_attempt *a)
{
	json_t *o = json_object();
	set_number(o, "number", a->number);
	set_time(o, "started", a->started_ms);
	set_time(o, "ended", a->ended_ms);
	set_text(o, "outcome", a->outcome);
	set_text(o, "reason", a->reason);
	return o;
}

json_t *api_show_snapshot(const struct catalog_snapshot *s)
{
	json_t *o = json_object();
	set_hex(o, "id", s->hash, 32);
	set_hex(o, "agent_id", s->agent_id, 16);
	set_text(o, "source", s->source);
	set_text(o, "host", s->host);
	set_number(o, "seq", (int64_t)s->seq);
	set_time(o, "receipt", s->receipt_ms);
	set_time(o, "start", s->start_ms);
	set_time(o, "end", s->end_ms);
	set_number(o, "bytes", s->raw_bytes);
	set_number(o, "files", s->files);
	set_text(o, "job", s->job);
	return o;
}

json_t *api_show_report(const struct catalog_report *r)
{
	json_t *o = json_object();
	set_text(o, "exercise", r->exercise);
	set_text(o, "job", r->job);
	set_text(o, "plan", r->plan_id);
	set_number(o, "plan_version", r->plan_version);
	set_hex(o, "plan_sha256", r->plan_sha256, 32);
	set_hex(o, "agent_id", r->agent_id, 16);
	set_time(o, "declared", r->declared_ms);
	set_time(o, "ended", r->ended_ms);
	set_text(o, "verdict", r->verdict);
	set_hex(o, "sha256", r->sha256, 32);
	return o;
}

json_t *api_show_audit(const struct audit_record *r)
{
	json_t *o = json_object();
	set_number(o, "number", r->number);
	set_time(o, "at", r->at_ms);
	set_text(o, "who", r->who);
	set_text(o, "address", r->address);
	set_text(o, "action", r->action);
	set_text(o, "object", r->object);
	set_text(o, "outcome", r->outcome);
	set_text(o, "detail", r->detail);
	set_hex(o, "prev", r->prev, 32);
	set_hex(o, "hash", r->hash, 32);
	return o;
}

json_t *api_show_person(const struct people_token *t)
{
	json_t *o = json_object();
	set_text(o, "name", t->name);
	set_text(o, "role", people_role_name(t->role));
	set_time(o, "made", t->made_ms);
	set_time(o, "until", t->until_ms);
	set_time(o, "used", t->used_ms);
	set_time(o, "revoked", t->revoked_ms);
	return o;
}

json_t *api_show_due(const struct schedule_due *d)
{
	char text[CALENDAR_TEXT_BYTES];
	json_t *o = json_object();
	set_text(o, "schedule", d->schedule->name);
	set_text(o, "agent", d->schedule->agent == NULL ? "controller" : d->schedule->agent);
	set_text(o, "source", d->schedule->source == NULL ? "" : d->schedule->source);
	set_text(o, "plan", d->schedule->plan == NULL ? "" : d->schedule->plan);
	if (d->schedule->agent == NULL)
		set_text(o, "task", msg_work_verb_name(d->schedule->verb));
	if (d->schedule->replica != NULL)
		set_text(o, "replica", d->schedule->replica);
	set_text(o, "at", d->schedule->at);
	set_time(o, "due", d->due_ms);
	set_text(o, "local", calendar_format(d->schedule->calendar, d->due_ms, text));
	set_text(o, "zone", calendar_zone(d->schedule->calendar));
	(void)json_object_set_new(o, "paused", json_boolean(d->schedule->is_paused));
	return o;
}
