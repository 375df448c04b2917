#include "cmd/drill_show.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cmd/cli.h"
#include "cmd/report_shelf.h"
#include "restore/report.h"
#include "restore/report_judge.h"
#include "tests/lib/report_fixture.h"

static struct cli cli;
static struct report *report;
static char *told;
static size_t told_len;

static const struct report_shelf_paths paths = {
	.json = "/r/\xff.json", .html = "/r/e.html", .keyid = "aa"
};

static void setup(void)
{
	memset(&cli, 0, sizeof(cli));
	console_init(&cli.console);
	cli.console.is_json = true;
	cli.console.json = open_memstream(&told, &told_len);
	cr_assert(cli.console.json != NULL);
}

static void teardown(void)
{
	report_free(report);
	free(told);
}

TestSuite(drill_show, .init = setup, .fini = teardown);

/* The judged ${r} as drill_show_tell() tells it to programs; a new reference. */
static json_t *tell(struct report *r, int want)
{
	struct err err = ERR_INIT;
	report = r;
	report_judge_run(r);
	cr_assert(eq(int, drill_show_tell(&cli, r, &paths, &err), want), "%s", err.msg);
	cr_assert(eq(int, fclose(cli.console.json), 0));
	json_t *o = json_loads(told, 0, NULL);
	cr_assert(o != NULL, "%s", told);
	return o;
}

static const char *text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));
	return t == NULL ? "(absent)" : t;
}

Test(drill_show, a_drill_that_passed_has_every_system_and_status_0)
{
	json_t *o = tell(report_fixture_good(), 0);
	json_t *systems = json_object_get(o, "systems");
	cr_expect(eq(str, (char *)text(o, "verdict"), "pass"));
	cr_expect(eq(int, cli.status, EXIT_STATUS_OK));
	cr_assert(eq(sz, json_array_size(systems), report->systems_count));
	for (size_t i = 0; i < report->systems_count; i++) {
		const json_t *s = json_array_get(systems, i);
		cr_expect(eq(str, (char *)text(s, "system"),
			(char *)(uintptr_t)report->systems[i]->system_id));
		cr_expect(eq(i64, json_integer_value(json_object_get(s, "rta_ms")),
			report->systems[i]->result.rta_total_ms));
	}
	cr_expect(eq(sz, json_array_size(json_object_get(o, "findings")), 0));
	/* a path is any bytes; a second signature that is not there is not told */
	cr_expect(ne(ptr, json_object_get(json_object_get(o, "report"), "base64"), NULL));
	cr_expect(eq(ptr, json_object_get(o, "controller_keyid"), NULL));
	json_decref(o);
}

Test(drill_show, what_was_missed_is_in_the_findings_and_the_status)
{
	json_t *o = tell(report_fixture_bad(), 0), *f;
	size_t i;
	cr_expect(ne(str, (char *)text(o, "verdict"), "pass"));
	cr_expect(eq(int, cli.status, report_judge_exit_status(report)));
	cr_expect(ne(int, cli.status, EXIT_STATUS_OK));
	cr_assert(eq(sz, json_array_size(json_object_get(o, "findings")), report->findings_count));
	cr_assert(ge(sz, report->findings_count, 1));
	json_array_foreach(json_object_get(o, "findings"), i, f)
	{
		cr_expect(ne(str, (char *)text(f, "description"), "(absent)"));
		/* a finding about the drill itself names no system */
		cr_expect(eq(int, json_object_get(f, "system") != NULL,
			report->findings[i]->system != NULL));
	}
	json_decref(o);
}

Test(drill_show, what_was_not_measured_is_absent)
{
	struct report *r = report_fixture_good();
	report_judge_run(r);
	r->systems[0]->result.rta_total_ms = REPORT_NONE;
	r->systems[0]->result.rpa_ms = REPORT_NONE;
	report = r;
	json_t *o = drill_show_object(r);
	const json_t *s = json_array_get(json_object_get(o, "systems"), 0);
	cr_expect(eq(ptr, json_object_get(s, "rta_ms"), NULL));
	cr_expect(eq(ptr, json_object_get(s, "rpa_ms"), NULL));
	cr_expect(ne(ptr, json_object_get(s, "rto_ms"), NULL));
	json_decref(o);
	(void)fclose(cli.console.json);
}

/* What ${r} looks like to people; owned. */
static char *show(struct report *r)
{
	char *shown = NULL;
	size_t len = 0;
	FILE *terminal = stdout;
	struct err err = ERR_INIT;
	(void)fclose(cli.console.json);
	cli.console.is_json = false;
	stdout = open_memstream(&shown, &len);
	cr_assert(stdout != NULL);
	report = r;
	report_judge_run(r);
	const int rc = drill_show_tell(&cli, r, &paths, &err);
	(void)fclose(stdout);
	stdout = terminal;
	cr_expect(eq(int, rc, 0));
	return shown;
}

Test(drill_show, no_terminal_escape_of_a_report_reaches_the_terminal)
{
	struct report *r = report_fixture_bad();
	r->systems[0]->system_id = "hist\x1b]0;owned\x07";
	char *shown = show(r);
	cr_expect(eq(ptr, strchr(shown, '\x1b'), NULL));
	cr_expect(eq(ptr, strchr(shown, '\x07'), NULL));
	/* in the table, and where a finding names its system */
	const char *first = strstr(shown, "hist\\x1b]0;owned\\x07 ");
	cr_assert(first != NULL, "%s", shown);
	cr_expect(ne(ptr, strstr(first + 1, "hist\\x1b]0;owned\\x07: "), NULL), "%s", shown);
	free(shown);
}
