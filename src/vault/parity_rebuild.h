/*
 * parity_rebuild: one object of a group made again from the others and the group's parity, stripe
 * by stripe; no key.  The stripe hashes say which 64 KiB of which object are good, so that objects
 * may be damaged in more places than there are rows, if not in the same stripe.
 */
#ifndef VAULT_PARITY_REBUILD_H
#define VAULT_PARITY_REBUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "vault/parity_set.h"

struct buf;
struct err;
struct store;

/* Is the object a member of a group, or a parity object that its group can make again? */
bool parity_rebuild_is_covered(const struct parity_set *set, const char *name);

/**
 * parity_rebuild_run(store, set, name, out, err):
 * Append the object called ${name} (a member or a parity object) as it was; it hashes to its name.
 * Every group it is in is tried.  Return 0, -ERR_NOT_FOUND (in no group), -ERR_CORRUPT (too much of
 * the group is damaged) or -ERR_NOMEM.
 */
int parity_rebuild_run(struct store *store, const struct parity_set *set, const char *name,
	struct buf *out, struct err *err);

#endif
