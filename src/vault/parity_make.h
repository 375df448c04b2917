/*
 * parity_make: the parity objects of one group made from its members as they lie on a store; no
 * key.  The same group gives the same bytes, so that a lost parity object is made again under its
 * own name.
 */
#ifndef VAULT_PARITY_MAKE_H
#define VAULT_PARITY_MAKE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "vault/parity.h"

struct err;
struct store;

struct parity_make {
	struct buf
		objects[PARITY_CODE_ROWS]; /* whole objects, by row; end with parity_make_done() */
	char names[PARITY_CODE_ROWS][PARITY_NAME_BYTES];
	size_t bad; /* on failure: the member that is not what its name says */
};

/**
 * parity_make_run(store, group, out, err):
 * ${group}: rows, class and members.  Memory: the longest member once for each row.
 * Return 0, -ERR_CORRUPT or -ERR_NOT_FOUND (member out->bad cannot be had whole) or a store's
 * error.
 */
int parity_make_run(
	struct store *store, const struct parity *group, struct parity_make *out, struct err *err);
void parity_make_done(struct parity_make *m);

#endif
