#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "lib/msg_hostile.h"
#include "msg/msg_work.h"

static int again(const void *data, size_t len, struct buf *out, struct err *err)
{
	struct msg_order m;
	int rc = msg_work_order_decode(data, len, &m, err);
	if (rc != 0)
		return rc;
	rc = msg_work_order_encode(&m, out, err);
	msg_work_order_done(&m);
	return rc;
}

Test(msg_work_order, backup_survives_everything)
{
	static const char *const members[] = { "job", "attempt", "verb", "deadline_ms", "source",
		NULL };
	struct msg_order m = { .job = "00112233445566778899aabbccddeeff",
		.attempt = 1,
		.verb = MSG_VERB_BACKUP,
		.deadline_ms = 3600000,
		.source = "historian" };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_work_order_encode(&m, &b, NULL), 0));
	msg_hostile_run(again, &b);
	msg_hostile_members(again, &b, members);
}

Test(msg_work_order, drill_survives_everything)
{
	static const char *const members[] = { "plan", "plan_name", "plan_sha256", "exercise",
		"since_declared_ms", "trigger", "grant", "controller", "controller_key", NULL };
	struct msg_order m = { .job = "00112233445566778899aabbccddeeff",
		.attempt = 3,
		.verb = MSG_VERB_DRILL,
		.plan = (char *)(uintptr_t) "name = \"x\";\n",
		.plan_len = 12,
		.plan_name = "line 3.plan",
		.exercise = "01234567-89ab-4def-8123-456789abcdef",
		.since_declared_ms = 100,
		.trigger = "schedule",
		.scenario = (char *)(uintptr_t) "ransomware\non the historian",
		.grant = "ffeeddccbbaa99887766554433221100",
		.controller = "controller-1",
		.controller_key = { 1, 2 },
		.ordered_by = "person anna" };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_work_order_encode(&m, &b, NULL), 0));
	msg_hostile_run(again, &b);
	msg_hostile_members(again, &b, members);
	struct msg_order back;
	cr_assert(eq(int, msg_work_order_decode(b.data, b.len, &back, NULL), 0));
	cr_expect_str_eq(back.plan, m.plan);
	cr_expect(eq(sz, back.plan_len, m.plan_len));
	cr_expect_str_eq(back.scenario, m.scenario);
	msg_work_order_done(&back);
}

Test(msg_work_order, a_verb_outside_the_set_is_not_done)
{
	static const char *const bad[] = { "run", "exec", "Backup", "backup2", "restore" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
		struct msg_order m;
		cr_assert(eq(int,
			buf_addf(&b, NULL,
				"{\"job\":\"00112233445566778899aabbccddeeff\",\"attempt\":1,"
				"\"deadline_ms\":0,\"source\":\"a\",\"verb\":\"%s\"}",
				bad[i]),
			0));
		cr_expect(lt(int, msg_work_order_decode(b.data, b.len, &m, NULL), 0), "%s", bad[i]);
	}
}

Test(msg_work_order, a_source_is_a_name_never_a_path)
{
	static const char *const bad[] = { "/etc", "../x", "a/b", "" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
		struct msg_order m;
		cr_assert(eq(int,
			buf_addf(&b, NULL,
				"{\"job\":\"00112233445566778899aabbccddeeff\",\"attempt\":1,"
				"\"deadline_ms\":0,\"verb\":\"backup\",\"source\":\"%s\"}",
				bad[i]),
			0));
		cr_expect(eq(int, msg_work_order_decode(b.data, b.len, &m, NULL), -ERR_CORRUPT),
			"%s", bad[i]);
	}
}

Test(msg_work_order, a_span_that_no_clock_can_hold_is_refused)
{
	static const struct {
		const char *ms;
		int rc;
	} spans[] = { { "4611686018427", 0 }, { "4611686018428", -ERR_CORRUPT },
		{ "9223372036854775807", -ERR_CORRUPT }, { "-1", -ERR_CORRUPT } };
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
		struct msg_order m = { .attempt = 0 };
		cr_assert(eq(int,
			buf_addf(&b, NULL,
				"{\"job\":\"00112233445566778899aabbccddeeff\",\"attempt\":1,"
				"\"deadline_ms\":%s,\"verb\":\"backup\",\"source\":\"a\"}",
				spans[i].ms),
			0));
		cr_expect(eq(int, msg_work_order_decode(b.data, b.len, &m, NULL), spans[i].rc),
			"%s", spans[i].ms);
		msg_work_order_done(&m);
	}
}
