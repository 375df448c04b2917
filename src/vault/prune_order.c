#include "vault/prune_order.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) What is decoded encodes to the same bytes.
 */

#define ORDER_MAGIC "HFPR"
#define PRUNED_MAGIC "HFHS"
#define VERSION 1
#define ORDER_HEAD_BYTES 32 /* up to the first text */
#define ITEM_BYTES 72

static int compare(const void *a, const void *b)
{
	return memcmp(((const struct prune_order_item *)a)->snap_hash,
		((const struct prune_order_item *)b)->snap_hash, 32);
}

static int add_text(const char *text, struct buf *out, struct err *err)
{
	size_t len = text == NULL ? 0 : strlen(text);
	if (len > PRUNE_ORDER_MAX_TEXT)
		return err_set(err, ERR_LIMIT, "a text of %zu bytes in a prune order", len);
	int rc = buf_add16(out, (uint16_t)len, err);
	return rc != 0 || len == 0 ? rc : buf_add(out, text, len, err);
}

int prune_order_encode(struct prune_order *o, struct buf *out, struct err *err)
{
	uint8_t head[ORDER_HEAD_BYTES] = { 0 };
	if (o->count == 0 || o->count > PRUNE_ORDER_MAX)
		return err_set(err, ERR_LIMIT, "a prune order of %zu snapshots", o->count);
	qsort(o->items, o->count, sizeof(*o->items), compare);
	memcpy(head, ORDER_MAGIC, 4);
	head[4] = VERSION;
	head[5] = (uint8_t)o->cause;
	memcpy(head + 8, o->id, 16);
	bytes_put64(head + 24, (uint64_t)o->wall_ns);
	int rc = buf_add(out, head, sizeof(head), err);
	if (rc == 0)
		rc = add_text(o->policy, out, err);
	if (rc == 0)
		rc = add_text(o->approval, out, err);
	if (rc == 0)
		rc = buf_add32(out, (uint32_t)o->count, err);
	for (size_t i = 0; rc == 0 && i < o->count; i++) {
		rc = buf_add(out, o->items[i].snap_hash, 32, err);
		if (rc == 0)
			rc = buf_add(out, o->items[i].object, 32, err);
		if (rc == 0)
			rc = buf_add64(out, (uint64_t)o->items[i].receipt_ns, err);
	}
	return rc;
}

static int take_text(const uint8_t *data, size_t len, size_t *at, char **out, struct err *err)
{
	if (len - *at < 2 || len - *at - 2 < bytes_get16(data + *at) ||
		bytes_get16(data + *at) > PRUNE_ORDER_MAX_TEXT ||
		memchr(data + *at + 2, 0, bytes_get16(data + *at)) != NULL)
		return err_set(err, ERR_CORRUPT, "a prune order has a wrong text");
	*out = strndup((const char *)data + *at + 2, bytes_get16(data + *at));
	if (*out == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*at += 2 + (size_t)bytes_get16(data + *at);
	return 0;
}

static int take_items(const uint8_t *data, size_t len, struct prune_order *o, struct err *err)
{
	size_t count = len < 4 ? 0 : bytes_get32(data);
	if (count == 0 || count > PRUNE_ORDER_MAX || len - 4 != count * ITEM_BYTES)
		return err_set(err, ERR_CORRUPT, "a prune order of a wrong length");
	o->items = calloc(count, sizeof(*o->items));
	if (o->items == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	o->count = count;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *b = data + 4 + i * ITEM_BYTES;
		memcpy(o->items[i].snap_hash, b, 32);
		memcpy(o->items[i].object, b + 32, 32);
		o->items[i].receipt_ns = (int64_t)bytes_get64(b + 64);
		if (i > 0 && compare(&o->items[i - 1], &o->items[i]) >= 0)
			return err_set(err, ERR_CORRUPT, "a prune order is not in order");
	}
	return 0;
}

int prune_order_decode(const uint8_t *data, size_t len, struct prune_order *out, struct err *err)
{
	if (len < ORDER_HEAD_BYTES || memcmp(data, ORDER_MAGIC, 4) != 0 || data[6] != 0 ||
		data[7] != 0)
		return err_set(err, ERR_CORRUPT, "a prune order has a wrong form");
	if (data[4] != VERSION || data[5] < PRUNE_ORDER_RETENTION || data[5] > PRUNE_ORDER_COPY)
		return err_set(err, ERR_UNSUPPORTED, "a prune order needs a newer version");
	struct prune_order o = { .cause = (enum prune_order_cause)data[5],
		.wall_ns = (int64_t)bytes_get64(data + 24) };
	size_t at = ORDER_HEAD_BYTES;
	memcpy(o.id, data + 8, sizeof(o.id));
	int rc = take_text(data, len, &at, &o.policy, err);
	if (rc == 0)
		rc = take_text(data, len, &at, &o.approval, err);
	if (rc == 0)
		rc = take_items(data + at, len - at, &o, err);
	if (rc == 0)
		*out = o;
	else
		prune_order_done(&o);
	return rc;
}

void prune_order_done(struct prune_order *o)
{
	free(o->policy);
	free(o->approval);
	free(o->items);
	memset(o, 0, sizeof(*o));
}

const struct prune_order_item *prune_order_find(
	const struct prune_order *o, const uint8_t snap_hash[32])
{
	struct prune_order_item key = { .receipt_ns = 0 };
	memcpy(key.snap_hash, snap_hash, 32);
	return o->count == 0 ? NULL : bsearch(&key, o->items, o->count, sizeof(*o->items), compare);
}

/* Does every record hash to its item? */
static int check_records(const struct prune_order *o, const uint8_t *records, struct err *err)
{
	for (size_t i = 0; i < o->count; i++) {
		uint8_t hash[32];
		struct snaprec r;
		const uint8_t *record = records + i * SNAPREC_BYTES;
		snaprec_hash(record, hash);
		if (memcmp(hash, o->items[i].snap_hash, sizeof(hash)) != 0)
			return err_set(err, ERR_CORRUPT, "a pruned record is not the one ordered");
		int rc = snaprec_decode(record, &r, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int prune_order_encode_pruned(
	struct prune_order *o, const uint8_t *records, struct buf *out, struct err *err)
{
	struct buf order = BUF_INIT(out->max);
	int rc = prune_order_encode(o, &order, err);
	if (rc == 0)
		rc = check_records(o, records, err);
	if (rc == 0)
		rc = buf_add(out, PRUNED_MAGIC, 4, err);
	if (rc == 0)
		rc = buf_add32(out, (uint32_t)VERSION << 24, err);
	if (rc == 0)
		rc = buf_add32(out, (uint32_t)order.len, err);
	if (rc == 0)
		rc = buf_add(out, order.data, order.len, err);
	if (rc == 0)
		rc = buf_add(out, records, o->count * SNAPREC_BYTES, err);
	buf_done(&order);
	return rc;
}

int prune_order_decode_pruned(const uint8_t *data, size_t len, struct prune_order *out,
	const uint8_t **records, struct err *err)
{
	if (len < 12 || memcmp(data, PRUNED_MAGIC, 4) != 0 || data[5] != 0 || data[6] != 0 ||
		data[7] != 0)
		return err_set(err, ERR_CORRUPT, "pruned records have a wrong form");
	if (data[4] != VERSION)
		return err_set(err, ERR_UNSUPPORTED, "pruned records need a newer version");
	size_t order_len = bytes_get32(data + 8);
	struct prune_order o;
	if (order_len > len - 12)
		return err_set(err, ERR_CORRUPT, "pruned records are cut short");
	int rc = prune_order_decode(data + 12, order_len, &o, err);
	if (rc != 0)
		return rc;
	if (len - 12 - order_len != o.count * SNAPREC_BYTES)
		rc = err_set(err, ERR_CORRUPT, "pruned records have a wrong length");
	if (rc == 0)
		rc = check_records(&o, data + 12 + order_len, err);
	if (rc != 0) {
		prune_order_done(&o);
		return rc;
	}
	*out = o;
	*records = data + 12 + order_len;
	return 0;
}
