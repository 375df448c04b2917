#include "vault/snaprec.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/ed25519.h"
#include "crypto/hpke.h"
#include "lib/vault_kat.h"

static struct vault_kat kat;
static struct err err = ERR_INIT;
static struct snaprec rec;
static uint8_t bytes[SNAPREC_BYTES];
static uint8_t ik_pk[32], rk_pk[32], snap_hash[32];
static struct ref root;
static uint8_t envelope[SNAPREC_ENVELOPE_BYTES];

static void setup(void)
{
	vault_kat_init(&kat);
	ed25519_public(kat.ik_seed, ik_pk);
	hpke_public(kat.rk_sk, rk_pk);
	cr_assert(eq(int, text_unhex(VAULT_KAT_ROOT_ID, 32, root.id), 0));
	cr_assert(eq(int, text_unhex(VAULT_KAT_ROOT_KEY, 32, root.key), 0));
	root.raw_len = VAULT_KAT_ROOT_RAW_LEN;
	root.cr_len = VAULT_KAT_ROOT_LEN;
	rec = (struct snaprec){ .suite = 1,
		.config_epoch = 1,
		.seq = 1,
		.t_start_ns = 1700000000 * INT64_C(1000000000),
		.t_end_ns = 1700000060 * INT64_C(1000000000),
		.raw_bytes = 12,
		.ref_count = 2 };
	memcpy(rec.domain_id, kat.domain, 16);
	memcpy(rec.agent_id, kat.agent, 16);
	memcpy(rec.source_id, kat.source, 16);
	memcpy(rec.root_id, root.id, 32);
	cr_assert(eq(int,
		text_unhex("ccae33926d3aee0165b2d028e22c833bef541ddb8de55ad3e2d177e7c0c514cf", 32,
			rec.root_commit),
		0));
	cr_assert(eq(int,
		text_unhex("8283ec9e86594d1cb2974c241c618f689f40b91c41b87cb67d5f72a6374be2d4", 32,
			rec.refs_root),
		0));
	hash_sha256(NULL, 0, rec.log_root);
	snaprec_sign(&rec, kat.ik_seed, bytes);
	snaprec_hash(bytes, snap_hash);
	cr_assert(eq(int,
		snaprec_envelope(
			SNAPREC_RECOVERY, kat.domain, snap_hash, rk_pk, &root, envelope, &err),
		0));
}

TestSuite(snaprec, .init = setup);

Test(snaprec, record_gives_the_known_answers)
{
	cr_expect(eq(str, (char *)vault_kat_hex(bytes + 272, 32),
		"2872bc930dc5bad22ea06be7d16b5ab4cb87d308d370521df828e885a007c044"));
	cr_expect(eq(str, (char *)vault_kat_hex(bytes + 304, 64),
		"434b7fcc7cf5b2233676e4a9bca476fc4ff8eee9a709e4a551c945b769c5fafc8bee9d3c7d5be04a80"
		"f38cb8ff03dec04553d158683120ec239ab77350043804"));
	cr_expect(eq(str, (char *)vault_kat_hex(snap_hash, 32), VAULT_KAT_SNAP_HASH));
}

Test(snaprec, envelope_gives_the_known_answers)
{
	cr_expect(eq(str, (char *)vault_kat_hex(envelope + 40, 32),
		"18aee1e09a546c16892d13d39c9801233af1bd5a35015f1e48b9c572ededc710"));
	cr_expect(eq(str, (char *)vault_kat_hex(envelope + 72, 32),
		"f88471c26dfcb0d4c6987c9ceee6378f2ea4b52b12eb0c0a56d0e0e7cd2aa001"));
	cr_expect(eq(str, (char *)vault_kat_sha(envelope, sizeof(envelope)),
		"fab33afab188f6e25ccb473c5a85da80ba4662d3a9228fc18e6c082c68fef28e"));
}

Test(snaprec, record_comes_back_as_it_was)
{
	struct snaprec got;
	memset(&got, 0, sizeof(got));
	cr_assert(eq(int, snaprec_decode(bytes, &got, &err), 0), "%s", err.msg);
	cr_assert(eq(int, snaprec_verify(bytes, ik_pk, &err), 0));
	uint8_t again[SNAPREC_BYTES];
	snaprec_sign(&got, kat.ik_seed, again);
	cr_expect(memcmp(again, bytes, sizeof(again)) == 0);
	cr_expect(eq(i64, got.t_end_ns, rec.t_end_ns));
	cr_expect(memcmp(got.sig, bytes + 304, 64) == 0);
}

Test(snaprec, times_before_1970_and_all_flags_are_kept)
{
	struct snaprec got;
	rec.t_start_ns = -5;
	rec.flags = SNAPREC_PARTIAL | SNAPREC_DERIVED;
	rec.seq = 7;
	rec.prev[31] = 1;
	snaprec_sign(&rec, kat.ik_seed, bytes);
	cr_assert(eq(int, snaprec_decode(bytes, &got, &err), 0));
	cr_expect(eq(i64, got.t_start_ns, -5));
	cr_expect(eq(int, got.flags, 3));
	cr_expect(eq(u64, got.seq, 7));
}

Test(snaprec, every_flipped_bit_fails_the_signature)
{
	for (size_t i = 0; i < sizeof(bytes); i++) {
		uint8_t mask = (uint8_t)(1 << i * 3 % 8);
		bytes[i] ^= mask;
		cr_assert(eq(int, snaprec_verify(bytes, ik_pk, &err), -ERR_CORRUPT), "%zu", i);
		bytes[i] ^= mask;
	}
	cr_expect(eq(int, snaprec_verify(bytes, rk_pk, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "snapshot is signed by another identity"));
}

static int decode_changed(size_t at, uint8_t value)
{
	uint8_t changed[SNAPREC_BYTES];
	struct snaprec got = { .seq = 99 };
	memcpy(changed, bytes, sizeof(changed));
	changed[at] = value;
	int rc = snaprec_decode(changed, &got, &err);
	cr_assert(rc == 0 || got.seq == 99);
	return rc;
}

Test(snaprec, records_of_another_form_are_refused)
{
	cr_expect(eq(int, decode_changed(7, '2'), -ERR_CORRUPT), "magic");
	cr_expect(eq(int, decode_changed(8, 3), -ERR_UNSUPPORTED), "suite");
	cr_expect(eq(int, decode_changed(9, 4), -ERR_UNSUPPORTED), "flag");
	cr_expect(eq(int, decode_changed(10, 1), -ERR_CORRUPT), "reserved");
	cr_expect(eq(int, decode_changed(11, 1), -ERR_CORRUPT), "reserved");
	cr_expect(eq(int, decode_changed(71, 0), -ERR_CORRUPT), "seq 0");
	cr_expect(eq(int, decode_changed(71, 2), -ERR_CORRUPT), "seq 2 without predecessor");
	cr_expect(eq(int, decode_changed(104, 1), -ERR_CORRUPT), "seq 1 with predecessor");
	cr_expect(eq(int, decode_changed(8, 2), 0));
}

Test(snaprec, envelope_opens_for_its_recipient)
{
	struct ref got;
	int kind;
	const uint8_t *hash;
	const uint8_t *rkid;
	cr_assert(eq(int, snaprec_envelope_peek(envelope, &kind, &hash, &rkid, &err), 0));
	cr_expect(eq(int, kind, SNAPREC_RECOVERY));
	cr_expect(memcmp(hash, snap_hash, 32) == 0);
	memset(&got, 0, sizeof(got));
	cr_assert(eq(int, snaprec_envelope_open(envelope, kat.domain, kat.rk_sk, &got, &err), 0),
		"%s", err.msg);
	cr_expect(memcmp(&got, &root, sizeof(got)) == 0);
	cr_expect(eq(int, snaprec_envelope_open(envelope, kat.domain, kat.k_dom, &got, &err),
		-ERR_AUTH));
	cr_expect(eq(int, snaprec_envelope_open(envelope, kat.agent, kat.rk_sk, &got, &err),
		-ERR_CORRUPT));
}

Test(snaprec, who_opens_one_envelope_makes_the_others)
{
	uint8_t dk_pk[32];
	uint8_t drill[SNAPREC_ENVELOPE_BYTES];
	uint8_t again[SNAPREC_ENVELOPE_BYTES];
	struct ref got;
	hpke_public(kat.k_dom, dk_pk);
	cr_assert(eq(int,
		snaprec_envelope(SNAPREC_DRILL, kat.domain, snap_hash, dk_pk, &root, drill, &err),
		0));
	cr_assert(eq(int, snaprec_envelope_open(drill, kat.domain, kat.k_dom, &got, &err), 0));
	cr_assert(eq(int,
		snaprec_envelope(SNAPREC_RECOVERY, kat.domain, snap_hash, rk_pk, &got, again, &err),
		0));
	cr_expect(memcmp(again, envelope, sizeof(again)) == 0);
}

/* The kind is the one byte no key covers: docs/FORMAT.md section 5 says what to make of it. */
static int flip_answer(size_t i, uint8_t value)
{
	if (i == 4)
		return -ERR_UNSUPPORTED;
	if (i == 5)
		return value >= 1 && value <= 3 ? 0 : -ERR_UNSUPPORTED;
	return i >= 40 && i < 72 ? -ERR_AUTH : -ERR_CORRUPT;
}

Test(snaprec, every_flipped_bit_of_an_envelope_is_refused)
{
	struct ref got;
	for (size_t i = 0; i < sizeof(envelope) * 8; i++) {
		envelope[i / 8] ^= (uint8_t)(1 << i % 8);
		int rc = snaprec_envelope_open(envelope, kat.domain, kat.rk_sk, &got, &err);
		cr_assert(eq(int, rc, flip_answer(i / 8, envelope[i / 8])), "bit %zu: %s", i,
			err.msg);
		envelope[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

Test(snaprec, an_envelope_made_with_another_ephemeral_key_is_refused)
{
	uint8_t info[8 + 48];
	uint8_t plain[REF_BYTES];
	struct ref got;
	memcpy(info, "hf1/env", 8);
	memcpy(info + 8, kat.domain, 16);
	memcpy(info + 24, envelope + 40, 32);
	ref_encode(&root, plain);
	uint8_t ephemeral[32];
	vault_kat_range(ephemeral, 0xe0, 32);
	cr_assert(eq(int,
		hpke_seal(ephemeral, rk_pk, info, sizeof(info), snap_hash, 32, plain, 72,
			envelope + 72, envelope + 104, &err),
		0));
	/* the known answer of HPKE with a given ephemeral key */
	cr_expect(eq(str, (char *)vault_kat_sha(envelope, sizeof(envelope)),
		"8eb03655ea92f970f05bee6aee3d2e24c397d4988a1e19268648d7bfc3f22aa9"));
	cr_expect(eq(int, snaprec_envelope_open(envelope, kat.domain, kat.rk_sk, &got, &err),
		-ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "envelope is not the one its content makes"));
}

Test(snaprec, no_envelope_is_made_for_a_public_key_of_low_order)
{
	static const uint8_t low[32] = { 0 };
	uint8_t out[SNAPREC_ENVELOPE_BYTES] = { 0 };
	cr_expect(eq(int,
		snaprec_envelope(SNAPREC_RECOVERY, kat.domain, snap_hash, low, &root, out, &err),
		-ERR_CORRUPT));
	cr_expect(eq(int, out[0], 0));
}
