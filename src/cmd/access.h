/*
 * access: a vault opened for a verb: the store, the keys it needs from where they are kept, the
 * snapshots with what this host remembers of them.
 * Hides: where keys are looked for, in which order.
 */
#ifndef CMD_ACCESS_H
#define CMD_ACCESS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cmd/drivers.h"
#include "vault/keyring.h"
#include "vault/snapshot.h"

struct cli;
struct err;
struct fetch;
struct hold;
struct store;
struct vault;

enum access_need {
	ACCESS_LIST,     /* K_vault: the writer key, else a recovery file */
	ACCESS_WRITER,   /* the writer key, nothing else will do */
	ACCESS_CONTENT,  /* a key that opens snapshots: recovery file or drill key */
	ACCESS_RECOVERY, /* the recovery key itself */
};

struct access {
	struct drivers_limits limits; /* access_limits() */
	bool sets_lock; /* set before access_open(): the verb says itself how objects are to be
			   locked */
	struct store *store;
	struct vault *vault;
	struct fetch *fetch; /* with ACCESS_CONTENT */
	uint8_t vault_id[16];
	bool has_writer;
	struct keyring_writer writer;
	bool has_root;
	struct keyring_root root; /* with a recovery file */
	bool has_content;
	uint8_t content_sk[32];          /* opens snapshots */
	char group[KEYRING_GROUP_BYTES]; /* drill group of content_sk, or "" */
	struct snapshot_list list;       /* access_snapshots() */
	uint64_t damaged;                /* snapshot objects passed over */
	bool has_odd_lock;               /* lock_seen_use() warned */
	struct hold *hold;               /* access_hold(); NULL: the store cannot be written to */
	bool is_backup; /* set before access_snapshots(): objects that cannot be read may be what
			 * is missing, the session decides.  A reader is not given an older
			 * snapshot for the newest */
};

#define ACCESS_INIT                                                                                \
	{                                                                                          \
		.store = NULL                                                                      \
	}

/**
 * access_open(cli, need, mode, out, err):
 * Open the vault of --vault with the keys for ${need}.  ${out} (ACCESS_INIT) is ended by
 * access_done(), also on failure.  Return 0, -ERR_USAGE (nothing named, no way to ask for the
 * passphrase), -ERR_NOT_FOUND (no vault, no key file), -ERR_AUTH or -ERR_CORRUPT.
 */
int access_open(struct cli *cli, enum access_need need, enum drivers_mode mode, struct access *out,
	struct err *err);
/* The store alone, with no key; held to what this host remembers of its locks.  Return as
 * drivers_open(). */
int access_open_keyless(
	struct cli *cli, enum drivers_mode mode, struct access *out, struct err *err);
void access_done(struct access *a);

/**
 * access_hold(cli, a):
 * Where the store can be written to, hold collection back until access_done(); before
 * access_snapshots().  Where it cannot, that is logged: then its grace protects the reader.
 */
void access_hold(struct cli *cli, struct access *a);
/* A sign of life, for every step. */
void access_beat(const struct access *a);

/**
 * access_snapshots(cli, a, err):
 * Read a->list and compare it with this host's memory, which is then brought up to date.
 * Damaged snapshot objects are warned about and counted.  Return 0 or -ERR_ROLLBACK.
 */
int access_snapshots(struct cli *cli, struct access *a, struct err *err);

/* What a verb does with the vault once it is open and a->list is read. */
typedef int (*access_work_fn)(struct cli *cli, struct access *a, void *arg, struct err *err);

/**
 * access_read(cli, need, work, arg, err):
 * The whole way of a verb that reads: open the vault to read, list its snapshots, ${work}, close.
 * Who reads content holds collection back meanwhile, but for a --dry-run.
 * When ${work} did well and anything was warned about, the exit status says so.  Return as
 * access_open(), access_snapshots() and ${work}.
 */
int access_read(
	struct cli *cli, enum access_need need, access_work_fn work, void *arg, struct err *err);

/**
 * access_pick(cli, a, name, out, err):
 * The snapshot that ${name} and --source (where the verb has it) mean; borrowed from a->list.
 * Return as snapshot_pick().
 */
int access_pick(struct cli *cli, struct access *a, const char *name, const struct snapshot **out,
	struct err *err);

/**
 * access_replica_dir(location, vault_id, out, err):
 * Write the path of the directory where this host remembers a copy of the vault at ${location}:
 * where it is there, the store at that location is one, and is measured by it alone.  Nothing is
 * made.  Return as paths_dir().
 */
int access_replica_dir(
	const char *location, const uint8_t vault_id[16], char out[PATH_MAX], struct err *err);

/* The directory of what this host remembers of the store that --vault names.  Return as
 * paths_dir(). */
int access_memory_dir(
	const struct cli *cli, const uint8_t vault_id[16], char out[PATH_MAX], struct err *err);

/* Write the path of the writer key file of ${vault_id}.  Return 0, -ERR_CONFIG or -ERR_LIMIT. */
int access_writer_path(
	const struct cli *cli, const uint8_t vault_id[16], char out[PATH_MAX], struct err *err);

/* Read the writer key of ${vault_id} where it is kept; ${out} is wiped by the caller.  Return 0,
 * -ERR_NOT_FOUND, -ERR_AUTH (it is another vault's), or as reading and decoding it. */
int access_load_writer(const struct cli *cli, const uint8_t vault_id[16],
	struct keyring_writer *out, struct err *err);

/* Write a new 0600 file at ${path}, never over another; directories are made. */
int access_write_secret(const char *path, const void *data, size_t len, struct err *err);

/* What --limit-upload and --limit-download say; no limits where a verb has them not. */
void access_limits(const struct cli *cli, struct drivers_limits *out);

/* Those options. */
#define ACCESS_LIMIT_OPTIONS                                                                       \
	{ .name = "limit-upload",                                                                  \
		.kind = CLI_SIZE,                                                                  \
		.argument = "SIZE",                                                                \
		.help = "send at most SIZE a second to each store, 64KiB or more; default: no "    \
			"limit" },                                                                 \
	{                                                                                          \
		.name = "limit-download", .kind = CLI_SIZE, .argument = "SIZE",                    \
		.help = "read at most SIZE a second from each store"                               \
	}

/* The option of the verbs that read with a writer key, and with the recovery file where none is. */
#define ACCESS_RECOVERY_OPTION                                                                     \
	{                                                                                          \
		.name = "recovery-file", .kind = CLI_TEXT, .argument = "FILE",                     \
		.env = "HOLDFAST_RECOVERY_FILE",                                                   \
		.help = "on a host without a writer key: open the vault with this"                 \
	}

#define ACCESS_RECOVERY_NAME_BYTES 64
/* The name of the recovery file: "holdfast-recovery-<vault id>". */
void access_recovery_name(const uint8_t vault_id[16], char out[ACCESS_RECOVERY_NAME_BYTES]);

#endif
