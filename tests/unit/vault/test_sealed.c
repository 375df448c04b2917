#include "vault/sealed.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/hmac.h"
#include "lib/vault_kat.h"

static struct vault_kat kat;
static struct buf object = BUF_INIT(SEALED_MAX_BYTES);
static struct buf body = BUF_INIT(SEALED_MAX_BYTES);
static char name[SEALED_NAME_BYTES];
static struct err err = ERR_INIT;

static void setup(void)
{
	vault_kat_init(&kat);
}

static void teardown(void)
{
	buf_done(&object);
	buf_done(&body);
}

TestSuite(sealed, .init = setup, .fini = teardown);

static void seal_hello(void)
{
	cr_assert(eq(int,
		sealed_seal(&kat.key, SEALED_INDEX, "hello, vault", 12, kat.random, &object, name,
			&err),
		0));
}

static int open_it(enum sealed_kind kind)
{
	return sealed_open(&kat.key, kind, object.data, object.len, &body, &err);
}

Test(sealed, gives_the_known_answers)
{
	cr_expect(eq(str, (char *)vault_kat_hex(kat.key.k_ss, 32),
		"ce0d072210881fe027f52cdca3a5cd034e45bab4a34dad16eb5144442194e3ea"));
	seal_hello();
	cr_expect(eq(sz, object.len, 4096));
	cr_expect(eq(str, (char *)vault_kat_hex(object.data + 16, 32),
		"ba4637eadb5adebecb713f4ec947a0a10fcdcf75f9c91c8917d70086ed181c04"));
	cr_expect(
		eq(str, name, "36d1e32367052e63327126b9fc9f2b5d7b23986b2a5b92052d621fca32f93aa2"));
}

Test(sealed, opens_to_the_body_it_was_made_of)
{
	cr_assert(eq(int, buf_add(&body, "before ", 7, &err), 0));
	seal_hello();
	cr_assert(eq(int, open_it(SEALED_INDEX), 0), "%s", err.msg);
	cr_expect(eq(sz, body.len, 19));
	cr_expect(memcmp(body.data, "before hello, vault", 19) == 0);
}

Test(sealed, empty_and_large_bodies_come_back)
{
	static uint8_t large[(1u << 20) + 77];
	vault_kat_range(large, 1, sizeof(large));
	cr_assert(eq(int,
		sealed_seal(&kat.key, SEALED_LOG, large, sizeof(large), NULL, &object, name, &err),
		0));
	cr_expect(eq(sz, object.len, (1u << 20) + 65536));
	cr_assert(eq(int, open_it(SEALED_LOG), 0), "%s", err.msg);
	cr_expect(eq(sz, body.len, sizeof(large)));
	cr_expect(memcmp(body.data, large, sizeof(large)) == 0);

	buf_clear(&object);
	buf_clear(&body);
	cr_assert(
		eq(int, sealed_seal(&kat.key, SEALED_LOG, NULL, 0, NULL, &object, name, &err), 0));
	cr_expect(eq(int, open_it(SEALED_LOG), 0));
	cr_expect(eq(sz, body.len, 0));
}

Test(sealed, fresh_randomness_gives_another_object_each_time)
{
	char other[SEALED_NAME_BYTES];
	cr_assert(eq(int, sealed_seal(&kat.key, SEALED_GC, "x", 1, NULL, &object, name, &err), 0));
	cr_assert(eq(int, sealed_seal(&kat.key, SEALED_GC, "x", 1, NULL, &object, other, &err), 0));
	cr_expect(ne(str, name, other));
}

Test(sealed, every_flipped_bit_is_refused)
{
	seal_hello();
	for (size_t i = 0; i < object.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			object.data[i] ^= (uint8_t)(1 << bit);
			int rc = open_it(SEALED_INDEX);
			object.data[i] ^= (uint8_t)(1 << bit);
			int want = -ERR_CORRUPT;
			if (i == 4 && (1 ^ 1 << bit) != AEAD_CHACHA20)
				want = -ERR_UNSUPPORTED;
			if (i >= 8 && i < 12)
				want = -ERR_AUTH;
			cr_assert(eq(int, rc, want), "byte %zu bit %d: %s", i, bit, err.msg);
		}
	}
	cr_expect(eq(sz, body.len, 0));
}

Test(sealed, every_other_length_is_refused)
{
	seal_hello();
	for (size_t len = 0; len < object.len; len += len < 100 ? 1 : 333)
		cr_assert(
			eq(int, sealed_open(&kat.key, SEALED_INDEX, object.data, len, &body, &err),
				-ERR_CORRUPT));
	cr_assert(eq(int, buf_add_zero(&object, 4096, &err), 0));
	cr_expect(eq(int, open_it(SEALED_INDEX), -ERR_CORRUPT));
}

Test(sealed, another_kind_epoch_vault_or_key_does_not_open_it)
{
	seal_hello();
	cr_expect(eq(int, open_it(SEALED_REFS), -ERR_CORRUPT));
	struct sealed_key other;
	sealed_key_init(&other, kat.vault_id, 2, kat.k_vault);
	cr_expect(eq(int, sealed_open(&other, SEALED_INDEX, object.data, object.len, &body, &err),
		-ERR_AUTH));
	sealed_key_init(&other, kat.domain, 1, kat.k_vault);
	cr_expect(eq(int, sealed_open(&other, SEALED_INDEX, object.data, object.len, &body, &err),
		-ERR_CORRUPT));
	sealed_key_init(&other, kat.vault_id, 1, kat.k_dom);
	cr_expect(eq(int, sealed_open(&other, SEALED_INDEX, object.data, object.len, &body, &err),
		-ERR_CORRUPT));
}

/* Seal a plaintext as it is, as a faulty or hostile writer could. */
static void seal_plain(const uint8_t *plain, size_t len, int suite)
{
	uint8_t header[48] = { 'H', 'F', 'O', '1', (uint8_t)suite, SEALED_INDEX };
	uint8_t ctx[17];
	uint8_t key[32];
	bytes_put32(header + 8, 1);
	bytes_put32(header + 12, (uint32_t)len);
	memcpy(ctx, kat.vault_id, 16);
	ctx[16] = SEALED_INDEX;
	hmac_kdf(kat.k_vault, 32, header + 16, 32, "hf1/sealed", ctx, 17, key, 32);
	buf_clear(&object);
	cr_assert(eq(int, buf_add(&object, header, 48, &err), 0));
	cr_assert(eq(int, buf_add_zero(&object, len + 16, &err), 0));
	cr_assert(eq(int,
		aead_seal(suite, key, NULL, header, 48, plain, len, object.data + 48, &err), 0));
}

Test(sealed, wrong_padding_and_lengths_under_a_right_tag_are_refused)
{
	static uint8_t plain[8192 - 64];
	bytes_put32(plain, 5);
	memcpy(plain + 4, "right", 5);
	seal_plain(plain, 4096 - 64, 1);
	cr_expect(eq(int, open_it(SEALED_INDEX), 0), "%s", err.msg);
	plain[4096 - 65] = 1;
	seal_plain(plain, 4096 - 64, 1);
	cr_expect(eq(int, open_it(SEALED_INDEX), -ERR_CORRUPT));
	plain[4096 - 65] = 0;
	bytes_put32(plain, 4096);
	seal_plain(plain, 4096 - 64, 1);
	cr_expect(eq(int, open_it(SEALED_INDEX), -ERR_CORRUPT));
	bytes_put32(plain, 5);
	seal_plain(plain, 8192 - 64, 1); /* one step more padding than it needs */
	cr_expect(eq(int, open_it(SEALED_INDEX), -ERR_CORRUPT));
}

Test(sealed, suite_2_is_read)
{
	static uint8_t plain[4096 - 64];
	bytes_put32(plain, 3);
	memcpy(plain + 4, "two", 3);
	seal_plain(plain, sizeof(plain), 2);
	cr_assert(eq(int, open_it(SEALED_INDEX), 0), "%s", err.msg);
	cr_expect(eq(sz, body.len, 3));
}

Test(sealed, limits_and_missing_randomness_are_told_and_leave_nothing)
{
	cr_expect(eq(int,
		sealed_seal(&kat.key, SEALED_GC, name, SEALED_MAX_BYTES - 67, kat.random, &object,
			name, &err),
		-ERR_LIMIT));
	struct buf small = BUF_INIT(4095);
	cr_expect(eq(int, sealed_seal(&kat.key, SEALED_GC, "x", 1, kat.random, &small, name, &err),
		-ERR_LIMIT));
	cr_expect(eq(sz, object.len + small.len, 0));
	seal_hello();
	struct buf tiny = BUF_INIT(11);
	cr_expect(eq(int, sealed_open(&kat.key, SEALED_INDEX, object.data, object.len, &tiny, &err),
		-ERR_LIMIT));
	cr_expect(eq(sz, tiny.len, 0));
	buf_done(&tiny);
}

static int no_random(void *out, size_t len)
{
	(void)out;
	(void)len;
	return -1;
}

Test(sealed, without_randomness_nothing_is_sealed)
{
	struct env_ops ops = *env_real();
	ops.random = no_random;
	const struct env_ops *before = env_swap(&ops);
	int rc = sealed_seal(&kat.key, SEALED_GC, "x", 1, NULL, &object, name, &err);
	(void)env_swap(before);
	cr_expect(eq(int, rc, -ERR_IO));
	cr_expect(eq(sz, object.len, 0));
}

Test(sealed, sizes_are_padded_in_steps)
{
	cr_expect(eq(sz, sealed_padded(1), 4096));
	cr_expect(eq(sz, sealed_padded(4096), 4096));
	cr_expect(eq(sz, sealed_padded(4097), 8192));
	cr_expect(eq(sz, sealed_padded(1u << 20), 1u << 20));
	cr_expect(eq(sz, sealed_padded((1u << 20) + 1), (1u << 20) + 65536));
}
