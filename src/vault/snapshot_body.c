#include "vault/snapshot_body.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/wire.h"

#define RECEIPT_MAGIC "HFRC"
#define SEGMENT_BYTES 72

int snapshot_body_encode(const struct snapshot_body *b, struct buf *out, struct err *err)
{
	if (b->label_len > SNAPSHOT_BODY_MAX_LABEL)
		return err_set(err, ERR_LIMIT,
			"the label of %zu bytes is longer than %d (paths, tags)", b->label_len,
			SNAPSHOT_BODY_MAX_LABEL);
	int rc = buf_add(out, b->record, sizeof(b->record), err);
	if (rc == 0)
		rc = buf_add(out, RECEIPT_MAGIC, 4, err);
	if (rc == 0)
		rc = buf_add64(out, (uint64_t)b->receipt_ns, err);
	if (rc == 0)
		rc = buf_add(out, b->gateway, sizeof(b->gateway), err);
	if (rc == 0)
		rc = buf_add(out, b->session, sizeof(b->session), err);
	if (rc == 0)
		rc = buf_add64(out, b->log_index, err);
	if (rc == 0)
		rc = buf_add32(out, (uint32_t)b->segment_count, err);
	for (size_t i = 0; rc == 0 && i < b->segment_count; i++) {
		uint8_t raw[SEGMENT_BYTES];
		memcpy(raw, b->segments[i].id, 32);
		memcpy(raw + 32, b->segments[i].rf, 32);
		bytes_put32(raw + 64, b->segments[i].offset);
		bytes_put32(raw + 68, b->segments[i].length);
		rc = buf_add(out, raw, sizeof(raw), err);
	}
	if (rc == 0)
		rc = buf_add(out, b->ev, sizeof(b->ev), err);
	if (rc == 0)
		rc = buf_add32(out, (uint32_t)b->label_len, err);
	return rc != 0 ? rc : buf_add(out, b->label, b->label_len, err);
}

static int take_segments(struct wire *w, struct snapshot_body *b, struct err *err)
{
	uint32_t count;
	int rc = wire_take32(w, &count, err);
	if (rc != 0)
		return rc;
	if (count > SNAPSHOT_BODY_MAX_SEGMENTS || count > w->left / SEGMENT_BYTES)
		return err_set(
			err, ERR_CORRUPT, "snapshot: %u reference segments do not fit", count);
	b->segments = calloc(count == 0 ? 1 : count, sizeof(*b->segments));
	if (b->segments == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	b->segment_count = count;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *raw;
		rc = wire_take(w, SEGMENT_BYTES, &raw, err);
		if (rc != 0)
			return rc;
		memcpy(b->segments[i].id, raw, 32);
		memcpy(b->segments[i].rf, raw + 32, 32);
		b->segments[i].offset = bytes_get32(raw + 64);
		b->segments[i].length = bytes_get32(raw + 68);
	}
	return 0;
}

static int take_label(struct wire *w, struct snapshot_body *b, struct err *err)
{
	uint32_t len;
	const uint8_t *raw;
	int rc = wire_take32(w, &len, err);
	if (rc != 0)
		return rc;
	if (len > SNAPSHOT_BODY_MAX_LABEL)
		return err_set(err, ERR_CORRUPT, "snapshot: a label of %u bytes", len);
	rc = wire_take(w, len, &raw, err);
	if (rc != 0)
		return rc;
	b->label = malloc(len == 0 ? 1 : len);
	if (b->label == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(b->label, raw, len);
	b->label_len = len;
	return wire_end(w, err);
}

static int take_all(struct wire *w, struct snapshot_body *b, struct err *err)
{
	const uint8_t *p;
	int rc = wire_take(w, SNAPREC_BYTES, &p, err);
	if (rc != 0)
		return rc;
	memcpy(b->record, p, SNAPREC_BYTES);
	rc = wire_take(w, 4 + 8 + 16 + 16 + 8, &p, err);
	if (rc != 0)
		return rc;
	if (memcmp(p, RECEIPT_MAGIC, 4) != 0)
		return err_set(err, ERR_CORRUPT, "snapshot: there is no receipt");
	b->receipt_ns = (int64_t)bytes_get64(p + 4);
	memcpy(b->gateway, p + 12, 16);
	memcpy(b->session, p + 28, 16);
	b->log_index = bytes_get64(p + 44);
	rc = take_segments(w, b, err);
	if (rc == 0)
		rc = wire_take(w, 32, &p, err);
	if (rc != 0)
		return rc;
	memcpy(b->ev, p, 32);
	return take_label(w, b, err);
}

int snapshot_body_decode(
	const uint8_t *data, size_t len, struct snapshot_body *out, struct err *err)
{
	struct snapshot_body b = { .segments = NULL };
	struct wire w = { .p = data, .left = len };
	int rc = take_all(&w, &b, err);
	if (rc != 0) {
		snapshot_body_done(&b);
		return rc;
	}
	*out = b;
	return 0;
}

void snapshot_body_done(struct snapshot_body *b)
{
	free(b->segments);
	free(b->label);
	b->segments = NULL;
	b->segment_count = 0;
	b->label = NULL;
	b->label_len = 0;
}
