/*
 * verify_work: the contents of files opened and hashed, a work at a time, by as many workers as
 * there are threads.
 * Knows: how to read records that lie side by side at once, to open each once while it is needed,
 * and to hash many messages side by side.  Hides: which records are kept.
 * Threading: a worker, and the work it does, belong to one thread at a time.
 */
#ifndef VAULT_VERIFY_WORK_H
#define VAULT_VERIFY_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/entry.h"

struct err;
struct fetch;

#define VERIFY_WORK_PIECES 2048
#define VERIFY_WORK_MESSAGES 256
#define VERIFY_WORK_HELD_BYTES ((size_t)40 << 20) /* of opened records, all workers together */

/* What is hashed: a file, or a block of a large one with its 00 in front. */
struct verify_work_message {
	void *owner;         /* the caller's, and what follows it is so, too */
	bool is_end;         /* the owner's last */
	bool is_zeros;       /* ${bytes} zeros, whole blocks of them; not hashed */
	bool is_known;       /* hash is set already; else pieces are read */
	bool is_leaf;        /* of a digest of blocks */
	size_t first, count; /* its pieces, in order */
	uint64_t bytes;      /* of all pieces */
	uint8_t key[32];     /* of a whole block: block_memo.h */
	uint8_t hash[32];    /* set by the worker */
	int rc;              /* likewise: not 0 when it could not be read; then hash is unset */
	struct err *why;     /* why; owned by the work; NULL also without memory for it */
};

struct verify_work {
	struct extent *pieces;                /* owned; VERIFY_WORK_PIECES */
	struct verify_work_message *messages; /* owned; VERIFY_WORK_MESSAGES */
	size_t piece_count, message_count;
	uint64_t bytes; /* of messages whose pieces are read */
};

/* Return 0 or -ERR_NOMEM. */
int verify_work_new(struct verify_work **out, struct err *err);
/* Make it empty; keys of records are wiped. */
void verify_work_clear(struct verify_work *w);
void verify_work_free(struct verify_work *w);

struct verify_work_worker;

/**
 * verify_work_worker_new(f, workers, is_known, out, err):
 * One of ${workers}.  ${f} is borrowed until free, its index loaded.  ${is_known}: each record's
 * SHA-256 was compared with its ID a moment ago, so that its tag, and the hash of what it opens to,
 * say enough.  Return 0 or -ERR_NOMEM.
 */
int verify_work_worker_new(struct fetch *f, unsigned workers, bool is_known,
	struct verify_work_worker **out, struct err *err);
void verify_work_worker_free(struct verify_work_worker *w);

/* Set hash, or rc and why, of every message of ${work} that is neither known nor zeros. */
void verify_work_do(struct verify_work_worker *w, struct verify_work *work);

#endif
