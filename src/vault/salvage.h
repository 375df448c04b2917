/*
 * salvage: the good records of a damaged pack carried into new packs, and the index made anew out
 * of packs' footers (docs/FORMAT.md section 10.4).
 */
#ifndef VAULT_SALVAGE_H
#define VAULT_SALVAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct id_set;
struct pack_out;
struct vault;

struct salvage_result {
	bool is_known;        /* footer or index tell what the pack held */
	uint64_t saved, lost; /* records */
};

/**
 * salvage_pack(v, name, size, to, good, out, err):
 * Look at every record of the pack called ${name}, ${size} bytes long on the store: one that hashes
 * to its ID is added to ${good} and, with ${to} not NULL, goes there.  The pack stays.
 * Return 0, -ERR_NOMEM or a store's error of writing.
 */
int salvage_pack(struct vault *v, const char *name, uint64_t size, struct pack_out *to,
	struct id_set *good, struct salvage_result *out, struct err *err);

/**
 * salvage_index(v, is_bad, arg, to, count, err):
 * List, in ${to}, every pack on the store that no readable index segment lists; packs for which
 * ${is_bad} says so, or whose footer cannot be read, are left out.  ${to} NULL: count only.
 */
int salvage_index(struct vault *v, bool (*is_bad)(void *arg, const char *name), void *arg,
	struct pack_out *to, uint64_t *count, struct err *err);

#endif
