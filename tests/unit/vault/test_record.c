#include "vault/record.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/col1.h"
#include "codec/zcodec.h"
#include "crypto/aead.h"
#include "crypto/hmac.h"
#include "lib/vault_kat.h"
#include "tests/lib/mixed_chunk.h"
#include "vault/record_rule.h"

static struct vault_kat kat;
static struct record_sealer *sealer;
static struct record_opener *opener;
static struct buf cr = BUF_INIT(RECORD_MAX_BYTES);
static struct buf raw = BUF_INIT(RECORD_MAX_RAW_BYTES);
static struct err err = ERR_INIT;
static struct ref ref;

static void setup(void)
{
	vault_kat_init(&kat);
	cr_assert(eq(int, record_sealer_new(1, kat.k_mle, RECORD_CHECK_FULL, &sealer, &err), 0));
	cr_assert(eq(int, record_opener_new(&opener, &err), 0));
}

static void teardown(void)
{
	record_sealer_free(sealer);
	record_opener_free(opener);
	buf_done(&cr);
	buf_done(&raw);
}

TestSuite(record, .init = setup, .fini = teardown);

static void seal(enum record_type type, enum record_class class, const void *data, size_t len)
{
	buf_clear(&cr);
	cr_assert(eq(int, record_seal(sealer, type, class, data, len, &cr, &ref, &err), 0), "%s",
		err.msg);
}

static int open_it(enum record_type type)
{
	buf_clear(&raw);
	return record_open(opener, &ref, type, cr.data, cr.len, &raw, &err);
}

/* Bytes that no codec can shorten, the same in every run. */
static void noise(uint8_t *out, size_t len)
{
	uint64_t x = 88172645463325252u;
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		out[i] = (uint8_t)(x >> 32);
	}
}

Test(record, gives_the_known_answers)
{
	seal(RECORD_DATA, RECORD_CLASS_STREAM, "hello, plant", 12);
	cr_expect(eq(str, (char *)vault_kat_hex(cr.data, cr.len), VAULT_KAT_CHUNK_CR));
	cr_expect(eq(str, (char *)vault_kat_hex(ref.id, 32), VAULT_KAT_CHUNK_ID));
	cr_expect(eq(str, (char *)vault_kat_hex(ref.key, 32), VAULT_KAT_CHUNK_KEY));
	cr_expect(eq(u32, ref.raw_len, 12));
	cr_expect(eq(u32, ref.cr_len, 52));

	uint8_t payload[104];
	vault_kat_range(payload, 0xa0, 32);
	ref_encode(&ref, payload + 32);
	seal(RECORD_ROOT, RECORD_CLASS_META, payload, sizeof(payload));
	cr_expect(eq(str, (char *)vault_kat_hex(ref.id, 32), VAULT_KAT_ROOT_ID));
	cr_expect(eq(str, (char *)vault_kat_hex(ref.key, 32), VAULT_KAT_ROOT_KEY));
	cr_expect(eq(u32, ref.cr_len, VAULT_KAT_ROOT_LEN));
}

Test(record, padme_gives_the_known_answers)
{
	static const size_t want[][2] = { { 0, 0 }, { 1, 1 }, { 2, 2 }, { 3, 3 }, { 9, 10 },
		{ 24, 24 }, { 100, 104 }, { 1000, 1024 }, { 65536, 65536 }, { 65537, 67584 },
		{ 1048576, 1048576 }, { 1048577, 1081344 }, { 3000000, 3014656 } };
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		cr_expect(eq(sz, record_padme(want[i][0]), want[i][1]), "%zu", want[i][0]);
}

/* Shapes of content: by number, what a plant's files look like. */
static size_t shape(int number, uint8_t *out, size_t max)
{
	size_t len = number == 0 ? 0 : number == 1 ? 1 : max;
	if (number == 2)
		noise(out, len);
	for (size_t i = 0; number == 3 && i < len; i++)
		out[i] = (uint8_t)("temperature=21.5;state=run;"[i % 27] + (i / 4096) % 3);
	for (size_t i = 0; number == 4 && i + 16 <= len; i += 16) { /* historian rows */
		uint64_t t = 1700000000000u + i / 16 * 1000;
		uint64_t v = 0x4035800000000000u + (i / 16 * 7919 % 97 << 38);
		memcpy(out + i, &t, 8);
		memcpy(out + i + 8, &v, 8);
	}
	return len;
}

Test(record, every_class_and_suite_gives_the_raw_bytes_back)
{
	static uint8_t data[200000];
	for (int suite = 1; suite <= 2; suite++) {
		record_sealer_free(sealer);
		cr_assert(eq(int,
			record_sealer_new(suite, kat.k_mle, RECORD_CHECK_FULL, &sealer, &err), 0));
		for (int number = 0; number <= 4; number++) {
			for (int class = 1; class <= 3; class ++) {
				memset(data, 0, sizeof(data));
				size_t len = shape(number, data, sizeof(data));
				seal(RECORD_ATTR, (enum record_class) class, data, len);
				cr_assert(eq(int, cr.data[4], suite));
				cr_assert(eq(int, open_it(RECORD_ATTR), 0), "%s", err.msg);
				cr_assert(eq(sz, raw.len, len));
				cr_assert(len == 0 || memcmp(raw.data, data, len) == 0);
			}
		}
	}
}

Test(record, what_does_not_shrink_is_stored_as_it_is)
{
	static uint8_t data[100000];
	noise(data, sizeof(data));
	seal(RECORD_DATA, RECORD_CLASS_STREAM, data, sizeof(data));
	cr_expect(eq(sz, cr.len, record_padme(12 + sizeof(data)) + 28));
	memset(data, 'a', sizeof(data));
	seal(RECORD_DATA, RECORD_CLASS_STREAM, data, sizeof(data));
	cr_expect(lt(sz, cr.len, 200));
}

/* The payload of ${data} packed without a filter, as the rule has it then. */
static size_t without_filter(struct zcodec *z, const uint8_t *data, size_t len)
{
	static uint8_t out[1 << 21];
	return zcodec_compress(z, ZCODEC_MIDDLE, data, len, out, sizeof(out));
}

Test(record, a_wrong_guess_at_a_filter_never_makes_a_record_longer)
{
	static uint8_t data[1 << 20];
	struct zcodec *z = NULL;
	unsigned guessed = 0, longer = 0;
	cr_assert(eq(int, zcodec_new(&z, &err), 0));
	for (unsigned kind = 0; kind < MIXED_CHUNK_KINDS; kind += 3) {
		struct record_rule rule;
		mixed_chunk_fill(data, sizeof(data), kind);
		seal(RECORD_DATA, RECORD_CLASS_STREAM, data, sizeof(data));
		size_t plain = record_padme(12 + without_filter(z, data, sizeof(data))) + 28;
		longer += cr.len > plain;
		record_rule_choose(z, RECORD_CLASS_STREAM, data, sizeof(data), &rule);
		guessed += rule.has_filter && cr.len == plain;
		cr_expect(eq(int, open_it(RECORD_DATA), 0));
		cr_expect(eq(int, memcmp(raw.data, data, sizeof(data)), 0));
	}
	cr_expect(eq(int, (int)longer, 0));
	cr_expect(ge(int, (int)guessed, 3), "%u", guessed); /* wrong guesses, taken back */
	zcodec_free(z);
}

Test(record, the_same_bytes_are_the_same_record_from_any_sealer)
{
	static uint8_t data[150000];
	struct record_sealer *other = NULL;
	cr_assert(eq(int, record_sealer_new(1, kat.k_mle, RECORD_CHECK_OPEN, &other, &err), 0));
	CLEANUP(buf_done) struct buf second = BUF_INIT(RECORD_MAX_BYTES);
	struct ref second_ref;
	for (int number = 0; number <= 4; number++) {
		memset(data, 0, sizeof(data));
		size_t len = shape(number, data, sizeof(data));
		seal(RECORD_DATA, RECORD_CLASS_STREAM, data, len);
		buf_clear(&second);
		cr_assert(eq(int,
			record_seal(other, RECORD_DATA, RECORD_CLASS_STREAM, data, len, &second,
				&second_ref, &err),
			0));
		cr_assert(eq(sz, second.len, cr.len));
		cr_expect(memcmp(second.data, cr.data, cr.len) == 0);
		cr_expect(memcmp(&second_ref, &ref, sizeof(ref)) == 0);
	}
	record_sealer_free(other);
}

Test(record, records_are_appended_and_another_key_makes_another_record)
{
	struct record_sealer *other = NULL;
	struct ref second;
	cr_assert(eq(int, record_sealer_new(1, kat.k_dom, RECORD_CHECK_SAMPLE, &other, &err), 0));
	seal(RECORD_DATA, RECORD_CLASS_BUNDLE, "hello, plant", 12);
	cr_assert(eq(int,
		record_seal(other, RECORD_DATA, RECORD_CLASS_BUNDLE, "hello, plant", 12, &cr,
			&second, &err),
		0));
	record_sealer_free(other);
	cr_expect(eq(sz, cr.len, 104));
	cr_expect(memcmp(ref.id, second.id, 32) != 0);
	cr_assert(eq(
		int, record_open(opener, &second, RECORD_DATA, cr.data + 52, 52, &raw, &err), 0));
	cr_expect(memcmp(raw.data, "hello, plant", 12) == 0);
}

Test(record, limits_are_told_and_nothing_is_appended)
{
	uint8_t *data = calloc(1, (size_t)RECORD_MAX_RAW_BYTES + 1);
	cr_assert(ne(ptr, data, NULL));
	cr_expect(eq(int,
		record_seal(sealer, RECORD_DATA, RECORD_CLASS_BUNDLE, data,
			(size_t)RECORD_MAX_RAW_BYTES + 1, &cr, &ref, &err),
		-ERR_LIMIT));
	noise(data, RECORD_MAX_WRITE_BYTES);
	cr_expect(eq(int,
		record_seal(sealer, RECORD_DATA, RECORD_CLASS_STREAM, data, RECORD_MAX_WRITE_BYTES,
			&cr, &ref, &err),
		-ERR_LIMIT));
	CLEANUP(buf_done) struct buf small = BUF_INIT(51);
	cr_expect(eq(int,
		record_seal(sealer, RECORD_DATA, RECORD_CLASS_STREAM, data, 12, &small, &ref, &err),
		-ERR_LIMIT));
	cr_expect(eq(sz, cr.len + small.len, 0));
	free(data);
}

Test(record, unknown_suites_are_not_sealed)
{
	struct record_sealer *none = NULL;
	cr_expect(eq(int, record_sealer_new(3, kat.k_mle, RECORD_CHECK_FULL, &none, &err),
		-ERR_UNSUPPORTED));
	cr_expect(eq(ptr, none, NULL));
}

Test(record, every_flipped_bit_is_refused_by_the_id)
{
	seal(RECORD_DATA, RECORD_CLASS_STREAM, "hello, plant", 12);
	for (size_t i = 0; i < cr.len * 8; i++) {
		cr.data[i / 8] ^= (uint8_t)(1 << i % 8);
		cr_assert(eq(int, open_it(RECORD_DATA), -ERR_CORRUPT));
		cr_assert(eq(str, err.msg, "record does not hash to its id"));
		cr.data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	cr_expect(eq(int, open_it(RECORD_DATA), 0));
}

Test(record, flipped_bits_under_a_right_id_are_refused_with_the_right_code)
{
	seal(RECORD_DATA, RECORD_CLASS_STREAM, "hello, plant", 12);
	for (size_t i = 0; i < cr.len * 8; i++) {
		cr.data[i / 8] ^= (uint8_t)(1 << i % 8);
		hash_sha256(cr.data, cr.len, ref.id);
		int want = -ERR_CORRUPT;
		uint8_t value = cr.data[i / 8];
		if (i / 8 == 4 && value != 2)
			want = -ERR_UNSUPPORTED;
		if (i / 8 == 5 && (value < 1 || value > 4))
			want = -ERR_UNSUPPORTED;
		cr_assert(eq(int, open_it(RECORD_DATA), want), "bit %zu: %s", i, err.msg);
		cr_assert(eq(sz, raw.len, 0));
		cr.data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

Test(record, every_flipped_bit_of_the_reference_is_refused)
{
	seal(RECORD_DATA, RECORD_CLASS_STREAM, "hello, plant", 12);
	struct ref right = ref;
	uint8_t bytes[REF_BYTES];
	for (size_t i = 0; i < REF_BYTES * 8; i++) {
		ref_encode(&right, bytes);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		ref_decode(bytes, &ref);
		cr_assert(eq(int, open_it(RECORD_DATA), -ERR_CORRUPT));
	}
}

Test(record, truncations_and_another_type_are_refused)
{
	seal(RECORD_DATA, RECORD_CLASS_STREAM, "hello, plant", 12);
	cr_expect(eq(int, open_it(RECORD_NODE), -ERR_CORRUPT));
	for (size_t len = 0; len < cr.len; len++) {
		cr_assert(eq(int, record_open(opener, &ref, RECORD_DATA, cr.data, len, &raw, &err),
			-ERR_CORRUPT));
		struct ref short_ref = ref;
		short_ref.cr_len = (uint32_t)len;
		hash_sha256(cr.data, len, short_ref.id);
		cr_assert(eq(int,
			record_open(opener, &short_ref, RECORD_DATA, cr.data, len, &raw, &err),
			-ERR_CORRUPT));
	}
}

/* Seal an inner part as it is, as a faulty or hostile writer could. */
static void seal_inner(const uint8_t *inner, size_t len, uint32_t raw_len)
{
	uint8_t header[12];
	buf_clear(&cr);
	ref = (struct ref){ .raw_len = raw_len, .cr_len = (uint32_t)len + 28 };
	record_header(1, RECORD_DATA, ref.cr_len, header);
	cr_assert(eq(int, buf_add(&cr, header, 12, &err), 0));
	cr_assert(eq(int, buf_add_zero(&cr, len + 16, &err), 0));
	cr_assert(eq(
		int, aead_seal(1, ref.key, NULL, cr.data, 12, inner, len, cr.data + 12, &err), 0));
	hash_sha256(cr.data, cr.len, ref.id);
}

/* A plain record of 100 bytes (104 + 12 padded to 120), changed in one byte. */
static int open_changed(size_t at, uint8_t value)
{
	uint8_t inner[120] = { 0 };
	bytes_put32(inner + 4, 100);
	bytes_put32(inner + 8, 100);
	inner[at] = value;
	seal_inner(inner, record_padme(112), 100);
	return open_it(RECORD_DATA);
}

Test(record, inner_parts_that_are_wrong_under_a_right_tag_are_refused)
{
	cr_assert(eq(sz, record_padme(112), 112));
	cr_expect(eq(int, open_changed(50, 9), 0), "%s", err.msg);
	cr_expect(eq(int, open_changed(0, 2), -ERR_UNSUPPORTED), "lz4");
	cr_expect(eq(int, open_changed(0, 3), -ERR_UNSUPPORTED), "dictionary");
	cr_expect(eq(int, open_changed(0, 9), -ERR_UNSUPPORTED), "unknown compression");
	cr_expect(eq(int, open_changed(1, 1), -ERR_UNSUPPORTED), "random prefix");
	cr_expect(eq(int, open_changed(1, 128), -ERR_UNSUPPORTED), "unknown flag");
	cr_expect(eq(int, open_changed(2, 2), -ERR_UNSUPPORTED), "unknown filter");
	cr_expect(eq(int, open_changed(3, 1), -ERR_CORRUPT), "reserved");
	cr_expect(eq(int, open_changed(7, 99), -ERR_CORRUPT), "raw length");
	cr_expect(eq(int, open_changed(11, 99), -ERR_CORRUPT), "payload shorter than raw");
	cr_expect(eq(int, open_changed(11, 101), -ERR_CORRUPT), "payload past the end");
	cr_expect(eq(int, open_changed(8, 255), -ERR_CORRUPT), "payload far past the end");
	cr_expect(eq(int, open_changed(0, 1), -ERR_CORRUPT), "not a zstd frame");
	cr_expect(eq(int, open_changed(2, 1), -ERR_CORRUPT), "no filter parameters");
}

Test(record, padding_that_is_not_zero_or_too_long_is_refused)
{
	uint8_t inner[128] = { 0 };
	bytes_put32(inner + 4, 101);
	bytes_put32(inner + 8, 101);
	cr_assert(eq(sz, record_padme(113), 120));
	seal_inner(inner, 120, 101);
	cr_expect(eq(int, open_it(RECORD_DATA), 0), "%s", err.msg);
	inner[119] = 1;
	seal_inner(inner, 120, 101);
	cr_expect(eq(int, open_it(RECORD_DATA), -ERR_CORRUPT));
	inner[119] = 0;
	seal_inner(inner, 128, 101);
	cr_expect(eq(int, open_it(RECORD_DATA), -ERR_CORRUPT));
	seal_inner(inner, 113, 101);
	cr_expect(eq(int, open_it(RECORD_DATA), -ERR_CORRUPT));
}

/* A zstd record that says it holds ${said} bytes and holds ${real} zeros. */
static int open_zstd(uint32_t said, size_t real)
{
	struct zcodec *z = NULL;
	uint8_t *zeros = calloc(1, real);
	uint8_t inner[4096] = { 1 };
	cr_assert(eq(int, zcodec_new(&z, &err), 0));
	size_t n = zcodec_compress(z, ZCODEC_LOW, zeros, real, inner + 12, sizeof(inner) - 12);
	zcodec_free(z);
	free(zeros);
	cr_assert(ge(sz, n, 1));
	bytes_put32(inner + 4, said);
	bytes_put32(inner + 8, (uint32_t)n);
	seal_inner(inner, record_padme(12 + n), said);
	return open_it(RECORD_DATA);
}

Test(record, a_frame_must_hold_exactly_the_raw_length)
{
	cr_expect(eq(int, open_zstd(1000, 1000), 0), "%s", err.msg);
	cr_expect(eq(int, open_zstd(1001, 1000), -ERR_CORRUPT));
	cr_expect(eq(int, open_zstd(999, 1000), -ERR_CORRUPT));
	cr_expect(eq(int, open_zstd(RECORD_MAX_RAW_BYTES + 1, 1000), -ERR_CORRUPT));
}

Test(record, a_filtered_record_stored_plain_opens_and_a_filter_behind_the_end_does_not)
{
	const struct col1 filter = { .stride = 16, .phase = 5, .mode = { 2, 1 } };
	uint8_t data[101];
	uint8_t inner[256] = { 0, 0, 1 };
	noise(data, sizeof(data));
	size_t used = col1_encode(&filter, inner + 12);
	col1_forward(&filter, data, inner + 12 + used, sizeof(data));
	bytes_put32(inner + 4, sizeof(data));
	bytes_put32(inner + 8, (uint32_t)(used + sizeof(data)));
	seal_inner(inner, record_padme(12 + used + sizeof(data)), sizeof(data));
	cr_assert(eq(int, open_it(RECORD_DATA), 0), "%s", err.msg);
	cr_expect(memcmp(raw.data, data, sizeof(data)) == 0);

	memset(inner + 12 + used, 0, sizeof(data));
	bytes_put32(inner + 4, 5);
	bytes_put32(inner + 8, (uint32_t)used + 5);
	seal_inner(inner, record_padme(12 + used + 5), 5);
	cr_expect(eq(int, open_it(RECORD_DATA), -ERR_CORRUPT));
	bytes_put32(inner + 4, 0);
	bytes_put32(inner + 8, (uint32_t)used);
	seal_inner(inner, record_padme(12 + used), 0);
	cr_expect(eq(int, open_it(RECORD_DATA), -ERR_CORRUPT));
}

Test(record, peek_reads_what_header_wrote)
{
	uint8_t header[12];
	uint32_t cr_len;
	int suite;
	int type;
	record_header(2, RECORD_NODE, 5000, header);
	cr_assert(eq(int, record_peek(header, 12, &cr_len, &suite, &type, &err), 0));
	cr_expect(eq(u32, cr_len, 5000));
	cr_expect(eq(int, suite, 2));
	cr_expect(eq(int, type, RECORD_NODE));
	cr_expect(eq(int, record_peek(header, 11, &cr_len, &suite, &type, &err), -ERR_CORRUPT));
	record_header(1, RECORD_DATA, 39, header);
	cr_expect(eq(int, record_peek(header, 12, &cr_len, &suite, &type, &err), -ERR_CORRUPT));
	record_header(1, RECORD_DATA, RECORD_MAX_BYTES, header);
	cr_expect(eq(int, record_peek(header, 12, &cr_len, &suite, &type, &err), 0));
	record_header(1, RECORD_DATA, RECORD_MAX_BYTES + 1, header);
	cr_expect(eq(int, record_peek(header, 12, &cr_len, &suite, &type, &err), -ERR_CORRUPT));
	record_header(1, 5, 5000, header);
	cr_expect(eq(int, record_peek(header, 12, &cr_len, &suite, &type, &err), -ERR_UNSUPPORTED));
}
