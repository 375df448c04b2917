#include "restore/drill.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/human.h"
#include "base/log.h"
#include "codec/truth.h"
#include "plans/plan.h"
#include "restore/canary.h"
#include "restore/drill_internal.h"
#include "restore/report_judge.h"
#include "restore/service_postgres.h"

/*
 * INVARIANTS
 * (1) drill_cleanup_run() runs exactly once after drill_begin_run() made something, whatever came
 *     between.
 * (2) A step that was not reached is in the report as skipped, a check too: what is absent there
 *     was never planned.
 * (3) An interruption ends the work, never the cleaning up.
 */

#define DRILL_LINE_BYTES 1024

void drill_tell(struct drill *d, const char *fmt, ...)
{
	char raw[DRILL_LINE_BYTES], text[DRILL_LINE_BYTES], time[HUMAN_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, ap); /* cut is fine */
	va_end(ap);
	(void)escape_str(text, sizeof(text), raw); /* cut is fine */
	(void)human_time_utc(time, clock_now_ns(&d->clock));
	/* a log that is full is cut: the report counts everything */
	(void)buf_addf(&d->text, NULL, "%s %s\n", time, text);
	log_debug("drill.tell", "%s", text);
	if (d->o->on_tell != NULL)
		d->o->on_tell(d->o->arg, text);
}

void drill_find(struct drill *d, enum report_grade grade, const struct drill_system *s,
	const char *fmt, ...)
{
	char text[DRILL_LINE_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
	va_end(ap);
	struct report_finding *f = report_add_finding(d->r);
	if (f == NULL)
		return; /* the report is marked as failed */
	f->grade = grade;
	f->system = s == NULL ? NULL : s->report->system_id;
	f->description = report_text(d->r, text);
	drill_tell(d, "finding: %s", text);
}

bool drill_is_stopped(const struct drill *d)
{
	return d->o->is_stopped != NULL && d->o->is_stopped(d->o->arg);
}

void drill_note_stop(struct drill *d)
{
	if (d->r->exercise.abort_reason != NULL)
		return;
	/* far from the operator it is the agent that stops it */
	d->r->exercise.abort_reason = report_text(d->r,
		d->o->agent == NULL ? "interrupted by the operator"
				    : "stopped by the agent that ran it: it was asked to end, the "
				      "deadline had passed, or its controller said so or was gone");
	drill_tell(d, "interrupted: cleaning up");
}

bool drill_is_final(int rc)
{
	return rc == -ERR_NOMEM || rc == -ERR_INTERRUPTED || rc == -ERR_UNREACHABLE;
}

int drill_settle(const struct drill *d, int rc, struct err *err)
{
	if (rc == 0 || rc == -ERR_NOMEM || !drill_is_stopped(d))
		return rc;
	return err_set(err, ERR_INTERRUPTED, "interrupted");
}

/* Every system: recovery point, sandbox, steps, checks. */
static int work(struct drill *d, struct err *err)
{
	const size_t count = d->o->plan->system_count;
	int rc = 0;
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = drill_select_run(d, &d->systems[d->order[i]], err);
	if (rc == 0)
		rc = drill_isolation_run(d, err);
	if (rc != 0 || !d->is_isolated)
		return rc;
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = drill_system_run(d, &d->systems[d->order[i]], err);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = drill_control_run(d, &d->systems[d->order[i]], err);
	/* whoever asked in the last moment was heard too */
	return rc == 0 && drill_is_stopped(d) ? err_set(err, ERR_INTERRUPTED, "interrupted") : rc;
}

/* Put what was not reached into the report. */
static void fill_gaps(struct drill *d)
{
	for (size_t i = 0; i < d->o->plan->system_count; i++) {
		struct drill_system *s = &d->systems[i];
		if (s->report == NULL)
			continue;
		for (size_t k = s->report->steps_count; k < s->plan->step_count; k++) {
			struct report_step *step = report_add_step(d->r, s->report);
			if (step == NULL)
				return; /* the report is marked as failed */
			step->name = report_text(d->r, s->plan->steps[k].name);
			step->action =
				report_text(d->r, plan_action_name(s->plan->steps[k].action));
			step->status = REPORT_STATUS_SKIPPED;
			step->observed = report_text(d->r, "not reached");
		}
		for (size_t k = s->report->checks_count; k < s->plan->check_count; k++) {
			struct report_content_check *c =
				drill_system_add_check(d, s->report, &s->plan->checks[k]);
			if (c == NULL)
				return; /* as above */
		}
	}
}

/* What ended the work early, in the report's words. */
static void tell_end(struct drill *d, int rc, const struct err *why)
{
	if (rc == 0)
		return;
	if (rc == -ERR_INTERRUPTED) {
		drill_note_stop(d);
	} else {
		drill_find(d, REPORT_MAJOR, NULL, "the drill could not go on: %s", why->msg);
	}
}

static void drill_done(struct drill *d)
{
	for (size_t i = 0; d->systems != NULL && i < d->o->plan->system_count; i++) {
		service_postgres_free(d->systems[i].database);
		snapshot_files_done(&d->systems[i].files);
		truth_free(d->systems[i].truth);
		free(d->systems[i].root);
		if (d->systems[i].is_made)
			cleanup_close_p(&d->systems[i].tree_fd);
	}
	sandbox_free(d->box);
	canary_free(d->canary);
	free(d->systems);
	free(d->order);
	free(d->targets);
	buf_done(&d->text);
	cleanup_close_p(&d->data_fd);
	cleanup_close_p(&d->parent_fd);
}

int drill_run(const struct drill_opts *opts, struct report *r, struct err *err)
{
	CLEANUP(drill_done)
	struct drill d = {
		.o = opts, .r = r, .parent_fd = -1, .data_fd = -1, .text = BUF_INIT(DRILL_LOG_MAX)
	};
	struct err why = ERR_INIT;
	clock_start(&d.clock);
	int rc = drill_begin_run(&d, err);
	if (rc != 0)
		return rc;
	rc = drill_settle(&d, work(&d, &why), &why);
	tell_end(&d, rc, &why);
	fill_gaps(&d);
	drill_cleanup_run(&d);
	report_judge_run(r);
	if (rc == -ERR_NOMEM || r->has_failed)
		return err_set(err, ERR_NOMEM, "out of memory for the drill's report");
	return 0;
}
