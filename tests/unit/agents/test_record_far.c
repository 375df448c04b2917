#include "agents/record_far.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "msg/msg_vault.h"
#include "net/http_client.h"

/* The gateway, in the place of the client: record i is i + 1 bytes of i; its id is i. */
static struct {
	size_t calls, asked, fit;
	bool is_lying, is_empty;
	int refuse;
} gate;

int http_client_call(struct http_client *c, const struct http_call *call, int *status,
	struct buf *answer, struct err *err)
{
	(void)c;
	(void)status;
	const uint8_t(*ids)[32] = call->body;
	size_t count = call->len / 32;
	cr_assert_str_eq(call->path, "/v1/grants/00112233445566778899aabbccddeeff/records");
	cr_assert(eq(int, call->method, HTTP_POST));
	cr_assert(le(sz, count, MSG_READ_IDS));
	gate.calls++;
	gate.asked = count;
	if (gate.refuse != 0)
		return err_set(err, (enum err_code)gate.refuse, "refused");
	size_t fit = gate.fit < count ? gate.fit : count;
	for (size_t i = 0; !gate.is_empty && i < fit + gate.is_lying; i++) {
		uint8_t cr[256];
		uint8_t n = ids[i < count ? i : 0][0];
		memset(cr, n, sizeof(cr));
		cr_assert(eq(int, msg_vault_records_add(answer, cr, n + (size_t)1, err), 0));
	}
	return 0;
}

#define GRANT "00112233445566778899aabbccddeeff"

static struct record_far *make(void)
{
	struct record_far *r = NULL;
	memset(&gate, 0, sizeof(gate));
	gate.fit = SIZE_MAX;
	cr_assert(eq(int, record_far_new(NULL, GRANT, &r, NULL), 0));
	return r;
}

static int get(struct record_far *r, uint8_t n)
{
	const struct record_store *s = record_far_store(r);
	CLEANUP(buf_done) struct buf cr = BUF_INIT(1000);
	uint8_t id[32] = { n };
	int rc = s->get(s->self, id, &cr, NULL);
	if (rc == 0) {
		cr_expect(eq(sz, cr.len, n + (size_t)1));
		cr_expect(eq(u8, cr.data[n], n));
	}
	return rc;
}

static void expect(struct record_far *r, size_t count)
{
	uint8_t ids[256][32] = { { 0 } };
	const struct record_store *s = record_far_store(r);
	for (size_t i = 0; i < count; i++)
		ids[i][0] = (uint8_t)i;
	s->expect(s->self, (const uint8_t(*)[32])ids, count);
}

Test(record_far, what_is_expected_comes_in_one_request)
{
	struct record_far *r = make();
	expect(r, 100);
	for (uint8_t i = 0; i < 100; i++)
		cr_expect(eq(int, get(r, i), 0));
	cr_expect(eq(sz, gate.calls, 1));
	cr_expect(eq(sz, gate.asked, 100));
	record_far_free(r);
}

Test(record_far, what_did_not_fit_is_asked_for_again)
{
	struct record_far *r = make();
	gate.fit = 30;
	expect(r, 100);
	for (uint8_t i = 0; i < 100; i++)
		cr_expect(eq(int, get(r, i), 0));
	cr_expect(eq(sz, gate.calls, 4));
	cr_expect(eq(sz, gate.asked, 10));
	record_far_free(r);
}

Test(record_far, an_id_that_was_not_expected_is_asked_for_alone)
{
	struct record_far *r = make();
	expect(r, 3);
	cr_expect(eq(int, get(r, 77), 0));
	cr_expect(eq(sz, gate.asked, 1));
	cr_expect(eq(int, get(r, 1), 0));
	cr_expect(eq(sz, gate.asked, 2));
	record_far_free(r);
}

Test(record_far, refusals_and_answers_that_lie_are_told)
{
	struct record_far *r = make();
	gate.refuse = ERR_NOT_FOUND;
	cr_expect(eq(int, get(r, 1), -ERR_NOT_FOUND));
	gate.refuse = 0;
	gate.is_lying = true;
	cr_expect(eq(int, get(r, 1), -ERR_CORRUPT));
	gate.is_empty = true;
	cr_expect(eq(int, get(r, 1), -ERR_CORRUPT));
	gate.is_empty = gate.is_lying = false;
	cr_expect(eq(int, get(r, 1), 0));
	record_far_free(r);
}

Test(record_far, a_grant_that_is_none_never_becomes_a_path)
{
	struct record_far *r = NULL;
	cr_expect(eq(int, record_far_new(NULL, "../../x", &r, NULL), -ERR_USAGE));
	cr_expect(eq(int, record_far_new(NULL, "00112233445566778899AABBCCDDEEFF", &r, NULL),
		-ERR_USAGE));
}
