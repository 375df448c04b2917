#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "cmd/plan_sources.h"
#include "conf/conf_problems.h"
#include "plans/plan.h"
#include "vault/snapshot.h"

TestSuite(plan_sources);

/* Two systems with a source, one without; several things that lint must say. */
static const char text[] = "plan = {\n"
			   "id = \"p\";\n"
			   "systems = (\n"
			   "{ id = \"a\"; source = \"source:histt3\"; },\n"
			   "{ id = \"b\"; source = \"source:batch3\"; },\n"
			   "{ id = \"c\"; },\n"
			   "{ id = \"d\"; source = \"source:elsewhere\"; } );\n"
			   "};\n";

static size_t count(const struct conf_problems *p, const char *what, int *line)
{
	size_t n = 0;
	for (size_t i = 0; i < p->count; i++) {
		if (strstr(p->items[i].text, what) == NULL)
			continue;
		*line = p->items[i].line;
		n++;
	}
	return n;
}

Test(plan_sources, tells_every_unknown_source_beside_what_lint_said)
{
	struct err err = ERR_INIT;
	struct plan *plan = NULL;
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct snapshot at[] = { { .label = { .source = "hist3", .host = "h" } },
		{ .label = { .source = "batch3", .host = "h" } } };
	struct snapshot_list list = { .at = at, .count = 2 };
	int line = 0;
	cr_assert_eq(
		plan_draft("p.plan", text, strlen(text), &plan, &problems, &err), 0, "%s", err.msg);
	size_t before = problems.errors;
	cr_assert_gt(before, 0, "lint had nothing to say");
	plan_sources_check(plan, &list, &problems);
	cr_expect_eq(problems.errors, before + 2);
	cr_expect_eq(
		count(&problems, "no snapshot of source 'histt3'; did you mean 'hist3'?", &line),
		1);
	cr_expect_eq(line, 4);
	cr_expect_eq(count(&problems, "no snapshot of source 'elsewhere': expected", &line), 1);
	cr_expect_eq(line, 7);
	for (size_t i = 1; i < problems.count; i++)
		cr_expect_leq(problems.items[i - 1].line, problems.items[i].line);
	plan_free(plan);
	conf_problems_done(&problems);
}
