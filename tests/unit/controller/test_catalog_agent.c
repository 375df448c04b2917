#include "controller/catalog_agent.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "db/db.h"
#include "tests/lib/catalog_fixture.h"

static struct catalog_fixture f;
static struct err err = ERR_INIT;

static void setup(void)
{
	catalog_fixture_init(&f);
}

static void teardown(void)
{
	catalog_fixture_done(&f);
}

TestSuite(catalog_agent, .init = setup, .fini = teardown);

static struct catalog_agent agent_of(uint8_t first, const char *name)
{
	struct catalog_agent a = {
		.role = MSG_ROLE_SANDBOX,
		.state = AGENT_PENDING,
		.version = "1.2",
		.csr = "-----BEGIN",
		.fingerprint = "ABCD-EFGH-IJKL-MNOP",
		.group = "line3",
		.address = "10.0.0.1",
		.enrolled_ms = 1,
		.approved_ms = 2,
		.seen_ms = 3,
		.clock_off_ms = -4,
		.certificate_until_s = 5,
	};
	memset(a.id, first, sizeof(a.id));
	memset(a.tls_key_hash, 1, 32);
	memset(a.next_key_hash, 6, 32);
	memset(a.ik, 2, 32);
	memset(a.delivery, 3, 32);
	memset(a.dk, 4, 32);
	memset(a.report, 5, 32);
	snprintf(a.name, sizeof(a.name), "%s", name);
	return a;
}

static void add(uint8_t first, const char *name)
{
	struct catalog_agent a = agent_of(first, name);
	cr_assert(eq(int, catalog_agent_add(f.db, &a, &err), 0), "%s", err.msg);
}

Test(catalog_agent, an_agent_comes_back_whole)
{
	struct catalog_agent a = agent_of(0xa1, "line3"), got;
	cr_assert(eq(int, catalog_agent_add(f.db, &a, &err), 0), "%s", err.msg);
	catalog_fixture_reopen(&f);
	cr_assert(eq(int, catalog_agent_get(f.db, a.id, &got, &err), 0), "%s", err.msg);
	cr_expect(eq(int, memcmp(&got, &a, sizeof(a)), 0));
	a.state = AGENT_ACTIVE;
	a.approved_ms = 99;
	a.tls_key_hash[0] = 77;
	snprintf(a.group, sizeof(a.group), "line4");
	cr_assert(eq(int, catalog_agent_set(f.db, &a, &err), 0));
	cr_assert(eq(int, catalog_agent_seen(f.db, a.id, 1234, "10.9.9.9", &err), 0));
	a.seen_ms = 1234;
	snprintf(a.address, sizeof(a.address), "10.9.9.9");
	cr_assert(eq(int, catalog_agent_get(f.db, a.id, &got, &err), 0));
	cr_expect(eq(int, memcmp(&got, &a, sizeof(a)), 0));
}

Test(catalog_agent, who_is_not_there_is_not_found)
{
	struct catalog_agent a = agent_of(9, "none"), got;
	cr_expect(eq(int, catalog_agent_get(f.db, a.id, &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, catalog_agent_set(f.db, &a, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, catalog_agent_seen(f.db, a.id, 1, "", &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, catalog_agent_find(f.db, "none", &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, catalog_agent_find(f.db, "n", &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, catalog_agent_find(f.db, "", &got, &err), -ERR_NOT_FOUND));
}

Test(catalog_agent, a_name_belongs_to_one_that_is_not_revoked)
{
	struct catalog_agent a, second = agent_of(0xb2, "line3"), got;
	add(0xa1, "line3");
	cr_expect(eq(int, catalog_agent_add(f.db, &second, &err), -ERR_EXISTS));
	cr_expect(ne(ptr, strstr(err.msg, "'line3'"), NULL));
	a = agent_of(0xa1, "line3");
	a.state = AGENT_REVOKED;
	cr_assert(eq(int, catalog_agent_set(f.db, &a, &err), 0));
	/* nobody else has it: the one that had it */
	cr_assert(eq(int, catalog_agent_find(f.db, "line3", &got, &err), 0), "%s", err.msg);
	cr_expect(eq(int, got.id[0], 0xa1));
	second.enrolled_ms = a.enrolled_ms + 1;
	cr_assert(eq(int, catalog_agent_add(f.db, &second, &err), 0), "%s", err.msg);
	cr_assert(eq(int, catalog_agent_find(f.db, "line3", &got, &err), 0));
	cr_expect(eq(int, got.id[0], 0xb2));
	/* the revoked one by its id alone, now */
	cr_assert(eq(int, catalog_agent_find(f.db, "a1a1", &got, &err), 0), "%s", err.msg);
	cr_expect(eq(int, got.state, AGENT_REVOKED));
	/* and it cannot take its name back */
	a.state = AGENT_ACTIVE;
	cr_expect(eq(int, catalog_agent_set(f.db, &a, &err), -ERR_EXISTS));
	/* of two that had it, the one that had it last */
	second.state = AGENT_REVOKED;
	cr_assert(eq(int, catalog_agent_set(f.db, &second, &err), 0));
	cr_assert(eq(int, catalog_agent_find(f.db, "line3", &got, &err), 0));
	cr_expect(eq(int, got.id[0], 0xb2));
}

Test(catalog_agent, a_prefix_that_fits_two_is_ambiguous)
{
	struct catalog_agent a = agent_of(0xa1, "one"), got;
	cr_assert(eq(int, catalog_agent_add(f.db, &a, &err), 0));
	a.id[15] = 0;
	snprintf(a.name, sizeof(a.name), "two");
	cr_assert(eq(int, catalog_agent_add(f.db, &a, &err), 0));
	cr_expect(eq(int, catalog_agent_find(f.db, "a1a1", &got, &err), -ERR_USAGE));
	cr_assert(eq(
		int, catalog_agent_find(f.db, "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a100", &got, &err), 0));
	cr_expect(eq(str, got.name, "two"));
}

static char names[64];

static int revoke_each(void *arg, const struct catalog_agent *a)
{
	struct catalog_agent changed = *a;
	strcat(names, a->name);
	changed.state = AGENT_REVOKED;
	cr_assert(eq(int, catalog_agent_set(f.db, &changed, &err), 0));
	return strcmp(a->name, arg) == 0 ? 7 : 0;
}

Test(catalog_agent, each_is_told_by_name_and_may_be_changed)
{
	add(1, "cc");
	add(2, "aa");
	add(3, "bb");
	cr_expect(eq(int, catalog_agent_each(f.db, revoke_each, "none", &err), 0));
	cr_expect(eq(str, names, "aabbcc"));
	names[0] = '\0';
	cr_expect(eq(int, catalog_agent_each(f.db, revoke_each, "bb", &err), 7));
	cr_expect(eq(str, names, "aabb"));
}

static int put_source(void *arg, const struct msg_source *s)
{
	(void)arg;
	snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s/%s/%s ", s->name,
		s->type, s->consistency);
	return strcmp(s->name, "stop") == 0 ? 3 : 0;
}

Test(catalog_agent, those_in_a_state_are_told_by_their_ids)
{
	CLEANUP(buf_done) struct buf ids = BUF_INIT(4096);
	struct catalog_agent a = agent_of(2, "two");
	add(1, "one");
	add(2, "two");
	add(3, "three");
	cr_assert(eq(int, catalog_agent_in_state(f.db, AGENT_REVOKED, &ids, &err), 0));
	cr_expect(eq(sz, ids.len, 0));
	a.state = AGENT_REVOKED;
	cr_assert(eq(int, catalog_agent_set(f.db, &a, &err), 0));
	cr_assert(eq(int, catalog_agent_in_state(f.db, AGENT_REVOKED, &ids, &err), 0));
	cr_assert(eq(sz, ids.len, 16));
	cr_expect(eq(int, memcmp(ids.data, a.id, 16), 0));
	cr_assert(eq(int, catalog_agent_in_state(f.db, AGENT_PENDING, &ids, &err), 0));
	cr_expect(eq(sz, ids.len, 48), "appended");
}

Test(catalog_agent, sources_are_replaced_as_a_whole)
{
	const struct msg_source two[] = { { "share", "files", "crash" },
		{ "historian", "postgres", "application" } };
	const struct msg_source twice[] = { { "x", "files", "crash" }, { "x", "files", "crash" } };
	const struct msg_source stop[] = { { "stop", "files", "crash" },
		{ "y", "files", "crash" } };
	struct catalog_agent a = agent_of(1, "line3");
	cr_expect(eq(int, catalog_agent_set_sources(f.db, a.id, two, 2, &err), -ERR_FAILED));
	add(1, "line3");
	cr_assert(eq(int, catalog_agent_set_sources(f.db, a.id, two, 2, &err), 0));
	cr_expect(eq(int, catalog_agent_set_sources(f.db, a.id, twice, 2, &err), -ERR_EXISTS));
	cr_expect(eq(int, catalog_agent_each_source(f.db, a.id, put_source, NULL, &err), 0));
	cr_expect(eq(str, names, "share/files/crash historian/postgres/application "));
	names[0] = '\0';
	cr_assert(eq(int, catalog_agent_set_sources(f.db, a.id, stop, 2, &err), 0));
	cr_expect(eq(int, catalog_agent_each_source(f.db, a.id, put_source, NULL, &err), 3));
	cr_assert(eq(int, catalog_agent_set_sources(f.db, a.id, NULL, 0, &err), 0));
	names[0] = '\0';
	cr_expect(eq(int, catalog_agent_each_source(f.db, a.id, put_source, NULL, &err), 0));
	cr_expect(eq(str, names, ""));
}

Test(catalog_agent, a_token_is_spent_once)
{
	struct catalog_token t = { .role = MSG_ROLE_CAPTURE, .name = "line3", .until_ms = 99 }, got;
	const uint8_t id[16] = { 1, 2 }, key[32] = { 3, 4 };
	memset(t.hash, 0x77, sizeof(t.hash));
	cr_expect(eq(int, catalog_agent_token_get(f.db, t.hash, &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, catalog_agent_token_spend(f.db, t.hash, 5, id, key, &err), -ERR_EXISTS));
	cr_assert(eq(int, catalog_agent_token_add(f.db, &t, &err), 0));
	cr_expect(eq(int, catalog_agent_token_add(f.db, &t, &err), -ERR_EXISTS));
	cr_assert(eq(int, catalog_agent_token_get(f.db, t.hash, &got, &err), 0));
	cr_expect(eq(int, memcmp(&got, &t, sizeof(t)), 0));
	cr_assert(eq(int, catalog_agent_token_spend(f.db, t.hash, 5, id, key, &err), 0));
	cr_expect(eq(int, catalog_agent_token_spend(f.db, t.hash, 6, id, key, &err), -ERR_EXISTS));
	cr_assert(eq(int, catalog_agent_token_get(f.db, t.hash, &got, &err), 0));
	cr_expect(eq(i64, got.spent_ms, 5));
	cr_expect(eq(int, memcmp(got.agent_id, id, 16), 0));
	cr_expect(eq(int, memcmp(got.key, key, 32), 0));
}

Test(catalog_agent, states_have_names)
{
	cr_expect(eq(str, (char *)catalog_agent_state_name(AGENT_PENDING), "pending"));
	cr_expect(eq(str, (char *)catalog_agent_state_name(AGENT_ACTIVE), "active"));
	cr_expect(eq(str, (char *)catalog_agent_state_name(AGENT_REVOKED), "revoked"));
	cr_expect(eq(str, (char *)catalog_agent_state_name(0), "?"));
}
