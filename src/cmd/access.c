#include "cmd/access.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "base/log.h"
#include "cmd/cli.h"
#include "cmd/lock_seen.h"
#include "cmd/passphrase.h"
#include "cmd/paths.h"
#include "cmd/rollback.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/fetch.h"
#include "vault/hold.h"
#include "vault/recovery_keys.h"
#include "vault/slot.h"
#include "vault/vault.h"

/*
 * INVARIANTS
 * (1) A writer key and a recovery key in one access belong to the same vault.
 * (2) The passphrase is asked for once, and only after a slot it could open was found.
 */

#define KEY_FILE_MAX_BYTES 4096
#define SLOTS_MAX 16

void access_recovery_name(const uint8_t vault_id[16], char out[ACCESS_RECOVERY_NAME_BYTES])
{
	char hex[33];
	text_hex(vault_id, 16, hex);
	(void)snprintf(out, ACCESS_RECOVERY_NAME_BYTES, "holdfast-recovery-%s", hex); /* fits */
}

int access_writer_path(
	const struct cli *cli, const uint8_t vault_id[16], char out[PATH_MAX], struct err *err)
{
	const char *named = cli_text(cli, "writer-key");
	if (named != NULL) {
		if (snprintf(out, PATH_MAX, "%s", named) < PATH_MAX)
			return 0;
		return err_set(err, ERR_LIMIT, "the path of the writer key is too long");
	}
	int rc = paths_dir(PATHS_CONFIG, vault_id, out, err);
	return rc != 0 ? rc : paths_join(out, "writer.key", err);
}

int access_replica_dir(
	const char *location, const uint8_t vault_id[16], char out[PATH_MAX], struct err *err)
{
	char real[PATH_MAX];
	char name[sizeof("replica-") + 2 * HASH_BYTES] = "replica-";
	uint8_t hash[HASH_BYTES];
	const char *bare = strncmp(location, "file:", 5) == 0 ? location + 5 : location;
	const char *path = realpath(bare, real) != NULL ? real : bare;
	hash_sha256(path, strlen(path), hash);
	text_hex(hash, sizeof(hash), name + strlen(name));
	int rc = paths_dir(PATHS_STATE, vault_id, out, err);
	return rc != 0 ? rc : paths_join(out, name, err);
}

int access_memory_dir(
	const struct cli *cli, const uint8_t vault_id[16], char out[PATH_MAX], struct err *err)
{
	int rc = access_replica_dir(drivers_location(cli), vault_id, out, err);
	if (rc == 0 && access(out, F_OK) == 0)
		return 0;
	return rc != 0 ? rc : paths_dir(PATHS_STATE, vault_id, out, err);
}

int access_write_secret(const char *path, const void *data, size_t len, struct err *err)
{
	char dir[PATH_MAX];
	if (snprintf(dir, sizeof(dir), "%s", path) >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s' is too long", path);
	char *slash = strrchr(dir, '/');
	if (slash != NULL && slash != dir) {
		*slash = '\0';
		int rc = paths_make(dir, err);
		if (rc != 0)
			return rc;
	}
	return atomic_file_create(AT_FDCWD, path, 0600, data, len, err);
}

int access_load_writer(const struct cli *cli, const uint8_t vault_id[16],
	struct keyring_writer *out, struct err *err)
{
	char path[PATH_MAX];
	struct err why = ERR_INIT;
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(KEY_FILE_MAX_BYTES);
	int rc = access_writer_path(cli, vault_id, path, &why);
	if (rc == 0)
		rc = paths_read_secret(path, "writer key", &raw, &why);
	if (rc == 0) {
		rc = keyring_writer_decode(raw.data, raw.len, out, &why);
		if (rc != 0)
			(void)err_wrap(&why, "writer key '%s'", path);
	}
	if (rc == 0 && memcmp(out->vault_id, vault_id, sizeof(out->vault_id)) != 0)
		rc = err_set(&why, ERR_AUTH, "the writer key '%s' belongs to another vault", path);
	if (rc == -ERR_NOT_FOUND)
		(void)err_hint(&why, "on a new host make one from the recovery file with 'holdfast "
				     "key writer new'");
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

struct slots {
	struct store *store;
	uint8_t at[SLOTS_MAX][SLOT_HFBG_BYTES];
	size_t count;
	char from[PATH_MAX]; /* the recovery file; "": the copies in the vault */
};

static int keep_slot(void *arg, const char *name, uint64_t size)
{
	struct slots *s = arg;
	CLEANUP(buf_done) struct buf raw = BUF_INIT(KEY_FILE_MAX_BYTES);
	if (size != SLOT_HFBG_BYTES || s->count == SLOTS_MAX)
		return 0;
	if (store_get(s->store, name, &raw, NULL) != 0 || raw.len != SLOT_HFBG_BYTES ||
		memcmp(raw.data, "HFBG", 4) != 0)
		return 0; /* another slot, or a damaged one: verify names it */
	memcpy(s->at[s->count++], raw.data, SLOT_HFBG_BYTES);
	return 0;
}

static int read_recovery_file(const char *path, struct slots *s, struct err *err)
{
	CLEANUP(buf_done) struct buf raw = BUF_INIT(KEY_FILE_MAX_BYTES);
	int rc = fdio_read_file(AT_FDCWD, path, &raw, err);
	if (rc != 0)
		return err_wrap(err, "unable to read the recovery file '%s'", path);
	if (raw.len != SLOT_HFBG_BYTES)
		return err_set(err, ERR_CORRUPT,
			"the recovery file '%s' has %zu bytes instead of %d", path, raw.len,
			SLOT_HFBG_BYTES);
	memcpy(s->at[s->count++], raw.data, SLOT_HFBG_BYTES);
	(void)snprintf(s->from, sizeof(s->from), "%s", path); /* for a text */
	return 0;
}

/* The recovery file by option, in the working directory, or the copies in the vault. */
static int find_slots(const struct cli *cli, struct access *a, struct slots *s, struct err *err)
{
	char name[ACCESS_RECOVERY_NAME_BYTES];
	const char *named = cli_text(cli, "recovery-file");
	if (named != NULL)
		return read_recovery_file(named, s, err);
	access_recovery_name(a->vault_id, name);
	if (access(name, F_OK) == 0)
		return read_recovery_file(name, s, err);
	int rc = store_list(a->store, "ks/", keep_slot, s, err);
	if (rc == 0 && s->count == 0) {
		err_set(err, ERR_NOT_FOUND,
			"there is no recovery file: neither './%s' nor a copy "
			"in the vault",
			name);
		return err_hint(err, "name it with --recovery-file FILE or HOLDFAST_RECOVERY_FILE");
	}
	return rc;
}

static int try_slots(
	const struct slots *s, const struct secret *pass, uint8_t rk_sk[32], struct err *err)
{
	int rc = -ERR_AUTH;
	for (size_t i = 0; i < s->count; i++) {
		rc = slot_hfbg_open(s->at[i], SLOT_HFBG_BYTES, pass->data, pass->len, rk_sk, err);
		if (rc == 0)
			return 0;
	}
	return rc;
}

/* With the passphrase as it was said; else, if it is a generated one, as it was shown. */
static int open_slots(
	const struct slots *s, const struct secret *pass, uint8_t rk_sk[32], struct err *err)
{
	struct secret shown = SECRET_INIT;
	int rc = try_slots(s, pass, rk_sk, err);
	if (rc == -ERR_AUTH && passphrase_as_generated(pass, &shown, NULL) == 1)
		rc = try_slots(s, &shown, rk_sk, err);
	secret_done(&shown);
	if (rc == -ERR_AUTH)
		(void)err_hint(err,
			"it was tried on the recovery %s%s; another one is named with "
			"--recovery-file",
			s->from[0] == '\0' ? "copy in the vault" : "file ", s->from);
	return rc;
}

static int load_recovery(
	const struct cli *cli, struct access *a, struct vault_keys *keys, struct err *err)
{
	struct slots slots = { .store = a->store };
	struct secret pass = SECRET_INIT;
	uint8_t rk_sk[32];
	bool is_unsure = false;
	int rc = find_slots(cli, a, &slots, err);
	if (rc == 0)
		rc = passphrase_get(cli, &pass, err);
	if (rc == 0)
		rc = open_slots(&slots, &pass, rk_sk, err);
	secret_done(&pass);
	if (rc != 0)
		return rc;
	rc = recovery_keys_root(a->store, a->vault_id, rk_sk, &a->root, &is_unsure, err);
	if (rc == 0 && a->has_writer && !is_unsure &&
		memcmp(a->writer.officer_pk, a->root.officer_pk, 32) != 0)
		rc = err_set(err, ERR_AUTH,
			"the recovery file belongs to another vault than the "
			"writer key");
	else if (rc == 0 && !a->has_writer)
		rc = vault_keys_of_recovery(a->store, rk_sk, &a->root, keys, err);
	if (rc == 0) {
		a->has_root = true;
		a->has_content = true;
		memcpy(a->content_sk, rk_sk, sizeof(rk_sk));
	}
	secret_wipe(rk_sk, sizeof(rk_sk));
	return rc;
}

static int load_drill_key(const char *path, struct access *a, struct err *err)
{
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(KEY_FILE_MAX_BYTES);
	int rc = paths_read_secret(path, "drill key", &raw, err);
	if (rc != 0)
		return rc;
	rc = keyring_drill_decode(raw.data, raw.len, a->group, a->content_sk, err);
	a->has_content = rc == 0;
	return rc == 0 ? 0 : err_wrap(err, "drill key '%s'", path);
}

static int load_keys(const struct cli *cli, enum access_need need, struct access *a,
	struct vault_keys *keys, struct err *err)
{
	struct err why = ERR_INIT;
	const char *drill = need == ACCESS_CONTENT ? cli_text(cli, "drill-key") : NULL;
	bool has_other = drill == NULL && (need == ACCESS_CONTENT || need == ACCESS_RECOVERY);
	int rc = access_load_writer(cli, a->vault_id, &a->writer, &why);
	a->has_writer = rc == 0;
	if (rc == -ERR_NOT_FOUND && need == ACCESS_LIST && !cli_is_set(cli, "writer-key"))
		has_other = true;
	if (rc != 0 && !has_other) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (rc != 0)
		log_info("access.open", "%s, continuing with the recovery key", why.msg);
	if (a->has_writer)
		vault_keys_of_writer(&a->writer, keys);
	if (drill != NULL)
		return load_drill_key(drill, a, err);
	if (need == ACCESS_CONTENT || need == ACCESS_RECOVERY || !a->has_writer)
		return load_recovery(cli, a, keys, err);
	return 0;
}

struct leftover {
	bool is_there;
};

static int see_leftover(void *arg, const char *name, uint64_t size)
{
	(void)size; /* any will do */
	struct leftover *l = arg;
	l->is_there |= strncmp(name, "ks/", 3) == 0 || strcmp(name, "README.txt") == 0 ||
		       strncmp(name, "cf/", 3) == 0;
	return 0;
}

/* No header: say whether an init broke off here. */
static int explain_missing(struct access *a, struct err *err)
{
	struct leftover l = { .is_there = false };
	if (store_list(a->store, "", see_leftover, &l, NULL) == 0 && l.is_there) {
		err_set(err, ERR_NOT_FOUND, "there is no vault here, only the beginning of one");
		return err_hint(err, "an interrupted 'holdfast init' left it: remove the "
				     "directory and run init again");
	}
	return -ERR_NOT_FOUND;
}

/* The index is kept on this host; one that can keep nothing reads it from the store each time. */
static int use_cache(struct access *a, struct err *err)
{
	char dir[PATH_MAX];
	if (paths_dir(PATHS_CACHE, a->vault_id, dir, NULL) != 0 || paths_make(dir, NULL) != 0)
		return 0;
	return vault_set_cache(a->vault, dir, err);
}

void access_limits(const struct cli *cli, struct drivers_limits *out)
{
	*out = (struct drivers_limits){ .upload_bps = cli_number(cli, "limit-upload", 0),
		.download_bps = cli_number(cli, "limit-download", 0) };
}

int access_open(struct cli *cli, enum access_need need, enum drivers_mode mode, struct access *out,
	struct err *err)
{
	struct vault_keys keys = { .kv_epoch = 0 };
	access_limits(cli, &out->limits);
	int rc = drivers_open(cli, mode, &out->limits, &out->store, err);
	if (rc == 0)
		rc = vault_peek_id(out->store, out->vault_id, err);
	if (rc == -ERR_NOT_FOUND && out->store != NULL)
		rc = explain_missing(out, err);
	if (rc == 0 && !out->sets_lock)
		out->has_odd_lock = lock_seen_use(
			&cli->console, drivers_location(cli), mode == DRIVERS_WRITE, out->store);
	if (rc == 0)
		rc = load_keys(cli, need, out, &keys, err);
	if (rc == 0)
		rc = vault_open(out->store, &keys, &out->vault, err);
	if (rc == 0 && vault_no_header(out->vault) != NULL)
		console_warn(&cli->console, NULL, 0,
			"the vault header is lost, continuing without it: %s",
			vault_no_header(out->vault)->msg);
	if (rc == 0)
		rc = use_cache(out, err);
	if (rc == 0 && out->has_content)
		rc = fetch_new(out->vault, &out->fetch, err);
	secret_wipe(&keys, sizeof(keys));
	if (rc == -ERR_USAGE && drivers_location(cli) == NULL)
		return rc;
	return rc == 0 ? 0 : err_wrap(err, "unable to open the vault '%s'", drivers_location(cli));
}

int access_open_keyless(
	struct cli *cli, enum drivers_mode mode, struct access *out, struct err *err)
{
	int rc = drivers_open(cli, mode, NULL, &out->store, err);
	if (rc == 0 && !out->sets_lock)
		out->has_odd_lock =
			lock_seen_use(&cli->console, drivers_location(cli), false, out->store);
	return rc;
}

void access_done(struct access *a)
{
	hold_end(a->hold); /* its marks need the vault's keys */
	fetch_free(a->fetch);
	snapshot_list_done(&a->list);
	vault_close(a->vault);
	store_free(a->store);
	secret_wipe(a, sizeof(*a));
}

void access_hold(struct cli *cli, struct access *a)
{
	struct err why = ERR_INIT;
	struct store *store = NULL;
	int rc = drivers_open(cli, DRIVERS_WRITE, NULL, &store, &why);
	if (rc == 0)
		rc = hold_begin(a->vault, store, NULL, &a->hold, &why);
	if (rc != 0)
		log_info("access.hold", "%s, continuing without holding collection", why.msg);
}

void access_beat(const struct access *a)
{
	hold_beat(a->hold);
}

struct bad {
	struct cli *cli;
	struct access *access;
};

static void on_bad(void *arg, const char *object, const struct err *why)
{
	(void)object; /* the text names it */
	struct bad *b = arg;
	b->access->damaged++;
	console_warn(&b->cli->console, NULL, 0, "%s", why->msg);
}

DEFINE_CLEANUP(struct rollback *, rollback_free)

/* Compare a->list with what this host remembered before it was made. */
static int check_memory(
	struct cli *cli, const struct access *a, const struct rollback *memory, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = rollback_check(memory, &a->list, a->is_backup ? a->damaged : 0, &why);
	if (rc == 0)
		return 0;
	if (cli_is_set(cli, "accept-rollback")) {
		console_warn(&cli->console, NULL, 0, "%s; accepted", why.msg);
		return 0;
	}
	if (a->damaged > 0)
		(void)err_hint(&why, "snapshots named above cannot be read: put their objects "
				     "back from a copy of the store; --accept-rollback goes on "
				     "with what is left");
	if (err != NULL)
		*err = why;
	return rc;
}

int access_snapshots(struct cli *cli, struct access *a, struct err *err)
{
	char dir[PATH_MAX];
	struct err why = ERR_INIT;
	struct bad bad = { .cli = cli, .access = a };
	CLEANUP(rollback_free_p) struct rollback *memory = NULL;
	bool is_accepted = cli_is_set(cli, "accept-rollback");
	snapshot_list_done(&a->list);
	int forgotten = access_memory_dir(cli, a->vault_id, dir, &why);
	bool has_dir = forgotten == 0;
	if (has_dir)
		forgotten = rollback_load(dir, &memory, &why); /* before the list: see rollback.h */
	if (forgotten == -ERR_CORRUPT) {
		if (err != NULL)
			*err = why;
		return forgotten;
	}
	int rc = snapshot_list(a->vault, on_bad, &bad, &a->list, err);
	if (rc == 0 && memory != NULL)
		rc = check_memory(cli, a, memory, err);
	if (rc != 0)
		return rc;
	/* what is only damaged is not forgotten: a backup goes on behind it */
	if (has_dir)
		forgotten = rollback_update(
			dir, &a->list, is_accepted && (a->is_backup || a->damaged == 0), &why);
	if (forgotten != 0) /* a host without a home can still restore */
		log_info("access.snapshots", "%s, continuing without a memory of snapshots",
			why.msg);
	return 0;
}

int access_read(
	struct cli *cli, enum access_need need, access_work_fn work, void *arg, struct err *err)
{
	struct access a = ACCESS_INIT;
	int rc = access_open(cli, need, DRIVERS_READ, &a, err);
	if (rc == 0 && need == ACCESS_CONTENT && !cli_is_set(cli, "dry-run"))
		access_hold(cli, &a);
	if (rc == 0)
		rc = access_snapshots(cli, &a, err);
	if (rc == 0)
		rc = work(cli, &a, arg, err);
	access_done(&a);
	if (rc == 0 && cli->console.warnings > 0)
		cli->status = EXIT_STATUS_WARNINGS;
	return rc;
}

int access_pick(struct cli *cli, struct access *a, const char *name, const struct snapshot **out,
	struct err *err)
{
	return snapshot_pick(&a->list, name, cli_text(cli, "source"), out, err);
}
