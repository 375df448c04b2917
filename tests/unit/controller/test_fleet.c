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

TestSuite(fleet, .init = setup, .fini = teardown);

static int token(enum msg_role role, const char *name, const char *group, int64_t ttl, char *text)
{
	return fleet_token(f.fleet, role, name, group, ttl, "person:anna", text, &err);
}

Test(fleet, begins_only_with_what_belongs_together)
{
	struct controller_keys other = f.keys;
	struct fleet *fleet = NULL;
	struct fleet_opts o = { .db = f.catalog.db,
		.keys = &other,
		.ca_pem = (const char *)f.ca.data,
		.ca_key_pem = (const char *)f.ca_key.data };
	other.officer_pk[0] ^= 1;
	cr_expect(eq(int, fleet_new(&o, f.config.data, f.config.len, &fleet, &err), -ERR_AUTH));
	other = f.keys;
	other.domain_id[0] ^= 1;
	cr_expect(eq(int, fleet_new(&o, f.config.data, f.config.len, &fleet, &err), -ERR_CONFIG));
	other = f.keys;
	cr_expect(eq(int, fleet_new(&o, f.config.data, 10, &fleet, &err), -ERR_CORRUPT));
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line3", &one);
	o.ca_pem = one.m.csr;
	cr_expect(eq(int, fleet_new(&o, f.config.data, f.config.len, &fleet, &err), -ERR_CONFIG));
	o.ca_pem = "no certificate";
	cr_expect(eq(int, fleet_new(&o, f.config.data, f.config.len, &fleet, &err), -ERR_CORRUPT));
	cr_expect(eq(ptr, fleet, NULL));
	fleet_free(NULL);
}

Test(fleet, tells_the_config_it_has)
{
	size_t len = 0;
	const void *config = fleet_config(f.fleet, &len);
	cr_assert(eq(sz, len, f.config.len));
	cr_expect(eq(int, memcmp(config, f.config.data, len), 0));
	cr_expect(eq(u32, fleet_domain(f.fleet)->epoch, 1));
}

Test(fleet, a_token_names_the_ca_and_the_address_and_is_on_record)
{
	char text[MSG_TOKEN_TEXT_BYTES];
	struct msg_token t;
	struct x509_info ca;
	cr_assert(eq(int, token(MSG_ROLE_CAPTURE, "line3", "", 0, text), 0), "%s", err.msg);
	cr_assert(eq(int, msg_enrol_token_parse(text, &t, &err), 0));
	cr_assert(eq(int, x509_inspect((const char *)f.ca.data, &ca, &err), 0));
	cr_expect(eq(int, memcmp(t.ca_hash, ca.key_hash, 32), 0));
	cr_expect(eq(str, t.address, "plant.example:7443"));
	struct audit_record r = fleet_fixture_audit(&f);
	cr_expect(eq(str, r.action, "token.make"));
	cr_expect(eq(str, r.who, "person:anna"));
	cr_expect(eq(str, r.object, "line3"));
}

Test(fleet, a_wrong_wish_makes_no_token)
{
	char text[MSG_TOKEN_TEXT_BYTES] = "same";
	cr_expect(eq(int, token(MSG_ROLE_CAPTURE, "Line 3", "", 0, text), -ERR_USAGE));
	cr_expect(ne(str, err.hint, ""));
	cr_expect(eq(int, token(0, "line3", "", 0, text), -ERR_USAGE));
	cr_expect(eq(int, token(3, "line3", "", 0, text), -ERR_USAGE));
	cr_expect(eq(int, token(MSG_ROLE_CAPTURE, "line3", "group", 0, text), -ERR_USAGE));
	cr_expect(eq(int, token(MSG_ROLE_SANDBOX, "line3", "", 0, text), -ERR_USAGE));
	cr_expect(eq(int, token(MSG_ROLE_SANDBOX, "line3", "line_3", 0, text), -ERR_USAGE));
	cr_expect(eq(int, token(MSG_ROLE_CAPTURE, "line3", "", -1, text), -ERR_USAGE));
	cr_expect(eq(int, token(MSG_ROLE_CAPTURE, "line3", "", FLEET_TOKEN_TTL_MAX_MS + 1, text),
		-ERR_USAGE));
	cr_expect(eq(str, text, "same"));
	cr_expect(eq(i64, fleet_fixture_audit(&f).number, 0));
}

Test(fleet, a_name_that_is_taken_makes_no_token_until_revoked)
{
	char text[MSG_TOKEN_TEXT_BYTES], prefix[9];
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	cr_expect(eq(int, token(MSG_ROLE_CAPTURE, "line3", "", 0, text), -ERR_EXISTS));
	/* the beginning of an id is not a name that is taken */
	snprintf(prefix, sizeof(prefix), "%02x%02x", one.id[0], one.id[1]);
	cr_expect(eq(int, token(MSG_ROLE_CAPTURE, prefix, "", 0, text), 0), "%s", err.msg);
	cr_assert(eq(int, fleet_revoke(f.fleet, one.id, "person:anna", &err), 0));
	cr_expect(eq(int, token(MSG_ROLE_CAPTURE, "line3", "", 0, text), 0));
}

Test(fleet, who_calls_is_known_by_name_key_state_and_role)
{
	struct http_peer peer;
	struct catalog_agent a;
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line3", &one);
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line4", &two);
	fleet_fixture_peer(&one, &peer);
	cr_assert(eq(int, fleet_identify(f.fleet, &peer, 0, &a, &err), 0), "%s", err.msg);
	cr_expect(eq(str, a.name, "line3"));
	cr_expect(eq(int, fleet_identify(f.fleet, &peer, MSG_ROLE_CAPTURE, &a, &err), 0));
	cr_expect(eq(int, fleet_identify(f.fleet, &peer, MSG_ROLE_SANDBOX, &a, &err), -ERR_AUTH));
	cr_expect(eq(str, fleet_fixture_audit(&f).action, "agent.refused"));
	/* pending */
	struct http_peer other;
	fleet_fixture_peer(&two, &other);
	cr_expect(eq(int, fleet_identify(f.fleet, &other, 0, &a, &err), -ERR_AUTH));
	/* the one's name with the other's key */
	memcpy(other.uri, peer.uri, sizeof(other.uri));
	cr_expect(eq(int, fleet_identify(f.fleet, &other, 0, &a, &err), -ERR_AUTH));
	/* no certificate, whatever else is filled in */
	other = peer;
	other.has_cert = false;
	cr_expect(eq(int, fleet_identify(f.fleet, &other, 0, &a, &err), -ERR_AUTH));
	static const char *const uris[] = {
		"",
		"holdfast:agent:",
		"holdfast:agent:00",
		"holdfast:agent:00000000000000000000000000000000",
		"other:agent:",
	};
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		other = peer;
		snprintf(other.uri, sizeof(other.uri), "%s", uris[i]);
		cr_expect(eq(int, fleet_identify(f.fleet, &other, 0, &a, &err), -ERR_AUTH));
	}
	other = peer;
	strcat(other.uri, "0");
	cr_expect(eq(int, fleet_identify(f.fleet, &other, 0, &a, &err), -ERR_AUTH));
}

Test(fleet, zeros_are_nobodys_key)
{
	struct http_peer peer;
	struct catalog_agent a;
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line3", &one);
	fleet_fixture_peer(&one, &peer);
	memset(peer.key_hash, 0, 32);
	cr_expect(eq(int, fleet_identify(f.fleet, &peer, 0, &a, &err), -ERR_AUTH));
}

Test(fleet, a_revoked_agent_is_refused_with_the_next_request)
{
	struct http_peer peer;
	struct catalog_agent a;
	CLEANUP(buf_done) struct buf pem = BUF_INIT(1 << 16);
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line3", &one);
	fleet_fixture_peer(&one, &peer);
	cr_assert(eq(int, fleet_identify(f.fleet, &peer, 0, &a, &err), 0));
	cr_assert(eq(int, fleet_revoke(f.fleet, one.id, "person:bert", &err), 0));
	struct audit_record r = fleet_fixture_audit(&f);
	cr_expect(eq(str, r.action, "agent.revoke"));
	cr_expect(eq(str, r.who, "person:bert"));
	cr_expect(eq(int, fleet_identify(f.fleet, &peer, 0, &a, &err), -ERR_AUTH));
	cr_expect(ne(ptr, strstr(err.msg, "revoked"), NULL));
	cr_expect(eq(int, fleet_renew(f.fleet, &a, one.m.csr, &pem, &err), -ERR_AUTH));
	fleet_fixture_reopen(&f);
	cr_expect(eq(int, fleet_identify(f.fleet, &peer, 0, &a, &err), -ERR_AUTH));
	/* once more is fine, and no second record of it */
	int64_t number = fleet_fixture_audit(&f).number;
	cr_expect(eq(int, fleet_revoke(f.fleet, one.id, "person:bert", &err), 0));
	cr_expect(eq(i64, fleet_fixture_audit(&f).number, number));
	one.id[0] ^= 1;
	cr_expect(eq(int, fleet_revoke(f.fleet, one.id, "person:bert", &err), -ERR_NOT_FOUND));
	/* its key stays in the config */
	cr_expect(eq(sz, fleet_domain(f.fleet)->agent_count, 1));
}

Test(fleet, a_renewed_key_counts_from_its_first_use_and_strikes_the_old)
{
	struct http_peer before, after;
	struct catalog_agent a;
	struct x509_info info;
	CLEANUP(buf_done) struct buf pem = BUF_INIT(1 << 16);
	CLEANUP(buf_done) struct buf csr = BUF_INIT(1 << 16);
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line3", &one);
	fleet_fixture_peer(&one, &before);
	CLEANUP(buf_done) struct buf key = BUF_INIT(1 << 16);
	cr_assert(eq(int, x509_key_new(&key, &err), 0));
	cr_assert(eq(int, x509_request_new(buf_cstr(&key), "x", &csr, &err), 0));
	cr_assert(eq(int, fleet_identify(f.fleet, &before, 0, &a, &err), 0));
	cr_assert(eq(int, fleet_renew(f.fleet, &a, buf_cstr(&csr), &pem, &err), 0), "%s", err.msg);
	cr_assert(eq(int, x509_inspect(buf_cstr(&pem), &info, &err), 0));
	cr_expect(eq(str, info.uri, before.uri));
	after = before;
	memcpy(after.key_hash, info.key_hash, 32);
	cr_expect(ne(int, memcmp(after.key_hash, before.key_hash, 32), 0));
	/* the answer may be lost: the old key still works */
	fleet_fixture_reopen(&f);
	cr_expect(eq(int, fleet_identify(f.fleet, &before, 0, &a, &err), 0));
	cr_expect(eq(int, fleet_identify(f.fleet, &after, 0, &a, &err), 0));
	cr_expect(eq(int, fleet_identify(f.fleet, &after, 0, &a, &err), 0));
	cr_expect(eq(int, fleet_identify(f.fleet, &before, 0, &a, &err), -ERR_AUTH));
	cr_expect(eq(int, audit_check(f.catalog.db, &err), 0));
}

Test(fleet, a_certificate_of_the_same_key_is_renewed_for_30_days)
{
	struct http_peer peer;
	struct catalog_agent a;
	struct x509_info info;
	CLEANUP(buf_done) struct buf pem = BUF_INIT(1 << 16);
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line3", &one);
	fleet_fixture_peer(&one, &peer);
	cr_assert(eq(int, fleet_identify(f.fleet, &peer, 0, &a, &err), 0));
	fleet_fixture_clock((int64_t)15 * 24 * 3600 * 1000);
	cr_assert(eq(int, fleet_renew(f.fleet, &a, one.m.csr, &pem, &err), 0), "%s", err.msg);
	cr_assert(eq(int, x509_inspect(buf_cstr(&pem), &info, &err), 0));
	cr_expect(eq(i64, info.until_s - info.from_s, 30 * 24 * 3600 + 3600));
	cr_expect(eq(int, fleet_identify(f.fleet, &peer, 0, &a, &err), 0));
	cr_expect(eq(i64, a.certificate_until_s, info.until_s));
	/* asked again at once: answered again, with nothing written; another key has to wait */
	CLEANUP(buf_wipe) struct buf key = BUF_INIT(65536);
	CLEANUP(buf_done) struct buf csr = BUF_INIT(65536);
	const int64_t records = fleet_fixture_audit(&f).number;
	cr_assert(eq(int, x509_key_new(&key, &err), 0));
	cr_assert(eq(int, x509_request_new(buf_cstr(&key), "x", &csr, &err), 0));
	for (int i = 0; i < 5; i++) {
		pem.len = 0;
		cr_expect(eq(int, fleet_renew(f.fleet, &a, one.m.csr, &pem, &err), 0));
		cr_expect(eq(int, fleet_renew(f.fleet, &a, buf_cstr(&csr), &pem, &err), -ERR_BUSY));
	}
	cr_expect(eq(i64, fleet_fixture_audit(&f).number, records));
	fleet_fixture_clock((int64_t)15 * 24 * 3600 * 1000 + 61000);
	cr_expect(eq(int, fleet_renew(f.fleet, &a, buf_cstr(&csr), &pem, &err), 0), "%s", err.msg);
	cr_expect(eq(i64, fleet_fixture_audit(&f).number, records + 1));
	size_t len = pem.len;
	cr_expect(eq(int, fleet_renew(f.fleet, &a, "no request", &pem, &err), -ERR_CORRUPT));
	char longest[MSG_PEM_BYTES + 10];
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	cr_expect(eq(int, fleet_renew(f.fleet, &a, longest, &pem, &err), -ERR_CORRUPT));
	cr_expect(eq(sz, pem.len, len));
}

Test(fleet, refusals_without_end_do_not_fill_the_catalog)
{
	struct http_peer peer = { .has_cert = true, .uri = "holdfast:agent:x" };
	struct catalog_agent a;
	fleet_fixture_clock(0);
	for (int i = 0; i < 500; i++)
		cr_assert(eq(int, fleet_identify(f.fleet, &peer, 0, &a, &err), -ERR_AUTH));
	cr_expect(eq(i64, fleet_fixture_audit(&f).number, 60));
	fleet_fixture_clock(61000);
	cr_assert(eq(int, fleet_identify(f.fleet, &peer, 0, &a, &err), -ERR_AUTH));
	struct audit_record r = fleet_fixture_audit(&f);
	cr_expect(eq(i64, r.number, 61));
	cr_expect(ne(ptr, strstr(r.detail, "440 more"), NULL), "%s", r.detail);
}
