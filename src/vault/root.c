#include "vault/root.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/wire.h"
#include "crypto/hash.h"

/*
 * INVARIANTS
 * (1) Every field but the truth manifest is always there: one struct has one encoding.
 * (2) The ref of the top node is the last REF_BYTES of the payload, whatever the TLVs before it.
 */
#define ROOT_MAX_BYTES 65536
#define PROFILE_AUTO 1
#define NAMES_AS_GIVEN 0
#define CASE_SENSITIVE 0
#define TAG_BIT(tag) (1u << (tag))

enum root_tag {
	ROOT_TAG_CHUNKER = 1,
	ROOT_TAG_PROFILE = 2,
	ROOT_TAG_NAMES = 3,
	ROOT_TAG_CONSISTENCY = 4,
	ROOT_TAG_TRUTH = 5,
	ROOT_TAG_LABEL = 6,
	ROOT_TAG_TOOL = 7,
};

#define TAGS_NEEDED                                                                                \
	(TAG_BIT(ROOT_TAG_CHUNKER) | TAG_BIT(ROOT_TAG_PROFILE) | TAG_BIT(ROOT_TAG_NAMES) |         \
		TAG_BIT(ROOT_TAG_CONSISTENCY) | TAG_BIT(ROOT_TAG_LABEL) | TAG_BIT(ROOT_TAG_TOOL))

static int check(const struct root *r, struct err *err)
{
	size_t len = strnlen(r->tool, sizeof(r->tool));

	if (r->chunker_id == 0 || r->chunker_bytes == 0 || r->check == 0 || r->consistency == 0)
		return err_set(err, ERR_CORRUPT, "a root does not say how it was made");
	if (len == 0 || len == sizeof(r->tool))
		return err_set(err, ERR_CORRUPT, "a root does not name its tool");
	for (size_t i = 0; i < len; i++) {
		if (r->tool[i] < ' ' || r->tool[i] > '~')
			return err_set(err, ERR_CORRUPT, "a root's tool is not plain text");
	}
	return 0;
}

int root_encode(const struct root *r, struct buf *out, struct err *err)
{
	const uint8_t profile[2] = { r->check, PROFILE_AUTO };
	const uint8_t names[2] = { NAMES_AS_GIVEN, CASE_SENSITIVE };
	uint8_t chunker[5], ref[REF_BYTES];
	size_t before = out->len;

	int rc = check(r, err);
	if (rc != 0)
		return rc;
	chunker[0] = r->chunker_id;
	bytes_put32(chunker + 1, r->chunker_bytes);
	rc = buf_add(out, r->nonce, sizeof(r->nonce), err);
	if (rc == 0)
		rc = wire_add_tlv(out, ROOT_TAG_CHUNKER, chunker, sizeof(chunker), err);
	if (rc == 0)
		rc = wire_add_tlv(out, ROOT_TAG_PROFILE, profile, sizeof(profile), err);
	if (rc == 0)
		rc = wire_add_tlv(out, ROOT_TAG_NAMES, names, sizeof(names), err);
	if (rc == 0)
		rc = wire_add_tlv(out, ROOT_TAG_CONSISTENCY, &r->consistency, 1, err);
	if (rc == 0 && r->has_truth) {
		ref_encode(&r->truth, ref);
		rc = wire_add_tlv(out, ROOT_TAG_TRUTH, ref, sizeof(ref), err);
	}
	if (rc == 0)
		rc = wire_add_tlv(out, ROOT_TAG_LABEL, r->label_hash, sizeof(r->label_hash), err);
	if (rc == 0)
		rc = wire_add_tlv(out, ROOT_TAG_TOOL, r->tool, strlen(r->tool), err);
	ref_encode(&r->top, ref);
	if (rc == 0)
		rc = buf_add(out, ref, sizeof(ref), err);
	if (rc != 0)
		out->len = before;
	return rc;
}

/* A pair of bytes of which this version knows one value for the second. */
static int take_profile(struct wire *value, struct root *r, struct err *err)
{
	uint8_t profile = 0;

	int rc = wire_take8(value, &r->check, err);
	if (rc == 0)
		rc = wire_take8(value, &profile, err);
	if (rc == 0 && profile != PROFILE_AUTO)
		rc = err_set(
			err, ERR_UNSUPPORTED, "codec profile %u is unknown", (unsigned)profile);
	return rc;
}

static int take_names(struct wire *value, struct err *err)
{
	uint8_t encoding = 0, rule = 0;

	int rc = wire_take8(value, &encoding, err);
	if (rc == 0)
		rc = wire_take8(value, &rule, err);
	if (rc == 0 && (encoding != NAMES_AS_GIVEN || rule != CASE_SENSITIVE))
		rc = err_set(err, ERR_UNSUPPORTED, "name encoding %u, %u is unknown",
			(unsigned)encoding, (unsigned)rule);
	return rc;
}

static int take_chunker(struct wire *value, struct root *r, struct err *err)
{
	int rc = wire_take8(value, &r->chunker_id, err);
	if (rc == 0)
		rc = wire_take32(value, &r->chunker_bytes, err);
	if (rc == 0 && r->chunker_id > 2)
		rc = err_set(
			err, ERR_UNSUPPORTED, "chunker %u is unknown", (unsigned)r->chunker_id);
	return rc;
}

static int take_bytes(struct wire *value, uint8_t *out, size_t len, struct err *err)
{
	const uint8_t *p = NULL;

	int rc = wire_take(value, len, &p, err);
	if (rc == 0)
		memcpy(out, p, len);
	return rc;
}

static int take_tlv(uint8_t tag, struct wire *value, struct root *r, struct err *err)
{
	uint8_t ref[REF_BYTES];
	int rc;

	switch (tag) {
	case ROOT_TAG_CHUNKER:
		return take_chunker(value, r, err);
	case ROOT_TAG_PROFILE:
		return take_profile(value, r, err);
	case ROOT_TAG_NAMES:
		return take_names(value, err);
	case ROOT_TAG_CONSISTENCY:
		return wire_take8(value, &r->consistency, err);
	case ROOT_TAG_TRUTH:
		rc = take_bytes(value, ref, sizeof(ref), err);
		if (rc != 0)
			return rc;
		ref_decode(ref, &r->truth);
		r->has_truth = true;
		return 0;
	case ROOT_TAG_LABEL:
		return take_bytes(value, r->label_hash, sizeof(r->label_hash), err);
	case ROOT_TAG_TOOL:
		if (value->left >= sizeof(r->tool))
			return err_set(
				err, ERR_CORRUPT, "the tool of a root has %zu bytes", value->left);
		if (memchr(value->p, 0, value->left) != NULL)
			return err_set(err, ERR_CORRUPT, "a root's tool is not plain text");
		return take_bytes(value, (uint8_t *)r->tool, value->left, err);
	default:
		return err_set(
			err, ERR_UNSUPPORTED, "a root has the unknown tag %u", (unsigned)tag);
	}
}

static int take_tlvs(struct wire *w, struct root *r, struct err *err)
{
	uint32_t tags = 0;
	uint8_t last = 0, tag = 0;
	struct wire value;
	int rc;

	for (;;) {
		uint8_t before = last;
		rc = wire_next_tlv(w, &last, &tag, &value, err);
		if (rc <= 0)
			break;
		if (tag >= 128)
			continue;
		if (tag == before)
			return err_set(err, ERR_CORRUPT, "a root has tag %u twice", (unsigned)tag);
		rc = take_tlv(tag, &value, r, err);
		if (rc == 0)
			rc = wire_end(&value, err);
		if (rc != 0)
			return rc;
		tags |= TAG_BIT(tag);
	}
	if (rc == 0 && (tags & TAGS_NEEDED) != TAGS_NEEDED)
		rc = err_set(err, ERR_CORRUPT, "a root lacks a field");
	return rc;
}

int root_decode(const uint8_t *data, size_t len, struct root *out, struct err *err)
{
	struct root r = { .has_truth = false };

	if (len < sizeof(r.nonce) + REF_BYTES || len > ROOT_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "a root has %zu bytes", len);
	memcpy(r.nonce, data, sizeof(r.nonce));
	ref_decode(data + len - REF_BYTES, &r.top);
	struct wire w = { .p = data + sizeof(r.nonce), .left = len - sizeof(r.nonce) - REF_BYTES };
	int rc = take_tlvs(&w, &r, err);
	if (rc == 0)
		rc = check(&r, err);
	if (rc == 0)
		*out = r;
	return rc;
}

void root_commit(const struct ref *root, uint8_t out[32])
{
	static const char label[] = "hf1/root-commit"; /* its NUL belongs to it */
	uint8_t message[sizeof(label) + REF_BYTES];

	memcpy(message, label, sizeof(label));
	ref_encode(root, message + sizeof(label));
	hash_sha256(message, sizeof(message), out);
	explicit_bzero(message, sizeof(message));
}

const char *root_consistency_name(uint8_t consistency)
{
	switch (consistency) {
	case ROOT_FUZZY:
		return "fuzzy";
	case ROOT_QUIESCED:
		return "quiesced";
	case ROOT_CRASH:
		return "crash";
	case ROOT_APPLICATION:
		return "application";
	default:
		return "unknown";
	}
}
