#include "base/err.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(err, every_id_leads_back_to_its_code)
{
	static const int codes[] = {
#define X(name, value, id, status, retry) value,
#include "base/err.def"
#undef X
	};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		cr_expect(eq(int, err_code_of_id(err_id(codes[i])), codes[i]));
	cr_expect(eq(int, err_code_of_id("unheard-of"), 0));
	cr_expect(eq(int, err_code_of_id(""), 0));
}

static int fail(struct err *err, enum err_code code)
{
	(void)err_set(err, code, "no");
	return err_hint(err, "try again");
}

Test(err, a_hint_returns_the_code_also_when_nobody_wants_the_text)
{
	struct err err = ERR_INIT;
	cr_expect(eq(int, fail(&err, ERR_NOT_FOUND), -ERR_NOT_FOUND));
	cr_expect(eq(int, fail(NULL, ERR_BUSY), -ERR_BUSY));
	cr_expect(eq(int, fail(&err, ERR_AUTH), -ERR_AUTH));
	cr_expect(eq(int, fail(NULL, ERR_LIMIT), -ERR_LIMIT));
	err_clear(&err);
	cr_expect(eq(int, err_hint(&err, "of nothing"), -ERR_FAILED));
}
