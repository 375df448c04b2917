#include "msg/msg_work.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "lib/msg_hostile.h"

#define AGAIN(name, type, done)                                                                    \
	static int name##_again(const void *data, size_t len, struct buf *out, struct err *err)    \
	{                                                                                          \
		type m;                                                                            \
		int rc = msg_work_##name##_decode(data, len, &m, err);                             \
		if (rc != 0)                                                                       \
			return rc;                                                                 \
		rc = msg_work_##name##_encode(&m, out, err);                                       \
		done;                                                                              \
		return rc;                                                                         \
	}
AGAIN(hello, struct msg_hello, msg_work_hello_done(&m))
AGAIN(welcome, struct msg_welcome, msg_work_welcome_done(&m))
AGAIN(poll, struct msg_poll, (void)0)
AGAIN(progress, struct msg_progress, (void)0)
AGAIN(go, struct msg_go, (void)0)

Test(msg_work, hello_survives_everything)
{
	static const char *const members[] = { "protocol", "name", "version", "role", "clock",
		"sources", NULL };
	struct msg_source sources[] = { { "historian", "postgres", "application" },
		{ "share", "files", "fuzzy" } };
	struct msg_hello m = { .protocol = 1,
		.name = "agent-1",
		.version = "0.1.0",
		.role = MSG_ROLE_CAPTURE,
		.clock_ms = 1700000000000,
		.sources = sources,
		.source_count = 2 };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_work_hello_encode(&m, &b, NULL), 0));
	msg_hostile_run(hello_again, &b);
	msg_hostile_members(hello_again, &b, members);
}

Test(msg_work, a_source_that_is_there_twice_is_refused)
{
	struct msg_source sources[] = { { "a", "files", "fuzzy" }, { "a", "files", "fuzzy" } };
	struct msg_hello m = { .protocol = 1,
		.name = "a",
		.role = MSG_ROLE_CAPTURE,
		.sources = sources,
		.source_count = 2 };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_work_hello_encode(&m, &b, NULL), 0));
	cr_expect(eq(int, msg_work_hello_decode(b.data, b.len, &m, NULL), -ERR_CORRUPT));
}

Test(msg_work, more_sources_than_an_agent_may_have_are_refused)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	struct msg_hello m;
	cr_assert(eq(int,
		buf_addf(&b, NULL,
			"{\"protocol\":1,\"name\":\"a\",\"version\":\"\","
			"\"role\":\"capture\",\"clock\":1,\"sources\":["),
		0));
	for (int i = 0; i <= MSG_MAX_SOURCES; i++)
		cr_assert(eq(int,
			buf_addf(&b, NULL,
				"%s{\"name\":\"n%d\",\"type\":\"files\","
				"\"consistency\":\"fuzzy\"}",
				i > 0 ? "," : "", i),
			0));
	cr_assert(eq(int, buf_addf(&b, NULL, "]}"), 0));
	cr_expect(eq(int, msg_work_hello_decode(b.data, b.len, &m, NULL), -ERR_CORRUPT));
}

Test(msg_work, welcome_survives_everything)
{
	static const char *const members[] = { "agent_id", "clock", "poll_ms", "config", NULL };
	uint8_t config[40] = { 1 };
	struct msg_welcome m = { .agent_id = { 1 },
		.clock_ms = 5,
		.poll_ms = 50000,
		.config = config,
		.config_len = sizeof(config) };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_work_welcome_encode(&m, &b, NULL), 0));
	msg_hostile_run(welcome_again, &b);
	msg_hostile_members(welcome_again, &b, members);
}

Test(msg_work, poll_survives_everything)
{
	static const char *const members[] = { "wait_ms", NULL };
	struct msg_poll m = { .wait_ms = MSG_WORK_WAIT_MAX_MS };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_work_poll_encode(&m, &b, NULL), 0));
	msg_hostile_run(poll_again, &b);
	msg_hostile_members(poll_again, &b, members);
	static const char longer[] = "{\"wait_ms\":50001}";
	cr_expect(eq(int, msg_work_poll_decode(longer, strlen(longer), &m, NULL), -ERR_CORRUPT));
}

Test(msg_work, progress_survives_everything)
{
	static const char *const members[] = { "attempt", "phase", "files", "bytes", "read_bytes",
		"sent_bytes", NULL };
	struct msg_progress m = { .attempt = 2,
		.phase = "backup",
		.files = 1,
		.bytes = INT64_MAX,
		.text = "caf\xc3\xa9" };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_work_progress_encode(&m, &b, NULL), 0));
	msg_hostile_run(progress_again, &b);
	msg_hostile_members(progress_again, &b, members);
}

Test(msg_work, go_says_why_not)
{
	static const char *const members[] = { "go", "why", NULL };
	struct msg_go m = { .go = false, .why = "cancelled by anna" };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_work_go_encode(&m, &b, NULL), 0));
	msg_hostile_run(go_again, &b);
	msg_hostile_members(go_again, &b, members);
	static const char yes[] = "{\"go\":true}";
	cr_expect(eq(int, msg_work_go_decode(yes, strlen(yes), &m, NULL), 0));
	cr_expect(m.go);
}

Test(msg_work, pem_comes_back_and_nothing_else_does)
{
	static const char pem[] = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
	char back[MSG_PEM_BYTES];
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_work_pem_encode("csr", pem, &b, NULL), 0));
	cr_assert(eq(int, msg_work_pem_decode(b.data, b.len, "csr", back, NULL), 0));
	cr_expect_str_eq(back, pem);
	cr_expect(eq(
		int, msg_work_pem_decode(b.data, b.len, "certificate", back, NULL), -ERR_CORRUPT));
	static const char other[] = "{\"csr\":\"rm -rf\"}";
	cr_expect(eq(
		int, msg_work_pem_decode(other, strlen(other), "csr", back, NULL), -ERR_CORRUPT));
}
