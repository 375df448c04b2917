/*
 * seal_pool: threads that seal records (compress, encrypt, open again), and the order in which they
 * were asked for.  Jobs are added and taken on one thread, first in, first out: whichever worker is
 * quicker, the records come back as they went in.  What the chunk cache knows is not sealed again.
 * Knows no port and no tree.
 */
#ifndef AGENTS_SEAL_POOL_H
#define AGENTS_SEAL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/chunk_cache.h"
#include "base/buf.h"
#include "base/err.h"
#include "vault/record.h"

struct seal_pool;

/* Told once, on the thread that takes: the record has this reference; NULL: it will never have. */
typedef void (*seal_pool_fn)(void *arg, uint64_t index, const struct ref *ref);

struct seal_job {
	enum record_type type;
	enum record_class class;
	struct buf raw;  /* owned, as cr */
	seal_pool_fn fn; /* may be NULL */
	void *arg;
	uint64_t index;
	bool is_use;   /* no record: only the reference is noted */
	bool is_known; /* is_use since the cache knew it */
	/* afterwards */
	int rc;
	struct err err;
	struct buf cr; /* the whole record */
	struct ref ref;
	struct chunk_print print; /* when has_print: there is a cache */
	bool has_print;
	/* of the pool */
	struct seal_job *next;
	bool is_finished, came_finished;
};

struct seal_pool_opts {
	const uint8_t *k_mle; /* 32 bytes, copied */
	enum record_check check;
	unsigned workers;          /* 0: one for each processor, at most SEAL_POOL_MAX_WORKERS */
	struct chunk_cache *cache; /* borrowed until free; NULL = none */
};
#define SEAL_POOL_MAX_WORKERS 8

int seal_pool_new(const struct seal_pool_opts *opts, struct seal_pool **out, struct err *err);
/* Waits for what is being sealed; jobs that were not taken are told that they never will be. */
void seal_pool_free(struct seal_pool *p);

/* A job with the first ${len} bytes of ${raw}, whose memory becomes the job's: ${raw} gets other
 * memory with what lies behind them.  Owned by the caller.  NULL when out of memory; ${raw} is as
 * before then.  ${len} 0: a job without raw bytes, ${raw} may be NULL. */
struct seal_job *seal_pool_job(struct seal_pool *p, struct buf *raw, size_t len);
/* It is done with; its memory serves the next one. */
void seal_pool_drop(struct seal_pool *p, struct seal_job *take_job);

bool seal_pool_is_empty(const struct seal_pool *p);
/* Whether a job of ${len} bytes should wait until another was taken; never with none inside. */
bool seal_pool_is_full(const struct seal_pool *p, size_t len);
/* Take the fingerprint of ${len} raw bytes of a job, and its reference from the cache when that
 * knows what they were sealed as: then nothing is left to be sealed.  Any thread. */
void seal_pool_look(struct chunk_cache *cache, struct seal_job *j, const void *raw, size_t len);

/* To the workers.  Takes ${take_job}. */
void seal_pool_add(struct seal_pool *p, struct seal_job *take_job);
/* It has its record already, and only waits for its turn.  Takes ${take_job}. */
void seal_pool_add_finished(struct seal_pool *p, struct seal_job *take_job);
/* The oldest job, owned by the caller, when it is finished; ${is_waiting}: wait until it is.
 * NULL when there is none. */
struct seal_job *seal_pool_take(struct seal_pool *p, bool is_waiting);

#endif
