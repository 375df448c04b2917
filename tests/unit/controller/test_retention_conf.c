#include "controller/retention_conf.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "conf/conf_problems.h"
#include "vault/snapshot.h"

static struct conf_problems problems;
static struct retention_conf_list list;

static void setup(void)
{
	problems = (struct conf_problems)CONF_PROBLEMS_INIT;
}

static void teardown(void)
{
	retention_conf_done(&list);
	conf_problems_done(&problems);
}

TestSuite(retention_conf, .init = setup, .fini = teardown);

static const struct conf_option options[] = {
	{ .key = "retention", .type = CONF_GROUPS, .max = 10, .members = retention_conf_options },
	{ .key = NULL },
};

static void take(const char *text)
{
	struct err err = ERR_INIT;
	struct conf *conf = NULL;
	cr_assert(eq(
		int, conf_parse("t.conf", text, strlen(text), options, &conf, &problems, &err), 0));
	const struct conf_node *root = conf_root(conf);
	for (size_t i = 0; i < conf_count(root, "retention"); i++)
		cr_assert(eq(int,
			retention_conf_take(
				conf_item(root, "retention", i), &list, &problems, &err),
			0));
	conf_free(conf); /* nothing is borrowed from it */
}

Test(retention_conf, takes_every_rule_and_lets_nothing_young_go_unless_told)
{
	take("retention = ( { source = \"line3\"; keep_last = 1; keep_hourly = 2; keep_daily = 3;\n"
	     "keep_weekly = 4; keep_monthly = 5; keep_yearly = 6; keep_within = \"7d\";\n"
	     "keep_tags = [ \"audit\", \"fat\" ]; min_keep = \"1h\"; }, { keep_last = 9; } );");
	cr_assert(eq(sz, problems.errors, 0));
	cr_assert(eq(sz, list.count, 2));
	const struct retention_policy *p = &list.at[0].policy;
	cr_expect(eq(u32, p->last, 1));
	for (uint32_t k = 0; k < RETENTION_PERIODS; k++)
		cr_expect(eq(u32, p->count[k], k + 2));
	cr_expect(eq(i64, p->within_ns, 7 * INT64_C(86400) * 1000000000));
	cr_expect(eq(i64, p->min_keep_ns, INT64_C(3600) * 1000000000));
	cr_assert(eq(sz, p->tag_count, 2));
	cr_expect(eq(str, (char *)p->tags[1], "fat"));
	cr_expect(eq(i64, list.at[1].policy.min_keep_ns, RETENTION_MIN_KEEP_NS));
	cr_expect(eq(ptr, list.at[1].source, NULL));
}

Test(retention_conf, a_rule_that_keeps_nothing_and_one_that_is_there_twice_are_refused)
{
	take("retention = ( { source = \"a\"; }, { keep_last = 1; }, { keep_daily = 1; },\n"
	     "{ source = \"a\"; keep_last = 1; } );");
	cr_expect(eq(sz, problems.errors, 3));
}

static const struct retention_conf *of(const char *source, const char *host)
{
	static struct snapshot s;
	s.label.source = (char *)source;
	s.label.host = (char *)host;
	return retention_conf_of(&list, &s);
}

Test(retention_conf, a_sources_own_rule_goes_before_that_of_all_others)
{
	take("retention = ( { keep_last = 1; }, { source = \"a\"; keep_last = 2; },\n"
	     "{ source = \"plc/b\"; keep_last = 3; } );");
	cr_assert(eq(sz, problems.errors, 0));
	cr_expect(eq(u32, of("a", "x")->policy.last, 2));
	cr_expect(eq(u32, of("b", "plc")->policy.last, 3));
	cr_expect(eq(u32, of("b", "scada")->policy.last, 1));
}

Test(retention_conf, without_a_rule_a_snapshot_has_none)
{
	take("retention = ( { source = \"a\"; keep_last = 2; } );");
	cr_expect(eq(ptr, (void *)of("b", "x"), NULL));
}

Test(retention_conf, a_copy_outlives_the_configuration)
{
	struct err err = ERR_INIT;
	struct retention_conf_list copy = { .count = 0 };
	take("retention = ( { source = \"a\"; keep_tags = [ \"t\" ]; }, { keep_yearly = 2; } );");
	cr_assert(eq(int, retention_conf_copy(&list, &copy, &err), 0));
	retention_conf_done(&list);
	cr_assert(eq(sz, copy.count, 2));
	cr_expect(eq(str, copy.at[0].source, "a"));
	cr_expect(eq(str, (char *)copy.at[0].policy.tags[0], "t"));
	cr_expect(eq(u32, copy.at[1].policy.count[RETENTION_YEAR], 2));
	retention_conf_done(&copy);
}
