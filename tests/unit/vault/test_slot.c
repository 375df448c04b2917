#include "vault/slot.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/bytes.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/hpke.h"
#include "lib/vault_kat.h"
#include "vault/keyring.h"

#define PASS "correct horse battery staple"
#define PASS_BYTES (sizeof(PASS) - 1)
#define FAST 4 /* log2 N of the tests that are not known answers */

static struct vault_kat kat;
static struct err err = ERR_INIT;
static uint8_t rk_pk[32];

static void setup(void)
{
	vault_kat_init(&kat);
	hpke_public(kat.rk_sk, rk_pk);
}

TestSuite(slot, .init = setup);

Test(slot, hfbg_gives_the_known_answer)
{
	uint8_t slot[SLOT_HFBG_BYTES];
	uint8_t salt[32];
	vault_kat_range(salt, 0, 32);
	cr_assert(eq(int, slot_hfbg_seal(kat.rk_sk, PASS, PASS_BYTES, 17, salt, slot, &err), 0));
	cr_expect(eq(str, (char *)vault_kat_hex(slot, 9), "484642470101110801"));
	cr_expect(eq(str, (char *)vault_kat_hex(slot + 41, 32),
		"47a0ee8f4a5d5dee5ceaf017bf639646f7574147009d7686cf573b1471612d3a"));
	cr_expect(eq(str, (char *)vault_kat_hex(slot + 73, 48),
		"12c1ceb42832bc8cfbf7e8bf504742792d0c2e15a0994038f306d3aba875b18cd8ae68cb5195c8fd99"
		"83c3c6c3d69310"));
}

Test(slot, hfbg_opens_with_its_passphrase_only)
{
	uint8_t slot[SLOT_HFBG_BYTES];
	uint8_t other[SLOT_HFBG_BYTES];
	uint8_t sk[32] = { 0 };
	cr_assert(eq(int, slot_hfbg_seal(kat.rk_sk, PASS, PASS_BYTES, FAST, NULL, slot, &err), 0));
	cr_assert(eq(int, slot_hfbg_seal(kat.rk_sk, PASS, PASS_BYTES, FAST, NULL, other, &err), 0));
	cr_expect(memcmp(slot, other, sizeof(slot)) != 0, "salts are fresh");
	cr_expect(eq(int, slot_hfbg_open(slot, sizeof(slot), PASS, PASS_BYTES - 1, sk, &err),
		-ERR_AUTH));
	cr_expect(eq(int, sk[0], 0));
	cr_assert(eq(int, slot_hfbg_open(slot, sizeof(slot), PASS, PASS_BYTES, sk, &err), 0));
	cr_expect(memcmp(sk, kat.rk_sk, 32) == 0);
}

/* What a reader says to the bit that was flipped in byte ${at}, now ${value}. */
static int hfbg_answer(size_t at, uint8_t value)
{
	if (at < 4)
		return -ERR_CORRUPT;
	if (at < 6)
		return -ERR_UNSUPPORTED;
	if (at < 9 && value == 0)
		return -ERR_CORRUPT;
	if ((at == 6 && value > 20) || (at == 7 && value > 16) || (at == 8 && value > 4))
		return -ERR_LIMIT;
	return at < 73 ? -ERR_AUTH : -ERR_CORRUPT;
}

Test(slot, every_flipped_bit_of_hfbg_is_refused)
{
	uint8_t slot[SLOT_HFBG_BYTES];
	uint8_t sk[32];
	cr_assert(eq(int, slot_hfbg_seal(kat.rk_sk, PASS, PASS_BYTES, FAST, NULL, slot, &err), 0));
	for (size_t i = 0; i < sizeof(slot) * 8; i++) {
		slot[i / 8] ^= (uint8_t)(1 << i % 8);
		int rc = slot_hfbg_open(slot, sizeof(slot), PASS, PASS_BYTES, sk, &err);
		cr_assert(eq(int, rc, hfbg_answer(i / 8, slot[i / 8])), "bit %zu: %s", i, err.msg);
		slot[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

Test(slot, hfbg_of_another_length_is_refused)
{
	uint8_t slot[SLOT_HFBG_BYTES + 1] = { 0 };
	uint8_t sk[32];
	cr_assert(eq(int, slot_hfbg_seal(kat.rk_sk, PASS, PASS_BYTES, FAST, NULL, slot, &err), 0));
	for (size_t len = 0; len <= sizeof(slot); len++) {
		if (len != SLOT_HFBG_BYTES)
			cr_assert(eq(int, slot_hfbg_open(slot, len, PASS, PASS_BYTES, sk, &err),
				-ERR_CORRUPT));
	}
}

Test(slot, hfbg_work_factors_out_of_bounds_are_not_written)
{
	uint8_t slot[SLOT_HFBG_BYTES] = { 0 };
	cr_expect(eq(
		int, slot_hfbg_seal(kat.rk_sk, PASS, PASS_BYTES, 0, NULL, slot, &err), -ERR_LIMIT));
	cr_expect(eq(int, slot_hfbg_seal(kat.rk_sk, PASS, PASS_BYTES, 21, NULL, slot, &err),
		-ERR_LIMIT));
	cr_expect(eq(int, slot[0], 0));
}

Test(slot, hfkv_gives_the_known_answer)
{
	uint8_t slot[SLOT_HFKV_BYTES];
	cr_assert(eq(int, slot_hfkv_seal(kat.vault_id, 1, kat.k_vault, rk_pk, slot, &err), 0));
	cr_expect(eq(str, (char *)vault_kat_hex(slot + 60, 32),
		"c9466d4f7d421a9a9e3850c61dfbf880287366fa237ea9f6b69d0dee2a00f97b"));
	cr_expect(eq(str, (char *)vault_kat_sha(slot, sizeof(slot)),
		"e25537ffde6ae65554f9a59c626efb8955c9aed980ea27f2f1d1335006913412"));
}

Test(slot, hfkp_gives_the_known_answer_and_opens_under_the_next_key_only)
{
	static const char sum[] =
		"58cc9f49df207b79a6609a91c9d8bfdd29ba245d005079ec92bdc8754950e7a1";
	uint8_t slot[SLOT_HFKP_BYTES], before[32], k[32], hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];
	for (uint8_t i = 0; i < 32; i++)
		before[i] = i;
	cr_assert(eq(int, slot_hfkp_seal(kat.vault_id, 2, kat.k_vault, before, slot, &err), 0));
	hash_sha256(slot, sizeof(slot), hash);
	text_hex(hash, sizeof(hash), hex);
	cr_expect(eq(str, hex, (char *)(uintptr_t)sum));
	cr_expect(eq(u32, slot_hfkp_epoch(slot), 2));
	cr_assert(
		eq(int, slot_hfkp_open(slot, sizeof(slot), kat.vault_id, kat.k_vault, k, &err), 0));
	cr_expect(eq(int, memcmp(k, before, sizeof(k)), 0));
	cr_expect(eq(int, slot_hfkp_open(slot, sizeof(slot), kat.vault_id, before, k, &err),
		-ERR_CORRUPT));
	cr_expect(eq(int, slot_hfkp_open(slot, sizeof(slot), kat.k_vault, kat.k_vault, k, &err),
		-ERR_AUTH));
	for (size_t i = 0; i < 8 * sizeof(slot); i++) {
		slot[i / 8] ^= (uint8_t)(1u << (i % 8));
		cr_expect(ne(int,
				  slot_hfkp_open(
					  slot, sizeof(slot), kat.vault_id, kat.k_vault, k, &err),
				  0),
			"bit %zu", i);
		slot[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
}

Test(slot, hfkr_gives_the_known_answer_and_opens_with_the_secret_only)
{
	uint8_t slot[SLOT_HFKR_BYTES], pk[32];
	struct keyring_root root = { .rk_sk = { 1 } }; /* none of it goes into the slot */
	struct keyring_root got;
	memcpy(root.k_dom, kat.k_dom, 32);
	memcpy(root.domain_id, kat.domain, 16);
	memcpy(root.agent_id, kat.agent, 16);
	memcpy(root.officer_seed, kat.ik_seed, 32);
	cr_assert(eq(int, slot_hfkr_seal(kat.vault_id, kat.rk_sk, &root, slot, &err), 0));
	cr_expect(eq(str, (char *)vault_kat_sha(slot, sizeof(slot)),
		"d5008129b68abf811b1b60cab4e2b2e7b3248c2b0bb94d35eca2a6130f7c4f7f"));
	cr_assert(eq(
		int, slot_hfkr_open(slot, sizeof(slot), kat.vault_id, kat.rk_sk, &got, &err), 0));
	ed25519_public(kat.ik_seed, pk);
	cr_expect(eq(int, memcmp(got.rk_sk, kat.rk_sk, 32), 0));
	cr_expect(eq(int, memcmp(got.rk_pk, rk_pk, 32), 0));
	cr_expect(eq(int, memcmp(got.k_dom, kat.k_dom, 32), 0));
	cr_expect(eq(int, memcmp(got.domain_id, kat.domain, 16), 0));
	cr_expect(eq(int, memcmp(got.agent_id, kat.agent, 16), 0));
	cr_expect(eq(int, memcmp(got.officer_pk, pk, 32), 0));
	cr_expect(eq(int, memcmp(slot_hfkr_rkid(slot, sizeof(slot)), slot + 24, 32), 0));
	cr_expect(eq(ptr, (void *)slot_hfkr_rkid(slot, 167), NULL));
	cr_expect(eq(int, slot_hfkr_open(slot, sizeof(slot), kat.vault_id, kat.k_vault, &got, &err),
		-ERR_AUTH));
	cr_expect(eq(int, slot_hfkr_open(slot, sizeof(slot), kat.domain, kat.rk_sk, &got, &err),
		-ERR_AUTH));
	for (size_t i = 0; i < 8 * sizeof(slot); i++) {
		slot[i / 8] ^= (uint8_t)(1u << (i % 8));
		cr_expect(ne(int,
				  slot_hfkr_open(
					  slot, sizeof(slot), kat.vault_id, kat.rk_sk, &got, &err),
				  0),
			"bit %zu", i);
		slot[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
}

Test(slot, hfkv_opens_for_its_recovery_key_only)
{
	uint8_t slot[SLOT_HFKV_BYTES];
	uint8_t vault_id[16];
	uint8_t k_vault[32];
	uint32_t epoch = 0;
	cr_assert(eq(int, slot_hfkv_seal(kat.vault_id, 7, kat.k_vault, rk_pk, slot, &err), 0));
	cr_assert(eq(int,
		slot_hfkv_open(slot, sizeof(slot), kat.rk_sk, vault_id, &epoch, k_vault, &err), 0));
	cr_expect(eq(u32, epoch, 7));
	cr_expect(memcmp(vault_id, kat.vault_id, 16) == 0);
	cr_expect(memcmp(k_vault, kat.k_vault, 32) == 0);
	cr_expect(eq(int,
		slot_hfkv_open(slot, sizeof(slot), kat.ik_seed, vault_id, &epoch, k_vault, &err),
		-ERR_AUTH));
}

Test(slot, every_flipped_bit_and_length_of_hfkv_is_refused)
{
	uint8_t slot[SLOT_HFKV_BYTES + 1] = { 0 };
	uint8_t vault_id[16];
	uint8_t k_vault[32];
	uint32_t epoch = 99;
	cr_assert(eq(int, slot_hfkv_seal(kat.vault_id, 1, kat.k_vault, rk_pk, slot, &err), 0));
	for (size_t i = 0; i < SLOT_HFKV_BYTES * 8; i++) {
		slot[i / 8] ^= (uint8_t)(1 << i % 8);
		int rc = slot_hfkv_open(
			slot, SLOT_HFKV_BYTES, kat.rk_sk, vault_id, &epoch, k_vault, &err);
		slot[i / 8] ^= (uint8_t)(1 << i % 8);
		int want = i / 8 == 4 || i / 8 == 5    ? -ERR_UNSUPPORTED
			   : i / 8 >= 28 && i / 8 < 60 ? -ERR_AUTH
						       : -ERR_CORRUPT;
		cr_assert(eq(int, rc, want), "bit %zu: %s", i, err.msg);
	}
	for (size_t len = 0; len <= sizeof(slot); len++) {
		if (len != SLOT_HFKV_BYTES)
			cr_assert(eq(int,
				slot_hfkv_open(
					slot, len, kat.rk_sk, vault_id, &epoch, k_vault, &err),
				-ERR_CORRUPT));
	}
	cr_expect(eq(u32, epoch, 99));
}

Test(slot, hfkv_made_with_another_ephemeral_key_is_refused)
{
	uint8_t slot[SLOT_HFKV_BYTES];
	uint8_t info[7 + 48];
	uint8_t enc[32];
	uint8_t vault_id[16];
	uint8_t k_vault[32];
	uint32_t epoch;
	cr_assert(eq(int, slot_hfkv_seal(kat.vault_id, 1, kat.k_vault, rk_pk, slot, &err), 0));
	memcpy(info, "hf1/kv", 7);
	memcpy(info + 7, kat.vault_id, 16);
	memcpy(info + 23, slot + 28, 32);
	hpke_public(kat.k_dom, slot + 60);
	cr_assert(eq(int,
		hpke_seal(kat.k_dom, rk_pk, info, sizeof(info), slot, 92, kat.k_vault, 32, enc,
			slot + 92, &err),
		0));
	cr_expect(eq(int,
		slot_hfkv_open(slot, sizeof(slot), kat.rk_sk, vault_id, &epoch, k_vault, &err),
		-ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "vault key slot is not the one its key makes"));
}

Test(slot, hfkv_is_not_made_for_a_public_key_of_low_order)
{
	static const uint8_t low[32] = { 0 };
	uint8_t slot[SLOT_HFKV_BYTES] = { 0 };
	cr_expect(eq(
		int, slot_hfkv_seal(kat.vault_id, 1, kat.k_vault, low, slot, &err), -ERR_CORRUPT));
	cr_expect(eq(int, slot[0], 0));
}
