/*
 * pack: many records in one object with a sealed footer (docs/FORMAT.md section 6).
 * Collects records of one class until the caller has enough; opens a footer.
 * A vault process builds packs, an agent never does.
 */
#ifndef VAULT_PACK_H
#define VAULT_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "vault/sealed.h"

struct buf;
struct err;
struct store;

#define PACK_TARGET_BYTES (32u << 20)
#define PACK_MAX_BYTES (64u << 20)
#define PACK_MAX_RECORDS 65535
#define PACK_TAIL_BYTES 48
#define PACK_TAIL_READ_BYTES 65536

enum pack_class { PACK_DATA = 0, PACK_METADATA = 1 };

/* Where one record lies: its stripped bytes begin at ${offset} of the pack's body. */
struct pack_place {
	uint8_t id[32];
	uint8_t suite, type;
	uint32_t offset;
	uint32_t cr_len; /* with its 12-byte header, which the pack does not hold */
};

struct pack;

/* A pack that was put. */
struct pack_made {
	uint8_t hash[32];
	uint32_t len;                    /* of the object */
	const struct pack_place *places; /* borrowed until the next add or free */
	size_t count;
};

/* A pack whose bytes go to ${store} (borrowed until free) as they come: few of them are in memory,
 * whatever its size. */
int pack_new(struct store *store, enum pack_class class, struct pack **out, struct err *err);
void pack_free(struct pack *p);

/* Append one whole record; that it hashes to ${id} is the caller's to know.  Return 0, -ERR_CORRUPT
 * (header), -ERR_EXISTS (it is in this pack already), -ERR_LIMIT (does not fit), or what the store
 * says, behind which only pack_free() may follow: everything else is -ERR_FAILED then. */
int pack_add(struct pack *p, const uint8_t id[32], const void *cr, size_t cr_len, struct err *err);

size_t pack_bytes(const struct pack *p); /* body so far */
size_t pack_count(const struct pack *p);

/* Seal the footer and put the object under its name, "pk/<hh>/<hash>".  The pack is empty and
 * usable again.  ${random}: as sealed_seal().  Return 0, -ERR_IO (no randomness), -ERR_FAILED (no
 * record in it), or as store_put(); after a failure only pack_free() may follow. */
int pack_put(struct pack *p, const struct sealed_key *k, const uint8_t *random,
	struct pack_made *made, struct err *err);

typedef int (*pack_place_fn)(void *arg, const struct pack_place *place, struct err *err);

/**
 * pack_footer_need(tail, len, need, err):
 * From the last ${len} bytes of a pack say how many bytes from its end the footer needs.
 */
int pack_footer_need(const uint8_t *tail, size_t len, size_t *need, struct err *err);

/**
 * pack_footer_open(k, tail, len, pack_len, class, fn, arg, err):
 * Open the footer in the last ${len} bytes (at least what is needed) of a pack of ${pack_len}
 * bytes, check it whole, then call ${fn} for each place (which ends at a value other than 0 and
 * returns it).  Return 0, -ERR_CORRUPT, -ERR_UNSUPPORTED or -ERR_AUTH (another kv_epoch).
 */
int pack_footer_open(const struct sealed_key *k, const uint8_t *tail, size_t len, uint64_t pack_len,
	int *class, pack_place_fn fn, void *arg, struct err *err);

#endif
