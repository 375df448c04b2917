/*
 * sandbox_left: what this host still holds of a sandbox that should be gone: processes in its
 * namespaces, the namespaces themselves, mounts.  Looks at /proc only.  Thread-safe.
 */
#ifndef RESTORE_SANDBOX_LEFT_H
#define RESTORE_SANDBOX_LEFT_H

#include <stdint.h>

struct err;
struct sandbox_ids;

struct sandbox_left {
	int64_t processes;  /* in one of its namespaces */
	int64_t namespaces; /* of its own that a process still holds */
	int64_t mounts;     /* at or below the directory */
};

/**
 * sandbox_left_count(ids, dir, out, err):
 * Look for what is left of ${ids} (NULL: there was no sandbox), whose numbers must still be held,
 * and for mounts at or below the directory ${dir}, which may be gone.  Return 0 or -ERR_IO.
 */
int sandbox_left_count(
	const struct sandbox_ids *ids, const char *dir, struct sandbox_left *out, struct err *err);

#endif
