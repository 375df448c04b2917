#include "net/http_refusal.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

Test(http_refusal, every_code_comes_back_with_its_texts)
{
	static const int codes[] = {
#define X(name, value, id, status, retry) value,
#include "base/err.def"
#undef X
	};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct err e = ERR_INIT;
		struct err back = ERR_INIT;
		(void)err_set(&e, (enum err_code)codes[i], "no \"%s\"", "snapshot");
		(void)err_hint(&e, "look again");
		struct buf b = BUF_INIT(8192);
		cr_assert(eq(int, http_refusal_encode(&e, &b, &back), 0));
		cr_expect(eq(int, http_refusal_decode(404, b.data, b.len, &back), -codes[i]));
		cr_expect(eq(str, back.msg, "no \"snapshot\""));
		cr_expect(eq(str, back.hint, "look again"));
		buf_done(&b);
	}
}

Test(http_refusal, what_is_none_of_ours_is_told_by_its_status)
{
	static const char *const bad[] = { "", "<html>", "[]", "{}",
		"{\"error\":1,\"message\":\"x\"}", "{\"error\":\"auth\"}" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;
		cr_expect(eq(
			int, http_refusal_decode(502, bad[i], strlen(bad[i]), &err), -ERR_FAILED));
		cr_expect(ne(ptr, strstr(err.msg, "502"), NULL));
	}
	static const char newer[] = "{\"error\":\"unheard-of\",\"message\":\"m\",\"more\":[1]}";
	struct err err = ERR_INIT;
	cr_expect(eq(int, http_refusal_decode(400, newer, strlen(newer), &err), -ERR_FAILED));
	cr_expect(eq(str, err.msg, "m"));
}

Test(http_refusal, text_of_the_other_end_reaches_no_terminal_as_it_is)
{
	static const char evil[] =
		"{\"error\":\"auth\",\"message\":\"\\u001b[2J%s%n\",\"hint\":\"a\\u0007\"}";
	struct err err = ERR_INIT;
	cr_expect(eq(int, http_refusal_decode(401, evil, strlen(evil), &err), -ERR_AUTH));
	cr_expect(eq(str, err.msg, "\\x1b[2J%s%n"));
	cr_expect(eq(ptr, strchr(err.hint, 7), NULL));
}
