/*
 * sealed: the envelope of every object of the vault that is not a record pack: one AEAD message
 * under a key derived from K_vault and a hedged salt (docs/FORMAT.md section 6), padded in size.
 */
#ifndef VAULT_SEALED_H
#define VAULT_SEALED_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define SEALED_MAX_BYTES (64u << 20)
#define SEALED_NAME_BYTES 65 /* hex of SHA-256 and a NUL */

enum sealed_kind {
	SEALED_INDEX = 1,
	SEALED_REFS = 2,
	SEALED_ENVELOPES = 3,
	SEALED_SNAPSHOT = 4,
	SEALED_CONFIG = 5,
	SEALED_LOG = 6,
	SEALED_PRUNE = 7,
	SEALED_PRUNED = 8,
	SEALED_SESSION = 9,
	SEALED_GC = 10,
	SEALED_DEAD = 11,
	SEALED_REWRAP = 12,
};

/* What every seal of a vault needs. */
struct sealed_key {
	uint8_t vault_id[16];
	uint32_t kv_epoch;
	uint8_t k_vault[32];
	uint8_t k_ss[32]; /* derived; sealed_key_init() */
	/* The key of an epoch before, NULL = none known: it opens what was sealed then, and seals
	 * nothing.  Borrowed. */
	const struct sealed_key *older;
};

void sealed_key_init(struct sealed_key *k, const uint8_t vault_id[16], uint32_t kv_epoch,
	const uint8_t k_vault[32]);

/* The key of ${epoch}: ${k} or one of its older ones; NULL when it is not known. */
const struct sealed_key *sealed_key_of(const struct sealed_key *k, uint32_t epoch);

/**
 * sealed_seal(k, kind, body, len, random, out, hex, err):
 * Append the object to ${out} and store its name part (hex SHA-256).  ${random}: 16 bytes, or NULL
 * for fresh ones.  Return 0, -ERR_LIMIT or -ERR_IO (no randomness).
 */
int sealed_seal(const struct sealed_key *k, enum sealed_kind kind, const void *body, size_t len,
	const uint8_t *random, struct buf *out, char hex[SEALED_NAME_BYTES], struct err *err);

/**
 * sealed_open(k, kind, object, len, body, err):
 * Check everything (magic, suite, kind, epoch, tag, padding) and append the body.
 * Return 0, -ERR_CORRUPT, -ERR_UNSUPPORTED (suite) or -ERR_AUTH (of a kv_epoch whose key we have
 * not).
 */
int sealed_open(const struct sealed_key *k, enum sealed_kind kind, const void *object, size_t len,
	struct buf *body, struct err *err);

/* Size padding of sealed objects and packs: a multiple of 4 KiB up to 1 MiB, of 64 KiB above. */
size_t sealed_padded(size_t len);

#endif
