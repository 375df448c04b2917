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
	bool is_unread;       /* the store failed to read some of it; another time it may */
	uint64_t saved, lost; /* records */
};

/* Where records of a pack go to. */
struct salvage_opts {
	const struct id_set *wanted; /* OPTIONAL: only these */
	struct pack_out *to;         /* OPTIONAL: NULL = look only */
	struct id_set *good;         /* what is in it is passed over; what is whole is added */
};

/**
 * salvage_pack(v, name, size, opts, out, err):
 * Look at every record of the pack called ${name}, ${size} bytes long on the store of ${v}, that
 * ${opts} wants: one that hashes to its ID is added to opts->good and goes to opts->to.  The pack
 * stays.
 * Return 0, -ERR_NOMEM or a store's error of writing.
 */
int salvage_pack(struct vault *v, const char *name, uint64_t size, const struct salvage_opts *opts,
	struct salvage_result *out, struct err *err);

/**
 * salvage_index(v, is_bad, arg, to, count, err):
 * List, in ${to}, every pack on the store that no readable index segment lists (whatever the cache
 * of this host knows); packs for which
 * ${is_bad} says so, or whose footer cannot be read, are left out.  ${to} NULL: count only.
 */
int salvage_index(struct vault *v, bool (*is_bad)(void *arg, const char *name), void *arg,
	struct pack_out *to, uint64_t *count, struct err *err);

#endif
