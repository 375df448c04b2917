#include "controller/fleet.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/ed25519.h"
#include "crypto/x509.h"
#include "db/db.h"
#include "tests/lib/fleet_fixture.h"
#include "vault/domain.h"
#include "vault/keyring.h"

static struct fleet_fixture f;
static struct fleet_fixture_agent one, two;
static struct err err = ERR_INIT;

static void setup(void)
{
	fleet_fixture_init(&f);
}

static void teardown(void)
{
	fleet_fixture_done(&f);
}

TestSuite(fleet_next_config, .init = setup, .fini = teardown);

static struct domain next;
static struct catalog_agent agent;

static int make_as(enum fleet_change change)
{
	domain_done(&next);
	err_clear(&err);
	return fleet_next_config(
		f.config.data, f.config.len, f.keys.officer_pk, change, &agent, &next, &err);
}

static int make(void)
{
	return make_as(FLEET_ADD);
}

static void get(const struct fleet_fixture_agent *a)
{
	cr_assert(eq(int, catalog_agent_get(f.catalog.db, a->id, &agent, &err), 0));
}

Test(fleet_next_config, is_the_one_before_and_one_key_more)
{
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line1", &two);
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	get(&one);
	cr_assert(eq(int, make(), 0), "%s", err.msg);
	cr_expect(eq(u32, next.epoch, 3));
	cr_assert(eq(sz, next.agent_count, 2));
	cr_expect(eq(int, memcmp(next.agents[0].ik_pk, two.m.ik, 32), 0));
	cr_expect(eq(int, memcmp(next.agents[1].ik_pk, one.m.ik, 32), 0));
	cr_expect(eq(int, memcmp(next.agents[1].agent_id, one.id, 16), 0));
	cr_expect(not(next.agents[1].is_revoked));
	cr_expect(eq(sz, next.group_count, 1));
	cr_expect(eq(sz, next.recovery_count, 1));
	cr_expect(eq(sz, next.officer_count, 1));
	cr_expect(eq(int, memcmp(next.domain_id, f.keys.domain_id, 16), 0));
	domain_done(&next);
}

Test(fleet_next_config, a_key_that_is_there_is_not_added_again)
{
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line1", &two);
	get(&two);
	cr_assert(eq(int, make(), 0));
	cr_expect(eq(sz, next.agent_count, 1));
	/* as another's it is refused */
	agent.id[0] ^= 1;
	cr_expect(eq(int, make(), -ERR_CONFIG));
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	get(&one);
	cr_assert(eq(int, make(), 0));
	cr_expect(eq(sz, next.group_count, 2));
	strcpy(agent.group, "line4");
	cr_expect(eq(int, make(), -ERR_CONFIG));
	cr_expect(ne(ptr, strstr(err.msg, "'line3'"), NULL), "%s", err.msg);
	domain_done(&next);
}

Test(fleet_next_config, a_struck_sandbox_takes_its_own_key_along_and_no_other)
{
	struct fleet_fixture_agent three;
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-2", &two);
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line1", &three);
	get(&one);
	cr_assert(eq(int, make_as(FLEET_STRIKE), 0), "%s", err.msg);
	cr_expect(eq(u32, next.epoch, 5));
	cr_assert(eq(sz, next.group_count, 2)); /* the fixture's own, and that of two */
	cr_expect(eq(str, (char *)next.groups[1].name, "line3"));
	cr_expect(eq(int, memcmp(next.groups[1].dk_pk, two.m.dk, 32), 0));
	cr_expect(eq(sz, next.agent_count, 1));
	cr_expect(not(next.agents[0].is_revoked));
	cr_expect(eq(sz, next.recovery_count, 1));
	cr_expect(eq(sz, next.officer_count, 1));
	/* the same key under another group's name is not its own */
	strcpy(agent.group, "line4");
	cr_expect(eq(int, make_as(FLEET_STRIKE), -ERR_NOT_FOUND));
	domain_done(&next);
}

Test(fleet_next_config, a_struck_writer_stays_as_a_revoked_one)
{
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line1", &one);
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line2", &two);
	get(&one);
	cr_assert(eq(int, make_as(FLEET_STRIKE), 0), "%s", err.msg);
	cr_assert(eq(sz, next.agent_count, 2));
	cr_expect(next.agents[0].is_revoked);
	cr_expect(not(next.agents[1].is_revoked));
	cr_expect(eq(sz, next.group_count, 1));
	/* nothing of it is there to be struck */
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &two);
	get(&two);
	cr_expect(eq(int, make_as(FLEET_STRIKE), -ERR_NOT_FOUND));
	domain_done(&next);
}

Test(fleet_next_config, a_revoked_identity_does_not_come_back)
{
	struct domain d = { .agents = NULL };
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line1", &two);
	get(&two);
	cr_assert(eq(
		int, domain_decode(f.config.data, f.config.len, f.keys.officer_pk, &d, &err), 0));
	d.agents[0].is_revoked = true;
	buf_clear(&f.config);
	cr_assert(eq(int, domain_encode(&d, f.officer_seed, &f.config, &err), 0));
	domain_done(&d);
	cr_expect(eq(int, make(), -ERR_CONFIG));
}

Test(fleet_next_config, limits_and_wrong_inputs_are_errors)
{
	struct domain d = { .agents = NULL };
	fleet_fixture_enrol(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	get(&one);
	agent.group[0] = '\0';
	cr_expect(eq(int, make(), -ERR_USAGE));
	strcpy(agent.group, "line3");
	f.keys.officer_pk[0] ^= 1;
	cr_expect(eq(int, make(), -ERR_AUTH));
	f.keys.officer_pk[0] ^= 1;
	cr_assert(eq(
		int, domain_decode(f.config.data, f.config.len, f.keys.officer_pk, &d, &err), 0));
	for (; d.group_count + d.recovery_count < DOMAIN_MAX_KEYS; d.group_count++) {
		strcpy(d.groups[d.group_count].name, "many");
		memset(d.groups[d.group_count].dk_pk, (int)d.group_count + 100, 32);
	}
	buf_clear(&f.config);
	cr_assert(eq(int, domain_encode(&d, f.officer_seed, &f.config, &err), 0));
	cr_expect(eq(int, make(), -ERR_LIMIT));
	d.group_count = 1;
	d.epoch = UINT32_MAX;
	buf_clear(&f.config);
	cr_assert(eq(int, domain_encode(&d, f.officer_seed, &f.config, &err), 0));
	cr_expect(eq(int, make(), -ERR_LIMIT));
	f.config.data[20] ^= 1;
	cr_expect(eq(int, make(), -ERR_CORRUPT));
	domain_done(&d);
}
