/*
 * holdfast: the command line.  Knows: the list of verbs.  Everything else is a room's.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/heap.h"
#include "base/log.h"
#include "cmd/cli.h"
#include "cmd/cmd_agent.h"
#include "cmd/cmd_backup.h"
#include "cmd/cmd_controller.h"
#include "cmd/cmd_copy.h"
#include "cmd/cmd_demo.h"
#include "cmd/cmd_diff.h"
#include "cmd/cmd_drill.h"
#include "cmd/cmd_dump.h"
#include "cmd/cmd_find.h"
#include "cmd/cmd_gc.h"
#include "cmd/cmd_help.h"
#include "cmd/cmd_init.h"
#include "cmd/cmd_job.h"
#include "cmd/cmd_key.h"
#include "cmd/cmd_ls.h"
#include "cmd/cmd_maintenance.h"
#include "cmd/cmd_mount.h"
#include "cmd/cmd_officer.h"
#include "cmd/cmd_parity.h"
#include "cmd/cmd_people.h"
#include "cmd/cmd_plan.h"
#include "cmd/cmd_repair.h"
#include "cmd/cmd_report.h"
#include "cmd/cmd_restore.h"
#include "cmd/cmd_retention.h"
#include "cmd/cmd_snapshot.h"
#include "cmd/cmd_vault.h"
#include "cmd/cmd_vault_serve.h"
#include "cmd/cmd_verify.h"
#include "cmd/stop.h"
#include "crypto/secret.h"
#include "restore/sandbox_init.h"

static const struct cli_verb *const verbs[] = {
	&cmd_init_verb,
	&cmd_backup_verb,
	&cmd_restore_verb,
	&cmd_snapshot_list_verb,
	&cmd_snapshot_show_verb,
	&cmd_ls_verb,
	&cmd_find_verb,
	&cmd_diff_verb,
	&cmd_dump_verb,
	&cmd_mount_verb,
	&cmd_verify_verb,
	&cmd_parity_verb,
	&cmd_repair_verb,
	&cmd_retention_preview_verb,
	&cmd_retention_apply_verb,
	&cmd_gc_verb,
	&cmd_copy_verb,
	&cmd_vault_info_verb,
	&cmd_vault_prove_verb,
	&cmd_vault_serve_verb,
	&cmd_vault_lock_verb,
	&cmd_vault_undelete_verb,
	&cmd_key_show_verb,
	&cmd_key_passwd_verb,
	&cmd_key_writer_verb,
	&cmd_key_drill_verb,
	&cmd_key_rotate_verb,
	&cmd_key_recovery_verb,
	&cmd_key_rewrap_verb,
	&cmd_plan_lint_verb,
	&cmd_plan_show_verb,
	&cmd_drill_run_verb,
	&cmd_drill_list_verb,
	&cmd_report_key_verb,
	&cmd_report_verify_verb,
	&cmd_report_list_verb,
	&cmd_report_get_verb,
	&cmd_controller_init_verb,
	&cmd_controller_run_verb,
	&cmd_controller_rekey_verb,
	&cmd_controller_rebuild_verb,
	&cmd_agent_token_verb,
	&cmd_agent_list_verb,
	&cmd_agent_show_verb,
	&cmd_officer_approve_verb,
	&cmd_officer_revoke_verb,
	&cmd_officer_strike_verb,
	&cmd_job_run_verb,
	&cmd_job_list_verb,
	&cmd_job_show_verb,
	&cmd_job_cancel_verb,
	&cmd_job_schedule_verb,
	&cmd_maintenance_run_verb,
	&cmd_maintenance_preview_verb,
	&cmd_people_new_verb,
	&cmd_people_list_verb,
	&cmd_people_revoke_verb,
	&cmd_people_audit_verb,
	&cmd_demo_verb,
	&cmd_help_verb,
	&cmd_help_version_verb,
	NULL,
};

static void set_up_console(struct cli *cli)
{
	unsigned verbosity = 0;
	for (size_t i = 0; i < cli->value_count; i++)
		verbosity += strcmp(cli->values[i].option->name, "verbose") == 0;
	log_setup(verbosity == 0 ? LOG_WARN : verbosity == 1 ? LOG_INFO : LOG_DEBUG, NULL);
	struct console *c = &cli->console;
	bool is_asked = cli_is_set(cli, "progress");
	bool is_off = cli_is_set(cli, "no-progress");
	c->is_quiet = cli_is_set(cli, "quiet");
	c->wants_status = c->is_json && is_asked && !is_off;
	progress_init(&c->progress, is_asked, c->is_json || is_off || (c->is_quiet && !is_asked));
}

static int run(struct cli *cli, int argc, const char *const *argv, struct err *err)
{
	int rc = cli_parse(cli, verbs, argc, argv, err);
	if (rc != 0)
		return rc;
	set_up_console(cli);
	if (cli->wants_version)
		return cmd_help_version(cli, err);
	if (cli->wants_help)
		return cmd_help_show(cli, cli->verb, err);
	if (cli->verb == NULL) {
		err_set(err, ERR_USAGE, "no verb is given");
		return err_hint(err, "see 'holdfast help'");
	}
	return cli->verb->run(cli, err);
}

/* What the shell sees; tells the error. */
static int finish(struct cli *cli, int rc, struct err *err)
{
	int status = rc == 0 ? cli->status : err_exit_status(rc);
	int sig = stop_signal();
	if (rc != 0 && sig != 0) {
		status = EXIT_STATUS_SIGNAL + sig;
		if (rc != -ERR_INTERRUPTED)
			(void)err_wrap(err, "stopped by a signal");
	}
	int broken = console_flush(&cli->console); /* what there is comes before the error */
	if (rc != 0 && !cli->console.is_reader_gone) {
		console_error(&cli->console, err, status);
		broken = broken != 0 ? broken : console_flush(&cli->console);
	}
	if (broken == EPIPE || cli->console.is_reader_gone)
		return EXIT_STATUS_SIGNAL + SIGPIPE; /* as if it had ended us */
	if (broken != 0) {
		(void)fprintf(stderr, "holdfast: unable to write the result: %s\n",
			strerror(broken)); /* nobody left to tell */
		return status == 0 ? EXIT_STATUS_FAILED : status;
	}
	return status;
}

int main(int argc, char **argv)
{
	struct cli cli = { .verb = NULL };
	struct err err = ERR_INIT;
	/* a sandbox's process 1 holds no secret, and whoever looks for what is left must see it */
	if (argc > 1 && strcmp(argv[1], SANDBOX_INIT_VERB) == 0)
		return sandbox_init_run(argc - 1, argv + 1);
	secret_harden_process();
	heap_keep_small();
	stop_install();
	int rc = run(&cli, argc, (const char *const *)argv, &err);
	int status = finish(&cli, rc, &err);
	cli_done(&cli);
	return status;
}
