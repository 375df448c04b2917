#include "crypto/aead.h"

#include "base/err.h"
#include "unit/crypto/kat.h"

static const uint8_t zero_key[AEAD_KEY_BYTES];
static const int suites[] = { AEAD_AES256GCM, AEAD_CHACHA20 };

Test(aead, gcm_of_nothing_and_of_a_zero_block)
{
	uint8_t zero[16] = { 0 };
	uint8_t out[32];

	cr_assert(eq(int, aead_seal(1, zero_key, NULL, NULL, 0, NULL, 0, out, NULL), 0));
	kat_expect(out, 16, "530f8afbc74536b9a963b4f1c4cb738b");
	cr_assert(eq(int, aead_seal(1, zero_key, NULL, NULL, 0, zero, 16, out, NULL), 0));
	kat_expect(out, 32, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

/* The chunk record of the format's known answers. */
Test(aead, gcm_seals_the_chunk_record_of_the_format)
{
	uint8_t key[32];
	uint8_t aad[12];
	uint8_t inner[24];
	uint8_t out[40];
	kat_bytes("f6a26bd3fae5615c3d4c5da0325a1e5741f92abc9e95f948c9493fe3dd698dca", key, NULL);
	kat_bytes("484643310101000000000018", aad, NULL);
	kat_bytes("000000000000000c0000000c68656c6c6f2c20706c616e74", inner, NULL);

	cr_assert(eq(int, aead_seal(1, key, NULL, aad, 12, inner, 24, out, NULL), 0));

	kat_expect(out, 40,
		"49d871a8838b37c0db010f2c2f3d3c63d4ac5b96f647607017fa16d5537dc2802f91d40d6fbee412");
}

/* RFC 8439 section 2.8.2 */
Test(aead, rfc8439_vector)
{
	const char *text = "Ladies and Gentlemen of the class of '99: If I could offer you only one"
			   " tip for the future, sunscreen would be it.";
	uint8_t key[32];
	uint8_t nonce[12];
	uint8_t aad[12];
	uint8_t out[130];
	kat_range(0x80, 32, key);
	kat_bytes("070000004041424344454647", nonce, NULL);
	kat_bytes("50515253c0c1c2c3c4c5c6c7", aad, NULL);

	cr_assert(eq(int, aead_seal(AEAD_CHACHA20, key, nonce, aad, 12, text, 114, out, NULL), 0));

	kat_expect(out, 130,
		"d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
		"3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
		"92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
		"3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd060"
		"0691");
}

Test(aead, opens_what_it_sealed_at_every_length_in_place_too)
{
	uint8_t key[32] = { 9 };
	uint8_t plain[131];
	uint8_t sealed[131 + AEAD_TAG_BYTES];
	kat_range(1, sizeof(plain), plain);
	for (size_t s = 0; s < 2; s++) {
		for (size_t len = 0; len <= sizeof(plain); len++) {
			memcpy(sealed, plain, len);
			cr_assert(eq(int,
				aead_seal(suites[s], key, NULL, "a", 1, sealed, len, sealed, NULL),
				0));
			cr_assert(eq(int,
				aead_open(suites[s], key, NULL, "a", 1, sealed,
					len + AEAD_TAG_BYTES, sealed, NULL),
				0));
			cr_assert_arr_eq(sealed, plain, len);
		}
	}
}

Test(aead, any_changed_bit_and_any_cut_is_corrupt_and_leaves_no_plaintext)
{
	static const uint8_t zero[20];
	uint8_t key[32] = { 5 };
	uint8_t plain[20];
	uint8_t sealed[36];
	uint8_t out[36];
	struct err err = ERR_INIT;
	kat_range(1, sizeof(plain), plain);
	for (size_t s = 0; s < 2; s++) {
		cr_assert(eq(int,
			aead_seal(suites[s], key, NULL, "aad", 3, plain, 20, sealed, NULL), 0));
		for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
			sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
			memset(out, 0xee, sizeof(out));
			cr_expect(eq(int,
				aead_open(suites[s], key, NULL, "aad", 3, sealed, 36, out, &err),
				-ERR_CORRUPT));
			cr_expect_arr_eq(out, zero, sizeof(zero));
			sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
		for (size_t len = 0; len < sizeof(sealed); len++)
			cr_expect(eq(int,
				aead_open(suites[s], key, NULL, "aad", 3, sealed, len, out, &err),
				-ERR_CORRUPT));
		cr_expect(eq(int, aead_open(suites[s], key, NULL, "aae", 3, sealed, 36, out, NULL),
			-ERR_CORRUPT));
		cr_expect(eq(int,
			aead_open(suites[s], zero_key, NULL, "aad", 3, sealed, 36, out, NULL),
			-ERR_CORRUPT));
	}
}

Test(aead, unknown_suites_need_a_newer_version)
{
	uint8_t out[32] = { 0 };
	struct err err = ERR_INIT;

	cr_expect(eq(
		int, aead_seal(3, zero_key, NULL, NULL, 0, "x", 1, out, &err), -ERR_UNSUPPORTED));
	cr_expect(eq(str, err.msg, "unknown cipher suite 3"));
	cr_expect(eq(
		int, aead_open(0, zero_key, NULL, NULL, 0, out, 32, out, &err), -ERR_UNSUPPORTED));
}
