#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "lib/msg_hostile.h"
#include "msg/msg_work.h"

static int again(const void *data, size_t len, struct buf *out, struct err *err)
{
	struct msg_result m;
	int rc = msg_work_result_decode(data, len, &m, err);
	return rc != 0 ? rc : msg_work_result_encode(&m, out, err);
}

Test(msg_work_result, done_survives_everything)
{
	static const char *const members[] = { "attempt", "warnings", "stats", NULL };
	struct msg_result m = { .attempt = 1,
		.warnings = 2,
		.first_warning = "/a: no permission",
		.files = 3,
		.bytes = 4,
		.verdict = "passed" };
	memset(m.snapshot, 'a', 64);
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_work_result_encode(&m, &b, NULL), 0));
	msg_hostile_run(again, &b);
	msg_hostile_members(again, &b, members);
}

Test(msg_work_result, failure_keeps_code_text_and_hint_and_names_no_snapshot)
{
	static const char *const members[] = { "error", "message", NULL };
	struct msg_result m = { .attempt = 1 };
	struct msg_result back;
	(void)err_set(&m.error, ERR_NOSPACE, "the store is full");
	(void)err_hint(&m.error, "make room");
	memset(m.snapshot, 'a', 64);
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_work_result_encode(&m, &b, NULL), 0));
	msg_hostile_run(again, &b);
	cr_assert(eq(int, msg_work_result_decode(b.data, b.len, &back, NULL), 0));
	cr_expect(eq(int, back.error.code, ERR_NOSPACE));
	cr_expect_str_eq(back.error.msg, m.error.msg);
	cr_expect_str_eq(back.error.hint, m.error.hint);
	cr_expect_str_eq(back.snapshot, "");
	msg_hostile_members(again, &b, members + 1);
}
