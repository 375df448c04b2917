#include "restore/report_judge.h"

#include <string.h>

#include "base/err.h"
#include "restore/report.h"
#include "restore/report_summary.h"
#include "restore/report_words.h"

/*
 * INVARIANTS
 * (1) The outcome depends on the members of the report that are not judged, on nothing else, and in
 *     particular not on what a former run left in the judged ones.
 * (2) Nothing that was not examined is a pass: whatever is absent counts as not demonstrated.
 * (3) Findings recorded by the runner come first, in their order; judged ones follow.
 */

/* What has been seen so far; the worst one names the verdict. */
struct tally {
	bool has_failed;
	bool has_gap; /* something was not demonstrated */
	bool has_finding;
};

static enum report_verdict conclude(const struct tally *t, bool is_aborted)
{
	if (t->has_failed)
		return REPORT_FAIL;
	if (is_aborted)
		return REPORT_ABORTED;
	if (t->has_gap)
		return REPORT_NOT_DEMONSTRATED;
	return t->has_finding ? REPORT_PASS_WITH_FINDINGS : REPORT_PASS;
}

/* The case at hand: where findings go. */
struct bench {
	struct report *r;
	const struct report_system *system; /* NULL = the drill as a whole */
	struct tally *tally;
};

static void find(const struct bench *b, enum report_grade grade, const char *rule, const char *text)
{
	struct report_finding *f = report_add_finding(b->r);
	if (f == NULL)
		return;
	f->grade = grade;
	f->system = b->system == NULL ? NULL : b->system->system_id;
	f->rule = report_text(b->r, rule);
	f->description = text;
	b->tally->has_finding = true;
}

static void fail(const struct bench *b, const char *rule, const char *text)
{
	find(b, REPORT_MAJOR, rule, text);
	b->tally->has_failed = true;
}

static void gap(const struct bench *b, const char *rule, const char *text)
{
	find(b, REPORT_MINOR, rule, text);
	b->tally->has_gap = true;
}

/* For texts: what was seen, or that nothing was. */
static const char *seen(const char *observed)
{
	return observed == NULL ? "nothing was recorded" : observed;
}

static void judge_check(const struct bench *b, struct report_content_check *c)
{
	struct report *r = b->r;
	if (c->status == REPORT_STATUS_PASS && c->items_examined <= 0)
		c->status = REPORT_STATUS_NOT_DEMONSTRATED;
	switch (c->status) {
	case REPORT_STATUS_PASS:
		return;
	case REPORT_STATUS_FAIL:
		if (c->is_mandatory)
			fail(b, "mandatory_check_failed",
				report_textf(r, "mandatory check %s (%s) failed: %s", c->id,
					c->type, seen(c->observed)));
		else
			find(b, REPORT_MINOR, "check_failed",
				report_textf(r, "check %s (%s) failed: %s", c->id, c->type,
					seen(c->observed)));
		return;
	case REPORT_STATUS_SKIPPED:
	case REPORT_STATUS_NOT_DEMONSTRATED:
		break;
	}
	const char *why = c->status == REPORT_STATUS_SKIPPED ? "was skipped"
			  : c->items_examined <= 0           ? "examined nothing"
							     : "demonstrated nothing";
	if (c->is_mandatory)
		gap(b, "mandatory_check_not_demonstrated",
			report_textf(r, "mandatory check %s (%s) %s", c->id, c->type, why));
	else
		find(b, REPORT_OBSERVATION, "check_not_demonstrated",
			report_textf(r, "check %s (%s) %s", c->id, c->type, why));
}

static void judge_checks(const struct bench *b, struct report_system *s)
{
	size_t mandatory = 0;
	for (size_t i = 0; i < s->checks_count; i++) {
		mandatory += s->checks[i]->is_mandatory;
		judge_check(b, s->checks[i]);
	}
	if (mandatory == 0)
		gap(b, "no_mandatory_check",
			report_text(b->r, "no mandatory check was run on this system"));
}

static void judge_steps(const struct bench *b, const struct report_system *s)
{
	struct report *r = b->r;
	char took[REPORT_WORDS_BYTES], budget[REPORT_WORDS_BYTES];

	for (size_t i = 0; i < s->steps_count; i++) {
		const struct report_step *p = s->steps[i];
		if (p->status == REPORT_STATUS_FAIL)
			fail(b, "step_failed",
				report_textf(
					r, "step '%s' failed: %s", p->name, seen(p->observed)));
		else if (p->status != REPORT_STATUS_PASS)
			gap(b, "step_not_run", report_textf(r, "step '%s' was not run", p->name));
		if (p->budget_ms == REPORT_NONE || p->started == REPORT_NONE ||
			p->ended == REPORT_NONE || p->ended - p->started <= p->budget_ms)
			continue;
		find(b, REPORT_OBSERVATION, "step_over_budget",
			report_textf(r, "step '%s' took %s of %s planned", p->name,
				report_words_duration(took, p->ended - p->started),
				report_words_duration(budget, p->budget_ms)));
	}
}

static void judge_recovery_point(const struct bench *b, struct report_system *s)
{
	const struct report_recovery_point *p = &s->recovery_point;
	if (p->snapshot_id == NULL) {
		gap(b, "no_recovery_point", report_text(b->r, "no recovery point was chosen"));
		return;
	}
	switch (p->recovery_envelope) {
	case REPORT_ENVELOPE_RECOMPUTED:
		return;
	case REPORT_ENVELOPE_DIFFERS:
		fail(b, "recovery_envelope_differs",
			report_text(b->r,
				"the envelope for the recovery key is not the one this "
				"snapshot must have: the recovery key would not open it"));
		return;
	case REPORT_ENVELOPE_GONE:
		fail(b, "recovery_envelope_absent",
			report_text(b->r, "the snapshot has no envelope for the recovery key: the "
					  "recovery key would not open it"));
		return;
	}
	gap(b, "recovery_envelope_not_checked",
		report_text(b->r, "the envelope for the recovery key was not checked"));
}

/*
 * T6 counts only when it was measured and every mandatory check passed (b->tally is still clean of
 * this system's own failures then).  Without T6 the objective is missed once more time has gone by
 * than it allows.
 */
static void judge_rto(const struct bench *b, struct report_system *s)
{
	struct report_result *res = &s->result;
	const struct report_timings *t = &s->timings;
	int64_t ended = b->r->exercise.ended;
	char took[REPORT_WORDS_BYTES], limit[REPORT_WORDS_BYTES];

	bool is_recovered = !b->tally->has_failed && !b->tally->has_gap &&
			    t->t_verified != REPORT_NONE && t->t_declared != REPORT_NONE &&
			    t->t_verified >= t->t_declared;
	if (is_recovered) {
		res->rta_total_ms = t->t_verified - t->t_declared;
		if (t->t_approved != REPORT_NONE && t->t_approved <= t->t_verified)
			res->rta_technical_ms = t->t_verified - t->t_approved;
	}
	if (s->rto_ms == REPORT_NONE || res->rta_basis != REPORT_RTA_MEASURED)
		res->rto_met = REPORT_MET_NOT_DEMONSTRATED;
	else if (is_recovered)
		res->rto_met = res->rta_total_ms <= s->rto_ms ? REPORT_MET : REPORT_MISSED;
	else if (ended != REPORT_NONE && t->t_declared != REPORT_NONE &&
		 ended - t->t_declared > s->rto_ms)
		res->rto_met = REPORT_MISSED;
	else
		res->rto_met = REPORT_MET_NOT_DEMONSTRATED;

	(void)report_words_duration(limit, s->rto_ms);
	if (res->rto_met == REPORT_MISSED && is_recovered)
		fail(b, "rto_missed",
			report_textf(b->r, "recovery took %s; the objective (RTO) is %s",
				report_words_duration(took, res->rta_total_ms), limit));
	else if (res->rto_met == REPORT_MISSED)
		fail(b, "rto_missed",
			report_textf(b->r,
				"not recovered when the drill ended, %s after the disruption; the "
				"objective (RTO) is %s",
				report_words_duration(took, ended - t->t_declared), limit));
	else if (res->rto_met == REPORT_MET_NOT_DEMONSTRATED && !b->tally->has_failed &&
		 !b->tally->has_gap)
		gap(b, "rto_not_demonstrated",
			report_text(b->r, res->rta_basis == REPORT_RTA_MEASURED
						  ? "no time of recovery was measured"
						  : "the time of recovery was extrapolated, not "
						    "measured"));
	if (res->rta_total_ms != REPORT_NONE && s->mtpd_ms != REPORT_NONE &&
		res->rta_total_ms > s->mtpd_ms)
		fail(b, "mtpd_passed",
			report_textf(b->r, "recovery took %s; the plant tolerates %s (MTPD)",
				report_words_duration(took, res->rta_total_ms),
				report_words_duration(limit, s->mtpd_ms)));
}

static void judge_rpo(const struct bench *b, struct report_system *s)
{
	struct report_result *res = &s->result;
	struct report_recovery_point *p = &s->recovery_point;
	char lost[REPORT_WORDS_BYTES], limit[REPORT_WORDS_BYTES];
	int64_t as_of = p->data_as_of;

	res->rpo_met = REPORT_MET_NOT_DEMONSTRATED;
	if (as_of != REPORT_NONE)
		p->rpa_basis = REPORT_RPA_CONTENT;
	else if (p->snapshot_at != REPORT_NONE)
		p->rpa_basis = REPORT_RPA_SNAPSHOT_TIME;
	if (p->rpa_basis == REPORT_RPA_SNAPSHOT_TIME)
		as_of = p->snapshot_at;
	if (as_of == REPORT_NONE || s->timings.t_declared == REPORT_NONE ||
		s->rpo_ms == REPORT_NONE) {
		/* without a recovery point that finding says it already */
		if (p->snapshot_id != NULL)
			gap(b, "rpo_not_demonstrated",
				report_text(b->r, "the age of the data was not measured"));
		return;
	}
	res->rpa_ms = s->timings.t_declared - as_of;
	if (res->rpa_ms < 0) {
		res->rpa_ms = REPORT_NONE; /* an age below zero is none */
		gap(b, "data_newer_than_drill",
			report_text(b->r,
				"the restored data is newer than the declared disruption: "
				"the clocks differ, so its age is not known"));
		return;
	}
	res->rpo_met = res->rpa_ms <= s->rpo_ms ? REPORT_MET : REPORT_MISSED;
	if (res->rpo_met == REPORT_MISSED)
		fail(b, "rpo_missed",
			report_textf(b->r,
				"the restored data ends %s before the disruption; the "
				"objective (RPO) is %s",
				report_words_duration(lost, res->rpa_ms),
				report_words_duration(limit, s->rpo_ms)));
}

/* A check shows that it sees the damage only when it passed without. */
static bool has_passed(const struct report_system *s, const char *id)
{
	for (size_t i = 0; i < s->checks_count; i++) {
		if (strcmp(s->checks[i]->id, id) == 0)
			return s->checks[i]->status == REPORT_STATUS_PASS;
	}
	return false;
}

static void judge_negative_control(const struct bench *b, struct report_system *s)
{
	struct report_negative_control *n = &s->negative_control;
	if (n->damage == NULL) {
		/* one that was not recovered has checks that failed already */
		if (b->r->version >= 2 && s->timings.t_verified != REPORT_NONE)
			find(b, REPORT_MINOR, "negative_control_not_run",
				report_text(b->r,
					"the checks of this system were not tried on a damaged "
					"copy: they are not shown to prove anything"));
		return;
	}
	n->verdict = REPORT_NOT_DETECTED;
	for (size_t i = 0; i < n->checks_failed.count; i++) {
		if (has_passed(s, n->checks_failed.items[i]))
			n->verdict = REPORT_DETECTED;
	}
	if (n->verdict == REPORT_NOT_DETECTED)
		fail(b, "negative_control_not_detected",
			report_textf(b->r,
				"the checks passed a damaged copy (%s): they prove nothing, the "
				"drill is void",
				n->damage));
}

static void judge_system(struct report *r, struct report_system *s, struct tally *all)
{
	struct tally own = { .has_failed = false };
	const struct bench b = { .r = r, .system = s, .tally = &own };

	judge_steps(&b, s);
	judge_checks(&b, s);
	judge_rto(&b, s);
	judge_recovery_point(&b, s);
	judge_rpo(&b, s);
	judge_negative_control(&b, s);
	s->result.verdict = conclude(&own, false);
	all->has_failed |= own.has_failed;
	all->has_gap |= own.has_gap;
	all->has_finding |= own.has_finding;
}

static void judge_isolation(const struct bench *b)
{
	struct report *r = b->r;
	const struct report_environment *e = &r->environment;

	for (size_t i = 0; i < e->isolation_checks_count; i++) {
		const struct report_isolation_check *c = e->isolation_checks[i];
		if (c->observed == REPORT_REACHED)
			fail(b, "isolation_reached",
				report_textf(
					r, "the sandbox reached %s, which it must not", c->target));
		else if (c->observed != REPORT_UNREACHABLE)
			gap(b, "isolation_not_probed",
				report_textf(r, "%s was not tried from the sandbox", c->target));
	}
	if (e->canary.address != NULL && e->canary.connections_seen == REPORT_NONE)
		gap(b, "canary_not_counted",
			report_text(r, "the connections to the canary were not counted"));
	else if (e->canary.address != NULL && e->canary.connections_seen > 0)
		fail(b, "canary_reached",
			report_textf(r,
				"the canary outside the sandbox was reached (connections: %lld)",
				(long long)e->canary.connections_seen));
	if (e->isolation_checks_count == 0 && e->canary.address == NULL)
		find(b, REPORT_OBSERVATION, "isolation_not_shown",
			report_text(r, "nothing was tried to show that the sandbox is isolated"));
}

static void judge_cleanup(const struct bench *b)
{
	struct report *r = b->r;
	const struct report_cleanup *c = &r->cleanup;
	const struct {
		int64_t count;
		const char *what;
	} left[] = {
		{ c->processes_left, "processes" },
		{ c->mounts_left, "mounts" },
		{ c->namespaces_left, "namespaces" },
	};
	if (c->rule == 0) {
		gap(b, "cleanup_not_shown", report_text(r, "no cleanup was recorded"));
		return;
	}
	if (!c->is_completed)
		fail(b, "cleanup_not_completed", report_text(r, "the cleanup did not complete"));
	if (c->residue.count > 0)
		fail(b, "residue",
			report_textf(r, "left behind (%zu in all): %s", c->residue.count,
				c->residue.items[0]));
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		if (left[i].count == REPORT_NONE)
			gap(b, "cleanup_not_shown",
				report_textf(
					r, "the %s left behind were not counted", left[i].what));
		else if (left[i].count > 0)
			fail(b, "residue",
				report_textf(r, "left behind: %lld %s", (long long)left[i].count,
					left[i].what));
	}
}

static void judge_drill(struct report *r, struct tally *all)
{
	const struct bench b = { .r = r, .system = NULL, .tally = all };
	bool has_control = false, is_told = false;

	if (r->systems_count == 0)
		gap(&b, "no_system", report_text(r, "the drill recovered no system"));
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		has_control |= s->negative_control.damage != NULL;
		/* told of the system itself */
		is_told |= r->version >= 2 && s->timings.t_verified != REPORT_NONE;
	}
	if (!has_control && !is_told)
		find(&b, REPORT_MINOR, "negative_control_not_run",
			report_text(r, "the checks were not tried on a damaged copy"));
	judge_isolation(&b);
	judge_cleanup(&b);
}

/* Forget what a former run concluded (invariant 1). */
static void forget(struct report *r, struct tally *all)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->findings_count; i++) {
		struct report_finding *f = r->findings[i];
		if (f->rule != NULL)
			continue;
		r->findings[kept++] = f;
		all->has_finding = true;
		all->has_failed |= f->grade == REPORT_MAJOR;
	}
	r->findings_count = kept;
	for (size_t i = 0; i < r->systems_count; i++) {
		struct report_system *s = r->systems[i];
		enum report_rta_basis basis = s->result.rta_basis;
		s->result = (struct report_result){ .rta_basis = basis,
			.rta_total_ms = REPORT_NONE,
			.rta_technical_ms = REPORT_NONE,
			.rpa_ms = REPORT_NONE };
		s->recovery_point.rpa_basis = 0;
		s->negative_control.verdict = 0;
	}
	memset(&r->verdict, 0, sizeof(r->verdict));
}

void report_judge_run(struct report *r)
{
	struct tally all = { .has_failed = false };

	forget(r, &all);
	for (size_t i = 0; i < r->systems_count; i++)
		judge_system(r, r->systems[i], &all);
	judge_drill(r, &all);
	for (size_t i = 0; i < r->findings_count; i++)
		r->findings[i]->id = report_textf(r, "F%zu", i + 1);
	r->verdict.overall = conclude(&all, r->exercise.abort_reason != NULL);
	report_summary_write(r);
}

int report_judge_exit_status(const struct report *r)
{
	return r->verdict.overall == REPORT_PASS || r->verdict.overall == REPORT_PASS_WITH_FINDINGS
		       ? EXIT_STATUS_OK
		       : EXIT_STATUS_OBJECTIVE;
}
