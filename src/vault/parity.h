/*
 * parity: the bytes of an object in pa/: one Reed-Solomon row over a group of objects as they lie
 * on the store, with a plain trailer, so that whoever holds a copy of the store can repair it
 * without any key (docs/FORMAT.md section 10.3).  Pure: no store.
 */
#ifndef VAULT_PARITY_H
#define VAULT_PARITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/parity_code.h"

struct buf;
struct err;

#define PARITY_STRIPE_BYTES 65536u
#define PARITY_MEMBER_MAX_BYTES (60u << 20) /* a longer object is in no group */
#define PARITY_MAX_MEMBERS 32
#define PARITY_TAIL_BYTES 44 /* SHA-256 of the trailer, its length, magic */
#define PARITY_NAME_BYTES 96 /* of a member or of a parity object, with NUL */
#define PARITY_PREFIX "pa/"

/* What the members of a group are. */
enum parity_class {
	PARITY_DATA = 0,     /* data packs */
	PARITY_METADATA = 1, /* metadata packs */
	PARITY_OTHERS = 2,   /* every other class that cannot be made anew */
};

struct parity_member {
	char name[PARITY_NAME_BYTES];
	uint32_t len;
	uint8_t slot;
};

struct parity {
	uint8_t row, rows; /* this object's, from 0; how many there are of the group */
	uint8_t class;     /* enum parity_class */
	uint32_t len;      /* bytes of parity: the longest member's length */
	size_t count;
	struct parity_member at[PARITY_MAX_MEMBERS]; /* ascending by slot */
	uint8_t group[32];                           /* SHA-256 over rows, class and members */
	const uint8_t
		*hashes; /* of every stripe, 32 bytes each: those of each member in order,
			  * then the object's own; borrowed from the trailer; NULL = not kept */
};

/* Is it the name of an object that may be in a group?  Then *${hash} (may be NULL) is the SHA-256
 * that the name ends in, and *${is_pack} (may be NULL) tells packs from others. */
bool parity_is_member(const char *name, uint8_t hash[32], bool *is_pack);

/* Stripes of ${len} bytes. */
size_t parity_stripes(size_t len);
/* Bytes of stripe ${stripe} of ${len} bytes; 0 behind its end. */
size_t parity_stripe_bytes(size_t len, size_t stripe);
/* The SHA-256 of a stripe of member ${member}, or of the object's own with ${member} = count. */
const uint8_t *parity_stripe_hash(const struct parity *p, size_t member, size_t stripe);
/* How many stripe hashes the trailer has. */
size_t parity_hash_count(const struct parity *p);

/* Fill p->len and p->group from the members. */
void parity_settle(struct parity *p);

/* "pa/<hh>/<hash>" */
void parity_name(const uint8_t hash[32], char name[PARITY_NAME_BYTES]);

/* Append the trailer of a settled ${p}, its hashes included.  Return 0, -ERR_LIMIT or -ERR_NOMEM.
 */
int parity_encode(const struct parity *p, struct buf *out, struct err *err);

/* From the last PARITY_TAIL_BYTES of an object say how long its trailer is.  Return 0 or
 * -ERR_CORRUPT. */
int parity_need(const uint8_t tail[PARITY_TAIL_BYTES], size_t *need, struct err *err);

/**
 * parity_decode(trailer, len, object_len, out, err):
 * Read a whole trailer of an object of ${object_len} bytes; out->hashes is borrowed from it.  Its
 * own SHA-256 is compared first, so that a changed byte is damage.
 * Return 0, -ERR_CORRUPT or -ERR_UNSUPPORTED (version, rows, class).
 */
int parity_decode(const uint8_t *trailer, size_t len, uint64_t object_len, struct parity *out,
	struct err *err);

#endif
