#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "lib/msg_hostile.h"
#include "msg/msg_vault.h"

static int again(const void *data, size_t len, struct buf *out, struct err *err)
{
	struct msg_points m;
	int rc = msg_vault_points_decode(data, len, &m, err);
	if (rc != 0)
		return rc;
	rc = msg_vault_points_encode(&m, out, err);
	msg_vault_points_done(&m);
	return rc;
}

Test(msg_vault_points, survive_everything)
{
	static const char *const members[] = { "points", "config", NULL };
	uint8_t bytes[40] = { 1 };
	struct msg_point points[2] = { { "a", bytes, 40, bytes, 30 }, { "b", bytes, 1, bytes, 2 } };
	struct msg_points m = { .config = bytes, .config_len = 5, .at = points, .count = 2 };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_vault_points_encode(&m, &b, NULL), 0));
	msg_hostile_run(again, &b);
	msg_hostile_members(again, &b, members);
}

Test(msg_vault_points, more_than_a_grant_holds_are_refused)
{
	static struct msg_point points[MSG_MAX_POINTS + 1];
	uint8_t byte = 1;
	for (size_t i = 0; i <= MSG_MAX_POINTS; i++)
		points[i] = (struct msg_point){ "a", &byte, 1, &byte, 1 };
	struct msg_points m = {
		.config = &byte, .config_len = 1, .at = points, .count = MSG_MAX_POINTS + 1
	};
	CLEANUP(buf_done) struct buf b = BUF_INIT(1 << 20);
	cr_expect(eq(int, msg_vault_points_encode(&m, &b, NULL), -ERR_LIMIT));
	cr_expect(eq(sz, b.len, 0));
}
