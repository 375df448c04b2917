#include "restore/drill.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/err.h"
#include "restore/drill_points_near.h"
#include "restore/report_judge.h"
#include "tests/lib/drill_fixture.h"
#include "vault/snapshot.h"

__attribute__((constructor)) static void start(int argc, char **argv)
{
	drill_fixture_be_process_1(argc, argv);
}

ReportHook(PRE_ALL)(struct criterion_test_set *set)
{
	(void)set;
	drill_fixture_make();
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	(void)stats;
	drill_fixture_remove();
}

TestSuite(drill, .timeout = 240);

static struct report *run(const char *plan, void (*change)(struct drill_opts *o))
{
	struct report *r = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, drill_fixture_run(plan, change, &r, &err), 0), "%s", err.msg);
	for (size_t i = 0; i < r->findings_count; i++)
		(void)fprintf(stderr, "finding %s: %s\n", r->findings[i]->id,
			r->findings[i]->description);
	return r;
}

/* True if a finding says ${text}. */
static bool has_finding(const struct report *r, const char *text)
{
	for (size_t i = 0; i < r->findings_count; i++) {
		if (strstr(r->findings[i]->description, text) != NULL)
			return true;
	}
	return false;
}

static const struct report_content_check *check_of(
	const struct report *r, const char *system, const char *id)
{
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		for (size_t k = 0; k < s->checks_count; k++) {
			if (strcmp(s->system_id, system) == 0 && strcmp(s->checks[k]->id, id) == 0)
				return s->checks[k];
		}
	}
	cr_assert(false, "no check %s of %s", id, system);
	return NULL;
}

static void expect_fail(const struct report *r)
{
	cr_expect(eq(int, r->verdict.overall, REPORT_FAIL));
	cr_expect(eq(int, report_judge_exit_status(r), EXIT_STATUS_OBJECTIVE));
	cr_expect(eq(int, drill_fixture_left(), 0));
}

Test(drill, a_sound_plant_passes_and_nothing_is_left)
{
	struct report *r = run(drill_fixture_plan("30m"), NULL);
	cr_expect(eq(int, r->verdict.overall, REPORT_PASS), "%s", r->verdict.summary);
	cr_expect(eq(int, report_judge_exit_status(r), 0));
	cr_expect(eq(sz, r->findings_count, 0));
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		cr_expect(eq(int, s->result.rto_met, REPORT_MET));
		cr_expect(eq(int, s->result.rpo_met, REPORT_MET));
		cr_expect(eq(int, s->negative_control.verdict, REPORT_DETECTED));
		cr_expect(eq(int, s->recovery_point.recovery_envelope, REPORT_ENVELOPE_RECOMPUTED));
		cr_expect(ge(i64, s->timings.t_verified, s->timings.t_restored));
		cr_expect(ge(i64, s->timings.t_clean, s->timings.t_verified));
	}
	cr_expect(eq(int, r->systems[0]->recovery_point.rpa_basis, REPORT_RPA_CONTENT));
	cr_expect(eq(int, r->systems[1]->recovery_point.rpa_basis, REPORT_RPA_CONTENT));
	cr_expect(eq(int, r->systems[2]->recovery_point.rpa_basis, REPORT_RPA_SNAPSHOT_TIME));
	cr_expect(ge(i64, check_of(r, "hist3", "samples")->items_examined, 10000));
	cr_expect(eq(i64, check_of(r, "batch3", "records")->items_examined, 5));
	cr_expect(eq(i64, check_of(r, "batch3", "xml")->items_examined, 12));
	cr_expect(ge(sz, r->evidence_count, 2));
	cr_expect(eq(int, drill_fixture_left(), 0));
	report_free(r);
}

/* ---- damage between restore and checks ---- */

static void flip_when_restored(
	void *arg, enum drill_phase phase, const char *system, const char *dir)
{
	(void)arg;
	if (phase == DRILL_RESTORED && strcmp(system, "hist3") == 0)
		drill_fixture_flip_a_table(dir);
}

static void flip_when_hashed(void *arg, enum drill_phase phase, const char *system, const char *dir)
{
	(void)arg;
	if (phase == DRILL_HASHED && strcmp(system, "hist3") == 0)
		drill_fixture_flip_a_table(dir);
}

static void with_flip_when_restored(struct drill_opts *o)
{
	o->on_phase = flip_when_restored;
}

static void with_flip_when_hashed(struct drill_opts *o)
{
	o->on_phase = flip_when_hashed;
}

Test(drill, one_flipped_byte_in_a_table_file_fails_the_hash)
{
	struct report *r = run(drill_fixture_plan("30m"), with_flip_when_restored);
	expect_fail(r);
	cr_expect(eq(int, check_of(r, "hist3", "files")->status, REPORT_STATUS_FAIL));
	cr_expect(has_finding(r, "mandatory check files (hash_manifest) failed"));
	cr_expect(eq(int, check_of(r, "batch3", "records")->status, REPORT_STATUS_PASS));
	report_free(r);
}

Test(drill, a_table_damaged_behind_the_hash_is_seen_by_the_row_count)
{
	struct report *r = run(drill_fixture_plan("30m"), with_flip_when_hashed);
	expect_fail(r);
	cr_expect(eq(int, check_of(r, "hist3", "files")->status, REPORT_STATUS_PASS));
	cr_expect(eq(int, check_of(r, "hist3", "samples")->status, REPORT_STATUS_FAIL));
	report_free(r);
}

static void remove_batch(void *arg, enum drill_phase phase, const char *name, const char *dir)
{
	(void)arg;
	char command[PATH_MAX + 64];
	if (phase != DRILL_HASHED || strcmp(name, "batch3") != 0)
		return;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'/*/*/L3-1000003", dir);
	cr_assert(system(command) == 0);
}

static void with_removed_batch(struct drill_opts *o)
{
	o->on_phase = remove_batch;
}

Test(drill, one_missing_batch_record_is_named)
{
	struct report *r = run(drill_fixture_plan("30m"), with_removed_batch);
	expect_fail(r);
	cr_expect(eq(int, check_of(r, "batch3", "records")->status, REPORT_STATUS_FAIL));
	cr_expect(has_finding(r, "L3-1000003"));
	report_free(r);
}

static void break_control_file(
	void *arg, enum drill_phase phase, const char *system, const char *dir)
{
	(void)arg;
	char path[PATH_MAX];
	if (phase != DRILL_HASHED || strcmp(system, "hist3") != 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/global/pg_control", dir);
	cr_assert(truncate(path, 10) == 0);
}

static void with_broken_service(struct drill_opts *o)
{
	o->on_phase = break_control_file;
}

Test(drill, a_service_that_does_not_start_is_a_finding_with_its_own_words)
{
	struct report *r = run(drill_fixture_plan("30m"), with_broken_service);
	expect_fail(r);
	cr_expect(has_finding(r, "service did not start"));
	cr_expect(has_finding(r, "pg_control"));
	cr_expect(eq(i64, r->systems[0]->timings.t_started, REPORT_NONE));
	cr_expect(eq(int, check_of(r, "hist3", "samples")->status, REPORT_STATUS_SKIPPED));
	cr_expect(eq(int, check_of(r, "batch3", "records")->status, REPORT_STATUS_PASS));
	report_free(r);
}

static void with_host_network(struct drill_opts *o)
{
	o->share_network = true;
}

Test(drill, a_sandbox_that_can_reach_the_canary_fails_and_starts_nothing)
{
	struct report *r = run(drill_fixture_plan("30m"), with_host_network);
	expect_fail(r);
	cr_expect(has_finding(r, "the canary outside the sandbox was reached"));
	cr_expect(has_finding(r, "the sandbox reached canary"));
	cr_expect(ge(i64, r->environment.canary.connections_seen, 1));
	cr_expect(eq(int, r->systems[0]->steps[0]->status, REPORT_STATUS_SKIPPED));
	report_free(r);
}

/* ---- the disruption was declared before the drill ---- */

#define HOUR INT64_C(3600000000000)

static struct drill_points_near *near_of(const struct drill_opts *o)
{
	return o->points->self;
}

/* The fixture's snapshots as if taken and received at other times. */
static struct snapshot_list then;

static void move_snapshot(struct snapshot *s, int64_t to_ns)
{
	s->record.t_start_ns = s->record.t_end_ns = s->body.receipt_ns = to_ns;
}

/* Every snapshot ${ago_ns} before now, and the second one of plc3 ${second_ns} from now. */
static void move_all(struct drill_opts *o, int64_t ago_ns, int64_t second_ns)
{
	const int64_t now = env_now_ns();
	then.at = calloc(near_of(o)->snapshots->count, sizeof(*then.at));
	cr_assert(then.at != NULL);
	for (then.count = 0; then.count < near_of(o)->snapshots->count; then.count++) {
		struct snapshot *s = &then.at[then.count];
		*s = near_of(o)->snapshots->at[then.count];
		const bool is_second = strcmp(s->label.source, "plc3") == 0 && s->record.seq == 2;
		move_snapshot(s, is_second ? now + second_ns : now - ago_ns);
	}
	near_of(o)->snapshots = &then;
}

static void declared_an_hour_ago(struct drill_opts *o)
{
	move_all(o, HOUR + HOUR / 4, -HOUR / 2);
	o->declared_ns = env_now_ns() - HOUR;
}

/* Received before, but of now by their own times. */
static void received_before(struct drill_opts *o)
{
	const struct snapshot_list *real = near_of(o)->snapshots;
	declared_an_hour_ago(o);
	for (size_t i = 0; i < then.count; i++)
		then.at[i].record = real->at[i].record;
}

Test(drill, a_recovery_time_that_is_over_is_missed)
{
	struct report *r = run(drill_fixture_plan("30m"), received_before);
	expect_fail(r);
	cr_expect(eq(int, r->systems[0]->result.rto_met, REPORT_MISSED));
	cr_expect(ge(i64, r->systems[0]->result.rta_total_ms, 3600000));
	cr_expect(has_finding(r, "the objective (RTO) is"));
	free(then.at);
	report_free(r);
}

static const char *plan_of_projects(const char *target)
{
	static char plan[4096];
	(void)snprintf(plan, sizeof(plan),
		"plan = { id = \"p\"; version = 1; title = \"t\"; systems = (\n"
		"{ id = \"plc3\"; type = \"plc_project\"; tier = 2; mtpd = \"12h\"; rto = \"4h\";\n"
		"  rpo = \"7d\"; source = \"source:plc3\";\n"
		"  steps = ( { name = \"restore\"; do = \"restore\"; } );\n"
		"  checks = (\n"
		"  { id = \"files\"; type = \"hash_manifest\"; mandatory = true; expect = \"all\"; "
		"} ); } );\n"
		"sandbox = { must_not_reach = ( { host = \"%s\"; port = 502; } ); };\n"
		"cleanup = { on_success = \"erase\"; on_fail = \"erase\"; }; };\n",
		target);
	return plan;
}

Test(drill, the_newest_snapshot_that_existed_at_the_disruption_is_chosen)
{
	struct report *r = run(plan_of_projects("192.0.2.10"), declared_an_hour_ago);
	cr_expect(eq(int, r->verdict.overall, REPORT_PASS), "%s", r->verdict.summary);
	cr_expect(eq(i64, r->systems[0]->recovery_point.seq, 1));
	cr_expect(ge(i64, r->systems[0]->result.rpa_ms, 900000 - 60000));
	cr_expect(le(i64, r->systems[0]->result.rpa_ms, 900000 + 60000));
	free(then.at);
	report_free(r);
}

static void declared_before_all(struct drill_opts *o)
{
	move_all(o, HOUR / 4, -HOUR / 8);
	o->declared_ns = env_now_ns() - HOUR;
}

Test(drill, a_disruption_before_the_first_snapshot_leaves_nothing_to_restore)
{
	struct report *r = run(plan_of_projects("192.0.2.10"), declared_before_all);
	expect_fail(r);
	cr_expect(has_finding(r, "no recovery point of source 'plc3' can be used: the vault held "
				 "none yet when the disruption was declared"));
	cr_expect(r->systems[0]->recovery_point.snapshot_id == NULL);
	cr_expect(eq(i64, r->systems[0]->result.rpa_ms, REPORT_NONE));
	cr_expect(eq(int, r->systems[0]->steps[0]->status, REPORT_STATUS_SKIPPED));
	free(then.at);
	report_free(r);
}

static void with_store_ahead(struct drill_opts *o)
{
	move_all(o, HOUR / 4, HOUR);
	o->declared_ns = env_now_ns() - HOUR / 8;
}

Test(drill, a_snapshot_received_in_the_future_is_not_taken_for_an_earlier_disruption)
{
	struct report *r = run(plan_of_projects("192.0.2.10"), with_store_ahead);
	cr_expect(eq(int, r->verdict.overall, REPORT_PASS_WITH_FINDINGS));
	cr_expect(eq(i64, r->systems[0]->recovery_point.seq, 1));
	cr_expect(has_finding(r, "in the future of this host"));
	free(then.at);
	report_free(r);
}

static void with_store_ahead_now(struct drill_opts *o)
{
	move_all(o, HOUR / 4, HOUR);
}

Test(drill, without_a_declared_time_every_snapshot_listed_was_there)
{
	struct report *r = run(plan_of_projects("192.0.2.10"), with_store_ahead_now);
	/* its own times are in the future too: its age is not known, and none is shown */
	cr_expect(eq(int, r->verdict.overall, REPORT_NOT_DEMONSTRATED));
	cr_expect(eq(i64, r->systems[0]->recovery_point.seq, 2));
	cr_expect(eq(i64, r->systems[0]->result.rpa_ms, REPORT_NONE));
	cr_expect(has_finding(r, "in the future of this host"));
	free(then.at);
	report_free(r);
}

static void with_partial_points(struct drill_opts *o)
{
	move_all(o, HOUR, -HOUR);
	for (size_t i = 0; i < then.count; i++)
		then.at[i].record.flags |= SNAPREC_PARTIAL;
}

Test(drill, a_partial_recovery_point_is_a_finding)
{
	struct report *r = run(plan_of_projects("192.0.2.10"), with_partial_points);
	cr_expect(has_finding(r, "the recovery point is partial"));
	free(then.at);
	report_free(r);
	r = run(plan_of_projects("192.0.2.10"), NULL);
	cr_expect(not(has_finding(r, "the recovery point is partial")));
	report_free(r);
}

#define EXERCISE "0b0e3e52-6a3f-4a6e-9d3b-6f1c2d3e4f50"

static void ordered_from_elsewhere(struct drill_opts *o)
{
	static const struct report_agent agent = { .name = "sandbox1",
		.agent_id = "00112233445566778899aabbccddeeff",
		.keyid = "1111111111111111111111111111111111111111111111111111111111111111" };
	static const struct report_controller controller = { .name = "plant3",
		.keyid = "2222222222222222222222222222222222222222222222222222222222222222" };
	char path[PATH_MAX];
	o->exercise = EXERCISE;
	o->since_declared_ms = 5; /* the fixture was made long before */
	o->ordered_by = "schedule weekly";
	o->approved_by = "shift lead";
	o->agent = &agent;
	o->controller = &controller;
	/* what a try at the same exercise left that was killed */
	(void)snprintf(path, sizeof(path), "%s/" EXERCISE, o->reports);
	cr_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
	(void)snprintf(path, sizeof(path), "%s/holdfast-drill-" EXERCISE, o->work);
	cr_assert(eq(int, mkdir(path, 0700), 0));
}

Test(drill, an_exercise_ordered_from_elsewhere_bears_its_id_its_parties_and_its_t0)
{
	struct report *r = run(drill_fixture_plan("30m"), ordered_from_elsewhere);
	cr_expect(eq(int, r->verdict.overall, REPORT_PASS), "%s", r->verdict.summary);
	cr_expect(eq(str, (char *)r->exercise.exercise_id, EXERCISE));
	const int64_t since_t0_ms = r->exercise.started - r->exercise.t_declared;
	cr_expect(ge(i64, since_t0_ms, 5));
	cr_expect(lt(i64, since_t0_ms, 60000), "a busy machine takes some more");
	cr_expect(eq(str, (char *)r->exercise.ordered_by, "schedule weekly"));
	cr_expect(eq(str, (char *)r->exercise.approved_by, "shift lead"));
	cr_expect(eq(str, (char *)r->environment.agent.name, "sandbox1"));
	cr_expect(eq(str, (char *)r->environment.controller.name, "plant3"));
	cr_expect(eq(int, strncmp(r->evidence[0]->ref, EXERCISE "/", 37), 0));
	cr_expect(eq(int, drill_fixture_left(), 0));
	report_free(r);
}

static void with_a_path_for_an_id(struct drill_opts *o)
{
	o->exercise = "../../../../../../../../../../../etc";
}

Test(drill, an_exercise_id_that_is_no_uuid_is_refused)
{
	struct report *r = NULL;
	struct err err = ERR_INIT;
	cr_expect(eq(int,
		drill_fixture_run(drill_fixture_plan("30m"), with_a_path_for_an_id, &r, &err),
		-ERR_USAGE));
	cr_expect(eq(int, drill_fixture_left(), 0));
	report_free(r);
}

static const char *plan_of_nothing(const char *on_fail)
{
	static char plan[4096];
	(void)snprintf(plan, sizeof(plan),
		"plan = { id = \"p\"; version = 1; title = \"t\"; systems = (\n"
		"{ id = \"hist3\"; type = \"historian\"; tier = 1; mtpd = \"12h\"; rto = \"30m\";\n"
		"  rpo = \"1h\"; source = \"source:hist3\";\n"
		"  steps = ( { name = \"restore\"; do = \"restore\"; },\n"
		"            { name = \"start\"; do = \"start\"; } );\n"
		"  checks = ( { id = \"none\"; type = \"row_count\"; mandatory = true;\n"
		"    object = \"no_such_*\"; expect = \"==manifest\"; } ); } );\n"
		"cleanup = { on_success = \"erase\"; on_fail = \"%s\"; }; };\n",
		on_fail);
	return plan;
}

Test(drill, a_check_that_examined_nothing_is_not_demonstrated)
{
	struct report *r = run(plan_of_nothing("erase"), NULL);
	cr_expect(eq(int, check_of(r, "hist3", "none")->status, REPORT_STATUS_NOT_DEMONSTRATED));
	cr_expect(eq(int, r->verdict.overall, REPORT_NOT_DEMONSTRATED));
	cr_expect(eq(int, report_judge_exit_status(r), EXIT_STATUS_OBJECTIVE));
	cr_expect(eq(int, drill_fixture_left(), 0));
	report_free(r);
}

Test(drill, what_a_plan_keeps_after_a_failure_is_named_and_nothing_runs)
{
	struct report *r = run(plan_of_nothing("keep"), NULL);
	cr_expect(eq(int, drill_fixture_left(), 1));
	cr_expect(has_finding(r, "kept for inspection in '"));
	cr_expect(eq(int, r->cleanup.rule, REPORT_KEEP));
	cr_expect(eq(int, r->cleanup.is_completed, 1));
	cr_expect(eq(i64, r->cleanup.processes_left, 0));
	drill_fixture_clear();
	cr_expect(eq(int, drill_fixture_left(), 0));
	report_free(r);
}

Test(drill, a_source_without_a_snapshot_is_a_finding)
{
	static char plan[8192];
	char *at;
	(void)snprintf(plan, sizeof(plan), "%s", drill_fixture_plan("30m"));
	at = strstr(plan, "source:plc3");
	cr_assert(at != NULL);
	at[strlen("source:")] = 'x';
	struct report *r = run(plan, NULL);
	expect_fail(r);
	cr_expect(has_finding(r, "no recovery point of source 'xlc3' can be used"));
	cr_expect(eq(int, check_of(r, "hist3", "samples")->status, REPORT_STATUS_PASS));
	report_free(r);
}

/* Two historians restored side by side: the second has a table of its own to check first. */
static const char *plan_of_two(void)
{
	static char plan[8192];
	size_t len = 0;
	len += (size_t)snprintf(plan, sizeof(plan),
		"plan = { id = \"p\"; version = 1; title = \"t\"; systems = (\n");
	for (int i = 0; i < 2; i++)
		len += (size_t)snprintf(plan + len, sizeof(plan) - len,
			"%s{ id = \"%s\"; type = \"historian\"; tier = 1; mtpd = \"12h\";\n"
			"  rto = \"30m\"; rpo = \"1h\"; source = \"source:hist3\";\n"
			"  steps = ( { name = \"restore\"; do = \"restore\"; },\n"
			"            { name = \"start\"; do = \"start\"; } );\n"
			"  checks = ( { id = \"samples\"; type = \"row_count\"; mandatory = true;\n"
			"    object = \"sqlt_data_*\"; expect = \"==manifest\"; } ); }",
			i == 0 ? "" : ",\n", i == 0 ? "hist3" : "hist4");
	(void)snprintf(plan + len, sizeof(plan) - len,
		" );\ncleanup = { on_success = \"erase\"; on_fail = \"erase\"; }; };\n");
	return plan;
}

Test(drill, two_databases_side_by_side_each_answer_for_themselves)
{
	struct report *r = run(plan_of_two(), NULL);
	cr_expect(eq(int, r->systems[0]->result.verdict, REPORT_PASS));
	cr_expect(eq(int, r->systems[1]->result.verdict, REPORT_PASS));
	cr_expect(eq(int, r->systems[0]->negative_control.verdict, REPORT_DETECTED));
	cr_expect(eq(int, r->systems[1]->negative_control.verdict, REPORT_DETECTED));
	report_free(r);
}

static void break_the_second(void *arg, enum drill_phase phase, const char *system, const char *dir)
{
	(void)arg;
	char path[PATH_MAX];
	if (phase != DRILL_HASHED || strcmp(system, "hist4") != 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/global/pg_control", dir);
	cr_assert(truncate(path, 10) == 0);
}

static void with_second_broken(struct drill_opts *o)
{
	o->on_phase = break_the_second;
}

Test(drill, a_database_that_does_not_start_is_not_answered_for_by_another)
{
	struct report *r = run(plan_of_two(), with_second_broken);
	expect_fail(r);
	cr_expect(eq(int, check_of(r, "hist3", "samples")->status, REPORT_STATUS_PASS));
	cr_expect(eq(int, check_of(r, "hist4", "samples")->status, REPORT_STATUS_SKIPPED));
	cr_expect(eq(i64, r->systems[1]->timings.t_started, REPORT_NONE));
	report_free(r);
}

/* ---- the negative control ---- */

/* A plan of one system with these checks alone. */
static const char *plan_of_checks(
	const char *system, const char *type, bool is_started, const char *checks)
{
	static char plan[4096];
	(void)snprintf(plan, sizeof(plan),
		"plan = { id = \"p\"; version = 1; title = \"t\"; systems = (\n"
		"{ id = \"%s\"; type = \"%s\"; tier = 1; mtpd = \"12h\"; rto = \"30m\";\n"
		"  rpo = \"1h\"; source = \"source:%s\";\n"
		"  steps = ( { name = \"restore\"; do = \"restore\"; }%s );\n"
		"  checks = ( %s ); } );\n"
		"cleanup = { on_success = \"erase\"; on_fail = \"erase\"; }; };\n",
		system, type, system, is_started ? ", { name = \"start\"; do = \"start\"; }" : "",
		checks);
	return plan;
}

#define ROW_COUNT(id, mandatory, object)                                                           \
	"{ id = \"" id "\"; type = \"row_count\"; mandatory = " mandatory "; object = \"" object   \
	"\"; expect = \"==manifest\"; }"
#define NEWEST                                                                                     \
	"{ id = \"newest\"; type = \"newest_record\"; mandatory = true;"                           \
	" object = \"sqlt_data_1*\"; expect = \"lag<=10m\"; }"

static bool has_seen(const struct report *r, const char *id)
{
	const struct report_texts *t = &r->systems[0]->negative_control.checks_failed;
	for (size_t i = 0; i < t->count; i++) {
		if (strcmp(t->items[i], id) == 0)
			return true;
	}
	return false;
}

static struct report *expect_seen(const char *plan, const char *damage)
{
	struct report *r = run(plan, NULL);
	const struct report_negative_control *n = &r->systems[0]->negative_control;
	cr_expect(eq(int, r->verdict.overall, REPORT_PASS), "%s", r->verdict.summary);
	cr_expect(eq(int, n->verdict, REPORT_DETECTED));
	cr_expect(n->damage != NULL && strstr(n->damage, damage) != NULL, "%s", n->damage);
	return r;
}

Test(drill, every_row_count_is_shown_a_row_of_its_own_tables_missing)
{
	struct report *r =
		expect_seen(plan_of_checks("hist3", "historian", true,
				    ROW_COUNT("samples", "true", "sqlt_data_1*") ", " ROW_COUNT(
					    "alarms", "true", "sqlt_data_alarms") ", " NEWEST),
			"is gone from");
	cr_expect(has_seen(r, "samples"));
	cr_expect(has_seen(r, "alarms"));
	report_free(r);
}

Test(drill, what_an_optional_check_reads_is_not_damaged)
{
	struct report *r =
		expect_seen(plan_of_checks("hist3", "historian", true,
				    ROW_COUNT("alarms", "false", "sqlt_data_alarms") ", " NEWEST),
			"in the header of the page");
	cr_expect(has_seen(r, "newest"));
	cr_expect(not(has_seen(r, "alarms")));
	report_free(r);
}

Test(drill, a_row_count_alone_sees_its_row_missing_every_time)
{
	for (int i = 0; i < 5; i++) {
		struct report *r = expect_seen(plan_of_checks("hist3", "historian", true,
						       ROW_COUNT("samples", "true", "sqlt_data_*")),
			"is gone from");
		cr_expect(has_finding(r, "") == false);
		report_free(r);
	}
}

Test(drill, checks_that_see_no_damage_make_the_drill_void)
{
	struct report *r = run(plan_of_checks("hist3", "historian", true,
				       "{ id = \"one\"; type = \"sql\"; mandatory = true;"
				       " query = \"SELECT 1\"; expect = \"==1\"; }"),
		NULL);
	expect_fail(r);
	cr_expect(eq(int, check_of(r, "hist3", "one")->status, REPORT_STATUS_PASS));
	cr_expect(eq(int, r->systems[0]->negative_control.verdict, REPORT_NOT_DETECTED));
	cr_expect(has_finding(r, "they prove nothing, the drill is void"));
	report_free(r);
}

/* Put the missing row back before the check looks: it is then as blind as can be. */
static void repair_row(void *arg, const char *text)
{
	(void)arg;
	unsigned row;
	char file[256], pattern[PATH_MAX + 512];
	unsigned long long page;
	const char *at = strstr(text, "so that row ");
	if (at == NULL || sscanf(at, "so that row %u of page %llu is gone from '%255[^']'", &row,
				  &page, file) != 3)
		return;
	glob_t found;
	(void)snprintf(pattern, sizeof(pattern), "%s/drills/holdfast-drill-*/data/hist3~control/%s",
		getenv("DRILL_FIXTURE_DIR"), file);
	cr_assert(eq(int, glob(pattern, 0, NULL, &found), 0));
	int fd = open(found.gl_pathv[0], O_RDWR | O_CLOEXEC);
	const off_t where = (off_t)(page * 8192 + 24 + (row - 1) * 4 + 1);
	unsigned char byte;
	cr_assert(fd >= 0 && pread(fd, &byte, 1, where) == 1);
	byte ^= 0x80;
	cr_assert(pwrite(fd, &byte, 1, where) == 1);
	(void)close(fd);
	globfree(&found);
}

static void with_repaired_row(struct drill_opts *o)
{
	o->on_tell = repair_row;
}

Test(drill, one_blind_check_among_others_that_see_makes_the_drill_void)
{
	struct report *r = run(drill_fixture_plan("30m"), with_repaired_row);
	expect_fail(r);
	cr_expect(has_seen(r, "files"));
	cr_expect(not(has_seen(r, "samples")));
	cr_expect(has_finding(r, "negative control: check samples passed a damaged copy"));
	report_free(r);
}

Test(drill, records_alone_are_shown_a_batch_missing_or_a_sampled_file_cut)
{
	static const char records[] =
		"{ id = \"records\"; type = \"open_record\"; mandatory = true;"
		" sample = 1000; expect = \"all\"; }";
	report_free(expect_seen(
		plan_of_checks("batch3", "batch_records", false, records), "removed 'srv/batch/"));
	report_free(expect_seen(
		plan_of_checks("plc3", "plc_project", false, records), "cut after its first byte"));
}

Test(drill, a_records_check_that_can_see_no_damage_is_named)
{
	static const char checks[] =
		"{ id = \"files\"; type = \"hash_manifest\"; mandatory = true; expect = \"all\"; },"
		"{ id = \"opened\"; type = \"open_record\"; mandatory = true;"
		" sample = 5; expect = \"all\"; }";
	struct report *r = run(plan_of_checks("hist3", "file_store", false, checks), NULL);
	cr_expect(has_seen(r, "files"));
	cr_expect(not(has_seen(r, "opened")));
	cr_expect(has_finding(r, "nothing that check opened samples can be damaged"));
	report_free(r);
}

/* ---- interrupted, wherever it is ---- */

static int stop_phase, is_asked;

static void ask_to_stop(void *arg, enum drill_phase phase, const char *system, const char *dir)
{
	(void)arg, (void)system, (void)dir;
	is_asked |= (int)phase == stop_phase;
}

/* The drill's own words tell where it is. */
static const char *stop_text;

static void ask_when_told(void *arg, const char *text)
{
	(void)arg;
	is_asked |= stop_text != NULL && strstr(text, stop_text) != NULL;
}

static bool is_stopped(void *arg)
{
	(void)arg;
	return is_asked != 0;
}

static void with_stop(struct drill_opts *o)
{
	o->on_phase = ask_to_stop;
	o->on_tell = ask_when_told;
	o->is_stopped = is_stopped;
}

static void expect_aborted(const char *where)
{
	is_asked = 0;
	struct report *r = run(drill_fixture_plan("30m"), with_stop);
	cr_expect(eq(int, is_asked, 1), "%s: was not reached", where);
	cr_expect(eq(int, r->verdict.overall, REPORT_ABORTED), "%s: %s", where, r->verdict.summary);
	cr_expect(eq(int, report_judge_exit_status(r), EXIT_STATUS_OBJECTIVE));
	cr_expect(eq(int, r->cleanup.is_completed, 1));
	cr_expect(eq(i64, r->cleanup.processes_left, 0));
	cr_expect(eq(int, r->cleanup.rule, REPORT_ERASE));
	cr_expect(eq(int, drill_fixture_left(), 0));
	report_free(r);
}

Test(drill, an_interruption_between_phases_aborts_and_cleans_up)
{
	static const enum drill_phase phases[] = { DRILL_RESTORED, DRILL_HASHED, DRILL_STARTED,
		DRILL_CHECKED };
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		char where[32];
		(void)snprintf(where, sizeof(where), "phase %d", (int)phases[i]);
		stop_phase = (int)phases[i];
		expect_aborted(where);
	}
}

Test(drill, an_interruption_anywhere_aborts_and_cleans_up)
{
	static const char *const texts[] = { " begins", "opened with the drill key",
		"the canary is alive", "from inside: unreachable",
		"hist3: restore:", "check files: passed", "hist3: start:", "check tags: passed",
		"hist3: recovered", "batch3: restore:", "plc3: recovered",
		"negative control: hist3", "hist3: check samples saw it", "negative control: plc3",
		"cleanup: left", "' is gone" };
	stop_phase = -1;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		stop_text = texts[i];
		expect_aborted(texts[i]);
	}
}
