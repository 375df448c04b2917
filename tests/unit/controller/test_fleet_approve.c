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

TestSuite(fleet_approve, .init = setup, .fini = teardown);

static struct domain d;
static struct catalog_agent got;

/* The config that is right for ${a}, to be changed. */
static void begin(const struct fleet_fixture_agent *a)
{
	struct catalog_agent row;
	cr_assert(eq(int, catalog_agent_get(f.catalog.db, a->id, &row, &err), 0));
	domain_done(&d);
	cr_assert(eq(int,
			  fleet_next_config(f.config.data, f.config.len, f.keys.officer_pk,
				  FLEET_ADD, &row, &d, &err),
			  0),
		"%s", err.msg);
}

static int approve(const struct fleet_fixture_agent *a, const uint8_t seed[32])
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	err_clear(&err);
	cr_assert(eq(int, domain_encode(&d, seed, &config, &err), 0), "%s", err.msg);
	return fleet_approve(f.fleet, a->id, config.data, config.len, "person:anna", &err);
}

static void expect_refused(const struct fleet_fixture_agent *a, const char *what)
{
	int puts = f.puts;
	cr_expect(eq(int, approve(a, f.officer_seed), -ERR_CONFIG));
	cr_expect(ne(ptr, strstr(err.msg, what), NULL), "'%s' not in '%s'", what, err.msg);
	cr_expect(eq(int, f.puts, puts));
	cr_assert(eq(int, catalog_agent_get(f.catalog.db, a->id, &got, &err), 0));
	cr_expect(eq(int, got.state, AGENT_PENDING));
	struct audit_record r = fleet_fixture_audit(&f);
	cr_expect(eq(str, r.action, "agent.approve"));
	cr_expect(eq(str, r.outcome, "config"));
	cr_expect(ne(ptr, strstr(r.detail, what), NULL));
	begin(a);
}

Test(fleet_approve, the_right_config_is_put_and_the_agent_active)
{
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	begin(&one);
	cr_assert(eq(int, approve(&one, f.officer_seed), 0), "%s", err.msg);
	cr_expect(eq(int, f.puts, 1));
	cr_assert(eq(int, catalog_agent_get(f.catalog.db, one.id, &got, &err), 0));
	cr_expect(eq(int, got.state, AGENT_ACTIVE));
	cr_expect(ge(i64, got.approved_ms, 1));
	cr_expect(eq(u32, fleet_domain(f.fleet)->epoch, 2));
	cr_expect(eq(sz, fleet_domain(f.fleet)->agent_count, 1));
	cr_expect(eq(int, memcmp(fleet_domain(f.fleet)->agents[0].ik_pk, one.m.ik, 32), 0));
	struct audit_record r = fleet_fixture_audit(&f);
	cr_expect(eq(str, r.who, "person:anna"));
	cr_expect(eq(str, r.outcome, "ok"));
	cr_expect(ne(ptr, strstr(r.detail, got.fingerprint), NULL));
	/* the same once more, when the answer was lost */
	int64_t number = r.number;
	cr_expect(eq(int, approve(&one, f.officer_seed), 0), "%s", err.msg);
	cr_expect(eq(int, f.puts, 1));
	cr_expect(eq(i64, fleet_fixture_audit(&f).number, number));
	domain_done(&d);
}

Test(fleet_approve, a_sandbox_adds_its_key_to_its_group)
{
	fleet_fixture_enrol(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	begin(&one);
	cr_assert(eq(int, approve(&one, f.officer_seed), 0), "%s", err.msg);
	const struct domain *now = fleet_domain(f.fleet);
	cr_assert(eq(sz, now->group_count, 2));
	cr_expect(eq(str, (char *)now->groups[1].name, "line3"));
	cr_expect(eq(int, memcmp(now->groups[1].dk_pk, one.m.dk, 32), 0));
	cr_expect(eq(sz, now->agent_count, 0));
	domain_done(&d);
}

Test(fleet_approve, a_config_that_says_anything_else_is_refused_with_what)
{
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line1", &two);
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	begin(&one);
	memset(d.recovery_pk[d.recovery_count++], 0x66, 32);
	expect_refused(&one, "2 recovery keys where 1 must be");
	d.recovery_pk[0][0] ^= 1;
	expect_refused(&one, "recovery key");
	memset(d.officer_pk[d.officer_count++], 0x66, 32);
	expect_refused(&one, "2 officers where 1 must be");
	strcpy(d.groups[1].name, "line3");
	memset(d.groups[1].dk_pk, 0x66, 32);
	d.group_count = 2;
	expect_refused(&one, "2 drill keys where 1 must be");
	memset(d.groups[0].dk_pk, 0x66, 32);
	expect_refused(&one, "drill key 6666");
	strcpy(d.groups[0].name, "line4");
	expect_refused(&one, "drill key");
	d.group_count = 0;
	expect_refused(&one, "0 drill keys where 1 must be");
	uint8_t other[32] = { 0x66, 0x66 };
	cr_assert(eq(int, domain_add_agent(&d, other, other, &err), 0));
	expect_refused(&one, "3 agents where 2 must be");
	memcpy(d.agents[1].ik_pk, other, 32);
	expect_refused(&one, "identity key 6666");
	d.agents[0].is_revoked = true;
	expect_refused(&one, "revocation");
	d.agents[1].is_revoked = true;
	expect_refused(&one, "revocation");
	d.agents[0].agent_id[0] ^= 1;
	expect_refused(&one, "agent");
	d.agent_count = 1;
	expect_refused(&one, "1 agents where 2 must be");
	d.domain_id[0] ^= 1;
	expect_refused(&one, "domain");
	cr_expect(eq(int, approve(&one, f.officer_seed), 0), "%s", err.msg);
	domain_done(&d);
}

Test(fleet_approve, another_officer_is_refused)
{
	uint8_t seed[32] = { 9 };
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	begin(&one);
	ed25519_public(seed, d.officer_pk[0]);
	cr_expect(eq(int, approve(&one, seed), -ERR_AUTH));
	/* not even next to the old one */
	begin(&one);
	ed25519_public(seed, d.officer_pk[d.officer_count++]);
	cr_expect(eq(int, approve(&one, seed), -ERR_AUTH));
	cr_expect(eq(int, f.puts, 0));
	cr_expect(eq(str, fleet_fixture_audit(&f).outcome, "auth"));
	domain_done(&d);
}

Test(fleet_approve, bytes_that_are_no_config_are_refused)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	fleet_fixture_sign(&f, FLEET_ADD, one.id, &config);
	for (size_t i = 0; i < config.len; i += 7) {
		config.data[i] ^= 1;
		cr_assert(
			eq(int, fleet_approve(f.fleet, one.id, config.data, config.len, "x", &err),
				-ERR_CONFIG));
		config.data[i] ^= 1;
		cr_assert(eq(int, fleet_approve(f.fleet, one.id, config.data, i, "x", &err),
			-ERR_CONFIG));
	}
	cr_expect(eq(int, f.puts, 0));
}

Test(fleet_approve, a_config_over_an_older_one_is_to_be_signed_again)
{
	CLEANUP(buf_done) struct buf first = BUF_INIT(1 << 20);
	CLEANUP(buf_done) struct buf second = BUF_INIT(1 << 20);
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line4", &two);
	fleet_fixture_sign(&f, FLEET_ADD, one.id, &first);
	fleet_fixture_sign(&f, FLEET_ADD, two.id, &second);
	cr_assert(eq(int, fleet_approve(f.fleet, one.id, first.data, first.len, "x", &err), 0));
	cr_expect(eq(int, fleet_approve(f.fleet, two.id, second.data, second.len, "x", &err),
		-ERR_BUSY));
	cr_expect(ne(str, err.hint, ""));
	/* the current config approves only who is in it */
	cr_expect(eq(int, fleet_approve(f.fleet, two.id, first.data, first.len, "x", &err),
		-ERR_CONFIG));
	buf_clear(&second);
	fleet_fixture_sign(&f, FLEET_ADD, two.id, &second);
	cr_expect(eq(int, fleet_approve(f.fleet, two.id, second.data, second.len, "x", &err), 0));
	/* an epoch that runs ahead */
	begin(&two);
	d.epoch++;
	cr_expect(eq(int, approve(&two, f.officer_seed), -ERR_BUSY));
	domain_done(&d);
}

Test(fleet_approve, who_is_unknown_or_revoked_is_not_approved)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	fleet_fixture_sign(&f, FLEET_ADD, one.id, &config);
	cr_assert(eq(int, fleet_revoke(f.fleet, one.id, "x", &err), 0));
	cr_expect(eq(int, fleet_approve(f.fleet, one.id, config.data, config.len, "x", &err),
		-ERR_NOT_FOUND));
	one.id[0] ^= 1;
	cr_expect(eq(int, fleet_approve(f.fleet, one.id, config.data, config.len, "x", &err),
		-ERR_NOT_FOUND));
	cr_expect(eq(int, f.puts, 0));
}

Test(fleet_approve, a_store_that_fails_changes_nothing)
{
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	begin(&one);
	f.put_rc = -ERR_NOSPACE;
	cr_expect(eq(int, approve(&one, f.officer_seed), -ERR_NOSPACE));
	cr_expect(eq(u32, fleet_domain(f.fleet)->epoch, 1));
	f.put_rc = 0;
	cr_expect(eq(int, approve(&one, f.officer_seed), 0));
	domain_done(&d);
}

Test(fleet_approve, what_broke_off_between_store_and_catalog_is_ended_by_the_same_call)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	fleet_fixture_sign(&f, FLEET_ADD, one.id, &config);
	/* the config came to the store, the controller did not come to its catalog */
	buf_clear(&f.config);
	cr_assert(eq(int, buf_add(&f.config, config.data, config.len, &err), 0));
	fleet_fixture_reopen(&f);
	cr_assert(eq(int, catalog_agent_get(f.catalog.db, one.id, &got, &err), 0));
	cr_assert(eq(int, got.state, AGENT_PENDING));
	/* with the same config, */
	cr_expect(eq(int, fleet_approve(f.fleet, one.id, config.data, config.len, "x", &err), 0),
		"%s", err.msg);
	cr_expect(eq(int, f.puts, 0));
	cr_assert(eq(int, catalog_agent_get(f.catalog.db, one.id, &got, &err), 0));
	cr_expect(eq(int, got.state, AGENT_ACTIVE));
	/* or, had it been lost, with one that is only an epoch further */
	got.state = AGENT_PENDING;
	cr_assert(eq(int, catalog_agent_set(f.catalog.db, &got, &err), 0));
	begin(&one);
	cr_expect(eq(sz, d.agent_count, 1));
	cr_expect(eq(int, approve(&one, f.officer_seed), 0), "%s", err.msg);
	cr_expect(eq(int, f.puts, 1));
	domain_done(&d);
}
