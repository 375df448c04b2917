#include "restore/report_secret.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "restore/report_key.h"

Test(report_secret, a_key_comes_back_from_its_line)
{
	struct buf text = BUF_INIT(256);
	struct err err = ERR_INIT;
	uint8_t seed[32], back[32] = { 0 };
	for (int i = 0; i < 32; i++)
		seed[i] = (uint8_t)(i * 7);
	cr_assert(eq(int, report_secret_format(seed, &text, &err), 0));
	cr_assert(eq(int, report_secret_parse((char *)text.data, text.len, back, &err), 0), "%s",
		err.msg);
	cr_expect(eq(int, memcmp(seed, back, 32), 0));
	buf_done(&text);
}

Test(report_secret, a_public_key_and_anything_else_are_refused_by_name)
{
	struct buf text = BUF_INIT(256);
	struct err err = ERR_INIT;
	uint8_t pk[32] = { 1 }, out[32] = { 9 };
	cr_assert(eq(int, report_key_format(pk, &text, &err), 0));
	cr_expect(
		eq(int, report_secret_parse((char *)text.data, text.len, out, &err), -ERR_CONFIG));
	cr_expect(eq(str, err.msg, "this is the public key, which cannot sign"));
	cr_expect(eq(int, report_secret_parse("x", 1, out, &err), -ERR_CONFIG));
	cr_expect(eq(int, report_secret_parse("holdfast-report-secret ed25519 AAAA", 35, out, &err),
		-ERR_CONFIG));
	cr_expect(eq(int, out[0], 9));
	buf_done(&text);
}
