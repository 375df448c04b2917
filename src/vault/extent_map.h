/*
 * extent_map: which extent of a file holds a given byte (docs/FORMAT.md section 4.5.1), by one way
 * down its extent tree.  Keeps a few opened nodes, so that neighbours cost nothing.
 * Threading: one thread at a time.
 */
#ifndef VAULT_EXTENT_MAP_H
#define VAULT_EXTENT_MAP_H

#include "vault/entry.h"
#include "vault/record_io.h"

struct extent_map;

/* An extent and where in its file it begins. */
struct extent_map_spot {
	struct extent extent;
	uint64_t start;
};

/**
 * extent_map_new(source, e, out, err):
 * A map of the file ${e}, of which everything needed is copied; ${source} is borrowed until free.
 * Return 0, -ERR_CORRUPT (inline extents that are not the file's size) or -ERR_NOMEM.
 */
int extent_map_new(const struct record_source *source, const struct entry *e,
	struct extent_map **out, struct err *err);
void extent_map_free(struct extent_map *m);

/* The file's size in bytes. */
uint64_t extent_map_size(const struct extent_map *m);

/**
 * extent_map_find(m, offset, out, err):
 * Give the extent that holds the byte at ${offset}, which must be below the size.  Return 0,
 * -ERR_CORRUPT (also for extents that are not as long as what names them) or what the source says.
 */
int extent_map_find(
	struct extent_map *m, uint64_t offset, struct extent_map_spot *out, struct err *err);

#endif
