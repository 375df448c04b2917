#include "cmd/drill_far.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "cmd/cmd_job.h"
#include "cmd/drill_show.h"
#include "cmd/paths.h"
#include "cmd/plan_sources.h"
#include "cmd/remote.h"
#include "cmd/report_shelf.h"
#include "codec/text.h"
#include "conf/conf_problems.h"
#include "crypto/hash.h"
#include "plans/plan.h"
#include "restore/report.h"
#include "restore/report_check.h"
#include "restore/report_json.h"
#include "vault/snapshot.h"

/*
 * INVARIANTS
 * (1) A report is kept byte for byte as it came, and only if it is intact and of the exercise that
 *     was asked for.
 * (2) What a drill that was ordered here came to is told of the plan that was sent, no other.
 */

#define FAR_PLAN_MAX ((size_t)1 << 20)

bool drill_far_is_meant(const struct cli *cli)
{
	return cli_is_set(cli, "server") || cli_is_set(cli, "agent");
}

/* What belongs to a drill of this host must not be passed over in silence. */
static int check_usage(const struct cli *cli, struct err *err)
{
	static const char *const local[] = { "vault", "writer-key", "accept-rollback", "drill-key",
		"report-key", "work", "trigger", "declared", "ordered-by", "approved-by" };
	if (cli_text(cli, "agent") == NULL) {
		(void)err_set(err, ERR_USAGE, "--agent NAME is needed: the sandbox that drills");
		return err_hint(err, "'holdfast agent list' shows them");
	}
	if (cli_text(cli, "plan") == NULL)
		return err_set(err, ERR_USAGE, "--plan FILE is needed: the plan to carry out");
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		if (cli_is_set(cli, local[i]))
			return err_set(err, ERR_USAGE,
				"--%s is for a drill of this host, not for one of a controller",
				local[i]);
	}
	return 0;
}

/* What a controller knows of snapshots, as far as plan_sources_check() asks. */
struct known {
	struct snapshot_list list; /* its texts lie in answers */
	json_t *answers;           /* an array that owns them */
};

static void known_done(struct known *k)
{
	free(k->list.at);
	json_decref(k->answers);
}

/* Add what the controller lists for ${query}. */
static int ask_known(struct remote *r, const char *query, struct known *k, struct err *err)
{
	char path[160];
	json_t *answer = NULL, *s;
	size_t i;
	if (snprintf(path, sizeof(path), "snapshots?limit=1000%s", query) >= (int)sizeof(path))
		return 0; /* no name of a source: that is told as unknown */
	int rc = remote_get(r, path, &answer, err);
	if (rc != 0)
		return rc;
	const json_t *rows = json_object_get(answer, "snapshots");
	struct snapshot *grown =
		reallocarray(k->list.at, k->list.count + json_array_size(rows) + 1, sizeof(*grown));
	if (grown == NULL || json_array_append_new(k->answers, answer) != 0) {
		k->list.at = grown != NULL ? grown : k->list.at;
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	k->list.at = grown;
	json_array_foreach(rows, i, s)
	{
		struct snapshot *at = &k->list.at[k->list.count++];
		memset(at, 0, sizeof(*at));
		/* the texts of a label are not const in its type, and only read */
		at->label.source = (char *)(uintptr_t)remote_text(s, "source");
		at->label.host = (char *)(uintptr_t)remote_text(s, "host");
		if (text_unhex(remote_text(s, "agent_id"), 16, at->record.agent_id) != 0)
			return err_set(err, ERR_CORRUPT, "the controller's answer has a bad id");
	}
	return 0;
}

/* The plan's sources that the controller has no snapshot of, beside what lint said. */
static int check_sources(
	struct remote *r, const struct plan *plan, struct conf_problems *problems, struct err *err)
{
	CLEANUP(known_done) struct known k = { .answers = json_array() };
	int rc = ask_known(r, "", &k, err); /* the newest: for names that may be meant */
	for (size_t i = 0; rc == 0 && i < plan->system_count; i++) {
		const char *source = plan->systems[i].source;
		const char *slash = source == NULL ? NULL : strchr(source, '/');
		const char *name = slash == NULL ? source : slash + 1;
		char query[128];
		if (name == NULL || remote_check_word(name, NULL) != 0)
			continue;
		(void)snprintf(query, sizeof(query), "&source=%s", name); /* cut: unknown */
		rc = ask_known(r, query, &k, err);
	}
	if (rc == 0)
		plan_sources_check(plan, &k.list, problems);
	return rc;
}

/* Read the plan's bytes, and tell here what is wrong with it, all of it at once. */
static int read_plan(struct remote *r, const char *path, struct buf *out, struct err *err)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct plan *plan = NULL;
	int rc = plan_draft_load(path, &plan, &problems, err);
	if (rc == 0)
		rc = check_sources(r, plan, &problems, err);
	if (rc == 0)
		rc = conf_problems_verdict(&problems, "plan", err);
	if (problems.errors > 0)
		conf_problems_print(&problems, stderr);
	conf_problems_done(&problems);
	plan_free(plan);
	if (rc == 0)
		rc = fdio_read_file(AT_FDCWD, path, out, err);
	return rc == 0 || rc == -ERR_CONFIG ? rc
					    : err_wrap(err, "unable to read the plan '%s'", path);
}

/* Send the plan; ${sha256}, 65 bytes: of what was sent. */
static int order(struct cli *cli, struct remote *r, char sha256[2 * HASH_BYTES + 1], json_t **job,
	struct err *err)
{
	uint8_t hash[HASH_BYTES];
	CLEANUP(buf_done) struct buf plan = BUF_INIT(FAR_PLAN_MAX);
	CLEANUP(buf_done) struct buf text = BUF_INIT(2 * FAR_PLAN_MAX);
	const char *path = cli_text(cli, "plan");
	const char *slash = strrchr(path, '/');
	int rc = read_plan(r, path, &plan, err);
	if (rc == 0) {
		hash_sha256(plan.data, plan.len, hash);
		text_hex(hash, sizeof(hash), sha256);
		rc = text_base64(plan.data, plan.len, &text, err);
	}
	const char *base64 = rc == 0 ? buf_cstr(&text) : NULL;
	if (rc == 0 && base64 == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	return rc != 0 ? rc
		       : remote_post(r, "drills",
				 json_pack("{s:s, s:s, s:s, s:s*}", "agent", cli_text(cli, "agent"),
					 "plan_name", slash == NULL ? path : slash + 1, "plan",
					 base64, "scenario", cli_text(cli, "scenario")),
				 job, err);
}

static int find_dir(const struct cli *cli, const char **dir, struct err *err)
{
	*dir = cli_text(cli, "reports");
	if (*dir == NULL)
		*dir = ".";
	return cli_text(cli, "reports") == NULL ? 0 : paths_make(*dir, err);
}

int drill_far_check(
	const struct report *r, const char *exercise, const char *plan_sha256, struct err *err)
{
	if (strcmp(r->exercise.exercise_id, exercise) != 0)
		return err_set(err, ERR_CORRUPT, "the controller sent the report of exercise %s",
			r->exercise.exercise_id);
	if (plan_sha256 == NULL || strcmp(r->plan.sha256, plan_sha256) == 0)
		return 0;
	(void)err_set(err, ERR_CORRUPT,
		"the report is of another plan (SHA-256 %s) than the one sent (%s)", r->plan.sha256,
		plan_sha256);
	return err_hint(err, "what that drill came to says nothing of your plan: look at the "
			     "controller, which drilled something else");
}

/* Invariants 1 and 2; ${plan_sha256} NULL = whatever plan it was. */
static int fetch(struct cli *cli, struct remote *r, const char *exercise, const char *plan_sha256,
	struct err *err)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(REPORT_JSON_MAX);
	CLEANUP(report_check_done) struct report_check check = { .report = NULL };
	struct report_shelf_paths paths;
	char path[128];
	const char *dir;
	int rc = find_dir(cli, &dir, err);
	if (rc == 0)
		rc = remote_check_word(exercise, err);
	if (rc == 0 && snprintf(path, sizeof(path), "reports/%s", exercise) >= (int)sizeof(path))
		rc = err_set(err, ERR_USAGE, "'%s' is no id of an exercise", exercise);
	if (rc == 0)
		rc = remote_bytes(r, path, &bytes, err);
	if (rc == 0)
		rc = report_check_envelope(bytes.data, bytes.len, NULL, &check, err);
	if (rc == 0)
		rc = drill_far_check(check.report, exercise, plan_sha256, err);
	if (rc == 0)
		rc = report_shelf_keep(dir, &check, bytes.data, bytes.len, &paths, err);
	if (rc != 0)
		return err_wrap(err, "unable to get the report of exercise '%s'", exercise);
	return drill_show_tell(cli, check.report, &paths, err);
}

/* A drill that ended with a verdict has a report, whatever the verdict. */
static bool has_report(const json_t *job)
{
	return remote_text(json_object_get(job, "result"), "verdict")[0] != '\0';
}

int drill_far_run(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *job = NULL, *ended = NULL;
	char sha256[2 * HASH_BYTES + 1] = "";
	int rc = check_usage(cli, err);
	if (rc == 0)
		rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = order(cli, r, sha256, &job, err);
	if (rc == 0) /* both become parts of a path, and are shown */
		rc = remote_check_word(remote_text(job, "drill"), err);
	if (rc == 0)
		rc = remote_check_word(remote_text(job, "id"), err);
	if (rc == 0) {
		console_note(&cli->console, "exercise %s, job %.12s", remote_text(job, "drill"),
			remote_text(job, "id"));
		rc = cmd_job_wait(cli, r, remote_text(job, "id"), &ended, err);
	}
	if (rc == 0 && has_report(ended)) /* of the exercise that was ordered, not of another */
		rc = fetch(cli, r, remote_text(job, "drill"), sha256, err);
	else if (rc == 0)
		rc = err_set(err, ERR_FAILED, "the drill ended without a report: %s: %s",
			remote_text(ended, "state"), remote_text(ended, "reason"));
	json_decref(job);
	json_decref(ended);
	remote_close(r);
	return rc == 0 ? 0 : err_wrap(err, "unable to carry out the drill");
}

static void print_one(struct console *c, const json_t *d)
{
	char at[HUMAN_BYTES];
	const char *plan = remote_text(d, "plan");
	const char *exercise = remote_text(d, "exercise"), *verdict = remote_text(d, "verdict");
	console_print(c, "%s  ", remote_time(d, "declared", at));
	console_print_name(c, exercise, strlen(exercise));
	console_print(c, "  ");
	console_print_name(c, plan, strlen(plan));
	console_print(c, " version %lld: ", (long long)remote_number(d, "plan_version"));
	console_print_name(c, verdict, strlen(verdict));
	console_print(c, "\n");
}

int drill_far_list(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL, *d;
	size_t i;
	if (cli_is_set(cli, "reports"))
		return err_set(err, ERR_USAGE, "--reports and --server are two places");
	int rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_get(r, "drills", &answer, err);
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to list drills");
	json_array_foreach(json_object_get(answer, "drills"), i, d) print_one(&cli->console, d);
	if (cli->console.is_json)
		(void)console_object(&cli->console, "drill-catalog", NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

int drill_far_get(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	int rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = fetch(cli, r, cli->args[0], NULL, err);
	remote_close(r);
	return rc;
}
