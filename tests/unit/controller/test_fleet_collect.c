#include "controller/fleet.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
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

TestSuite(fleet_collect, .init = setup, .fini = teardown);

static struct msg_enrol_grant grant;

static int collect(const struct fleet_fixture_agent *a, int64_t at_off_ms)
{
	struct msg_collect m = { .at_ms = env_now_ns() / 1000000 + at_off_ms };
	memcpy(m.agent_id, a->id, 16);
	memcpy(m.ik, a->m.ik, 32);
	msg_enrol_grant_done(&grant);
	err_clear(&err);
	return fleet_collect(f.fleet, &m, &grant, &err);
}

static struct msg_keys open_keys(const struct fleet_fixture_agent *a)
{
	struct msg_keys k = { .kv_epoch = 0 };
	cr_assert(eq(int,
			  msg_enrol_keys_open(grant.keys, grant.keys_len, a->delivery_sk,
				  f.keys.domain_id, a->id, &k, &err),
			  0),
		"%s", err.msg);
	return k;
}

Test(fleet_collect, an_agent_waits_until_it_is_approved)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	fleet_fixture_enrol(&f, MSG_ROLE_CAPTURE, "line3", &one);
	cr_expect(eq(int, collect(&one, 0), -ERR_BUSY));
	fleet_fixture_sign(&f, FLEET_ADD, one.id, &config);
	cr_assert(eq(int,
		fleet_approve(f.fleet, one.id, config.data, config.len, "person:anna", &err), 0));
	cr_expect(eq(int, collect(&one, 0), 0), "%s", err.msg);
	cr_expect(eq(str, fleet_fixture_audit(&f).action, "agent.collect"));
	/* and again, when the answer was lost */
	fleet_fixture_reopen(&f);
	cr_expect(eq(int, collect(&one, 0), 0), "%s", err.msg);
	msg_enrol_grant_done(&grant);
}

Test(fleet_collect, a_capture_gets_certificate_config_and_writing_keys)
{
	struct x509_info info;
	struct catalog_agent a;
	uint8_t k_mle[32], k_cdc[32];
	int64_t now_s = env_now_ns() / 1000000000;
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line3", &one);
	cr_assert(eq(int, collect(&one, 0), 0), "%s", err.msg);
	cr_expect(eq(int, x509_check(grant.ca, grant.certificate, now_s, &err), 0), "%s", err.msg);
	cr_assert(eq(int, x509_inspect(grant.certificate, &info, &err), 0));
	struct http_peer peer;
	fleet_fixture_peer(&one, &peer);
	cr_expect(eq(str, info.uri, peer.uri));
	cr_expect(eq(int, memcmp(info.key_hash, peer.key_hash, 32), 0));
	cr_expect(not(info.is_ca));
	cr_expect(eq(i64, info.until_s - info.from_s, 30 * 24 * 3600 + 3600));
	cr_expect(le(i64, info.from_s, now_s - 3590));
	cr_assert(eq(int, catalog_agent_get(f.catalog.db, one.id, &a, &err), 0));
	cr_expect(eq(i64, a.certificate_until_s, info.until_s));
	cr_expect(eq(str, grant.address, "plant.example:7444"));
	cr_assert(eq(sz, grant.config_len, f.config.len));
	cr_expect(eq(int, memcmp(grant.config, f.config.data, f.config.len), 0));
	struct msg_keys k = open_keys(&one);
	keyring_epoch_keys(f.keys.k_dom, f.keys.domain_id, 4, k_mle, k_cdc);
	cr_expect(eq(int, memcmp(k.k_mle, k_mle, 32), 0));
	cr_expect(eq(int, memcmp(k.k_cdc, k_cdc, 32), 0));
	cr_expect(eq(int, memcmp(k.rk_pk, f.keys.rk_pk, 32), 0));
	cr_expect(eq(int, memcmp(k.vault_id, f.keys.vault_id, 16), 0));
	cr_expect(eq(u32, k.kv_epoch, 4));
	cr_expect(eq(u32, k.config_epoch, 2));
	msg_enrol_grant_done(&grant);
}

Test(fleet_collect, a_sandbox_gets_no_writing_keys)
{
	static const uint8_t zeros[32];
	fleet_fixture_approve(&f, MSG_ROLE_SANDBOX, "drill-1", &one);
	cr_assert(eq(int, collect(&one, 0), 0), "%s", err.msg);
	struct msg_keys k = open_keys(&one);
	cr_expect(eq(int, memcmp(k.k_mle, zeros, 32), 0));
	cr_expect(eq(int, memcmp(k.k_cdc, zeros, 32), 0));
	cr_expect(eq(int, memcmp(k.rk_pk, f.keys.rk_pk, 32), 0));
	msg_enrol_grant_done(&grant);
}

Test(fleet_collect, only_the_same_identity_in_its_time_is_answered)
{
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line3", &one);
	fleet_fixture_approve(&f, MSG_ROLE_CAPTURE, "line4", &two);
	struct fleet_fixture_agent other = one;
	memcpy(other.m.ik, two.m.ik, 32);
	cr_expect(eq(int, collect(&other, 0), -ERR_AUTH));
	char first[ERR_MSG_BYTES];
	memcpy(first, err.msg, sizeof(first));
	cr_expect(eq(str, fleet_fixture_audit(&f).detail, "another identity key"));
	other = one;
	other.id[0] ^= 1;
	cr_expect(eq(int, collect(&other, 0), -ERR_AUTH));
	cr_expect(eq(str, err.msg, first));
	cr_expect(eq(int, collect(&one, 11 * 60 * 1000), -ERR_AUTH));
	cr_expect(ne(ptr, strstr(err.msg, "clocks"), NULL));
	cr_expect(eq(int, collect(&one, -11 * 60 * 1000), -ERR_AUTH));
	cr_expect(eq(int, collect(&one, 9 * 60 * 1000), 0));
	cr_assert(eq(int, fleet_revoke(f.fleet, one.id, "person:anna", &err), 0));
	cr_expect(eq(int, collect(&one, 0), -ERR_AUTH));
	cr_expect(eq(str, err.msg, first));
	cr_expect(eq(ptr, grant.keys, NULL));
}
