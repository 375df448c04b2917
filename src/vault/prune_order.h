/*
 * prune_order: the bytes of a prune order and of what it pruned (docs/FORMAT.md section 10.1).
 * Pure: no store.
 */
#ifndef VAULT_PRUNE_ORDER_H
#define VAULT_PRUNE_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "vault/snaprec.h"

struct buf;
struct err;

#define PRUNE_ORDER_MAX 65536 /* snapshots in one order */
#define PRUNE_ORDER_MAX_TEXT 4096

enum prune_order_cause {
	PRUNE_ORDER_RETENTION = 1,
	PRUNE_ORDER_VOID = 2, /* the snapshot of a session that was fenced */
	PRUNE_ORDER_COPY = 3, /* left out when its successors were copied here: it never was here */
};

struct prune_order_item {
	uint8_t snap_hash[32];
	uint8_t object[32]; /* SHA-256 of the sn/ object */
	int64_t receipt_ns; /* its name is told by these two */
};

struct prune_order {
	enum prune_order_cause cause;
	uint8_t id[16];
	int64_t wall_ns;
	char *policy, *approval;        /* owned texts */
	struct prune_order_item *items; /* owned; ascending by snap_hash, none twice */
	size_t count;
};

/* Append the body; items are sorted first.  Return 0, -ERR_LIMIT or as buf_add(). */
int prune_order_encode(struct prune_order *o, struct buf *out, struct err *err);
/* Return 0, -ERR_CORRUPT, -ERR_UNSUPPORTED (version, cause) or -ERR_NOMEM. */
int prune_order_decode(const uint8_t *data, size_t len, struct prune_order *out, struct err *err);
void prune_order_done(struct prune_order *o);
/* The item of a snapshot, or NULL. */
const struct prune_order_item *prune_order_find(
	const struct prune_order *o, const uint8_t snap_hash[32]);

/* Append the body of an hs/ object: the order and its records, count * SNAPREC_BYTES in the order
 * of the items.  Return 0, -ERR_CORRUPT (a record is not the item's) or as above. */
int prune_order_encode_pruned(
	struct prune_order *o, const uint8_t *records, struct buf *out, struct err *err);
/* Return as prune_order_decode(); *${records} points into ${data}. */
int prune_order_decode_pruned(const uint8_t *data, size_t len, struct prune_order *out,
	const uint8_t **records, struct err *err);

#endif
