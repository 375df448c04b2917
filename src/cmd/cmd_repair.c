#include "cmd/cmd_repair.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/escape.h"
#include "base/human.h"
#include "cmd/access.h"
#include "cmd/bad_packs.h"
#include "cmd/paths.h"
#include "cmd/stop.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/hold.h"
#include "vault/repair.h"
#include "vault/repair_back.h"
#include "vault/vault.h"

/*
 * INVARIANTS
 * (1) What was set aside is deleted only when nothing is damaged or lost any more.
 */

#define COPIES_MAX 16

struct job {
	struct cli *cli;
	struct access access;             /* without a vault with --keyless */
	struct store *copies[COPIES_MAX]; /* owned */
	size_t copy_count;
	struct hold *hold; /* owned */
	struct repair_opts opts;
	struct repair_result result;
	uint8_t (*bad)[32]; /* owned; packs that are still damaged */
	size_t bad_count;
	uint64_t discarded;
};

static const char *state_word(enum repair_state state)
{
	switch (state) {
	case REPAIR_FROM_PARITY:
		return "parity";
	case REPAIR_FROM_COPY:
		return "copy";
	case REPAIR_REMADE:
		return "made-anew";
	case REPAIR_SALVAGED:
		return "salvaged";
	case REPAIR_SET_ASIDE:
		return "set-aside";
	case REPAIR_REPLACED:
		return "replaced";
	case REPAIR_OPEN:
		break;
	}
	return "open";
}

static const char *state_text(enum repair_state state)
{
	switch (state) {
	case REPAIR_FROM_PARITY:
		return "brought back from parity";
	case REPAIR_FROM_COPY:
		return "brought back from the copy";
	case REPAIR_REMADE:
		return "made anew";
	case REPAIR_SALVAGED:
		return "salvaged and set aside";
	case REPAIR_SET_ASIDE:
		return "set aside";
	case REPAIR_REPLACED:
		return "not needed any more: other packs hold what snapshots need";
	case REPAIR_OPEN:
		break;
	}
	return "NOT repaired";
}

/* A pack that stays damaged is remembered; without memory for it the next run does. */
static void keep_bad(struct job *j, const struct repair_object *o)
{
	size_t len = strlen(o->name);
	uint8_t hash[32];
	bool is_fixed = o->state != REPAIR_OPEN && !j->opts.is_dry_run;
	if (is_fixed || o->is_lost || strncmp(o->name, "pk/", 3) != 0 || len < 64 ||
		j->bad_count == BAD_PACKS_MAX || text_unhex(o->name + len - 64, 32, hash) != 0)
		return;
	uint8_t(*grown)[32] = reallocarray(j->bad, j->bad_count + 1, sizeof(*grown));
	if (grown == NULL)
		return;
	j->bad = grown;
	memcpy(j->bad[j->bad_count++], hash, sizeof(hash));
}

static void on_object(void *arg, const struct repair_object *o)
{
	struct job *j = arg;
	struct console *c = &j->cli->console;
	char safe[2 * REPAIR_WHY_BYTES];
	(void)escape_str(safe, sizeof(safe), o->why); /* cut is fine */
	keep_bad(j, o);
	if (c->is_json) {
		(void)console_object(c, "repair", "object",
			json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:s}", "object", o->name, "was",
				o->is_lost ? "lost" : "damaged", "repair", state_word(o->state),
				"has_parity", (int)o->is_covered, "records_saved",
				(json_int_t)o->saved, "records_lost", (json_int_t)o->lost, "why",
				safe)); /* counted in the summary anyway */
		return;
	}
	progress_clear(&c->progress);
	console_print(c, "%s  ", o->state == REPAIR_OPEN ? "OPEN" : "DONE");
	console_print_name(c, o->name, strlen(o->name));
	console_print(c, ": %s, %s%s", o->is_lost ? "lost" : "damaged",
		j->opts.is_dry_run && o->state != REPAIR_OPEN && o->state != REPAIR_REPLACED
			? "would be "
			: "",
		state_text(o->state));
	if (o->state == REPAIR_SALVAGED)
		console_print(c, " (records saved: %llu, lost: %llu)", (unsigned long long)o->saved,
			(unsigned long long)o->lost);
	if (o->state == REPAIR_OPEN || o->state == REPAIR_SALVAGED)
		console_print(c, ": %s", safe);
	console_print(c, "\n");
}

static void on_loss(void *arg, const struct repair_loss *l)
{
	struct job *j = arg;
	struct console *c = &j->cli->console;
	char safe[4096];
	char id[65];
	text_hex(l->snap_hash, 32, id);
	(void)escape_str(safe, sizeof(safe), l->what); /* cut is fine */
	if (c->is_json) {
		(void)console_object(c, "repair", "loss",
			json_pack("{s:s, s:s, s:s?, s:s}", "snapshot", id, "object", l->object,
				"path", l->path, "what", safe)); /* counted in the summary anyway */
		return;
	}
	progress_clear(&c->progress);
	if (l->path == NULL)
		console_print(c, "LOST  snapshot %.12s: %s\n", id, safe);
	else
		console_print(c, "LOST  snapshot %.12s: file '%s': %s\n", id, l->path, safe);
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct job *j = arg;
	struct console *c = &j->cli->console;
	hold_beat(j->hold);
	if (!progress_is_due(&c->progress))
		return;
	struct progress_state s = { .what = "objects", .items = 0, .bytes = done, .total = total };
	progress_draw(&c->progress, &s);
	if (c->wants_status)
		(void)console_object(c, "repair", "status",
			json_pack("{s:I, s:I}", "bytes", (json_int_t)done, "total",
				(json_int_t)total)); /* the next one comes */
}

static int open_copies(struct job *j, struct err *err)
{
	const char *location;
	for (size_t i = 0; (location = cli_nth(j->cli, "from", i)) != NULL; i++) {
		if (i == COPIES_MAX)
			return err_set(err, ERR_USAGE, "--from: at most %d copies", COPIES_MAX);
		int rc = drivers_open_location(location, DRIVERS_READ, &j->copies[i], err);
		if (rc != 0)
			return err_wrap(err, "--from '%s'", location);
		j->copy_count = i + 1;
	}
	return 0;
}

/* Hold collection back meanwhile: it would take new packs for nobody's. */
static int hold(struct job *j, struct err *err)
{
	static const uint8_t nothing[32];
	struct store *store = NULL;
	if (j->opts.is_dry_run || j->access.vault == NULL ||
		vault_no_header(j->access.vault) != NULL)
		return 0;
	int rc = drivers_open(j->cli, DRIVERS_WRITE, NULL, &store, err);
	return rc != 0 ? rc : hold_begin(j->access.vault, store, nothing, &j->hold, err);
}

static int open_all(struct job *j, struct err *err)
{
	enum drivers_mode mode = j->opts.is_dry_run ? DRIVERS_READ : DRIVERS_WRITE;
	bool has_data = cli_is_set(j->cli, "data");
	if (cli_is_set(j->cli, "keyless")) {
		if (has_data)
			return err_set(err, ERR_USAGE, "--keyless and --data exclude each other");
		return access_open_keyless(j->cli, mode, &j->access, err);
	}
	int rc =
		access_open(j->cli, has_data ? ACCESS_CONTENT : ACCESS_LIST, mode, &j->access, err);
	if (rc == 0 && has_data)
		j->opts.sk = j->access.content_sk;
	/* a store that was not opened has nothing to repair, with a key or without */
	return rc != 0 && rc != -ERR_USAGE && j->access.store != NULL
		       ? err_hint(err, "what needs no key can be repaired with --keyless")
		       : rc;
}

static void remember(struct job *j)
{
	char dir[PATH_MAX];
	struct err why = ERR_INIT;
	if (j->access.vault == NULL)
		return;
	int rc = access_memory_dir(j->cli, j->access.vault_id, dir, &why);
	if (rc == 0)
		rc = bad_packs_store(dir, (const uint8_t(*)[32])j->bad, j->bad_count, &why);
	if (rc != 0)
		console_note(&j->cli->console,
			"holdfast: %s, continuing without a memory of damaged packs", why.msg);
}

static int tell_json(struct job *j, struct err *err)
{
	const struct repair_result *r = &j->result;
	json_t *o = json_pack("{s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "dry_run",
		(int)j->opts.is_dry_run, "keyless", (int)(j->access.vault == NULL), "objects",
		(json_int_t)r->objects, "bytes", (json_int_t)r->bytes, "resumed",
		(json_int_t)r->resumed, "damaged", (json_int_t)r->damaged, "lost",
		(json_int_t)r->lost, "from_parity", (json_int_t)r->from_parity, "from_copy",
		(json_int_t)r->from_copy, "made_anew", (json_int_t)r->remade, "salvaged",
		(json_int_t)r->salvaged);
	json_t *more = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"set_aside", (json_int_t)r->set_aside, "replaced", (json_int_t)r->replaced,
		"records_taken", (json_int_t)r->records_taken, "open", (json_int_t)r->open,
		"records_saved", (json_int_t)r->records_saved, "records_lost",
		(json_int_t)r->records_lost, "packs_listed", (json_int_t)r->packs_listed,
		"packs_fetched", (json_int_t)r->packs_fetched, "snapshots_hurt",
		(json_int_t)r->snapshots_hurt, "files_hurt", (json_int_t)r->files_hurt,
		"parity_held", (json_int_t)r->parity_held, "discarded", (json_int_t)j->discarded);
	int rc = o == NULL || more == NULL ? -1 : json_object_update(o, more);
	json_decref(more);
	if (rc != 0) {
		json_decref(o);
		o = NULL;
	}
	if (console_object(&j->cli->console, "repair", "summary", o) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static void tell_text(const struct job *j)
{
	char size[HUMAN_BYTES];
	struct console *c = &j->cli->console;
	const struct repair_result *r = &j->result;
	const char *would = j->opts.is_dry_run ? "would be " : "";
	uint64_t back = r->from_parity + r->from_copy + r->remade;
	uint64_t saved = r->salvaged + r->set_aside + r->replaced;
	console_count(c, r->objects, "object, ", "objects, ");
	console_print(c, "%s: ", human_size(size, r->bytes));
	if (r->damaged + r->lost == 0) {
		console_print(c, "nothing is damaged\n");
	} else {
		console_print(c,
			"%llu damaged, %llu lost; %sbrought back: %llu, salvaged: %llu, "
			"not repaired: %llu\n",
			(unsigned long long)r->damaged, (unsigned long long)r->lost, would,
			(unsigned long long)back, (unsigned long long)saved,
			(unsigned long long)r->open);
	}
	if (r->packs_fetched > 0)
		console_count(c, r->packs_fetched, "pack came from the copy\n",
			"packs came from the copy\n");
	if (r->records_taken > 0) {
		console_count(c, r->records_taken, "record ", "records ");
		console_print(
			c, "%staken out of packs that collection is about to delete\n", would);
	}
	if (r->packs_listed > 0)
		console_count(c, r->packs_listed, "pack was in no index segment\n",
			"packs were in no index segment\n");
	if (j->discarded > 0)
		console_count(c, j->discarded, "object set aside was deleted\n",
			"objects set aside were deleted\n");
}

static int discard(struct job *j, struct err *err)
{
	const struct repair_result *r = &j->result;
	if (!cli_is_set(j->cli, "discard") || j->opts.is_dry_run)
		return 0;
	if (r->open > 0 || r->snapshots_hurt > 0) { /* invariant 1 */
		console_warn(&j->cli->console, NULL, 0,
			"what was set aside stays: something is still damaged or lost");
		return 0;
	}
	return repair_back_discard(j->access.store, &j->discarded, err);
}

static int judge(struct job *j, struct err *err)
{
	const struct repair_result *r = &j->result;
	if (r->parity_held > 0)
		console_warn(&j->cli->console, NULL, 0,
			"%llu parity groups stay for what is not repaired yet, and collection "
			"deletes nothing meanwhile; --give-up lets go of them",
			(unsigned long long)r->parity_held);
	if (r->open == 0 && r->snapshots_hurt == 0) {
		if (j->cli->console.warnings > 0)
			j->cli->status = EXIT_STATUS_WARNINGS;
		return 0;
	}
	err_set(err, ERR_CORRUPT, "%llu object%s %s not repaired, %llu snapshot%s lost something",
		(unsigned long long)r->open, r->open == 1 ? "" : "s",
		j->opts.is_dry_run ? "would be" : (r->open == 1 ? "was" : "were"),
		(unsigned long long)r->snapshots_hurt, r->snapshots_hurt == 1 ? "" : "s");
	return err_hint(err,
		"look for another copy of the store (--from), and back up the sources again: what "
		"is lost is stored anew; --data names the files");
}

static int repair(struct job *j, struct err *err)
{
	int rc = open_all(j, err);
	if (rc == 0)
		rc = open_copies(j, err);
	if (rc == 0)
		rc = hold(j, err);
	j->opts.copies = j->copies;
	j->opts.copy_count = j->copy_count;
	if (rc == 0)
		rc = repair_run(j->access.store, j->access.vault, &j->opts, &j->result, err);
	progress_clear(&j->cli->console.progress);
	if (rc == 0)
		remember(j);
	if (rc == 0)
		rc = discard(j, err);
	if (rc == 0 && j->cli->console.is_json)
		rc = tell_json(j, err);
	else if (rc == 0)
		tell_text(j);
	return rc == 0 ? judge(j, err) : rc;
}

static int run(struct cli *cli, struct err *err)
{
	struct job j = { .cli = cli,
		.access = ACCESS_INIT,
		.opts = { .is_dry_run = cli_is_set(cli, "dry-run"),
			.gives_up = cli_is_set(cli, "give-up"),
			.on_object = on_object,
			.on_loss = on_loss,
			.on_progress = on_progress,
			.is_stopped = stop_is_asked } };
	j.opts.arg = &j;
	int rc = repair(&j, err);
	hold_end(j.hold);
	for (size_t i = 0; i < j.copy_count; i++)
		store_free(j.copies[i]);
	free(j.bad);
	access_done(&j.access);
	return rc;
}

static const struct cli_option options[] = {
	{ .name = "from",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "DIR",
		.help = "another copy of the store, to take whole objects from; may be given more "
			"than once" },
	{ .name = "data",
		.help = "name the files that are lost, too; needs a key that opens content" },
	{ .name = "keyless",
		.help = "use no key: what names, parity and copies alone can do, on a replica; "
			"no collection may run meanwhile" },
	{ .name = "give-up",
		.help = "let go of parity that only waits for what cannot be repaired" },
	{ .name = "discard",
		.help = "delete what earlier runs set aside, if nothing is damaged any more" },
	{ .name = "dry-run", .help = "say what would be done, change nothing" },
	{ .name = NULL },
};

const struct cli_verb cmd_repair_verb = {
	.name = "repair",
	.arguments = "",
	.summary = "bring back what is damaged or lost on the store",
	.about = "Every object is read and compared with its name.  What is damaged or lost comes "
		 "back from parity, else from another copy (--from); index and texts are made "
		 "anew; of a pack that nothing brings back the good records are carried into a new "
		 "one, as is what only packs have that 'holdfast gc' is about to delete, and what "
		 "is lost is named.  Nothing is overwritten before what replaces it "
		 "is durable, and damaged packs are kept aside (qr/ on the store).  A run that "
		 "broke off is carried on by the next.",
	.json = "JSON lines: object, loss, status, summary",
	.options = options,
	.groups = CLI_VAULT | CLI_CONTENT,
	.run = run,
};
