#include "restore/report_judge.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "restore/report.h"
#include "tests/lib/report_fixture.h"

static struct report *r;
static struct report_system *hist;

static void setup(void)
{
	r = report_fixture_good();
	hist = r->systems[0];
}

static void teardown(void)
{
	report_free(r);
}

TestSuite(report_judge, .init = setup, .fini = teardown);

/* How often ${rule} was found, and that its finding has ${grade}. */
static size_t found(const char *rule, enum report_grade grade)
{
	size_t count = 0;
	for (size_t i = 0; i < r->findings_count; i++) {
		const struct report_finding *f = r->findings[i];
		if (f->rule == NULL || strcmp(f->rule, rule) != 0)
			continue;
		cr_expect(eq(int, (int)f->grade, (int)grade), "%s", rule);
		cr_expect(ne(ptr, (void *)f->description, NULL));
		count++;
	}
	return count;
}

/* Judge; the drill must come out as ${overall} because of ${rule} alone. */
static void expect_rule(enum report_verdict overall, const char *rule, enum report_grade grade)
{
	report_judge_run(r);
	cr_expect(eq(int, (int)r->verdict.overall, (int)overall), "%s", r->verdict.summary);
	cr_expect(eq(sz, found(rule, grade), (size_t)1), "%s", rule);
	cr_expect(eq(sz, r->findings_count, (size_t)1), "%s", rule);
	bool is_pass = overall == REPORT_PASS || overall == REPORT_PASS_WITH_FINDINGS;
	cr_expect(eq(int, report_judge_exit_status(r), is_pass ? 0 : EXIT_STATUS_OBJECTIVE));
}

Test(report_judge, a_drill_without_a_flaw_passes_with_status_0)
{
	report_judge_run(r);
	cr_expect(eq(int, (int)r->verdict.overall, REPORT_PASS));
	cr_expect(eq(sz, r->findings_count, (size_t)0));
	cr_expect(eq(int, report_judge_exit_status(r), 0));
	cr_expect(eq(int, (int)hist->result.verdict, REPORT_PASS));
	cr_expect(eq(i64, hist->result.rta_total_ms, 33150));
	cr_expect(eq(i64, hist->result.rta_technical_ms, 33110));
	cr_expect(eq(int, (int)hist->result.rto_met, REPORT_MET));
	cr_expect(eq(i64, hist->result.rpa_ms, 360000));
	cr_expect(eq(int, (int)hist->result.rpo_met, REPORT_MET));
	cr_expect(eq(int, (int)hist->recovery_point.rpa_basis, REPORT_RPA_CONTENT));
	cr_expect(eq(int, (int)hist->negative_control.verdict, REPORT_DETECTED));
	cr_expect(ne(ptr, strstr(r->verdict.summary, "3 of 3 systems"), NULL));
	cr_expect(ne(ptr, strstr(r->verdict.limits_of_this_evidence.items[0], "log: none"), NULL));
}

Test(report_judge, a_report_that_was_not_judged_has_status_4)
{
	cr_expect(eq(int, report_judge_exit_status(r), EXIT_STATUS_OBJECTIVE));
}

Test(report_judge, judging_again_changes_nothing)
{
	report_free(r);
	r = report_fixture_bad();
	report_judge_run(r);
	size_t findings = r->findings_count, limits = r->verdict.limits_of_this_evidence.count;
	const char *summary = r->verdict.summary;
	report_judge_run(r);
	cr_expect(eq(sz, r->findings_count, findings));
	cr_expect(eq(sz, r->verdict.limits_of_this_evidence.count, limits));
	cr_expect(eq(str, (char *)r->verdict.summary, (char *)summary));
	cr_expect(eq(str, (char *)r->findings[findings - 1]->id, "F8"));
}

Test(report_judge, conclusions_written_beforehand_count_for_nothing)
{
	hist->checks[0]->status = REPORT_STATUS_FAIL;
	hist->result = (struct report_result){ .rta_basis = REPORT_RTA_MEASURED,
		.rto_met = REPORT_MET,
		.rpo_met = REPORT_MET,
		.verdict = REPORT_PASS };
	r->verdict.overall = REPORT_PASS;
	expect_rule(REPORT_FAIL, "mandatory_check_failed", REPORT_MAJOR);
	cr_expect(eq(int, (int)hist->result.verdict, REPORT_FAIL));
	cr_expect(eq(int, (int)hist->result.rto_met, REPORT_MET_NOT_DEMONSTRATED));
	cr_expect(eq(i64, hist->result.rta_total_ms, REPORT_NONE));
}

Test(report_judge, a_mandatory_check_that_examined_nothing_is_never_a_pass)
{
	hist->checks[2]->items_examined = 0;
	expect_rule(REPORT_NOT_DEMONSTRATED, "mandatory_check_not_demonstrated", REPORT_MINOR);
	cr_expect(eq(int, (int)hist->checks[2]->status, REPORT_STATUS_NOT_DEMONSTRATED));
	cr_expect(eq(int, (int)hist->result.verdict, REPORT_NOT_DEMONSTRATED));
}

Test(report_judge, a_check_that_does_not_say_how_much_it_examined_examined_nothing)
{
	hist->checks[0]->items_examined = REPORT_NONE;
	expect_rule(REPORT_NOT_DEMONSTRATED, "mandatory_check_not_demonstrated", REPORT_MINOR);
}

Test(report_judge, a_skipped_mandatory_check_demonstrates_nothing)
{
	hist->checks[1]->status = REPORT_STATUS_SKIPPED;
	expect_rule(REPORT_NOT_DEMONSTRATED, "mandatory_check_not_demonstrated", REPORT_MINOR);
}

Test(report_judge, a_failed_optional_check_is_a_finding)
{
	r->systems[2]->checks[1]->status = REPORT_STATUS_FAIL;
	expect_rule(REPORT_PASS_WITH_FINDINGS, "check_failed", REPORT_MINOR);
	cr_expect(eq(int, (int)r->systems[2]->result.verdict, REPORT_PASS_WITH_FINDINGS));
	cr_expect(eq(int, (int)hist->result.verdict, REPORT_PASS));
}

Test(report_judge, an_optional_check_that_examined_nothing_is_an_observation)
{
	r->systems[2]->checks[1]->items_examined = 0;
	expect_rule(REPORT_PASS_WITH_FINDINGS, "check_not_demonstrated", REPORT_OBSERVATION);
}

Test(report_judge, a_system_without_mandatory_checks_is_not_demonstrated)
{
	r->systems[2]->checks[0]->is_mandatory = false;
	expect_rule(REPORT_NOT_DEMONSTRATED, "no_mandatory_check", REPORT_MINOR);
}

Test(report_judge, a_failed_step_fails_the_drill)
{
	hist->steps[1]->status = REPORT_STATUS_FAIL;
	expect_rule(REPORT_FAIL, "step_failed", REPORT_MAJOR);
}

Test(report_judge, a_step_that_was_not_run_is_not_demonstrated)
{
	hist->steps[1]->status = REPORT_STATUS_SKIPPED;
	expect_rule(REPORT_NOT_DEMONSTRATED, "step_not_run", REPORT_MINOR);
}

Test(report_judge, a_step_over_its_budget_is_an_observation_and_one_on_it_is_not)
{
	hist->steps[0]->budget_ms = hist->steps[0]->ended - hist->steps[0]->started;
	report_judge_run(r);
	cr_expect(eq(sz, r->findings_count, (size_t)0));
	hist->steps[0]->budget_ms -= 1;
	expect_rule(REPORT_PASS_WITH_FINDINGS, "step_over_budget", REPORT_OBSERVATION);
}

Test(report_judge, an_objective_met_to_the_millisecond_is_met_and_one_more_is_missed)
{
	hist->rto_ms = 33150;
	report_judge_run(r);
	cr_expect(eq(int, (int)r->verdict.overall, REPORT_PASS));
	hist->rto_ms = 33149;
	expect_rule(REPORT_FAIL, "rto_missed", REPORT_MAJOR);
	cr_expect(eq(int, (int)hist->result.rto_met, REPORT_MISSED));
	cr_expect(eq(int, (int)hist->result.verdict, REPORT_FAIL));
}

Test(report_judge, time_that_ran_out_without_recovery_is_a_missed_objective)
{
	hist->timings.t_verified = REPORT_NONE;
	hist->rto_ms = 60000;
	expect_rule(REPORT_FAIL, "rto_missed", REPORT_MAJOR);
	cr_expect(eq(i64, hist->result.rta_total_ms, REPORT_NONE));
}

Test(report_judge, no_recovery_within_the_drill_demonstrates_no_objective)
{
	hist->timings.t_verified = REPORT_NONE;
	expect_rule(REPORT_NOT_DEMONSTRATED, "rto_not_demonstrated", REPORT_MINOR);
	cr_expect(eq(int, (int)hist->result.rto_met, REPORT_MET_NOT_DEMONSTRATED));
}

Test(report_judge, an_extrapolated_time_is_never_met)
{
	hist->result.rta_basis = REPORT_RTA_EXTRAPOLATED;
	expect_rule(REPORT_NOT_DEMONSTRATED, "rto_not_demonstrated", REPORT_MINOR);
}

Test(report_judge, an_outage_beyond_what_the_plant_tolerates_is_said_apart)
{
	hist->mtpd_ms = 20000;
	expect_rule(REPORT_FAIL, "mtpd_passed", REPORT_MAJOR);
}

Test(report_judge, data_older_than_the_objective_fails_the_drill)
{
	hist->rpo_ms = 359999;
	expect_rule(REPORT_FAIL, "rpo_missed", REPORT_MAJOR);
	cr_expect(eq(int, (int)hist->result.rpo_met, REPORT_MISSED));
}

Test(report_judge, without_content_time_the_snapshot_time_counts_and_the_limits_say_so)
{
	hist->recovery_point.data_as_of = REPORT_NONE;
	report_judge_run(r);
	cr_expect(eq(int, (int)r->verdict.overall, REPORT_PASS));
	cr_expect(eq(int, (int)hist->recovery_point.rpa_basis, REPORT_RPA_SNAPSHOT_TIME));
	cr_expect(eq(i64, hist->result.rpa_ms, 300000));
	const struct report_texts *limits = &r->verdict.limits_of_this_evidence;
	cr_expect(ne(ptr, strstr(limits->items[limits->count - 1], "hist3: the age"), NULL));
}

Test(report_judge, a_recovery_point_without_any_time_demonstrates_no_objective)
{
	hist->recovery_point.data_as_of = REPORT_NONE;
	hist->recovery_point.snapshot_at = REPORT_NONE;
	expect_rule(REPORT_NOT_DEMONSTRATED, "rpo_not_demonstrated", REPORT_MINOR);
}

Test(report_judge, data_from_after_the_disruption_is_no_proof_of_anything)
{
	hist->recovery_point.data_as_of = REPORT_FIXTURE_T0 + 1;
	expect_rule(REPORT_NOT_DEMONSTRATED, "data_newer_than_drill", REPORT_MINOR);
	cr_expect(eq(i64, hist->result.rpa_ms, REPORT_NONE));
}

Test(report_judge, a_system_without_recovery_point_is_not_demonstrated)
{
	memset(&hist->recovery_point, 0, sizeof(hist->recovery_point));
	hist->recovery_point.snapshot_at = REPORT_NONE;
	hist->recovery_point.data_as_of = REPORT_NONE;
	expect_rule(REPORT_NOT_DEMONSTRATED, "no_recovery_point", REPORT_MINOR);
}

Test(report_judge, the_recovery_key_must_open_what_was_drilled)
{
	hist->recovery_point.recovery_envelope = REPORT_ENVELOPE_DIFFERS;
	expect_rule(REPORT_FAIL, "recovery_envelope_differs", REPORT_MAJOR);
	hist->recovery_point.recovery_envelope = REPORT_ENVELOPE_GONE;
	expect_rule(REPORT_FAIL, "recovery_envelope_absent", REPORT_MAJOR);
	hist->recovery_point.recovery_envelope = 0;
	expect_rule(REPORT_NOT_DEMONSTRATED, "recovery_envelope_not_checked", REPORT_MINOR);
}

Test(report_judge, checks_that_pass_a_damaged_copy_void_the_drill)
{
	hist->negative_control.checks_failed.count = 0;
	expect_rule(REPORT_FAIL, "negative_control_not_detected", REPORT_MAJOR);
	cr_expect(eq(int, (int)hist->negative_control.verdict, REPORT_NOT_DETECTED));
}

Test(report_judge, only_a_check_that_passed_without_damage_detects_it)
{
	hist->negative_control.checks_failed.count = 0;
	report_add_text(r, &hist->negative_control.checks_failed, "no such check");
	expect_rule(REPORT_FAIL, "negative_control_not_detected", REPORT_MAJOR);
}

static void drop_control(struct report_system *s)
{
	s->negative_control.damage = NULL;
	s->negative_control.checks_failed.count = 0;
}

/* What one system's checks see says nothing of the checks of another. */
Test(report_judge, a_recovered_system_without_negative_control_is_a_finding)
{
	drop_control(r->systems[1]);
	expect_rule(REPORT_PASS_WITH_FINDINGS, "negative_control_not_run", REPORT_MINOR);
	cr_expect(eq(str, (char *)r->findings[0]->system, "batch3"));
	cr_expect(eq(int, (int)r->systems[1]->result.verdict, REPORT_PASS_WITH_FINDINGS));
	cr_expect(eq(int, (int)hist->result.verdict, REPORT_PASS));
}

Test(report_judge, a_drill_without_negative_control_is_a_finding_of_each_system)
{
	for (size_t i = 0; i < r->systems_count; i++)
		drop_control(r->systems[i]);
	report_judge_run(r);
	cr_expect(eq(int, (int)r->verdict.overall, REPORT_PASS_WITH_FINDINGS));
	cr_expect(eq(sz, found("negative_control_not_run", REPORT_MINOR), (size_t)3));
	/* where nothing was recovered it is said of the drill */
	for (size_t i = 0; i < r->systems_count; i++)
		r->systems[i]->timings.t_verified = REPORT_NONE;
	report_judge_run(r);
	cr_expect(eq(sz, found("negative_control_not_run", REPORT_MINOR), (size_t)1));
}

/* A report that was signed before the rule is what it was. */
Test(report_judge, a_report_of_version_1_is_judged_by_its_own_rules)
{
	r->version = 1;
	drop_control(r->systems[1]);
	drop_control(r->systems[2]);
	report_judge_run(r);
	cr_expect(eq(int, (int)r->verdict.overall, REPORT_PASS));
	cr_expect(eq(sz, r->findings_count, (size_t)0));
	drop_control(hist);
	expect_rule(REPORT_PASS_WITH_FINDINGS, "negative_control_not_run", REPORT_MINOR);
	cr_expect(eq(ptr, (void *)(uintptr_t)r->findings[0]->system, NULL));
}

Test(report_judge, a_reached_target_fails_the_drill)
{
	r->environment.isolation_checks[1]->observed = REPORT_REACHED;
	expect_rule(REPORT_FAIL, "isolation_reached", REPORT_MAJOR);
}

Test(report_judge, a_target_that_was_not_tried_is_not_demonstrated)
{
	r->environment.isolation_checks[1]->observed = REPORT_NOT_PROBED;
	expect_rule(REPORT_NOT_DEMONSTRATED, "isolation_not_probed", REPORT_MINOR);
}

Test(report_judge, a_sandbox_that_nothing_was_tried_on_is_an_observation)
{
	r->environment.isolation_checks_count = 0;
	r->environment.canary.address = NULL;
	expect_rule(REPORT_PASS_WITH_FINDINGS, "isolation_not_shown", REPORT_OBSERVATION);
}

Test(report_judge, a_connection_to_the_canary_fails_the_drill)
{
	r->environment.canary.connections_seen = 1;
	expect_rule(REPORT_FAIL, "canary_reached", REPORT_MAJOR);
	r->environment.canary.connections_seen = REPORT_NONE;
	expect_rule(REPORT_NOT_DEMONSTRATED, "canary_not_counted", REPORT_MINOR);
}

Test(report_judge, anything_left_behind_fails_the_drill)
{
	report_add_text(r, &r->cleanup.residue, "/tmp/x");
	expect_rule(REPORT_FAIL, "residue", REPORT_MAJOR);
	r->cleanup.residue.count = 0;
	r->cleanup.processes_left = 1;
	expect_rule(REPORT_FAIL, "residue", REPORT_MAJOR);
	r->cleanup.processes_left = 0;
	r->cleanup.mounts_left = 1;
	expect_rule(REPORT_FAIL, "residue", REPORT_MAJOR);
	r->cleanup.mounts_left = 0;
	r->cleanup.namespaces_left = 1;
	expect_rule(REPORT_FAIL, "residue", REPORT_MAJOR);
}

Test(report_judge, a_cleanup_that_did_not_complete_fails_the_drill)
{
	r->cleanup.is_completed = false;
	expect_rule(REPORT_FAIL, "cleanup_not_completed", REPORT_MAJOR);
}

Test(report_judge, a_cleanup_that_was_not_looked_at_is_not_demonstrated)
{
	r->cleanup.mounts_left = REPORT_NONE;
	expect_rule(REPORT_NOT_DEMONSTRATED, "cleanup_not_shown", REPORT_MINOR);
	r->cleanup.rule = 0;
	expect_rule(REPORT_NOT_DEMONSTRATED, "cleanup_not_shown", REPORT_MINOR);
}

Test(report_judge, a_drill_without_systems_demonstrates_nothing)
{
	r->systems_count = 0;
	report_judge_run(r);
	cr_expect(eq(int, (int)r->verdict.overall, REPORT_NOT_DEMONSTRATED));
	cr_expect(eq(sz, found("no_system", REPORT_MINOR), (size_t)1));
}

Test(report_judge, an_aborted_drill_is_aborted_unless_it_failed_before)
{
	r->exercise.abort_reason = report_text(r, "the operator stopped it");
	hist->timings.t_verified = REPORT_NONE;
	report_judge_run(r);
	cr_expect(eq(int, (int)r->verdict.overall, REPORT_ABORTED));
	cr_expect(eq(int, report_judge_exit_status(r), EXIT_STATUS_OBJECTIVE));
	cr_expect(ne(ptr, strstr(r->verdict.summary, "the operator stopped it"), NULL));
	r->environment.canary.connections_seen = 3;
	report_judge_run(r);
	cr_expect(eq(int, (int)r->verdict.overall, REPORT_FAIL));
}

Test(report_judge, findings_of_the_runner_are_kept_first_and_weigh_by_their_grade)
{
	hist->rto_ms = 1;
	report_judge_run(r);
	struct report_finding *f = report_add_finding(r);
	f->grade = REPORT_OBSERVATION;
	f->description = report_text(r, "the disk was nearly full");
	report_judge_run(r);
	cr_assert(eq(sz, r->findings_count, (size_t)2));
	cr_expect(eq(ptr, r->findings[0], f));
	cr_expect(eq(str, (char *)f->id, "F1"));
	hist->rto_ms = 100000;
	report_judge_run(r);
	cr_expect(eq(int, (int)r->verdict.overall, REPORT_PASS_WITH_FINDINGS));
	f->grade = REPORT_MAJOR;
	report_judge_run(r);
	cr_expect(eq(int, (int)r->verdict.overall, REPORT_FAIL));
	cr_expect(eq(sz, r->findings_count, (size_t)1));
}

Test(report_judge, the_summary_names_the_systems_nearest_to_their_objectives)
{
	r->systems[2]->rto_ms = 54151;
	report_judge_run(r);
	cr_expect(ne(ptr, strstr(r->verdict.summary, "recovery time: plc3, 54.1 s of "), NULL),
		"%s", r->verdict.summary);
}
