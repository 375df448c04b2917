#include "store/unix/unix_wire.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

static int ends[2];
static struct err err;

static void setup(void)
{
	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0));
	err_clear(&err);
}

static void teardown(void)
{
	for (int i = 0; i < 2; i++) {
		if (ends[i] >= 0)
			(void)close(ends[i]);
	}
}

TestSuite(unix_wire, .init = setup, .fini = teardown, .timeout = 30);

Test(unix_wire, an_answer_brings_its_numbers_or_its_error_with_words)
{
	struct unix_wire_answer a;
	struct err why = ERR_INIT;
	bool is_broken = true;
	cr_assert(eq(int, unix_wire_send_answer(ends[0], NULL, 7, 9, &err), 0));
	cr_assert(eq(int, unix_wire_receive_answer(ends[1], &a, &is_broken, &err), 0));
	cr_expect(not(is_broken));
	cr_expect(eq(u64, a.a, 7));
	cr_expect(eq(u64, a.len, 9));
	(void)err_set(&why, ERR_EXISTS, "the name is taken");
	(void)err_hint(&why, "take another");
	cr_assert(eq(int, unix_wire_send_answer(ends[0], &why, 0, 0, &err), 0));
	cr_expect(eq(int, unix_wire_receive_answer(ends[1], &a, &is_broken, &err), -ERR_EXISTS));
	cr_expect(not(is_broken));
	cr_expect(eq(str, err.msg, "the name is taken"));
	cr_expect(eq(str, err.hint, "take another"));
}

Test(unix_wire, what_is_no_answer_breaks_the_connection)
{
	const struct unix_wire_answer bad[] = { { .magic = 1 },
		{ .magic = UNIX_WIRE_MAGIC, .code = 99999 },
		{ .magic = UNIX_WIRE_MAGIC, .code = ERR_IO, .msg_len = ERR_MSG_BYTES },
		{ .magic = UNIX_WIRE_MAGIC, .hint_len = 65535 } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct unix_wire_answer a;
		bool is_broken = false;
		cr_assert(eq(int, unix_wire_send(ends[0], &bad[i], sizeof(bad[i]), &err), 0));
		cr_expect(eq(int, unix_wire_receive_answer(ends[1], &a, &is_broken, &err),
			-ERR_UNSUPPORTED));
		cr_expect(is_broken);
	}
}

Test(unix_wire, a_peer_that_goes_is_unreachable)
{
	char data[8];
	(void)close(ends[0]);
	ends[0] = -1;
	cr_expect(eq(int, unix_wire_receive(ends[1], data, sizeof(data), &err), -ERR_UNREACHABLE));
	cr_expect(eq(int, unix_wire_send(ends[1], data, sizeof(data), &err), -ERR_UNREACHABLE));
}
