#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/escape.h"
#include "codec/text.h"
#include "controller/catalog_agent.h"
#include "controller/drill_desk.h"
#include "controller/drill_desk_internal.h"
#include "plans/plan.h"
#include "restore/probe_target.h"
#include "restore/report.h"
#include "restore/report_check.h"
#include "restore/report_shape.h"
#include "restore/report_words.h"

/*
 * INVARIANTS
 * (1) Everything that decides the verdict and is no measurement (objectives, steps, checks, what is
 *     mandatory) is compared with our own copy of the plan, not believed because the plan's hash is
 *     right.
 * (2) Texts of the report reach an error only escaped and cut.
 */

#define SHOWN_BYTES 96
#define NS_PER_MS 1000000

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static int differs(const char *what, const char *said, const char *ordered, struct err *err)
{
	char a[SHOWN_BYTES], b[SHOWN_BYTES];
	(void)escape_str(a, sizeof(a), said == NULL ? "nothing" : said);       /* cut is fine */
	(void)escape_str(b, sizeof(b), ordered == NULL ? "nothing" : ordered); /* cut is fine */
	return err_set(err, ERR_CORRUPT, "the report says %s '%s', ordered was '%s'", what, a, b);
}

static int same_text(const char *what, const char *said, const char *ordered, struct err *err)
{
	return is_same(said, ordered) ? 0 : differs(what, said, ordered, err);
}

static int same_number(const char *what, int64_t said, int64_t ordered, struct err *err)
{
	char a[24], b[24];
	if (said == ordered)
		return 0;
	(void)snprintf(a, sizeof(a), "%" PRId64, said);    /* fits */
	(void)snprintf(b, sizeof(b), "%" PRId64, ordered); /* fits */
	return differs(what, said == REPORT_NONE ? NULL : a, b, err);
}

/* ---- who ---- */

static int check_signers(
	const struct report_check *c, const struct drill_desk_expected *x, struct err *err)
{
	char keyid[DSSE_KEYID_BYTES];
	dsse_keyid(x->agent->report, keyid);
	if (c->signed_by.count != 1 || strcmp(c->signed_by.signers[0].keyid, keyid) != 0)
		return err_set(err, ERR_AUTH,
			"the report is signed by %s%s, not by the agent's report key %s alone",
			c->signed_by.signers[0].keyid, c->signed_by.count > 1 ? " and others" : "",
			keyid);
	return 0;
}

static int check_parties(
	const struct report_environment *e, const struct drill_desk_expected *x, struct err *err)
{
	char keyid[DSSE_KEYID_BYTES], id[33];
	dsse_keyid(x->agent->report, keyid);
	text_hex(x->agent->id, sizeof(x->agent->id), id);
	int rc = same_text("agent", e->agent.name, x->agent->name, err);
	if (rc == 0)
		rc = same_text("agent id", e->agent.agent_id, id, err);
	if (rc == 0)
		rc = same_text("agent key", e->agent.keyid, keyid, err);
	if (rc == 0)
		rc = same_text("controller", e->controller.name, x->controller, err);
	if (rc == 0)
		rc = same_text("controller key", e->controller.keyid, x->controller_keyid, err);
	return rc;
}

/* ---- what ---- */

static int check_steps(const struct report_system *r, const struct plan_system *p, struct err *err)
{
	int rc = same_number("steps", (int64_t)r->steps_count, (int64_t)p->step_count, err);
	for (size_t i = 0; rc == 0 && i < p->step_count; i++) {
		const int64_t budget = p->steps[i].budget_ns / NS_PER_MS;
		rc = same_text("step", r->steps[i]->name, p->steps[i].name, err);
		if (rc == 0)
			rc = same_text("step", r->steps[i]->action,
				plan_action_name(p->steps[i].action), err);
		/* a step that was not reached has none */
		if (rc == 0 && r->steps[i]->status != REPORT_STATUS_SKIPPED)
			rc = same_number("budget", r->steps[i]->budget_ms,
				p->steps[i].budget_ns == 0 ? REPORT_NONE : budget, err);
	}
	return rc;
}

static int check_checks(const struct report_system *r, const struct plan_system *p, struct err *err)
{
	int rc = same_number("checks", (int64_t)r->checks_count, (int64_t)p->check_count, err);
	for (size_t i = 0; rc == 0 && i < p->check_count; i++) {
		const struct report_content_check *c = r->checks[i];
		rc = same_text("check", c->id, p->checks[i].id, err);
		if (rc == 0)
			rc = same_text(
				"check", c->type, plan_check_type_name(p->checks[i].type), err);
		if (rc == 0)
			rc = same_text("expected", c->expected, p->checks[i].expect_text, err);
		if (rc == 0)
			rc = same_number(
				"mandatory", c->is_mandatory, p->checks[i].is_mandatory, err);
	}
	return rc;
}

static int check_depends(
	const struct report_system *r, const struct plan_system *p, struct err *err)
{
	int rc = same_number(
		"depends on so many", (int64_t)r->depends_on.count, (int64_t)p->after_count, err);
	for (size_t i = 0; rc == 0 && i < p->after_count; i++)
		rc = same_text("depends on", r->depends_on.items[i], p->after[i].id, err);
	return rc;
}

static const struct drill_desk_point *find_granted(
	const struct drill_desk_granted *g, const char *source, const char *snapshot)
{
	for (size_t i = 0; i < g->count; i++) {
		if (strcmp(g->at[i].source, source) == 0 &&
			strcmp(g->at[i].snapshot, snapshot) == 0)
			return &g->at[i];
	}
	return NULL;
}

static int same_time(const char *what, int64_t said, int64_t recorded, struct err *err)
{
	char a[REPORT_WORDS_BYTES], b[REPORT_WORDS_BYTES];
	if (said == recorded)
		return 0;
	return err_set(err, ERR_CORRUPT,
		"the report says %s %s, the snapshot's record %s (%lld ms apart)", what,
		report_words_time(a, said), report_words_time(b, recorded),
		(long long)(said - recorded));
}

/* Nothing in a snapshot is newer than its end.  What claims to be newer than T0 as well has no age,
 * and the judgement says so. */
static int check_age(const struct report_recovery_point *said, int64_t t0,
	const struct drill_desk_point *is, struct err *err)
{
	if (said->data_as_of == REPORT_NONE || said->data_as_of <= is->end_ms ||
		said->data_as_of > t0)
		return 0;
	return same_time("its data is of", said->data_as_of, is->end_ms, err);
}

/* The age of the data is made of these times, so they are compared and not only whose they are.
 * What is sealed (consistency, the data itself) only the agent can read. */
static int check_point(const struct report_system *r, const struct plan_system *p,
	const struct drill_desk_expected *x, struct err *err)
{
	const struct report_recovery_point *point = &r->recovery_point;
	if (point->snapshot_id == NULL)
		return 0; /* none was used; the judgement says what that means */
	int rc = same_text("source", point->source, p->source, err);
	if (rc != 0)
		return rc;
	const struct drill_desk_point *is = find_granted(x->granted, p->source, point->snapshot_id);
	if (is == NULL)
		return err_set(err, ERR_CORRUPT,
			"the report names snapshot %.16s of source '%s', which was not granted",
			point->snapshot_id, p->source);
	rc = same_time("the snapshot is of", point->snapshot_at, is->start_ms, err);
	if (rc == 0)
		rc = same_number("snapshot number", point->seq, is->seq, err);
	if (rc == 0)
		rc = same_text("root", point->root_id, is->root_id, err);
	return rc == 0 ? check_age(point, r->timings.t_declared, is, err) : rc;
}

static int check_system(
	const struct report_system *r, const struct drill_desk_expected *x, struct err *err)
{
	size_t i = plan_find_system(x->plan, r->system_id);
	if (i == PLAN_NO_INDEX)
		return differs("system", r->system_id, NULL, err);
	const struct plan_system *p = &x->plan->systems[i];
	int rc = same_text("type", r->type, plan_system_type_name(p->type), err);
	if (rc == 0)
		rc = same_number("tier", r->tier, p->tier, err);
	if (rc == 0)
		rc = same_number("MTPD", r->mtpd_ms, p->mtpd_ns / NS_PER_MS, err);
	if (rc == 0)
		rc = same_number("RTO", r->rto_ms, p->rto_ns / NS_PER_MS, err);
	if (rc == 0)
		rc = same_number("RPO", r->rpo_ms, p->rpo_ns / NS_PER_MS, err);
	if (rc == 0)
		rc = check_depends(r, p, err);
	if (rc == 0)
		rc = check_steps(r, p, err);
	if (rc == 0)
		rc = check_checks(r, p, err);
	if (rc == 0)
		rc = check_point(r, p, x, err);
	return rc == 0 ? 0 : err_wrap(err, "system '%s'", p->id);
}

/* Every system of the plan once: as many as there are, and none twice. */
static int check_systems(
	const struct report *r, const struct drill_desk_expected *x, struct err *err)
{
	int rc = same_number(
		"systems", (int64_t)r->systems_count, (int64_t)x->plan->system_count, err);
	for (size_t i = 0; rc == 0 && i < r->systems_count; i++) {
		rc = check_system(r->systems[i], x, err);
		for (size_t k = 0; rc == 0 && k < i; k++) {
			if (strcmp(r->systems[k]->system_id, r->systems[i]->system_id) == 0)
				rc = err_set(err, ERR_CORRUPT, "the report has system '%s' twice",
					r->systems[i]->system_id);
		}
	}
	return rc;
}

void drill_desk_check_who(const struct catalog_job *j, char out[DRILL_DESK_WHO_BYTES])
{
	const bool is_schedule = j->schedule[0] != '\0';
	const char *who = is_schedule ? j->schedule : j->person;
	out[0] = '\0';
	if (who[0] != '\0')
		(void)snprintf(out, DRILL_DESK_WHO_BYTES, "%s %s",
			is_schedule ? "schedule" : "person", who); /* names are shorter */
}

static int check_order(const struct report *r, const struct drill_desk_expected *x, struct err *err)
{
	const struct drill_desk_note *n = x->note;
	char sha256[65];
	text_hex(x->plan->sha256, sizeof(x->plan->sha256), sha256);
	int rc = same_text("exercise", r->exercise.exercise_id, n->exercise, err);
	if (rc == 0)
		rc = same_text("trigger",
			report_shape_word(report_shape_triggers, r->exercise.trigger), n->trigger,
			err);
	if (rc == 0)
		rc = same_text("scenario", r->exercise.scenario,
			n->scenario[0] == '\0' ? NULL : n->scenario, err);
	if (rc == 0)
		rc = same_text("ordered by", r->exercise.ordered_by,
			x->ordered_by[0] == '\0' ? NULL : x->ordered_by, err);
	if (rc == 0) /* nobody can approve an order of ours yet */
		rc = same_text("approved by", r->exercise.approved_by, NULL, err);
	if (rc == 0)
		rc = same_text("plan", r->plan.id, x->plan->id, err);
	if (rc == 0)
		rc = same_number("plan version", r->plan.version, x->plan->version, err);
	if (rc == 0)
		rc = same_text("title", r->plan.title, x->plan->title, err);
	if (rc == 0)
		rc = same_text("plan file", r->plan.file, x->plan->file, err);
	return rc == 0 ? same_text("plan SHA-256", r->plan.sha256, sha256, err) : rc;
}

/* ---- where ---- */

/* Nothing is restored before isolation was shown: true once anything was. */
static bool is_begun(const struct report *r)
{
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		if (s->timings.t_sandbox != REPORT_NONE)
			return true;
		for (size_t k = 0; k < s->steps_count; k++) {
			if (s->steps[k]->status != REPORT_STATUS_SKIPPED)
				return true;
		}
		for (size_t k = 0; k < s->checks_count; k++) {
			if (s->checks[k]->status != REPORT_STATUS_SKIPPED)
				return true;
		}
	}
	return false;
}

/* A target is "HOST:PORT", and " at ADDRESS" behind it where HOST is a name. */
static bool has_target(const struct report_environment *e, const struct plan_target *t)
{
	char want[PROBE_TARGET_TEXT];
	probe_target_name(want, t->host, t->port);
	const size_t len = strlen(want);
	for (size_t i = 0; i < e->isolation_checks_count; i++) {
		const char *target = e->isolation_checks[i]->target;
		if (strncmp(target, want, len) == 0 && (target[len] == '\0' || target[len] == ' '))
			return true;
	}
	return false;
}

static int check_isolation(
	const struct report *r, const struct drill_desk_expected *x, struct err *err)
{
	const struct report_environment *e = &r->environment;
	if (!is_begun(r))
		return 0;
	for (size_t i = 0; i < x->plan->must_not_reach_count; i++) {
		const struct plan_target *t = &x->plan->must_not_reach[i];
		if (!has_target(e, t))
			return err_set(err, ERR_CORRUPT,
				"the report does not say whether the sandbox reached %s port %d, "
				"which the plan forbids",
				t->host, t->port);
	}
	return e->canary.address != NULL
		       ? 0
		       : err_set(err, ERR_CORRUPT,
				 "the report names no canary, and every drill has one");
}

/* ---- when ---- */

static int check_span(const char *what, int64_t claimed_ms, int64_t seen_ms, struct err *err)
{
	if (claimed_ms <= seen_ms + DRILL_DESK_SLACK_MS)
		return 0;
	return err_set(err, ERR_CORRUPT,
		"the report claims %lld ms from %s to its end, our clock saw %lld ms",
		(long long)claimed_ms, what, (long long)seen_ms);
}

/* T0 was declared before the drill was ordered, and the drill begins with what it was given. */
static int check_since(
	const struct report_exercise *e, const struct drill_desk_expected *x, struct err *err)
{
	const struct drill_desk_note *n = x->note;
	int64_t since_ms = n->ordered_mono_ms - n->declared_mono_ms;
	if (x->granted->count > 0 && x->granted->since_declared_ms > since_ms)
		since_ms = x->granted->since_declared_ms;
	if (e->started - e->t_declared >= since_ms - DRILL_DESK_SLACK_MS)
		return 0;
	(void)err_set(err, ERR_CORRUPT,
		"the report claims %lld ms from T0 to its start, our clock saw %lld ms before the "
		"recovery points were given away",
		(long long)(e->started - e->t_declared), (long long)since_ms);
	return err_hint(err, "update the agent, or look why orders reach it late; then drill "
			     "again");
}

static int check_times(
	const struct report_exercise *e, const struct drill_desk_expected *x, struct err *err)
{
	const int64_t off = e->t_declared - x->note->declared_ms;
	if (off > DRILL_DESK_CLOCK_MS || off < -DRILL_DESK_CLOCK_MS) {
		(void)err_set(err, ERR_CORRUPT,
			"T0 in the report is %lld ms off the one declared here", (long long)off);
		return err_hint(err, "set the clocks of agent and controller, and drill again");
	}
	int rc = check_since(e, x, err);
	if (rc == 0)
		rc = check_span("its start", e->ended - e->started, x->seen.since_ordered_ms, err);
	if (rc == 0)
		rc = check_span("T0", e->ended - e->t_declared, x->seen.since_declared_ms, err);
	return rc;
}

/* Older versions of the schema conclude less. */
static int check_version(const struct report *r, struct err *err)
{
	if (r->version == REPORT_VERSION)
		return 0;
	(void)err_set(err, ERR_CORRUPT, "the report is written in '%s', this controller signs '%s'",
		report_shape_schema(r->version), report_shape_schema(REPORT_VERSION));
	return err_hint(err, "update the agent");
}

int drill_desk_check_report(
	const struct report_check *c, const struct drill_desk_expected *x, struct err *err)
{
	int rc = check_signers(c, x, err);
	if (rc == 0)
		rc = check_version(c->report, err);
	if (rc == 0)
		rc = check_parties(&c->report->environment, x, err);
	if (rc == 0)
		rc = check_order(c->report, x, err);
	if (rc == 0)
		rc = check_systems(c->report, x, err);
	if (rc == 0)
		rc = check_isolation(c->report, x, err);
	if (rc == 0)
		rc = check_times(&c->report->exercise, x, err);
	return rc;
}
