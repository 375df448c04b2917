#include "cmd/demo_local.h"

#include <limits.h>
#include <sys/stat.h>

#include "agents/demo_plant.h"
#include "base/err.h"
#include "cmd/cli.h"
#include "cmd/demo_conf.h"
#include "cmd/demo_home.h"
#include "cmd/demo_net.h"
#include "cmd/demo_stage.h"
#include "cmd/demo_verb.h"

/*
 *	plant -> vault -> [writer runs: backups, a day later: backups] -> stop -> drill -> verify
 *
 * INVARIANTS
 * (1) Everything but the plant itself is done by the public verbs, with files left in the
 *     directory.
 */

#define LOCAL_STEPS 7

struct local {
	struct demo_stage *stage;
	char drill_key[PATH_MAX], report_key[PATH_MAX], report_pub[PATH_MAX], sources[PATH_MAX],
		staging[PATH_MAX];
};

static int make_paths(struct local *d, struct err *err)
{
	const struct demo_home *h = d->stage->home;
	int rc = demo_home_join(h, "keys/drill.key", d->drill_key, err);
	if (rc == 0)
		rc = demo_home_join(h, "keys/report.key", d->report_key, err);
	if (rc == 0)
		rc = demo_home_join(h, "keys/report.key.pub", d->report_pub, err);
	if (rc == 0)
		rc = demo_home_join(h, DEMO_CONF_SOURCES, d->sources, err);
	return rc == 0 ? demo_home_join(h, "conf/staging", d->staging, err) : rc;
}

static int make_vault(struct local *d, struct err *err)
{
	static const char *const half[] = { "vault", "keys", "conf/state", "conf/cache" };
	static const char note[] =
		"These keys belong to a demonstration.  In a real plant nobody keeps the\n"
		"passphrase, the recovery file and the vault in one place.\n";
	const char *const init[] = { "init", "--vault", d->stage->vault, "--writer-key",
		d->stage->writer_key, "--recovery-file", d->stage->recovery, "--passphrase-file",
		d->stage->passphrase, "--drill-group", "line3", "--drill-key-out", d->drill_key,
		NULL };
	const char *const key[] = { "report", "key", "new", "--out", d->report_key, NULL };
	char keys[PATH_MAX];
	int rc = demo_home_join(d->stage->home, "keys", keys, err);
	for (size_t i = 0; i < sizeof(half) / sizeof(half[0]) && rc == 0; i++)
		rc = demo_home_remove(d->stage->home, half[i], err);
	if (rc == 0 && mkdir(keys, 0700) != 0)
		rc = err_sys(err, ERR_IO, "unable to create '%s'", keys);
	if (rc == 0)
		rc = demo_home_write(d->stage->home, "keys/DEMO-ONLY", note, false, err);
	if (rc == 0)
		rc = demo_stage_passphrase(d->stage, err);
	if (rc == 0)
		rc = demo_stage_verb(d->stage, init, err);
	if (rc == 0)
		rc = demo_stage_verb(d->stage, key, err);
	return rc == 0 ? demo_home_write(d->stage->home, DEMO_LOCAL_DONE, "yes\n", false, err) : rc;
}

static int do_vault(struct local *d, struct err *err)
{
	const bool is_there = demo_home_has(d->stage->home, DEMO_LOCAL_DONE);
	int rc = demo_stage_chapter(d->stage, "A vault and its keys",
		is_there ? "The one made before is used again."
			 : "Backups need the writer key only, drills the drill key only; the "
			   "passphrase stays in its drawer.",
		err);
	return rc == 0 && !is_there ? make_vault(d, err) : rc;
}

static int back_up(struct local *d, struct err *err)
{
	static const char *const names[] = { "hist3", "batch3", "plc3" };
	int rc = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc == 0; i++) {
		const char *const words[] = { "backup", "--vault", d->stage->vault, "--writer-key",
			d->stage->writer_key, "--config", d->sources, "--source", names[i],
			"--staging", d->staging, NULL };
		rc = demo_stage_verb(d->stage, words, err);
	}
	return rc;
}

static int do_first(struct local *d, struct err *err)
{
	int rc = demo_stage_chapter(d->stage, "A backup while the plant runs",
		"A writer inserts samples all the time; the database is copied through its own "
		"protocol, nothing is stopped.",
		err);
	if (rc == 0)
		rc = demo_stage_start_writer(d->stage, err);
	return rc == 0 ? back_up(d, err) : rc;
}

static int do_second(struct local *d, struct err *err)
{
	int rc = demo_stage_chapter(d->stage, "A day later, the next backup",
		"New samples, five more batches, two edited projects: only what changed is read "
		"and stored.",
		err);
	if (rc == 0)
		rc = demo_stage_next_day(d->stage, err);
	return rc == 0 ? back_up(d, err) : rc;
}

static int do_disaster(struct local *d, struct err *err)
{
	const char *const words[] = { "verify", "--vault", d->stage->vault, "--writer-key",
		d->stage->writer_key, NULL };
	int rc = demo_stage_chapter(d->stage, "The disaster",
		"The writer and the historian are stopped.  What is left is the vault; is it "
		"whole?",
		err);
	if (rc == 0)
		rc = demo_stage_disaster(d->stage, err);
	return rc == 0 ? demo_stage_verb(d->stage, words, err) : rc;
}

static int do_drill(struct local *d, struct err *err)
{
	const char *const lint[] = { "plan", "lint", d->stage->plan, NULL };
	const char *const words[] = { "drill", "run", "--vault", d->stage->vault, "--writer-key",
		d->stage->writer_key, "--plan", d->stage->plan, "--drill-key", d->drill_key,
		"--report-key", d->report_key, "--reports", d->stage->reports, "--work",
		demo_home_path(d->stage->home), "--scenario",
		"demonstration: the historian was stopped on purpose", NULL };
	int rc = demo_stage_chapter(d->stage, "The drill",
		"The continuity plan, carried out in a sandbox that reaches nothing: restore, "
		"start, check, measure, break a copy on purpose, clean up.",
		err);
	if (rc == 0)
		rc = demo_stage_verb(d->stage, lint, err);
	const struct demo_verb call = { .words = words };
	int status = 0;
	demo_stage_set_notice(d->stage, NULL); /* the drill says it itself */
	if (rc == 0)
		rc = demo_verb_run(d->stage->home, &d->stage->cli->console, &call, &status, err);
	demo_stage_set_notice(d->stage, DEMO_STAGE_NOTICE);
	return rc == 0 ? demo_stage_judge(d->stage, status, err) : rc;
}

/* A directory belongs to one form. */
static int check_form(const struct demo_stage *s, struct err *err)
{
	if (!demo_home_has(s->home, DEMO_NET_DONE))
		return 0;
	(void)err_set(err, ERR_EXISTS, "'%s' holds a demonstration made with a controller",
		demo_home_path(s->home));
	return err_hint(err, "leave --in-process out, or name another directory");
}

int demo_local_run(struct demo_stage *s, struct cli *cli, const char *dir, struct err *err)
{
	int (*const steps[])(struct local * d, struct err * err) = { do_vault, do_first, do_second,
		do_disaster, do_drill };
	struct local d = { .stage = s };
	int rc = demo_stage_open(s, cli, dir, LOCAL_STEPS, err);
	if (rc == 0)
		rc = check_form(s, err);
	if (rc == 0)
		rc = make_paths(&d, err);
	if (rc == 0)
		rc = demo_stage_plant(s, err);
	if (rc == 0)
		rc = demo_conf_sources(s->home, demo_plant_postgres(s->plant), err);
	if (rc == 0)
		rc = demo_conf_plan(s->home, demo_plant_postgres(s->plant), err);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && rc == 0; i++)
		rc = steps[i](&d, err);
	const char *const keys[] = { d.report_pub, NULL };
	return rc == 0 ? demo_stage_report(s, "reports", keys, err) : rc;
}
