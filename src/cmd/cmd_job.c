#include "cmd/cmd_job.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/escape.h"
#include "base/human.h"
#include "cmd/remote.h"
#include "cmd/stop.h"

#define JOB_WAIT_MS 500

static bool is_over(const char *state)
{
	return strcmp(state, "waiting") != 0 && strcmp(state, "running") != 0;
}

/* The exit status that a job's end stands for. */
static int status_of(const char *state)
{
	if (strcmp(state, "done") == 0)
		return EXIT_STATUS_OK;
	if (strcmp(state, "warnings") == 0)
		return EXIT_STATUS_WARNINGS;
	return strcmp(state, "objective-not-met") == 0 ? EXIT_STATUS_OBJECTIVE : EXIT_STATUS_FAILED;
}

void cmd_job_print(struct console *c, const json_t *job)
{
	char due[HUMAN_BYTES], size[HUMAN_BYTES], sent[HUMAN_BYTES];
	const json_t *result = json_object_get(job, "result");
	const char *what = remote_text(job, "source");
	console_print(c, "%.12s  %-7s %-10s %-26s %s  %s\n", remote_text(job, "id"),
		remote_text(job, "verb"), remote_text(job, "state"), remote_time(job, "due", due),
		remote_text(job, "agent"), what[0] == '\0' ? remote_text(job, "drill") : what);
	if (remote_text(job, "reason")[0] != '\0') {
		console_print(c, "              ");
		console_print_name(
			c, remote_text(job, "reason"), strlen(remote_text(job, "reason")));
		console_print(c, "\n");
	}
	if (remote_text(result, "snapshot")[0] != '\0')
		console_print(c, "              snapshot %.16s, %lld files, %s, %s sent\n",
			remote_text(result, "snapshot"), (long long)remote_number(result, "files"),
			human_size(size, (uint64_t)remote_number(result, "bytes")),
			human_size(sent, (uint64_t)remote_number(result, "sent_bytes")));
}

static void tell_progress(struct cli *cli, const json_t *job, char last[256])
{
	const json_t *p = json_object_get(job, "progress");
	char line[256], safe[4 * sizeof(line)], size[HUMAN_BYTES];
	if (p == NULL || cli->console.is_json || remote_text(p, "phase")[0] == '\0')
		return; /* nothing was said yet */
	const bool has_counts = remote_number(p, "files") != 0 || remote_number(p, "bytes") != 0;
	if (!has_counts && remote_text(p, "text")[0] == '\0')
		return; /* it has only begun */
	if (!has_counts)
		(void)snprintf(line, sizeof(line), "%s: %s", remote_text(p, "phase"),
			remote_text(p, "text")); /* cut is fine */
	else
		(void)snprintf(line, sizeof(line), "%s: %lld files, %s %s", remote_text(p, "phase"),
			(long long)remote_number(p, "files"),
			human_size(size, (uint64_t)remote_number(p, "bytes")),
			remote_text(p, "text")); /* as above */
	if (strcmp(line, last) == 0)
		return;
	(void)snprintf(last, 256, "%s", line);      /* same size */
	(void)escape_str(safe, sizeof(safe), line); /* there is room for every byte as \xHH */
	console_note(&cli->console, "%s", safe);
}

int cmd_job_wait(struct cli *cli, struct remote *r, const char *id, json_t **out, struct err *err)
{
	char path[128], last[256] = "";
	(void)snprintf(path, sizeof(path), "jobs/%s", id); /* an id: fits */
	for (;;) {
		json_t *job = NULL;
		int rc = remote_get(r, path, &job, err);
		if (rc != 0)
			return rc;
		if (is_over(remote_text(job, "state"))) {
			*out = job;
			cli->status = status_of(remote_text(job, "state"));
			return 0;
		}
		tell_progress(cli, job, last);
		json_decref(job);
		(void)poll(NULL, 0, JOB_WAIT_MS); /* interrupted: asked below */
		if (stop_is_asked(NULL))
			return err_set(err, ERR_INTERRUPTED,
				"interrupted; job %.12s goes on: 'holdfast job show' or 'job "
				"cancel'",
				id);
	}
}

/* Show a job and give its reference away. */
static void finish(struct cli *cli, const char *schema, json_t *take_job)
{
	cmd_job_print(&cli->console, take_job);
	if (cli->console.is_json)
		(void)console_object(
			&cli->console, schema, NULL, take_job); /* console_flush() tells */
	else
		json_decref(take_job);
}

static int run_run(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *job = NULL;
	int rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_post(r, "jobs",
			json_pack("{s:s, s:s}", "agent", cli->args[0], "source", cli->args[1]),
			&job, err);
	if (rc == 0 && !cli_is_set(cli, "no-wait")) {
		json_t *ended = NULL;
		rc = cmd_job_wait(cli, r, remote_text(job, "id"), &ended, err);
		json_decref(job);
		job = ended;
	}
	remote_close(r);
	if (rc != 0)
		return err_wrap(
			err, "unable to run a backup of '%s' on '%s'", cli->args[1], cli->args[0]);
	finish(cli, "job-run", job);
	return 0;
}

static int run_list(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	char path[160];
	const char *state = cli_text(cli, "state");
	int n = snprintf(path, sizeof(path), "jobs?limit=%lld%s%s",
		(long long)cli_number(cli, "limit", 20),
		state == NULL ? "" : "&state=", state == NULL ? "" : state);
	int rc = state == NULL ? 0 : remote_check_word(state, err);
	if (rc == 0 && (n < 0 || (size_t)n >= sizeof(path)))
		rc = err_set(err, ERR_USAGE, "'%s' is no state of a job", state);
	if (rc == 0)
		rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_get(r, path, &answer, err);
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to list jobs");
	size_t i;
	json_t *j;
	if (json_array_size(json_object_get(answer, "jobs")) == 0)
		console_print(&cli->console, "no jobs\n");
	json_array_foreach(json_object_get(answer, "jobs"), i, j) cmd_job_print(&cli->console, j);
	if (cli->console.is_json)
		(void)console_object(&cli->console, "job-list", NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

static void print_attempts(struct console *c, const json_t *job)
{
	char from[HUMAN_BYTES], to[HUMAN_BYTES];
	size_t i;
	json_t *a;
	json_array_foreach(json_object_get(job, "attempts"), i, a)
	{
		console_print(c, "  try %lld: %s to %s: %s ", (long long)remote_number(a, "number"),
			remote_time(a, "started", from), remote_time(a, "ended", to),
			remote_text(a, "outcome"));
		console_print_name(c, remote_text(a, "reason"), strlen(remote_text(a, "reason")));
		console_print(c, "\n");
	}
}

static int job_path(const struct cli *cli, const char *tail, char out[128], struct err *err)
{
	int rc = remote_check_word(cli->args[0], err);
	if (rc == 0 && snprintf(out, 128, "jobs/%s%s", cli->args[0], tail) >= 128)
		rc = err_set(err, ERR_USAGE, "'%s' is no id of a job", cli->args[0]);
	return rc;
}

static int run_show(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *job = NULL;
	char path[128];
	int rc = job_path(cli, "", path, err);
	if (rc == 0)
		rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_get(r, path, &job, err);
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to show job '%s'", cli->args[0]);
	json_incref(job);
	finish(cli, "job-show", job);
	print_attempts(&cli->console, job);
	json_decref(job);
	return 0;
}

static int run_cancel(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *job = NULL;
	char path[128];
	int rc = job_path(cli, "/cancel", path, err);
	if (rc == 0)
		rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_post(r, path, json_object(), &job, err);
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to cancel job '%s'", cli->args[0]);
	finish(cli, "job-cancel", job);
	return 0;
}

static int run_schedule(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	char path[160];
	const char *name = cli_text(cli, "name");
	int n = snprintf(path, sizeof(path), "schedules?next=%lld%s%s",
		(long long)cli_number(cli, "next", 20),
		name == NULL ? "" : "&name=", name == NULL ? "" : name);
	int rc = name == NULL ? 0 : remote_check_word(name, err);
	if (rc == 0 && (n < 0 || (size_t)n >= sizeof(path)))
		rc = err_set(err, ERR_USAGE, "'%s' is no name of a schedule", name);
	if (rc == 0)
		rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_get(r, path, &answer, err);
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to show what is due");
	size_t i;
	json_t *d;
	if (json_array_size(json_object_get(answer, "due")) == 0)
		console_print(&cli->console, "nothing is due\n");
	json_array_foreach(json_object_get(answer, "due"), i, d)
	{
		const char *what = remote_text(d, "source");
		console_print(&cli->console, "%-38s %-20s %s %s%s\n", remote_text(d, "local"),
			remote_text(d, "schedule"), remote_text(d, "agent"),
			what[0] != '\0'                     ? what
			: remote_text(d, "plan")[0] != '\0' ? remote_text(d, "plan")
							    : remote_text(d, "task"),
			json_is_true(json_object_get(d, "paused")) ? "  PAUSED" : "");
	}
	if (cli->console.is_json)
		(void)console_object(&cli->console, "schedule-next", NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

static const struct cli_option run_options[] = {
	{ .name = "no-wait", .help = "order it and return; else wait for its end" },
	{ .name = NULL },
};

const struct cli_verb cmd_job_run_verb = {
	.name = "job run",
	.arguments = "AGENT SOURCE",
	.summary = "order a backup now and wait for it",
	.about = "The source is one of the agent's own configuration: see 'holdfast agent show'.  "
		 "The "
		 "exit status is that of the backup.",
	.json = "one object",
	.options = run_options,
	.groups = CLI_SERVER,
	.min_args = 2,
	.max_args = 2,
	.run = run_run,
};

static const struct cli_option list_options[] = {
	{ .name = "limit", .kind = CLI_COUNT, .argument = "N", .help = "how many; default 20" },
	{ .name = "state",
		.kind = CLI_TEXT,
		.argument = "STATE",
		.help = "only those: waiting, running, done, warnings, objective-not-met, failed, "
			"missed, canceled" },
	{ .name = NULL },
};

const struct cli_verb cmd_job_list_verb = {
	.name = "job list",
	.arguments = "",
	.summary = "list jobs, the newest first",
	.json = "one object",
	.options = list_options,
	.groups = CLI_SERVER,
	.run = run_list,
};

const struct cli_verb cmd_job_show_verb = {
	.name = "job show",
	.arguments = "ID",
	.summary = "show a job with every try and its reason",
	.json = "one object",
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = run_show,
};

const struct cli_verb cmd_job_cancel_verb = {
	.name = "job cancel",
	.arguments = "ID",
	.summary = "take a job back, or stop it when it runs",
	.json = "one object",
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = run_cancel,
};

static const struct cli_option schedule_options[] = {
	{ .name = "next", .kind = CLI_COUNT, .argument = "N", .help = "how many; default 20" },
	{ .name = "name", .kind = CLI_TEXT, .argument = "NAME", .help = "of this schedule only" },
	{ .name = NULL },
};

const struct cli_verb cmd_job_schedule_verb = {
	.name = "schedule next",
	.arguments = "",
	.summary = "show what is due next, as the controller will order it",
	.json = "one object",
	.options = schedule_options,
	.groups = CLI_SERVER,
	.run = run_schedule,
};
