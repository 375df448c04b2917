/*
 * fuzz_prune_order: prune orders and what they pruned (docs/FORMAT.md section 10.1).  The records
 * of what was pruned hash to its items: those hashes are made here, so that what lies behind them
 * is read as well.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "vault/prune_order.h"
#include "vault/snaprec.h"

#define ITEM_BYTES 72

static int order(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct prune_order o;
	int rc = prune_order_decode(data, len, &o, err);
	if (rc != 0)
		return rc;
	rc = prune_order_encode(&o, again, err);
	prune_order_done(&o);
	return rc;
}

static int pruned(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct prune_order o;
	const uint8_t *records;
	int rc = prune_order_decode_pruned(data, len, &o, &records, err);
	if (rc != 0)
		return rc;
	FUZZ_CHECK(records >= (const uint8_t *)data &&
		   records + o.count * SNAPREC_BYTES == (const uint8_t *)data + len);
	rc = prune_order_encode_pruned(&o, records, again, err);
	prune_order_done(&o);
	return rc;
}

/* The object with the hashes that its records have: the last bytes of it are records, before them
 * are as many items. */
static void make_true(uint8_t *data, size_t len)
{
	if (len < 12 || bytes_get32(data + 8) > len - 12)
		return;
	size_t order_len = bytes_get32(data + 8), count = (len - 12 - order_len) / SNAPREC_BYTES;
	if (order_len < count * ITEM_BYTES || len - 12 - order_len != count * SNAPREC_BYTES)
		return;
	uint8_t *item = data + 12 + order_len - count * ITEM_BYTES;
	for (size_t i = 0; i < count; i++, item += ITEM_BYTES)
		snaprec_hash(data + 12 + order_len + i * SNAPREC_BYTES, item);
}

static void run(const uint8_t *data, size_t len)
{
	fuzz_codec(order, data, len, true);
	fuzz_codec(pruned, data, len, true);
	uint8_t *copy = malloc(len + 1);
	FUZZ_CHECK(copy != NULL);
	if (len > 0)
		memcpy(copy, data, len);
	make_true(copy, len);
	fuzz_codec(pruned, copy, len, true);
	free(copy);
}

static void seeds(void)
{
	static const uint8_t seed[32] = { 5 };
	struct prune_order_item items[2] = { { .receipt_ns = 7 }, { .receipt_ns = 8 } };
	struct prune_order o = { .cause = PRUNE_ORDER_RETENTION,
		.id = { 1 },
		.policy = (char *)(uintptr_t) "keep 7 daily", /* only read */
		.items = items,
		.count = 2 };
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	uint8_t records[2 * SNAPREC_BYTES];
	for (size_t i = 0; i < 2; i++) {
		struct snaprec r = { .suite = 1,
			.config_epoch = 1,
			.seq = 4 + i,
			.agent_id = { 3 },
			.prev = { 6 } };
		snaprec_sign(&r, seed, records + i * SNAPREC_BYTES);
		snaprec_hash(records + i * SNAPREC_BYTES, items[i].snap_hash);
	}
	if (memcmp(items[0].snap_hash, items[1].snap_hash, 32) > 0) { /* in their order */
		uint8_t one[SNAPREC_BYTES];
		struct prune_order_item item = items[0];
		memcpy(one, records, sizeof(one));
		memmove(records, records + SNAPREC_BYTES, SNAPREC_BYTES);
		memcpy(records + SNAPREC_BYTES, one, sizeof(one));
		items[0] = items[1];
		items[1] = item;
	}
	FUZZ_CHECK(prune_order_encode(&o, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_clear(&out);
	FUZZ_CHECK(prune_order_encode_pruned(&o, records, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_done(&out);
}

const struct fuzz_target fuzz_prune_order = { "prune_order", run, seeds };
