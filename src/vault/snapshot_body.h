/*
 * snapshot_body: the bytes of an sn/ object's body, the commit point (docs/FORMAT.md section 5).
 * Pure: no store.
 */
#ifndef VAULT_SNAPSHOT_BODY_H
#define VAULT_SNAPSHOT_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "vault/snaprec.h"

struct buf;
struct err;

#define SNAPSHOT_BODY_MAX_SEGMENTS (1u << 20)
#define SNAPSHOT_BODY_MAX_LABEL 65536
#define SNAPSHOT_BODY_NO_LOG UINT64_MAX

/* One reference segment: where it lies in which rf object. */
struct snapshot_segment {
	uint8_t id[32];
	uint8_t rf[32]; /* SHA-256 of the rf object = its name */
	uint32_t offset, length;
};

struct snapshot_body {
	uint8_t record[SNAPREC_BYTES];
	int64_t receipt_ns;
	uint8_t gateway[16], session[16];
	uint64_t log_index;                /* SNAPSHOT_BODY_NO_LOG until there is a log */
	uint8_t ev[32];                    /* SHA-256 of the ev object = its name */
	struct snapshot_segment *segments; /* owned */
	size_t segment_count;
	uint8_t *label; /* owned, label_len bytes of TLVs */
	size_t label_len;
};

/* Append the body.  Return as buf_add(). */
int snapshot_body_encode(const struct snapshot_body *b, struct buf *out, struct err *err);
/* Return 0, -ERR_CORRUPT, -ERR_LIMIT or -ERR_NOMEM. */
int snapshot_body_decode(
	const uint8_t *data, size_t len, struct snapshot_body *out, struct err *err);
void snapshot_body_done(struct snapshot_body *b);

#endif
