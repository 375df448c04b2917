/*
 * uploader: the record sink of a backup: seals, asks the vault what it has, sends the rest in
 * batches, and keeps the reference list in post-order.  Content is sealed by the seal_pool and told
 * later; what the tree puts is sealed at once.  One thread, beside those of its own.
 */
#ifndef AGENTS_UPLOADER_H
#define AGENTS_UPLOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "agents/seal_pool.h"
#include "agents/sender.h"
#include "vault/port.h"
#include "vault/record_io.h"

struct err;
struct uploader;

struct uploader_stats {
	uint64_t sealed_records; /* sealed by this run, known to the vault or not */
	uint64_t known_bytes;    /* raw, not sealed since the chunk cache knew them */
	struct sender_stats sent;
};

struct uploader_opts {
	const struct port *port; /* borrowed until free; has and put are called on another thread */
	const uint8_t *k_mle;    /* 32 bytes, copied */
	enum record_check check;
	unsigned workers;              /* that seal; 0: one for each processor */
	struct chunk_cache *cache;     /* borrowed until free; NULL = none */
	bool (*is_stopped)(void *arg); /* may be NULL; asked on the caller's thread */
	void *arg;
};
int uploader_new(const struct uploader_opts *opts, struct uploader **out, struct err *err);
void uploader_free(struct uploader *u);
const struct record_sink *uploader_sink(struct uploader *u);
void uploader_get_stats(const struct uploader *u, struct uploader_stats *out);

/**
 * uploader_put_later(u, type, class, raw, len, fn, arg, index, err):
 * As the sink's put, but the reference is told later, by ${fn} within another call of this uploader
 * (NULL when it is freed before).  The first ${len} bytes of ${raw} are taken, without a copy: what
 * lies behind them is all that ${raw} has then, and in other memory.  Return 0, or what sealing or
 * sending something earlier says; ${fn} is called after a failure, too.
 */
int uploader_put_later(struct uploader *u, enum record_type type, enum record_class class,
	struct buf *raw, size_t len, seal_pool_fn fn, void *arg, uint64_t index, struct err *err);

/* Wait until all that was put is sealed and told. */
int uploader_settle(struct uploader *u, struct err *err);

/* Settle, send what is collected and wait until the port has it: until the next put the port may be
 * used on the caller's thread.  Return 0, what the port says, or -ERR_INTERRUPTED. */
int uploader_flush(struct uploader *u, struct err *err);

/* Flush and close the reference list; *${segments} is borrowed until free. */
int uploader_finish(struct uploader *u, const uint8_t **segments, size_t *len, uint64_t *count,
	uint8_t refs_root[32], struct err *err);

/* After uploader_finish(): the snapshot exists, make what it holds the chunk cache of the next run.
 * Return as chunk_cache_commit(); 0 without a cache. */
int uploader_keep_cache(struct uploader *u, const uint8_t snap_hash[32], struct err *err);

#endif
