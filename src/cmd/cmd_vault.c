#include "cmd/cmd_vault.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/escape.h"
#include "base/human.h"
#include "cmd/access.h"
#include "cmd/bad_packs.h"
#include "cmd/drivers.h"
#include "cmd/lock_seen.h"
#include "cmd/lock_show.h"
#include "cmd/paths.h"
#include "cmd/stop.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/collect.h"
#include "vault/id_set.h"
#include "vault/lock_keep.h"
#include "vault/undelete.h"
#include "vault/vault.h"
#include "vault/vault_info.h"

static int64_t next_of(const struct vault_info *v)
{
	return v->oldest_dead_ns == 0 ? 0 : v->oldest_dead_ns + COLLECT_GRACE_NS;
}

static int add_fact(void *arg, const char *name, const char *value)
{
	return json_object_set_new(arg, name, json_string(value)); /* -1: out of memory */
}

static int add_facts(json_t *o, const struct store *store, struct err *err)
{
	json_t *facts = json_pack("{s:s}", "driver", store_driver_name(store));
	if (facts == NULL || store_facts(store, add_fact, facts) != 0) {
		json_decref(facts);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	return json_object_set_new(o, "store", facts) == 0
		       ? 0
		       : err_set(err, ERR_NOMEM, "out of memory");
}

/* What is told: the vault's numbers, and how well it is locked (NULL: nothing is to be). */
struct info {
	struct vault_info vault;
	struct lock_keep_result *locks;
};

static int tell_json(struct console *c, const struct access *a, const char *id,
	const struct info *info, struct err *err)
{
	const struct vault_info *v = &info->vault;
	char when[HUMAN_BYTES];
	json_t *classes = json_object();
	for (size_t i = 0; i < VAULT_INFO_CLASSES; i++) {
		if (v->classes[i].objects > 0)
			(void)json_object_set_new(classes, v->classes[i].name,
				json_pack("{s:I, s:I}", "objects",
					(json_int_t)v->classes[i].objects, "bytes",
					(json_int_t)v->classes[i].bytes)); /* NULL: seen below */
	}
	json_t *o = json_pack("{s:s, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"vault_id", id, "objects", (json_int_t)v->objects, "bytes", (json_int_t)v->bytes,
		"classes", classes, "snapshots", (json_int_t)v->snapshots, "sources",
		(json_int_t)v->sources, "pruned", (json_int_t)v->pruned, "voided",
		(json_int_t)v->voided, "records", (json_int_t)v->records, "index_memory",
		(json_int_t)v->index_memory, "index_mapped", (json_int_t)v->index_mapped,
		"index_segments", (json_int_t)v->index_segments);
	json_t *more = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
				 "s:I, s:o}",
		"packs", (json_int_t)v->packs, "pack_bytes", (json_int_t)v->pack_bytes,
		"live_bytes", (json_int_t)v->live_bytes, "waste_bytes", (json_int_t)v->waste_bytes,
		"unknown_packs", (json_int_t)v->unknown_packs, "unknown_bytes",
		(json_int_t)v->unknown_bytes, "missing_records", (json_int_t)v->missing_records,
		"sessions", (json_int_t)v->sessions, "restores", (json_int_t)v->restores, "fenced",
		(json_int_t)v->fenced, "condemned", (json_int_t)v->condemned, "condemned_bytes",
		(json_int_t)v->condemned_bytes, "dead", (json_int_t)v->dead, "dead_bytes",
		(json_int_t)v->dead_bytes, "next",
		next_of(v) == 0 ? json_null() : json_string(human_time_utc(when, next_of(v))));
	int rc = o == NULL ? 0 : add_facts(o, a->store, err);
	if (rc != 0)
		return rc;
	if (o == NULL || more == NULL || json_object_update_new(o, more) != 0 ||
		json_object_set_new(o, "locks",
			info->locks == NULL ? json_null()
					    : lock_show_json(a->store, info->locks)) != 0 ||
		console_object(c, "vault-info", NULL, o) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int tell_fact(void *arg, const char *name, const char *value)
{
	console_print(arg, "%-14s %-15s %s\n", "", name, value);
	return 0;
}

static void tell_line(struct console *c, const char *what, uint64_t count, uint64_t bytes)
{
	char size[HUMAN_BYTES];
	console_print(c, "%-14s %10llu  %10s\n", what, (unsigned long long)count,
		human_size(size, bytes));
}

static void tell_text(
	struct console *c, const struct store *store, const char *id, const struct vault_info *v)
{
	char a[HUMAN_BYTES];
	char b[HUMAN_BYTES];
	console_print(c, "%-14s %s\n", "vault", id);
	console_print(c, "%-14s %s\n", "store", store_driver_name(store));
	(void)store_facts(store, tell_fact, c); /* tell_fact goes on */
	for (size_t i = 0; i < VAULT_INFO_CLASSES; i++) {
		if (v->classes[i].objects > 0)
			tell_line(
				c, v->classes[i].name, v->classes[i].objects, v->classes[i].bytes);
	}
	tell_line(c, "objects", v->objects, v->bytes);
	console_print(c, "%-14s %llu of %llu sources; %llu pruned and %llu void on their way out\n",
		"snapshots", (unsigned long long)v->snapshots, (unsigned long long)v->sources,
		(unsigned long long)v->pruned, (unsigned long long)v->voided);
	console_print(c, "%-14s %llu with %s, %s of it needed, ", "packs",
		(unsigned long long)v->packs, human_size(a, v->pack_bytes),
		human_size(b, v->live_bytes));
	console_print(c, "%s not\n", human_size(a, v->waste_bytes));
	console_print(c, "%-14s %llu records in %llu segments, %.1f bytes of memory each, ",
		"index", (unsigned long long)v->records, (unsigned long long)v->index_segments,
		v->records == 0 ? 0.0 : (double)v->index_memory / (double)v->records);
	console_print(c, "%s of it mapped\n", human_size(a, v->index_mapped));
	console_print(c, "%-14s %llu backups and %llu restores open, %llu given up\n", "sessions",
		(unsigned long long)v->sessions, (unsigned long long)v->restores,
		(unsigned long long)v->fenced);
	console_print(c, "%-14s %llu objects with %s condemned\n", "collection",
		(unsigned long long)v->condemned, human_size(a, v->condemned_bytes));
	if (v->dead > 0)
		console_print(c, "%-14s %llu objects with %s dead; the grace of 7 days ends %s\n",
			"", (unsigned long long)v->dead, human_size(a, v->dead_bytes),
			human_time_local(b, next_of(v)));
	if (v->unknown_packs > 0)
		console_warn(c, NULL, 0,
			"%llu packs (%s) are in no index and cannot be read; see 'holdfast verify' "
			"and 'holdfast repair'",
			(unsigned long long)v->unknown_packs, human_size(a, v->unknown_bytes));
	if (v->missing_records > 0)
		console_warn(c, NULL, 0,
			"%llu records that snapshots need are missing; see 'holdfast verify'",
			(unsigned long long)v->missing_records);
}

/* So many objects, spread over all, tell how well a vault is locked; each is a request. */
#define LOCKS_ASKED 10000

static void on_asked(void *arg, uint64_t done, uint64_t total)
{
	struct console *c = arg;
	struct progress_state s = { .what = "locks looked at", .items = done };
	(void)total; /* it is counted in bytes there */
	if (progress_is_due(&c->progress))
		progress_draw(&c->progress, &s);
}

/* Return true if ${out} tells something.  A key that may not look is told, and no more. */
static bool see_locks(struct console *c, struct access *a, struct lock_keep_result *out)
{
	struct store_lock lock;
	struct err why = ERR_INIT;
	const struct lock_keep_opts opts = {
		.is_dry_run = true, .most = LOCKS_ASKED, .on_progress = on_asked, .arg = c
	};
	store_locks_by(a->store, &lock);
	if (lock.mode == STORE_LOCK_NONE)
		return false;
	int rc = lock_keep_run(a->store, a->vault, &opts, out, &why);
	progress_clear(&c->progress);
	if (rc == 0)
		return true;
	console_warn(c, NULL, 0, "unable to see how objects are locked: %s", why.msg);
	return false;
}

static int run(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	struct lock_keep_result locks;
	struct info info = { .locks = NULL };
	bool has_locks = false;
	struct id_set *bad = NULL;
	char dir[PATH_MAX];
	char id[33];
	int rc = access_open(cli, ACCESS_LIST, DRIVERS_READ, &a, err);
	if (rc == 0 && paths_dir(PATHS_STATE, a.vault_id, dir, NULL) == 0)
		(void)bad_packs_load(dir, &bad, NULL); /* without it they count as good */
	if (rc == 0)
		rc = vault_info_get(a.vault, bad, &info.vault, err);
	if (rc == 0)
		has_locks = see_locks(&cli->console, &a, &locks);
	if (rc == 0 && has_locks)
		info.locks = &locks;
	if (rc == 0) {
		text_hex(a.vault_id, sizeof(a.vault_id), id);
		if (cli->console.is_json)
			rc = tell_json(&cli->console, &a, id, &info, err);
		else
			tell_text(&cli->console, a.store, id, &info.vault);
		if (has_locks && !cli->console.is_json)
			lock_show_text(&cli->console, "locks", &locks);
		if (has_locks)
			lock_show_warn(&cli->console, &locks);
	}
	if (rc == 0 && cli->console.warnings > 0)
		cli->status = EXIT_STATUS_WARNINGS;
	id_set_free(bad);
	access_done(&a);
	return rc;
}

static int tell_trial(void *arg, const char *name, const char *value)
{
	struct cli *cli = arg;
	if (!cli->console.is_json)
		console_print(&cli->console, "%-16s %s\n", name, value);
	return 0;
}

struct trials {
	struct cli *cli;
	json_t *list; /* owned */
};

static int note_trial(void *arg, const char *name, const char *value)
{
	struct trials *t = arg;
	if (json_array_append_new(
		    t->list, json_pack("{s:s, s:s}", "name", name, "outcome", value)) != 0)
		return -ERR_NOMEM;
	return tell_trial(t->cli, name, value);
}

static int prove(struct cli *cli, struct store *store, struct err *err)
{
	struct console *c = &cli->console;
	struct trials t = { .cli = cli, .list = json_array() };
	bool is_kept = false;
	int rc = t.list == NULL ? err_set(err, ERR_NOMEM, "out of memory")
				: store_prove(store, note_trial, &t, &is_kept, err);
	if (rc == -ERR_NOMEM && err->code == 0)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc != 0) {
		json_decref(t.list);
		return rc;
	}
	cli->status = is_kept ? EXIT_STATUS_OK : EXIT_STATUS_OBJECTIVE;
	if (!c->is_json) {
		console_print(
			c, is_kept ? "kept: the store withstood our own key\n"
				   : "not kept: whoever has our key can destroy this vault\n");
		json_decref(t.list);
		return 0;
	}
	json_t *o = json_pack("{s:s, s:b, s:o}", "driver", store_driver_name(store), "is_kept",
		is_kept, "trials", t.list);
	if (o == NULL || console_object(c, "vault-prove", NULL, o) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int run_prove(struct cli *cli, struct err *err)
{
	struct store *store = NULL;
	int rc = drivers_open(cli, DRIVERS_WRITE, NULL, &store, err);
	if (rc == 0)
		rc = prove(cli, store, err);
	store_free(store);
	return rc;
}

static const struct cli_option options[] = {
	ACCESS_RECOVERY_OPTION,
	{ .name = NULL },
};

const struct cli_verb cmd_vault_info_verb = {
	.name = "vault info",
	.arguments = "",
	.summary = "tell what the vault holds: objects, bytes needed and wasted, index, sessions",
	.about = "Reads the lists of every snapshot, no content. What is not needed comes back "
		 "with 'holdfast gc'.",
	.json = "one object",
	.options = options,
	.groups = CLI_VAULT | CLI_PASS,
	.run = run,
};

static const struct cli_option no_options[] = {
	{ .name = NULL },
};

const struct cli_verb cmd_vault_prove_verb = {
	.name = "vault prove-immutability",
	.arguments = "",
	.summary = "try to destroy a canary in the store with our own key, and tell what is left "
		   "of it",
	.about =
		"Writes one small object beside the vault, overwrites and deletes it, and reads it "
		"back. Exit status 4 when it is gone. What the store keeps of it stays there.",
	.json = "one object",
	.options = no_options,
	.groups = CLI_VAULT,
	.run = run_prove,
};

/* ---- vault lock ----------------------------------------------------------------------------- */

static int tell_lock(struct cli *cli, const struct store *store, bool is_dry_run,
	const struct lock_keep_result *r, struct err *err)
{
	struct console *c = &cli->console;
	lock_show_warn(c, r);
	if (c->is_json) {
		json_t *o = lock_show_json(store, r);
		if (o == NULL || json_object_set_new(o, "dry_run", json_boolean(is_dry_run)) != 0 ||
			console_object(c, "vault-lock", NULL, o) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
		return 0;
	}
	lock_show_text(c, "locks", r);
	console_print(c, "%-14s %llu %slocked anew\n", "", (unsigned long long)r->extended,
		is_dry_run ? "would be " : "");
	return 0;
}

/* The policy that was asked for is noted first. */
static int set_policy(struct cli *cli, struct access *a, bool *is_off, struct err *err)
{
	const char *text = cli_text(cli, "policy");
	struct store_lock lock;
	if (text == NULL)
		return 0;
	int rc = store_lock_parse(text, &lock, err);
	if (rc == 0)
		rc = store_set_lock(a->store, &lock, err);
	if (rc == 0)
		lock_seen_tell(&cli->console, drivers_location(cli), &lock);
	*is_off = rc == 0 && lock.mode == STORE_LOCK_NONE;
	return rc;
}

static int keep(struct cli *cli, struct access *a, struct err *err)
{
	const struct lock_keep_opts opts = { .is_dry_run = cli_is_set(cli, "dry-run"),
		.on_progress = on_asked,
		.arg = &cli->console };
	bool is_off = false;
	struct lock_keep_result r = { .objects = 0 };
	store_stop_when(a->store, stop_is_asked, NULL);
	int rc = set_policy(cli, a, &is_off, err);
	if (rc == 0 && !is_off)
		rc = lock_keep_run(a->store, a->vault, &opts, &r, err);
	progress_clear(&cli->console.progress);
	if (rc != 0)
		return rc;
	if (is_off)
		console_note(&cli->console, "Nothing is locked from now on; locks that are there "
					    "run out by themselves.");
	rc = tell_lock(cli, a->store, opts.is_dry_run, &r, err);
	if (rc == 0 && r.failed > 0)
		rc = err_set(err, r.why.code == 0 ? ERR_FAILED : (enum err_code)r.why.code,
			"%llu objects are not locked as they should be",
			(unsigned long long)r.failed);
	return rc;
}

static int run_keep(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	enum drivers_mode mode = cli_is_set(cli, "dry-run") ? DRIVERS_READ : DRIVERS_WRITE;
	int rc = 0;
	if (cli_is_set(cli, "dry-run") && cli_is_set(cli, "policy"))
		rc = err_set(err, ERR_USAGE, "--dry-run and --policy exclude each other");
	a.sets_lock = cli_is_set(cli, "policy");
	if (rc == 0)
		rc = cli_is_set(cli, "all") ? access_open_keyless(cli, mode, &a, err)
					    : access_open(cli, ACCESS_LIST, mode, &a, err);
	if (rc == 0)
		rc = keep(cli, &a, err);
	if (rc == 0 && cli->console.warnings > 0)
		cli->status = EXIT_STATUS_WARNINGS;
	access_done(&a);
	return rc;
}

static const struct cli_option keep_options[] = {
	{ .name = "policy",
		.kind = CLI_TEXT,
		.argument = "MODE:DURATION",
		.help = "lock like that from now on, everybody who writes to this vault: "
			"compliance:30d, governance:30d or off" },
	{ .name = "all",
		.help = "without asking the vault what its snapshots need, and without a key: "
			"every "
			"object that is ever locked" },
	{ .name = "dry-run", .letter = 'n', .help = "only say what would be locked" },
	ACCESS_RECOVERY_OPTION,
	{ .name = NULL },
};

const struct cli_verb cmd_vault_lock_verb = {
	.name = "vault lock",
	.arguments = "",
	.summary = "see to it that what snapshots need stays locked in its object store",
	.about = "Asks of every object that live snapshots need until when it is locked, and locks "
		 "it anew where less is left than the policy says. What no snapshot needs any more "
		 "is left to run out. Run it from a timer, well within the policy's duration; "
		 "'holdfast gc' does it too. Repeated it does what is left.",
	.json = "one object",
	.options = keep_options,
	.groups = CLI_VAULT | CLI_PASS,
	.run = run_keep,
};

/* ---- vault undelete ------------------------------------------------------------------------- */

static void on_object(
	void *arg, const char *name, bool was_replaced, uint64_t size, const struct err *why)
{
	struct cli *cli = arg;
	struct console *c = &cli->console;
	char safe[ERR_MSG_BYTES] = "";
	if (why != NULL)
		(void)escape_str(safe, sizeof(safe), why->msg); /* cut is fine */
	if (c->is_json) {
		(void)console_object(c, "vault-undelete", "object",
			json_pack("{s:s, s:s, s:I, s:b, s:s}", "object", name, "was",
				was_replaced ? "replaced" : "removed", "bytes", (json_int_t)size,
				"is_back", why == NULL, "why",
				safe)); /* counted in the summary anyway */
		return;
	}
	if (why == NULL && !console_is_chatty(c))
		return;
	console_print(c, "%s  ", why == NULL ? "BACK" : "FAIL");
	console_print_name(c, name, strlen(name));
	console_print(c, ": was %s%s%s\n", was_replaced ? "replaced" : "removed",
		why == NULL ? "" : ": ", safe);
}

static int tell_undelete(
	struct cli *cli, bool is_dry_run, const struct undelete_result *r, struct err *err)
{
	char size[HUMAN_BYTES];
	struct console *c = &cli->console;
	if (c->is_json) {
		json_t *o = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			"dry_run", (int)is_dry_run, "names", (json_int_t)r->names, "removed",
			(json_int_t)r->removed, "replaced", (json_int_t)r->replaced, "back",
			(json_int_t)r->back, "back_bytes", (json_int_t)r->back_bytes, "failed",
			(json_int_t)r->failed, "snapshots", (json_int_t)r->snapshots, "unread",
			(json_int_t)r->unread, "missing_records", (json_int_t)r->missing);
		if (console_object(c, "vault-undelete", "summary", o) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
		return 0;
	}
	console_count(c, r->snapshots, "snapshot; ", "snapshots; ");
	console_print(c, "of what is needed %llu objects were removed and %llu replaced\n",
		(unsigned long long)r->removed, (unsigned long long)r->replaced);
	console_print(c, "%llu objects (%s) %s\n", (unsigned long long)r->back,
		human_size(size, r->back_bytes), is_dry_run ? "would be brought back" : "are back");
	if (r->back > 0 && !is_dry_run)
		console_note(c,
			"Now 'holdfast repair' (it makes the index anew), 'holdfast verify' "
			"and 'holdfast vault lock'.");
	return 0;
}

static int undelete(struct cli *cli, struct access *a, struct store *now, struct err *err)
{
	struct undelete_result r;
	struct undelete_opts opts = {
		.is_dry_run = cli_is_set(cli, "dry-run"), .arg = cli, .on_object = on_object
	};
	store_stop_when(now, stop_is_asked, NULL);
	int rc = undelete_run(a->vault, now, &opts, &r, err);
	if (rc == 0)
		rc = tell_undelete(cli, opts.is_dry_run, &r, err);
	if (rc == 0 && r.unread > 0)
		console_warn(&cli->console, NULL, 0,
			"%llu objects could not be read on the way (-v names them)",
			(unsigned long long)r.unread);
	if (rc == 0 && r.failed + r.missing > 0)
		rc = err_set(err, ERR_CORRUPT,
			"%llu objects could not be brought back, and %llu records that snapshots "
			"need are in no version of any pack",
			(unsigned long long)r.failed, (unsigned long long)r.missing);
	return rc;
}

static int run_undelete(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	struct store *now = NULL;
	bool is_dry_run = cli_is_set(cli, "dry-run");
	a.sets_lock = true; /* nothing is put there; what is, goes by the other one */
	int rc = access_open(cli, ACCESS_LIST, DRIVERS_OLDEST, &a, err);
	if (rc == 0)
		rc = drivers_open(cli, is_dry_run ? DRIVERS_READ : DRIVERS_WRITE, NULL, &now, err);
	if (rc == 0)
		(void)lock_seen_use(
			&cli->console, drivers_location(cli), !is_dry_run, now); /* it is told */
	if (rc == 0)
		rc = undelete(cli, &a, now, err);
	if (rc == 0 && cli->console.warnings > 0)
		cli->status = EXIT_STATUS_WARNINGS;
	store_free(now);
	access_done(&a);
	return rc;
}

static const struct cli_option undelete_options[] = {
	{ .name = "dry-run", .letter = 'n', .help = "only say what would be brought back" },
	ACCESS_RECOVERY_OPTION,
	{ .name = NULL },
};

const struct cli_verb cmd_vault_undelete_verb = {
	.name = "vault undelete",
	.arguments = "",
	.summary = "bring back what somebody removed or replaced in an object store that keeps "
		   "versions",
	.about =
		"Reads the vault behind what came over it (view=oldest), and makes of all that its "
		"snapshots need the true version the one that is read again: what lies over it is "
		"deleted, or where the key may not do that, its bytes are put over it once more. "
		"What was pruned stays away. Repeated it does what is left. Stop who did it first.",
	.json = "JSON lines: object, summary",
	.options = undelete_options,
	.groups = CLI_VAULT | CLI_PASS,
	.run = run_undelete,
};
