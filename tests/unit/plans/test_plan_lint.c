#include "plans/plan_lint.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "conf/conf_problems.h"
#include "plans/plan.h"

/* A sound plan; each test changes one thing in it.  Line numbers at the right. */
static const char sound[] =
	"plan = {\n"                                                                     /* 1 */
	"id = \"p\"; version = 1; title = \"T\";\n"                                      /* 2 */
	"systems = (\n"                                                                  /* 3 */
	"{ id = \"hist\"; type = \"historian\"; tier = 1;\n"                             /* 4 */
	"mtpd = \"12h\"; rpo = \"1h\"; source = \"source:h\";\n"                         /* 5 */
	"rto = \"30m\";\n"                                                               /* 6 */
	"steps = (\n"                                                                    /* 7 */
	"{ name = \"r\"; do = \"restore\"; budget = \"20m\"; },\n"                       /* 8 */
	"{ name = \"s\"; do = \"start\"; budget = \"5m\"; } );\n"                        /* 9 */
	"checks = (\n"                                                                   /* 10 */
	"{ id = \"c1\"; type = \"hash_manifest\"; mandatory = true; expect = \"all\"; }" /* 11 */
	",\n"
	"{ id = \"c2\"; type = \"row_count\"; mandatory = true;\n"     /* 12 */
	"object = \"t_*\";\n"                                          /* 13 */
	"expect = \"==manifest\"; },\n"                                /* 14 */
	"{ id = \"c3\"; type = \"newest_record\";\n"                   /* 15 */
	"object = \"public.t\"; expect = \"lag<=10m\"; },\n"           /* 16 */
	"{ id = \"c4\"; type = \"sql\";\n"                             /* 17 */
	"query = \"SELECT count(*) FROM t\";\n"                        /* 18 */
	"expect = \">=1\"; } ); },\n"                                  /* 19 */
	"{ id = \"batch\"; type = \"batch_records\"; tier = 1;\n"      /* 20 */
	"mtpd = \"12h\"; rpo = \"1h\"; source = \"source:b\";\n"       /* 21 */
	"rto = \"1h\";\n"                                              /* 22 */
	"after = [ \"hist\" ];\n"                                      /* 23 */
	"steps = ( { name = \"r\"; do = \"restore\";\n"                /* 24 */
	"budget = \"35m\"; } );\n"                                     /* 25 */
	"checks = (\n"                                                 /* 26 */
	"{ id = \"b1\"; type = \"open_record\"; mandatory = true;\n"   /* 27 */
	"sample = 25;\n"                                               /* 28 */
	"expect = \"all\"; },\n"                                       /* 29 */
	"{ id = \"b2\"; type = \"xml\"; expect = \"all\"; } ); }\n"    /* 30 */
	");\n"                                                         /* 31 */
	"sandbox = { must_not_reach = (\n"                             /* 32 */
	"{ host = \"192.0.2.10\"; port = 502; } ); };\n"               /* 33 */
	"cleanup = { on_success = \"erase\"; on_fail = \"keep\"; };\n" /* 34 */
	"};\n";

static struct conf_problems problems;
static struct plan *plan;
static struct buf text = BUF_INIT(1 << 16);
static struct buf told_text = BUF_INIT(1 << 16);

static void setup(void)
{
	problems = (struct conf_problems)CONF_PROBLEMS_INIT;
	plan = NULL;
}

static void teardown(void)
{
	plan_free(plan);
	conf_problems_done(&problems);
	buf_done(&text);
	buf_done(&told_text);
}

TestSuite(plan_lint, .init = setup, .fini = teardown);

/* What is told about the sound plan with the first ${from} made ${to}; no file name in it. */
static const char *lint(const char *from, const char *to)
{
	struct err err = ERR_INIT;
	const char *at = strstr(sound, from);
	cr_assert(ne(ptr, (void *)at, NULL), "no '%s'", from);
	buf_clear(&text);
	cr_assert(eq(int, buf_add(&text, sound, (size_t)(at - sound), NULL), 0));
	cr_assert(eq(int, buf_add(&text, to, strlen(to), NULL), 0));
	cr_assert(eq(int, buf_add(&text, at + strlen(from), strlen(at + strlen(from)), NULL), 0));

	plan_free(plan);
	plan = NULL;
	conf_problems_done(&problems);
	int rc = plan_parse("p", (const char *)text.data, text.len, &plan, &problems, &err);
	cr_expect(eq(int, rc, problems.errors > 0 ? -ERR_CONFIG : 0));
	cr_expect(eq(int, plan == NULL, problems.errors > 0));
	buf_clear(&told_text);
	cr_assert(eq(int, conf_problems_format(&problems, &told_text, NULL), 0));
	return buf_cstr(&told_text);
}

#define expect_told(from, to, wanted) cr_expect(eq(str, (char *)lint(from, to), wanted))

Test(plan_lint, a_sound_plan_raises_nothing)
{
	expect_told("plan", "plan", "");
}

Test(plan_lint, rto_is_not_longer_than_mtpd)
{
	expect_told("mtpd = \"12h\"", "mtpd = \"30m\"", "");
	expect_told("mtpd = \"12h\"", "mtpd = \"29m\"",
		"p:6: error: rto of 'hist' is 30 min 00 s, longer than its mtpd of 29 min 00 s\n");
}

Test(plan_lint, budgets_along_the_path_fit_into_the_rto)
{
	/* 20 + 5 of hist, then 35 of batch, fill the hour */
	expect_told("\"35m\"", "\"36m\"",
		"p:22: error: rto of 'batch' is 1 h 00 min, but the budgets on its critical path "
		"add up to 1 h 01 min\n");
	expect_told("\"20m\"", "\"26m\"",
		"p:6: error: rto of 'hist' is 30 min 00 s, but the budgets on its critical path "
		"add up to 31 min 00 s\n"
		"p:22: error: rto of 'batch' is 1 h 00 min, but the budgets on its critical path "
		"add up to 1 h 06 min\n");
	expect_told("after = [ \"hist\" ];\n", "\n", "");
}

Test(plan_lint, a_step_without_a_budget_is_doubtful)
{
	expect_told("budget = \"5m\";", "",
		"p:7: warning: 1 of 2 steps of 'hist' have no budget, so its critical path counts "
		"them as nothing\n");
}

Test(plan_lint, a_dependency_is_back_no_later_than_its_dependant)
{
	expect_told("rto = \"30m\"", "rto = \"1h\"", "");
	expect_told("rto = \"30m\"", "rto = \"61m\"",
		"p:22: error: rto of 'batch' is 1 h 00 min, but it comes after 'hist', which has "
		"1 h 01 min\n");
}

Test(plan_lint, a_tier_1_system_has_a_mandatory_check_of_its_content)
{
	expect_told("\"row_count\"; mandatory = true;", "\"row_count\"; mandatory = false;",
		"p:4: error: 'hist' is of tier 1 and needs a mandatory check of its content "
		"(row_count, newest_record, sql)\n");
	expect_told("\"open_record\"; mandatory = true;", "\"open_record\";",
		"p:20: error: 'batch' is of tier 1 and needs a mandatory check of its content "
		"(open_record, xml)\n");
	expect_told("\"xml\";", "\"xml\"; mandatory = true;", "");
}

Test(plan_lint, a_lower_tier_without_a_mandatory_check_is_doubtful)
{
	expect_told("\"historian\"; tier = 1;", "\"historian\"; tier = 2;", "");
	expect_told("tier = 1;\nmtpd = \"12h\"; rpo = \"1h\"; source = \"source:b\";\n"
		    "rto = \"1h\";\nafter = [ \"hist\" ];\n"
		    "steps = ( { name = \"r\"; do = \"restore\";\nbudget = \"35m\"; } );\n"
		    "checks = (\n{ id = \"b1\"; type = \"open_record\"; mandatory = true;",
		"tier = 2;\nmtpd = \"12h\"; rpo = \"1h\"; source = \"source:b\";\n"
		"rto = \"1h\";\nafter = [ \"hist\" ];\n"
		"steps = ( { name = \"r\"; do = \"restore\";\nbudget = \"35m\"; } );\n"
		"checks = (\n{ id = \"b1\"; type = \"open_record\";",
		"p:20: warning: 'batch' has no mandatory check, so a drill shows nothing about "
		"it\n");
}

Test(plan_lint, after_names_systems_of_the_plan_once)
{
	expect_told("[ \"hist\" ]", "[ \"hits\" ]",
		"p:23: error: system 'batch' comes after 'hits', which is not a system of this "
		"plan\n");
	expect_told("[ \"hist\" ]", "[ \"hist\",\n\"hist\" ]",
		"p:24: warning: system 'batch' names 'hist' twice in after\n");
}

Test(plan_lint, systems_that_wait_for_each_other_are_named)
{
	expect_told("rto = \"30m\";", "rto = \"1h\"; after = [ \"batch\" ];",
		"p:4: error: systems wait for each other: hist -> batch -> hist\n");
	expect_told("[ \"hist\" ]", "[ \"batch\" ]",
		"p:20: error: systems wait for each other: batch -> batch\n");
}

Test(plan_lint, ids_are_taken_once)
{
	expect_told("id = \"batch\"", "id = \"hist\"",
		"p:20: error: system id 'hist' is taken by the system in line 4\n");
	expect_told("id = \"c4\"", "id = \"c1\"",
		"p:17: error: check id 'c1' of system 'hist' is taken by the check in line 11\n");
	expect_told("id = \"b1\"", "id = \"c1\"", "");
}

Test(plan_lint, ids_can_be_names_of_files)
{
	expect_told("id = \"p\"", "id = \"A-1.b_2\"", "");
	expect_told("id = \"p\"", "id = \"../p\"",
		"p:2: error: unable to use id '../p': expected letters, digits, '.', '_' and '-', "
		"a letter or digit first\n");
	expect_told("id = \"c4\"", "id = \"c 4\"",
		"p:17: error: unable to use id 'c 4': expected letters, digits, '.', '_' and '-', "
		"a letter or digit first\n");
	expect_told("id = \"batch\"", "id = \"b\xc3\xa4\"",
		"p:20: error: unable to use id 'b\xc3\xa4': expected letters, digits, '.', '_' and "
		"'-', a letter or digit first\n");
}

Test(plan_lint, steps_begin_with_restore_and_do_each_thing_once)
{
	expect_told("do = \"restore\"; budget = \"20m\"; },\n{ name = \"s\"; do = \"start\"",
		"do = \"start\"; budget = \"20m\"; },\n{ name = \"s\"; do = \"restore\"",
		"p:8: error: the first step of 'hist' does \"start\", and must do \"restore\"\n");
	expect_told("{ name = \"s\"; do = \"start\"; budget = \"5m\"; }",
		"{ name = \"s\"; do = \"start\"; budget = \"4m\"; },\n"
		"{ name = \"t\"; do = \"start\"; budget = \"1m\"; }",
		"p:10: error: 'hist' does \"start\" twice\n");
}

Test(plan_lint, only_a_database_is_started)
{
	expect_told("budget = \"35m\"; }",
		"budget = \"30m\"; },\n{ name = \"s\"; do = \"start\"; budget = \"5m\"; }",
		"p:26: error: \"start\" fits a historian or db, and 'batch' is of type "
		"batch_records\n");
	expect_told("\"historian\"", "\"db\"", "");
}

Test(plan_lint, questions_to_a_database_need_one_that_runs)
{
	expect_told("type = \"xml\"; expect = \"all\";",
		"type = \"row_count\"; object = \"t\"; expect = \">1\";",
		"p:30: error: a check of type row_count fits a historian or db, and 'batch' is of "
		"type batch_records\n");
	expect_told("type = \"xml\"; expect = \"all\";",
		"type = \"newest_record\"; object = \"t\"; expect = \"lag<1m\";",
		"p:30: error: a check of type newest_record fits a historian or db, and 'batch' is "
		"of type batch_records\n");
	expect_told("type = \"xml\"; expect = \"all\";",
		"type = \"sql\"; query = \"select 1\"; expect = \"==1\";",
		"p:30: error: a check of type sql fits a historian or db, and 'batch' is of type "
		"batch_records\n");
	expect_told(",\n{ name = \"s\"; do = \"start\"; budget = \"5m\"; }", "\n",
		"p:12: error: a check of type row_count asks the database, but no step of 'hist' "
		"does \"start\"\n"
		"p:15: error: a check of type newest_record asks the database, but no step of "
		"'hist' does \"start\"\n"
		"p:17: error: a check of type sql asks the database, but no step of 'hist' does "
		"\"start\"\n");
}

Test(plan_lint, a_check_has_the_keys_it_needs_and_no_others)
{
	expect_told("object = \"t_*\";\n", "\n",
		"p:12: error: a check of type row_count needs 'object'\n");
	expect_told("query = \"SELECT count(*) FROM t\";\n", "\n",
		"p:17: error: a check of type sql needs 'query'\n");
	expect_told("sample = 25;\n", "\n",
		"p:27: error: a check of type open_record needs 'sample'\n");
	expect_told("sample = 25;\n", "sample = 25; \nquery = \"select 1\";",
		"p:29: error: a check of type open_record has no 'query'\n");
	expect_told("object = \"t_*\";\n", "object = \"t_*\"; sample = 2;\n",
		"p:13: error: a check of type row_count has no 'sample'\n");
	expect_told("expect = \"all\"; } ); }", "expect = \"all\"; \nobject = \"t\"; } ); }",
		"p:31: error: a check of type xml has no 'object'\n");
}

Test(plan_lint, an_object_is_a_table_or_the_beginning_of_some)
{
	static const char *const good[] = { "t", "T_1", "s.t", "s.t_*", "_x" };
	static const char *const wrong[] = { "*", "t*x", "a.b.c", "s.", ".t", "1t", "t;", "t t",
		"s.*" };
	char to[64];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		(void)snprintf(to, sizeof(to), "object = \"%s\"", good[i]); /* fits */
		expect_told("object = \"t_*\"", to, "");
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		(void)snprintf(to, sizeof(to), "object = \"%s\"", wrong[i]); /* fits */
		char wanted[200];
		(void)snprintf(wanted, sizeof(wanted),
			"p:13: error: unable to use object \"%s\": expected a table, "
			"\"schema.table\", or \"table*\" for all that begin so\n",
			wrong[i]); /* fits */
		expect_told("object = \"t_*\"", to, wanted);
	}
}

Test(plan_lint, a_query_is_a_single_select)
{
	static const char *const good[] = { "select 1", "(SELECT 1)", " Select(1)",
		"SELECT\\n count(*) FROM t" };
	static const char *const wrong[] = { "DELETE FROM t", "select 1; drop table t", "select",
		"selected", "WITH x AS (DELETE FROM t) SELECT 1", "select 1;" };
	char to[96];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		(void)snprintf(to, sizeof(to), "query = \"%s\"", good[i]); /* fits */
		expect_told("query = \"SELECT count(*) FROM t\"", to, "");
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		(void)snprintf(to, sizeof(to), "query = \"%s\"", wrong[i]); /* fits */
		char wanted[192];
		(void)snprintf(wanted, sizeof(wanted),
			"p:18: error: unable to use query \"%s\": expected a single SELECT without "
			"';'\n",
			wrong[i]); /* fits */
		expect_told("query = \"SELECT count(*) FROM t\"", to, wanted);
	}
}

Test(plan_lint, what_a_check_expects_fits_its_type)
{
	expect_told("\"c1\"; type = \"hash_manifest\"; mandatory = true; expect = \"all\"",
		"\"c1\"; type = \"hash_manifest\"; mandatory = true; expect = \">=1\"",
		"p:11: error: a check of type hash_manifest cannot expect \">=1\": expected "
		"\"all\"\n");
	expect_told("\"==manifest\"", "\"all\"",
		"p:14: error: a check of type row_count cannot expect \"all\": expected an "
		"operator and a value, such as \">=4200\" or \"==manifest\"\n");
	expect_told("\"lag<=10m\"", "\">=10\"",
		"p:16: error: a check of type newest_record cannot expect \">=10\": expected a "
		"lag, such as \"lag<=10m\"\n");
	expect_told("\">=1\"", "\"==manifest\"",
		"p:19: error: a check of type sql cannot expect \"==manifest\": expected an "
		"operator and a number, such as \">=4200\"\n");
	expect_told("expect = \"all\"; },\n{ id = \"b2\"", "expect = \"lag<1s\"; },\n{ id = \"b2\"",
		"p:29: error: a check of type open_record cannot expect \"lag<1s\": expected "
		"\"all\", or an operator and a number\n");
	expect_told(
		"expect = \"all\"; },\n{ id = \"b2\"", "expect = \">=20\"; },\n{ id = \"b2\"", "");
	expect_told("\"xml\"; expect = \"all\"", "\"xml\"; expect = \"==3\"",
		"p:30: error: a check of type xml cannot expect \"==3\": expected \"all\"\n");
}

Test(plan_lint, a_forbidden_target_is_one_host_and_one_port)
{
	static const char *const good[] = { "canary", "plc-3.line.example", "2001:db8::1",
		"10.0.0.1", "3com.example" };
	static const char *const wrong[] = { "10.3.0.0/16", "300.1.1.1", "1.2.3", "a..b", "-a",
		"a-", "a b", "a_b", "a.", "x:502" };
	char to[64];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		(void)snprintf(to, sizeof(to), "host = \"%s\"", good[i]); /* fits */
		expect_told("host = \"192.0.2.10\"", to, "");
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		(void)snprintf(to, sizeof(to), "host = \"%s\"", wrong[i]); /* fits */
		char wanted[160];
		(void)snprintf(wanted, sizeof(wanted),
			"p:33: error: unable to use host \"%s\": expected one address or host "
			"name\n",
			wrong[i]); /* fits */
		expect_told("host = \"192.0.2.10\"", to, wanted);
	}
	expect_told("port = 502", "port = 65535", "");
	expect_told("port = 502", "port = 65536",
		"p:33: error: unable to use 'plan.sandbox.must_not_reach[0].port': found 65536, "
		"expected a "
		"whole number from 1 to 65535\n");
	expect_told("port = 502", "port = 0",
		"p:33: error: unable to use 'plan.sandbox.must_not_reach[0].port': found 0, "
		"expected a "
		"whole number from 1 to 65535\n");
}

Test(plan_lint, no_forbidden_target_is_doubtful)
{
	expect_told("{ host = \"192.0.2.10\"; port = 502; }", "",
		"p:1: warning: sandbox.must_not_reach is empty, so a drill cannot show its "
		"isolation\n");
}

Test(plan_lint, a_source_names_what_snapshots_carry)
{
	expect_told("source:h", "source:SRV-HIST3 /var/lib/db", "");
	expect_told("source:h", "job:h",
		"p:5: error: unable to use source \"job:h\": expected \"source:\" and the name its "
		"snapshots carry\n");
	expect_told("source:h", "source:",
		"p:5: error: unable to use source \"source:\": expected \"source:\" and the name "
		"its snapshots carry\n");
}

Test(plan_lint, a_key_with_a_slip_gets_a_suggestion)
{
	expect_told("mtpd = \"12h\"; rpo", "mtdp = \"12h\"; rpo",
		"p:4: error: 'mtpd' is missing in 'plan.systems[0]': expected a duration such as "
		"\"90s\", \"10m\" or \"4h\", from 1.0 s to 3660 d; how long the plant can be "
		"without the system\n"
		"p:5: error: unknown key 'mtdp' in 'plan.systems[0]'; did you mean 'mtpd'?\n");
	expect_told("on_fail = \"keep\"", "on_fail = \"kepe\"",
		"p:34: error: unable to use 'plan.cleanup.on_fail': unknown word \"kepe\"; did you "
		"mean \"keep\"?\n");
}
