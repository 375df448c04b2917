#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "controller/fleet.h"
#include "db/db.h"
#include "tests/lib/fleet_fixture.h"
#include "vault/domain.h"
#include "vault/snaprec.h"

static struct fleet_fixture f;
static struct fleet_fixture_agent writer, box;
static struct err err = ERR_INIT;

static void setup(void)
{
	fleet_fixture_init(&f);
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line3", &writer);
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-1", &box);
}

static void teardown(void)
{
	fleet_fixture_done(&f);
}

TestSuite(fleet_key, .init = setup, .fini = teardown);

static void lose_catalog(void)
{
	cr_assert(eq(int, db_run(f.catalog.db, "DELETE FROM token", DB_NO_ARGS, NULL, &err), 0));
	cr_assert(eq(int, db_run(f.catalog.db, "DELETE FROM agent", DB_NO_ARGS, NULL, &err), 0));
}

static struct fleet_key find(const char *text)
{
	struct fleet_key k = { .is_struck = false };
	cr_assert(eq(int, fleet_key_find(fleet_domain(f.fleet), text, &k, &err), 0), "%s", err.msg);
	return k;
}

static void id_of_writer(char hex[65])
{
	uint8_t kid[32];
	snaprec_kid(writer.m.ik, kid);
	text_hex(kid, 32, hex);
}

static void id_of_box(char hex[65])
{
	uint8_t rkid[32];
	snaprec_rkid(box.m.dk, rkid);
	text_hex(rkid, 32, hex);
}

/* What the officer signs of it. */
static void sign(const struct fleet_key *k, struct buf *out)
{
	CLEANUP(domain_done) struct domain next = { .agents = NULL };
	size_t len;
	const void *config = fleet_config(f.fleet, &len);
	cr_assert(eq(int,
			  fleet_next_config(config, len, f.keys.officer_pk, FLEET_STRIKE, &k->agent,
				  &next, &err),
			  0),
		"%s", err.msg);
	cr_assert(eq(int, domain_encode(&next, f.officer_seed, out, &err), 0), "%s", err.msg);
}

static int strike(const char *id, const struct buf *config)
{
	err_clear(&err);
	return fleet_key_strike(f.fleet, id, config->data, config->len, "person:anna", &err);
}

Test(fleet_key, is_found_by_the_beginning_of_its_id_or_of_its_agents)
{
	char hex[65], agent[33], part[9];
	id_of_writer(hex);
	text_hex(writer.id, 16, agent);
	struct fleet_key k = find(hex);
	cr_expect(eq(int, (int)k.agent.role, MSG_ROLE_CAPTURE));
	cr_expect(eq(int, memcmp(k.agent.ik, writer.m.ik, 32), 0));
	cr_expect(eq(int, memcmp(k.agent.id, writer.id, 16), 0));
	(void)snprintf(part, sizeof(part), "%s", hex);
	cr_expect(eq(int, memcmp(find(part).id, k.id, 32), 0));
	cr_expect(eq(int, memcmp(find(agent).id, k.id, 32), 0));
	id_of_box(hex);
	k = find(hex);
	cr_expect(eq(int, (int)k.agent.role, MSG_ROLE_SANDBOX));
	cr_expect(eq(str, k.agent.group, "line3"));
	cr_expect(eq(int, memcmp(k.agent.dk, box.m.dk, 32), 0));

	const struct domain *d = fleet_domain(f.fleet);
	static const char *const none[] = { "", "1234567", "ABCDEF01", "xyzxyzxyz",
		"00000000000000000000000000000000000000000000000000000000000000000" };
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		cr_expect(eq(int, fleet_key_find(d, none[i], &k, &err), -ERR_USAGE), "%s", none[i]);
	cr_expect(eq(int, fleet_key_find(d, "0123456789abcdef0123", &k, &err), -ERR_NOT_FOUND));
}

Test(fleet_key, one_that_the_catalog_lost_is_struck_and_nothing_else)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	CLEANUP(buf_done) struct buf other = BUF_INIT(1 << 20);
	char hex[65], box_hex[65];
	id_of_writer(hex);
	id_of_box(box_hex);
	lose_catalog();
	struct fleet_key k = find(hex), b = find(box_hex);
	sign(&b, &other);
	cr_expect(eq(int, strike(hex, &other), -ERR_CONFIG), "the config strikes another");
	sign(&k, &config);
	const int puts = f.puts;
	cr_assert(eq(int, strike(hex, &config), 0), "%s", err.msg);
	cr_expect(eq(int, f.puts, puts + 1));
	cr_expect(find(hex).is_struck);
	cr_expect(not(find(box_hex).is_struck));
	struct audit_record r = fleet_fixture_audit(&f);
	cr_expect(eq(str, r.action, "agent.strike"));
	cr_expect(eq(str, r.object, hex));
	cr_expect(eq(str, r.who, "person:anna"));
	cr_expect(ne(ptr, strstr(r.detail, "not known here"), NULL), "%s", r.detail);
	const int64_t newest = r.number;
	cr_expect(eq(int, strike(hex, &config), 0), "the answer was lost");
	cr_expect(eq(int, f.puts, puts + 1));
	cr_expect(eq(i64, fleet_fixture_audit(&f).number, newest));
	/* the other was signed upon the config before */
	cr_expect(eq(int, strike(box_hex, &other), -ERR_BUSY));
	other.len = 0;
	sign(&b, &other);
	cr_assert(eq(int, strike(box_hex, &other), 0), "%s", err.msg);
	cr_expect(
		eq(int, fleet_key_find(fleet_domain(f.fleet), box_hex, &k, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, strike(box_hex, &other), 0), "the answer was lost");
	fleet_fixture_reopen(&f);
	cr_expect(find(hex).is_struck);
}

Test(fleet_key, one_of_an_agent_is_left_to_its_agent)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	char hex[65];
	id_of_box(hex);
	struct fleet_key k = find(hex);
	sign(&k, &config);
	cr_expect(eq(int, strike(hex, &config), -ERR_EXISTS));
	cr_expect(
		ne(ptr, strstr(err.msg, "agent 'drill-1', which is active"), NULL), "%s", err.msg);
	cr_expect(ne(ptr, strstr(err.hint, "agent revoke drill-1"), NULL), "%s", err.hint);
	cr_assert(eq(int, fleet_revoke(f.fleet, box.id, "person:anna", &err), 0));
	cr_assert(eq(int, strike(hex, &config), 0), "%s", err.msg);
	cr_expect(eq(str, fleet_fixture_audit(&f).object, "drill-1"));
}
