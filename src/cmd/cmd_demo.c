#include "cmd/cmd_demo.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/demo_local.h"
#include "cmd/demo_net.h"
#include "cmd/demo_stage.h"
#include "cmd/stop.h"

/* Of an interruption, what came of it; its own verbs have told the rest. */
static int tell_stopped(const struct demo_stage *s, struct err *err)
{
	if (s->left.code != 0)
		return err_set(
			err, ERR_INTERRUPTED, "the demonstration was interrupted; %s", s->left.msg);
	return err_set(err, ERR_INTERRUPTED,
		"the demonstration was interrupted; nothing of it runs any more");
}

static int run(struct cli *cli, struct err *err)
{
	CLEANUP(demo_stage_done) struct demo_stage stage = { .cli = cli };
	const char *dir = cli_text(cli, "dir");
	if (dir == NULL)
		return err_set(
			err, ERR_USAGE, "--dir DIR is needed: where the demonstration lives");
	int rc = cli_is_set(cli, "in-process") ? demo_local_run(&stage, cli, dir, err)
					       : demo_net_run(&stage, cli, dir, err);
	if (rc != 0 && stop_is_asked(NULL))
		rc = tell_stopped(&stage, err);
	if (rc == 0)
		cli->status = stage.drill_status;
	return rc;
}

static const struct cli_option options[] = {
	{ .name = "dir",
		.kind = CLI_TEXT,
		.argument = "DIR",
		.help = "a new directory, or one of an earlier demonstration, which goes on" },
	{ .name = "vault",
		.kind = CLI_TEXT,
		.argument = "PLACE",
		.help = "keep the vault there and not in DIR: a new directory, or "
			"s3:https://..?credentials=FILE; the same each time" },
	{ .name = "in-process", .help = "without a controller and agents, by local verbs only" },
	{ .name = NULL },
};

const struct cli_verb cmd_demo_verb = {
	.name = "demo",
	.arguments = "",
	.summary = "make a plant, back it up while it runs, and drill its recovery",
	.about = "A controller and three agents, each in a network namespace of its own where the "
		 "machine allows it, else on 127.0.0.1: backups come by schedule, the drill is "
		 "ordered through the controller.  Everything is made below DIR and by the public "
		 "verbs; DIR/README lists each command.  Needs PostgreSQL 15 and bubblewrap, no "
		 "privilege, and about 300 MB.  The exit status is 0 only if the drill passed.",
	.json = "one object",
	.options = options,
	.run = run,
};
