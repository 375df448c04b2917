#include "msg/msg_json_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "crypto/secret.h"
#include "msg/msg_enrol.h"

/*
 * INVARIANTS
 * (1) Everything here is hostile: type and length are checked before a byte is copied or taken.
 * (2) After the first error nothing is read, so that it is the one that is told.
 */

#define TEXT_MAX_BYTES ((size_t)64 << 10) /* of any text that is written */

/* ---- reading --------------------------------------------------------------------------------- */

void msg_json_open(struct msg_json_in *in, const void *data, size_t len, size_t max,
	const char *what, struct err *err)
{
	*in = (struct msg_json_in){ .what = what, .err = err };
	if (len > max) {
		in->rc = err_set(
			err, ERR_LIMIT, "%s of %zu bytes is longer than %zu", what, len, max);
		return;
	}
	in->rc = jsonx_parse(data, len, what, &in->root, err);
	if (in->rc == 0 && !json_is_object(in->root))
		in->rc = err_set(err, ERR_CORRUPT, "%s is not a JSON object", what);
	in->at = in->root;
}

int msg_json_close(struct msg_json_in *in)
{
	json_decref(in->root);
	in->root = NULL;
	in->at = NULL;
	return in->rc;
}

void msg_json_refuse(struct msg_json_in *in, const char *key, const char *why)
{
	if (in->rc == 0)
		in->rc = err_set(in->err, ERR_CORRUPT, "%s: '%s' %s", in->what, key, why);
}

bool msg_json_has(const struct msg_json_in *in, const char *key)
{
	const json_t *v = in->rc != 0 ? NULL : json_object_get(in->at, key);
	return v != NULL && !json_is_null(v);
}

/* The member, or NULL after an error. */
static const json_t *member(struct msg_json_in *in, const char *key)
{
	const json_t *v = in->rc != 0 ? NULL : json_object_get(in->at, key);
	if (v == NULL)
		msg_json_refuse(in, key, "is missing");
	return v;
}

/* The text of the member, at most ${max} bytes, or NULL after an error. */
static const char *text_of(struct msg_json_in *in, const char *key, size_t max, size_t *len)
{
	const json_t *v = member(in, key);
	if (v == NULL)
		return NULL;
	const char *text = json_string_value(v);
	if (text == NULL) {
		msg_json_refuse(in, key, "is not a text");
		return NULL;
	}
	*len = json_string_length(v);
	if (*len > max) {
		msg_json_refuse(in, key, "is too long");
		return NULL;
	}
	return text;
}

/* Bytes 80..9f after c2 are the other control characters of Unicode. */
static bool is_control(const unsigned char *p, enum msg_json_text kind)
{
	if (kind != MSG_JSON_LINE && (*p == '\n' || (*p == '\t' && kind == MSG_JSON_LINES)))
		return false;
	return *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) ||
	       (kind == MSG_JSON_PEM && *p >= 0x80);
}

static bool is_fit(const char *text, enum msg_json_text kind)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (is_control(p, kind))
			return false;
	}
	return kind != MSG_JSON_PEM || strncmp(text, "-----BEGIN ", 11) == 0;
}

static const char *fit_text(
	struct msg_json_in *in, const char *key, enum msg_json_text kind, size_t max, size_t *len)
{
	const char *text = text_of(in, key, max, len);
	if (text == NULL || is_fit(text, kind))
		return text;
	msg_json_refuse(in, key, kind == MSG_JSON_PEM ? "is not PEM" : "has control characters");
	return NULL;
}

void msg_json_text(
	struct msg_json_in *in, const char *key, enum msg_json_text kind, char *out, size_t size)
{
	size_t len = 0;
	const char *text = fit_text(in, key, kind, size - 1, &len);
	if (text != NULL)
		memcpy(out, text, len + 1);
}

void msg_json_strdup(
	struct msg_json_in *in, const char *key, enum msg_json_text kind, size_t max, char **out)
{
	size_t len = 0;
	const char *text = fit_text(in, key, kind, max, &len);
	if (text == NULL)
		return;
	*out = strdup(text);
	if (*out == NULL)
		in->rc = err_set(in->err, ERR_NOMEM, "out of memory");
}

void msg_json_name(struct msg_json_in *in, const char *key, char *out, size_t size)
{
	size_t len = 0;
	const char *text = text_of(in, key, size - 1, &len);
	if (text == NULL)
		return;
	if (!msg_enrol_is_name(text))
		msg_json_refuse(in, key, "is not a name");
	else
		memcpy(out, text, len + 1);
}

void msg_json_word(struct msg_json_in *in, const char *key, char *out, size_t size)
{
	size_t len = 0;
	const char *text = text_of(in, key, size - 1, &len);
	if (text == NULL)
		return;
	if (len == 0 || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		msg_json_refuse(in, key, "is not a word");
	else
		memcpy(out, text, len + 1);
}

void msg_json_number(
	struct msg_json_in *in, const char *key, int64_t min, int64_t max, int64_t *out)
{
	const json_t *v = member(in, key);
	if (v == NULL)
		return;
	json_int_t n = json_integer_value(v);
	if (!json_is_integer(v))
		msg_json_refuse(in, key, "is not a whole number");
	else if (n < min || n > max)
		msg_json_refuse(in, key, "is out of range");
	else
		*out = n;
}

void msg_json_bool(struct msg_json_in *in, const char *key, bool *out)
{
	const json_t *v = member(in, key);
	if (v == NULL)
		return;
	if (!json_is_boolean(v))
		msg_json_refuse(in, key, "is neither true nor false");
	else
		*out = json_is_true(v);
}

void msg_json_hex(struct msg_json_in *in, const char *key, uint8_t *out, size_t len)
{
	size_t have = 0;
	const char *text = text_of(in, key, 2 * len, &have);
	if (text != NULL && (have != 2 * len || text_unhex(text, len, out) != 0))
		msg_json_refuse(in, key, "is not an id in lower-case hex");
}

void msg_json_id(struct msg_json_in *in, const char *key, char out[33])
{
	uint8_t bytes[16] = { 0 };
	msg_json_hex(in, key, bytes, sizeof(bytes));
	if (in->rc == 0)
		text_hex(bytes, sizeof(bytes), out);
}

static void unbase64(
	struct msg_json_in *in, const char *key, const char *text, size_t len, struct buf *out)
{
	int rc = text_unbase64(text, len, out, in->err);
	if (rc == -ERR_NOMEM)
		in->rc = rc;
	else if (rc != 0)
		msg_json_refuse(in, key, "is not base64 of the right length");
}

void msg_json_fixed(struct msg_json_in *in, const char *key, uint8_t *out, size_t len)
{
	CLEANUP(buf_wipe) struct buf b = BUF_INIT(len);
	size_t have = 0;
	const char *text = text_of(in, key, (len + 2) / 3 * 4, &have);
	if (text == NULL)
		return;
	unbase64(in, key, text, have, &b);
	if (in->rc == 0 && b.len != len)
		msg_json_refuse(in, key, "is not base64 of the right length");
	if (in->rc == 0)
		memcpy(out, b.data, len);
}

void msg_json_bytes(struct msg_json_in *in, const char *key, size_t max, uint8_t **out, size_t *len)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(max);
	size_t have = 0;
	const char *text = text_of(in, key, (max + 2) / 3 * 4, &have);
	if (text == NULL)
		return;
	unbase64(in, key, text, have, &b);
	if (in->rc == 0 && b.len == 0)
		msg_json_refuse(in, key, "is empty");
	if (in->rc != 0)
		return;
	*len = b.len;
	*out = TAKE(b.data);
}

const json_t *msg_json_array(struct msg_json_in *in, const char *key, size_t max)
{
	const json_t *v = member(in, key);
	if (v == NULL)
		return NULL;
	if (!json_is_array(v))
		msg_json_refuse(in, key, "is not a list");
	else if (json_array_size(v) > max)
		msg_json_refuse(in, key, "has too many members");
	return in->rc == 0 ? v : NULL;
}

struct msg_json_in msg_json_item(const struct msg_json_in *in, const json_t *array, size_t i)
{
	struct msg_json_in item = {
		.at = json_array_get(array, i), .what = in->what, .err = in->err, .rc = in->rc
	};
	if (item.rc == 0 && !json_is_object(item.at))
		item.rc = err_set(
			in->err, ERR_CORRUPT, "%s: a member of a list is no object", in->what);
	return item;
}

struct msg_json_in msg_json_inner(struct msg_json_in *in, const char *key)
{
	const json_t *v = member(in, key);
	if (v != NULL && !json_is_object(v))
		msg_json_refuse(in, key, "is no object");
	return (struct msg_json_in){ .at = v, .what = in->what, .err = in->err, .rc = in->rc };
}

void msg_json_item_end(struct msg_json_in *in, const struct msg_json_in *item)
{
	if (in->rc == 0)
		in->rc = item->rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

void msg_json_begin(struct msg_json_out *out)
{
	out->at = json_object();
	out->is_failed = out->at == NULL;
}

void msg_json_drop(struct msg_json_out *out)
{
	json_decref(out->at);
	out->at = NULL;
}

int msg_json_write(struct msg_json_out *out, struct buf *to, struct err *err)
{
	int rc = out->is_failed ? err_set(err, ERR_NOMEM, "out of memory for a message")
				: jsonx_encode(out->at, to, err);
	msg_json_drop(out);
	return rc;
}

static void put(struct msg_json_out *out, const char *key, json_t *value)
{
	if (json_object_set_new(out->at, key, value) != 0) /* takes the value, fails for NULL */
		out->is_failed = true;
}

void msg_json_put_text(struct msg_json_out *out, const char *key, enum msg_json_text kind,
	const char *text, size_t size)
{
	size_t len = strlen(text);
	if (len < size && is_fit(text, kind) && escape_is_utf8(text, len)) {
		put(out, key, json_stringn(text, len));
		return;
	}
	size = size < TEXT_MAX_BYTES ? size : TEXT_MAX_BYTES;
	char *shown = malloc(size);
	if (shown != NULL)
		(void)escape_text(shown, size, text, len); /* cut is fine */
	put(out, key, shown == NULL ? NULL : json_string(shown));
	free(shown);
}

void msg_json_put_number(struct msg_json_out *out, const char *key, int64_t value)
{
	put(out, key, json_integer(value));
}

void msg_json_put_bool(struct msg_json_out *out, const char *key, bool value)
{
	put(out, key, json_boolean(value));
}

void msg_json_put_hex(struct msg_json_out *out, const char *key, const uint8_t *data, size_t len)
{
	char text[65];
	if (2 * len >= sizeof(text)) {
		out->is_failed = true;
		return;
	}
	text_hex(data, len, text);
	put(out, key, json_string(text));
}

void msg_json_put_base64(struct msg_json_out *out, const char *key, const void *data, size_t len)
{
	CLEANUP(buf_wipe) struct buf b = BUF_INIT(SIZE_MAX / 4);
	if (text_base64(data, len, &b, NULL) != 0)
		out->is_failed = true;
	else
		put(out, key, json_stringn(b.len == 0 ? "" : (const char *)b.data, b.len));
}

void msg_json_put_object(struct msg_json_out *out, const char *key, struct msg_json_out *inner)
{
	if (inner->is_failed)
		out->is_failed = true;
	put(out, key, TAKE(inner->at));
}

void msg_json_put_array(struct msg_json_out *out, const char *key, json_t *array)
{
	put(out, key, array);
}

void msg_json_add_item(struct msg_json_out *out, json_t *array, struct msg_json_out *item)
{
	if (item->is_failed || json_array_append_new(array, TAKE(item->at)) != 0)
		out->is_failed = true;
	msg_json_drop(item);
}
