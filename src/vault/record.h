/*
 * record: seal bytes into a chunk record and open it again (docs/FORMAT.md section 3).
 * Knows: the codec rule (a pure function of the bytes and the class), the filter, padding, the key
 * derived from the exact bytes encrypted, the ID.  Knows no store.
 * Threading: one thread per struct record_sealer / record_opener.
 */
#ifndef VAULT_RECORD_H
#define VAULT_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "vault/ref.h"

struct buf;
struct err;

#define RECORD_HEADER_BYTES 12
#define RECORD_INNER_BYTES 12
#define RECORD_TAG_BYTES 16
#define RECORD_MAX_BYTES ((16u << 20) + 28)
#define RECORD_MAX_WRITE_BYTES (8u << 20) /* a writer makes none longer */
#define RECORD_MAX_RAW_BYTES (64u << 20)

enum record_type { RECORD_DATA = 1, RECORD_NODE = 2, RECORD_ROOT = 3, RECORD_ATTR = 4 };

/* How the codec is chosen. */
enum record_class {
	RECORD_CLASS_STREAM = 1, /* a chunk of a file: probe, filter trial */
	RECORD_CLASS_BUNDLE = 2, /* small files */
	RECORD_CLASS_META = 3,   /* nodes, roots, attributes */
};

/* How much is proven before a record is sent (the profile's verify level). */
enum record_check { RECORD_CHECK_FULL = 1, RECORD_CHECK_SAMPLE = 2, RECORD_CHECK_OPEN = 3 };

struct record_sealer;
struct record_opener;

/* ${k_mle}: the epoch's record key.  Return 0, -ERR_NOMEM or -ERR_UNSUPPORTED (suite). */
int record_sealer_new(int suite, const uint8_t k_mle[32], enum record_check check,
	struct record_sealer **out, struct err *err);
void record_sealer_free(struct record_sealer *s);

/**
 * record_seal(s, type, class, raw, len, cr, ref, err):
 * Append the whole record to ${cr} and fill *${ref}.  The record is opened again and compared with
 * ${raw} as the check level says; a difference is -ERR_CORRUPT (memory or library fault), and
 * nothing was appended.  Return 0, -ERR_LIMIT or -ERR_CORRUPT.
 */
int record_seal(struct record_sealer *s, enum record_type type, enum record_class class,
	const void *raw, size_t len, struct buf *cr, struct ref *ref, struct err *err);

int record_opener_new(struct record_opener **out, struct err *err);
void record_opener_free(struct record_opener *o);

/**
 * record_open(o, ref, type, cr, cr_len, raw, err):
 * Check in the order of the format page and append the ${ref}->raw_len raw bytes to ${raw}.
 * Return 0, -ERR_CORRUPT (the text says which check) or -ERR_UNSUPPORTED (suite, type, codec).
 */
int record_open(struct record_opener *o, const struct ref *ref, enum record_type type,
	const void *cr, size_t cr_len, struct buf *raw, struct err *err);
/* The same of bytes whose SHA-256 the caller compared with ${ref}->id a moment ago. */
int record_open_checked(struct record_opener *o, const struct ref *ref, enum record_type type,
	const void *cr, size_t cr_len, struct buf *raw, struct err *err);
/* Likewise, of a record as it lies in a pack: its header made by record_header(), its body apart.
 */
int record_open_body(struct record_opener *o, const struct ref *ref, enum record_type type,
	const uint8_t header[RECORD_HEADER_BYTES], const void *body, size_t body_len,
	struct buf *raw, struct err *err);

/**
 * record_peek(data, len, cr_len, suite, type, err):
 * Read the header at ${data}: length of the whole record.  Return 0, -ERR_CORRUPT or
 * -ERR_UNSUPPORTED.
 */
int record_peek(
	const void *data, size_t len, uint32_t *cr_len, int *suite, int *type, struct err *err);

/* Rebuild the 12-byte header of a record whose length, suite and type are known. */
void record_header(int suite, int type, uint32_t cr_len, uint8_t out[RECORD_HEADER_BYTES]);

/* Padme: the padded length of ${len} (Nikitin et al. 2019). */
size_t record_padme(size_t len);

#endif
