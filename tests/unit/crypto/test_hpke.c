#include "crypto/hpke.h"

#include <errno.h>

#include "base/env.h"
#include "base/err.h"
#include "crypto/hpke_internal.h"
#include "unit/crypto/kat.h"

#define INFO_HEX "4f6465206f6e2061204772656369616e2055726e"

/* RFC 7748 section 5.2 */
Test(hpke, rfc7748_scalar_multiplications)
{
	uint8_t sk[32];
	uint8_t pk[32];
	uint8_t out[32];
	kat_bytes("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", sk, NULL);
	kat_bytes("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", pk, NULL);
	cr_assert(eq(int, hpke_dh(sk, pk, out, NULL), 0));
	kat_expect(out, 32, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
	kat_bytes("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d", sk, NULL);
	kat_bytes("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493", pk, NULL);
	cr_assert(eq(int, hpke_dh(sk, pk, out, NULL), 0));
	kat_expect(out, 32, "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
}

Test(hpke, rfc7748_iterated)
{
	uint8_t k[32] = { 9 };
	uint8_t u[32] = { 9 };
	uint8_t out[32];
	for (int i = 1; i <= 1000; i++) {
		cr_assert(eq(int, hpke_dh(k, u, out, NULL), 0));
		memcpy(u, k, 32);
		memcpy(k, out, 32);
		if (i == 1)
			kat_expect(k, 32,
				"422c8e7a6227d7bca1350b3e2bb7279f"
				"7897b87bb6854b783c60e80311ae3079");
	}
	kat_expect(k, 32, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

/* RFC 7748 section 6.1 */
Test(hpke, rfc7748_diffie_hellman)
{
	const char *shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
	uint8_t a[32];
	uint8_t b[32];
	uint8_t pk_a[32];
	uint8_t pk_b[32];
	uint8_t out[32];
	kat_bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", a, NULL);
	kat_bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", b, NULL);

	hpke_public(a, pk_a);
	hpke_public(b, pk_b);
	kat_expect(pk_a, 32, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	kat_expect(pk_b, 32, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	cr_assert(eq(int, hpke_dh(a, pk_b, out, NULL), 0));
	kat_expect(out, 32, shared);
	cr_assert(eq(int, hpke_dh(b, pk_a, out, NULL), 0));
	kat_expect(out, 32, shared);
}

/* RFC 9180 A.1.1: the KEM is ours, the AEAD is AES-128-GCM (id 1). */
Test(hpke, rfc9180_a11_intermediate_values)
{
	uint8_t sk_e[32];
	uint8_t sk_r[32];
	uint8_t pk_r[32];
	uint8_t enc[32];
	uint8_t shared[32];
	uint8_t key[16];
	uint8_t nonce[HPKE_NONCE_BYTES];
	uint8_t ikm[32];
	uint8_t info[20];
	kat_bytes(INFO_HEX, info, NULL);

	kat_bytes("7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234", ikm, NULL);
	hpke_derive_key(ikm, sizeof(ikm), sk_e);
	kat_expect(sk_e, 32, "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736");
	kat_bytes("6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037", ikm, NULL);
	hpke_derive_key(ikm, sizeof(ikm), sk_r);
	kat_expect(sk_r, 32, "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8");
	hpke_public(sk_r, pk_r);
	kat_expect(pk_r, 32, "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d");

	cr_assert(eq(int, hpke_encap(sk_e, pk_r, shared, enc, NULL), 0));
	kat_expect(enc, 32, "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431");
	kat_expect(shared, 32, "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc");
	memset(shared, 0, sizeof(shared));
	cr_assert(eq(int, hpke_decap(sk_r, enc, shared, NULL), 0));
	kat_expect(shared, 32, "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc");

	hpke_schedule(shared, info, sizeof(info), 1, key, sizeof(key), nonce);
	kat_expect(key, 16, "4531685d41d65f03dc48f6b8302c05b0");
	kat_expect(nonce, 12, "56d890e5accaaf011cff4b7d");
}

/* RFC 9180 A.2.1: ChaCha20-Poly1305 (id 3), a key of 32 bytes like ours. */
Test(hpke, rfc9180_a21_intermediate_values)
{
	uint8_t sk_e[32];
	uint8_t pk_r[32];
	uint8_t enc[32];
	uint8_t shared[32];
	uint8_t key[32];
	uint8_t nonce[HPKE_NONCE_BYTES];
	uint8_t info[20];
	kat_bytes(INFO_HEX, info, NULL);
	kat_bytes("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600", sk_e, NULL);
	kat_bytes("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a", pk_r, NULL);

	cr_assert(eq(int, hpke_encap(sk_e, pk_r, shared, enc, NULL), 0));
	kat_expect(enc, 32, "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
	kat_expect(shared, 32, "0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7");
	hpke_schedule(shared, info, sizeof(info), 3, key, sizeof(key), nonce);
	kat_expect(key, 32, "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91");
	kat_expect(nonce, 12, "5c4d98150661b848853b547f");
}

/* The envelope of the format's known answers: info = "hf1/env" 00 domain rkid, aad = snap hash. */
struct sample {
	uint8_t sk_r[32];
	uint8_t pk_r[32];
	uint8_t sk_e[32];
	uint8_t info[56];
	uint8_t aad[32];
	uint8_t pt[72];
	uint8_t enc[32];
	uint8_t ct[72 + HPKE_TAG_BYTES];
};

static void fill(struct sample *s)
{
	kat_range(0xc0, 32, s->sk_r);
	kat_range(0xe0, 32, s->sk_e);
	hpke_public(s->sk_r, s->pk_r);
	kat_bytes("6866312f656e7600404142434445464748494a4b4c4d4e4f"
		  "18aee1e09a546c16892d13d39c9801233af1bd5a35015f1e48b9c572ededc710",
		s->info, NULL);
	kat_bytes("33e4e94ec981a692c6138ad1ba727ac3a0607a8ee2f15f65caf3f89a2700d845", s->aad, NULL);
	kat_bytes("491409fac122e82a58398531838f9b28287c1e1e8e11fc299c829e88cfa1c267"
		  "08cb501d34960bdf2dd213a94916ef724c7d21df9f7f3d30b2feca903d273290"
		  "0000006800000094",
		s->pt, NULL);
	cr_assert(eq(int,
		hpke_seal(
			s->sk_e, s->pk_r, s->info, 56, s->aad, 32, s->pt, 72, s->enc, s->ct, NULL),
		0));
}

static int open_sample(const struct sample *s, size_t ct_len, uint8_t *pt)
{
	return hpke_open(s->sk_r, s->enc, s->info, 56, s->aad, 32, s->ct, ct_len, pt, NULL);
}

Test(hpke, seals_the_envelope_of_the_format)
{
	struct sample s;
	fill(&s);

	kat_expect(s.pk_r, 32, "dc2cca31e8e43bbd91dff7e475cca3347eb478107d5bd765aba4ae4a30c35d44");
	kat_expect(s.enc, 32, "736845d54e87de09d6bb114aa7042c50a4a015bd9901d1a0026f5956533a1519");
	kat_expect(s.ct, 88,
		"fcbe275c510b249635b591447f5deb11da00fdc09ebdc25e7a0b20bb3a54a712"
		"8d83882ca0958572928bc6fd18b79c6652d898cd0c97f8fcb6d2cc1f44532962"
		"9e2ec3f7eb5d7d938f45d9a11149b5b13a57dcbf26b64a6e");
}

Test(hpke, opens_what_it_sealed_and_nothing_else)
{
	struct sample s;
	uint8_t pt[88];
	fill(&s);

	cr_assert(eq(int, open_sample(&s, 88, pt), 0));
	cr_expect_arr_eq(pt, s.pt, 72);
	for (size_t len = 0; len < 88; len++)
		cr_expect(eq(int, open_sample(&s, len, pt), -ERR_CORRUPT));
	s.enc[0] ^= 1;
	cr_expect(eq(int, open_sample(&s, 88, pt), -ERR_CORRUPT));
	s.enc[0] ^= 1;
	s.info[0] ^= 1;
	cr_expect(eq(int, open_sample(&s, 88, pt), -ERR_CORRUPT));
	s.info[0] ^= 1;
	s.aad[31] ^= 1;
	cr_expect(eq(int, open_sample(&s, 88, pt), -ERR_CORRUPT));
	s.aad[31] ^= 1;
	s.ct[87] ^= 0x80;
	cr_expect(eq(int, open_sample(&s, 88, pt), -ERR_CORRUPT));
	s.ct[87] ^= 0x80;
	s.sk_r[5] ^= 1;
	cr_expect(eq(int, open_sample(&s, 88, pt), -ERR_CORRUPT));
}

Test(hpke, public_keys_of_low_order_are_refused)
{
	static const char *const low[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000080",
	};
	struct sample s;
	struct err err = ERR_INIT;
	uint8_t pt[72];
	fill(&s);
	for (size_t i = 0; i < sizeof(low) / sizeof(low[0]); i++) {
		kat_bytes(low[i], s.pk_r, NULL);
		kat_bytes(low[i], s.enc, NULL);
		memset(s.ct, 0xee, sizeof(s.ct));
		cr_expect(
			eq(int, hpke_seal(s.sk_e, s.pk_r, "", 0, "", 0, "x", 1, s.info, s.ct, &err),
				-ERR_CORRUPT));
		cr_expect(eq(str, err.msg, "public key is of low order"));
		cr_expect(eq(u8, s.ct[0], 0xee));
		cr_expect(eq(int, open_sample(&s, 88, pt), -ERR_CORRUPT));
	}
}

static int no_random(void *out, size_t len)
{
	(void)out;
	(void)len;
	errno = EIO;
	return -1;
}

Test(hpke, generated_keys_fit_each_other_and_differ)
{
	uint8_t sk[2][32];
	uint8_t pk[2][32];
	uint8_t again[32];
	for (int i = 0; i < 2; i++) {
		cr_assert(eq(int, hpke_generate(sk[i], pk[i], NULL), 0));
		hpke_public(sk[i], again);
		cr_expect_arr_eq(pk[i], again, 32);
	}
	cr_expect(ne(int, memcmp(sk[0], sk[1], 32), 0));
}

Test(hpke, generate_fails_without_randomness_and_touches_nothing)
{
	struct env_ops ops = *env_real();
	uint8_t sk[32] = { 1 };
	uint8_t pk[32] = { 2 };
	struct err err = ERR_INIT;
	ops.random = no_random;
	(void)env_swap(&ops);

	cr_expect(eq(int, hpke_generate(sk, pk, &err), -ERR_IO));
	(void)env_swap(NULL);

	cr_expect(eq(u8, sk[0], 1));
	cr_expect(eq(u8, pk[0], 2));
}
