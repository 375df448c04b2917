#include "cmd/cmd_copy.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "base/log.h"
#include "cmd/access.h"
#include "cmd/bad_packs.h"
#include "cmd/lock_seen.h"
#include "cmd/paths.h"
#include "cmd/rollback.h"
#include "cmd/stop.h"
#include "codec/text.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "store/store_readback.h"
#include "vault/copy.h"
#include "vault/copy_keys.h"
#include "vault/hold.h"
#include "vault/id_set.h"
#include "vault/snapshot_sources.h"
#include "vault/vault.h"

/*
 * INVARIANTS
 * (1) What this host remembers of the replica is kept apart from what it remembers of the vault:
 *     a replica is behind without having gone back.
 */

DEFINE_CLEANUP(struct rollback *, rollback_free)

struct job {
	struct cli *cli;
	struct access access; /* the vault */
	struct store *to_store;
	struct store_readback *readback; /* of to_store */
	struct vault *to;                /* the replica */
	struct hold *hold;
	struct id_set *bad; /* owned; packs of the replica found damaged */
	char memory[PATH_MAX];
	uint8_t (*named)[32]; /* owned; the snapshots that the arguments mean */
	uint64_t keys;
	struct copy_result result;
	int64_t start_ns;
};

static int check_options(const struct cli *cli, struct err *err)
{
	bool is_all = cli_is_set(cli, "all");
	const char *source = cli_text(cli, "source");
	if (cli_text(cli, "to") == NULL) {
		err_set(err, ERR_USAGE, "--to is needed: where the copy goes");
		return err_hint(err, "a new copy is begun with --init in an empty directory");
	}
	if (is_all && (source != NULL || cli->arg_count > 0))
		return err_set(err, ERR_USAGE, "--all goes with neither --source nor snapshots");
	if (!is_all && source == NULL && cli->arg_count == 0)
		return err_set(
			err, ERR_USAGE, "say what to copy: snapshots, --source NAME, or --all");
	return 0;
}

/* The keys that opened the vault open its replica. */
static void same_keys(const struct access *a, struct vault_keys *out)
{
	const struct sealed_key *k = vault_sealed_key(a->vault);
	memset(out, 0, sizeof(*out));
	memcpy(out->vault_id, k->vault_id, sizeof(out->vault_id));
	out->kv_epoch = k->kv_epoch;
	memcpy(out->k_vault, k->k_vault, sizeof(out->k_vault));
	out->has_officer = a->has_writer || a->has_root;
	memcpy(out->officer_pk, a->has_writer ? a->writer.officer_pk : a->root.officer_pk,
		sizeof(out->officer_pk));
}

/* Where the vault can be written to, hold its collection back meanwhile. */
static void hold(struct job *j)
{
	static const uint8_t none[32];
	struct err why = ERR_INIT;
	struct store *store = NULL;
	int rc = drivers_open(j->cli, DRIVERS_WRITE, NULL, &store, &why);
	if (rc == 0)
		rc = hold_begin(j->access.vault, store, none, &j->hold, &why);
	if (rc != 0)
		log_info("copy.hold", "%s, continuing without holding collection", why.msg);
}

/* Packs of the replica that this host found damaged; without memory the copy trusts its index. */
static void remember_bad(struct job *j)
{
	struct err why = ERR_INIT;
	if (j->memory[0] != '\0' && bad_packs_load(j->memory, &j->bad, &why) != 0)
		console_warn(&j->cli->console, NULL, 0,
			"%s; continuing without a memory of damaged packs", why.msg);
}

static int open_replica(struct job *j, struct err *err)
{
	const char *location = cli_text(j->cli, "to");
	bool is_init = cli_is_set(j->cli, "init");
	struct vault_keys keys;
	int rc = drivers_open_limited(location, is_init ? DRIVERS_CREATE : DRIVERS_WRITE,
		&j->access.limits, &j->to_store, err);
	if (rc == 0)
		rc = hold_refuse_same(j->hold, j->to_store, err);
	if (rc == 0) /* before the first object is put; it is told */
		(void)lock_seen_use(&j->cli->console, location, true, j->to_store);
	if (rc == 0)
		rc = store_readback_add(j->to_store, &j->readback, err);
	if (rc == 0)
		rc = copy_keys_carry(j->access.store, j->to_store, is_init, &j->keys, err);
	same_keys(&j->access, &keys);
	if (rc == 0)
		rc = vault_open(j->to_store, &keys, &j->to, err);
	secret_wipe(&keys, sizeof(keys));
	return rc == 0 ? 0 : err_wrap(err, "unable to copy to '%s'", location);
}

static void pass_over(void *arg, const char *object, const struct err *why)
{
	(void)object; /* the copy itself tells of it */
	(void)why;
	++*(uint64_t *)arg;
}

/* Invariant 1: has the replica gone back? */
static int check_memory(struct job *j, struct err *err)
{
	struct snapshot_list list = { .at = NULL };
	CLEANUP(rollback_free_p) struct rollback *memory = NULL;
	struct err why = ERR_INIT;
	uint64_t damaged = 0;
	if (j->memory[0] == '\0')
		return 0;
	int rc = rollback_load(j->memory, &memory, &why); /* before the list: see rollback.h */
	if (rc == 0) {
		rc = snapshot_list(j->to, pass_over, &damaged, &list, err);
		if (rc != 0)
			return rc;
		rc = rollback_check(memory, &list, damaged, &why);
		snapshot_list_done(&list);
	}
	if (rc == -ERR_ROLLBACK && cli_is_set(j->cli, "accept-rollback")) {
		console_warn(&j->cli->console, NULL, 0, "the copy: %s; accepted", why.msg);
		return 0;
	}
	if (rc == -ERR_ROLLBACK || rc == -ERR_CORRUPT) {
		if (err != NULL)
			*err = why;
		return err_wrap(err, "the copy '%s'", cli_text(j->cli, "to"));
	}
	if (rc != 0)
		log_info("copy.memory", "%s, continuing without a memory of the copy", why.msg);
	return 0;
}

/* Invariant 1: what it holds now. */
static int remember(struct job *j, struct err *err)
{
	struct snapshot_list list = { .at = NULL };
	struct err why = ERR_INIT;
	uint64_t damaged = 0;
	if (j->memory[0] == '\0')
		return 0;
	int rc = snapshot_list(j->to, pass_over, &damaged, &list, err);
	if (rc != 0)
		return rc;
	if (rollback_update(j->memory, &list, cli_is_set(j->cli, "accept-rollback") && damaged == 0,
		    &why) != 0)
		log_info("copy.memory", "%s, continuing without a memory of the copy", why.msg);
	snapshot_list_done(&list);
	return 0;
}

static void find_memory(struct job *j)
{
	struct err why = ERR_INIT;
	int rc = access_replica_dir(cli_text(j->cli, "to"), j->access.vault_id, j->memory, &why);
	if (rc == 0)
		rc = paths_make(j->memory, &why);
	if (rc != 0) {
		j->memory[0] = '\0';
		log_info("copy.memory", "%s, continuing without a memory of the copy", why.msg);
	}
}

static int pick_named(struct job *j, struct err *err)
{
	const struct snapshot *snap = NULL;
	const char *source = cli_text(j->cli, "source");
	int rc = 0;
	if (source != NULL) /* a name that no snapshot has is a mistake */
		rc = snapshot_sources_check(&j->access.list, source, err);
	if (rc != 0)
		return rc;
	j->named = calloc(j->cli->arg_count + 1, sizeof(*j->named));
	if (j->named == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; rc == 0 && i < j->cli->arg_count; i++) {
		rc = access_pick(j->cli, &j->access, j->cli->args[i], &snap, err);
		if (rc == 0)
			memcpy(j->named[i], snap->hash, sizeof(j->named[i]));
	}
	return rc;
}

static int is_wanted(void *arg, const struct snapshot *s)
{
	const struct job *j = arg;
	const char *source = cli_text(j->cli, "source");
	if (j->cli->arg_count == 0)
		return source == NULL || snapshot_is_of(s, source);
	for (size_t i = 0; i < j->cli->arg_count; i++) {
		if (memcmp(j->named[i], s->hash, sizeof(s->hash)) == 0)
			return 2;
	}
	return 0;
}

static void on_event(
	void *arg, enum copy_event what, const struct snapshot *s, const struct err *why)
{
	struct job *j = arg;
	struct console *c = &j->cli->console;
	char id[65] = "";
	char when[HUMAN_BYTES];
	if (s == NULL) { /* COPY_UNREADABLE */
		console_warn(c, NULL, 0, "%s", why->msg);
		return;
	}
	text_hex(s->hash, 32, id);
	switch (what) {
	case COPY_BROUGHT:
		progress_clear(&c->progress);
		console_print(c, "%.16s  %s  ", id, human_time_local(when, s->body.receipt_ns));
		console_print_name(c, s->label.source, strlen(s->label.source));
		console_print(c, "\n");
		break;
	case COPY_FAILED:
		console_warn(c, NULL, 0, "snapshot %.16s was not copied: %s", id, why->msg);
		break;
	case COPY_UNREADABLE:
	case COPY_THERE:
	case COPY_PRUNED:
		break; /* told above, counted */
	}
}

static void on_progress(void *arg, uint64_t done, uint64_t total, uint64_t bytes)
{
	struct job *j = arg;
	struct console *c = &j->cli->console;
	if (!progress_is_due(&c->progress))
		return;
	struct progress_state s = {
		.what = "records", .items = done, .new_bytes = bytes, .has_new = true
	};
	progress_draw(&c->progress, &s);
	if (c->wants_status)
		(void)console_object(c, "copy", "status",
			json_pack("{s:I, s:I, s:I}", "references", (json_int_t)done, "total",
				(json_int_t)total, "bytes",
				(json_int_t)bytes)); /* the next one comes */
}

static int tell(struct job *j, struct err *err)
{
	char size[HUMAN_BYTES];
	struct console *c = &j->cli->console;
	const struct copy_result *r = &j->result;
	if (c->is_json) {
		json_t *o = json_pack(
			"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}",
			"snapshots", (json_int_t)r->snapshots, "there", (json_int_t)r->there,
			"pruned", (json_int_t)r->pruned, "failed", (json_int_t)r->failed,
			"references", (json_int_t)r->references, "records", (json_int_t)r->records,
			"bytes", (json_int_t)r->bytes, "chain_records", (json_int_t)r->kept,
			"key_objects", (json_int_t)j->keys, "read_back_objects",
			(json_int_t)store_readback_objects(j->readback), "read_back_bytes",
			(json_int_t)store_readback_bytes(j->readback), "warnings",
			(json_int_t)c->warnings, "duration_s",
			(double)(env_mono_ns() - j->start_ns) / 1e9);
		if (console_object(c, "copy", "summary", o) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
		return 0;
	}
	console_count(c, r->snapshots, "snapshot copied, ", "snapshots copied, ");
	console_count(c, r->records, "record, ", "records, ");
	console_print(c, "%s; %llu there already", human_size(size, r->bytes),
		(unsigned long long)r->there);
	if (r->pruned > 0)
		console_print(c, ", %llu pruned there", (unsigned long long)r->pruned);
	console_print(c, "\n%s in %llu objects was read back from the copy and is what was sent\n",
		human_size(size, store_readback_bytes(j->readback)),
		(unsigned long long)store_readback_objects(j->readback));
	return 0;
}

static int copy(struct job *j, struct err *err)
{
	struct copy_opts opts = { .arg = j,
		.is_wanted = is_wanted,
		.on_event = on_event,
		.on_progress = on_progress,
		.is_stopped = stop_is_asked,
		.hold = j->hold,
		.bad_packs = j->bad };
	int rc = check_memory(j, err);
	if (rc == 0)
		rc = copy_run(j->access.vault, j->to, &opts, &j->result, err);
	progress_clear(&j->cli->console.progress);
	if (rc == -ERR_INTERRUPTED)
		(void)err_hint(err, "run it again: what was copied is not sent twice");
	if (rc == 0)
		rc = remember(j, err);
	if (rc == 0)
		rc = tell(j, err);
	if (rc == 0 && (j->result.failed > 0 || j->cli->console.warnings > 0))
		j->cli->status = EXIT_STATUS_WARNINGS;
	return rc;
}

static int run(struct cli *cli, struct err *err)
{
	struct job j = { .cli = cli, .access = ACCESS_INIT, .start_ns = env_mono_ns() };
	int rc = check_options(cli, err);
	if (rc == 0)
		rc = access_open(cli, ACCESS_LIST, DRIVERS_READ, &j.access, err);
	if (rc == 0) {
		hold(&j); /* before the list: what is listed stays */
		rc = access_snapshots(cli, &j.access, err);
	}
	if (rc == 0)
		rc = pick_named(&j, err);
	if (rc == 0)
		rc = open_replica(&j, err);
	if (rc == 0) {
		find_memory(&j);
		remember_bad(&j);
		rc = copy(&j, err);
	}
	hold_end(j.hold);
	vault_close(j.to);
	store_free(j.to_store);
	id_set_free(j.bad);
	free(j.named);
	access_done(&j.access);
	return rc;
}

static const struct cli_option options[] = {
	{ .name = "to",
		.kind = CLI_TEXT,
		.argument = "PLACE",
		.help = "the other store of this vault: a directory, or s3:https://.." },
	{ .name = "init", .help = "begin the copy there, in an empty place" },
	{ .name = "all", .help = "every snapshot that is not there and was not pruned there" },
	{ .name = "source", .kind = CLI_TEXT, .argument = "NAME", .help = "those of this source" },
	ACCESS_LIMIT_OPTIONS,
	ACCESS_RECOVERY_OPTION,
	{ .name = NULL },
};

const struct cli_verb cmd_copy_verb = {
	.name = "copy",
	.arguments = "[SNAP...]",
	.summary = "bring snapshots to another store of the same vault",
	.about =
		"The copy (a replica) opens with the same keys and the same recovery file. No data "
		"key is needed: records go over as they are, each checked against its ID, and "
		"only those that are missing, and everything that was written is read back "
		"there before a snapshot is made. Backups, restores and collection go on at both "
		"ends, and each prunes for itself: what was pruned there comes back only when "
		"it is named. Broken off at any point, the next run carries on. Back up to one "
		"of the stores only, and change keys there.",
	.json = "JSON lines",
	.options = options,
	.groups = CLI_VAULT | CLI_PASS,
	.max_args = CLI_ANY,
	.run = run,
};
