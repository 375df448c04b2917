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
#include "codec/jsonx.h"
#include "codec/text.h"
#include "crypto/secret.h"
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
