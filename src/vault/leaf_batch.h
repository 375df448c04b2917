/*
 * leaf_batch: puts content into a whole-file digest of blocks (digest.h) and hashes many blocks
 * side by side (crypto/hash_lanes).  For that the bytes have to stay where they are for a while:
 * whoever cannot keep them flushes.  The digest is the same as of digest_add().  Not thread-safe.
 */
#ifndef VAULT_LEAF_BATCH_H
#define VAULT_LEAF_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct digest;
struct err;
struct leaf_batch;

/* What has to stay so that several blocks are hashed at once.  Pairs of them have most of the gain;
 * more would only push out what was opened ahead. */
#define LEAF_BATCH_BYTES ((size_t)6 << 20)

/* Return 0 or -ERR_NOMEM. */
int leaf_batch_new(struct leaf_batch **out, struct err *err);
void leaf_batch_free(struct leaf_batch *b);

/* Begin with ${d}, which is one of blocks and empty, and borrowed until the last flush. */
void leaf_batch_begin(struct leaf_batch *b, struct digest *d);

/* Content in order, borrowed until a flush; a hole by its length.  Return true when what was added
 * before ${data} is needed no longer. */
bool leaf_batch_add(struct leaf_batch *b, const void *data, size_t len);
void leaf_batch_add_zeros(struct leaf_batch *b, uint64_t len);

/* Everything added is in the digest, and nothing of it needed any longer. */
void leaf_batch_flush(struct leaf_batch *b);

#endif
