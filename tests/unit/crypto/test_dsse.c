#include "crypto/dsse.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/ed25519.h"
#include "unit/crypto/kat.h"

#define PAYLOAD_TYPE "application/vnd.in-toto+json"
#define PAYLOAD "{\"drill\":\"ok\"}"
#define KEYID "a0534397b4fdf00e2f4f2704e0518ade5e89de5c8677636ba9cb3da143eb8a9f"

static const char sealed[] =
	"{\"payload\":\"eyJkcmlsbCI6Im9rIn0=\",\"payloadType\":\"" PAYLOAD_TYPE "\","
	"\"signatures\":[{\"keyid\":\"" KEYID "\","
	"\"publicKey\":\"zRSzf5VulTGU/3+3Oz2B3MVh1hp1OAlLfD4aZD7l86o=\","
	"\"sig\":\"uei86llxeAjB41Vu/"
	"knn62uw04r5UL3soXM9R0Tpy8NqpsPRLr5Cdjnvl5VgEm7Ghpzshc8qMt1yA8QDz"
	"OBKDQ==\"}]}\n";

static uint8_t seed[32];
static uint8_t pk[32];
static struct buf text;

static void setup(void)
{
	text = (struct buf)BUF_INIT(1 << 20);
	kat_range(0x80, 32, seed);
	ed25519_public(seed, pk);
	cr_assert(eq(int, dsse_seal(seed, PAYLOAD_TYPE, PAYLOAD, strlen(PAYLOAD), &text, NULL), 0));
}

static void teardown(void)
{
	buf_done(&text);
}

TestSuite(dsse, .init = setup, .fini = teardown);

/* Open ${text}; what must stay untouched on failure is checked here. */
static int open_text(const uint8_t *key, struct err *err)
{
	CLEANUP(buf_done) struct buf payload = BUF_INIT(1 << 20);
	struct dsse_opened opened = { .count = 99 };
	int rc = dsse_open(text.data, text.len, PAYLOAD_TYPE, key, &payload, &opened, err);
	if (rc != 0) {
		cr_expect(eq(sz, payload.len, 0));
		cr_expect(eq(sz, opened.count, 99));
	}
	return rc;
}

/* Replace the one ${from} in ${text} by ${to}, of the same length. */
static void replace(const char *from, const char *to)
{
	char *at = memmem(text.data, text.len, from, strlen(from));
	cr_assert(ne(ptr, at, NULL));
	cr_assert(eq(sz, strlen(from), strlen(to)));
	memcpy(at, to, strlen(to));
}

Test(dsse, seals_the_same_bytes_as_an_independent_implementation)
{
	cr_expect_str_eq(buf_cstr(&text), sealed);
}

Test(dsse, opens_with_the_given_key_and_with_its_own)
{
	CLEANUP(buf_done) struct buf payload = BUF_INIT(1 << 20);
	struct dsse_opened opened;
	struct err err = ERR_INIT;

	cr_assert(eq(int, dsse_open(text.data, text.len, PAYLOAD_TYPE, pk, &payload, &opened, &err),
			  0),
		"%s", err.msg);
	cr_expect_str_eq(buf_cstr(&payload), PAYLOAD);
	cr_expect(eq(sz, opened.count, 1));
	cr_expect(eq(str, opened.signers[0].keyid, KEYID));
	cr_expect_arr_eq(opened.signers[0].pk, pk, 32);
	cr_expect(eq(
		int, dsse_open(text.data, text.len, PAYLOAD_TYPE, NULL, &payload, NULL, &err), 0));
	cr_expect_str_eq(buf_cstr(&payload), PAYLOAD PAYLOAD);
}

Test(dsse, payloads_of_every_small_length_come_back)
{
	uint8_t bytes[10];
	kat_range(0xf7, sizeof(bytes), bytes);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		CLEANUP(buf_done) struct buf payload = BUF_INIT(1 << 20);
		buf_clear(&text);
		cr_assert(eq(int, dsse_seal(seed, PAYLOAD_TYPE, bytes, len, &text, NULL), 0));
		cr_assert(eq(int,
			dsse_open(text.data, text.len, PAYLOAD_TYPE, pk, &payload, NULL, NULL), 0));
		cr_assert(eq(sz, payload.len, len));
		cr_expect(len == 0 || memcmp(payload.data, bytes, len) == 0);
	}
}

Test(dsse, another_key_is_told_apart_from_damage)
{
	uint8_t other[32];
	struct err err = ERR_INIT;
	seed[0] ^= 1;
	ed25519_public(seed, other);

	cr_expect(eq(int, open_text(other, &err), -ERR_AUTH));
	cr_expect(ne(ptr, strstr(err.msg, KEYID), NULL));
}

Test(dsse, every_changed_bit_is_found)
{
	for (size_t bit = 0; bit < 8 * text.len; bit++) {
		struct err err = ERR_INIT;
		text.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
		cr_expect(eq(int, open_text(NULL, &err), -ERR_CORRUPT), "bit %zu", bit);
		cr_expect(eq(int, open_text(pk, &err), -ERR_CORRUPT), "bit %zu", bit);
		text.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}

Test(dsse, every_cut_and_every_added_byte_is_found)
{
	struct err err = ERR_INIT;
	size_t whole = text.len;
	for (size_t len = 0; len < whole; len++) {
		text.len = len;
		cr_expect(eq(int, open_text(pk, &err), -ERR_CORRUPT), "length %zu", len);
	}
	text.len = whole;
	cr_assert(eq(int, buf_add(&text, "\n", 1, NULL), 0));
	cr_expect(eq(int, open_text(pk, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "envelope: bytes after its end at 328"));
}

Test(dsse, texts_say_what_is_wrong)
{
	struct err err = ERR_INIT;

	replace("eyJk", "eyJl");
	cr_expect(eq(int, open_text(pk, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "envelope: signature 1 of 1 does not match the payload"));
	replace("eyJl", "eyJk");
	/* the same payload byte, but a bit set that no byte has */
	replace("In0=", "In1=");
	cr_expect(eq(int, open_text(pk, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "envelope: byte 30 is not canonical"));
	replace("In1=", "In0=");
	replace("in-toto", "in_toto");
	cr_expect(eq(int, open_text(pk, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "envelope: payloadType is not '" PAYLOAD_TYPE "'"));
	replace("in_toto", "in-toto");
	replace("a0534", "b0534");
	cr_expect(eq(int, open_text(pk, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "envelope: keyid is not that of its publicKey"));
	replace("b0534", "a0534");
	replace("{\"payload\"", "{ payload\"");
	cr_expect(eq(int, open_text(pk, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "envelope: byte 1 is not of the form"));
}

Test(dsse, a_payload_signed_for_another_type_does_not_open)
{
	struct err err = ERR_INIT;
	buf_clear(&text);
	cr_assert(eq(int, dsse_seal(seed, "text/plain", "x", 1, &text, NULL), 0));

	cr_expect(eq(int, open_text(pk, &err), -ERR_CORRUPT));
}

Test(dsse, seal_and_open_keep_to_the_caps_of_their_buffers)
{
	CLEANUP(buf_done) struct buf tight = BUF_INIT(100);
	CLEANUP(buf_done) struct buf payload = BUF_INIT(3);
	struct err err = ERR_INIT;
	cr_assert(eq(int, buf_add(&tight, "kept", 4, NULL), 0));

	cr_expect(eq(int, dsse_seal(seed, PAYLOAD_TYPE, PAYLOAD, 14, &tight, &err), -ERR_LIMIT));
	cr_expect(eq(sz, tight.len, 4));
	cr_expect(eq(int, dsse_open(text.data, text.len, PAYLOAD_TYPE, pk, &payload, NULL, &err),
		-ERR_LIMIT));
	cr_expect(eq(sz, payload.len, 0));
}

/* ---- several signatures ---- */

/* Sign ${text} once more with seed ${n}. */
static int add_signature(uint8_t n, struct err *err)
{
	struct buf more = BUF_INIT(1 << 20);
	uint8_t other[32];
	kat_range(n, 32, other);
	int rc = dsse_add_signature(text.data, text.len, PAYLOAD_TYPE, other, &more, err);
	if (rc == 0) {
		buf_done(&text);
		text = more;
	} else {
		cr_expect(eq(sz, more.len, 0));
		buf_done(&more);
	}
	return rc;
}

Test(dsse, four_may_sign_in_their_order_and_no_fifth)
{
	CLEANUP(buf_done) struct buf payload = BUF_INIT(1 << 20);
	struct dsse_opened opened;
	struct err err = ERR_INIT;
	for (uint8_t n = 1; n < 4; n++)
		cr_assert(eq(int, add_signature(n, &err), 0), "%s", err.msg);
	cr_expect(eq(int, add_signature(4, &err), -ERR_LIMIT));
	cr_assert(eq(int, dsse_open(text.data, text.len, PAYLOAD_TYPE, pk, &payload, &opened, &err),
			  0),
		"%s", err.msg);
	cr_expect_str_eq(buf_cstr(&payload), PAYLOAD);
	cr_assert(eq(sz, opened.count, 4));
	cr_expect(eq(str, opened.signers[0].keyid, KEYID));
	for (uint8_t n = 1; n < 4; n++) {
		uint8_t other[32], other_pk[32];
		kat_range(n, 32, other);
		ed25519_public(other, other_pk);
		cr_expect_arr_eq(opened.signers[n].pk, other_pk, 32);
		cr_expect(eq(int, open_text(other_pk, &err), 0));
		cr_expect(eq(ptr, (void *)dsse_find_signer(&opened, opened.signers[n].keyid),
			(void *)&opened.signers[n]));
	}
	cr_expect(eq(ptr, (void *)dsse_find_signer(&opened, "nobody"), NULL));
}

Test(dsse, nobody_signs_twice)
{
	struct err err = ERR_INIT;
	cr_expect(eq(int, add_signature(0x80, &err), -ERR_EXISTS));
	cr_assert(eq(int, add_signature(1, &err), 0));
	cr_expect(eq(int, add_signature(1, &err), -ERR_EXISTS));
	/* nor by repeating the bytes of a signature */
	buf_clear(&text);
	cr_assert(eq(int, dsse_seal(seed, PAYLOAD_TYPE, PAYLOAD, strlen(PAYLOAD), &text, NULL), 0));
	const char *from = strchr(buf_cstr(&text), '['), *to = strchr(from, ']');
	CLEANUP(buf_done) struct buf twice = BUF_INIT(1 << 20);
	cr_assert(eq(int,
		buf_addf(&twice, NULL, "%.*s,%.*s]}\n", (int)(to - (const char *)text.data),
			(const char *)text.data, (int)(to - from - 1), from + 1),
		0));
	cr_expect(eq(int,
		dsse_open(twice.data, twice.len, PAYLOAD_TYPE, NULL, &(struct buf)BUF_INIT(100),
			NULL, &err),
		-ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "signed it twice"), NULL), "%s", err.msg);
}

Test(dsse, with_two_signatures_every_changed_bit_and_cut_is_found)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, add_signature(1, &err), 0));
	for (size_t bit = 0; bit < 8 * text.len; bit++) {
		text.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
		cr_expect(eq(int, open_text(NULL, &err), -ERR_CORRUPT), "bit %zu", bit);
		text.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	size_t whole = text.len;
	for (size_t len = 0; len < whole; len++) {
		text.len = len;
		cr_expect(eq(int, open_text(NULL, &err), -ERR_CORRUPT), "length %zu", len);
	}
	text.len = whole;
}

Test(dsse, a_broken_envelope_gets_no_second_signature)
{
	struct err err = ERR_INIT;
	text.data[20] ^= 1;
	cr_expect(eq(int, add_signature(1, &err), -ERR_CORRUPT));
}
