/*
 * fuzz_text: hex, base64, base32, varints, TLVs and JSON: the first byte says which.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "codec/wire.h"
#include "fuzz/fuzz.h"

static int hex(const void *data, size_t len, struct buf *again, struct err *err)
{
	size_t n = len / 2;
	uint8_t *raw = malloc(n + 1);
	char *out = malloc(2 * n + 1);
	FUZZ_CHECK(raw != NULL && out != NULL);
	int rc = len % 2 != 0 ? -1 : text_unhex(data, n, raw);
	if (rc != 0) {
		rc = err_set(err, ERR_CORRUPT, "no hex");
	} else {
		text_hex(raw, n, out);
		rc = buf_add(again, out, 2 * n, err);
	}
	free(raw);
	free(out);
	return rc;
}

static int base64(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct buf raw = BUF_INIT(FUZZ_MAX_BYTES);
	int rc = text_unbase64(data, len, &raw, err);
	if (rc == 0)
		rc = text_base64(raw.data, raw.len, again, err);
	buf_done(&raw);
	return rc;
}

static int base32(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct buf raw = BUF_INIT(FUZZ_MAX_BYTES);
	int rc = text_unbase32(data, len, &raw, err);
	if (rc == 0)
		rc = text_base32(raw.data, raw.len, again, err);
	buf_done(&raw);
	return rc;
}

static int varints(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct wire w = { data, len };
	int rc = 0;
	while (rc == 0 && w.left > 0) {
		uint64_t v = 0;
		rc = wire_take_varint(&w, &v, err);
		if (rc == 0)
			rc = wire_add_varint(again, v, err);
	}
	return rc;
}

static int tlvs(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct wire w = { data, len }, value;
	uint8_t last = 0, tag = 0;
	int rc;
	while ((rc = wire_next_tlv(&w, &last, &tag, &value, err)) == 1) {
		rc = wire_add_tlv(again, tag, value.p, value.left, err);
		if (rc != 0)
			return rc;
	}
	return rc;
}

static int json(const void *data, size_t len, struct buf *again, struct err *err)
{
	json_t *value = NULL;
	int rc = jsonx_parse(data, len, "input", &value, err);
	if (rc == 0)
		rc = jsonx_encode(value, again, err);
	json_decref(value);
	return rc;
}

static void run(const uint8_t *data, size_t len)
{
	static const fuzz_codec_fn codecs[] = { hex, base64, base32, varints, tlvs, json };
	if (len == 0)
		return;
	size_t i = data[0] % 6;                                      /* '0' is 48 */
	fuzz_codec(codecs[i], data + 1, len - 1, codecs[i] != json); /* JSON may have blanks */
}

static void seeds(void)
{
	fuzz_seed("0c0ffe0", 7);
	fuzz_seed("1aGVsbG8=", 9);
	fuzz_seed("2MFRGG43F", 9);
	fuzz_seed("3\x01\xff\x01\x7f", 5);
	fuzz_seed("4\x01\x02hi\x80\x00", 7);
	fuzz_seed("5{\"a\": [1, -2.5e3, \"\\u00e9\", null], \"b\": {}}", 44);
}

const struct fuzz_target fuzz_text = { "text", run, seeds };
