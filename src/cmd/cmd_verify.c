#include "cmd/cmd_verify.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/human.h"
#include "cmd/access.h"
#include "cmd/bad_packs.h"
#include "cmd/paths.h"
#include "cmd/stop.h"
#include "codec/text.h"
#include "vault/verify.h"
#include "vault/verify_ages.h"

struct run {
	struct cli *cli;
	const struct access *access;
	uint64_t done, total;
	bool is_rolled_back;
	uint8_t (*bad)[32]; /* packs found damaged; owned */
	size_t bad_count;
	struct verify_ages *ages; /* owned; NULL: this host has no memory */
	char path[PATH_MAX];      /* of their file */
	int64_t kept_ns;          /* when they were written last, monotonic */
};

#define KEEP_NS (INT64_C(30) * 1000000000)

static void tell_finding(struct run *r, bool is_warning, const char *object, const char *what)
{
	char safe[4096];
	struct console *c = &r->cli->console;
	(void)escape_str(safe, sizeof(safe), what); /* cut is fine */
	if (c->is_json) {
		(void)console_object(c, "verify", "finding",
			json_pack("{s:s, s:s, s:s}", "severity", is_warning ? "warning" : "problem",
				"object", object, "what",
				safe)); /* counted in the summary anyway */
		return;
	}
	progress_clear(&c->progress);
	console_print(c, "%s  ", is_warning ? "WARN" : "FAIL");
	console_print_name(c, object, strlen(object));
	console_print(c, ": %s\n", safe);
}

/* A damaged pack is kept for remember(); without memory for it the next verify does. */
static void keep_bad(struct run *r, const char *object)
{
	size_t len = strlen(object);
	uint8_t hash[32];
	if (strncmp(object, "pk/", 3) != 0 || len < 64 || r->bad_count == BAD_PACKS_MAX ||
		text_unhex(object + len - 64, sizeof(hash), hash) != 0)
		return;
	uint8_t(*grown)[32] = reallocarray(r->bad, r->bad_count + 1, sizeof(*grown));
	if (grown == NULL)
		return;
	r->bad = grown;
	memcpy(r->bad[r->bad_count++], hash, sizeof(hash));
}

static void on_finding(void *arg, const struct verify_finding *f)
{
	tell_finding(arg, f->is_warning, f->object, f->what);
	if (!f->is_warning)
		keep_bad(arg, f->object);
}

/* So that the next backup of this host stores anew what it needs of them. */
static void remember(struct run *r, const struct access *a)
{
	char dir[PATH_MAX];
	struct err why = ERR_INIT;
	int rc = access_memory_dir(r->cli, a->vault_id, dir, &why);
	if (rc == 0)
		rc = bad_packs_store(dir, (const uint8_t(*)[32])r->bad, r->bad_count, &why);
	if (rc != 0)
		console_note(&r->cli->console,
			"holdfast: %s, continuing without a memory of damaged packs", why.msg);
}

/* Whether parity brings a damaged object back. */
static void on_repair(void *arg, const char *object, bool is_repairable)
{
	struct run *r = arg;
	struct console *c = &r->cli->console;
	if (c->is_json) {
		(void)console_object(c, "verify", "repair",
			json_pack("{s:s, s:b}", "object", object, "from_parity",
				(int)is_repairable)); /* counted in the summary anyway */
		return;
	}
	progress_clear(&c->progress);
	console_print(c, "      ");
	console_print_name(c, object, strlen(object));
	console_print(c, ": repairable from parity: %s\n", is_repairable ? "yes" : "no");
}

/* What was read so far, so that the next run can go on there, whatever ends this one. */
static void keep_ages(struct run *r, bool is_whole)
{
	struct err why = ERR_INIT;
	r->kept_ns = env_mono_ns();
	if (r->ages != NULL && verify_ages_store(r->ages, r->path, is_whole, &why) != 0)
		console_note(&r->cli->console, "holdfast: %s, continuing", why.msg);
}

static int load_ages(struct run *r, const struct access *a, struct err *err)
{
	char dir[PATH_MAX];
	struct err why = ERR_INIT;
	bool is_wanted = cli_is_set(r->cli, "older-than") || cli_is_set(r->cli, "budget") ||
			 cli_is_set(r->cli, "sample");
	int rc = access_memory_dir(r->cli, a->vault_id, dir, &why);
	if (rc == 0)
		rc = paths_make(dir, &why);
	if (rc == 0 && snprintf(r->path, sizeof(r->path), "%s/verified", dir) >= PATH_MAX)
		rc = err_set(&why, ERR_LIMIT, "path '%s' is too long", dir);
	if (rc == 0)
		rc = verify_ages_new(&r->ages, &why);
	if (rc == 0)
		rc = verify_ages_load(r->ages, r->path, &why);
	if (rc == 0)
		return 0;
	if (is_wanted && rc != -ERR_CORRUPT) {
		if (err != NULL)
			*err = why;
		return err_wrap(err, "unable to tell what was verified before");
	}
	if (rc == -ERR_CORRUPT)
		console_warn(&r->cli->console, NULL, 0, "%s; all of it is read", why.msg);
	else {
		verify_ages_free(r->ages);
		r->ages = NULL;
	}
	return 0;
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct run *r = arg;
	struct console *c = &r->cli->console;
	r->done++;
	access_beat(r->access);
	if (env_mono_ns() - r->kept_ns >= KEEP_NS)
		keep_ages(r, false);
	if (!progress_is_due(&c->progress))
		return;
	struct progress_state s = {
		.what = "objects", .items = r->done, .bytes = done, .total = total
	};
	progress_draw(&c->progress, &s);
	if (c->wants_status)
		(void)console_object(c, "verify", "status",
			json_pack("{s:I, s:I}", "bytes", (json_int_t)done, "total",
				(json_int_t)total)); /* the next one comes */
}

/* What this host remembers of the vault, as findings. */
static int check_memory(struct run *r, struct access *a, struct verify_result *v, struct err *err)
{
	struct err why = ERR_INIT;
	uint64_t before = r->cli->console.warnings;
	v->warnings += a->has_odd_lock;
	int rc = access_snapshots(r->cli, a, &why);
	if (rc == -ERR_ROLLBACK || rc == -ERR_CORRUPT) {
		v->problems++;
		r->is_rolled_back = rc == -ERR_ROLLBACK;
		tell_finding(r, false, "sn/", why.msg);
		return 0;
	}
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (r->cli->console.warnings > before && a->damaged == 0)
		v->warnings++; /* accepted with --accept-rollback */
	return 0;
}

/* What lies in the store and belongs to no snapshot: no fault, but it takes space. */
static void tell_waiting(struct run *r, uint64_t files, uint64_t bytes)
{
	char size[HUMAN_BYTES];
	if (files > 0)
		console_note(&r->cli->console,
			"tmp/ holds %llu file%s (%s) of backups that were killed or still run; the "
			"next backup removes what is older than a day",
			(unsigned long long)files, files == 1 ? "" : "s", human_size(size, bytes));
}

static int sum_up(struct run *r, const struct verify_result *v, bool has_data, struct err *err)
{
	char size[HUMAN_BYTES];
	uint64_t waiting = 0, waiting_bytes = 0;
	struct console *c = &r->cli->console;
	drivers_waiting(r->cli, &waiting, &waiting_bytes);
	tell_waiting(r, waiting, waiting_bytes);
	if (c->is_json) {
		json_t *o = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
				      "s:I, s:I, s:I, s:I, s:I}",
			"data", (int)has_data, "objects", (json_int_t)v->objects, "packs",
			(json_int_t)v->packs, "records", (json_int_t)v->records, "snapshots",
			(json_int_t)v->snapshots, "files", (json_int_t)v->files, "bytes",
			(json_int_t)v->bytes, "problems", (json_int_t)v->problems, "warnings",
			(json_int_t)v->warnings, "tmp_files", (json_int_t)waiting, "tmp_bytes",
			(json_int_t)waiting_bytes, "parity_objects", (json_int_t)v->parity_objects,
			"repairable", (json_int_t)v->repairable, "left_packs",
			(json_int_t)v->left_packs, "left_bytes", (json_int_t)v->left_bytes,
			"left_snapshots", (json_int_t)v->left_snapshots);
		if (console_object(c, "verify", "summary", o) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
	} else {
		console_count(c, v->objects, "object, ", "objects, ");
		console_count(c, v->packs, "pack, ", "packs, ");
		console_count(c, v->records, "record, ", "records, ");
		console_count(c, v->snapshots, "snapshot, ", "snapshots, ");
		if (has_data)
			console_count(c, v->files, "file, ", "files, ");
		console_print(c, "%s: ", human_size(size, v->bytes));
		if (v->problems == 0 && v->warnings == 0)
			console_print(c, "OK%s\n", has_data ? "" : " (content not opened)");
		else {
			console_count(c, v->problems, "problem, ", "problems, ");
			console_count(c, v->warnings, "warning\n", "warnings\n");
		}
	}
	if (!c->is_json && v->left_packs > 0) {
		console_count(c, v->left_packs, "pack, ", "packs, ");
		console_print(c, "%s, not read this time\n", human_size(size, v->left_bytes));
	}
	if (!c->is_json && v->left_snapshots > 0)
		console_count(c, v->left_snapshots, "snapshot not opened this time\n",
			"snapshots not opened this time\n");
	if (v->problems > 0) {
		err_set(err, r->is_rolled_back ? ERR_ROLLBACK : ERR_CORRUPT,
			"the vault has %llu problem%s", (unsigned long long)v->problems,
			v->problems == 1 ? "" : "s");
		return err_hint(err, r->is_rolled_back
					     ? "find out who replaced or cut the store; "
					       "restore from another copy meanwhile"
					     : "'holdfast repair' brings back what parity or "
					       "a copy of the store (--from) can and names "
					       "what is lost; a backup from this host stores "
					       "anew what damaged packs held");
	}
	if (v->warnings > 0)
		r->cli->status = EXIT_STATUS_WARNINGS;
	return 0;
}

static int parse_part(const struct cli *cli, struct verify_opts *o, struct err *err)
{
	const char *text = cli_text(cli, "older-than");
	const int64_t percent = cli_number(cli, "sample", 0);
	if (text != NULL && human_parse_duration(text, &o->older_than_ns) != 0)
		return err_set(err, ERR_USAGE,
			"--older-than wants a duration like 30d or 12h, not '%s'", text);
	if (percent > 100)
		return err_set(err, ERR_USAGE, "--sample wants a part of 100, not %lld",
			(long long)percent);
	if (percent > 0 && cli_is_set(cli, "budget"))
		return err_set(err, ERR_USAGE, "give --budget or --sample, not both");
	o->budget_percent = (unsigned)percent;
	o->budget_bytes = (uint64_t)cli_number(cli, "budget", 0);
	return 0;
}

static int verify(struct cli *cli, struct access *a, struct err *err)
{
	struct run r = { .cli = cli, .access = a };
	struct verify_result result = { .objects = 0 };
	struct verify_opts opts = { .sk = a->has_content ? a->content_sk : NULL,
		.arg = &r,
		.on_finding = on_finding,
		.on_repair = on_repair,
		.on_progress = on_progress,
		.is_stopped = stop_is_asked };
	int rc = parse_part(cli, &opts, err);
	if (rc == 0)
		rc = load_ages(&r, a, err);
	opts.ages = r.ages;
	r.kept_ns = env_mono_ns();
	if (rc == 0) {
		rc = verify_run(a->vault, &opts, &result, err);
		keep_ages(&r, rc == 0);
	}
	if (rc == 0) {
		remember(&r, a);
		rc = check_memory(&r, a, &result, err);
	}
	free(r.bad);
	verify_ages_free(r.ages);
	return rc != 0 ? rc : sum_up(&r, &result, a->has_content, err);
}

static int run(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	bool has_data = cli_is_set(cli, "data");
	int rc = access_open(cli, has_data ? ACCESS_CONTENT : ACCESS_LIST, DRIVERS_READ, &a, err);
	if (rc == 0) {
		a.has_content = has_data; /* a recovery file that only opened the vault */
		access_hold(cli, &a);
		rc = verify(cli, &a, err);
	}
	access_done(&a);
	return rc;
}

static const struct cli_option options[] = {
	{ .name = "data",
		.help = "open every file of every snapshot and compare its digest; needs a key "
			"that opens content" },
	{ .name = "older-than",
		.kind = CLI_TEXT,
		.argument = "DURATION",
		.help = "leave packs that this host read whole within that time, and with --data "
			"snapshots whose content it opened (\"30d\"): so a run that was stopped "
			"goes on" },
	{ .name = "budget",
		.kind = CLI_SIZE,
		.argument = "SIZE",
		.help = "read packs of at most that size, those first that were not read for "
			"longest" },
	{ .name = "sample",
		.kind = CLI_COUNT,
		.argument = "PERCENT",
		.help = "the same as a part of all packs" },
	ACCESS_LIMIT_OPTIONS,
	{ .name = NULL },
};

const struct cli_verb cmd_verify_verb = {
	.name = "verify",
	.arguments = "",
	.summary = "prove that the vault holds what was put there",
	.about =
		"Every object is read: it must hash to its name and open; every record, reference, "
		"chain and signature is checked; and what this host remembers of the vault is "
		"compared.  Findings are results: they are on standard output.  Packs found "
		"damaged are remembered on this host: its next backup reads every file and stores "
		"anew what it needs of them; older snapshots get back what they share with it.  "
		"What was read whole is remembered, too, while it goes on: with --older-than, "
		"--budget or --sample a run reads only a part of the packs.  Of the others it "
		"checks that they are there with all that snapshots need, by their footers; what "
		"was found damaged is always read.",
	.json = "JSON lines: finding, status, summary",
	.options = options,
	.groups = CLI_VAULT | CLI_CONTENT,
	.run = run,
};
