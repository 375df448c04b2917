#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "lib/msg_hostile.h"
#include "msg/msg_enrol.h"

static int again(const void *data, size_t len, struct buf *out, struct err *err)
{
	struct msg_enrol_grant m;
	int rc = msg_enrol_grant_decode(data, len, &m, err);
	if (rc != 0)
		return rc;
	rc = msg_enrol_grant_encode(&m, out, err);
	msg_enrol_grant_done(&m);
	return rc;
}

Test(msg_enrol_grant, survives_everything)
{
	static const char *const members[] = { "certificate", "ca", "address", "config", "keys",
		NULL };
	uint8_t bytes[50] = { 1 };
	struct msg_enrol_grant m = { .certificate = "-----BEGIN CERTIFICATE-----\n",
		.ca = "-----BEGIN CERTIFICATE-----\nX\n",
		.address = "host:8443",
		.config = bytes,
		.config_len = sizeof(bytes),
		.keys = bytes,
		.keys_len = 49 };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_enrol_grant_encode(&m, &b, NULL), 0));
	msg_hostile_run(again, &b);
	msg_hostile_members(again, &b, members);
}

Test(msg_enrol_grant, an_address_that_is_more_than_one_is_refused)
{
	static const char text[] =
		"{\"certificate\":\"-----BEGIN X\",\"ca\":\"-----BEGIN X\",\"config\":\"AAAA\","
		"\"keys\":\"AAAA\",\"address\":\"h:1/../x\"}";
	struct msg_enrol_grant m;
	cr_expect(eq(int, msg_enrol_grant_decode(text, sizeof(text) - 1, &m, NULL), -ERR_CORRUPT));
}
