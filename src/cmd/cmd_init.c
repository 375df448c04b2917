#include "cmd/cmd_init.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/access.h"
#include "cmd/drivers.h"
#include "cmd/lock_seen.h"
#include "cmd/passphrase.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/lock_keep.h"
#include "vault/vault.h"
#include "vault/vault_init.h"

/*
 * INVARIANTS
 * (1) The verb ends well only when the recovery file, the writer key and the drill key are durable
 *     beside the vault; else the vault that was just made is taken away again.
 * (2) No existing file is ever replaced.
 */

#define WRITER_FILE_BYTES 4096

struct made {
	char recovery[PATH_MAX];
	char writer[PATH_MAX];
	const char *drill; /* NULL = none */
	char passphrase[KEYRING_PASSPHRASE_BYTES];
	bool is_generated;
};

static int check_options(const struct cli *cli, struct err *err)
{
	const char *group = cli_text(cli, "drill-group");
	const char *out = cli_text(cli, "drill-key-out");
	if ((group == NULL) != (out == NULL))
		return err_set(err, ERR_USAGE, "--drill-group and --drill-key-out go together");
	if (cli_is_set(cli, "generate-passphrase") && cli_is_set(cli, "ask-passphrase"))
		return err_set(err, ERR_USAGE,
			"--generate-passphrase and --ask-passphrase exclude each other");
	const char *paths[] = { out, cli_text(cli, "recovery-file"), cli_text(cli, "writer-key") };
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (paths[i] != NULL && access(paths[i], F_OK) == 0) {
			err_set(err, ERR_EXISTS, "'%s' is there already", paths[i]);
			return err_hint(err, "key files are never replaced; name another one");
		}
	}
	return 0;
}

static int find_passphrase(
	const struct cli *cli, struct made *m, struct secret *pass, struct err *err)
{
	bool wants_own = cli_is_set(cli, "ask-passphrase") || passphrase_is_given(cli);
	m->is_generated = cli_is_set(cli, "generate-passphrase") || !wants_own;
	if (m->is_generated) {
		int rc = keyring_passphrase(m->passphrase, err);
		return rc != 0 ? rc : secret_set(pass, m->passphrase, strlen(m->passphrase), err);
	}
	return cli_is_set(cli, "ask-passphrase") ? passphrase_ask_new(pass, err)
						 : passphrase_get(cli, pass, err);
}

/* An init that broke off leaves objects without a header: say so.  A vault that lost its header
 * leaves them too, and snapshots: whoever is told to remove that loses everything. */
static int explain_exists(struct store *store, struct err *err)
{
	bool is_there = false, has_any = false, has_snapshot = false, has_pack = false;
	uint64_t size;
	if (vault_is_there(store, &is_there, NULL) != 0 || is_there)
		return -ERR_EXISTS;
	if (store_has_any(store, "", &has_any, NULL) == 0 && !has_any)
		return -ERR_EXISTS; /* what it was refused for is hidden, and was said */
	if (store_has_any(store, "sn/", &has_snapshot, NULL) != 0 ||
		store_has_any(store, "pk/", &has_pack, NULL) != 0 || has_snapshot || has_pack) {
		err_set(err, ERR_EXISTS, "there is a vault here whose header is lost");
		return err_hint(err, "do not remove it: its snapshots can be restored; 'holdfast "
				     "repair' brings the header back from parity or a copy");
	}
	if (store_stat(store, "README.txt", &size, NULL) != 0 &&
		store_stat(store, "tmp-probe", &size, NULL) != 0)
		return -ERR_EXISTS;
	err_set(err, ERR_EXISTS, "an earlier 'holdfast init' was interrupted here");
	return err_hint(err, "remove the directory, or choose another one, and run init again");
}

static int write_recovery(
	const struct cli *cli, const struct vault_init_result *r, struct made *m, struct err *err)
{
	char name[ACCESS_RECOVERY_NAME_BYTES];
	char dir[PATH_MAX];
	const char *named = cli_text(cli, "recovery-file");
	access_recovery_name(r->writer.vault_id, name);
	int n;
	if (named != NULL)
		n = snprintf(m->recovery, sizeof(m->recovery), "%s", named);
	else if (getcwd(dir, sizeof(dir)) != NULL)
		n = snprintf(m->recovery, sizeof(m->recovery), "%s/%s", dir, name);
	else
		return err_sys(err, ERR_IO, "unable to find the working directory");
	if (n >= (int)sizeof(m->recovery))
		return err_set(err, ERR_LIMIT, "the path of the recovery file is too long");
	return access_write_secret(m->recovery, r->recovery, sizeof(r->recovery), err);
}

static int write_writer(
	const struct cli *cli, const struct vault_init_result *r, struct made *m, struct err *err)
{
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(WRITER_FILE_BYTES);
	int rc = access_writer_path(cli, r->writer.vault_id, m->writer, err);
	if (rc == 0)
		rc = keyring_writer_encode(&r->writer, &raw, err);
	return rc != 0 ? rc : access_write_secret(m->writer, raw.data, raw.len, err);
}

static int write_drill(
	const struct cli *cli, const struct vault_init_result *r, struct made *m, struct err *err)
{
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(WRITER_FILE_BYTES);
	const char *path = cli_text(cli, "drill-key-out");
	if (path == NULL)
		return 0;
	int rc = keyring_drill_encode(cli_text(cli, "drill-group"), r->dk_sk, &raw, err);
	if (rc == 0)
		rc = access_write_secret(path, raw.data, raw.len, err);
	if (rc == 0)
		m->drill = path;
	return rc;
}

static int write_files(
	const struct cli *cli, const struct vault_init_result *r, struct made *m, struct err *err)
{
	int rc = write_recovery(cli, r, m, err);
	if (rc != 0)
		return rc;
	rc = write_writer(cli, r, m, err);
	if (rc != 0) {
		(void)unlink(m->recovery); /* it opens nothing any more */
		return rc;
	}
	rc = write_drill(cli, r, m, err);
	if (rc != 0) {
		(void)unlink(m->writer);   /* as above */
		(void)unlink(m->recovery); /* as above */
	}
	return rc;
}

static void tell(
	struct cli *cli, const struct vault_init_result *r, const struct made *m, bool is_on_store)
{
	char id[33];
	struct console *c = &cli->console;
	text_hex(r->writer.vault_id, 16, id);
	if (c->is_json) {
		json_t *o = json_pack("{s:s, s:o, s:o, s:b}", "vault_id", id, "recovery_file",
			jsonx_name(m->recovery, strlen(m->recovery)), "writer_key",
			jsonx_name(m->writer, strlen(m->writer)), "recovery_on_store",
			(int)is_on_store);
		if (o != NULL && m->is_generated)
			(void)json_object_set_new(o, "passphrase", json_string(m->passphrase));
		if (o != NULL && m->drill != NULL)
			(void)json_object_set_new(
				o, "drill_key", jsonx_name(m->drill, strlen(m->drill)));
		(void)console_object(c, "init", NULL, o); /* console_flush() tells */
		return;
	}
	console_print(c, "vault          %s\n", id);
	if (m->is_generated)
		console_print(c, "passphrase     %s\n", m->passphrase);
	console_print(c, "recovery file  ");
	console_print_name(c, m->recovery, strlen(m->recovery));
	console_print(c, "\nwriter key     ");
	console_print_name(c, m->writer, strlen(m->writer));
	if (m->drill != NULL) {
		console_print(c, "\ndrill key      ");
		console_print_name(c, m->drill, strlen(m->drill));
	}
	console_print(c, "\n");
	if (m->is_generated)
		console_note(c, "The passphrase is shown this once: write it down and keep it away "
				"from this host.");
	console_note(c, "Without the passphrase%s nobody can restore, and nobody can help.",
		is_on_store ? "" : " and the recovery file");
}

static int make(struct cli *cli, struct store *store, const struct vault_init_opts *opts,
	struct made *m, struct err *err)
{
	struct vault_init_result result;
	int rc = vault_init(store, opts, &result, err);
	if (rc == -ERR_EXISTS)
		return explain_exists(store, err);
	if (rc != 0)
		return rc;
	rc = write_files(cli, &result, m, err);
	if (rc == 0)
		tell(cli, &result, m, opts->is_recovery_on_store);
	else
		vault_init_undo(store);
	secret_wipe(&result, sizeof(result));
	return rc;
}

/* Lock the vault that was just made, and what comes to it.  Not sooner: what is locked cannot be
 * taken away again when something fails. */
static int set_lock(struct store *store, const struct store_lock *lock, struct err *err)
{
	struct lock_keep_result r = { .objects = 0 };
	int rc = store_set_lock(store, lock, err);
	if (rc == 0 && lock->mode != STORE_LOCK_NONE)
		rc = lock_keep_run(store, NULL, NULL, &r, err);
	if (rc == 0 && r.failed > 0) {
		rc = -r.why.code;
		if (err != NULL)
			*err = r.why;
	}
	if (rc == 0)
		return 0;
	(void)err_wrap(err, "the vault is made, and not locked");
	return err_hint(err, "try 'holdfast vault lock --policy ..' on it");
}

/* Can it be locked at all?  Else nothing is made. */
static int check_lock(struct store *store, const struct store_lock *lock, struct err *err)
{
	if (lock->mode == STORE_LOCK_NONE || (store_features(store) & STORE_HAS_OBJECT_LOCK) != 0)
		return 0;
	return store_set_lock(store, lock, err); /* it says why not */
}

static int run(struct cli *cli, struct err *err)
{
	struct made m = { .drill = NULL };
	struct secret pass = SECRET_INIT;
	struct store *store = NULL;
	struct store_lock policy;
	const char *lock = cli_text(cli, "lock");
	bool is_made = false;
	int rc = check_options(cli, err);
	if (rc != 0)
		return rc;
	if (lock != NULL)
		rc = store_lock_parse(lock, &policy, err);
	if (rc == 0)
		rc = drivers_open(cli, DRIVERS_CREATE, NULL, &store, err);
	if (rc == 0 && lock != NULL)
		rc = check_lock(store, &policy, err);
	if (rc == 0)
		rc = find_passphrase(cli, &m, &pass, err);
	if (rc == 0) {
		struct vault_init_opts opts = { .pass = pass.data,
			.pass_len = pass.len,
			.is_recovery_on_store =
				m.is_generated || cli_is_set(cli, "recovery-on-store"),
			.scrypt_log2n = SLOT_SCRYPT_LOG2N,
			.drill_group = cli_text(cli, "drill-group") };
		rc = make(cli, store, &opts, &m, err);
		is_made = rc == 0;
		if (is_made && lock != NULL)
			rc = set_lock(store, &policy, err);
		if (is_made && lock == NULL)
			store_locks_by(store, &policy);
		if (rc == 0 && (lock != NULL || store_hold_lock(store, &policy)))
			lock_seen_tell(&cli->console, drivers_location(cli), &policy);
	}
	store_free(store);
	secret_done(&pass);
	secret_wipe(m.passphrase, sizeof(m.passphrase));
	if (rc == 0 || is_made || drivers_location(cli) == NULL)
		return rc;
	return err_wrap(err, "unable to make a vault in '%s'", drivers_location(cli));
}

static const struct cli_option options[] = {
	{ .name = "recovery-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.help = "where the recovery file goes; default: ./holdfast-recovery-ID" },
	{ .name = "recovery-on-store",
		.help = "keep a copy of the recovery file in the vault although the passphrase is "
			"your own; whoever takes the store may then guess at it" },
	{ .name = "generate-passphrase",
		.help = "make a passphrase of 128 random bits (the default unless you give one)" },
	{ .name = "ask-passphrase", .help = "ask for your own passphrase at the terminal" },
	{ .name = "lock",
		.kind = CLI_TEXT,
		.argument = "MODE:DURATION",
		.help = "in a bucket with Object Lock: lock what a restore needs, compliance:30d "
			"or "
			"governance:30d; 'holdfast vault lock' keeps it so" },
	{ .name = "drill-group",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "make a drill key too: it opens snapshots for drills, without the "
			"passphrase" },
	{ .name = "drill-key-out",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.help = "where the drill key goes" },
	{ .name = NULL },
};

const struct cli_verb cmd_init_verb = {
	.name = "init",
	.arguments = "",
	.summary = "make a vault in an empty or new directory",
	.about = "Writes the vault, the recovery file and the writer key of this host.  The "
		 "recovery "
		 "file and its passphrase restore everything on any host; the writer key can make "
		 "and list backups, but open none.  A generated passphrase is strong enough for a "
		 "copy of the recovery file to lie in the vault, so that the passphrase alone "
		 "restores; for your own passphrase that takes --recovery-on-store.",
	.json = "one object",
	.options = options,
	.groups = CLI_VAULT | CLI_PASS,
	.run = run,
};
