#include "vault/keyring.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/ed25519.h"
#include "crypto/hpke.h"
#include "lib/vault_kat.h"

static struct vault_kat kat;
static struct err err = ERR_INIT;
static struct buf file = BUF_INIT(1024);

static void setup(void)
{
	vault_kat_init(&kat);
}

static void teardown(void)
{
	buf_done(&file);
}

TestSuite(keyring, .init = setup, .fini = teardown);

Test(keyring, epoch_keys_give_the_known_answers)
{
	uint8_t mle[32];
	uint8_t cdc[32];
	uint8_t chunker[32];
	uint8_t tree[16];
	keyring_epoch_keys(kat.k_dom, kat.domain, 1, mle, cdc);
	cr_expect(memcmp(mle, kat.k_mle, 32) == 0);
	cr_expect(eq(str, (char *)vault_kat_hex(cdc, 32),
		"f27b621cacf0bfb65e1d4c426d01f377a3bb68e6f8c834bd459cbcc21e783ba7"));
	keyring_cut_keys(cdc, kat.domain, 1, chunker, tree);
	cr_expect(eq(str, (char *)vault_kat_hex(tree, 16), "860a8d182a9f7237b2d8aab970032349"));
	cr_expect(eq(str, (char *)vault_kat_hex(chunker, 32),
		"0dedf8def10fd760a6c6a06e1491547ac1078c22b284a69f2bd07d5858a003da"));
}

Test(keyring, everything_of_stand_alone_use_follows_from_the_recovery_key)
{
	struct keyring_root root;
	uint8_t pk[32];
	keyring_root_derive(kat.rk_sk, kat.vault_id, &root);
	cr_expect(eq(str, (char *)vault_kat_hex(root.rk_pk, 32),
		"dc2cca31e8e43bbd91dff7e475cca3347eb478107d5bd765aba4ae4a30c35d44"));
	cr_expect(eq(str, (char *)vault_kat_hex(root.k_dom, 32),
		"8b2aef7569112da9674df22d418655c9eef27998ddc06e0fbbce9ae1a5ae4e3d"));
	cr_expect(eq(str, (char *)vault_kat_hex(root.domain_id, 16),
		"023793b8fd37f41f5f6449c30199d764"));
	cr_expect(eq(
		str, (char *)vault_kat_hex(root.agent_id, 16), "0f39c4f150a6c0fc39b55bf4500c5876"));
	cr_expect(eq(str, (char *)vault_kat_hex(root.officer_seed, 32),
		"512f7105ba9924828e7ce7ea3cb5b4fb25afa07819e571498aee52a6b20b9f57"));
	ed25519_public(root.officer_seed, pk);
	cr_expect(memcmp(pk, root.officer_pk, 32) == 0);

	struct keyring_root other;
	keyring_root_derive(kat.rk_sk, kat.domain, &other);
	cr_expect(memcmp(other.k_dom, root.k_dom, 32) != 0);
}

Test(keyring, source_ids_follow_from_domain_agent_and_name)
{
	uint8_t id[16];
	keyring_source_id(kat.domain, kat.agent, "historian", id);
	cr_expect(eq(str, (char *)vault_kat_hex(id, 16), "b930e629941df587a789bf3130e46811"));
}

static void make_writer(struct keyring_writer *w)
{
	vault_kat_range((uint8_t *)w, 3, sizeof(*w));
	w->kv_epoch = 1;
	w->config_epoch = 77;
}

Test(keyring, writer_key_file_gives_back_what_was_encoded)
{
	struct keyring_writer w;
	struct keyring_writer again;
	make_writer(&w);
	memset(&again, 0, sizeof(again));
	cr_assert(eq(int, keyring_writer_encode(&w, &file, &err), 0));
	cr_expect(eq(sz, file.len, KEYRING_WRITER_BYTES));
	cr_expect(memcmp(file.data, "HFWK\1\0\0\0", 8) == 0);
	cr_expect(memcmp(file.data + 8, w.vault_id, 16) == 0);
	cr_expect(eq(u32, bytes_get32(file.data + 60), 77));
	cr_expect(memcmp(file.data + 64, w.k_vault, 32) == 0);
	cr_expect(memcmp(file.data + 256, w.k_fp, 32) == 0);
	cr_expect(eq(str, (char *)vault_kat_sha(file.data, 288),
		(char *)vault_kat_hex(file.data + 288, 32)));
	cr_assert(eq(int, keyring_writer_decode(file.data, file.len, &again, &err), 0));
	cr_expect(memcmp(&again, &w, sizeof(w)) == 0);
}

Test(keyring, every_flipped_bit_and_length_of_a_writer_key_file_is_refused)
{
	struct keyring_writer w;
	make_writer(&w);
	cr_assert(eq(int, keyring_writer_encode(&w, &file, &err), 0));
	for (size_t i = 0; i < file.len * 8; i++) {
		file.data[i / 8] ^= (uint8_t)(1 << i % 8);
		int rc = keyring_writer_decode(file.data, file.len, &w, &err);
		file.data[i / 8] ^= (uint8_t)(1 << i % 8);
		cr_assert(eq(int, rc, i / 8 == 4 ? -ERR_UNSUPPORTED : -ERR_CORRUPT));
	}
	for (size_t len = 0; len < file.len; len++)
		cr_assert(eq(int, keyring_writer_decode(file.data, len, &w, &err), -ERR_CORRUPT));
	file.data[6] = 1;
	hash_sha256(file.data, 288, file.data + 288);
	cr_expect(eq(int, keyring_writer_decode(file.data, file.len, &w, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "writer key file has reserved bytes set"));
}

Test(keyring, drill_key_file_is_one_line_and_comes_back)
{
	char group[KEYRING_GROUP_BYTES];
	uint8_t sk[32];
	cr_assert(eq(int, keyring_drill_encode("line-1", kat.rk_sk, &file, &err), 0));
	cr_expect(eq(str, (char *)(uintptr_t)buf_cstr(&file),
		"holdfast-drill-key line-1 wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t8=\n"));
	cr_assert(eq(int, keyring_drill_decode(file.data, file.len, group, sk, &err), 0));
	cr_expect(eq(str, group, "line-1"));
	cr_expect(memcmp(sk, kat.rk_sk, 32) == 0);
}

Test(keyring, drill_key_files_of_another_form_are_refused)
{
	static const char *const wrong[] = { "", "holdfast-drill-key ", "holdfast-drill-key \n",
		"holdfast-drill-key a\n", "holdfast-drill-key a \n", "holdfast-drill-key a AAAA\n",
		"holdfast-drill-key  wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t8=\n",
		"holdfast-drill-key A wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t8=\n",
		"holdfast-drill-key a wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t8=",
		"holdfast-drill-key a wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t8\n",
		"holdfast-drill-key a wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t8=\n\n",
		"Holdfast-drill-key a wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t8=\n" };
	char group[KEYRING_GROUP_BYTES] = "kept";
	uint8_t sk[32];
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert(eq(int,
				  keyring_drill_decode((const uint8_t *)wrong[i], strlen(wrong[i]),
					  group, sk, &err),
				  -ERR_CORRUPT),
			"%zu", i);
	cr_expect(eq(str, group, "kept"));
	cr_expect(eq(int, keyring_drill_encode("", kat.rk_sk, &file, &err), -ERR_USAGE));
	cr_expect(eq(int, keyring_drill_encode("a b", kat.rk_sk, &file, &err), -ERR_USAGE));
	struct buf small = BUF_INIT(30);
	cr_expect(eq(int, keyring_drill_encode("a", kat.rk_sk, &small, &err), -ERR_LIMIT));
	cr_expect(eq(sz, file.len + small.len, 0));
	buf_done(&small);
}

static int counting_random(void *out, size_t len)
{
	vault_kat_range(out, 0, len);
	return 0;
}

Test(keyring, passphrases_are_128_bits_in_groups_of_four)
{
	char first[KEYRING_PASSPHRASE_BYTES];
	char second[KEYRING_PASSPHRASE_BYTES];
	cr_assert(eq(int, keyring_passphrase(first, &err), 0));
	cr_assert(eq(int, keyring_passphrase(second, &err), 0));
	cr_expect(eq(sz, strlen(first), KEYRING_PASSPHRASE_BYTES - 1));
	cr_expect(ne(str, first, second));

	struct env_ops ops = *env_real();
	ops.random = counting_random;
	const struct env_ops *before = env_swap(&ops);
	int rc = keyring_passphrase(first, &err);
	(void)env_swap(before);
	cr_assert(eq(int, rc, 0));
	cr_expect(eq(str, first, "AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B4"));
}
