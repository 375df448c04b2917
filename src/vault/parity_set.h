/*
 * parity_set: the parity objects of one store, by their trailers; no key.
 */
#ifndef VAULT_PARITY_SET_H
#define VAULT_PARITY_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/parity.h"

struct buf;
struct err;
struct store;

#define PARITY_SET_TRAILER_MAX (4u << 20)

struct parity_set_object {
	char name[PARITY_NAME_BYTES];
	uint64_t size;
	bool is_readable;     /* parity is there */
	struct parity parity; /* without its hashes */
};

struct parity_set {
	struct parity_set_object *at; /* owned; ascending by name */
	size_t count, cap;
};

/* Read the trailer of every object in pa/.  One whose trailer cannot be read is kept as such.
 * Return 0, -ERR_NOMEM or why the store cannot be listed. */
int parity_set_load(struct store *store, struct parity_set *out, struct err *err);
void parity_set_done(struct parity_set *s);

/* Read the trailer of an object of ${size} bytes into ${trailer} (cleared); out->hashes is borrowed
 * from it.  Return as parity_decode() or as the store. */
int parity_set_trailer(struct store *store, const char *name, uint64_t size, struct buf *trailer,
	struct parity *out, struct err *err);

/* The most rows that a group of them has; 0 = there is none that can be read. */
unsigned parity_set_rows(const struct parity_set *s);

/* The number of ${name} among the members, or -1. */
int parity_set_member(const struct parity *p, const char *name);

#endif
