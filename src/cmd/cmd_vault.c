#include "cmd/cmd_vault.h"

#include <limits.h>

#include "base/err.h"
#include "base/human.h"
#include "cmd/access.h"
#include "cmd/bad_packs.h"
#include "cmd/drivers.h"
#include "cmd/paths.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/collect.h"
#include "vault/id_set.h"
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

static int tell_json(struct console *c, const struct access *a, const char *id,
	const struct vault_info *v, struct err *err)
{
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
				 "s:o}",
		"packs", (json_int_t)v->packs, "pack_bytes", (json_int_t)v->pack_bytes,
		"live_bytes", (json_int_t)v->live_bytes, "waste_bytes", (json_int_t)v->waste_bytes,
		"unknown_packs", (json_int_t)v->unknown_packs, "missing_records",
		(json_int_t)v->missing_records, "sessions", (json_int_t)v->sessions, "restores",
		(json_int_t)v->restores, "fenced", (json_int_t)v->fenced, "condemned",
		(json_int_t)v->condemned, "condemned_bytes", (json_int_t)v->condemned_bytes, "dead",
		(json_int_t)v->dead, "dead_bytes", (json_int_t)v->dead_bytes, "next",
		next_of(v) == 0 ? json_null() : json_string(human_time_utc(when, next_of(v))));
	int rc = o == NULL ? 0 : add_facts(o, a->store, err);
	if (rc != 0)
		return rc;
	if (o == NULL || more == NULL || json_object_update_new(o, more) != 0 ||
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
		console_warn(c, NULL, 0, "%llu packs cannot be read; see 'holdfast verify'",
			(unsigned long long)v->unknown_packs);
	if (v->missing_records > 0)
		console_warn(c, NULL, 0,
			"%llu records that snapshots need are missing; see 'holdfast verify'",
			(unsigned long long)v->missing_records);
}

static int run(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	struct vault_info info;
	struct id_set *bad = NULL;
	char dir[PATH_MAX];
	char id[33];
	int rc = access_open(cli, ACCESS_LIST, DRIVERS_READ, &a, err);
	if (rc == 0 && paths_dir(PATHS_STATE, a.vault_id, dir, NULL) == 0)
		(void)bad_packs_load(dir, &bad, NULL); /* without it they count as good */
	if (rc == 0)
		rc = vault_info_get(a.vault, bad, &info, err);
	if (rc == 0) {
		text_hex(a.vault_id, sizeof(a.vault_id), id);
		if (cli->console.is_json)
			rc = tell_json(&cli->console, &a, id, &info, err);
		else
			tell_text(&cli->console, a.store, id, &info);
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
