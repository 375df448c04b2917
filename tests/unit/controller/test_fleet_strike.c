#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "controller/fleet.h"
#include "tests/lib/fleet_fixture.h"
#include "vault/domain.h"

static struct fleet_fixture f;
static struct fleet_fixture_agent one, two;
static struct catalog_agent got;
static struct err err = ERR_INIT;

static void setup(void)
{
	fleet_fixture_init(&f);
}

static void teardown(void)
{
	fleet_fixture_done(&f);
}

TestSuite(fleet_strike, .init = setup, .fini = teardown);

static void shut_out(const struct fleet_fixture_agent *a)
{
	cr_assert(eq(int, fleet_revoke(f.fleet, a->id, "person:anna", &err), 0), "%s", err.msg);
}

static int strike(const struct fleet_fixture_agent *a, const struct buf *config)
{
	err_clear(&err);
	return fleet_strike(f.fleet, a->id, config->data, config->len, "person:anna", &err);
}

static bool is_listed(const struct fleet_fixture_agent *a)
{
	cr_assert(eq(int, catalog_agent_get(f.catalog.db, a->id, &got, &err), 0));
	return fleet_lists(f.fleet, &got);
}

static bool has_drill_key(const uint8_t dk[32])
{
	const struct domain *d = fleet_domain(f.fleet);
	for (size_t i = 0; i < d->group_count; i++) {
		if (memcmp(d->groups[i].dk_pk, dk, 32) == 0)
			return true;
	}
	return false;
}

Test(fleet_strike, a_sandbox_reads_no_new_snapshots_and_the_other_of_its_group_does)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-2", &two);
	cr_expect(has_drill_key(one.m.dk));
	cr_expect(has_drill_key(two.m.dk));
	shut_out(&one);
	struct audit_record r = fleet_fixture_audit(&f);
	cr_expect(ne(ptr, strstr(r.detail, "until an officer strikes it"), NULL), "%s", r.detail);
	cr_expect(is_listed(&one)); /* shutting out alone does not take it out */
	fleet_fixture_sign(&f, FLEET_STRIKE, one.id, &config);
	const int puts = f.puts;
	cr_assert(eq(int, strike(&one, &config), 0), "%s", err.msg);
	cr_expect(eq(int, f.puts, puts + 1));
	cr_expect(eq(u32, fleet_domain(f.fleet)->epoch, 4));
	cr_expect(not(has_drill_key(one.m.dk)));
	cr_expect(has_drill_key(two.m.dk));
	cr_expect(not(is_listed(&one)));
	cr_expect(is_listed(&two));
	cr_expect(eq(int, got.state, AGENT_ACTIVE));
	r = fleet_fixture_audit(&f);
	cr_expect(eq(str, r.action, "agent.strike"));
	cr_expect(eq(str, r.object, "drill-1"));
	cr_expect(eq(str, r.who, "person:anna"));
	cr_expect(eq(str, r.outcome, "ok"));
	cr_expect(ne(ptr, strstr(r.detail, "config 4"), NULL), "%s", r.detail);
	cr_expect(ne(ptr, strstr(r.detail, "group 'line3' with 2 others left"), NULL), "%s",
		r.detail); /* two's, and the fixture's own */
	/* the answer was lost: the same once more changes nothing */
	cr_expect(eq(int, strike(&one, &config), 0), "%s", err.msg);
	cr_expect(eq(int, f.puts, puts + 1));
	/* another start of the controller reads it off the store */
	fleet_fixture_reopen(&f);
	cr_expect(not(has_drill_key(one.m.dk)));
}

Test(fleet_strike, a_writer_is_marked_and_stays)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line1", &one);
	shut_out(&one);
	fleet_fixture_sign(&f, FLEET_STRIKE, one.id, &config);
	cr_assert(eq(int, strike(&one, &config), 0), "%s", err.msg);
	const struct domain *d = fleet_domain(f.fleet);
	cr_assert(eq(sz, d->agent_count, 1));
	cr_expect(d->agents[0].is_revoked);
	cr_expect(not(is_listed(&one)));
	cr_expect(ne(ptr, strstr(fleet_fixture_audit(&f).detail, "identity key"), NULL));
}

static void expect_refused(
	const struct fleet_fixture_agent *a, const struct buf *config, int want, const char *text)
{
	const int puts = f.puts;
	cr_expect(eq(int, strike(a, config), want), "%s: %s", text, err.msg);
	cr_expect(ne(ptr, strstr(err.msg, text), NULL), "'%s' not in '%s'", text, err.msg);
	cr_expect(eq(int, f.puts, puts));
	struct audit_record r = fleet_fixture_audit(&f);
	cr_expect(eq(str, r.action, "agent.strike"));
	cr_expect(eq(str, r.outcome, (char *)err_id(want)));
}

Test(fleet_strike, an_agent_that_works_keeps_its_key)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	fleet_fixture_sign(&f, FLEET_STRIKE, one.id, &config);
	expect_refused(&one, &config, -ERR_USAGE, "is not revoked");
	cr_expect(is_listed(&one));
}

Test(fleet_strike, a_config_that_says_anything_else_is_refused)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	CLEANUP(domain_done) struct domain d = { .agents = NULL };
	uint8_t other[32] = { 7 };
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-2", &two);
	shut_out(&one);
	fleet_fixture_sign(&f, FLEET_STRIKE, two.id, &config); /* the other one's key */
	expect_refused(&one, &config, -ERR_CONFIG, "drill key");
	buf_clear(&config);
	fleet_fixture_sign(&f, FLEET_ADD, one.id, &config); /* nothing is struck */
	expect_refused(&one, &config, -ERR_CONFIG, "drill key");
	buf_clear(&config);
	cr_assert(eq(int,
		fleet_next_config(f.config.data, f.config.len, f.keys.officer_pk, FLEET_STRIKE,
			&got, &d, &err),
		-ERR_NOT_FOUND)); /* got is empty */
	cr_assert(eq(int, catalog_agent_get(f.catalog.db, one.id, &got, &err), 0));
	cr_assert(eq(int,
		fleet_next_config(f.config.data, f.config.len, f.keys.officer_pk, FLEET_STRIKE,
			&got, &d, &err),
		0));
	memcpy(d.groups[d.group_count].dk_pk, other, 32); /* a reader is slipped in */
	strcpy(d.groups[d.group_count++].name, "line3");
	cr_assert(eq(int, domain_encode(&d, f.officer_seed, &config, &err), 0));
	expect_refused(&one, &config, -ERR_CONFIG, "3 drill keys where 2 must be");
	cr_expect(is_listed(&one));
}

Test(fleet_strike, another_change_in_between_is_told)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	shut_out(&one);
	fleet_fixture_sign(&f, FLEET_STRIKE, one.id, &config);
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line1", &two);
	expect_refused(&one, &config, -ERR_BUSY, "there was another change");
	buf_clear(&config);
	fleet_fixture_sign(&f, FLEET_STRIKE, one.id, &config);
	cr_expect(eq(int, strike(&one, &config), 0), "%s", err.msg);
	cr_expect(is_listed(&two));
}

Test(fleet_strike, only_the_officer_strikes)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	shut_out(&one);
	fleet_fixture_sign(&f, FLEET_STRIKE, one.id, &config);
	config.data[config.len - 1] ^= 1;
	expect_refused(&one, &config, -ERR_CONFIG, "wrong signature");
	cr_expect(is_listed(&one));
}

Test(fleet_strike, a_store_that_fails_leaves_the_key_and_can_be_asked_again)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	shut_out(&one);
	fleet_fixture_sign(&f, FLEET_STRIKE, one.id, &config);
	f.put_rc = -ERR_NOSPACE;
	cr_expect(eq(int, strike(&one, &config), -ERR_NOSPACE));
	cr_expect(is_listed(&one));
	f.put_rc = 0;
	cr_expect(eq(int, strike(&one, &config), 0), "%s", err.msg);
	cr_expect(not(is_listed(&one)));
}
