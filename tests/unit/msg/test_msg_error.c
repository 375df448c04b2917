#include "msg/msg_error.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

Test(msg_error, every_error_comes_back_with_its_text_and_hint)
{
	for (int code = 1; strcmp(err_id(code), "failed") != 0 || code == 1; code++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT(4096);
		struct err err = ERR_INIT;
		struct err back = ERR_INIT;
		(void)err_set(&err, (enum err_code)code, "unable to do \"this\"");
		(void)err_hint(&err, "do that");
		cr_assert(eq(int, msg_error_encode(&err, &b, NULL), 0));
		cr_expect(eq(int, msg_error_decode(400, b.data, b.len, &back), -code));
		cr_expect(eq(int, back.code, code));
		cr_expect_str_eq(back.msg, err.msg);
		cr_expect_str_eq(back.hint, err.hint);
	}
}

Test(msg_error, statuses_are_those_of_the_protocol)
{
	static const struct {
		enum err_code code;
		int status;
	} table[] = { { ERR_USAGE, 400 }, { ERR_CORRUPT, 400 }, { ERR_FORK, 400 },
		{ ERR_AUTH, 403 }, { ERR_NOT_FOUND, 404 }, { ERR_BUSY, 409 }, { ERR_EXISTS, 409 },
		{ ERR_INTERRUPTED, 410 }, { ERR_LIMIT, 413 }, { ERR_UNSUPPORTED, 501 },
		{ ERR_UNREACHABLE, 503 }, { ERR_NOSPACE, 507 }, { ERR_IO, 500 },
		{ ERR_NOMEM, 500 } };
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct err err = ERR_INIT;
		(void)err_set(&err, table[i].code, "x");
		cr_expect(eq(int, msg_error_status(&err), table[i].status));
	}
}

Test(msg_error, a_body_that_is_none_of_ours_is_told_by_its_status)
{
	struct err err = ERR_INIT;
	static const char page[] = "<html>";
	cr_expect(eq(int, msg_error_decode(410, page, strlen(page), &err), -ERR_FAILED));
	cr_expect(ne(ptr, strstr(err.msg, "410"), NULL));
	cr_expect(eq(int, msg_error_decode(418, NULL, 0, &err), -ERR_FAILED));
}

Test(msg_error, an_id_of_a_newer_version_counts_as_failed)
{
	struct err err = ERR_INIT;
	static const char body[] = "{\"error\":\"new-thing\",\"message\":\"m\"}";
	cr_expect(eq(int, msg_error_decode(400, body, strlen(body), &err), -ERR_FAILED));
	cr_expect_str_eq(err.msg, "m");
}

Test(msg_error, text_that_would_fool_a_terminal_is_escaped)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(4096);
	struct err err = { .code = ERR_IO, .msg = "a\033[31m\xff" };
	struct err back = ERR_INIT;
	cr_assert(eq(int, msg_error_encode(&err, &b, NULL), 0));
	cr_expect(eq(int, msg_error_decode(500, b.data, b.len, &back), -ERR_IO));
	cr_expect(eq(ptr, strchr(back.msg, '\033'), NULL));
}
