#include "plans/plan.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "conf/conf_problems.h"

#define LINE3 "plans/examples/line3.plan"
#define MINUTE_NS INT64_C(60000000000)

static struct conf_problems problems;
static struct plan *plan;
static struct err err;
static struct buf text = BUF_INIT(1 << 20);

static void setup(void)
{
	problems = (struct conf_problems)CONF_PROBLEMS_INIT;
	plan = NULL;
	err_clear(&err);
}

static void teardown(void)
{
	plan_free(plan);
	conf_problems_done(&problems);
	buf_done(&text);
}

TestSuite(plan, .init = setup, .fini = teardown);

static int parse(const char *s)
{
	return plan_parse("a.plan", s, strlen(s), &plan, &problems, &err);
}

static const char *told(void)
{
	buf_clear(&text);
	cr_assert(eq(int, conf_problems_format(&problems, &text, NULL), 0));
	return buf_cstr(&text);
}

Test(plan, the_examples_are_sound_and_raise_no_doubt)
{
	static const char *const files[] = { LINE3, "plans/examples/fileshare.plan" };
	for (size_t i = 0; i < 2; i++) {
		cr_expect(eq(int, plan_load(files[i], &plan, &problems, &err), 0), "%s", err.msg);
		cr_expect(eq(str, (char *)told(), ""));
		plan_free(plan);
		plan = NULL;
	}
}

Test(plan, line3_reads_as_it_was_written)
{
	cr_assert(eq(int, plan_load(LINE3, &plan, &problems, &err), 0), "%s", err.msg);
	cr_expect(eq(str, plan->file, LINE3));
	cr_expect(eq(str, plan->id, "bcp-line3"));
	cr_expect(eq(i64, plan->version, 1));
	cr_expect(eq(int, (int)plan->on_success, PLAN_CLEANUP_ERASE));
	cr_expect(eq(int, (int)plan->on_fail, PLAN_CLEANUP_KEEP));
	cr_assert(eq(sz, plan->system_count, 3));

	const struct plan_system *hist = &plan->systems[0];
	cr_expect(eq(str, hist->id, "hist3"));
	cr_expect(eq(int, (int)hist->type, PLAN_SYSTEM_HISTORIAN));
	cr_expect(eq(int, hist->tier, 1));
	cr_expect(eq(i64, hist->mtpd_ns, 720 * MINUTE_NS));
	cr_expect(eq(i64, hist->rto_ns, 30 * MINUTE_NS));
	cr_expect(eq(i64, hist->rpo_ns, 60 * MINUTE_NS));
	cr_expect(eq(str, hist->source, "hist3"));
	cr_expect(eq(int, hist->line, 9));
	cr_assert(eq(sz, hist->step_count, 2));
	cr_expect(eq(int, (int)hist->steps[1].action, PLAN_ACTION_START));
	cr_expect(eq(i64, hist->steps[1].budget_ns, 2 * MINUTE_NS));
	cr_assert(eq(sz, hist->check_count, 5));
	cr_expect(eq(str, hist->checks[1].object, "sqlt_data_*"));
	cr_expect(eq(int, (int)hist->checks[1].expect.kind, PLAN_EXPECT_VALUE));
	cr_expect(hist->checks[1].expect.is_manifest);
	cr_expect(eq(i64, hist->checks[2].expect.lag_ns, 10 * MINUTE_NS));
	cr_expect(eq(str, hist->checks[3].query, "SELECT count(*) FROM sqlth_te"));
	cr_expect(not(hist->checks[4].is_mandatory));

	const struct plan_system *batch = &plan->systems[1];
	cr_assert(eq(sz, batch->after_count, 1));
	cr_expect(eq(str, batch->after[0].id, "hist3"));
	cr_expect(eq(sz, batch->after[0].index, 0));
	cr_expect(eq(int, batch->checks[1].sample, 25));
	cr_assert(eq(sz, plan->must_not_reach_count, 1));
	cr_expect(eq(str, plan->must_not_reach[0].host, "192.0.2.10"));
	cr_expect(eq(int, plan->must_not_reach[0].port, 502));
}

Test(plan, the_digest_is_that_of_the_files_bytes)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(1 << 20);
	uint8_t wanted[HASH_BYTES];
	cr_assert(eq(int, fdio_read_file(AT_FDCWD, LINE3, &bytes, &err), 0));
	hash_sha256(bytes.data, bytes.len, wanted);
	cr_assert(eq(int, plan_load(LINE3, &plan, &problems, &err), 0));
	cr_expect(eq(int, memcmp(plan->sha256, wanted, HASH_BYTES), 0));
}

Test(plan, every_error_of_a_file_is_told_at_once_with_its_line)
{
	int rc =
		parse("plan = {\n"
		      "  id = \"p\"; version = 0; titel = \"T\";\n"
		      "  systems = (\n"
		      "    { id = \"a\"; type = \"historain\"; tier = 1; mtpd = \"1h\";\n"
		      "      rto = \"2h\"; rpo = 5; source = \"job:a\";\n"
		      "      after = [ \"zz\" ];\n"
		      "      steps = ( { name = \"go\"; do = \"start\"; budget = \"1m\"; } );\n"
		      "      checks = (\n"
		      "        { id = \"c\"; type = \"sql\"; expect = \"many\"; mandatory = true;\n"
		      "          query = \"DROP TABLE t\"; },\n"
		      "        { id = \"c\"; type = \"xml\"; } );\n"
		      "    } );\n"
		      "};\n"
		      "owner = \"me\";\n");
	cr_expect(eq(int, rc, -ERR_CONFIG));
	cr_expect(eq(ptr, plan, NULL));
	cr_expect(eq(str, (char *)told(),
		"a.plan:1: error: 'title' is missing in 'plan': expected a text in quotes of 1 to "
		"200 bytes\n"
		"a.plan:1: warning: sandbox.must_not_reach is empty, so a drill cannot show its "
		"isolation\n"
		"a.plan:2: error: unknown key 'titel' in 'plan'; did you mean 'title'?\n"
		"a.plan:2: error: unable to use 'plan.version': found 0, expected a whole number "
		"from 1 to "
		"1000000000\n"
		"a.plan:4: error: unable to use 'plan.systems[0].type': unknown word "
		"\"historain\"; did you mean \"historian\"?\n"
		"a.plan:5: error: unable to use 'plan.systems[0].rpo': found 5, expected a "
		"duration such "
		"as \"90s\", \"10m\" or \"4h\", from 1.0 s to 3660 d; how much of the newest "
		"data may be lost\n"
		"a.plan:5: error: unable to use source \"job:a\": expected \"source:\" and the "
		"name its snapshots carry\n"
		"a.plan:5: error: rto of 'a' is 2 h 00 min, longer than its mtpd of 1 h 00 min\n"
		"a.plan:6: error: system 'a' comes after 'zz', which is not a system of this "
		"plan\n"
		"a.plan:7: error: the first step of 'a' does \"start\", and must do \"restore\"\n"
		"a.plan:9: error: unable to use expect \"many\": expected \"all\", an operator and "
		"a value such as \">=4200\" or \"==manifest\", or \"lag<=10m\"\n"
		"a.plan:10: error: unable to use query \"DROP TABLE t\": expected a single SELECT "
		"without "
		"';'\n"
		"a.plan:11: error: 'expect' is missing in 'plan.systems[0].checks[1]': expected a "
		"text in quotes of 1 to 64 bytes; what the check must find, such as \"all\", "
		"\">=4200\" or \"lag<=10m\"\n"
		"a.plan:11: error: check id 'c' of system 'a' is taken by the check in line 9\n"
		"a.plan:14: error: unknown key 'owner'\n"));
	cr_expect(eq(int, err.code, ERR_CONFIG));
	cr_expect(eq(int, err_exit_status(err.code), EXIT_STATUS_USAGE));
}

Test(plan, keys_of_a_richer_language_are_refused_not_passed_over)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(1 << 20);
	cr_assert(eq(int, fdio_read_file(AT_FDCWD, LINE3, &bytes, &err), 0));
	const char *extra = "drills = ();";
	char *at = strstr(buf_cstr(&bytes), "  sandbox");
	cr_assert(ne(ptr, at, NULL));
	CLEANUP(buf_done) struct buf more = BUF_INIT(1 << 20);
	size_t head = (size_t)(at - (char *)bytes.data);
	cr_assert(eq(int, buf_add(&more, bytes.data, head, NULL), 0));
	cr_assert(eq(int, buf_add(&more, extra, strlen(extra), NULL), 0));
	cr_assert(eq(int, buf_add(&more, at, bytes.len - head, NULL), 0));
	cr_expect(eq(int, parse(buf_cstr(&more)), -ERR_CONFIG));
	cr_expect(eq(str, (char *)told(), "a.plan:73: error: unknown key 'drills' in 'plan'\n"));
}

Test(plan, a_file_without_a_plan_is_an_error)
{
	cr_expect(eq(int, parse(""), -ERR_CONFIG));
	cr_expect(eq(str, (char *)told(),
		"a.plan:1: error: 'plan' is missing: expected a group: { key = value; }\n"));
	cr_expect(eq(int, plan_load("no/such.plan", &plan, &problems, &err), -ERR_NOT_FOUND));
	cr_expect(eq(ptr, plan, NULL));
}

Test(plan, a_file_cut_off_anywhere_is_a_plan_or_an_error_and_nothing_else)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(1 << 20);
	cr_assert(eq(int, fdio_read_file(AT_FDCWD, LINE3, &bytes, &err), 0));
	size_t sound = 0;
	for (size_t len = 0; len <= bytes.len; len++) {
		/* a copy of its own, so that a read past the end is seen */
		CLEANUP(cleanup_free_p) char *cut = malloc(len == 0 ? 1 : len);
		cr_assert(ne(ptr, cut, NULL));
		memcpy(cut, bytes.data, len);
		int rc = plan_parse("cut", cut, len, &plan, &problems, &err);
		if (rc == 0) {
			cr_expect(ne(ptr, plan, NULL));
			cr_expect(eq(sz, plan->system_count, 3));
			sound++;
		} else {
			cr_expect(eq(int, rc, -ERR_CONFIG), "at %zu", len);
			cr_expect(ge(sz, problems.errors, 1), "at %zu", len);
			cr_expect(eq(ptr, plan, NULL), "at %zu", len);
		}
		plan_free(plan);
		plan = NULL;
		conf_problems_done(&problems);
	}
	cr_expect(eq(sz, sound, 3)); /* without "\n", without ";\n", and whole */
}

Test(plan, a_file_with_any_byte_changed_never_breaks_the_reader)
{
	static const char changes[] = { '"', '{', '}', '(', ')', '=', ';', '\0', '@', '9' };
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(1 << 20);
	cr_assert(eq(
		int, fdio_read_file(AT_FDCWD, "plans/examples/fileshare.plan", &bytes, &err), 0));
	for (size_t at = 0; at < bytes.len; at++) {
		uint8_t was = bytes.data[at];
		bytes.data[at] = (uint8_t)changes[at % sizeof(changes)];
		int rc = plan_parse(
			"x", (const char *)bytes.data, bytes.len, &plan, &problems, &err);
		cr_expect(
			rc == 0 ? plan != NULL : plan == NULL && problems.errors > 0, "at %zu", at);
		bytes.data[at] = was;
		plan_free(plan);
		plan = NULL;
		conf_problems_done(&problems);
	}
}

Test(plan, names_are_the_words_of_the_language)
{
	cr_expect(eq(str, (char *)plan_system_type_name(PLAN_SYSTEM_HISTORIAN), "historian"));
	cr_expect(eq(str, (char *)plan_system_type_name(PLAN_SYSTEM_FILE_STORE), "file_store"));
	cr_expect(eq(str, (char *)plan_system_type_name(PLAN_SYSTEM_NONE), "?"));
	cr_expect(eq(str, (char *)plan_action_name(PLAN_ACTION_START), "start"));
	cr_expect(eq(str, (char *)plan_check_type_name(PLAN_CHECK_HASH_MANIFEST), "hash_manifest"));
	cr_expect(eq(str, (char *)plan_check_type_name(PLAN_CHECK_XML), "xml"));
	cr_expect(eq(str, (char *)plan_cleanup_name(PLAN_CLEANUP_KEEP), "keep"));
}
