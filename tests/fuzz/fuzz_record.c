/*
 * fuzz_record: the inside of a record: codec, filter, lengths, padding (docs/FORMAT.md section 3).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "fuzz/fuzz.h"
#include "vault/record.h"

#define HEAD 5 /* suite and type, raw length */

static const uint8_t k_mle[32] = { 1 };

/* Seal ${inner} as a writer would, whatever it says. */
static void open_inner(int suite, int type, uint32_t raw_len, const uint8_t *inner, size_t n)
{
	struct buf raw = BUF_INIT(RECORD_MAX_RAW_BYTES);
	struct err err = ERR_INIT;
	struct record_opener *o = NULL;
	struct ref ref = { .raw_len = raw_len };
	size_t total = n + RECORD_HEADER_BYTES + RECORD_TAG_BYTES;
	uint8_t *cr = malloc(total);
	FUZZ_CHECK(cr != NULL);
	record_header(suite, type, (uint32_t)total, cr);
	const struct hmac_part parts[] = { { "hf1/chunk-key", 14 }, { cr, RECORD_HEADER_BYTES },
		{ inner, n } };
	hmac_sha256(k_mle, sizeof(k_mle), parts, 3, ref.key);
	FUZZ_CHECK(aead_seal(suite, ref.key, NULL, cr, RECORD_HEADER_BYTES, inner, n,
			   cr + RECORD_HEADER_BYTES, &err) == 0);
	ref.cr_len = (uint32_t)total;
	hash_sha256(cr, total, ref.id);
	FUZZ_CHECK(record_opener_new(&o, &err) == 0);
	int rc = record_open(o, &ref, (enum record_type)type, cr, total, &raw, &err);
	fuzz_verdict(rc, &err);
	FUZZ_CHECK(raw.len == (rc == 0 ? raw_len : 0));
	record_opener_free(o);
	buf_done(&raw);
	free(cr);
}

/* What is sealed opens to the same. */
static void seal_raw(int suite, const uint8_t *data, size_t len)
{
	static const enum record_class classes[] = { RECORD_CLASS_STREAM, RECORD_CLASS_BUNDLE,
		RECORD_CLASS_META };
	struct buf cr = BUF_INIT(RECORD_MAX_BYTES);
	struct err err = ERR_INIT;
	struct record_sealer *s = NULL;
	struct ref ref;
	FUZZ_CHECK(record_sealer_new(suite, k_mle, RECORD_CHECK_FULL, &s, &err) == 0);
	for (size_t i = 0; len > 0 && i < 3; i++)
		FUZZ_CHECK(
			record_seal(s, RECORD_DATA, classes[i], data, len, &cr, &ref, &err) == 0);
	record_sealer_free(s);
	buf_done(&cr);
}

static void run(const uint8_t *data, size_t len)
{
	uint32_t cr_len = 0;
	int suite = 0, type = 0;
	struct err err = ERR_INIT;
	fuzz_verdict(record_peek(data, len, &cr_len, &suite, &type, &err), &err);
	if (len < HEAD + RECORD_INNER_BYTES)
		return;
	suite = (data[0] & 1) != 0 ? AEAD_CHACHA20 : AEAD_AES256GCM;
	if ((data[0] & 0x80) != 0) {
		seal_raw(suite, data + 1, len - 1);
		return;
	}
	open_inner(suite, 1 + (data[0] >> 1 & 3), bytes_get32(data + 1), data + HEAD, len - HEAD);
}

/* The inside of a record that our writer made. */
static void seed_of(enum record_class class, const void *raw, size_t len)
{
	struct buf cr = BUF_INIT(RECORD_MAX_BYTES);
	struct err err = ERR_INIT;
	struct record_sealer *s = NULL;
	struct ref ref;
	FUZZ_CHECK(record_sealer_new(AEAD_AES256GCM, k_mle, RECORD_CHECK_OPEN, &s, &err) == 0);
	FUZZ_CHECK(record_seal(s, RECORD_DATA, class, raw, len, &cr, &ref, &err) == 0);
	size_t n = cr.len - RECORD_HEADER_BYTES - RECORD_TAG_BYTES;
	uint8_t *out = calloc(1, HEAD + n);
	FUZZ_CHECK(out != NULL);
	bytes_put32(out + 1, (uint32_t)len);
	FUZZ_CHECK(aead_open(AEAD_AES256GCM, ref.key, NULL, cr.data, RECORD_HEADER_BYTES,
			   cr.data + RECORD_HEADER_BYTES, n + RECORD_TAG_BYTES, out + HEAD,
			   &err) == 0);
	fuzz_seed(out, HEAD + n);
	free(out);
	record_sealer_free(s);
	buf_done(&cr);
}

static void seeds(void)
{
	static uint8_t rows[65536 + 40];
	for (size_t i = 0; i + 16 <= sizeof(rows); i += 16) {
		bytes_put32(rows + i, (uint32_t)(1700000000 + i));
		bytes_put64(rows + i + 4, i / 160);
	}
	seed_of(RECORD_CLASS_META, "hello, plant", 12);
	seed_of(RECORD_CLASS_BUNDLE, rows, 3000);
	seed_of(RECORD_CLASS_STREAM, rows, sizeof(rows));
	fuzz_seed("\x80 all of this is sealed and opened again", 41);
}

const struct fuzz_target fuzz_record = { "record", run, seeds };
