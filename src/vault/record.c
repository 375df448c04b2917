#include "vault/record.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/col1.h"
#include "codec/zcodec.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "crypto/secret.h"
#include "vault/record_rule.h"

/*
 * INVARIANTS
 * (1) K_c is derived from the exact bytes encrypted, so a key seals one message and the nonce is 0.
 * (2) Every byte of a record is covered by its ID, and a reader checks the ID first.
 * (3) What a reader does not know is "needs a newer version"; what must not be so is "corrupt".
 *     After the tag both can only come from a writer.
 * (4) Scratch memory never holds more than the limits of the format page, and is wiped.
 */

/* docs/FORMAT.md section 3 */
#define RECORD_MAX_INNER_BYTES (16u << 20)
#define OVERHEAD (RECORD_HEADER_BYTES + RECORD_TAG_BYTES)
#define COMP_NONE 0
#define COMP_ZSTD 1
#define FILTER_NONE 0
#define FILTER_COL1 1
#define SAMPLE_IDS 16 /* of 256 first bytes */
/* What is kept of scratch memory: a usual chunk, and a trial of less than a whole one. */
#define SCRATCH_KEEP_BYTES ((size_t)1 << 20)
#define TRIAL_KEEP_BYTES ((size_t)1 << 18)

static const char magic[4] = { 'H', 'F', 'C', '1' };

struct record_opener {
	struct zcodec *zcodec;
	struct buf inner;    /* decrypted */
	struct buf filtered; /* decompressed, before the inverse filter */
};

struct record_sealer {
	int suite;
	uint8_t k_mle[32];
	enum record_check check;
	struct zcodec *zcodec;
	struct record_opener *opener; /* of what was just sealed */
	struct buf scratch; /* the filtered bytes; once they are packed, what was opened again */
};

DEFINE_CLEANUP(struct record_sealer *, record_sealer_free)
DEFINE_CLEANUP(struct record_opener *, record_opener_free)

size_t record_padme(size_t len)
{
	if (len < 2)
		return len;
	unsigned e = 63u - (unsigned)__builtin_clzll(len);
	unsigned s = 32u - (unsigned)__builtin_clz(e);
	if (s >= e)
		return len;
	size_t mask = ((size_t)1 << (e - s)) - 1;
	return (len + mask) & ~mask;
}

void record_header(int suite, int type, uint32_t cr_len, uint8_t out[RECORD_HEADER_BYTES])
{
	memcpy(out, magic, sizeof(magic));
	out[4] = (uint8_t)suite;
	out[5] = (uint8_t)type;
	bytes_put16(out + 6, 0);
	bytes_put32(out + 8, cr_len - OVERHEAD);
}

int record_peek(
	const void *data, size_t len, uint32_t *cr_len, int *suite, int *type, struct err *err)
{
	const uint8_t *header = data;
	if (len < RECORD_HEADER_BYTES)
		return err_set(err, ERR_CORRUPT, "record is cut short");
	if (memcmp(header, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a record");
	if (header[4] != AEAD_AES256GCM && header[4] != AEAD_CHACHA20)
		return err_set(err, ERR_UNSUPPORTED, "record of unknown suite %u", header[4]);
	if (header[5] < RECORD_DATA || header[5] > RECORD_ATTR)
		return err_set(err, ERR_UNSUPPORTED, "record of unknown type %u", header[5]);
	if (bytes_get16(header + 6) != 0)
		return err_set(err, ERR_CORRUPT, "record has reserved bytes set");
	uint32_t inner_len = bytes_get32(header + 8);
	if (inner_len < RECORD_INNER_BYTES || inner_len > RECORD_MAX_INNER_BYTES)
		return err_set(err, ERR_CORRUPT, "record of impossible length %u", inner_len);
	*cr_len = inner_len + OVERHEAD;
	*suite = header[4];
	*type = header[5];
	return 0;
}

/* ---- opening -------------------------------------------------------------------------------- */

int record_opener_new(struct record_opener **out, struct err *err)
{
	CLEANUP(record_opener_free_p) struct record_opener *o = calloc(1, sizeof(*o));
	if (o == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	o->inner.max = RECORD_MAX_INNER_BYTES;
	o->filtered.max = RECORD_MAX_RAW_BYTES;
	int rc = zcodec_new(&o->zcodec, err);
	if (rc != 0)
		return rc;
	*out = TAKE(o);
	return 0;
}

void record_opener_free(struct record_opener *o)
{
	if (o == NULL)
		return;
	zcodec_free(o->zcodec);
	buf_wipe(&o->inner);
	buf_wipe(&o->filtered);
	free(o);
}

/* Check the header against the ref and decrypt into o->inner. */
static int open_seal(struct record_opener *o, const struct ref *ref, enum record_type type,
	const uint8_t header[RECORD_HEADER_BYTES], const uint8_t *body, size_t body_len,
	struct err *err)
{
	const size_t cr_len = RECORD_HEADER_BYTES + body_len;
	uint32_t said_len;
	int suite;
	int said_type;
	int rc = record_peek(header, RECORD_HEADER_BYTES, &said_len, &suite, &said_type, err);
	if (rc != 0)
		return rc;
	if (said_type != (int)type)
		return err_set(
			err, ERR_CORRUPT, "record is of type %d, not %d", said_type, (int)type);
	if (said_len != cr_len)
		return err_set(err, ERR_CORRUPT, "record has another length than it says");

	buf_clear(&o->inner);
	rc = buf_reserve(&o->inner, cr_len - OVERHEAD, err);
	if (rc == 0)
		rc = aead_open(suite, ref->key, NULL, header, RECORD_HEADER_BYTES, body, body_len,
			o->inner.data, err);
	if (rc != 0)
		return err_wrap(err, "record");
	o->inner.len = cr_len - OVERHEAD;
	return 0;
}

/* The inner header, after the tag. */
static int check_inner(const struct buf *inner, const struct ref *ref, struct err *err)
{
	const uint8_t *p = inner->data;
	size_t payload_len = bytes_get32(p + 8);
	if (payload_len > inner->len - RECORD_INNER_BYTES ||
		record_padme(RECORD_INNER_BYTES + payload_len) != inner->len)
		return err_set(err, ERR_CORRUPT, "record has a wrong payload length");
	for (size_t i = RECORD_INNER_BYTES + payload_len; i < inner->len; i++) {
		if (p[i] != 0)
			return err_set(err, ERR_CORRUPT, "record has padding that is not 0");
	}
	if (p[3] != 0)
		return err_set(err, ERR_CORRUPT, "record has reserved bytes set");
	if (p[0] > COMP_ZSTD)
		return err_set(err, ERR_UNSUPPORTED, "record of unknown compression %u", p[0]);
	if (p[1] != 0)
		return err_set(err, ERR_UNSUPPORTED, "record with unknown flags %02x", p[1]);
	if (p[2] > FILTER_COL1)
		return err_set(err, ERR_UNSUPPORTED, "record with unknown filter %u", p[2]);
	if (bytes_get32(p + 4) != ref->raw_len || ref->raw_len > RECORD_MAX_RAW_BYTES)
		return err_set(
			err, ERR_CORRUPT, "record has another raw length than its reference");
	return 0;
}

/* Undo the compression of ${len} bytes at ${packed} into exactly ${raw_len} bytes at ${out}. */
static int unpack(struct record_opener *o, const uint8_t *packed, size_t len, uint8_t *out,
	size_t raw_len, struct err *err)
{
	if (o->inner.data[0] == COMP_ZSTD)
		return zcodec_decompress(o->zcodec, packed, len, out, raw_len, err);
	if (len != raw_len)
		return err_set(err, ERR_CORRUPT, "record holds %zu bytes, not %zu", len, raw_len);
	if (len > 0)
		memcpy(out, packed, len);
	return 0;
}

/* From o->inner append the raw bytes. */
static int open_payload(
	struct record_opener *o, const struct ref *ref, struct buf *raw, struct err *err)
{
	int rc = check_inner(&o->inner, ref, err);
	if (rc == 0)
		rc = buf_reserve(raw, ref->raw_len, err);
	if (rc != 0)
		return rc;
	const uint8_t *payload = o->inner.data + RECORD_INNER_BYTES;
	size_t payload_len = bytes_get32(o->inner.data + 8);
	size_t raw_len = ref->raw_len;
	/* of no bytes nothing is written, but no library is handed a NULL */
	uint8_t *out = raw_len == 0 ? o->inner.data : raw->data + raw->len;

	if (o->inner.data[2] == FILTER_NONE) {
		rc = unpack(o, payload, payload_len, out, raw_len, err);
	} else {
		struct col1 filter;
		size_t used;
		rc = col1_decode(payload, payload_len, &filter, &used, err);
		if (rc == 0 && filter.phase >= raw_len)
			rc = err_set(err, ERR_CORRUPT, "record filter begins behind its end");
		if (rc == 0)
			rc = buf_reserve(&o->filtered, raw_len, err);
		if (rc == 0)
			rc = unpack(o, payload + used, payload_len - used, o->filtered.data,
				raw_len, err);
		if (rc == 0)
			col1_inverse(&filter, o->filtered.data, out, raw_len);
	}
	if (rc == 0)
		raw->len += raw_len;
	return rc;
}

static int check_length(const struct ref *ref, size_t cr_len, struct err *err)
{
	if (cr_len != ref->cr_len || cr_len > RECORD_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "record of %zu bytes where %u were sealed", cr_len,
			ref->cr_len);
	return 0;
}

int record_open_body(struct record_opener *o, const struct ref *ref, enum record_type type,
	const uint8_t header[RECORD_HEADER_BYTES], const void *body, size_t body_len,
	struct buf *raw, struct err *err)
{
	int rc = check_length(ref, RECORD_HEADER_BYTES + body_len, err);
	if (rc == 0)
		rc = open_seal(o, ref, type, header, body, body_len, err);
	return rc != 0 ? rc : open_payload(o, ref, raw, err);
}

int record_open_checked(struct record_opener *o, const struct ref *ref, enum record_type type,
	const void *cr, size_t cr_len, struct buf *raw, struct err *err)
{
	const uint8_t *header = cr;
	int rc = check_length(ref, cr_len, err);
	if (rc == 0 && cr_len < RECORD_HEADER_BYTES)
		rc = err_set(err, ERR_CORRUPT, "record is cut short");
	return rc != 0 ? rc
		       : record_open_body(o, ref, type, header, header + RECORD_HEADER_BYTES,
				 cr_len - RECORD_HEADER_BYTES, raw, err);
}

int record_open(struct record_opener *o, const struct ref *ref, enum record_type type,
	const void *cr, size_t cr_len, struct buf *raw, struct err *err)
{
	int rc = check_length(ref, cr_len, err);
	if (rc != 0)
		return rc;
	uint8_t id[HASH_BYTES];
	hash_sha256(cr, cr_len, id);
	if (memcmp(id, ref->id, sizeof(id)) != 0)
		return err_set(err, ERR_CORRUPT, "record does not hash to its id");
	return record_open_checked(o, ref, type, cr, cr_len, raw, err);
}

/* ---- sealing -------------------------------------------------------------------------------- */

int record_sealer_new(int suite, const uint8_t k_mle[32], enum record_check check,
	struct record_sealer **out, struct err *err)
{
	if (suite != AEAD_AES256GCM && suite != AEAD_CHACHA20)
		return err_set(err, ERR_UNSUPPORTED, "unable to seal records of suite %d", suite);
	CLEANUP(record_sealer_free_p) struct record_sealer *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->suite = suite;
	memcpy(s->k_mle, k_mle, sizeof(s->k_mle));
	s->check = check;
	s->scratch.max = RECORD_MAX_RAW_BYTES;
	int rc = zcodec_new(&s->zcodec, err);
	if (rc == 0)
		rc = record_opener_new(&s->opener, err);
	if (rc != 0)
		return rc;
	*out = TAKE(s);
	return 0;
}

void record_sealer_free(struct record_sealer *s)
{
	if (s == NULL)
		return;
	zcodec_free(s->zcodec);
	record_opener_free(s->opener);
	buf_wipe(&s->scratch);
	secret_wipe(s->k_mle, sizeof(s->k_mle));
	free(s);
}

/* How the payload went into a record. */
struct packed {
	size_t len;
	uint8_t comp, filter;
};

/* Pack by ${rule} into the ${room} bytes at ${out}.  Return the length of all, 0 when it fails. */
static size_t pack_by(struct record_sealer *s, const struct record_rule *rule, const uint8_t *raw,
	size_t len, uint8_t *out, size_t room)
{
	const uint8_t *in = raw;
	size_t used = 0;
	if (rule->has_filter) {
		uint8_t param[COL1_MAX_PARAM_BYTES];
		used = col1_encode(&rule->filter, param);
		if (used > room)
			return 0;
		memcpy(out, param, used);
		col1_forward(&rule->filter, raw, s->scratch.data, len);
		in = s->scratch.data;
	}
	size_t n = zcodec_compress(s->zcodec, rule->effort, in, len, out + used, room - used);
	return n == 0 ? 0 : used + n;
}

/* Write the payload to ${out}, which has ${room} bytes.  -ERR_LIMIT when it does not fit. */
static int pack_payload(struct record_sealer *s, enum record_class class, const uint8_t *raw,
	size_t len, uint8_t *out, size_t room, struct packed *packed, struct err *err)
{
	struct record_rule rule;
	record_rule_choose(s->zcodec, class, raw, len, &rule);
	buf_clear(&s->scratch);
	int rc = rule.has_filter ? buf_reserve(&s->scratch, len, err) : 0;
	if (rc != 0)
		return rc;

	size_t n = pack_by(s, &rule, raw, len, out, room);
	if (rule.has_filter) {
		rc = record_rule_recheck(s->zcodec, raw, len, n == 0 ? len : n, &rule, err);
		if (rc != 0)
			return rc;
		if (!rule.has_filter)
			n = pack_by(s, &rule, raw, len, out, room);
	}
	if (n > 0 && record_rule_is_worth(n, len)) {
		*packed = (struct packed){ n, COMP_ZSTD,
			rule.has_filter ? FILTER_COL1 : FILTER_NONE };
		return 0;
	}
	if (len > room)
		return err_set(err, ERR_LIMIT, "%zu bytes do not fit into a record", len);
	if (len > 0)
		memcpy(out, raw, len);
	*packed = (struct packed){ len, COMP_NONE, FILTER_NONE };
	return 0;
}

/* Scratch memory of a sealer after a long record: few are, and there are several sealers. */
static void trim_scratch(struct record_sealer *s, size_t used)
{
	zcodec_trim(s->zcodec, TRIAL_KEEP_BYTES);
	if (used <= SCRATCH_KEEP_BYTES)
		return;
	buf_trim(&s->scratch, SCRATCH_KEEP_BYTES);
	buf_trim(&s->opener->inner, SCRATCH_KEEP_BYTES);
	buf_trim(&s->opener->filtered, SCRATCH_KEEP_BYTES);
}

/* Whether o->inner opens to ${raw}; what lies in it as it was is compared where it is. */
static int compare(
	struct record_sealer *s, const struct ref *ref, const uint8_t *raw, struct err *err)
{
	struct record_opener *o = s->opener;
	const uint8_t *opened = o->inner.data + RECORD_INNER_BYTES;
	int rc = check_inner(&o->inner, ref, err);
	if (rc == 0 && (o->inner.data[0] != COMP_NONE || o->inner.data[2] != FILTER_NONE)) {
		buf_clear(&s->scratch);
		rc = open_payload(o, ref, &s->scratch, err);
		opened = s->scratch.data;
	} else if (rc == 0 && bytes_get32(o->inner.data + 8) != ref->raw_len) {
		rc = err_set(err, ERR_CORRUPT, "it opens to another length");
	}
	if (rc == 0 && ref->raw_len > 0 && memcmp(opened, raw, ref->raw_len) != 0)
		rc = err_set(err, ERR_CORRUPT, "it opens to other bytes");
	return rc;
}

/* Open what was sealed, and compare it with the raw bytes when the level asks for this record. */
static int check_sealed(struct record_sealer *s, const struct ref *ref, enum record_type type,
	const uint8_t *cr, const uint8_t *raw, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = open_seal(s->opener, ref, type, cr, cr + RECORD_HEADER_BYTES,
		ref->cr_len - RECORD_HEADER_BYTES, &why);
	bool is_compared = s->check == RECORD_CHECK_FULL ||
			   (s->check == RECORD_CHECK_SAMPLE && ref->id[0] < SAMPLE_IDS);
	if (rc == 0 && is_compared)
		rc = compare(s, ref, raw, &why);
	if (rc == 0)
		return 0;
	if (rc == -ERR_NOMEM)
		return err_set(err, ERR_NOMEM, "unable to check a record: %s", why.msg);
	(void)err_set(err, ERR_CORRUPT, "a record just sealed is not right: %s", why.msg);
	(void)err_hint(err, "suspect this machine's memory"); /* the code is returned below */
	return -ERR_CORRUPT;
}

/* Write what surrounds the payload: header, inner header and zeros, ${total} bytes with the tag. */
static void write_around(const struct record_sealer *s, enum record_type type,
	const struct packed *packed, size_t raw_len, size_t total, uint8_t *header)
{
	uint8_t *inner = header + RECORD_HEADER_BYTES;
	const size_t used = RECORD_INNER_BYTES + packed->len;
	record_header(s->suite, (int)type, (uint32_t)total, header);
	inner[0] = packed->comp;
	inner[1] = 0;
	inner[2] = packed->filter;
	inner[3] = 0;
	bytes_put32(inner + 4, (uint32_t)raw_len);
	bytes_put32(inner + 8, (uint32_t)packed->len);
	memset(inner + used, 0, total - OVERHEAD - used);
}

/* Room behind ${cr} for the longest payload that the library may write for ${len} bytes, or for as
 * much as may be there at all; and the ends of a record around it. */
static int reserve_record(struct buf *cr, size_t len, size_t *room, struct err *err)
{
	const size_t ends = OVERHEAD + RECORD_INNER_BYTES;
	size_t left = cr->max - cr->len;
	size_t want = record_padme(COL1_MAX_PARAM_BYTES + record_rule_bound(len)) + ends;
	if (left > RECORD_MAX_WRITE_BYTES)
		left = RECORD_MAX_WRITE_BYTES;
	if (want > left)
		want = left;
	if (want <= ends)
		return err_set(err, ERR_LIMIT, "%zu bytes do not fit into a record", len);
	*room = want - ends;
	return buf_reserve(cr, want, err);
}

int record_seal(struct record_sealer *s, enum record_type type, enum record_class class,
	const void *raw, size_t len, struct buf *cr, struct ref *ref, struct err *err)
{
	if (len > RECORD_MAX_RAW_BYTES)
		return err_set(err, ERR_LIMIT, "%zu bytes do not fit into a record", len);
	struct packed packed;
	size_t room;
	int rc = reserve_record(cr, len, &room, err);
	if (rc != 0)
		return rc;
	uint8_t *header = cr->data + cr->len;
	uint8_t *inner = header + RECORD_HEADER_BYTES;
	rc = pack_payload(s, class, raw, len, inner + RECORD_INNER_BYTES, room, &packed, err);
	if (rc != 0)
		return rc;
	const size_t inner_len = record_padme(RECORD_INNER_BYTES + packed.len);
	const size_t total = inner_len + OVERHEAD;
	if (total > RECORD_MAX_WRITE_BYTES || total > cr->cap - cr->len)
		return err_set(err, ERR_LIMIT, "%zu bytes do not fit into a record", len);

	write_around(s, type, &packed, len, total, header);
	struct ref made = { .raw_len = (uint32_t)len, .cr_len = (uint32_t)total };
	static const char label[] = "hf1/chunk-key"; /* with its 00 */
	const struct hmac_part parts[] = { { label, sizeof(label) },
		{ header, RECORD_HEADER_BYTES }, { inner, inner_len } };
	hmac_sha256(s->k_mle, sizeof(s->k_mle), parts, 3, made.key);
	rc = aead_seal(s->suite, made.key, NULL, header, RECORD_HEADER_BYTES, inner, inner_len,
		inner, err);
	if (rc != 0)
		return rc;
	hash_sha256(header, total, made.id);
	rc = check_sealed(s, &made, type, header, raw, err);
	trim_scratch(s, len > total ? len : total);
	if (rc != 0)
		return rc;
	cr->len += total;
	*ref = made;
	return 0;
}
