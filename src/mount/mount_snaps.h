/*
 * mount_snaps: the snapshots of a vault by the names that a mounted vault shows, read anew when
 * somebody looks; their records for many threads.
 * Hides: that a vault and its store serve one thread at a time.
 * Threading: every call but new and free may be made by any thread at any time.
 */
#ifndef MOUNT_MOUNT_SNAPS_H
#define MOUNT_MOUNT_SNAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/ref.h"

struct err;
struct mount_snaps;
struct record_cache;
struct vault;

#define MOUNT_SNAPS_ID_BYTES 65
#define MOUNT_SNAPS_TIME_BYTES 64

/* One snapshot; it stays where it is as long as the mount_snaps, and only is_open and top change,
 * once. */
struct mount_snap {
	uint8_t hash[32];
	char id[MOUNT_SNAPS_ID_BYTES];     /* as many digits as tell it from those known before */
	char *source;                      /* owned */
	char *dir;                         /* owned; the source's name as one path component */
	char time[MOUNT_SNAPS_TIME_BYTES]; /* when it was received; unique in its source */
	int64_t received_ns;
	bool is_open; /* mount_snaps_open() was here */
	struct ref top;
};

struct mount_snaps_opts {
	struct vault *vault; /* borrowed until free */
	const uint8_t *sk;   /* 32 bytes that open content; copied */
	const char *source;  /* show only this one; NULL = all; borrowed until free */
	size_t cache_bytes;  /* of opened records */
	unsigned ahead;      /* threads that read ahead */
};

/* Return 0 or -ERR_NOMEM.  There is no snapshot before mount_snaps_renew(). */
int mount_snaps_new(const struct mount_snaps_opts *opts, struct mount_snaps **out, struct err *err);
void mount_snaps_free(struct mount_snaps *m);

/**
 * mount_snaps_renew(m, err):
 * Look which snapshots there are, unless that was done a moment ago.  Snapshots that cannot be read
 * are passed over (verify names them).  Return 0 or what the store says; then what was known stays.
 */
int mount_snaps_renew(struct mount_snaps *m, struct err *err);

/**
 * mount_snaps_list(m, out, count, err):
 * Give the snapshots that are there now, by time of receipt; the caller frees the array, the
 * snapshots are borrowed until free.  Return 0 or -ERR_NOMEM.
 */
int mount_snaps_list(
	struct mount_snaps *m, struct mount_snap ***out, size_t *count, struct err *err);

/* Open ${snap} unless it is open.  Return 0 or as snapshot_open(). */
int mount_snaps_open(struct mount_snaps *m, struct mount_snap *snap, struct err *err);

/* Borrowed until free. */
struct record_cache *mount_snaps_cache(struct mount_snaps *m);

#endif
