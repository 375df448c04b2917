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

TestSuite(fleet_enrol, .init = setup, .fini = teardown);

static char text[MSG_TOKEN_TEXT_BYTES];
static struct msg_enrol_answer answer;
static const char refusal[] = "enrolment token is not good";

static void token(enum msg_role role, const char *name)
{
	cr_assert(eq(int,
		fleet_token(f.fleet, role, name, role == MSG_ROLE_SANDBOX ? "line3" : "", 0,
			"person:anna", text, &err),
		0));
}

static int enrol(const struct fleet_fixture_agent *a)
{
	err_clear(&err);
	return fleet_enrol(f.fleet, &a->m, "10.0.0.9", &answer, &err);
}

/* Refused with the one text, and ${why} on record. */
static void expect_refused(const struct fleet_fixture_agent *a, const char *why)
{
	cr_expect(eq(int, enrol(a), -ERR_AUTH));
	cr_expect(eq(str, err.msg, (char *)refusal));
	struct audit_record r = fleet_fixture_audit(&f);
	cr_expect(eq(str, r.action, "enrol.refused"));
	cr_expect(eq(str, r.detail, (char *)why));
	cr_expect(eq(str, r.address, "10.0.0.9"));
	cr_expect(eq(str, r.outcome, "auth"));
}

Test(fleet_enrol, an_agent_is_pending_with_the_fingerprint_it_shows_itself)
{
	struct catalog_agent a;
	struct x509_info csr, ca;
	char shown[MSG_FINGERPRINT_BYTES];
	token(MSG_ROLE_SANDBOX, "");
	fleet_fixture_agent(MSG_ROLE_SANDBOX, "drill-1", text, &one);
	cr_assert(eq(int, enrol(&one), 0), "%s", err.msg);
	cr_expect(eq(int, memcmp(answer.officer, f.keys.officer_pk, 32), 0));
	cr_expect(eq(int, memcmp(answer.vault_id, f.keys.vault_id, 16), 0));
	cr_expect(eq(int, memcmp(answer.domain_id, f.keys.domain_id, 16), 0));
	cr_assert(eq(int, catalog_agent_find(f.catalog.db, "drill-1", &a, &err), 0));
	cr_expect(eq(int, memcmp(a.id, answer.agent_id, 16), 0));
	cr_expect(eq(int, a.state, AGENT_PENDING));
	cr_expect(eq(str, a.group, "line3"));
	cr_expect(eq(str, a.address, "10.0.0.9"));
	cr_assert(eq(int, x509_inspect(one.m.csr, &csr, &err), 0));
	cr_assert(eq(int, x509_inspect((const char *)f.ca.data, &ca, &err), 0));
	msg_enrol_fingerprint(&one.m, &answer, csr.key_hash, ca.key_hash, shown);
	cr_expect(eq(str, a.fingerprint, shown));
	struct audit_record r = fleet_fixture_audit(&f);
	cr_expect(eq(str, r.action, "agent.enrol"));
	cr_expect(eq(str, r.detail, shown));
}

Test(fleet_enrol, a_lost_answer_is_given_again_to_the_same_keys)
{
	struct msg_enrol_answer first;
	token(MSG_ROLE_CAPTURE, "line3");
	fleet_fixture_agent(MSG_ROLE_CAPTURE, "line3", text, &one);
	cr_assert(eq(int, enrol(&one), 0));
	first = answer;
	fleet_fixture_reopen(&f);
	fleet_fixture_clock((int64_t)60 * 60 * 1000);
	int64_t number = fleet_fixture_audit(&f).number;
	cr_assert(eq(int, enrol(&one), 0), "%s", err.msg);
	cr_expect(eq(int, memcmp(&answer, &first, sizeof(first)), 0));
	cr_expect(eq(i64, fleet_fixture_audit(&f).number, number));
	/* not after it was revoked */
	cr_assert(eq(int, fleet_revoke(f.fleet, first.agent_id, "person:anna", &err), 0));
	expect_refused(&one, "agent of this token was revoked");
}

Test(fleet_enrol, a_spent_token_is_nothing_to_other_keys)
{
	token(MSG_ROLE_CAPTURE, "line3");
	fleet_fixture_agent(MSG_ROLE_CAPTURE, "line3", text, &one);
	fleet_fixture_agent(MSG_ROLE_CAPTURE, "line3", text, &two);
	cr_assert(eq(int, enrol(&one), 0));
	expect_refused(&two, "token was spent by other keys");
	/* the same identity with another of its keys is another request */
	struct fleet_fixture_agent changed = one;
	memcpy(changed.m.delivery, two.m.delivery, 32);
	expect_refused(&changed, "token was spent by another request");
	changed = one;
	memcpy(changed.m.csr, two.m.csr, sizeof(two.m.csr));
	expect_refused(&changed, "token was spent by another request");
	changed = one;
	changed.m.role = MSG_ROLE_SANDBOX;
	expect_refused(&changed, "token was spent by another request");
	changed = one;
	strcpy(changed.m.name, "line4");
	expect_refused(&changed, "token was spent by another request");
	cr_expect(eq(int, enrol(&one), 0));
}

Test(fleet_enrol, every_reason_to_refuse_a_token_looks_alike_from_outside)
{
	char first_hint[ERR_HINT_BYTES];
	token(MSG_ROLE_CAPTURE, "line3");
	fleet_fixture_agent(MSG_ROLE_CAPTURE, "line3", text, &one);
	two = one;
	two.m.secret[0] ^= 1;
	expect_refused(&two, "no such token");
	memcpy(first_hint, err.hint, sizeof(first_hint));
	two = one;
	strcpy(two.m.name, "line4");
	expect_refused(&two, "token is for another name");
	cr_expect(eq(str, err.hint, first_hint));
	two = one;
	two.m.role = MSG_ROLE_SANDBOX;
	expect_refused(&two, "token is for another role");
	cr_expect(eq(str, err.hint, first_hint));
	fleet_fixture_clock(FLEET_TOKEN_TTL_MS + 1);
	expect_refused(&one, "token is past its time");
	cr_expect(eq(str, err.hint, first_hint));
	/* and none of this has spent it */
	fleet_fixture_clock(FLEET_TOKEN_TTL_MS - 60000);
	cr_expect(eq(int, enrol(&one), 0), "%s", err.msg);
}

Test(fleet_enrol, a_request_that_its_key_has_not_signed_is_refused_and_the_token_kept)
{
	token(MSG_ROLE_CAPTURE, "line3");
	fleet_fixture_agent(MSG_ROLE_CAPTURE, "line3", text, &one);
	two = one;
	strcpy(two.m.csr, "nothing");
	cr_expect(eq(int, enrol(&two), -ERR_CORRUPT));
	/* swap two characters of the base64 near its end: the signature */
	two = one;
	char *end = strstr(two.m.csr, "-----END");
	cr_assert(ne(ptr, end, NULL));
	for (char *p = end - 12; p < end - 8; p++)
		*p = *p == 'A' ? 'B' : 'A';
	cr_expect(eq(int, enrol(&two), -ERR_CORRUPT), "%s", err.msg);
	cr_expect(eq(int, enrol(&one), 0));
}

Test(fleet_enrol, keys_of_another_agent_are_not_taken_again)
{
	struct msg_enrol mine;
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line3", &one);
	cr_assert(eq(int, fleet_revoke(f.fleet, one.id, "person:anna", &err), 0));
	token(MSG_ROLE_CAPTURE, "line4");
	fleet_fixture_agent(MSG_ROLE_CAPTURE, "line4", text, &two);
	mine = two.m;
	memcpy(two.m.ik, one.m.ik, 32);
	cr_expect(eq(int, enrol(&two), -ERR_EXISTS));
	cr_expect(ne(str, err.hint, ""));
	two.m = mine;
	memcpy(two.m.delivery, one.m.delivery, 32);
	cr_expect(eq(int, enrol(&two), -ERR_EXISTS));
	two.m = mine;
	memcpy(two.m.csr, one.m.csr, sizeof(one.m.csr));
	cr_expect(eq(int, enrol(&two), -ERR_EXISTS));
	two.m = mine;
	cr_expect(eq(int, enrol(&two), 0), "%s", err.msg);
	/* nor the drill and report keys of another sandbox */
	fleet_fixture_enrol(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	token(MSG_ROLE_SANDBOX, "");
	fleet_fixture_agent(MSG_ROLE_SANDBOX, "drill-2", text, &two);
	mine = two.m;
	memcpy(two.m.dk, one.m.dk, 32);
	cr_expect(eq(int, enrol(&two), -ERR_EXISTS));
	two.m = mine;
	memcpy(two.m.report, one.m.report, 32);
	cr_expect(eq(int, enrol(&two), -ERR_EXISTS));
}

Test(fleet_enrol, a_key_that_only_the_config_knows_is_taken)
{
	/* a catalog that was lost knows no agents, the config still does */
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line3", &one);
	cr_assert(eq(int, db_run(f.catalog.db, "DELETE FROM agent", DB_NO_ARGS, NULL, &err), 0));
	token(MSG_ROLE_CAPTURE, "line3");
	fleet_fixture_agent(MSG_ROLE_CAPTURE, "line3", text, &two);
	memcpy(two.m.ik, one.m.ik, 32);
	cr_expect(eq(int, enrol(&two), -ERR_EXISTS));
}

Test(fleet_enrol, a_name_that_is_taken_keeps_the_token)
{
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	token(MSG_ROLE_CAPTURE, "");
	fleet_fixture_agent(MSG_ROLE_CAPTURE, "line3", text, &two);
	cr_expect(eq(int, enrol(&two), -ERR_EXISTS));
	cr_expect(ne(ptr, strstr(err.msg, "'line3'"), NULL));
	strcpy(two.m.name, "line4");
	cr_expect(eq(int, enrol(&two), 0), "%s", err.msg);
}
