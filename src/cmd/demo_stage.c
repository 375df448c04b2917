#include "cmd/demo_stage.h"

#include <poll.h>
#include <stdio.h>
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
#include "base/escape.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "cmd/demo_conf.h"
#include "cmd/demo_home.h"
#include "cmd/demo_verb.h"
#include "cmd/report_shelf.h"
#include "cmd/stop.h"
#include "codec/jsonx.h"
#include "restore/report_shape.h"
#include "restore/report_words.h"
#include "vault/keyring.h"

/*
 * INVARIANTS
 * (1) The verdict that is told is read from the signed report, not from what a verb printed.
 * (2) Historian and writer are stopped and reaped on every way out.
 */

#define DEMO_DAY_OVERHANG_MS 250 /* more than a day's scans at one a millisecond */
#define DEMO_SEED UINT64_C(20261124)

void demo_stage_done(struct demo_stage *s)
{
	demo_writer_free(s->writer);
	demo_plant_free(s->plant);
	demo_home_close(s->home);
}

void demo_stage_set_notice(const struct demo_stage *s, const char *text)
{
	if (console_is_chatty(&s->cli->console))
		stop_set_notice(text, s->farewell);
}

static void make_farewell(struct demo_stage *s, const char *dir)
{
	char safe[DEMO_STAGE_FAREWELL_BYTES - 256];
	(void)escape_str(safe, sizeof(safe), dir); /* cut is fine */
	(void)snprintf(s->farewell, sizeof(s->farewell),
		"holdfast: ended at once: what it started stops by itself within a minute; what a "
		"drill restored may be left in holdfast-drill-* below '%s': remove that\n",
		safe); /* fits */
}

static int make_paths(struct demo_stage *s, struct err *err)
{
	const struct {
		const char *name;
		char *out;
	} paths[] = {
		{ "vault", s->vault },
		{ "keys/writer.key", s->writer_key },
		{ "keys/passphrase", s->passphrase },
		{ "keys/recovery", s->recovery },
		{ "reports", s->reports },
		{ DEMO_CONF_PLAN, s->plan },
	};
	int rc = 0;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && rc == 0; i++)
		rc = demo_home_join(s->home, paths[i].name, paths[i].out, err);
	const char *place = cli_text(s->cli, "vault");
	if (rc == 0 && place != NULL && snprintf(s->vault, PATH_MAX, "%s", place) >= PATH_MAX)
		rc = err_set(err, ERR_LIMIT, "--vault is too long");
	return rc;
}

static int tell_environment(struct demo_stage *s, struct err *err)
{
	CLEANUP(buf_done) struct buf dir = BUF_INIT(2 * PATH_MAX);
	int rc = demo_home_quote(demo_home_path(s->home), &dir, err);
	const char *text = rc == 0 ? buf_cstr(&dir) : NULL;
	if (rc != 0 || text == NULL)
		return rc != 0 ? rc : err_set(err, ERR_NOMEM, "out of memory");
	return demo_home_tell(s->home, err,
		"\n    export HOLDFAST_CONFIG_DIR=%s/keys HOLDFAST_STATE_DIR=%s/conf/state "
		"HOLDFAST_CACHE_DIR=%s/conf/cache\n",
		text, text, text);
}

int demo_stage_open(
	struct demo_stage *s, struct cli *cli, const char *dir, int steps, struct err *err)
{
	s->cli = cli;
	s->steps = steps;
	s->start_ns = env_mono_ns();
	make_farewell(s, dir);
	demo_stage_set_notice(s, DEMO_STAGE_NOTICE);
	int rc = demo_home_open(dir, &s->home, err);
	if (rc == 0)
		rc = make_paths(s, err);
	return rc == 0 ? tell_environment(s, err) : rc;
}

int demo_stage_chapter(struct demo_stage *s, const char *title, const char *why, struct err *err)
{
	if (stop_is_asked(NULL))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	s->step++;
	console_print(&s->cli->console, "\n[%d/%d] %s\n  %s\n", s->step, s->steps, title, why);
	(void)fflush(stdout); /* console_flush() tells */
	return demo_home_tell(s->home, err, "\n%d. %s\n   %s\n", s->step, title, why);
}

int demo_stage_verb(struct demo_stage *s, const char *const *words, struct err *err)
{
	const struct demo_verb verb = { .words = words };
	int status = 0;
	int rc = demo_verb_run(s->home, &s->cli->console, &verb, &status, err);
	if (rc != 0)
		return rc;
	if (status == EXIT_STATUS_OK || status == EXIT_STATUS_WARNINGS)
		return 0;
	return err_set(err, ERR_FAILED, "'holdfast %s' ended with status %d", words[0], status);
}

/* ---- the plant ---- */

static int make_plant(struct demo_stage *s, struct err *err)
{
	static const char *const parts[] = { DEMO_PLANT_PG, DEMO_PLANT_BATCH, DEMO_PLANT_PLC,
		DEMO_PLANT_STATE };
	const struct demo_plant_opts opts = { .seed = DEMO_SEED };
	const char *dir = demo_home_path(s->home);
	if (demo_plant_is_there(dir))
		return demo_plant_open(dir, &s->plant, err);
	/* what an interrupted run left half made; the directory is marked as ours */
	int rc = 0;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && rc == 0; i++)
		rc = demo_home_remove(s->home, parts[i], err);
	return rc == 0 ? demo_plant_create(dir, &opts, &s->plant, err) : rc;
}

int demo_stage_plant(struct demo_stage *s, struct err *err)
{
	int rc = demo_stage_chapter(s, "A plant",
		demo_plant_is_there(demo_home_path(s->home))
			? "The one made before is started again: a PostgreSQL historian, batch "
			  "records, controller projects."
			: "A PostgreSQL historian with 300,000 samples, 400 electronic batch "
			  "records, 40 controller projects.",
		err);
	if (rc == 0)
		rc = make_plant(s, err);
	if (rc != 0)
		return rc;
	console_print(&s->cli->console, "  the historian listens on 127.0.0.1 port %d\n",
		demo_postgres_port(demo_plant_postgres(s->plant)));
	return 0;
}

int demo_stage_start_writer(struct demo_stage *s, struct err *err)
{
	return demo_writer_start(demo_plant_postgres(s->plant), demo_plant_seed(s->plant),
		DEMO_WRITER_RATE, &s->writer, err);
}

int demo_stage_stop_writer(struct demo_stage *s, struct err *err)
{
	s->rows += demo_writer_rows(s->writer);
	int rc = demo_writer_stop(s->writer, err);
	demo_writer_free(TAKE(s->writer));
	return rc;
}

int demo_stage_next_day(struct demo_stage *s, struct err *err)
{
	/* one hand writes at a time: the day's samples fill the time up to now and a little more */
	int rc = demo_stage_stop_writer(s, err);
	if (rc == 0)
		rc = demo_plant_next_day(s->plant, 0, err);
	if (rc != 0)
		return rc;
	(void)poll(NULL, 0, DEMO_DAY_OVERHANG_MS); /* a pause; an interruption is seen later */
	return demo_stage_start_writer(s, err);
}

int demo_stage_disaster(struct demo_stage *s, struct err *err)
{
	int rc = demo_stage_stop_writer(s, err);
	if (rc == 0)
		rc = demo_plant_stop(s->plant, err);
	if (rc != 0)
		return rc;
	console_print(&s->cli->console, "  %llu samples were written while backups ran\n",
		(unsigned long long)s->rows);
	return 0;
}

int demo_stage_passphrase(struct demo_stage *s, struct err *err)
{
	char text[KEYRING_PASSPHRASE_BYTES];
	int rc = keyring_passphrase(text, err);
	return rc == 0 ? demo_home_write(s->home, "keys/passphrase", text, true, err) : rc;
}

/* ---- the verdict and the report ---- */

static int take_verdict(
	void *arg, const char *name, const struct report_check *check, const struct err *why)
{
	(void)name, (void)why; /* a broken report of before is not what we look for */
	struct demo_stage *s = arg;
	static int64_t newest;
	if (check == NULL || check->report->exercise.started < newest)
		return 0;
	newest = check->report->exercise.started;
	s->verdict = check->report->verdict.overall;
	(void)snprintf(s->exercise, sizeof(s->exercise), "%s",
		check->report->exercise.exercise_id); /* a UUID fits */
	return 0;
}

int demo_stage_judge(struct demo_stage *s, int status, struct err *err)
{
	s->drill_status = status;
	if (status != EXIT_STATUS_OK && status != EXIT_STATUS_OBJECTIVE)
		return err_set(
			err, ERR_FAILED, "'holdfast drill run' ended with status %d", status);
	int rc = report_shelf_walk(s->reports, take_verdict, s, err);
	if (rc == 0 && s->exercise[0] == '\0')
		rc = err_set(err, ERR_FAILED, "the drill left no report");
	return rc;
}

/* Where everything lies that the drill left. */
struct left {
	char json[PATH_MAX], html[PATH_MAX], evidence[PATH_MAX];
};

static int drill_path(const struct demo_stage *s, const char *shelf, const char *end,
	char out[PATH_MAX], struct err *err)
{
	char name[128];
	(void)snprintf(name, sizeof(name), "%s/%s%s", shelf, s->exercise, end); /* fits */
	return demo_home_join(s->home, name, out, err);
}

/* The command that verifies, as one line for a shell. */
static int verify_line(const char *const *words, struct buf *out, struct err *err)
{
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (n < 0)
		return err_sys(err, ERR_IO, "unable to find this program");
	program[n] = '\0';
	int rc = demo_home_quote(program, out, err);
	for (size_t i = 0; words[i] != NULL && rc == 0; i++) {
		rc = buf_add8(out, ' ', err);
		if (rc == 0)
			rc = demo_home_quote(words[i], out, err);
	}
	return rc;
}

static int tell(
	struct demo_stage *s, const struct left *left, const char *const *words, struct err *err)
{
	struct console *c = &s->cli->console;
	CLEANUP(buf_done) struct buf line = BUF_INIT(4 * PATH_MAX);
	char took[HUMAN_BYTES];
	int rc = verify_line(words, &line, err);
	const char *command = rc == 0 ? buf_cstr(&line) : NULL;
	if (rc != 0 || command == NULL)
		return rc != 0 ? rc : err_set(err, ERR_NOMEM, "out of memory");
	(void)human_duration(took, env_mono_ns() - s->start_ns);
	if (c->is_json &&
		console_object(c, "demo", NULL,
			json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:i}", "verdict",
				report_shape_word(report_shape_verdicts, s->verdict), "exercise_id",
				s->exercise, "report", jsonx_name(left->json, strlen(left->json)),
				"page", jsonx_name(left->html, strlen(left->html)), "evidence",
				jsonx_name(left->evidence, strlen(left->evidence)), "verify",
				jsonx_name(command, strlen(command)), "exit_status",
				s->drill_status)) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	console_print(c, "\nverdict        %s (all of it took %s)\n",
		report_words_verdict(s->verdict), took);
	console_print(c, "signed report  %s\npage to read   %s\n", left->json, left->html);
	console_print(c, "its evidence   %s\n", left->evidence);
	console_print(c, "verify it      %s\n", command);
	return demo_home_tell(s->home, err,
		"\nVerdict: %s\nThe signed report: %s\nThe page to read: %s\n"
		"The evidence, files that the report lists with their SHA-256: %s\n",
		report_words_verdict(s->verdict), left->json, left->html, left->evidence);
}

int demo_stage_report(
	struct demo_stage *s, const char *shelf, const char *const *keys, struct err *err)
{
	struct left left;
	const char *words[DEMO_VERB_MAX_WORDS] = { "report", "verify", left.json };
	size_t n = 3;
	int rc = demo_stage_chapter(s, "The report",
		"Signed; anybody who has the public key can check it, without the vault and "
		"without us.",
		err);
	if (rc == 0)
		rc = drill_path(s, "reports", ".json", left.json, err);
	if (rc == 0)
		rc = drill_path(s, "reports", ".html", left.html, err);
	if (rc == 0)
		rc = drill_path(s, shelf, "/evidence", left.evidence, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; keys[i] != NULL && n + 2 < DEMO_VERB_MAX_WORDS; i++) {
		words[n++] = "--key";
		words[n++] = keys[i];
	}
	rc = demo_stage_verb(s, words, err);
	return rc == 0 ? tell(s, &left, words, err) : rc;
}
