#include "msg/msg_vault.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "lib/msg_hostile.h"

static int begin_again(const void *data, size_t len, struct buf *out, struct err *err)
{
	struct msg_begin m;
	int rc = msg_vault_begin_decode(data, len, &m, err);
	return rc != 0 ? rc : msg_vault_begin_encode(&m, out, err);
}

Test(msg_vault, begin_survives_everything)
{
	static const char *const members[] = { "job", "attempt", "source", NULL };
	struct msg_begin m = {
		.job = "00112233445566778899aabbccddeeff", .attempt = 1, .source = "share"
	};
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_vault_begin_encode(&m, &b, NULL), 0));
	msg_hostile_run(begin_again, &b);
	msg_hostile_members(begin_again, &b, members);
}

static int begun_again(const void *data, size_t len, struct buf *out, struct err *err)
{
	struct msg_begun m;
	int rc = msg_vault_begun_decode(data, len, &m, err);
	if (rc != 0)
		return rc;
	rc = msg_vault_begun_encode(&m, out, err);
	msg_vault_begun_done(&m);
	return rc;
}

Test(msg_vault, begun_survives_everything_with_and_without_a_base)
{
	static const char *const members[] = { "session", "config", NULL };
	uint8_t config[30] = { 1 };
	struct msg_begun m = { .session = "00112233445566778899aabbccddeeff",
		.config = config,
		.config_len = sizeof(config) };
	for (int i = 0; i < 2; i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
		m.base = (struct port_base){
			.is_there = i == 1, .is_whole = true, .seq = 7, .hash = { 1, 2 }
		};
		cr_assert(eq(int, msg_vault_begun_encode(&m, &b, NULL), 0));
		msg_hostile_run(begun_again, &b);
		msg_hostile_members(begun_again, &b, members);
	}
}

static int commit_again(const void *data, size_t len, struct buf *out, struct err *err)
{
	struct port_commit m;
	int rc = msg_vault_commit_decode(data, len, &m, err);
	return rc != 0 ? rc : msg_vault_commit_encode(&m, out, err);
}

Test(msg_vault, commit_survives_everything)
{
	uint8_t record[SNAPREC_BYTES] = { 1 };
	uint8_t envelopes[2 * SNAPREC_ENVELOPE_BYTES] = { 2 };
	uint8_t label[77] = { 3 };
	struct port_commit m = { .record = record,
		.envelopes = envelopes,
		.envelope_count = 2,
		.label = label,
		.label_len = sizeof(label) };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_vault_commit_encode(&m, &b, NULL), 0));
	cr_expect(eq(sz, b.len, SNAPREC_BYTES + 2 + sizeof(envelopes) + 4 + sizeof(label)));
	msg_hostile_run(commit_again, &b);
	cr_assert(eq(int, buf_add8(&b, 0, NULL), 0));
	cr_expect(eq(int, msg_vault_commit_decode(b.data, b.len, &m, NULL), -ERR_CORRUPT));
}

static int receipt_again(const void *data, size_t len, struct buf *out, struct err *err)
{
	struct port_receipt m;
	int rc = msg_vault_receipt_decode(data, len, &m, err);
	return rc != 0 ? rc : msg_vault_receipt_encode(&m, out, err);
}

Test(msg_vault, receipt_survives_everything)
{
	static const char *const members[] = { "snapshot", "receipt_ns", NULL };
	static const char *const bad[] = { "", "-1", "01", "9223372036854775808", "1e3", " 1" };
	struct port_receipt m = { .snap_hash = { 1 }, .receipt_ns = INT64_MAX };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_vault_receipt_encode(&m, &b, NULL), 0));
	msg_hostile_run(receipt_again, &b);
	msg_hostile_members(receipt_again, &b, members);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_clear(&b);
		cr_assert(eq(int,
			buf_addf(&b, NULL, "{\"snapshot\":\"%064d\",\"receipt_ns\":\"%s\"}", 0,
				bad[i]),
			0));
		cr_expect(eq(int, msg_vault_receipt_decode(b.data, b.len, &m, NULL), -ERR_CORRUPT),
			"%s", bad[i]);
	}
}

static int records_again(const void *data, size_t len, struct buf *out, struct err *err)
{
	const uint8_t *p = data;
	const uint8_t *cr;
	size_t cr_len;
	int rc;
	if (len == 0)
		return err_set(err, ERR_CORRUPT, "nothing");
	while ((rc = msg_vault_records_next(&p, &len, &cr, &cr_len, err)) == 1)
		(void)msg_vault_records_add(out, cr, cr_len, NULL); /* has room */
	return rc;
}

Test(msg_vault, records_come_back_and_survive_changes)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	uint8_t cr[100] = { 7 };
	cr_assert(eq(int, msg_vault_records_add(&b, cr, sizeof(cr), NULL), 0));
	msg_hostile_run(records_again, &b);
	cr_assert(eq(int, msg_vault_records_add(&b, cr, 1, NULL), 0));
	const uint8_t *p = b.data;
	const uint8_t *one;
	size_t len = b.len;
	size_t one_len;
	cr_expect(eq(int, msg_vault_records_next(&p, &len, &one, &one_len, NULL), 1));
	cr_expect(eq(sz, one_len, 100));
	cr_expect(eq(int, msg_vault_records_next(&p, &len, &one, &one_len, NULL), 1));
	cr_expect(eq(sz, one_len, 1));
	cr_expect(eq(int, msg_vault_records_next(&p, &len, &one, &one_len, NULL), 0));
	cr_expect(eq(int, msg_vault_records_add(&b, cr, 0, NULL), -ERR_LIMIT));
}

static int report_again(const void *data, size_t len, struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	int rc = msg_vault_report_decode(data, len, &b, err);
	return rc != 0 ? rc : msg_vault_report_encode(b.data, b.len, out, err);
}

Test(msg_vault, report_survives_everything)
{
	static const char *const members[] = { "report", NULL };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_vault_report_encode("{\"payload\":1}", 13, &b, NULL), 0));
	msg_hostile_run(report_again, &b);
	msg_hostile_members(report_again, &b, members);
}
