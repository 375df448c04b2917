#include "crypto/scrypt.h"

#include "base/err.h"
#include "unit/crypto/kat.h"

/* RFC 7914 section 12, the vectors within our limits. */
Test(scrypt, rfc7914_vectors)
{
	uint8_t out[64];

	cr_assert(eq(int, scrypt_derive(NULL, 0, NULL, 0, 4, 1, 1, out, 64, NULL), 0));
	kat_expect(out, 64,
		"77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
		"fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
	cr_assert(eq(int,
		scrypt_derive("pleaseletmein", 13, "SodiumChloride", 14, 14, 8, 1, out, 64, NULL),
		0));
	kat_expect(out, 64,
		"7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
		"d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887");
}

/* The recovery file's parameters; 128 MiB. */
Test(scrypt, known_answer_of_the_format)
{
	uint8_t salt[32];
	uint8_t out[64];
	kat_range(0, 32, salt);

	cr_assert(eq(int,
		scrypt_derive(
			"correct horse battery staple", 28, salt, 32, 17, 8, 1, out, 64, NULL),
		0));

	kat_expect(out, 64,
		"55ec668cdcdcadc65ef8bc3635501a2078128ba78c6ee090a6a9ea1231ee42eb"
		"47a0ee8f4a5d5dee5ceaf017bf639646f7574147009d7686cf573b1471612d3a");
}

Test(scrypt, parameters_outside_the_limits_are_refused_and_touch_nothing)
{
	static const unsigned bad[][3] = {
		{ 21, 8, 1 },
		{ 0, 8, 1 },
		{ 14, 17, 1 },
		{ 14, 0, 1 },
		{ 14, 8, 5 },
		{ 14, 8, 0 },
		{ 16, 1, 1 },
		{ 4294967295U, 8, 1 },
	};
	struct err err = ERR_INIT;
	uint8_t out[4] = { 1, 2, 3, 4 };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int,
			scrypt_derive(
				"p", 1, "s", 1, bad[i][0], bad[i][1], bad[i][2], out, 4, &err),
			-ERR_LIMIT));
	cr_expect(eq(int, scrypt_derive("p", 1, "s", 1, 4, 1, 1, out, 0, &err), -ERR_LIMIT));
	kat_expect(out, 4, "01020304");
}

Test(scrypt, the_limits_themselves_are_allowed)
{
	uint8_t a[16];
	uint8_t b[16];

	cr_expect(eq(int, scrypt_derive("p", 1, "s", 1, 4, 16, 4, a, 16, NULL), 0));
	cr_expect(eq(int, scrypt_derive("p", 1, "t", 1, 4, 16, 4, b, 16, NULL), 0));
	cr_expect(ne(int, memcmp(a, b, 16), 0));
}
