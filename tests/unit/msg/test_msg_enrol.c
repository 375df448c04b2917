#include "msg/msg_enrol.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/ed25519.h"
#include "lib/msg_hostile.h"

static const uint8_t seed[32] = { 1, 2, 3 };

static struct msg_enrol sample(enum msg_role role)
{
	struct msg_enrol m = { .role = role,
		.name = "plant-1.cell_2",
		.version = "0.1.0",
		.csr = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE "
		       "REQUEST-----\n" };
	memset(m.secret, 7, sizeof(m.secret));
	memset(m.delivery, 9, sizeof(m.delivery));
	ed25519_public(seed, m.ik);
	if (role == MSG_ROLE_SANDBOX) {
		memset(m.dk, 3, sizeof(m.dk));
		memset(m.report, 4, sizeof(m.report));
	}
	return m;
}

static int again(const void *data, size_t len, struct buf *out, struct err *err)
{
	struct msg_enrol m;
	int rc = msg_enrol_decode(data, len, &m, err);
	return rc != 0 ? rc : msg_enrol_encode(&m, seed, out, err);
}

Test(msg_enrol, request_survives_everything)
{
	static const char *const members[] = { "secret", "role", "name", "version", "csr", "ik",
		"delivery", "dk", "report", "proof", NULL };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	struct msg_enrol m = sample(MSG_ROLE_SANDBOX);
	cr_assert(eq(int, msg_enrol_encode(&m, seed, &b, NULL), 0));
	msg_hostile_run(again, &b);
	msg_hostile_members(again, &b, members);
}

Test(msg_enrol, a_capture_agent_has_neither_drill_nor_report_key)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	struct msg_enrol back;
	struct msg_enrol m = sample(MSG_ROLE_CAPTURE);
	static const uint8_t zeros[32];
	memset(m.dk, 3, sizeof(m.dk)); /* not sent */
	cr_assert(eq(int, msg_enrol_encode(&m, seed, &b, NULL), 0));
	cr_assert(eq(int, msg_enrol_decode(b.data, b.len, &back, NULL), 0));
	cr_expect(eq(int, memcmp(back.dk, zeros, 32), 0));
	cr_expect(eq(int, back.role, MSG_ROLE_CAPTURE));
	cr_expect_str_eq(back.name, m.name);
	cr_expect_str_eq(back.csr, m.csr);
}

Test(msg_enrol, no_member_can_be_changed_or_added_behind_the_proof)
{
	static const char *const keys[] = { "name", "version", "unknown" };
	struct msg_enrol m = sample(MSG_ROLE_CAPTURE);
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_enrol_encode(&m, seed, &b, NULL), 0));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct err err = ERR_INIT;
		json_t *o = json_loadb((const char *)b.data, b.len, 0, NULL);
		(void)json_object_set_new(o, keys[i], json_string("other"));
		char *text = json_dumps(o, JSON_COMPACT);
		cr_expect(eq(int, msg_enrol_decode(text, strlen(text), &m, &err), -ERR_CORRUPT));
		cr_expect(ne(ptr, strstr(err.msg, "proof"), NULL));
		free(text);
		json_decref(o);
	}
}

Test(msg_enrol, another_seed_than_that_of_the_key_is_no_proof)
{
	static const uint8_t other[32] = { 9 };
	struct msg_enrol m = sample(MSG_ROLE_CAPTURE);
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_enrol_encode(&m, other, &b, NULL), 0));
	cr_expect(eq(int, msg_enrol_decode(b.data, b.len, &m, NULL), -ERR_CORRUPT));
}

Test(msg_enrol, names_are_of_the_grammar)
{
	static const char *const good[] = { "a", "0", "plant-1.cell_2" };
	static const char *const bad[] = { "", "-a", ".a", "_a", "A", "a b", "a/b", "\xc3\xa9",
		"a\n", "0123456789012345678901234567890123456789012345678901234567890123" };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect(msg_enrol_is_name(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(not(msg_enrol_is_name(bad[i])), "%s", bad[i]);
}

static int answer_again(const void *data, size_t len, struct buf *out, struct err *err)
{
	struct msg_enrol_answer m;
	int rc = msg_enrol_answer_decode(data, len, &m, err);
	return rc != 0 ? rc : msg_enrol_answer_encode(&m, out, err);
}

Test(msg_enrol, answer_survives_everything)
{
	static const char *const members[] = { "agent_id", "domain_id", "vault_id", "officer",
		NULL };
	struct msg_enrol_answer a = { .agent_id = { 1 }, .domain_id = { 2 }, .officer = { 3 } };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	cr_assert(eq(int, msg_enrol_answer_encode(&a, &b, NULL), 0));
	msg_hostile_run(answer_again, &b);
	msg_hostile_members(answer_again, &b, members);
}

static int collect_again(const void *data, size_t len, struct buf *out, struct err *err)
{
	struct msg_collect m;
	int rc = msg_enrol_collect_decode(data, len, &m, err);
	return rc != 0 ? rc : msg_enrol_collect_encode(&m, seed, out, err);
}

Test(msg_enrol, collect_survives_everything_and_is_good_for_its_time_only)
{
	static const char *const members[] = { "agent_id", "ik", "at", "proof", NULL };
	struct msg_collect m = { .agent_id = { 1 }, .at_ms = 1000 };
	CLEANUP(buf_done) struct buf b = BUF_INIT(8192);
	ed25519_public(seed, m.ik);
	cr_assert(eq(int, msg_enrol_collect_encode(&m, seed, &b, NULL), 0));
	msg_hostile_run(collect_again, &b);
	msg_hostile_members(collect_again, &b, members);
	char *at = memmem(b.data, b.len, "1000", 4);
	cr_assert(ne(ptr, at, NULL));
	*at = '2';
	cr_expect(eq(int, msg_enrol_collect_decode(b.data, b.len, &m, NULL), -ERR_CORRUPT));
}

Test(msg_enrol, every_part_counts_in_the_fingerprint)
{
	char first[MSG_FINGERPRINT_BYTES];
	char other[MSG_FINGERPRINT_BYTES];
	struct msg_enrol m = sample(MSG_ROLE_SANDBOX);
	struct msg_enrol_answer a = { .agent_id = { 1 } };
	uint8_t tls[32] = { 5 };
	uint8_t ca[32] = { 6 };
	uint8_t *parts[] = { m.ik, m.delivery, m.dk, m.report, a.agent_id, a.domain_id, a.officer,
		tls, ca };
	msg_enrol_fingerprint(&m, &a, tls, ca, first);
	cr_expect(eq(sz, strlen(first), 19));
	cr_expect(eq(chr, first[4], '-'));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		parts[i][15] ^= 1;
		msg_enrol_fingerprint(&m, &a, tls, ca, other);
		cr_expect_str_neq(first, other);
		parts[i][15] ^= 1;
	}
	msg_enrol_fingerprint(&m, &a, tls, ca, other);
	cr_expect_str_eq(first, other);
}
