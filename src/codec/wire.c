#include "codec/wire.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) A failed take leaves the reader where it was.
 * (2) A number has one spelling: its last varint byte is 00 only for the number 0 itself.
 */
#define VARINT_MAX_BYTES 10

static int cut_short(struct err *err)
{
	return err_set(err, ERR_CORRUPT, "bytes are cut short");
}

/* Check that ${len} bytes are left. */
static int need(const struct wire *w, size_t len, struct err *err)
{
	return len <= w->left ? 0 : cut_short(err);
}

static void step(struct wire *w, size_t len)
{
	if (len > 0) /* an empty reader may be at NULL */
		w->p += len;
	w->left -= len;
}

int wire_take(struct wire *w, size_t len, const uint8_t **out, struct err *err)
{
	int rc = need(w, len, err);
	if (rc != 0)
		return rc;
	*out = w->p;
	step(w, len);
	return 0;
}

int wire_take8(struct wire *w, uint8_t *out, struct err *err)
{
	int rc = need(w, sizeof(*out), err);
	if (rc != 0)
		return rc;
	*out = *w->p;
	step(w, sizeof(*out));
	return 0;
}

int wire_take16(struct wire *w, uint16_t *out, struct err *err)
{
	int rc = need(w, sizeof(*out), err);
	if (rc != 0)
		return rc;
	*out = bytes_get16(w->p);
	step(w, sizeof(*out));
	return 0;
}

int wire_take32(struct wire *w, uint32_t *out, struct err *err)
{
	int rc = need(w, sizeof(*out), err);
	if (rc != 0)
		return rc;
	*out = bytes_get32(w->p);
	step(w, sizeof(*out));
	return 0;
}

int wire_take64(struct wire *w, uint64_t *out, struct err *err)
{
	int rc = need(w, sizeof(*out), err);
	if (rc != 0)
		return rc;
	*out = bytes_get64(w->p);
	step(w, sizeof(*out));
	return 0;
}

int wire_take_varint(struct wire *w, uint64_t *out, struct err *err)
{
	uint64_t v = 0;
	for (size_t i = 0; i < VARINT_MAX_BYTES; i++) {
		if (i == w->left)
			return cut_short(err);
		uint8_t byte = w->p[i];
		if (i == VARINT_MAX_BYTES - 1 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if ((byte & 0x80) != 0)
			continue;
		if (i > 0 && byte == 0)
			return err_set(err, ERR_CORRUPT, "number is not in its shortest form");
		step(w, i + 1);
		*out = v;
		return 0;
	}
	return err_set(err, ERR_CORRUPT, "number has over 64 bits");
}

static size_t encode_varint(uint64_t v, uint8_t out[VARINT_MAX_BYTES])
{
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		out[n++] = (uint8_t)(v | 0x80);
	out[n++] = (uint8_t)v;
	return n;
}

int wire_add_varint(struct buf *b, uint64_t v, struct err *err)
{
	uint8_t raw[VARINT_MAX_BYTES];
	return buf_add(b, raw, encode_varint(v, raw), err);
}

size_t wire_varint_len(uint64_t v)
{
	size_t n = 1;
	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

int wire_add_tlv(struct buf *b, uint8_t tag, const void *value, size_t len, struct err *err)
{
	uint8_t head[1 + VARINT_MAX_BYTES] = { tag };
	size_t head_len = 1 + encode_varint(len, head + 1);
	size_t before = b->len;
	int rc = buf_add(b, head, head_len, err);
	if (rc == 0)
		rc = buf_add(b, value, len, err);
	if (rc != 0)
		b->len = before;
	return rc;
}

int wire_next_tlv(
	struct wire *w, uint8_t *last_tag, uint8_t *tag, struct wire *value, struct err *err)
{
	if (w->left == 0)
		return 0;
	struct wire ahead = *w;
	uint8_t t = 0;
	uint64_t len = 0;
	const uint8_t *p = NULL;
	int rc = wire_take8(&ahead, &t, err);
	if (rc == 0 && t < *last_tag)
		rc = err_set(err, ERR_CORRUPT, "tag %u comes after tag %u", t, *last_tag);
	if (rc == 0)
		rc = wire_take_varint(&ahead, &len, err);
	if (rc == 0 && len > ahead.left)
		rc = cut_short(err);
	if (rc == 0)
		rc = wire_take(&ahead, (size_t)len, &p, err);
	if (rc != 0)
		return rc;
	*w = ahead;
	*last_tag = t;
	*tag = t;
	*value = (struct wire){ .p = p, .left = (size_t)len };
	return 1;
}

int wire_end(const struct wire *w, struct err *err)
{
	if (w->left != 0)
		return err_set(err, ERR_CORRUPT, "%zu bytes too many at the end", w->left);
	return 0;
}
