#include "vault/prune_order.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

static uint8_t records[3 * SNAPREC_BYTES];

/* Three records and an order for them, in the order of its items. */
static void make(struct prune_order *o, const char *policy)
{
	uint8_t seed[32] = { 7 };
	memset(o, 0, sizeof(*o));
	o->cause = PRUNE_ORDER_RETENTION;
	o->wall_ns = INT64_C(1700000000) * 1000000000;
	memset(o->id, 0xa5, sizeof(o->id));
	o->policy = strdup(policy);
	o->approval = strdup("");
	o->items = calloc(3, sizeof(*o->items));
	o->count = 3;
	for (int i = 0; i < 3; i++) {
		struct snaprec r = { .suite = 1, .config_epoch = 1, .seq = 2 + (uint64_t)i };
		uint8_t hash[32];
		uint8_t record[SNAPREC_BYTES];
		r.prev[0] = 1;
		snaprec_sign(&r, seed, record);
		snaprec_hash(record, hash);
		int at = i;
		while (at > 0 && memcmp(o->items[at - 1].snap_hash, hash, 32) > 0) {
			o->items[at] = o->items[at - 1];
			memmove(records + at * SNAPREC_BYTES, records + (at - 1) * SNAPREC_BYTES,
				SNAPREC_BYTES);
			at--;
		}
		memcpy(o->items[at].snap_hash, hash, 32);
		o->items[at].receipt_ns = 1000 + i;
		memcpy(records + at * SNAPREC_BYTES, record, SNAPREC_BYTES);
	}
}

Test(prune_order, reads_back_what_was_written)
{
	struct err err = ERR_INIT;
	struct prune_order o;
	struct prune_order back;
	struct buf out = BUF_INIT(1 << 20);
	make(&o, "--keep-last 7");
	cr_assert(eq(int, prune_order_encode(&o, &out, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, out.len, 32 + 2 + 13 + 2 + 4 + 3 * 72));
	cr_assert(eq(int, prune_order_decode(out.data, out.len, &back, &err), 0), "%s", err.msg);
	cr_expect(eq(str, back.policy, (char *)"--keep-last 7"));
	cr_expect(eq(str, back.approval, (char *)""));
	cr_expect(eq(sz, back.count, 3));
	cr_expect(ne(ptr, (void *)prune_order_find(&back, o.items[1].snap_hash), NULL));
	uint8_t other[32] = { 1 };
	cr_expect(eq(ptr, (void *)prune_order_find(&back, other), NULL));
	prune_order_done(&o);
	prune_order_done(&back);
	buf_done(&out);
}

Test(prune_order, keeps_records_with_the_order)
{
	struct err err = ERR_INIT;
	struct prune_order o;
	struct prune_order back;
	const uint8_t *at = NULL;
	struct buf out = BUF_INIT(1 << 20);
	make(&o, "x");
	cr_assert(eq(int, prune_order_encode_pruned(&o, records, &out, &err), 0), "%s", err.msg);
	cr_assert(eq(int, prune_order_decode_pruned(out.data, out.len, &back, &at, &err), 0));
	cr_expect(eq(int, memcmp(at, records, sizeof(records)), 0));
	prune_order_done(&back);
	records[5]++;
	cr_expect(eq(int, prune_order_encode_pruned(&o, records, &out, &err), -ERR_CORRUPT));
	prune_order_done(&o);
	buf_done(&out);
}

/* Whatever byte is changed or cut off: it is refused, or it is another order that encodes to just
 * these bytes. */
Test(prune_order, every_other_form_is_refused)
{
	struct err err = ERR_INIT;
	struct prune_order o;
	struct prune_order back;
	const uint8_t *at = NULL;
	struct buf out = BUF_INIT(1 << 20);
	struct buf again = BUF_INIT(1 << 20);
	make(&o, "daily");
	cr_assert(eq(int, prune_order_encode(&o, &out, &err), 0));
	for (size_t i = 0; i < out.len; i++)
		cr_expect(ne(int, prune_order_decode(out.data, i, &back, &err), 0));
	for (size_t i = 0; i < 8 * out.len; i++) {
		out.data[i / 8] ^= (uint8_t)(1 << i % 8);
		if (prune_order_decode(out.data, out.len, &back, &err) == 0) {
			buf_clear(&again);
			cr_assert(eq(int, prune_order_encode(&back, &again, &err), 0));
			cr_expect(eq(sz, again.len, out.len));
			cr_expect(eq(int, memcmp(again.data, out.data, out.len), 0), "bit %zu", i);
			prune_order_done(&back);
		}
		out.data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	buf_clear(&out);
	cr_assert(eq(int, prune_order_encode_pruned(&o, records, &out, &err), 0));
	for (size_t i = 0; i < out.len; i++)
		cr_expect(ne(int, prune_order_decode_pruned(out.data, i, &back, &at, &err), 0));
	prune_order_done(&o);
	buf_done(&out);
	buf_done(&again);
}

Test(prune_order, a_newer_version_is_not_damage)
{
	struct err err = ERR_INIT;
	struct prune_order o;
	struct buf out = BUF_INIT(1 << 20);
	make(&o, "");
	cr_assert(eq(int, prune_order_encode(&o, &out, &err), 0));
	out.data[4] = 2;
	cr_expect(eq(int, prune_order_decode(out.data, out.len, &o, &err), -ERR_UNSUPPORTED));
	out.data[4] = 1;
	out.data[5] = 4;
	cr_expect(eq(int, prune_order_decode(out.data, out.len, &o, &err), -ERR_UNSUPPORTED));
	prune_order_done(&o);
	buf_done(&out);
}
