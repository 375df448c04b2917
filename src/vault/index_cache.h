/*
 * index_cache: the index of a vault, kept on this host from one run to the next: one file below the
 * vault's cache directory, mapped as it is (docs/FORMAT.md section 11).  Made from the segments on
 * the store; a file that is damaged, of another vault, or that knows a segment which the store no
 * longer has is made anew.  What only newer segments tell is added in memory.
 * Knows: when the file pays.  Hides: the file.  Threading: as struct vault; any number of processes
 * may share the directory.
 */
#ifndef VAULT_INDEX_CACHE_H
#define VAULT_INDEX_CACHE_H

struct err;
struct index;
struct vault;

#define INDEX_CACHE_FILE "index"
#define INDEX_CACHE_MIN_ENTRIES 1024 /* a smaller index is read faster than checked */

/**
 * index_cache_load(v, out, err):
 * The index of everything that the segments on the store tell, settled.  A segment that cannot be
 * read is passed over (the packs' footers say the same).  A cache that cannot be read or written
 * costs time only.
 * Return 0, -ERR_UNSUPPORTED (a segment of a newer format), -ERR_NOMEM or as the store.
 */
int index_cache_load(struct vault *v, struct index **out, struct err *err);

#endif
