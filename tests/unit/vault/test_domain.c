#include "vault/domain.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/ed25519.h"
#include "lib/vault_kat.h"
#include "vault/snaprec.h"

static struct vault_kat kat;
static struct domain config;
static struct domain got;
static struct buf body = BUF_INIT(1 << 20);
static struct err err = ERR_INIT;
static uint8_t seed[32], officer[32], ik[32];

/* where things lie in the config below: two agents, one recovery key, one officer, one group */
#define RESERVED_AT 5
#define COUNT_AT 28
#define AGENTS_AT 32
#define FLAGS_AT (AGENTS_AT + 48)
#define RECOVERY_AT (AGENTS_AT + 104)
#define OFFICERS_AT (RECOVERY_AT + 33)
#define GROUPS_AT (OFFICERS_AT + 33)
#define END_AT (GROUPS_AT + 1 + 1 + 6 + 32)

static void setup(void)
{
	vault_kat_init(&kat);
	vault_kat_range(seed, 0x11, 32);
	ed25519_public(seed, officer);
	ed25519_public(kat.ik_seed, ik);
	config.epoch = 5;
	memcpy(config.domain_id, kat.domain, 16);
	cr_assert(eq(int, domain_add_agent(&config, kat.agent, ik, &err), 0));
	cr_assert(eq(int, domain_add_agent(&config, kat.source, kat.k_dom, &err), 0));
	config.agents[1].is_revoked = true;
	memcpy(config.recovery_pk[0], kat.rk_sk, 32);
	config.recovery_count = 1;
	memcpy(config.officer_pk[0], officer, 32);
	config.officer_count = 1;
	strcpy(config.groups[0].name, "line-1");
	memcpy(config.groups[0].dk_pk, kat.k_vault, 32);
	config.group_count = 1;
	cr_assert(eq(int, domain_encode(&config, seed, &body, &err), 0), "%s", err.msg);
}

static void teardown(void)
{
	domain_done(&config);
	domain_done(&got);
	buf_done(&body);
}

TestSuite(domain, .init = setup, .fini = teardown);

Test(domain, gives_back_what_was_encoded)
{
	cr_assert(eq(sz, body.len, END_AT + 96));
	cr_assert(
		eq(int, domain_decode(body.data, body.len, officer, &got, &err), 0), "%s", err.msg);
	cr_expect(eq(u32, got.epoch, 5));
	cr_expect(memcmp(got.domain_id, kat.domain, 16) == 0);
	cr_assert(eq(sz, got.agent_count, 2));
	cr_expect(memcmp(got.agents[0].agent_id, kat.agent, 16) == 0);
	cr_expect(not(got.agents[0].is_revoked));
	cr_expect(got.agents[1].is_revoked);
	cr_expect(eq(sz, got.recovery_count, 1));
	cr_expect(memcmp(got.recovery_pk[0], kat.rk_sk, 32) == 0);
	cr_expect(eq(sz, got.group_count, 1));
	cr_expect(eq(str, got.groups[0].name, "line-1"));
	cr_expect(memcmp(got.groups[0].dk_pk, kat.k_vault, 32) == 0);
	CLEANUP(buf_done) struct buf again = BUF_INIT(1 << 20);
	cr_assert(eq(int, domain_encode(&got, seed, &again, &err), 0));
	cr_assert(eq(sz, again.len, body.len));
	cr_expect(memcmp(again.data, body.data, body.len) == 0);
}

Test(domain, finds_an_identity_by_its_kid)
{
	uint8_t kid[32];
	snaprec_kid(ik, kid);
	cr_expect(eq(ptr, (void *)domain_find_kid(&config, kid), &config.agents[0]));
	kid[31] ^= 1;
	cr_expect(eq(ptr, (void *)domain_find_kid(&config, kid), NULL));
}

Test(domain, another_officer_is_told_from_damage)
{
	uint8_t other[32];
	uint8_t other_seed[32];
	vault_kat_range(other_seed, 0x22, 32);
	ed25519_public(other_seed, other);
	cr_expect(eq(int, domain_decode(body.data, body.len, NULL, &got, &err), 0));
	domain_done(&got);
	cr_expect(eq(int, domain_decode(body.data, body.len, other, &got, &err), -ERR_AUTH));
	CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 20);
	cr_expect(eq(int, domain_encode(&config, other_seed, &out, &err), -ERR_AUTH));
	cr_expect(eq(sz, out.len, 0));
}

Test(domain, every_flipped_bit_and_truncation_is_refused)
{
	for (size_t i = 0; i < body.len; i++) {
		int bit = (int)(i * 5 % 8);
		body.data[i] ^= (uint8_t)(1 << bit);
		int rc = domain_decode(body.data, body.len, officer, &got, &err);
		body.data[i] ^= (uint8_t)(1 << bit);
		cr_assert(eq(int, rc, i == 4 ? -ERR_UNSUPPORTED : -ERR_CORRUPT), "byte %zu: %s", i,
			err.msg);
		cr_assert(eq(int, domain_decode(body.data, i, officer, &got, &err), -ERR_CORRUPT));
	}
	cr_expect(eq(ptr, got.agents, NULL));
}

/* Sign the first ${len} bytes of the body, then the officer, anew and decode. */
static int decode_resigned(size_t len)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1 << 20);
	uint8_t sig[64];
	cr_assert(eq(int, buf_add(&b, "hf1/config", 11, &err), 0));
	cr_assert(eq(int, buf_add(&b, body.data, len, &err), 0));
	cr_assert(eq(int, buf_add(&b, officer, 32, &err), 0));
	ed25519_sign(seed, b.data, b.len, sig);
	cr_assert(eq(int, buf_add(&b, sig, 64, &err), 0));
	int rc = domain_decode(b.data + 11, b.len - 11, officer, &got, &err);
	domain_done(&got);
	return rc;
}

static int decode_changed(size_t at, uint8_t value)
{
	uint8_t before = body.data[at];
	body.data[at] = value;
	int rc = decode_resigned(END_AT);
	body.data[at] = before;
	return rc;
}

Test(domain, what_is_wrong_under_a_right_signature_is_refused)
{
	cr_assert(eq(int, decode_resigned(END_AT), 0), "%s", err.msg);
	cr_expect(eq(int, decode_changed(RESERVED_AT, 1), -ERR_CORRUPT), "reserved");
	cr_expect(eq(int, decode_changed(RESERVED_AT + 2, 1), -ERR_CORRUPT), "reserved");
	/* the second agent's id, 60.., is then read as a number of recovery keys */
	cr_expect(eq(int, decode_changed(COUNT_AT + 3, 1), -ERR_LIMIT), "an agent less");
	cr_expect(eq(int, decode_changed(COUNT_AT, 1), -ERR_LIMIT), "too many agents");
	cr_expect(eq(int, decode_changed(FLAGS_AT, 2), -ERR_UNSUPPORTED), "unknown flag");
	cr_expect(eq(int, decode_changed(FLAGS_AT + 3, 1), -ERR_CORRUPT), "agent reserved");
	cr_expect(eq(int, decode_changed(RECOVERY_AT, 65), -ERR_LIMIT), "too many keys");
	cr_expect(eq(int, decode_changed(RECOVERY_AT, 255), -ERR_LIMIT), "too many keys");
	cr_expect(eq(int, decode_changed(OFFICERS_AT + 1, 9), -ERR_CORRUPT), "signer unlisted");
	cr_expect(eq(int, decode_changed(GROUPS_AT, 65), -ERR_LIMIT), "too many groups");
	cr_expect(eq(int, decode_changed(GROUPS_AT, 2), -ERR_CORRUPT), "a group more");
	cr_expect(eq(int, decode_changed(GROUPS_AT, 0), -ERR_CORRUPT), "a group less");
	cr_expect(eq(int, decode_changed(GROUPS_AT + 1, 0), -ERR_CORRUPT), "empty name");
	cr_expect(eq(int, decode_changed(GROUPS_AT + 1, 64), -ERR_CORRUPT), "long name");
	cr_expect(eq(int, decode_changed(GROUPS_AT + 2, 'L'), -ERR_CORRUPT), "upper case");
	for (size_t len = 32; len < END_AT; len++)
		cr_assert(eq(int, decode_resigned(len), -ERR_CORRUPT), "%zu", len);
	/* the same identity twice */
	memcpy(body.data + AGENTS_AT + 52 + 16, ik, 32);
	cr_expect(eq(int, decode_resigned(END_AT), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "domain config has an identity twice"));
}

Test(domain, limits_are_kept_when_it_is_built)
{
	uint8_t pk[32] = { 0 };
	cr_expect(eq(int, domain_add_agent(&config, kat.agent, ik, &err), -ERR_EXISTS));
	for (uint32_t i = 2; i < DOMAIN_MAX_AGENTS; i++) {
		bytes_put32(pk, i);
		cr_assert(eq(int, domain_add_agent(&config, kat.agent, pk, &err), 0));
	}
	bytes_put32(pk, DOMAIN_MAX_AGENTS);
	cr_expect(eq(int, domain_add_agent(&config, kat.agent, pk, &err), -ERR_LIMIT));
	buf_clear(&body);
	cr_assert(eq(int, domain_encode(&config, seed, &body, &err), 0), "%s", err.msg);
	cr_expect(
		eq(int, domain_decode(body.data, body.len, officer, &got, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, got.agent_count, DOMAIN_MAX_AGENTS));
	config.group_count = DOMAIN_MAX_KEYS + 1;
	cr_expect(eq(int, domain_encode(&config, seed, &body, &err), -ERR_LIMIT));
	config.group_count = 1;
	strcpy(config.groups[0].name, "Line 1");
	cr_expect(eq(int, domain_encode(&config, seed, &body, &err), -ERR_USAGE));
	memset(config.groups[0].name, 'a', DOMAIN_NAME_BYTES);
	cr_expect(eq(int, domain_encode(&config, seed, &body, &err), -ERR_USAGE));
}

Test(domain, an_agent_counts_while_one_of_its_keys_is_not_revoked)
{
	cr_expect(domain_has_active(&config, kat.agent));
	cr_expect(not(domain_has_active(&config, kat.source)));
	cr_assert(eq(int, domain_add_agent(&config, kat.source, seed, &err), 0));
	cr_expect(domain_has_active(&config, kat.source));
	cr_expect(not(domain_has_active(&config, officer)));
}
