#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "codec/truth.h"
#include "plans/plan.h"
#include "restore/checks.h"
#include "restore/drill_internal.h"
#include "restore/restore_run.h"
#include "restore/restore_writer.h"
#include "restore/service_postgres.h"
#include "restore/tree_walk.h"

/*
 * INVARIANTS
 * (1) T4 comes when the data is there and what looks before the start has looked, T5 when the
 *     service answers, T6 when every mandatory check has passed; a mark is set only then.
 * (2) A step that fails ends the steps of its system; checks that need the step are then not run.
 * (3) The data directory belongs to whatever runs in the sandbox: nothing is looked up in it by
 *     name once it was made, and no link in it is followed.
 */

DEFINE_CLEANUP(struct restore_writer *, restore_writer_free)

/* ---- restore ---- */

struct restoring {
	struct drill *d;
	char first[ERR_MSG_BYTES]; /* what was left out, the first of it */
};

static void on_problem(void *arg, const uint8_t *key, size_t len, const struct err *why)
{
	struct restoring *r = arg;
	char path[256] = "";
	for (size_t i = 0; key != NULL && i < len && i < sizeof(path) - 1; i++)
		path[i] = key[i] == 0 ? '/' : (char)key[i];
	drill_tell(r->d, "restore: '%s': %s", path, why->msg);
	if (r->first[0] == '\0')
		(void)snprintf(r->first, sizeof(r->first), "'%s': %.500s", path, why->msg);
}

static bool is_stopped(void *arg)
{
	const struct restoring *r = arg;
	return drill_is_stopped(r->d);
}

static int write_tree(struct drill *d, const struct drill_system *s, int dirfd,
	struct restoring *arg, struct restore_run_result *out, struct err *err)
{
	static const struct restore_writer_opts opts = {
		.overwrite = RESTORE_REFUSE, .sparse = true, .no_owner = true
	};
	CLEANUP(restore_writer_free_p) struct restore_writer *writer = NULL;
	int rc = restore_writer_new(dirfd, &opts, &writer, err);
	if (rc != 0)
		return rc;
	const struct restore_run_opts run = { .source = d->o->points->content,
		.top = &s->point.opened.root.top,
		.writer = writer,
		.arg = arg,
		.on_problem = on_problem,
		.is_stopped = is_stopped };
	return restore_run_tree(&run, out, err);
}

int drill_system_make(const struct drill *d, const char *name, int *tree, struct err *err)
{
	if (env_mkdirat(d->data_fd, name, 0700) != 0)
		return err_sys(err, ERR_IO, "unable to create directory '%s'", name);
	int fd = openat(d->data_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to open directory '%s'", name);
	*tree = fd;
	return 0;
}

int drill_system_restore(struct drill *d, const struct drill_system *s, int tree,
	struct report_step *step, struct report_volume *volume, struct err *err)
{
	struct restoring arg = { .d = d };
	struct restore_run_result result = { .files = 0 };
	int rc = write_tree(d, s, tree, &arg, &result, err);
	if (rc != 0)
		return rc;
	if (result.damaged > 0 || result.failed > 0)
		return err_set(err, ERR_FAILED,
			"%llu entries damaged in the vault, %llu not restored, the first: %.600s",
			(unsigned long long)result.damaged, (unsigned long long)result.failed,
			arg.first);
	if (step != NULL)
		step->observed = report_textf(d->r, "%llu files, %llu directories",
			(unsigned long long)result.files, (unsigned long long)result.dirs);
	if (volume != NULL) {
		volume->logical_bytes = (int64_t)result.bytes;
		volume->objects = (int64_t)(result.files + result.dirs + result.others);
	}
	return 0;
}

/* ---- start ---- */

int drill_system_start(struct drill *d, const struct drill_system *s,
	const struct drill_start *what, struct service_postgres **out, struct err *err)
{
	char inside[PATH_MAX];
	CLEANUP(cleanup_close_p)
	int dirfd = tree_walk_open_path(what->tree, s->root, O_RDONLY | O_DIRECTORY);
	if (dirfd < 0)
		return err_sys(err, ERR_FAILED, "unable to open the data directory '%s'", s->root);
	int n = snprintf(inside, sizeof(inside), SANDBOX_DATA "/%s%s%s", what->name,
		s->root[0] == '\0' ? "" : "/", s->root);
	if (n < 0 || n >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "the path of the data directory is too long");
	if (s->truth == NULL || !s->truth->has_database || s->truth->database.role == NULL ||
		s->truth->database.name == NULL)
		return err_set(err, ERR_FAILED,
			"the source did not write down which database and role to ask");
	const struct service_postgres_opts opts = { .box = d->box,
		.name = what->name,
		.dirfd = dirfd,
		.data = inside,
		.role = s->truth->database.role,
		.database = s->truth->database.name,
		.ready_ms = d->o->ready_ms,
		.ignore_checksums = what->ignore_checksums,
		.is_stopped = d->o->is_stopped,
		.arg = d->o->arg };
	return service_postgres_start(&opts, out, err);
}

/* ---- one step ---- */

static int do_action(struct drill *d, struct drill_system *s, enum plan_action action,
	struct report_step *step, struct err *err)
{
	const struct drill_start what = { .name = s->plan->id, .tree = s->tree_fd };
	int rc;
	switch (action) {
	case PLAN_ACTION_RESTORE:
		rc = drill_system_make(d, s->plan->id, &s->tree_fd, err);
		s->is_made = rc == 0;
		return rc == 0 ? drill_system_restore(
					 d, s, s->tree_fd, step, &s->report->volume, err)
			       : rc;
	case PLAN_ACTION_START:
		step->observed = report_text(d->r, "accepts connections");
		return drill_system_start(d, s, &what, &s->database, err);
	case PLAN_ACTION_NONE:
		break;
	}
	return err_set(err, ERR_FAILED, "a step of no known action");
}

/* Run step ${i}.  Return 0 also when it failed (see its status), or a final error. */
static int run_step(struct drill *d, struct drill_system *s, size_t i, struct err *err)
{
	const struct plan_step *plan = &s->plan->steps[i];
	struct err why = ERR_INIT;
	struct report_step *step = report_add_step(d->r, s->report);
	if (step == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	step->name = report_text(d->r, plan->name);
	step->action = report_text(d->r, plan_action_name(plan->action));
	if (plan->budget_ns > 0)
		step->budget_ms = plan->budget_ns / 1000000;
	step->status = REPORT_STATUS_FAIL;
	step->started = clock_now_ms(&d->clock);
	int rc = drill_settle(d, do_action(d, s, plan->action, step, &why), &why);
	step->ended = clock_now_ms(&d->clock);
	if (rc == 0) {
		char took[HUMAN_BYTES];
		step->status = REPORT_STATUS_PASS;
		drill_tell(d, "%s: %s: %s, %s", s->plan->id, plan->name,
			step->observed == NULL ? "done" : step->observed,
			human_duration(took, (step->ended - step->started) * 1000000));
		return 0;
	}
	step->observed = report_text(d->r, why.msg);
	if (rc == -ERR_INTERRUPTED) /* stopped is not failed: the drill is aborted */
		step->status = REPORT_STATUS_SKIPPED;
	drill_tell(d, "%s: %s: %s: %s", s->plan->id, plan->name,
		rc == -ERR_INTERRUPTED ? "stopped" : "FAILED", why.msg);
	if (drill_is_final(rc) && err != NULL)
		*err = why;
	return drill_is_final(rc) ? rc : 0;
}

static bool has_passed(const struct report_system *r)
{
	return r->steps_count > 0 && r->steps[r->steps_count - 1]->status == REPORT_STATUS_PASS;
}

/* ---- checks ---- */

struct report_content_check *drill_system_add_check(
	struct drill *d, struct report_system *s, const struct plan_check *c)
{
	struct report_content_check *r = report_add_check(d->r, s);
	if (r == NULL)
		return NULL; /* the report is marked as failed */
	r->id = report_text(d->r, c->id);
	r->type = report_text(d->r, plan_check_type_name(c->type));
	r->is_mandatory = c->is_mandatory;
	r->expected = report_text(d->r, c->expect_text);
	r->status = REPORT_STATUS_SKIPPED;
	r->observed = report_text(d->r, "not reached");
	return r;
}

static void call_back(const struct drill *d, const struct drill_system *s, enum drill_phase phase)
{
	char dir[PATH_MAX];
	int n = snprintf(dir, sizeof(dir), "%s/%s%s%s", d->data, s->plan->id,
		s->root[0] == '\0' ? "" : "/", s->root);
	if (d->o->on_phase != NULL && n > 0 && n < PATH_MAX)
		d->o->on_phase(d->o->arg, phase, s->plan->id, dir);
}

/* Take the newest time that a check read as the age of the data.  One that did not pass has shown
 * nothing.  What is newer than T0 stays so: it has no age, and the judgement says that.  What is
 * newer than its snapshot alone was written by a clock that is ahead. */
static void take_newest(struct drill *d, struct drill_system *s, const struct plan_check *check,
	const struct checks_result *result, int64_t end_ms)
{
	int64_t newest_ms = result->newest_ms;
	int64_t *as_of = &s->report->recovery_point.data_as_of;
	if (newest_ms == REPORT_NONE || result->status != REPORT_STATUS_PASS)
		return;
	if (newest_ms > end_ms && newest_ms <= d->r->exercise.t_declared) {
		char time[HUMAN_BYTES];
		drill_find(d, REPORT_MINOR, s,
			"check %s read data of %s, from after the end of its snapshot: it was "
			"written by a clock that is ahead, so how old it is is not certain; it "
			"counts as of the snapshot's end",
			check->id, human_time_utc(time, newest_ms * 1000000));
		newest_ms = end_ms;
	}
	if (*as_of == REPORT_NONE || newest_ms > *as_of)
		*as_of = newest_ms;
}

static int run_check(struct drill *d, struct drill_system *s, const struct checks_place *place,
	const struct plan_check *check, struct report_content_check *r, struct err *err)
{
	struct checks_result result;
	const int64_t from = clock_now_ns(&d->clock);
	int rc = checks_run(place, check, &result, err);
	if (rc != 0)
		return rc;
	r->status = result.status;
	r->items_examined = result.items;
	r->observed = report_text(d->r, result.observed);
	r->duration_ms = (clock_now_ns(&d->clock) - from) / 1000000;
	take_newest(d, s, check, &result, place->snapshot_ns / 1000000);
	drill_tell(d, "%s: check %s: %s: %s", s->plan->id, check->id,
		result.status == REPORT_STATUS_PASS   ? "passed"
		: result.status == REPORT_STATUS_FAIL ? "FAILED"
						      : "NOT DEMONSTRATED",
		result.observed);
	return 0;
}

/* Run the checks that look before the start, or the others. */
static int run_checks(struct drill *d, struct drill_system *s, bool is_before, struct err *err)
{
	const struct checks_place place = { .system = s->plan,
		.dirfd = s->tree_fd,
		.root = s->root,
		.files = &s->files,
		.truth = s->truth,
		.database = s->database,
		.snapshot_ns = s->snap->record.t_end_ns,
		.seed = d->seed,
		.evidence = &d->text,
		.is_stopped = d->o->is_stopped,
		.arg = d->o->arg };
	int rc = 0;
	for (size_t i = 0; i < s->plan->check_count && rc == 0; i++) {
		if (checks_is_before_start(&s->plan->checks[i]) == is_before)
			rc = run_check(
				d, s, &place, &s->plan->checks[i], s->report->checks[i], err);
	}
	return rc;
}

/* All mandatory checks passed: the system does what it is there for. */
static void mark_verified(struct drill *d, struct drill_system *s)
{
	char took[HUMAN_BYTES];
	size_t mandatory = 0;
	for (size_t i = 0; i < s->report->checks_count; i++) {
		const struct report_content_check *c = s->report->checks[i];
		if (c->is_mandatory && c->status != REPORT_STATUS_PASS)
			return;
		mandatory += c->is_mandatory;
	}
	if (mandatory == 0)
		return;
	clock_mark(&d->clock, CLOCK_VERIFIED, &s->report->timings);
	s->is_recovered = true;
	drill_tell(d, "%s: recovered, %s after the disruption", s->plan->id,
		human_duration(took,
			(s->report->timings.t_verified - s->report->timings.t_declared) * 1000000));
}

/* What happens once the data is restored: look, note T4. */
static int after_restore(struct drill *d, struct drill_system *s, struct err *err)
{
	s->is_restored = true;
	call_back(d, s, DRILL_RESTORED);
	int rc = run_checks(d, s, true, err);
	if (rc == 0) {
		clock_mark(&d->clock, CLOCK_RESTORED, &s->report->timings);
		call_back(d, s, DRILL_HASHED);
	}
	return rc;
}

static int run_steps(struct drill *d, struct drill_system *s, struct err *err)
{
	for (size_t i = 0; i < s->plan->step_count; i++) {
		const enum plan_action action = s->plan->steps[i].action;
		int rc = run_step(d, s, i, err);
		if (rc == 0 && has_passed(s->report) && action == PLAN_ACTION_RESTORE)
			rc = after_restore(d, s, err);
		if (rc != 0)
			return rc;
		if (!has_passed(s->report))
			return 0;
		if (action == PLAN_ACTION_START) {
			clock_mark(&d->clock, CLOCK_STARTED, &s->report->timings);
			call_back(d, s, DRILL_STARTED);
		}
	}
	return 0;
}

int drill_system_run(struct drill *d, struct drill_system *s, struct err *err)
{
	for (size_t i = 0; i < s->plan->check_count; i++) {
		if (drill_system_add_check(d, s->report, &s->plan->checks[i]) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	if (s->snap == NULL)
		return 0;
	int rc = run_steps(d, s, err);
	if (rc != 0 || !s->is_restored || !has_passed(s->report))
		return rc;
	rc = run_checks(d, s, false, err);
	if (rc != 0)
		return rc;
	mark_verified(d, s);
	call_back(d, s, DRILL_CHECKED);
	return 0;
}
