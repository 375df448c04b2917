#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "vault/snapshot_body.h"

TestSuite(snapshot_body);

static void fill(struct snapshot_body *b, struct snapshot_segment segs[2], uint8_t *label)
{
	memset(b, 0, sizeof(*b));
	memset(segs, 0x33, 2 * sizeof(*segs));
	b->record[0] = 'r';
	b->receipt_ns = 1700000000123456789;
	b->log_index = SNAPSHOT_BODY_NO_LOG;
	b->ev[31] = 9;
	segs[1].offset = 5;
	segs[1].length = 7;
	b->segments = segs;
	b->segment_count = 2;
	b->label = label;
	b->label_len = 3;
}

Test(snapshot_body, round_trip_and_layout)
{
	struct err err = ERR_INIT;
	struct snapshot_segment segs[2];
	uint8_t label[3] = { 1, 1, 'x' };
	struct snapshot_body in;
	struct snapshot_body out;
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	fill(&in, segs, label);
	cr_assert(eq(int, snapshot_body_encode(&in, &b, &err), 0));
	cr_expect(eq(sz, b.len, 368 + 4 + 8 + 16 + 16 + 8 + 4 + 2 * 72 + 32 + 4 + 3));
	cr_assert(eq(int, snapshot_body_decode(b.data, b.len, &out, &err), 0), "%s", err.msg);
	cr_expect(eq(i64, out.receipt_ns, in.receipt_ns));
	cr_expect(eq(sz, out.segment_count, 2));
	cr_expect(eq(u32, out.segments[1].length, 7));
	cr_expect(eq(u8, out.ev[31], 9));
	cr_expect(eq(sz, out.label_len, 3));
	snapshot_body_done(&out);
}

Test(snapshot_body, every_truncation_and_a_byte_too_many_are_refused)
{
	struct err err = ERR_INIT;
	struct snapshot_segment segs[2];
	uint8_t label[3] = { 1, 1, 'x' };
	struct snapshot_body in;
	struct snapshot_body out;
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	fill(&in, segs, label);
	cr_assert(eq(int, snapshot_body_encode(&in, &b, &err), 0));
	for (size_t n = 0; n < b.len; n++)
		cr_expect(eq(int, snapshot_body_decode(b.data, n, &out, &err), -ERR_CORRUPT));
	cr_assert(eq(int, buf_add8(&b, 0, &err), 0));
	cr_expect(eq(int, snapshot_body_decode(b.data, b.len, &out, &err), -ERR_CORRUPT));
}

Test(snapshot_body, counts_that_would_need_more_memory_than_there_are_bytes_are_refused)
{
	struct err err = ERR_INIT;
	struct snapshot_segment segs[2];
	uint8_t label[3] = { 1, 1, 'x' };
	struct snapshot_body in;
	struct snapshot_body out;
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	fill(&in, segs, label);
	cr_assert(eq(int, snapshot_body_encode(&in, &b, &err), 0));
	memset(b.data + 368 + 52, 0xff, 4);
	cr_expect(eq(int, snapshot_body_decode(b.data, b.len, &out, &err), -ERR_CORRUPT));
}
