#include "codec/jsonx.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "codec/text.h"

/*
 * INVARIANTS
 * (1) What is appended to a buf is a whole value or nothing.
 */
#define NAME_MAX_BYTES ((size_t)1 << 20)

json_t *jsonx_name(const char *name, size_t len)
{
	if (escape_is_utf8(name, len))
		return json_stringn(name, len);
	CLEANUP(buf_done) struct buf b = BUF_INIT(2 * NAME_MAX_BYTES);
	if (len > NAME_MAX_BYTES || text_base64(name, len, &b, NULL) != 0)
		return NULL;
	return json_pack("{s:s%}", "base64", (const char *)b.data, b.len);
}

/* Where the encoder's pieces go. */
struct sink {
	struct buf *out;
	struct err *err;
	int rc;
};

static int add_piece(const char *data, size_t len, void *arg)
{
	struct sink *sink = arg;
	sink->rc = buf_add(sink->out, data, len, sink->err);
	return sink->rc == 0 ? 0 : -1;
}

int jsonx_encode(const json_t *value, struct buf *out, struct err *err)
{
	struct sink sink = { .out = out, .err = err, .rc = 0 };
	size_t before = out->len;
	if (json_dump_callback(
		    value, add_piece, &sink, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) == 0)
		return 0;
	out->len = before;
	if (sink.rc != 0)
		return sink.rc;
	return err_set(err, ERR_NOMEM, "unable to make JSON text");
}

int jsonx_parse(const void *data, size_t len, const char *what, json_t **out, struct err *err)
{
	json_error_t why;
	const char *text = len == 0 ? "" : data;
	json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (value == NULL) {
		if (json_error_code(&why) == json_error_out_of_memory)
			return err_set(err, ERR_NOMEM, "out of memory for %s", what);
		/* the parser quotes what it read */
		char shown[4 * JSON_ERROR_TEXT_LENGTH];
		(void)escape_str(shown, sizeof(shown), why.text);
		return err_set(err, ERR_CORRUPT, "%s: line %d, column %d: %s", what, why.line,
			why.column, shown);
	}
	*out = value;
	return 0;
}
