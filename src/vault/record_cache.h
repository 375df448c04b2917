/*
 * record_cache: opened records kept within a bound of bytes, for several threads at once; a record
 * two threads want is opened once.  Reads ahead on threads of its own.
 * Checks everything, as record_reader does; what could not be opened is not kept.
 * Threading: every call but new and free may be made by any thread at any time.
 */
#ifndef VAULT_RECORD_CACHE_H
#define VAULT_RECORD_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "vault/record_io.h"

struct record_cache;
struct record_store;

#define RECORD_CACHE_DEFAULT_BYTES (64u << 20)
#define RECORD_CACHE_MIN_BYTES (1u << 20)
#define RECORD_CACHE_MAX_AHEAD 8 /* threads that read ahead */

struct record_cache_opts {
	size_t max_bytes;       /* of opened records and what the cache needs to keep them; what is
				 * held by readers at one moment may come on top */
	unsigned ahead_threads; /* 0 = never read ahead */
};

struct record_cache_stats {
	uint64_t hits, misses; /* of record_cache_hold() and the source */
	uint64_t ahead;        /* records opened ahead */
	size_t bytes;          /* kept now */
	size_t peak;           /* the most that was kept at one time */
};

/* An opened record in the cache, borrowed until its release. */
struct record_cache_held {
	const uint8_t *data;
	size_t len;
};

/* ${store} is borrowed until free; its get is called by several threads at once, expect never. */
int record_cache_new(const struct record_store *store, const struct record_cache_opts *opts,
	struct record_cache **out, struct err *err);
/* Nothing is held any more, and no call is under way. */
void record_cache_free(struct record_cache *c);

/**
 * record_cache_hold(c, ref, type, out, err):
 * Give the raw bytes of a record, which stay until record_cache_release().  Return 0, or what the
 * store and record_open() say.
 */
int record_cache_hold(struct record_cache *c, const struct ref *ref, enum record_type type,
	const struct record_cache_held **out, struct err *err);
void record_cache_release(struct record_cache *c, const struct record_cache_held *held);
/* The same of a record that is hardly wanted again: it is given up before all others. */
void record_cache_release_first(struct record_cache *c, const struct record_cache_held *held);

/* Open the record soon, if there is a thread for it; an error is seen by who asks for it then. */
void record_cache_ahead(struct record_cache *c, const struct ref *ref, enum record_type type);

/* Forget what is to be opened ahead and end the threads, until something is wished again.  One
 * thread calls it, and meanwhile none record_cache_ahead(). */
void record_cache_rest(struct record_cache *c);

/* A record source for any thread; borrowed until free. */
const struct record_source *record_cache_source(struct record_cache *c);

size_t record_cache_max_bytes(const struct record_cache *c);
void record_cache_get_stats(struct record_cache *c, struct record_cache_stats *out);

#endif
