/*
 * digest: the whole-file digest of an entry (docs/FORMAT.md section 4): SHA-256 up to 16 MiB, above
 * that SHA-256 over the hashes of 1 MiB blocks, where a block of zeros costs nothing.
 */
#ifndef VAULT_DIGEST_H
#define VAULT_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "vault/entry.h"

struct err;
struct digest;

#define DIGEST_PLAIN_MAX_BYTES (16u << 20)
#define DIGEST_BLOCK_BYTES (1u << 20)

/* The kind for a file of ${size} bytes. */
enum entry_digest digest_kind(uint64_t size);

/* Begin one of ${kind}. */
int digest_new(enum entry_digest kind, struct digest **out, struct err *err);
void digest_free(struct digest *d);
/* Make a digest that is new or was ended one of ${kind}. */
void digest_begin(struct digest *d, enum entry_digest kind);
/* Say, before anything is added, how long the content will be: then a digest of blocks keeps
 * nothing of each.  Of content that turns out to be of another length digest_end() gives no
 * content's digest. */
void digest_expect(struct digest *d, uint64_t size);
/* Content in order; a hole or run of zeros by its length. */
void digest_add(struct digest *d, const void *data, size_t len);
void digest_add_zeros(struct digest *d, uint64_t len);
/* Of a digest of blocks that stands between two blocks: add one of ${len} bytes by its leaf, which
 * is known.  Only the last one of all is shorter than DIGEST_BLOCK_BYTES. */
void digest_add_leaf(struct digest *d, const uint8_t leaf[32], size_t len);
/* Store the digest and begin anew, also on failure.  Return 0 or -ERR_NOMEM (a digest of blocks
 * keeps 32 bytes a MiB, unless its length was told). */
int digest_end(struct digest *d, uint8_t out[32], struct err *err);

#endif
