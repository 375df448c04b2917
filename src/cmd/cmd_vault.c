#include "cmd/cmd_vault.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/human.h"
#include "base/log.h"
#include "base/notify.h"
#include "cmd/access.h"
#include "cmd/bad_packs.h"
#include "cmd/drivers.h"
#include "cmd/paths.h"
#include "cmd/stop.h"
#include "codec/text.h"
#include "crypto/secret.h"
#include "store/local/local_stage.h"
#include "store/store.h"
#include "store/unix/unix_door.h"
#include "vault/append_rule.h"
#include "vault/collect.h"
#include "vault/id_set.h"
#include "vault/vault.h"
#include "vault/vault_info.h"

#define KEEP_FREE_BYTES (INT64_C(256) << 20)
#define KEEP_FREE_FILES 1024
#define FILES_PER_CALLER (LOCAL_STAGE_MAX_OPEN + 16)

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

/* ---- the door of an append-only vault ----------------------------------------------------------
 */

struct serving {
	struct cli *cli;
	const char *directory;
	int64_t keep_free;
	uid_t uids[UNIX_DOOR_MAX_UIDS];
	size_t uid_count;
	uint64_t promised; /* bytes of puts under way, of all callers that are not there yet; atomic
			    */
};

/* What one caller may put.  Its keys are read when it comes: a door outlives a change of them. */
struct rule {
	struct serving *s;
	struct append_rule *names; /* owned, as the next two */
	struct store *store;
	struct vault *vault;
	uint64_t promised; /* its part of those */
};

static int open_for_caller(void *arg, struct store **out, struct err *err)
{
	const struct serving *s = arg;
	return drivers_open_location(s->directory, DRIVERS_WRITE, out, err);
}

static int open_vault(
	const struct serving *s, struct store *store, struct vault **out, struct err *err)
{
	struct keyring_writer writer = { .kv_epoch = 0 };
	struct vault_keys keys = { .kv_epoch = 0 };
	uint8_t id[16];
	int rc = vault_peek_id(store, id, err);
	if (rc == 0)
		rc = access_load_writer(s->cli, id, &writer, err);
	if (rc == 0) {
		vault_keys_of_writer(&writer, &keys);
		rc = vault_open(store, &keys, out, err);
	}
	secret_wipe(&writer, sizeof(writer));
	secret_wipe(&keys, sizeof(keys));
	return rc;
}

static void rule_free(void *rule)
{
	struct rule *r = rule;
	append_rule_free(r->names);
	vault_close(r->vault);
	store_free(r->store);
	free(r);
}

static int rule_new(void *arg, void **out, struct err *err)
{
	struct rule *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->s = arg;
	int rc = append_rule_new(&r->names, err);
	if (rc == 0)
		rc = drivers_open_location(r->s->directory, DRIVERS_READ, &r->store, err);
	if (rc == 0)
		rc = open_vault(r->s, r->store, &r->vault, err);
	if (rc != 0)
		rule_free(r);
	else
		*out = r;
	return rc;
}

/* A disk that somebody filled to the brim is one on which the owner cannot take space back: looked
 * at before each piece, with all that was promised to all callers. */
static int check_room(const struct serving *s, struct err *err)
{
	struct statvfs fs;
	char room[HUMAN_BYTES];
	if (s->keep_free == 0 || statvfs(s->directory, &fs) != 0)
		return 0; /* the put itself tells what is wrong */
	const uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
	const uint64_t promised = __atomic_load_n(&s->promised, __ATOMIC_SEQ_CST);
	const bool has_files = fs.f_files == 0 || fs.f_favail >= KEEP_FREE_FILES;
	if (has_files && left >= promised && left - promised >= (uint64_t)s->keep_free)
		return 0;
	if (!has_files)
		(void)err_set(err, ERR_NOSPACE,
			"the vault's file system keeps %d files free for its owner",
			KEEP_FREE_FILES);
	else
		(void)err_set(err, ERR_NOSPACE,
			"the vault's file system keeps %s free for its owner",
			human_size(room, (uint64_t)s->keep_free));
	return err_hint(err, "have the vault's owner take space back, or give it a larger disk");
}

static void put_over(void *rule)
{
	struct rule *r = rule;
	__atomic_sub_fetch(&r->s->promised, r->promised, __ATOMIC_SEQ_CST);
	r->promised = 0;
}

static int may_put(void *rule, struct store *store, const char *name, uint64_t len, bool *is_hashed,
	struct err *err)
{
	struct rule *r = rule;
	int rc = append_rule_check(r->names, store, name, len, is_hashed, err);
	if (rc != 0)
		return rc;
	r->promised = len;
	__atomic_add_fetch(&r->s->promised, len, __ATOMIC_SEQ_CST);
	return check_room(r->s, err);
}

/* What was promised is about to be there. */
static int may_add(void *rule, size_t len, struct err *err)
{
	struct rule *r = rule;
	int rc = check_room(r->s, err);
	if (rc != 0)
		return rc;
	__atomic_sub_fetch(&r->s->promised, len, __ATOMIC_SEQ_CST);
	r->promised -= len;
	return 0;
}

static int may_keep(void *rule, const char *name, const void *data, size_t len, struct err *err)
{
	const struct rule *r = rule;
	return append_rule_open(r->vault, name, data, len, err);
}

static void on_caller(void *arg, uid_t uid, pid_t pid, int rc, const char *what)
{
	(void)arg;
	if (rc == 0)
		log_info(
			"serve.caller", "uid=%u pid=%d what=\"%s\"", (unsigned)uid, (int)pid, what);
	else
		log_warn("serve.refused", "uid=%u pid=%d error=\"%s\", continuing", (unsigned)uid,
			(int)pid, what);
}

/* A user's name, or a number. */
static int add_user(struct serving *s, const char *user, struct err *err)
{
	char *end = NULL;
	errno = 0;
	unsigned long uid = strtoul(user, &end, 10);
	if (s->uid_count == UNIX_DOOR_MAX_UIDS)
		return err_set(err, ERR_USAGE, "--allow: at most %d users", UNIX_DOOR_MAX_UIDS);
	if (*end != '\0' || user[0] < '0' || user[0] > '9') {
		const struct passwd *p =
			getpwnam(user); // NOLINT(concurrency-mt-unsafe): one thread
		if (p == NULL)
			return err_set(err, ERR_USAGE, "--allow: there is no user '%s'", user);
		uid = p->pw_uid;
	} else if (errno != 0 || uid >= (uid_t)-1) {
		return err_set(err, ERR_USAGE, "--allow: '%s' is no user's number", user);
	}
	s->uids[s->uid_count++] = (uid_t)uid;
	return 0;
}

static int check_options(struct serving *s, struct err *err)
{
	const struct cli *cli = s->cli;
	const char *user;
	int rc = 0;
	s->directory = drivers_directory(cli);
	if (drivers_location(cli) == NULL) {
		(void)err_set(err, ERR_USAGE, "no vault is named");
		return err_hint(err, "give --vault DIR or set HOLDFAST_VAULT");
	}
	if (s->directory == NULL)
		return err_set(err, ERR_USAGE, "a door is kept to a directory, not to '%s'",
			drivers_location(cli));
	if (cli_text(cli, "socket") == NULL)
		return err_set(err, ERR_USAGE, "--socket is needed: where the door is");
	for (size_t i = 0; rc == 0 && (user = cli_nth(cli, "allow", i)) != NULL; i++)
		rc = add_user(s, user, err);
	if (rc == 0 && s->uid_count == 0)
		rc = err_set(err, ERR_USAGE, "--allow is needed: who may add to the vault");
	return rc;
}

/* What is served is a vault, ours to write to and to look into. */
static int check_vault(const struct serving *s, struct err *err)
{
	struct store *store = NULL;
	struct vault *vault = NULL;
	int rc = drivers_open_location(s->directory, DRIVERS_WRITE, &store, err);
	if (rc == 0)
		rc = open_vault(s, store, &vault, err);
	vault_close(vault);
	store_free(store);
	return rc == 0 ? 0 : err_wrap(err, "unable to serve the vault '%s'", s->directory);
}

/* A connection has some of the objects since its last barrier open: no user's connections may take
 * the descriptors of another's. */
static void raise_files(size_t uid_count)
{
	struct rlimit most;
	const rlim_t wanted = 64 + uid_count * UNIX_DOOR_PER_UID * (rlim_t)FILES_PER_CALLER;
	if (getrlimit(RLIMIT_NOFILE, &most) != 0 || most.rlim_cur >= wanted)
		return;
	most.rlim_cur = most.rlim_max < wanted ? most.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &most) != 0 || most.rlim_cur < wanted)
		log_warn("serve.files", "open files are limited to %llu, %llu would be needed",
			(unsigned long long)most.rlim_cur, (unsigned long long)wanted);
}

/* Who is root needs no door to remove anything. */
static void warn_of_root(const struct serving *s)
{
	struct console *c = &s->cli->console;
	if (geteuid() == 0)
		console_warn(c, NULL, 0,
			"the door is kept by root: keep it as a user who owns the vault's "
			"directory and nothing else");
	for (size_t i = 0; i < s->uid_count; i++) {
		if (s->uids[i] == 0)
			console_warn(c, NULL, 0,
				"root is let in: against root of this host the vault is not "
				"append-only");
	}
}

static int run_serve(struct cli *cli, struct err *err)
{
	struct serving s = { .cli = cli,
		.keep_free = cli_number(cli, "keep-free", KEEP_FREE_BYTES) };
	const struct unix_door_opts opts = { .path = cli_text(cli, "socket"),
		.uids = s.uids,
		.open_store = open_for_caller,
		.rule_new = rule_new,
		.rule_free = rule_free,
		.may_put = may_put,
		.may_add = may_add,
		.put_over = put_over,
		.is_shown = append_rule_is_opened,
		.may_keep = may_keep,
		.on_caller = on_caller,
		.is_stopped = stop_is_asked,
		.arg = &s };
	struct unix_door *door = NULL;
	int rc = check_options(&s, err);
	if (rc == 0)
		rc = check_vault(&s, err);
	struct unix_door_opts filled = opts;
	filled.uid_count = s.uid_count;
	if (rc == 0)
		rc = unix_door_open(&filled, &door, err);
	if (rc != 0)
		return rc;
	warn_of_root(&s);
	raise_files(s.uid_count);
	if (!log_is_on(LOG_INFO))
		log_setup(LOG_INFO, NULL);
	console_print(&cli->console, "serving '%s' at '%s'\n", s.directory, filled.path);
	(void)console_flush(&cli->console);                    /* told at the end too */
	(void)notify_send(getenv("NOTIFY_SOCKET"), "READY=1"); // NOLINT(concurrency-mt-unsafe)
	rc = unix_door_run(door, err);
	unix_door_free(door);
	return rc;
}

static const struct cli_option serve_options[] = {
	{ .name = "socket", .kind = CLI_TEXT, .argument = "PATH", .help = "where the door is" },
	{ .name = "allow",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "USER",
		.help = "who may come in: a name or a number" },
	{ .name = "keep-free",
		.kind = CLI_SIZE,
		.argument = "SIZE",
		.help = "take nothing more when less than SIZE would be free; default 256MiB" },
	{ .name = NULL },
};

const struct cli_verb cmd_vault_serve_verb = {
	.name = "vault serve",
	.arguments = "",
	.summary = "let other users of this host back up to the vault, and remove nothing",
	.about = "Runs in the foreground, as the user who owns the vault's directory, until "
		 "SIGTERM or "
		 "Ctrl-C. Those who are allowed say --vault unix:PATH: they can read the vault and "
		 "add what a backup writes; there is no way to overwrite or remove anything, to "
		 "prune, or to change keys. Retention and collection are the owner's, at the "
		 "directory itself. Who calls is told by the kernel. Needs the writer key, to look "
		 "into marks and snapshots before they are put.",
	.json = "nothing",
	.options = serve_options,
	.groups = CLI_VAULT,
	.run = run_serve,
};
