#include "vault/vault_header.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/bytes.h"
#include "base/err.h"
#include "lib/vault_kat.h"

static struct vault_kat kat;
static struct err err = ERR_INIT;
static uint8_t bytes[VAULT_HEADER_BYTES + 1];
static struct vault_header header = { .major = VAULT_HEADER_MAJOR,
	.minor = 3,
	.generation = 9,
	.ro_compat = 4,
	.compat = 0x8000000000000001u,
	.suites = VAULT_HEADER_SUITE_1 | VAULT_HEADER_SUITE_2,
	.kv_epoch = 1 };

static void setup(void)
{
	vault_kat_init(&kat);
	memcpy(header.vault_id, kat.vault_id, 16);
	vault_header_encode(&header, kat.k_vault, bytes);
}

TestSuite(vault_header, .init = setup);

Test(vault_header, has_the_bytes_of_the_format_page)
{
	cr_expect(eq(str, (char *)vault_kat_hex(bytes, 60),
		"48465648"
		"0001"
		"0003"
		"00000009"
		"707172737475767778797a7b7c7d7e7f"
		"0000000000000000"
		"0000000000000004"
		"8000000000000001"
		"00000006"
		"00000001"));
	cr_expect(eq(str, (char *)vault_kat_hex(bytes + 60, 32),
		"cd1fb577ff12c26f00b999ff480afa7ac2d0f73f7df147f539c70f93516caf1d"));
}

Test(vault_header, gives_back_what_was_encoded)
{
	struct vault_header h;
	cr_assert(eq(int, vault_header_verify(bytes, VAULT_HEADER_BYTES, kat.k_vault, &err), 0));
	cr_assert(eq(int, vault_header_decode(bytes, VAULT_HEADER_BYTES, &h, &err), 0));
	cr_expect(eq(int, h.minor, 3));
	cr_expect(eq(u32, h.generation, 9));
	cr_expect(eq(u64, h.ro_compat, 4));
	cr_expect(eq(u64, h.compat, 0x8000000000000001u));
	cr_expect(eq(u32, h.suites, 6));
	cr_expect(memcmp(h.vault_id, kat.vault_id, 16) == 0);
}

Test(vault_header, every_flipped_bit_fails_the_hmac)
{
	for (size_t i = 0; i < VAULT_HEADER_BYTES * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		int rc = vault_header_verify(bytes, VAULT_HEADER_BYTES, kat.k_vault, &err);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		cr_assert(eq(int, rc, i / 8 == 4 || i / 8 == 5 ? -ERR_UNSUPPORTED : -ERR_CORRUPT));
	}
	cr_expect(eq(int, vault_header_verify(bytes, VAULT_HEADER_BYTES, kat.k_dom, &err),
		-ERR_CORRUPT));
}

Test(vault_header, every_other_length_is_refused)
{
	struct vault_header h;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		if (len == VAULT_HEADER_BYTES)
			continue;
		cr_assert(eq(int, vault_header_decode(bytes, len, &h, &err), -ERR_CORRUPT));
		cr_assert(
			eq(int, vault_header_verify(bytes, len, kat.k_vault, &err), -ERR_CORRUPT));
	}
}

/* Encode with one change, which the HMAC covers, and decode. */
static int decode_changed(struct vault_header changed)
{
	struct vault_header h = { .generation = 77 };
	uint8_t data[VAULT_HEADER_BYTES];
	vault_header_encode(&changed, kat.k_vault, data);
	int rc = vault_header_decode(data, sizeof(data), &h, &err);
	cr_assert(eq(u32, h.generation, rc == 0 ? changed.generation : 77));
	return rc;
}

Test(vault_header, what_is_newer_is_unsupported_and_what_cannot_be_is_corrupt)
{
	struct vault_header h = header;
	h.major = 2;
	cr_expect(eq(int, decode_changed(h), -ERR_UNSUPPORTED));
	h = header;
	h.incompat = 2;
	cr_expect(eq(int, decode_changed(h), -ERR_UNSUPPORTED));
	h = header;
	h.suites = 8;
	cr_expect(eq(int, decode_changed(h), -ERR_UNSUPPORTED));
	h.suites = 0;
	cr_expect(eq(int, decode_changed(h), -ERR_CORRUPT));
	h = header;
	h.generation = 0;
	cr_expect(eq(int, decode_changed(h), -ERR_CORRUPT));
	h = header;
	h.minor = 999;
	h.ro_compat = UINT64_MAX;
	h.compat = UINT64_MAX;
	cr_expect(eq(int, decode_changed(h), 0));
}
