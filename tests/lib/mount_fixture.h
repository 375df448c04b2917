/*
 * mount_fixture: a vault in memory with one snapshot of a small tree, as mounted: its snapshots
 * and its operations.
 */
#ifndef TESTS_MOUNT_FIXTURE_H
#define TESTS_MOUNT_FIXTURE_H

#include "mount/mount_ops.h"
#include "mount/mount_snaps.h"
#include "tests/lib/vault_fixture.h"

#define MOUNT_FIXTURE_BIG_BYTES 700000
#define MOUNT_FIXTURE_FILES 12

struct mount_fixture {
	struct vault_fixture vault;
	struct mount_snaps *snaps;
	struct mount_ops *ops; /* NULL until mount_fixture_ops() */
	int64_t mono_ns;       /* what env_mono_ns() says */
	unsigned problems;
	char problem[4096]; /* the last: path, colon, text */
};

/* The tree: in key order "srv/a" has its entries before "srv/a.d". */
extern struct fake_file mount_fixture_day[MOUNT_FIXTURE_FILES];
extern uint8_t mount_fixture_big[MOUNT_FIXTURE_BIG_BYTES];

/* Back the tree up as ${source} and look at it through ${cache_bytes}.  Asserts on failure. */
void mount_fixture_init(struct mount_fixture *f, const char *source, size_t cache_bytes);
/* Back it up once more, and let two seconds pass. */
void mount_fixture_again(struct mount_fixture *f, const char *source);
/* Make the operations; ${snapshot} as in struct mount_ops_opts. */
void mount_fixture_ops(struct mount_fixture *f, const uint8_t *snapshot);
void mount_fixture_done(struct mount_fixture *f);

/* The first (or only) snapshot, opened. */
struct mount_snap *mount_fixture_snap(struct mount_fixture *f);

/* Look up a path component by component; 0, or the errno of what failed. */
int mount_fixture_walk(struct mount_fixture *f, const char *path, struct mount_ops_attr *out);

#endif
