#include "cmd/cmd_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/human.h"
#include "cmd/access.h"
#include "cmd/plan_sources.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "conf/conf_problems.h"
#include "plans/plan.h"
#include "plans/plan_order.h"

DEFINE_CLEANUP(struct plan *, plan_free)

/* Read the plan; what is wrong with it is told where the verb wants it. */
static int load(
	struct cli *cli, struct plan **plan, struct conf_problems *problems, struct err *err)
{
	int rc = plan_load(cli->args[0], plan, problems, err);
	if (rc == 0 || rc == -ERR_CONFIG)
		return rc;
	return err_wrap(err, "unable to read the plan '%s'", cli->args[0]);
}

static json_t *problem_rows(const struct conf_problems *problems)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < problems->count; i++) {
		const struct conf_problem *p = &problems->items[i];
		(void)json_array_append_new(rows,
			json_pack("{s:s, s:i, s:s}", "severity",
				p->severity == CONF_ERROR ? "error" : "warning", "line", p->line,
				"text", p->text)); /* fewer rows than counted: no memory */
	}
	return rows;
}

static int tell_lint(struct cli *cli, const struct conf_problems *problems, struct err *err)
{
	const char *file = cli->args[0];
	struct console *c = &cli->console;
	if (!c->is_json) {
		conf_problems_print(problems, stdout);
		console_count(c, problems->errors, "error", "errors");
		console_print(c, ", ");
		console_count(c, problems->warnings, "warning", "warnings");
		console_print(c, "\n");
	} else if (console_object(c, "plan-lint", NULL,
			   json_pack("{s:o, s:I, s:I, s:o}", "file", jsonx_name(file, strlen(file)),
				   "errors", (json_int_t)problems->errors, "warnings",
				   (json_int_t)problems->warnings, "problems",
				   problem_rows(problems))) != 0) {
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	if (conf_problems_has_errors(problems))
		cli->status = EXIT_STATUS_USAGE;
	else if (problems->warnings > 0)
		cli->status = EXIT_STATUS_WARNINGS;
	return 0;
}

struct lint {
	const struct plan *plan;
	struct conf_problems *problems;
};

static int check_sources(struct cli *cli, struct access *a, void *arg, struct err *err)
{
	const struct lint *l = arg;
	(void)cli, (void)err;
	plan_sources_check(l->plan, &a->list, l->problems);
	return 0;
}

/* The vault is asked only when it is named: lint is for the desk where plans are written, too. */
static int run_lint(struct cli *cli, struct err *err)
{
	CLEANUP(plan_free_p) struct plan *plan = NULL;
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	int asked = 0;
	int rc = plan_draft_load(cli->args[0], &plan, &problems, err);
	if (rc == 0 && cli_is_set(cli, "vault")) {
		struct lint l = { .plan = plan, .problems = &problems };
		asked = access_read(cli, ACCESS_LIST, check_sources, &l, err);
	}
	if (rc == 0 || rc == -ERR_CONFIG)
		rc = tell_lint(cli, &problems, err); /* also where the vault did not answer */
	else
		rc = err_wrap(err, "unable to read the plan '%s'", cli->args[0]);
	conf_problems_done(&problems);
	return rc == 0 ? asked : rc;
}

static json_t *system_object(const struct plan_system *s, int64_t finish_ns)
{
	json_t *after = json_array();
	json_t *steps = json_array();
	json_t *checks = json_array();
	for (size_t i = 0; i < s->after_count; i++)
		(void)json_array_append_new(after, json_string(s->after[i].id)); /* seen by pack */
	for (size_t i = 0; i < s->step_count; i++)
		(void)json_array_append_new(
			steps, json_pack("{s:s, s:s, s:I}", "name", s->steps[i].name, "do",
				       plan_action_name(s->steps[i].action), "budget_ns",
				       (json_int_t)s->steps[i].budget_ns)); /* as above */
	for (size_t i = 0; i < s->check_count; i++)
		(void)json_array_append_new(
			checks, json_pack("{s:s, s:s, s:b, s:s}", "id", s->checks[i].id, "type",
					plan_check_type_name(s->checks[i].type), "mandatory",
					(int)s->checks[i].is_mandatory, "expect",
					s->checks[i].expect_text)); /* as above */
	return json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:s, s:I, s:o, s:o, s:o}", "id", s->id,
		"type", plan_system_type_name(s->type), "tier", s->tier, "mtpd_ns",
		(json_int_t)s->mtpd_ns, "rto_ns", (json_int_t)s->rto_ns, "rpo_ns",
		(json_int_t)s->rpo_ns, "source", s->source == NULL ? "" : s->source, "finish_ns",
		(json_int_t)finish_ns, "after", after, "steps", steps, "checks", checks);
}

static void print_plan(struct console *c, const struct plan *p, const size_t *order,
	const int64_t *finish_ns, int64_t longest_ns)
{
	char rto[HUMAN_BYTES];
	char rpo[HUMAN_BYTES];
	char finish[HUMAN_BYTES];
	console_print(c, "%s, version %lld: ", p->id, (long long)p->version);
	console_print_name(c, p->title, strlen(p->title));
	console_print(c, "\n\n%-4s %-4s %-16s %-14s %-14s %-14s %-14s %s\n", "#", "TIER", "SYSTEM",
		"TYPE", "RTO", "RPO", "BACK AFTER", "WAITS FOR");
	for (size_t i = 0; i < p->system_count; i++) {
		const struct plan_system *s = &p->systems[order[i]];
		console_print(c, "%-4zu %-4d %-16s %-14s %-14s %-14s %-14s", i + 1, s->tier, s->id,
			plan_system_type_name(s->type), human_duration(rto, s->rto_ns),
			human_duration(rpo, s->rpo_ns),
			human_duration(finish, finish_ns[order[i]]));
		for (size_t k = 0; k < s->after_count; k++)
			console_print(c, "%s%s", k > 0 ? ", " : " ", s->after[k].id);
		console_print(c, "\n");
	}
	console_print(c, "\nlongest chain of budgets: %s\n", human_duration(finish, longest_ns));
}

static int show_json(struct console *c, const struct plan *p, const size_t *order,
	const int64_t *finish_ns, int64_t longest_ns, struct err *err)
{
	char hex[65];
	json_t *systems = json_array();
	for (size_t i = 0; i < p->system_count; i++) {
		if (json_array_append_new(systems,
			    system_object(&p->systems[order[i]], finish_ns[order[i]])) != 0) {
			json_decref(systems);
			return err_set(err, ERR_NOMEM, "out of memory");
		}
	}
	text_hex(p->sha256, sizeof(p->sha256), hex);
	if (console_object(c, "plan-show", NULL,
		    json_pack("{s:s, s:I, s:s, s:s, s:I, s:o}", "id", p->id, "version",
			    (json_int_t)p->version, "title", p->title, "sha256", hex,
			    "critical_path_ns", (json_int_t)longest_ns, "systems", systems)) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int show(struct cli *cli, const struct plan *p, struct err *err)
{
	CLEANUP(cleanup_free_p) size_t *order = calloc(p->system_count + 1, sizeof(*order));
	CLEANUP(cleanup_free_p)
	int64_t *finish_ns = calloc(p->system_count + 1, sizeof(*finish_ns));
	int64_t longest_ns = 0;
	if (order == NULL || finish_ns == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = plan_order_find(p, order, err);
	if (rc == 0)
		rc = plan_order_critical_path(p, finish_ns, &longest_ns, err);
	if (rc != 0)
		return rc;
	if (cli->console.is_json)
		return show_json(&cli->console, p, order, finish_ns, longest_ns, err);
	print_plan(&cli->console, p, order, finish_ns, longest_ns);
	return 0;
}

static int run_show(struct cli *cli, struct err *err)
{
	CLEANUP(plan_free_p) struct plan *plan = NULL;
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	int rc = load(cli, &plan, &problems, err);
	if (rc == -ERR_CONFIG && !cli->console.is_json)
		conf_problems_print(&problems, stderr);
	if (rc == 0)
		rc = show(cli, plan, err);
	conf_problems_done(&problems);
	return rc;
}

static const struct cli_option lint_options[] = {
	ACCESS_RECOVERY_OPTION,
	{ .name = NULL },
};

const struct cli_verb cmd_plan_lint_verb = {
	.name = "plan lint",
	.arguments = "FILE",
	.summary = "say everything that is wrong or doubtful in a continuity plan",
	.about = "Exit status 2: it has errors; 3: it has warnings only.  With --vault on the "
		 "command line it is also an error when a system's source has no snapshot there.",
	.json = "one object",
	.options = lint_options,
	.groups = CLI_VAULT | CLI_PASS,
	.min_args = 1,
	.max_args = 1,
	.run = run_lint,
};

const struct cli_verb cmd_plan_show_verb = {
	.name = "plan show",
	.arguments = "FILE",
	.summary = "show a continuity plan in the order of recovery",
	.json = "one object",
	.min_args = 1,
	.max_args = 1,
	.run = run_show,
};
