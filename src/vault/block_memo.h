/*
 * block_memo: the leaves of whole-file digests (digest.h: blocks of 1 MiB) that were computed from
 * opened records, by what the blocks are made of.  Two versions of a file mostly consist of the
 * same pieces of the same records: their bytes need not be opened and hashed again to be known.
 * A piece is named by its whole ref, so what is remembered was opened with the very same key.
 * Not thread-safe.
 */
#ifndef VAULT_BLOCK_MEMO_H
#define VAULT_BLOCK_MEMO_H

#include <stddef.h>
#include <stdint.h>

#include "vault/entry.h"

struct block_memo;
struct err;

/* 64 bytes each while it is less than half full: 256 GiB of content in at most 32 MiB of memory.
 * What comes later is not remembered. */
#define BLOCK_MEMO_MAX_BLOCKS ((size_t)1 << 18)

int block_memo_new(struct block_memo **out, struct err *err);
void block_memo_free(struct block_memo *m);

/* The name of a block that consists of ${count} pieces, holes among them. */
void block_memo_key(const struct extent *pieces, size_t count, uint8_t key[32]);

/* The leaf of a block, borrowed until the next add, or NULL. */
const uint8_t *block_memo_find(const struct block_memo *m, const uint8_t key[32]);
/* Remember a leaf; without memory for it, it is computed again the next time. */
void block_memo_add(struct block_memo *m, const uint8_t key[32], const uint8_t leaf[32]);

size_t block_memo_count(const struct block_memo *m);

#endif
