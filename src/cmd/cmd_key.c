#include "cmd/cmd_key.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/access.h"
#include "cmd/passphrase.h"
#include "cmd/stop.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "crypto/hpke.h"
#include "crypto/secret.h"
#include "vault/recovery_keys.h"
#include "vault/rewrap.h"
#include "vault/rotate.h"
#include "vault/slot.h"
#include "vault/snaprec.h"
#include "vault/vault.h"

#define KEY_FILE_BYTES 4096
#define RECOVERY_TRIES 1000

static json_t *hex_of(const uint8_t *data, size_t len)
{
	char hex[65];
	text_hex(data, len, hex);
	return json_string(hex);
}

static int show_json(struct cli *cli, const struct access *a, struct err *err)
{
	const struct domain *d = vault_domain(a->vault);
	json_t *agents = json_array();
	json_t *groups = json_array();
	json_t *recovery = json_array();
	uint8_t id[32];
	for (size_t i = 0; i < d->agent_count; i++) {
		snaprec_kid(d->agents[i].ik_pk, id);
		(void)json_array_append_new(agents,
			json_pack("{s:o, s:o, s:b}", "agent_id", hex_of(d->agents[i].agent_id, 16),
				"signer", hex_of(id, 32), "revoked",
				(int)d->agents[i].is_revoked)); /* NULL: pack below fails too */
	}
	for (size_t i = 0; i < d->group_count; i++) {
		snaprec_rkid(d->groups[i].dk_pk, id);
		(void)json_array_append_new(
			groups, json_pack("{s:s, s:o}", "name", d->groups[i].name, "key_id",
					hex_of(id, 32))); /* as above */
	}
	for (size_t i = 0; i < d->recovery_count; i++) {
		snaprec_rkid(d->recovery_pk[i], id);
		(void)json_array_append_new(recovery, hex_of(id, 32)); /* as above */
	}
	json_t *o = json_pack("{s:o, s:I, s:I, s:o, s:o, s:o, s:b}", "vault_id",
		hex_of(a->vault_id, 16), "kv_epoch",
		(json_int_t)vault_sealed_key(a->vault)->kv_epoch, "config_epoch",
		(json_int_t)d->epoch, "recovery_keys", recovery, "agents", agents, "drill_groups",
		groups, "writer_key", (int)a->has_writer);
	if (console_object(&cli->console, "key-show", NULL, o) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static void print_id(struct console *c, const char *name, const uint8_t *data, size_t len)
{
	char hex[65];
	text_hex(data, len, hex);
	console_print(c, "%-14s %s\n", name, hex);
}

static void show_text(struct cli *cli, const struct access *a)
{
	struct console *c = &cli->console;
	const struct domain *d = vault_domain(a->vault);
	uint8_t id[32];
	char hex[65];
	print_id(c, "vault", a->vault_id, 16);
	console_print(c, "%-14s %u\n%-14s %u\n", "key epoch", vault_sealed_key(a->vault)->kv_epoch,
		"config epoch", d->epoch);
	for (size_t i = 0; i < d->recovery_count; i++) {
		snaprec_rkid(d->recovery_pk[i], id);
		print_id(c, "recovery key", id, 32);
	}
	for (size_t i = 0; i < d->agent_count; i++) {
		snaprec_kid(d->agents[i].ik_pk, id);
		print_id(c, "agent", d->agents[i].agent_id, 16);
		text_hex(id, 32, hex);
		console_print(c, "%-14s %s%s\n", "  signer", hex,
			d->agents[i].is_revoked ? " (revoked)" : "");
	}
	for (size_t i = 0; i < d->group_count; i++) {
		snaprec_rkid(d->groups[i].dk_pk, id);
		text_hex(id, 32, hex);
		console_print(c, "%-14s %s (%.16s)\n", "drill group", d->groups[i].name, hex);
	}
}

static int run_show(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	int rc = access_open(cli, ACCESS_LIST, DRIVERS_READ, &a, err);
	if (rc == 0 && cli->console.is_json)
		rc = show_json(cli, &a, err);
	else if (rc == 0)
		show_text(cli, &a);
	access_done(&a);
	return rc;
}

/* The passphrase that will open the new recovery file. */
static int find_new_passphrase(const struct cli *cli, char generated[KEYRING_PASSPHRASE_BYTES],
	struct secret *out, struct err *err)
{
	const char *file = cli_text(cli, "new-passphrase-file");
	if (file != NULL)
		return passphrase_of_file(file, out, err);
	if (!cli_is_set(cli, "generate-passphrase"))
		return passphrase_ask_new(out, err);
	int rc = keyring_passphrase(generated, err);
	return rc != 0 ? rc : secret_set(out, generated, strlen(generated), err);
}

/* Write the file under --out or the first free name in the working directory. */
static int write_recovery(const struct cli *cli, const struct access *a, const uint8_t *slot,
	char path[PATH_MAX], struct err *err)
{
	char name[ACCESS_RECOVERY_NAME_BYTES];
	const char *named = cli_text(cli, "out");
	access_recovery_name(a->vault_id, name);
	if (named != NULL) {
		if (snprintf(path, PATH_MAX, "%s", named) >= PATH_MAX)
			return err_set(err, ERR_LIMIT, "the path of --out is too long");
		return access_write_secret(path, slot, SLOT_HFBG_BYTES, err);
	}
	for (int i = 2; i < RECOVERY_TRIES; i++) {
		(void)snprintf(path, PATH_MAX, "%s-%d", name, i); /* fits */
		if (access(path, F_OK) != 0)
			return access_write_secret(path, slot, SLOT_HFBG_BYTES, err);
	}
	return err_set(err, ERR_EXISTS, "there is no free name for the new recovery file");
}

static int tell_passwd(
	struct cli *cli, const char *path, const char *generated, bool is_on_store, struct err *err)
{
	struct console *c = &cli->console;
	if (c->is_json) {
		json_t *o = json_pack("{s:o, s:b}", "recovery_file", jsonx_name(path, strlen(path)),
			"recovery_on_store", (int)is_on_store);
		if (o != NULL && *generated != '\0')
			(void)json_object_set_new(o, "passphrase", json_string(generated));
		if (console_object(c, "key-passwd", NULL, o) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
		return 0;
	}
	if (*generated != '\0')
		console_print(c, "passphrase     %s\n", generated);
	console_print(c, "recovery file  ");
	console_print_name(c, path, strlen(path));
	console_print(c, "\n");
	console_note(c, "The old recovery file still opens everything with the old passphrase: "
			"destroy every copy of it that should not.");
	return 0;
}

static int passwd(struct cli *cli, struct access *a, struct err *err)
{
	char generated[KEYRING_PASSPHRASE_BYTES] = "";
	char path[PATH_MAX];
	uint8_t slot[SLOT_HFBG_BYTES];
	struct secret pass = SECRET_INIT;
	int rc = find_new_passphrase(cli, generated, &pass, err);
	if (rc == 0)
		rc = slot_hfbg_seal(
			a->root.rk_sk, pass.data, pass.len, SLOT_SCRYPT_LOG2N, NULL, slot, err);
	secret_done(&pass);
	if (rc == 0)
		rc = write_recovery(cli, a, slot, path, err);
	bool is_on_store = cli_is_set(cli, "recovery-on-store");
	if (rc == 0 && is_on_store)
		rc = vault_add_recovery(a->vault, slot, sizeof(slot), err);
	if (rc == 0)
		rc = tell_passwd(cli, path, generated, is_on_store, err);
	secret_wipe(generated, sizeof(generated));
	return rc;
}

static int run_passwd(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	bool is_on_store = cli_is_set(cli, "recovery-on-store");
	int rc = access_open(
		cli, ACCESS_RECOVERY, is_on_store ? DRIVERS_WRITE : DRIVERS_READ, &a, err);
	if (rc == 0)
		rc = passwd(cli, &a, err);
	access_done(&a);
	return rc;
}

static int check_new(const struct cli *cli, struct err *err)
{
	if (strcmp(cli->args[0], "new") == 0)
		return 0;
	err_set(err, ERR_USAGE, "'%s' knows 'new' only, not '%s'", cli->verb->name, cli->args[0]);
	return err_hint(err, "see 'holdfast %s --help'", cli->verb->name);
}

static int tell_file(
	struct cli *cli, const char *schema, const char *name, const char *path, struct err *err)
{
	struct console *c = &cli->console;
	if (c->is_json) {
		if (console_object(c, schema, NULL,
			    json_pack("{s:o}", name, jsonx_name(path, strlen(path)))) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
		return 0;
	}
	console_print(c, "%s", strcmp(name, "writer_key") == 0 ? "writer key  " : "drill key  ");
	console_print_name(c, path, strlen(path));
	console_print(c, "\n");
	return 0;
}

static int add_writer(struct cli *cli, struct access *a, struct err *err)
{
	char path[PATH_MAX];
	struct keyring_writer writer;
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(KEY_FILE_BYTES);
	int rc = access_writer_path(cli, a->vault_id, path, err);
	if (rc != 0)
		return rc;
	if (access(path, F_OK) == 0) {
		err_set(err, ERR_EXISTS, "there is a writer key already: '%s'", path);
		return err_hint(err, "move it away first if this host needs a new one");
	}
	rc = vault_add_writer(a->vault, &a->root, &writer, err);
	if (rc == 0)
		rc = keyring_writer_encode(&writer, &raw, err);
	if (rc == 0)
		rc = access_write_secret(path, raw.data, raw.len, err);
	if (rc == 0)
		rc = tell_file(cli, "key-writer", "writer_key", path, err);
	secret_wipe(&writer, sizeof(writer));
	return rc;
}

static int run_writer(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	int rc = check_new(cli, err);
	if (rc == 0)
		rc = access_open(cli, ACCESS_RECOVERY, DRIVERS_WRITE, &a, err);
	if (rc == 0)
		rc = add_writer(cli, &a, err);
	access_done(&a);
	return rc;
}

static int add_group(struct cli *cli, struct access *a, struct err *err)
{
	uint8_t sk[32];
	const char *path = cli_text(cli, "out");
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(KEY_FILE_BYTES);
	if (access(path, F_OK) == 0)
		return err_set(err, ERR_EXISTS, "'%s' is there already", path);
	int rc = vault_add_group(a->vault, &a->root, cli->args[1], sk, err);
	if (rc == 0)
		rc = keyring_drill_encode(cli->args[1], sk, &raw, err);
	if (rc == 0)
		rc = access_write_secret(path, raw.data, raw.len, err);
	if (rc == 0)
		rc = tell_file(cli, "key-drill", "drill_key", path, err);
	if (rc == 0)
		console_note(&cli->console, "It opens snapshots made from now on.");
	secret_wipe(sk, sizeof(sk));
	return rc;
}

static int run_drill(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	int rc = check_new(cli, err);
	if (rc == 0 && cli_text(cli, "out") == NULL)
		rc = err_set(err, ERR_USAGE, "--out FILE is needed: where the drill key goes");
	if (rc == 0)
		rc = access_open(cli, ACCESS_RECOVERY, DRIVERS_WRITE, &a, err);
	if (rc == 0)
		rc = add_group(cli, &a, err);
	access_done(&a);
	return rc;
}

static int tell_rotate(struct cli *cli, const struct access *a, const char *path, struct err *err)
{
	struct console *c = &cli->console;
	const uint32_t epoch = vault_sealed_key(a->vault)->kv_epoch;
	if (c->is_json) {
		json_t *o = json_pack("{s:o, s:I, s:I}", "writer_key",
			jsonx_name(path, strlen(path)), "kv_epoch", (json_int_t)epoch,
			"config_epoch", (json_int_t)vault_domain(a->vault)->epoch);
		if (console_object(c, "key-rotate", NULL, o) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
		return 0;
	}
	console_print(c, "key epoch   %u\nwriter key  ", epoch);
	console_print_name(c, path, strlen(path));
	console_print(c, "\n");
	console_note(c, "Every other host that backs up to this vault needs a new writer key too; "
			"a controller of it: 'holdfast controller rekey'.");
	return 0;
}

/* The local caches go on: what did not change keeps its records. */
static int rotate(struct cli *cli, struct access *a, struct err *err)
{
	char path[PATH_MAX];
	struct keyring_writer writer;
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(KEY_FILE_BYTES);
	int rc = access_writer_path(cli, a->vault_id, path, err);
	if (rc == 0)
		rc = rotate_vault(a->vault, &a->root, &writer, err);
	if (rc != 0)
		return rc;
	if (a->has_writer)
		memcpy(writer.k_fp, a->writer.k_fp, sizeof(writer.k_fp));
	rc = keyring_writer_encode(&writer, &raw, err);
	if (rc == 0 && access(path, F_OK) == 0)
		rc = atomic_file_write(AT_FDCWD, path, 0600, raw.data, raw.len, err);
	else if (rc == 0)
		rc = access_write_secret(path, raw.data, raw.len, err);
	if (rc != 0)
		(void)err_hint(err, "the vault is at its new key epoch: move the old writer key "
				    "away, then 'holdfast key writer new'");
	if (rc == 0)
		rc = tell_rotate(cli, a, path, err);
	secret_wipe(&writer, sizeof(writer));
	return rc;
}

static int run_rotate(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	int rc = access_open(cli, ACCESS_RECOVERY, DRIVERS_WRITE, &a, err);
	if (rc == 0)
		rc = access_snapshots(cli, &a, err); /* no rotation of a store that went back */
	if (rc == 0)
		rc = rotate(cli, &a, err);
	access_done(&a);
	return rc;
}

/* ---- more than one recovery key ---- */

static int tell_recovery(struct cli *cli, const struct access *a, const char *what,
	const uint8_t rkid[32], const char *path, const char *generated, struct err *err)
{
	struct console *c = &cli->console;
	const int64_t epoch = vault_domain(a->vault)->epoch;
	if (c->is_json) {
		json_t *o = json_pack("{s:s, s:o, s:I}", "change", what, "key_id", hex_of(rkid, 32),
			"config_epoch", (json_int_t)epoch);
		if (o != NULL && path != NULL)
			(void)json_object_set_new(
				o, "recovery_file", jsonx_name(path, strlen(path)));
		if (o != NULL && *generated != '\0')
			(void)json_object_set_new(o, "passphrase", json_string(generated));
		if (console_object(c, "key-recovery", NULL, o) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
		return 0;
	}
	print_id(c, path != NULL ? "recovery key" : "retired", rkid, 32);
	if (*generated != '\0')
		console_print(c, "passphrase     %s\n", generated);
	if (path == NULL) {
		console_note(c, "It still opens the snapshots made before, here and on every copy; "
				"none made from now on.  Labels and counts are closed to it by "
				"'holdfast key rotate'.");
		return 0;
	}
	console_print(c, "recovery file  ");
	console_print_name(c, path, strlen(path));
	console_print(c, "\n");
	console_note(c, "It opens snapshots made from now on; those before after 'holdfast key "
			"rewrap'.");
	return 0;
}

/* The file first: a key that nobody has must not become one of the vault's. */
static int new_recovery(struct cli *cli, struct access *a, struct err *err)
{
	char generated[KEYRING_PASSPHRASE_BYTES] = "";
	char path[PATH_MAX];
	uint8_t sk[32], pk[32], rkid[32];
	uint8_t slot[SLOT_HFBG_BYTES];
	struct secret pass = SECRET_INIT;
	int rc = find_new_passphrase(cli, generated, &pass, err);
	if (rc == 0)
		rc = hpke_generate(sk, pk, err);
	if (rc == 0)
		rc = slot_hfbg_seal(sk, pass.data, pass.len, SLOT_SCRYPT_LOG2N, NULL, slot, err);
	secret_done(&pass);
	if (rc == 0)
		rc = write_recovery(cli, a, slot, path, err);
	if (rc == 0) {
		snaprec_rkid(pk, rkid);
		rc = recovery_keys_add(a->vault, &a->root, sk, err);
		if (rc == 0 && cli_is_set(cli, "recovery-on-store"))
			rc = vault_add_recovery(a->vault, slot, sizeof(slot), err);
		if (rc != 0 && err->hint[0] == '\0')
			(void)err_hint(
				err, "'%s' counts only if 'holdfast key show' lists its key", path);
	}
	if (rc == 0)
		rc = tell_recovery(cli, a, "new", rkid, path, generated, err);
	secret_wipe(sk, sizeof(sk));
	secret_wipe(generated, sizeof(generated));
	return rc;
}

/* The recovery key whose id begins with the argument. */
static int find_recovery(
	const struct access *a, const char *text, uint8_t rkid[32], struct err *err)
{
	const struct domain *d = vault_domain(a->vault);
	size_t found = 0;
	for (size_t i = 0; i < d->recovery_count; i++) {
		uint8_t id[32];
		char hex[65];
		snaprec_rkid(d->recovery_pk[i], id);
		text_hex(id, sizeof(id), hex);
		if (strncmp(hex, text, strlen(text)) != 0)
			continue;
		memcpy(rkid, id, sizeof(id));
		found++;
	}
	if (strlen(text) >= 4 && found == 1)
		return 0;
	err_set(err, found > 1 || strlen(text) < 4 ? ERR_USAGE : ERR_NOT_FOUND,
		found > 1 || strlen(text) < 4 ? "'%s' names no single recovery key"
					      : "there is no recovery key '%s' in this vault",
		text);
	return err_hint(err, "'holdfast key show' lists them; 4 digits or more of the id");
}

static int retire_recovery(struct cli *cli, struct access *a, struct err *err)
{
	uint8_t rkid[32];
	int rc = find_recovery(a, cli->args[1], rkid, err);
	if (rc == 0)
		rc = recovery_keys_retire(a->vault, &a->root, rkid, err);
	return rc != 0 ? rc : tell_recovery(cli, a, "retired", rkid, NULL, "", err);
}

static int run_recovery(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	bool is_new = strcmp(cli->args[0], "new") == 0;
	if ((!is_new && strcmp(cli->args[0], "retire") != 0) ||
		cli->arg_count != (is_new ? 1 : 2)) {
		err_set(err, ERR_USAGE, "'key recovery' wants 'new', or 'retire ID'");
		return err_hint(err, "see 'holdfast key recovery --help'");
	}
	int rc = access_open(cli, ACCESS_RECOVERY, DRIVERS_WRITE, &a, err);
	if (rc == 0)
		rc = access_snapshots(cli, &a, err); /* not on a store that went back */
	if (rc == 0)
		rc = is_new ? new_recovery(cli, &a, err) : retire_recovery(cli, &a, err);
	access_done(&a);
	return rc;
}

static void on_rewrap_bad(void *arg, const char *object, const struct err *why)
{
	struct cli *cli = arg;
	console_warn(&cli->console, object, strlen(object), "%s", why->msg);
}

static void on_rewrap_progress(void *arg, uint64_t done, uint64_t total)
{
	struct cli *cli = arg;
	struct console *c = &cli->console;
	if (!progress_is_due(&c->progress))
		return;
	struct progress_state s = { .what = "snapshots", .items = done, .total = total };
	progress_draw(&c->progress, &s);
}

static int tell_rewrap(
	struct cli *cli, bool is_dry_run, const struct rewrap_result *r, struct err *err)
{
	struct console *c = &cli->console;
	if (c->is_json) {
		if (console_object(c, "key-rewrap", NULL,
			    json_pack("{s:b, s:I, s:I, s:I, s:I}", "dry_run", (int)is_dry_run,
				    "snapshots", (json_int_t)r->snapshots, "rewrapped",
				    (json_int_t)r->rewrapped, "envelopes", (json_int_t)r->envelopes,
				    "not_opened", (json_int_t)r->bad)) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
		return 0;
	}
	console_count(c, r->snapshots, "snapshot: ", "snapshots: ");
	console_count(c, r->envelopes, "envelope ", "envelopes ");
	console_print(c, "%smade for %llu\n", is_dry_run ? "would be " : "",
		(unsigned long long)r->rewrapped);
	return 0;
}

static int run_rewrap(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	struct rewrap_result r;
	struct rewrap_opts opts = { .group = cli_text(cli, "drill-group"),
		.is_dry_run = cli_is_set(cli, "dry-run"),
		.arg = cli,
		.on_bad = on_rewrap_bad,
		.on_progress = on_rewrap_progress,
		.is_stopped = stop_is_asked };
	int rc = access_open(
		cli, ACCESS_CONTENT, opts.is_dry_run ? DRIVERS_READ : DRIVERS_WRITE, &a, err);
	opts.sk = a.content_sk;
	if (rc == 0)
		rc = access_snapshots(cli, &a, err);
	if (rc == 0)
		rc = rewrap_run(a.vault, &opts, &r, err);
	progress_clear(&cli->console.progress);
	if (rc == 0)
		rc = tell_rewrap(cli, opts.is_dry_run, &r, err);
	if (rc == 0 && cli->console.warnings > 0)
		cli->status = EXIT_STATUS_WARNINGS;
	access_done(&a);
	return rc;
}

static const struct cli_option show_options[] = {
	ACCESS_RECOVERY_OPTION,
	{ .name = NULL },
};

const struct cli_verb cmd_key_show_verb = {
	.name = "key show",
	.arguments = "",
	.summary = "show which keys the vault knows; no key itself",
	.json = "one object",
	.options = show_options,
	.groups = CLI_VAULT | CLI_PASS,
	.run = run_show,
};

static const struct cli_option passwd_options[] = {
	{ .name = "recovery-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_RECOVERY_FILE",
		.help = "the recovery file as it is; default: ./holdfast-recovery-ID, then "
			"the copy in the vault" },
	{ .name = "out",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.help = "where the new one goes; default: the same name with -2 (-3, ..)" },
	{ .name = "new-passphrase-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.help = "read the new passphrase from the first line of FILE" },
	{ .name = "generate-passphrase", .help = "make a passphrase of 128 random bits" },
	{ .name = "recovery-on-store", .help = "keep a copy of the new one in the vault" },
	{ .name = NULL },
};

const struct cli_verb cmd_key_passwd_verb = {
	.name = "key passwd",
	.arguments = "",
	.summary = "make a recovery file with a new passphrase",
	.about = "The old recovery file stays valid with its old passphrase: whoever has both can "
		 "still restore.  Destroy its copies, the one in the vault (ks/) included, if that "
		 "is not wanted.",
	.json = "one object",
	.options = passwd_options,
	.groups = CLI_VAULT | CLI_PASS,
	.run = run_passwd,
};

static const struct cli_option writer_options[] = {
	{ .name = "recovery-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_RECOVERY_FILE",
		.help = "the recovery file; default: ./holdfast-recovery-ID, then the copy "
			"in the vault" },
	{ .name = NULL },
};

const struct cli_verb cmd_key_writer_verb = {
	.name = "key writer",
	.arguments = "new",
	.summary = "make the writer key of this host from the recovery file",
	.about = "For a new host that goes on where a lost one ended: the chain of snapshots and "
		 "everything stored before are continued.",
	.json = "one object",
	.options = writer_options,
	.groups = CLI_VAULT | CLI_PASS,
	.min_args = 1,
	.max_args = 1,
	.run = run_writer,
};

const struct cli_verb cmd_key_rotate_verb = {
	.name = "key rotate",
	.arguments = "",
	.summary = "begin a new epoch of the vault's keys",
	.about =
		"For a writer key that may have been stolen: what is written from now on is sealed "
		"with new keys that the old writer key does not open, and every writer key made "
		"before is revoked; this host gets a new one. Snapshots that are there stay as "
		"they "
		"are and open as before. Deduplication begins anew: files that do not change keep "
		"their records, all else is stored once more. Backups that run meanwhile end well "
		"or say that they have to be repeated. A recovery key that was stolen cannot be "
		"made good by this: it opens what is there, and needs a new vault.",
	.json = "one object",
	.options = writer_options,
	.groups = CLI_VAULT | CLI_PASS,
	.run = run_rotate,
};

static const struct cli_option drill_options[] = {
	{ .name = "recovery-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_RECOVERY_FILE",
		.help = "the recovery file; default: ./holdfast-recovery-ID, then the copy "
			"in the vault" },
	{ .name = "out", .kind = CLI_TEXT, .argument = "FILE", .help = "where the drill key goes" },
	{ .name = NULL },
};

const struct cli_verb cmd_key_drill_verb = {
	.name = "key drill",
	.arguments = "new GROUP",
	.summary = "make a drill key: it opens snapshots made from now on",
	.json = "one object",
	.options = drill_options,
	.groups = CLI_VAULT | CLI_PASS,
	.min_args = 2,
	.max_args = 2,
	.run = run_drill,
};

static const struct cli_option recovery_options[] = {
	{ .name = "recovery-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_RECOVERY_FILE",
		.help = "the recovery file that signs; default: ./holdfast-recovery-ID, then the "
			"copy in the vault" },
	{ .name = "out",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.help = "new: where the new file goes; default: the same name with -2 (-3, ..)" },
	{ .name = "new-passphrase-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.help = "new: read its passphrase from the first line of FILE" },
	{ .name = "generate-passphrase", .help = "new: make a passphrase of 128 random bits" },
	{ .name = "recovery-on-store", .help = "new: keep a copy of the file in the vault" },
	{ .name = NULL },
};

const struct cli_verb cmd_key_recovery_verb = {
	.name = "key recovery",
	.arguments = "new | retire ID",
	.summary = "make another recovery key, or retire one",
	.about = "Every recovery key opens the vault alone, with its own file and passphrase: keep "
		 "two in two places, and a lost one is no loss.  A new one opens snapshots made "
		 "from now on, those before after 'holdfast key rewrap'.  A retired one opens no "
		 "snapshot made from now on; those before stay open to it, on this store as on "
		 "every copy: what was leaked wants a new vault.  ID is what 'holdfast key show' "
		 "lists, 4 digits or more of it; the key that signs cannot be the one that goes.",
	.json = "one object",
	.options = recovery_options,
	.groups = CLI_VAULT | CLI_PASS,
	.min_args = 1,
	.max_args = 2,
	.run = run_recovery,
};

static const struct cli_option rewrap_options[] = {
	{ .name = "drill-group",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "also for the keys of this drill group: they open the snapshots that are "
			"there then" },
	{ .name = "dry-run", .help = "say what would be done, change nothing" },
	{ .name = NULL },
};

const struct cli_verb cmd_key_rewrap_verb = {
	.name = "key rewrap",
	.arguments = "",
	.summary = "let new recovery keys open the snapshots that are there",
	.about = "Each snapshot gets an envelope for every recovery key of the vault that has "
		 "none; content is neither read nor written anew.  Any recovery or drill key does "
		 "it, for the snapshots it opens itself.  What cannot be opened is named, with "
		 "status 3.",
	.json = "one object",
	.options = rewrap_options,
	.groups = CLI_VAULT | CLI_CONTENT,
	.run = run_rewrap,
};
