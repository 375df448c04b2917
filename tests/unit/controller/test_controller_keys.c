#include "controller/controller_keys.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hash.h"

static struct err err = ERR_INIT;
static struct buf file = BUF_INIT(1000);
static struct controller_keys keys, got;

static void setup(void)
{
	memset(keys.vault_id, 1, 16);
	memset(keys.domain_id, 2, 16);
	memset(keys.gateway, 3, 16);
	keys.kv_epoch = 0x04050607;
	memset(keys.k_vault, 8, 32);
	memset(keys.k_dom, 9, 32);
	memset(keys.rk_pk, 10, 32);
	memset(keys.officer_pk, 11, 32);
	cr_assert(eq(int, controller_keys_encode(&keys, &file, &err), 0));
}

static void teardown(void)
{
	buf_wipe(&file);
}

TestSuite(controller_keys, .init = setup, .fini = teardown);

Test(controller_keys, the_file_is_as_the_page_says)
{
	static const uint8_t head[8] = { 'H', 'F', 'C', 'K', 1, 0, 0, 0 };
	cr_assert(eq(sz, file.len, 288));
	cr_expect(eq(int, memcmp(file.data, head, 8), 0));
	const struct {
		size_t at, len;
		uint8_t value;
	} runs[] = { { 8, 16, 1 }, { 24, 16, 2 }, { 40, 16, 3 }, { 60, 4, 0 }, { 64, 32, 8 },
		{ 96, 32, 9 }, { 128, 32, 10 }, { 160, 32, 11 }, { 192, 64, 0 } };
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		for (size_t n = 0; n < runs[i].len; n++)
			cr_assert(eq(int, file.data[runs[i].at + n], runs[i].value), "%zu",
				runs[i].at + n);
	}
	cr_expect(eq(int, memcmp(file.data + 56, "\4\5\6\7", 4), 0));
	uint8_t sum[32];
	hash_sha256(file.data, 256, sum);
	cr_expect(eq(int, memcmp(file.data + 256, sum, 32), 0));
	cr_assert(eq(int, controller_keys_decode(file.data, file.len, &got, &err), 0));
	cr_expect(eq(int, memcmp(&got, &keys, sizeof(keys)), 0));
}

Test(controller_keys, every_flipped_bit_and_cut_is_refused)
{
	for (size_t i = 0; i < file.len; i++) {
		file.data[i] ^= (uint8_t)(1 << i % 8);
		cr_assert(eq(int, controller_keys_decode(file.data, file.len, &got, &err),
			-ERR_CORRUPT));
		file.data[i] ^= (uint8_t)(1 << i % 8);
		cr_assert(eq(int, controller_keys_decode(file.data, i, &got, &err), -ERR_CORRUPT));
	}
	cr_assert(eq(int, buf_add8(&file, 0, &err), 0));
	cr_expect(eq(int, controller_keys_decode(file.data, file.len, &got, &err), -ERR_CORRUPT));
	cr_expect(eq(int, got.kv_epoch, 0));
}

static int decode_changed(size_t at, uint8_t value)
{
	uint8_t copy[288];
	memcpy(copy, file.data, 288);
	copy[at] = value;
	hash_sha256(copy, 256, copy + 256);
	return controller_keys_decode(copy, 288, &got, &err);
}

Test(controller_keys, newer_is_told_from_damage)
{
	cr_expect(eq(int, decode_changed(4, 2), -ERR_UNSUPPORTED));
	cr_expect(eq(int, decode_changed(5, 1), -ERR_CORRUPT));
	cr_expect(eq(int, decode_changed(7, 1), -ERR_CORRUPT));
	cr_expect(eq(int, decode_changed(60, 1), -ERR_CORRUPT));
	cr_expect(eq(int, decode_changed(192, 1), -ERR_CORRUPT));
	cr_expect(eq(int, decode_changed(255, 1), -ERR_CORRUPT));
	cr_expect(eq(int, decode_changed(64, 1), 0));
	/* a newer version may have another length */
	file.data[4] = 2;
	cr_expect(
		eq(int, controller_keys_decode(file.data, 300 - 20, &got, &err), -ERR_UNSUPPORTED));
}

Test(controller_keys, a_file_that_does_not_fit_adds_nothing)
{
	CLEANUP(buf_done) struct buf small = BUF_INIT(287);
	cr_expect(eq(int, controller_keys_encode(&keys, &small, &err), -ERR_LIMIT));
	cr_expect(eq(sz, small.len, 0));
	CLEANUP(buf_done) struct buf line = BUF_INIT(50);
	cr_expect(eq(int, controller_keys_officer_format(keys.k_dom, &line, &err), -ERR_LIMIT));
	cr_expect(eq(sz, line.len, 0));
}

Test(controller_keys, an_officer_key_is_one_line)
{
	uint8_t seed[32], back[32] = { 0 };
	CLEANUP(buf_done) struct buf line = BUF_INIT(200);
	for (int i = 0; i < 32; i++)
		seed[i] = (uint8_t)i;
	cr_assert(eq(int, controller_keys_officer_format(seed, &line, &err), 0));
	cr_expect(eq(str, (char *)buf_cstr(&line),
		"holdfast-officer-key ed25519 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"));
	cr_assert(eq(int, controller_keys_officer_parse(line.data, line.len, back, &err), 0));
	cr_expect(eq(int, memcmp(back, seed, 32), 0));
	memset(back, 0, 32);
	cr_assert(eq(int, controller_keys_officer_parse(line.data, line.len - 1, back, &err), 0));
	cr_expect(eq(int, memcmp(back, seed, 32), 0));
}

Test(controller_keys, what_is_no_officer_key_is_refused_without_telling_it)
{
	static const char *const wrong[] = {
		"", "\n", "holdfast-officer-key ed25519 ", "holdfast-officer-key ed25519 \n",
		"holdfast-officer-key ed25519 AAEC\n",
		"holdfast-drill-key ed25519 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
		"holdfast-officer-key ed25519 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n",
		"holdfast-officer-key ed25519 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n",
		"holdfast-officer-key ed25519 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=AAAA",
		"holdfast-officer-key ed25519 "
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx"
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx"
	};
	uint8_t seed[32] = { 7 };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect(eq(int,
			controller_keys_officer_parse(wrong[i], strlen(wrong[i]), seed, &err),
			-ERR_CORRUPT));
		cr_expect(eq(ptr, strstr(err.msg, "AAEC"), NULL));
	}
	cr_expect(eq(int, seed[0], 7));
}
