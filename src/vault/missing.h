/*
 * missing: which objects a vault should have and does not: packs that its index lists, reference
 * lists and envelopes that its snapshots name; and which absent objects are gone for good reason:
 * deleted by a collection, pruned, or set aside by a repair.
 */
#ifndef VAULT_MISSING_H
#define VAULT_MISSING_H

#include <stdbool.h>
#include <stddef.h>

#include "vault/parity.h"

struct collect_view;
struct err;
struct id_set;
struct vault;

struct missing {
	char (*names)[PARITY_NAME_BYTES]; /* owned; of objects that should be there, ascending */
	size_t count, cap;
	size_t packs;        /* that the index lists, missing or not */
	struct id_set *gone; /* owned; SHA-256 of objects that pruning or a repair took away */
	const struct collect_view *view; /* borrowed */
};

/* Look.  What cannot be read tells nothing, and is passed over; what is condemned or dead in
 * ${view} is not missed.  Return 0, -ERR_NOMEM or a store's error. */
int missing_load(
	struct vault *v, const struct collect_view *view, struct missing *out, struct err *err);
void missing_done(struct missing *m);

/* Is it one of the names? */
bool missing_has(const struct missing *m, const char *name);

/* Of a member of a parity group that is not on the store: should it be?  What collection deletes is
 * in no group by then. */
bool missing_is_lost(const struct missing *m, const char *name);

#endif
