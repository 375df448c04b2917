#include "crypto/hmac.h"

#include "unit/crypto/kat.h"

static void expect_mac(const char *key_hex, const char *msg_hex, size_t out_len, const char *mac)
{
	uint8_t key[KAT_MAX_BYTES];
	uint8_t msg[KAT_MAX_BYTES];
	uint8_t out[HMAC_BYTES];
	size_t key_len = 0;
	size_t len = 0;
	kat_bytes(key_hex, key, &key_len);
	kat_bytes(msg_hex, msg, &len);
	/* in one piece, and cut in three with an empty one between */
	const struct hmac_part whole = { msg, len };
	const struct hmac_part cut[] = { { msg, 1 }, { NULL, 0 }, { msg + 1, len - 1 } };

	hmac_sha256(key, key_len, &whole, 1, out);
	kat_expect(out, out_len, mac);
	hmac_sha256(key, key_len, cut, 3, out);
	kat_expect(out, out_len, mac);
}

#define X10(hex) hex hex hex hex hex hex hex hex hex hex
#define X50(hex) X10(hex) X10(hex) X10(hex) X10(hex) X10(hex)
#define X131(hex) X50(hex) X50(hex) X10(hex) X10(hex) X10(hex) hex

/* RFC 4231 section 4 */
Test(hmac, rfc4231_vectors)
{
	expect_mac(X10("0b") X10("0b"), "4869205468657265", 32,
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	expect_mac("4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", 32,
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	expect_mac(X10("aa") X10("aa"), X50("dd"), 32,
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	expect_mac("0102030405060708090a0b0c0d0e0f10111213141516171819", X50("cd"), 32,
		"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
	expect_mac(X10("0c") X10("0c"), "546573742057697468205472756e636174696f6e", 16,
		"a3b6167473100ee06e0c796c2955552b");
	expect_mac(X131("aa"),
		"54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048"
		"617368204b6579204669727374",
		32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	expect_mac(X131("aa"),
		"5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f"
		"636b2d73697a65206b657920616e642061206c6172676572207468616e20626c6f636b2d7369"
		"7a6520646174612e20546865206b6579206e6565647320746f20626520686173686564206265"
		"666f7265206265696e6720757365642062792074686520484d414320616c676f726974686d2e",
		32, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

Test(hmac, the_empty_key_is_a_key)
{
	uint8_t out[HMAC_BYTES];

	hmac_sha256(NULL, 0, NULL, 0, out);

	kat_expect(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void expect_hkdf(const char *ikm_hex, const char *salt_hex, const char *info_hex,
	const char *prk_hex, const char *okm_hex)
{
	uint8_t ikm[KAT_MAX_BYTES];
	uint8_t salt[KAT_MAX_BYTES];
	uint8_t info[KAT_MAX_BYTES];
	uint8_t prk[HMAC_BYTES];
	uint8_t okm[KAT_MAX_BYTES];
	size_t ikm_len = 0;
	size_t salt_len = 0;
	size_t info_len = 0;
	size_t len = strlen(okm_hex) / 2;
	kat_bytes(ikm_hex, ikm, &ikm_len);
	kat_bytes(salt_hex, salt, &salt_len);
	kat_bytes(info_hex, info, &info_len);

	hmac_extract(salt, salt_len, ikm, ikm_len, prk);
	hmac_expand(prk, info, info_len, okm, len);

	kat_expect(prk, sizeof(prk), prk_hex);
	kat_expect(okm, len, okm_hex);
}

/* RFC 5869 appendix A.1 to A.3 */
Test(hmac, rfc5869_vectors_of_sha256)
{
	uint8_t bytes[80];
	char ikm[161];
	char salt[161];
	char info[161];
	expect_hkdf(X10("0b") X10("0b") "0b0b", "000102030405060708090a0b0c",
		"f0f1f2f3f4f5f6f7f8f9",
		"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
		"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
		"34007208d5b887185865");
	kat_range(0x00, 80, bytes);
	text_hex(bytes, 80, ikm);
	kat_range(0x60, 80, bytes);
	text_hex(bytes, 80, salt);
	kat_range(0xb0, 80, bytes);
	text_hex(bytes, 80, info);
	expect_hkdf(ikm, salt, info,
		"06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
		"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
		"59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
		"cc30c58179ec3e87c14c01d5c1f3434f1d87");
	expect_hkdf(X10("0b") X10("0b") "0b0b", "", "",
		"19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
		"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
		"9d201395faa4b61a96c8");
}

Test(hmac, expand_gives_nothing_and_the_most_there_is)
{
	uint8_t prk[HMAC_BYTES] = { 7 };
	static uint8_t most[8160];
	uint8_t some[100];

	hmac_expand(prk, "i", 1, most, sizeof(most));
	hmac_expand(prk, "i", 1, some, sizeof(some));
	cr_expect_arr_eq(most, some, sizeof(some));
	cr_expect(ne(int, memcmp(most + 8128, most + 8096, 32), 0));
	hmac_expand(prk, "i", 1, NULL, 0);
}

/* Inputs of the format's known answers: K_dom 00..1f, domain 40..4f, agent 50..5f, epoch 1. */
Test(hmac, kdf_gives_the_keys_of_the_format)
{
	uint8_t k_dom[32];
	uint8_t domain[16];
	uint8_t k_cdc[32];
	uint8_t k_vault[32];
	uint8_t vault_id[16];
	uint8_t ctx[20] = { 0, 0, 0, 1 };
	uint8_t out[32];
	kat_range(0x00, 32, k_dom);
	kat_range(0x40, 16, domain);
	kat_range(0x50, 16, ctx + 4);
	kat_range(0x20, 32, k_vault);
	kat_range(0x70, 16, vault_id);

	hmac_kdf(k_dom, 32, domain, 16, "hf1/mle", ctx, 4, out, 32);
	kat_expect(out, 32, "a506856cfbab9bb3786f120a19e8693d9534960b08619515ca461e7a5e8ff978");
	hmac_kdf(k_dom, 32, domain, 16, "hf1/mle-agent", ctx, 20, out, 32);
	kat_expect(out, 32, "9710942609984d443be971000326dfdc2e348f85dd2612794920e569de033e30");
	hmac_kdf(k_dom, 32, domain, 16, "hf1/cdc", ctx, 4, k_cdc, 32);
	kat_expect(k_cdc, 32, "f27b621cacf0bfb65e1d4c426d01f377a3bb68e6f8c834bd459cbcc21e783ba7");
	hmac_kdf(k_cdc, 32, domain, 16, "hf1/tree", ctx, 4, out, 16);
	kat_expect(out, 16, "860a8d182a9f7237b2d8aab970032349");
	hmac_kdf(k_vault, 32, vault_id, 16, "hf1/seal-salt", ctx, 4, out, 32);
	kat_expect(out, 32, "ce0d072210881fe027f52cdca3a5cd034e45bab4a34dad16eb5144442194e3ea");
}
