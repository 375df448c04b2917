#include "controller/agent_seen.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "controller/catalog_agent.h"
#include "db/db.h"
#include "tests/lib/catalog_fixture.h"

static struct catalog_fixture f;
static struct agent_seen *seen;
static struct err err = ERR_INIT;

static void setup(void)
{
	catalog_fixture_init(&f);
	cr_assert(eq(int, agent_seen_new(f.db, &seen, &err), 0), "%s", err.msg);
}

static void teardown(void)
{
	agent_seen_free(seen);
	catalog_fixture_done(&f);
}

TestSuite(agent_seen, .init = setup, .fini = teardown);

static struct catalog_agent add(uint8_t first)
{
	struct catalog_agent a = { .role = MSG_ROLE_CAPTURE, .state = AGENT_ACTIVE };
	memset(a.id, first, sizeof(a.id));
	memset(a.ik, first, sizeof(a.ik));
	memset(a.tls_key_hash, first, sizeof(a.tls_key_hash));
	(void)snprintf(a.name, sizeof(a.name), "agent%u", first);
	cr_assert(eq(int, catalog_agent_add(f.db, &a, &err), 0), "%s", err.msg);
	return a;
}

static struct catalog_agent get(const struct catalog_agent *a)
{
	struct catalog_agent out;
	cr_assert(eq(int, catalog_agent_get(f.db, a->id, &out, &err), 0), "%s", err.msg);
	return out;
}

static void note(const struct catalog_agent *a, int64_t at_ms, const char *address)
{
	cr_assert(eq(int, agent_seen_note(seen, a->id, at_ms, address, &err), 0), "%s", err.msg);
}

static void run(const char *sql)
{
	cr_assert(eq(int, db_run(f.db, sql, DB_NO_ARGS, NULL, &err), 0), "%s", err.msg);
}

Test(agent_seen, is_written_once_a_minute_with_the_newest_of_each)
{
	struct catalog_agent a = add(1), b = add(2);
	note(&a, 1000, "10.0.0.1");
	note(&b, 2000, "10.0.0.2");
	note(&a, 51000, "10.0.0.3");
	cr_expect(eq(i64, agent_seen_tick(seen, 60999), 1000 + AGENT_SEEN_WRITE_MS));
	cr_expect(eq(i64, get(&a).seen_ms, 0), "not yet");
	(void)agent_seen_tick(seen, 61000);
	cr_expect(eq(i64, get(&a).seen_ms, 51000));
	cr_expect(eq(str, get(&a).address, "10.0.0.3"));
	cr_expect(eq(i64, get(&b).seen_ms, 2000));
	note(&b, 62000, "10.0.0.2");
	(void)agent_seen_tick(seen, 63000);
	cr_expect(eq(i64, get(&b).seen_ms, 2000), "a minute begins anew");
}

Test(agent_seen, what_waits_is_written_at_the_end)
{
	struct catalog_agent a = add(1);
	note(&a, 1000, "10.0.0.1");
	agent_seen_free(seen);
	seen = NULL;
	cr_expect(eq(i64, get(&a).seen_ms, 1000));
}

Test(agent_seen, an_agent_that_is_gone_does_not_hold_up_the_others)
{
	struct catalog_agent gone = { .id = { 9 } }, a = add(1);
	note(&gone, 1000, "10.0.0.9");
	note(&a, 1000, "10.0.0.1");
	(void)agent_seen_tick(seen, 61000);
	cr_expect(eq(i64, get(&a).seen_ms, 1000));
}

Test(agent_seen, what_could_not_be_written_is_tried_again)
{
	struct catalog_agent a = add(1);
	note(&a, 1000, "10.0.0.1");
	run("ALTER TABLE agent RENAME TO away");
	(void)agent_seen_tick(seen, 61000);
	run("ALTER TABLE away RENAME TO agent");
	cr_expect(eq(i64, get(&a).seen_ms, 0));
	(void)agent_seen_tick(seen, 61000 + AGENT_SEEN_WRITE_MS);
	cr_expect(eq(i64, get(&a).seen_ms, 1000));
}

Test(agent_seen, a_clock_that_was_put_back_does_not_stop_it)
{
	struct catalog_agent a = add(1);
	note(&a, 1000000000, "10.0.0.1");
	(void)agent_seen_tick(seen, 1000);
	cr_expect(eq(i64, get(&a).seen_ms, 1000000000));
}
