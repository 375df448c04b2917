#include "cmd/drill_show.h"

#include <string.h>

#include "base/err.h"
#include "base/escape.h"
#include "cmd/cli.h"
#include "cmd/report_shelf.h"
#include "codec/jsonx.h"
#include "restore/report.h"
#include "restore/report_judge.h"
#include "restore/report_shape.h"
#include "restore/report_words.h"

#define DRILL_SHOW_ID_BYTES 256

static json_t *system_object(const struct report_system *s)
{
	const struct report_result *r = &s->result;
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "system", s->system_id, "verdict",
		report_shape_word(report_shape_verdicts, r->verdict), "rto_met",
		report_shape_word(report_shape_mets, r->rto_met), "rpo_met",
		report_shape_word(report_shape_mets, r->rpo_met), "rto_ms", (json_int_t)s->rto_ms,
		"rpo_ms", (json_int_t)s->rpo_ms);
	if (o != NULL && r->rta_total_ms != REPORT_NONE)
		(void)json_object_set_new(
			o, "rta_ms", json_integer(r->rta_total_ms)); /* absent: not measured */
	if (o != NULL && r->rpa_ms != REPORT_NONE)
		(void)json_object_set_new(o, "rpa_ms", json_integer(r->rpa_ms)); /* as above */
	return o;
}

static json_t *systems_array(const struct report *r)
{
	json_t *list = json_array();
	for (size_t i = 0; i < r->systems_count; i++)
		(void)json_array_append_new(
			list, system_object(r->systems[i])); /* fewer: no memory, pack tells */
	return list;
}

static json_t *findings_array(const struct report *r)
{
	json_t *list = json_array();
	for (size_t i = 0; i < r->findings_count; i++) {
		const struct report_finding *f = r->findings[i];
		(void)json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:s*}", "id", f->id, "grade",
				report_shape_word(report_shape_grades, f->grade), "description",
				f->description, "system", f->system)); /* as above */
	}
	return list;
}

json_t *drill_show_object(const struct report *r)
{
	char at[REPORT_WORDS_BYTES];
	return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:o, s:o}", "exercise_id",
		r->exercise.exercise_id, "plan_id", r->plan.id, "plan_version",
		(json_int_t)r->plan.version, "declared",
		report_words_time(at, r->exercise.t_declared), "verdict",
		report_shape_word(report_shape_verdicts, r->verdict.overall), "summary",
		r->verdict.summary, "systems", systems_array(r), "findings", findings_array(r));
}

/* An id in its column: any text may stand in a report that anybody signed. */
static void print_id(struct console *c, const char *id)
{
	char safe[DRILL_SHOW_ID_BYTES];
	(void)escape_str(safe, sizeof(safe), id); /* cut is fine */
	console_print(c, "%-16s", safe);
}

void drill_show_systems(struct console *c, const struct report *r)
{
	char took[REPORT_WORDS_BYTES], rto[REPORT_WORDS_BYTES], age[REPORT_WORDS_BYTES],
		rpo[REPORT_WORDS_BYTES];
	console_print(c, "%-16s %-22s %-12s %-10s %-18s %-12s %-10s %s\n", "SYSTEM", "VERDICT",
		"RECOVERY", "RTO", "RTO MET", "AGE OF DATA", "RPO", "RPO MET");
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		print_id(c, s->system_id);
		console_print(c, " %-22s %-12s %-10s %-18s %-12s %-10s %s\n",
			report_words_verdict(s->result.verdict),
			report_words_duration(took, s->result.rta_total_ms),
			report_words_duration(rto, s->rto_ms), report_words_met(s->result.rto_met),
			report_words_duration(age, s->result.rpa_ms),
			report_words_duration(rpo, s->rpo_ms), report_words_met(s->result.rpo_met));
	}
}

static void print_drill(
	struct console *c, const struct report *r, const struct report_shelf_paths *paths)
{
	console_print(c, "\n");
	drill_show_systems(c, r);
	console_print(c, "\n");
	for (size_t i = 0; i < r->findings_count; i++) {
		const struct report_finding *f = r->findings[i];
		const char *of = f->system == NULL ? "the drill" : f->system;
		console_print(c, "finding %s  %s, ", f->id, report_words_grade(f->grade));
		console_print_name(c, of, strlen(of));
		console_print(c, ": ");
		console_print_name(c, f->description, strlen(f->description));
		console_print(c, "\n");
	}
	console_print(c, "verdict  %s. ", report_words_verdict(r->verdict.overall));
	console_print_name(c, r->verdict.summary, strlen(r->verdict.summary));
	console_print(c, "\nreport   ");
	console_print_name(c, paths->json, strlen(paths->json));
	console_print(c, "\npage     ");
	console_print_name(c, paths->html, strlen(paths->html));
	console_print(c, "\nsigned   %s\n", paths->keyid);
	if (paths->controller_keyid[0] != '\0')
		console_print(c, "signed   %s (controller)\n", paths->controller_keyid);
}

static int tell_json(struct console *c, const struct report *r,
	const struct report_shelf_paths *paths, struct err *err)
{
	json_t *o = drill_show_object(r);
	if (o != NULL) {
		(void)json_object_set_new(o, "report",
			jsonx_name(paths->json, strlen(paths->json))); /* absent: seen */
		(void)json_object_set_new(
			o, "page", jsonx_name(paths->html, strlen(paths->html))); /* as above */
		(void)json_object_set_new(o, "keyid", json_string(paths->keyid)); /* as above */
	}
	if (o != NULL && paths->controller_keyid[0] != '\0')
		(void)json_object_set_new(
			o, "controller_keyid", json_string(paths->controller_keyid)); /* as above */
	return console_object(c, "drill-run", NULL, o) == 0
		       ? 0
		       : err_set(err, ERR_NOMEM, "out of memory");
}

int drill_show_tell(struct cli *cli, const struct report *r, const struct report_shelf_paths *paths,
	struct err *err)
{
	int rc = 0;
	if (cli->console.is_json)
		rc = tell_json(&cli->console, r, paths, err);
	else
		print_drill(&cli->console, r, paths);
	if (rc == 0 && r->exercise.abort_reason != NULL)
		rc = err_set(err, ERR_INTERRUPTED, "the drill was interrupted; %s",
			r->cleanup.is_completed ? "everything was cleaned up"
						: "not everything could be cleaned up: "
						  "the report names what is left");
	if (rc == 0)
		cli->status = report_judge_exit_status(r);
	return rc;
}
