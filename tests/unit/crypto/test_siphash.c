#include "crypto/siphash.h"

#include "unit/crypto/kat.h"

/* The reference vectors: key 00..0f, message of i bytes 00, 01, ..; output bytes little-endian. */
static const char *const reference[] = {
	"310e0edd47db6f72",
	"fd67dc93c539f874",
	"5a4fa9d909806c0d",
	"2d7efbd796666785",
	"b7877127e09427cf",
	"8da699cd64557618",
	"cee3fe586e46c9cb",
	"37d1018bf50002ab",
	"6224939a79f5f593",
	"b0e4a90bdf82009e",
	"f3b9dd94c5bb5d7a",
	"a7ad6b22462fb3f4",
	"fbe50e86bc8f1e75",
	"903d84c02756ea14",
	"eef27a8e90ca23f7",
	"e545be4961ca29a1",
};

Test(siphash, reference_vectors)
{
	uint8_t key[16];
	uint8_t msg[16];
	uint8_t out[8];
	kat_range(0, 16, key);
	kat_range(0, 16, msg);
	for (size_t len = 0; len < 16; len++) {
		uint64_t v = siphash_key(key, msg, len);
		for (unsigned i = 0; i < 8; i++)
			out[i] = (uint8_t)(v >> (8 * i));
		kat_expect(out, 8, reference[len]);
	}
}

Test(siphash, messages_of_64_bytes)
{
	uint8_t key[16];
	uint8_t msg[64];
	kat_range(0, 16, key);
	kat_range(0, 64, msg);

	cr_expect(eq(u64, siphash_key(key, msg, 64), UINT64_C(0xacd2c40b8502cad8)));
	cr_expect(eq(u64,
		siphash_24(UINT64_C(0xc618866f240b47a4), UINT64_C(0x9406e689f898ba98), msg, 64),
		UINT64_C(0x25b795cb734dd2e0)));
}

Test(siphash, the_length_counts_even_when_the_bytes_are_zero)
{
	uint8_t key[16] = { 3 };
	uint8_t zero[16] = { 0 };

	cr_expect(ne(u64, siphash_key(key, zero, 8), siphash_key(key, zero, 9)));
	cr_expect(ne(u64, siphash_key(key, NULL, 0), siphash_key(key, zero, 1)));
}
