#include "cmd/cmd_drill.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/human.h"
#include "base/version.h"
#include "cmd/access.h"
#include "cmd/drill_far.h"
#include "cmd/drill_show.h"
#include "cmd/paths.h"
#include "cmd/plan_sources.h"
#include "cmd/report_shelf.h"
#include "cmd/stop.h"
#include "codec/jsonx.h"
#include "conf/conf_problems.h"
#include "crypto/secret.h"
#include "plans/plan.h"
#include "restore/drill.h"
#include "restore/drill_points_near.h"
#include "restore/report_judge.h"
#include "restore/report_key.h"
#include "restore/report_secret.h"
#include "restore/report_shape.h"
#include "restore/report_words.h"

/*
 * INVARIANTS
 * (1) Snapshots are opened with the drill key alone: a drill never asks for a passphrase.
 * (2) A report is written whatever the drill came to, an interrupted one too.
 */

#define DRILL_WORK_DEFAULT "/var/tmp"
#define FAREWELL_BYTES 1024

static const char *const triggers[] = { "manual", "schedule", "change", "incident", NULL };
static const enum report_trigger trigger_values[] = { REPORT_TRIGGER_MANUAL,
	REPORT_TRIGGER_SCHEDULE, REPORT_TRIGGER_CHANGE, REPORT_TRIGGER_INCIDENT };

DEFINE_CLEANUP(struct plan *, plan_free)
DEFINE_CLEANUP(struct report *, report_free)

struct job {
	struct cli *cli;
	const struct access *access; /* once the drill is carried out */
	struct plan *plan;           /* owned */
	struct report *report;       /* owned */
	uint8_t seed[32];            /* signs */
	const char *reports;
	int64_t begun_ns; /* of the recovery, by env_mono_ns() */
	struct report_shelf_paths paths;
};

static int need(const struct cli *cli, const char *option, const char *what, struct err *err)
{
	if (cli_text(cli, option) != NULL)
		return 0;
	return err_set(err, ERR_USAGE, "--%s FILE is needed: %s", option, what);
}

static int check_usage(const struct cli *cli, struct err *err)
{
	int rc = need(cli, "plan", "the continuity plan to carry out", err);
	if (rc == 0)
		rc = need(cli, "drill-key", "the key that opens the snapshots", err);
	if (rc == 0)
		rc = need(cli, "report-key", "the key that signs the report", err);
	if (rc != 0 && cli_text(cli, "report-key") == NULL && cli_text(cli, "plan") != NULL &&
		cli_text(cli, "drill-key") != NULL)
		return err_hint(err, "make one with 'holdfast report key new --out FILE'");
	return rc;
}

/* The plan as a draft: what is wrong with it is told together with what the vault knows. */
static int load_plan(struct job *j, struct conf_problems *problems, struct err *err)
{
	const char *path = cli_text(j->cli, "plan");
	int rc = plan_draft_load(path, &j->plan, problems, err);
	if (rc == 0 || rc == -ERR_CONFIG)
		return rc;
	return err_wrap(err, "unable to read the plan '%s'", path);
}

static int load_key(struct job *j, struct err *err)
{
	CLEANUP(buf_wipe) struct buf text = BUF_INIT(REPORT_KEY_FILE_MAX);
	const char *path = cli_text(j->cli, "report-key");
	int rc = paths_read_secret(path, "report key", &text, err);
	if (rc != 0)
		return rc;
	rc = report_secret_parse((const char *)text.data, text.len, j->seed, err);
	return rc == 0 ? 0 : err_wrap(err, "unable to read the report key '%s'", path);
}

static int read_declared(const struct cli *cli, int64_t *out, struct err *err)
{
	const char *text = cli_text(cli, "declared");
	*out = 0;
	if (text == NULL)
		return 0;
	if (human_parse_time(text, out) != 0)
		return err_set(
			err, ERR_USAGE, "--declared wants a time such as 2026-11-24T02:19:53Z");
	if (*out > env_now_ns())
		return err_set(err, ERR_USAGE,
			"--declared %s lies in the future: a disruption has happened already",
			text);
	return 0;
}

static void on_tell(void *arg, const char *text)
{
	const struct job *j = arg;
	console_note(&j->cli->console, "%s", text);
}

static bool is_stopped(void *arg)
{
	const struct job *j = arg;
	access_beat(j->access);
	return stop_is_asked(NULL);
}

static const char *work_of(const struct cli *cli)
{
	const char *work = cli_text(cli, "work");
	return work == NULL ? DRILL_WORK_DEFAULT : work;
}

/* What a signal says, and what a second one says that comes before all is cleaned up. */
static void set_notice(const struct cli *cli, char farewell[FAREWELL_BYTES])
{
	char safe[FAREWELL_BYTES - 192];
	if (!console_is_chatty(&cli->console))
		return;
	(void)escape_str(safe, sizeof(safe), work_of(cli)); /* cut is fine */
	(void)snprintf(farewell, FAREWELL_BYTES,
		"holdfast: ended before everything was cleaned up: what was restored may be left "
		"in holdfast-drill-* in '%s': remove that; none of its processes is left\n",
		safe); /* fits */
	stop_set_notice("stopping the drill, cleaning the sandbox ...\n", farewell);
}

static int carry_out(struct job *j, struct access *a, int64_t declared_ns, struct err *err)
{
	const struct cli *cli = j->cli;
	struct drill_points_near near = { .vault = a->vault,
		.fetch = a->fetch,
		.snapshots = &a->list,
		.drill_sk = a->content_sk };
	const struct drill_points points = drill_points_near_make(&near);
	const struct drill_opts opts = { .plan = j->plan,
		.points = &points,
		.work = work_of(cli),
		.reports = j->reports,
		.tool = VERSION_TOOL,
		.scenario = cli_text(cli, "scenario"),
		.ordered_by = cli_text(cli, "ordered-by"),
		.approved_by = cli_text(cli, "approved-by"),
		.trigger = trigger_values[cli_number(cli, "trigger", 0)],
		.declared_ns = declared_ns,
		.spent_ms = (env_mono_ns() - j->begun_ns) / 1000000,
		.on_tell = on_tell,
		.is_stopped = is_stopped,
		.arg = j };
	j->access = a;
	j->report = report_new();
	if (j->report == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = drill_run(&opts, j->report, err);
	if (rc == 0)
		rc = report_shelf_put(j->reports, j->report, j->seed, &j->paths, err);
	return rc == 0 ? 0 : err_wrap(err, "unable to carry out the drill");
}

static int make_reports(struct job *j, struct err *err)
{
	const char *dir = cli_text(j->cli, "reports");
	j->reports = dir == NULL ? "." : dir;
	return dir == NULL ? 0 : paths_make(dir, err);
}

static int open_vault(struct job *j, struct access *a, struct err *err)
{
	int rc = load_key(j, err);
	if (rc == 0)
		rc = access_open(j->cli, ACCESS_CONTENT, DRIVERS_READ, a, err);
	if (rc != 0)
		return rc;
	access_hold(j->cli, a);
	return access_snapshots(j->cli, a, err);
}

/* Plan, keys and vault.  A plan with errors is told whole before anything else that is wrong. */
static int prepare(struct job *j, struct access *a, struct err *err)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	int rc = load_plan(j, &problems, err);
	j->begun_ns = env_mono_ns();
	if (rc == 0) {
		rc = open_vault(j, a, err);
		if (rc == 0)
			plan_sources_check(j->plan, &a->list, &problems);
		if (problems.errors > 0)
			rc = conf_problems_verdict(&problems, "plan", err);
	}
	if (problems.errors > 0)
		conf_problems_print(&problems, stderr);
	conf_problems_done(&problems);
	return rc;
}

static int drill(struct job *j, struct access *a, struct err *err)
{
	int64_t declared_ns;
	char farewell[FAREWELL_BYTES];
	int rc = check_usage(j->cli, err);
	if (rc == 0)
		rc = read_declared(j->cli, &declared_ns, err);
	if (rc == 0)
		rc = prepare(j, a, err);
	if (rc == 0)
		rc = make_reports(j, err);
	if (rc != 0)
		return rc;
	set_notice(j->cli, farewell);
	rc = carry_out(j, a, declared_ns, err);
	stop_set_notice(NULL, NULL);
	return rc == 0 ? drill_show_tell(j->cli, j->report, &j->paths, err) : rc;
}

static int run(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	struct job j = { .cli = cli };
	int rc = drill_far_is_meant(cli) ? drill_far_run(cli, err) : drill(&j, &a, err);
	access_done(&a);
	plan_free(j.plan);
	report_free(j.report);
	secret_wipe(j.seed, sizeof(j.seed));
	return rc;
}

/* ---- list ---- */

struct listing {
	struct cli *cli;
	size_t broken;
};

static int list_one(
	void *arg, const char *name, const struct report_check *check, const struct err *why)
{
	struct listing *l = arg;
	struct console *c = &l->cli->console;
	char at[REPORT_WORDS_BYTES];
	if (check == NULL) {
		l->broken++;
		console_warn(c, name, strlen(name), "%s", why->msg);
		return 0;
	}
	const struct report *r = check->report;
	if (c->is_json)
		(void)console_object(
			c, "drill-list", "drill", drill_show_object(r)); /* console_flush() tells */
	console_print(c, "%s  %s  ", report_words_time(at, r->exercise.t_declared),
		r->exercise.exercise_id);
	console_print_name(c, r->plan.id, strlen(r->plan.id));
	console_print(c, " version %lld: %s\n", (long long)r->plan.version,
		report_words_verdict(r->verdict.overall));
	drill_show_systems(c, r);
	console_print(c, "\n");
	return 0;
}

static int run_list(struct cli *cli, struct err *err)
{
	if (cli_is_set(cli, "server"))
		return drill_far_list(cli, err);
	const char *dir = cli_text(cli, "reports");
	struct listing l = { .cli = cli };
	dir = dir == NULL ? "." : dir;
	int rc = report_shelf_walk(dir, list_one, &l, err);
	return rc == 0 ? report_shelf_verdict(dir, l.broken, err) : rc;
}

static const struct cli_option run_options[] = {
	{ .name = "plan",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.help = "the continuity plan to carry out (docs/PLAN.md)" },
	{ .name = "drill-key",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_DRILL_KEY",
		.help = "the key that opens the snapshots" },
	{ .name = "report-key",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_REPORT_KEY",
		.help = "the key that signs the report" },
	{ .name = "agent",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "with --server: the sandbox agent that carries it out" },
	{ .name = "reports",
		.kind = CLI_TEXT,
		.argument = "DIR",
		.help = "where report, page and evidence go; default: the working directory" },
	{ .name = "work",
		.kind = CLI_TEXT,
		.argument = "DIR",
		.help = "where systems are restored to, in a directory that the drill makes and "
			"removes; default: /var/tmp" },
	{ .name = "trigger",
		.kind = CLI_WORD,
		.argument = "manual|schedule|change|incident",
		.words = triggers,
		.help = "why the drill is held; default: manual" },
	{ .name = "scenario",
		.kind = CLI_TEXT,
		.argument = "TEXT",
		.help = "what is practised, for the report" },
	{ .name = "ordered-by",
		.kind = CLI_TEXT,
		.argument = "WHO",
		.help = "who ordered the drill, for the report" },
	{ .name = "approved-by",
		.kind = CLI_TEXT,
		.argument = "WHO",
		.help = "who approved it, for the report" },
	{ .name = "declared",
		.kind = CLI_TEXT,
		.argument = "TIME",
		.help = "when the disruption was declared (T0); default: now" },
	{ .name = NULL },
};

const struct cli_verb cmd_drill_run_verb = {
	.name = "drill run",
	.arguments = "",
	.summary = "carry out a continuity plan in a sandbox and sign what was measured",
	.about = "Restores the newest snapshot of every system of the plan, in its order, into a "
		 "sandbox that can reach nothing, starts what the plan starts, runs its checks, "
		 "runs "
		 "them again on a damaged copy, cleans up, and writes a signed report.  The exit "
		 "status is 0 when the plan's objectives were met, 4 when they were not.  With "
		 "--server and --agent a controller has a sandbox agent do it: no key is needed "
		 "here, the report is signed by both, and the evidence stays with the controller.",
	.json = "one object",
	.options = run_options,
	.groups = CLI_VAULT | CLI_SERVER,
	.run = run,
};

static const struct cli_option list_options[] = {
	{ .name = "reports",
		.kind = CLI_TEXT,
		.argument = "DIR",
		.help = "where the reports lie; default: the working directory" },
	{ .name = NULL },
};

const struct cli_verb cmd_drill_list_verb = {
	.name = "drill list",
	.arguments = "",
	.summary = "list past drills with what they measured",
	.about = "Reads the reports in a directory; with --server the list is the controller's, "
		 "and 'holdfast report get' fetches a report.",
	.json = "JSON lines: drill, warning, at the end an error when a report is broken; with "
		"--server one object",
	.options = list_options,
	.groups = CLI_SERVER,
	.run = run_list,
};
