#include "cmd/cmd_maintenance.h"

#include <string.h>

#include "base/err.h"
#include "base/human.h"
#include "cmd/cmd_job.h"
#include "cmd/remote.h"

static json_t *ask(const struct cli *cli)
{
	json_t *body = json_pack("{s:s, s:s*, s:s*}", "task", cli->args[0], "approve",
		cli_text(cli, "approve"), "replica", cli_text(cli, "replica"));
	if (cli_is_set(cli, "begin") && body != NULL &&
		json_object_set_new(body, "begin", json_true()) != 0) {
		json_decref(body);
		return NULL;
	}
	return body;
}

static int run_run(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *job = NULL;
	int rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_post(r, "maintenance", ask(cli), &job, err);
	if (rc == 0 && !cli_is_set(cli, "no-wait")) {
		json_t *ended = NULL;
		rc = cmd_job_wait(cli, r, remote_text(job, "id"), &ended, err);
		json_decref(job);
		job = ended;
	}
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to run '%s'", cli->args[0]);
	cmd_job_print(&cli->console, job);
	if (cli->console.is_json)
		(void)console_object(
			&cli->console, "maintenance-run", NULL, job); /* console_flush() tells */
	else
		json_decref(job);
	return 0;
}

static void print_row(struct console *c, const json_t *row)
{
	char when[HUMAN_BYTES];
	size_t i;
	const json_t *word;
	const json_t *source = json_object_get(row, "source");
	const char *name = json_is_string(source) ? json_string_value(source) : "?";
	console_print(
		c, "%.8s  %-26s ", remote_text(row, "id"), remote_time(row, "received", when));
	console_print_name(c, name, strlen(name));
	console_print(c, "  %s", json_is_true(json_object_get(row, "stays")) ? "stays:" : "goes");
	json_array_foreach(json_object_get(row, "why"), i, word)
		console_print(c, " %s", json_string_value(word));
	console_print(c, "\n");
}

static int run_preview(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	struct console *c = &cli->console;
	size_t i;
	const json_t *row;
	int rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_get(r, "maintenance/preview", &answer, err);
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to show what retention would do");
	json_array_foreach(json_object_get(answer, "snapshots"), i, row) print_row(c, row);
	console_count(
		c, (uint64_t)remote_number(answer, "kept"), "snapshot stays, ", "snapshots stay, ");
	console_count(c, (uint64_t)remote_number(answer, "going"), "would go\n", "would go\n");
	if (remote_text(answer, "guards")[0] != '\0')
		console_print(c, "an approval is wanted: %s\n", remote_text(answer, "guards"));
	if (c->is_json)
		(void)console_object(
			c, "maintenance-preview", NULL, answer); /* console_flush() tells */
	else
		json_decref(answer);
	return 0;
}

static const struct cli_option run_options[] = {
	{ .name = "approve",
		.kind = CLI_TEXT,
		.argument = "TEXT",
		.help = "retention: who agreed and why that a large part of a source goes; needs "
			"the role approver, and is kept with the records" },
	{ .name = "replica",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "copy: which of the configuration's replicas it goes to" },
	{ .name = "begin", .help = "copy: begin the replica where nothing is" },
	{ .name = "no-wait", .help = "order it and return; else wait for its end" },
	{ .name = NULL },
};

const struct cli_verb cmd_maintenance_run_verb = {
	.name = "maintenance run",
	.arguments = "TASK",
	.summary = "have the controller do retention, collect, scrub or copy now",
	.about = "TASK is retention (take snapshots away by the controller's rules), collect (take "
		 "back the space of what no snapshot needs), scrub (read what was not read for "
		 "longest and prove that it is whole) or copy (bring snapshots to a replica).  A "
		 "task is a job: 'job list' shows it, 'job "
		 "cancel' stops it, schedules order it.  The exit status is that of the job.",
	.json = "one object",
	.options = run_options,
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = run_run,
};

const struct cli_verb cmd_maintenance_preview_verb = {
	.name = "maintenance preview",
	.arguments = "",
	.summary =
		"show which snapshots the controller's retention would take, and why others stay",
	.about = "Decided from the vault as it is now, by the rules that are in force.  Nothing is "
		 "changed.",
	.json = "one object",
	.groups = CLI_SERVER,
	.run = run_preview,
};
