#include "crypto/ed25519.h"

#include "unit/crypto/kat.h"

static void expect(
	const char *seed_hex, const char *pk_hex, const char *msg_hex, const char *sig_hex)
{
	uint8_t seed[32];
	uint8_t pk[32];
	uint8_t msg[KAT_MAX_BYTES];
	uint8_t sig[64];
	size_t len = 0;
	kat_bytes(seed_hex, seed, NULL);
	kat_bytes(msg_hex, msg, &len);

	ed25519_public(seed, pk);
	ed25519_sign(seed, len == 0 ? NULL : msg, len, sig);

	kat_expect(pk, 32, pk_hex);
	kat_expect(sig, 64, sig_hex);
	cr_expect(eq(int, ed25519_is_valid(pk, len == 0 ? NULL : msg, len, sig), 1));
}

/* RFC 8032 section 7.1: tests 1, 2, 3 and SHA(abc) */
Test(ed25519, rfc8032_vectors)
{
	expect("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
		"5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
	expect("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
		"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
	expect("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
		"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
		"18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
	expect("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
		"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		"dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
		"09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704");
}

Test(ed25519, any_changed_bit_makes_a_signature_invalid)
{
	uint8_t seed[32] = { 1 };
	uint8_t pk[32];
	uint8_t sig[64];
	uint8_t msg[5] = "plant";
	ed25519_public(seed, pk);
	ed25519_sign(seed, msg, sizeof(msg), sig);

	for (size_t bit = 0; bit < 8 * sizeof(sig); bit++) {
		sig[bit / 8] ^= (uint8_t)(1U << bit % 8);
		cr_expect(eq(int, ed25519_is_valid(pk, msg, sizeof(msg), sig), 0));
		sig[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(msg); bit++) {
		msg[bit / 8] ^= (uint8_t)(1U << bit % 8);
		cr_expect(eq(int, ed25519_is_valid(pk, msg, sizeof(msg), sig), 0));
		msg[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(pk); bit++) {
		pk[bit / 8] ^= (uint8_t)(1U << bit % 8);
		cr_expect(eq(int, ed25519_is_valid(pk, msg, sizeof(msg), sig), 0));
		pk[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	cr_expect(eq(int, ed25519_is_valid(pk, msg, sizeof(msg), sig), 1));
	cr_expect(eq(int, ed25519_is_valid(pk, msg, sizeof(msg) - 1, sig), 0));
}

/* S + L signs the same in arithmetic; only the smaller one is a signature. */
Test(ed25519, a_signature_with_s_not_reduced_is_invalid)
{
	uint8_t order[32];
	uint8_t seed[32] = { 1 };
	uint8_t pk[32];
	uint8_t sig[64];
	kat_bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", order, NULL);
	ed25519_public(seed, pk);
	ed25519_sign(seed, "x", 1, sig);

	unsigned carry = 0;
	for (size_t i = 0; i < 32; i++) {
		carry += (unsigned)sig[32 + i] + order[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}

	cr_expect(eq(int, ed25519_is_valid(pk, "x", 1, sig), 0));
}
