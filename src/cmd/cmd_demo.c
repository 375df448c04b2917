#include "cmd/cmd_demo.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/demo_plant.h"
#include "agents/demo_postgres.h"
#include "agents/demo_writer.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "cmd/demo_conf.h"
#include "cmd/demo_home.h"
#include "cmd/demo_verb.h"
#include "cmd/report_shelf.h"
#include "cmd/stop.h"
#include "codec/jsonx.h"
#include "restore/report.h"
#include "restore/report_shape.h"
#include "restore/report_words.h"
#include "vault/keyring.h"

/*
 *	plant -> vault -> [writer runs: backups, a day later: backups] -> stop -> drill -> verify
 *
 * INVARIANTS
 * (1) Everything but the plant itself is done by the public verbs, with files left in the
 *directory. (2) The verdict that is told is read from the signed report, not from what a verb
 *printed. (3) Historian and writer are stopped and reaped on every way out.
 */

#define DEMO_STEPS 7
#define DEMO_DAY_OVERHANG_MS 250 /* more than a day's scans at one a millisecond */
#define DEMO_SEED UINT64_C(20261124)
#define DEMO_VAULT_DONE "keys/complete" /* written when vault and keys are whole */

struct demo {
	struct cli *cli;
	struct demo_home *home;     /* owned */
	struct demo_plant *plant;   /* owned */
	struct demo_writer *writer; /* owned */
	int64_t start_ns;
	uint64_t rows; /* written while backups ran */
	int step;
	int drill_status;
	/* words of commands */
	char vault[PATH_MAX], writer_key[PATH_MAX], drill_key[PATH_MAX], report_key[PATH_MAX],
		report_pub[PATH_MAX], reports[PATH_MAX], sources[PATH_MAX], plan[PATH_MAX],
		passphrase[PATH_MAX], recovery[PATH_MAX], staging[PATH_MAX];
	/* of the drill */
	char exercise[64];
	enum report_verdict verdict;
};

static void demo_done(struct demo *d)
{
	demo_writer_free(d->writer);
	demo_plant_free(d->plant);
	demo_home_close(d->home);
}

static int make_paths(struct demo *d, struct err *err)
{
	const struct {
		const char *name;
		char *out;
	} paths[] = {
		{ "vault", d->vault },
		{ "keys/writer.key", d->writer_key },
		{ "keys/drill.key", d->drill_key },
		{ "keys/report.key", d->report_key },
		{ "keys/report.key.pub", d->report_pub },
		{ "keys/passphrase", d->passphrase },
		{ "keys/recovery", d->recovery },
		{ "reports", d->reports },
		{ DEMO_CONF_SOURCES, d->sources },
		{ DEMO_CONF_PLAN, d->plan },
		{ "conf/staging", d->staging },
	};
	int rc = 0;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && rc == 0; i++)
		rc = demo_home_join(d->home, paths[i].name, paths[i].out, err);
	return rc;
}

/* A new chapter: what and why, on the terminal and in the README. */
static int chapter(struct demo *d, const char *title, const char *why, struct err *err)
{
	if (stop_is_asked(NULL))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	d->step++;
	console_print(&d->cli->console, "\n[%d/%d] %s\n  %s\n", d->step, DEMO_STEPS, title, why);
	(void)fflush(stdout); /* console_flush() tells */
	return demo_home_tell(d->home, err, "\n%d. %s\n   %s\n", d->step, title, why);
}

/* Run a verb that must end well; a backup may have warnings. */
static int verb(struct demo *d, const char *const *words, struct err *err)
{
	int status = 0;
	int rc = demo_verb_run(d->home, &d->cli->console, words, &status, err);
	if (rc != 0)
		return rc;
	if (status == EXIT_STATUS_OK || status == EXIT_STATUS_WARNINGS)
		return 0;
	return err_set(err, ERR_FAILED, "'holdfast %s' ended with status %d", words[0], status);
}

/* ---- 1: the plant ---- */

static int make_plant(struct demo *d, struct err *err)
{
	static const char *const parts[] = { DEMO_PLANT_PG, DEMO_PLANT_BATCH, DEMO_PLANT_PLC,
		DEMO_PLANT_STATE };
	const struct demo_plant_opts opts = { .seed = DEMO_SEED };
	const char *dir = demo_home_path(d->home);
	if (demo_plant_is_there(dir))
		return demo_plant_open(dir, &d->plant, err);
	/* what an interrupted run left half made; the directory is marked as ours */
	int rc = 0;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && rc == 0; i++)
		rc = demo_home_remove(d->home, parts[i], err);
	return rc == 0 ? demo_plant_create(dir, &opts, &d->plant, err) : rc;
}

static int do_plant(struct demo *d, struct err *err)
{
	int rc = chapter(d, "A plant",
		demo_plant_is_there(demo_home_path(d->home))
			? "The one made before is started again: a PostgreSQL historian, batch "
			  "records, controller projects."
			: "A PostgreSQL historian with 300,000 samples, 400 electronic batch "
			  "records, 40 controller projects.",
		err);
	if (rc == 0)
		rc = make_plant(d, err);
	if (rc == 0)
		rc = demo_conf_write(d->home, demo_plant_postgres(d->plant), err);
	if (rc != 0)
		return rc;
	console_print(&d->cli->console, "  the historian listens on 127.0.0.1 port %d\n",
		demo_postgres_port(demo_plant_postgres(d->plant)));
	return 0;
}

/* ---- 2: the vault ---- */

static int write_passphrase(struct demo *d, struct err *err)
{
	char text[KEYRING_PASSPHRASE_BYTES];
	int rc = keyring_passphrase(text, err);
	return rc == 0 ? demo_home_write(d->home, "keys/passphrase", text, true, err) : rc;
}

static int make_vault(struct demo *d, struct err *err)
{
	static const char *const half[] = { "vault", "keys", "conf/state", "conf/cache" };
	static const char note[] =
		"These keys belong to a demonstration.  In a real plant nobody keeps the\n"
		"passphrase, the recovery file and the vault in one place.\n";
	const char *const init[] = { "init", "--vault", d->vault, "--writer-key", d->writer_key,
		"--recovery-file", d->recovery, "--passphrase-file", d->passphrase, "--drill-group",
		"line3", "--drill-key-out", d->drill_key, NULL };
	const char *const key[] = { "report", "key", "new", "--out", d->report_key, NULL };
	char keys[PATH_MAX];
	int rc = demo_home_join(d->home, "keys", keys, err);
	for (size_t i = 0; i < sizeof(half) / sizeof(half[0]) && rc == 0; i++)
		rc = demo_home_remove(d->home, half[i], err);
	if (rc == 0 && mkdir(keys, 0700) != 0)
		rc = err_sys(err, ERR_IO, "unable to create '%s'", keys);
	if (rc == 0)
		rc = demo_home_write(d->home, "keys/DEMO-ONLY", note, false, err);
	if (rc == 0)
		rc = write_passphrase(d, err);
	if (rc == 0)
		rc = verb(d, init, err);
	if (rc == 0)
		rc = verb(d, key, err);
	return rc == 0 ? demo_home_write(d->home, DEMO_VAULT_DONE, "yes\n", false, err) : rc;
}

static int do_vault(struct demo *d, struct err *err)
{
	const bool is_there = demo_home_has(d->home, DEMO_VAULT_DONE);
	int rc = chapter(d, "A vault and its keys",
		is_there ? "The one made before is used again."
			 : "Backups need the writer key only, drills the drill key only; the "
			   "passphrase stays in its drawer.",
		err);
	return rc == 0 && !is_there ? make_vault(d, err) : rc;
}

/* ---- 3, 4: backups ---- */

static int back_up(struct demo *d, struct err *err)
{
	static const char *const names[] = { "hist3", "batch3", "plc3" };
	int rc = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc == 0; i++) {
		const char *const words[] = { "backup", "--vault", d->vault, "--writer-key",
			d->writer_key, "--config", d->sources, "--source", names[i], "--staging",
			d->staging, NULL };
		rc = verb(d, words, err);
	}
	return rc;
}

static int start_writer(struct demo *d, struct err *err)
{
	return demo_writer_start(demo_plant_postgres(d->plant), demo_plant_seed(d->plant),
		DEMO_WRITER_RATE, &d->writer, err);
}

static int stop_writer(struct demo *d, struct err *err)
{
	d->rows += demo_writer_rows(d->writer);
	int rc = demo_writer_stop(d->writer, err);
	demo_writer_free(TAKE(d->writer));
	return rc;
}

static int do_first(struct demo *d, struct err *err)
{
	int rc = chapter(d, "A backup while the plant runs",
		"A writer inserts samples all the time; the database is copied through its own "
		"protocol, nothing is stopped.",
		err);
	if (rc == 0)
		rc = start_writer(d, err);
	return rc == 0 ? back_up(d, err) : rc;
}

static int do_second(struct demo *d, struct err *err)
{
	int rc = chapter(d, "A day later, the next backup",
		"New samples, five more batches, two edited projects: only what changed is read "
		"and stored.",
		err);
	/* one hand writes at a time: the day's samples fill the time up to now and a little more */
	if (rc == 0)
		rc = stop_writer(d, err);
	if (rc == 0)
		rc = demo_plant_next_day(d->plant, 0, err);
	if (rc == 0) {
		(void)poll(
			NULL, 0, DEMO_DAY_OVERHANG_MS); /* a pause; an interruption is seen later */
		rc = start_writer(d, err);
	}
	return rc == 0 ? back_up(d, err) : rc;
}

/* ---- 5: the disaster ---- */

static int do_disaster(struct demo *d, struct err *err)
{
	const char *const words[] = { "verify", "--vault", d->vault, "--writer-key", d->writer_key,
		NULL };
	int rc = chapter(d, "The disaster",
		"The writer and the historian are stopped.  What is left is the vault; is it "
		"whole?",
		err);
	if (rc != 0)
		return rc;
	rc = stop_writer(d, err);
	if (rc == 0)
		rc = demo_plant_stop(d->plant, err);
	if (rc != 0)
		return rc;
	console_print(&d->cli->console, "  %llu samples were written while backups ran\n",
		(unsigned long long)d->rows);
	return verb(d, words, err);
}

/* ---- 6: the drill ---- */

static int take_verdict(
	void *arg, const char *name, const struct report_check *check, const struct err *why)
{
	(void)name, (void)why; /* a broken report of before is not what we look for */
	struct demo *d = arg;
	static int64_t newest;
	if (check == NULL || check->report->exercise.started < newest)
		return 0;
	newest = check->report->exercise.started;
	d->verdict = check->report->verdict.overall;
	(void)snprintf(d->exercise, sizeof(d->exercise), "%s",
		check->report->exercise.exercise_id); /* a UUID fits */
	return 0;
}

static int do_drill(struct demo *d, struct err *err)
{
	const char *const lint[] = { "plan", "lint", d->plan, NULL };
	const char *const words[] = { "drill", "run", "--vault", d->vault, "--writer-key",
		d->writer_key, "--plan", d->plan, "--drill-key", d->drill_key, "--report-key",
		d->report_key, "--reports", d->reports, "--work", demo_home_path(d->home),
		"--scenario", "demonstration: the historian was stopped on purpose", NULL };
	int rc = chapter(d, "The drill",
		"The continuity plan, carried out in a sandbox that reaches nothing: restore, "
		"start, check, measure, break a copy on purpose, clean up.",
		err);
	if (rc == 0)
		rc = verb(d, lint, err);
	if (rc == 0)
		rc = demo_verb_run(d->home, &d->cli->console, words, &d->drill_status, err);
	if (rc != 0)
		return rc;
	if (d->drill_status != EXIT_STATUS_OK && d->drill_status != EXIT_STATUS_OBJECTIVE)
		return err_set(err, ERR_FAILED, "'holdfast drill run' ended with status %d",
			d->drill_status);
	rc = report_shelf_walk(d->reports, take_verdict, d, err);
	if (rc == 0 && d->exercise[0] == '\0')
		rc = err_set(err, ERR_FAILED, "the drill left no report");
	return rc;
}

/* ---- 7: the report ---- */

static int report_path(const struct demo *d, const char *end, char out[PATH_MAX], struct err *err)
{
	char name[128];
	(void)snprintf(name, sizeof(name), "reports/%s%s", d->exercise, end); /* fits */
	return demo_home_join(d->home, name, out, err);
}

/* The command that verifies, as one line for a shell. */
static int verify_line(const struct demo *d, const char *json, struct buf *out, struct err *err)
{
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (n < 0)
		return err_sys(err, ERR_IO, "unable to find this program");
	program[n] = '\0';
	const char *const words[] = { program, " report verify ", json, " --key ", d->report_pub };
	int rc = 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && rc == 0; i++)
		rc = words[i][0] == ' ' ? buf_add(out, words[i], strlen(words[i]), err)
					: demo_home_quote(words[i], out, err);
	return rc;
}

static int tell(struct demo *d, const char *json, const char *html, struct err *err)
{
	struct console *c = &d->cli->console;
	CLEANUP(buf_done) struct buf line = BUF_INIT(4 * PATH_MAX);
	char took[HUMAN_BYTES];
	int rc = verify_line(d, json, &line, err);
	const char *command = rc == 0 ? buf_cstr(&line) : NULL;
	if (rc != 0 || command == NULL)
		return rc != 0 ? rc : err_set(err, ERR_NOMEM, "out of memory");
	(void)human_duration(took, env_mono_ns() - d->start_ns);
	if (c->is_json &&
		console_object(c, "demo", NULL,
			json_pack("{s:s, s:s, s:o, s:o, s:o, s:i}", "verdict",
				report_shape_word(report_shape_verdicts, d->verdict), "exercise_id",
				d->exercise, "report", jsonx_name(json, strlen(json)), "page",
				jsonx_name(html, strlen(html)), "verify",
				jsonx_name(command, strlen(command)), "exit_status",
				d->drill_status)) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	console_print(c, "\nverdict        %s (all of it took %s)\n",
		report_words_verdict(d->verdict), took);
	console_print(c, "signed report  %s\npage to read   %s\n", json, html);
	console_print(c, "verify it      %s\n", command);
	return demo_home_tell(d->home, err,
		"\nVerdict: %s\nThe signed report: %s\nThe page to read: %s\n",
		report_words_verdict(d->verdict), json, html);
}

static int do_report(struct demo *d, struct err *err)
{
	char json[PATH_MAX], html[PATH_MAX];
	int rc = chapter(d, "The report",
		"Signed; anybody who has the public key can check it, without the vault and "
		"without us.",
		err);
	if (rc == 0)
		rc = report_path(d, ".json", json, err);
	if (rc == 0)
		rc = report_path(d, ".html", html, err);
	if (rc != 0)
		return rc;
	const char *const words[] = { "report", "verify", json, "--key", d->report_pub, NULL };
	rc = verb(d, words, err);
	return rc == 0 ? tell(d, json, html, err) : rc;
}

/* ---- */

static int tell_environment(struct demo *d, struct err *err)
{
	CLEANUP(buf_done) struct buf dir = BUF_INIT(2 * PATH_MAX);
	int rc = demo_home_quote(demo_home_path(d->home), &dir, err);
	const char *text = rc == 0 ? buf_cstr(&dir) : NULL;
	if (rc != 0 || text == NULL)
		return rc != 0 ? rc : err_set(err, ERR_NOMEM, "out of memory");
	return demo_home_tell(d->home, err,
		"\n    export HOLDFAST_CONFIG_DIR=%s/keys HOLDFAST_STATE_DIR=%s/conf/state "
		"HOLDFAST_CACHE_DIR=%s/conf/cache\n",
		text, text, text);
}

static int all(struct demo *d, const char *dir, struct err *err)
{
	int (*const steps[])(struct demo * d, struct err * err) = { do_plant, do_vault, do_first,
		do_second, do_disaster, do_drill, do_report };
	int rc = demo_home_open(dir, &d->home, err);
	if (rc == 0)
		rc = make_paths(d, err);
	if (rc == 0)
		rc = tell_environment(d, err);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && rc == 0; i++)
		rc = steps[i](d, err);
	return rc;
}

static int run(struct cli *cli, struct err *err)
{
	CLEANUP(demo_done) struct demo d = { .cli = cli, .start_ns = env_mono_ns() };
	const char *dir = cli_text(cli, "dir");
	if (dir == NULL)
		return err_set(
			err, ERR_USAGE, "--dir DIR is needed: where the demonstration lives");
	int rc = all(&d, dir, err);
	if (rc != 0 && stop_is_asked(NULL))
		return err_set(err, ERR_INTERRUPTED,
			"the demonstration was interrupted; nothing of it runs any more");
	if (rc == 0)
		cli->status = d.drill_status;
	return rc;
}

static const struct cli_option options[] = {
	{ .name = "dir",
		.kind = CLI_TEXT,
		.argument = "DIR",
		.help = "a new directory, or one of an earlier demonstration, which goes on" },
	{ .name = NULL },
};

const struct cli_verb cmd_demo_verb = {
	.name = "demo",
	.arguments = "",
	.summary = "make a plant, back it up while it runs, and drill its recovery",
	.about = "Everything is made below DIR and by the public verbs; DIR/README lists each "
		 "command.  Needs PostgreSQL 15 and bubblewrap, no privilege, and about 300 MB.  "
		 "The "
		 "exit status is 0 only if the drill passed.",
	.json = "one object",
	.options = options,
	.run = run,
};
