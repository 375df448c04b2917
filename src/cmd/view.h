/*
 * view: one snapshot opened to be looked into.
 */
#ifndef CMD_VIEW_H
#define CMD_VIEW_H

#include "vault/snapshot.h"

struct access;
struct buf;
struct cli;
struct entry;
struct err;
struct tree_reader;

#define VIEW_ID_BYTES 65   /* hex and a NUL */
#define VIEW_SHORT_BYTES 9 /* the first 8 digits */

struct view {
	const struct snapshot *snapshot; /* borrowed from the access */
	struct snapshot_opened opened;
};

/**
 * view_open(cli, a, name, out, err):
 * Find ${name} among the snapshots (access_snapshots() was called) and open it; warns when its
 * signer cannot be checked.  Return as access_pick() and snapshot_open().
 */
int view_open(
	struct cli *cli, struct access *a, const char *name, struct view *out, struct err *err);

/* A reader at the first entry; the caller frees it with tree_reader_free(). */
int view_reader(struct access *a, const struct view *v, struct tree_reader **out, struct err *err);

/**
 * view_lookup(r, key, e, err):
 * Seek ${r} to the entry of exactly ${key} and give it.  Return 1, 0 when there is none, or an
 * error.  ${e} is borrowed until the next call on ${r}.
 */
int view_lookup(struct tree_reader *r, const struct buf *key, struct entry *e, struct err *err);

/* True if ${key} is ${dir} (or ${dir} is empty) or lies below it. */
bool view_is_within(const uint8_t *key, size_t len, const struct buf *dir);

/* The id of a snapshot as hex. */
void view_id(const struct snapshot *s, char out[VIEW_ID_BYTES]);

#endif
