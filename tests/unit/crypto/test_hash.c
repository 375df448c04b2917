#include "crypto/hash.h"

#include "unit/crypto/kat.h"

static void expect_head(size_t count, const char *hex)
{
	uint8_t leaves[21][HASH_BYTES];
	uint8_t head[HASH_BYTES];
	for (size_t i = 0; i < count; i++)
		memset(leaves[i], (int)i, HASH_BYTES);
	hash_merkle(leaves, count, head);
	kat_expect(head, sizeof(head), hex);
}

Test(hash, sha256_of_abc_and_of_nothing)
{
	uint8_t out[HASH_BYTES];

	hash_sha256("abc", 3, out);
	kat_expect(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hash_sha256(NULL, 0, out);
	kat_expect(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

Test(hash, pieces_give_the_digest_of_the_whole_and_begin_anew)
{
	const char *msg = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	const char *hex = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
	uint8_t out[HASH_BYTES];
	struct hash *h = hash_new();

	for (int again = 0; again < 2; again++) {
		hash_add(h, msg, 1);
		hash_add(h, NULL, 0);
		hash_add(h, msg + 1, strlen(msg) - 1);
		hash_end(h, out);
		kat_expect(out, 32, hex);
	}
	hash_free(h);
	hash_free(NULL);
}

Test(hash, merkle_heads_of_every_small_count)
{
	expect_head(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect_head(1, "7f9c9e31ac8256ca2f258583df262dbc7d6f68f2a03043d5c99a4ae5a7396ce9");
	expect_head(2, "28fb81e496897e0ce886f08602392e9239b65c659041e5202163e58ad898f444");
	expect_head(3, "ba8d94b7fbcecae7b81c4c80574fe24734a6917bf9c1ecd66ff3e0c34ead4620");
	expect_head(4, "fdea52008cdae79fa8bf806261959e23f5e11681646a2fa2bc9b5e56b32030a2");
	expect_head(5, "85e20cac1f02fda7bcdb2fc3f908568c57018c77815f1fa361acad13994f08bf");
	expect_head(6, "380272ed524daf3398067faf4717782ba90805d4823ea6e1e594668c9fd40bba");
	expect_head(7, "7318881c41fce3c1de3640df8e8c110c93f43f686b74204a9d1ad5b8c71c2047");
	expect_head(8, "f907f23f76aa01b755a614d31ef9832909f44638b4590073301e61e6d01f9a1d");
	expect_head(21, "39e96f341230cad61706a805a6a95a9098c620398b859c42365500c1b702cf0a");
}

Test(hash, merkle_head_of_the_reference_list_of_the_format)
{
	uint8_t segment[KAT_MAX_BYTES];
	uint8_t leaf[1][HASH_BYTES];
	uint8_t head[HASH_BYTES];
	size_t len = 0;
	kat_bytes("48465231" /* HFR1 */ "00000002"
		  "8f12cf0aa00461086634416b7bb44af703fc869f1e636e3b807b106fc9566dee"
		  "00000034"
		  "491409fac122e82a58398531838f9b28287c1e1e8e11fc299c829e88cfa1c267"
		  "00000094",
		segment, &len);

	hash_sha256(segment, len, leaf[0]);
	hash_merkle(leaf, 1, head);

	kat_expect(head, 32, "8283ec9e86594d1cb2974c241c618f689f40b91c41b87cb67d5f72a6374be2d4");
}

Test(hash, is_equal_sees_a_difference_in_any_byte)
{
	uint8_t a[HASH_BYTES] = { 1, 2, 3 };
	uint8_t b[HASH_BYTES];
	memcpy(b, a, sizeof(b));

	cr_expect(eq(int, hash_is_equal(a, b, sizeof(a)), 1));
	for (size_t i = 0; i < sizeof(b); i++) {
		b[i] ^= 0x80;
		cr_expect(eq(int, hash_is_equal(a, b, sizeof(a)), 0));
		b[i] ^= 0x80;
	}
	cr_expect(eq(int, hash_is_equal(a, b, 0), 1));
}

Test(hash, pieces_hash_as_one_message)
{
	const struct hash_part parts[] = { { "hello, ", 7 }, { NULL, 0 }, { "plant", 5 } };
	uint8_t one[HASH_BYTES], all[HASH_BYTES];
	hash_sha256("hello, plant", 12, one);
	hash_parts(parts, 3, all);
	cr_expect(eq(int, memcmp(one, all, sizeof(one)), 0));
	hash_sha256("", 0, one);
	hash_parts(NULL, 0, all);
	cr_expect(eq(int, memcmp(one, all, sizeof(one)), 0));
}
