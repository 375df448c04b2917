/*
 * hash: SHA-256, whole and in pieces, and the RFC 6962 Merkle tree head over SHA-256.
 * A failure of the crypto library itself (it cannot allocate) ends the program: no caller could
 * go on.  Thread-safe; one struct hash belongs to one thread at a time.
 */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES 32

struct hash;

/* SHA-256 of ${len} bytes. */
void hash_sha256(const void *data, size_t len, uint8_t out[HASH_BYTES]);

/* SHA-256 of ${count} pieces, one after the other. */
struct hash_part {
	const void *data;
	size_t len;
};
void hash_parts(const struct hash_part *parts, size_t count, uint8_t out[HASH_BYTES]);

/* Begin a hash in pieces; NULL = no memory. */
struct hash *hash_new(void);
void hash_add(struct hash *h, const void *data, size_t len);
/* Store the digest of everything added, and begin anew. */
void hash_end(struct hash *h, uint8_t out[HASH_BYTES]);
void hash_free(struct hash *h);

/**
 * hash_merkle(leaves, count, out):
 * RFC 6962 section 2.1 tree head over ${count} leaf *inputs* of 32 bytes each (the leaf hash with
 * its 00 prefix is made here).  For 0 leaves: SHA-256 of nothing.
 */
void hash_merkle(const uint8_t (*leaves)[HASH_BYTES], size_t count, uint8_t out[HASH_BYTES]);

/* Compare ${len} secret bytes in constant time.  Return 1 when equal. */
int hash_is_equal(const void *a, const void *b, size_t len);

#endif
