#include "store/s3/s3_uri.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) Encoding is done once: a '%' in a name is "%25", never taken for an escape.
 */

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.' || c == '~';
}

int s3_uri_encode(const char *data, size_t len, bool keep_slash, struct buf *out, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < len; i++) {
		if (is_plain(data[i]) || (keep_slash && data[i] == '/'))
			rc = buf_add8(out, (uint8_t)data[i], err);
		else
			rc = buf_addf(out, err, "%%%02X", (unsigned)(unsigned char)data[i]);
	}
	return rc;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int s3_uri_decode(const char *text, size_t len, struct buf *out, struct err *err)
{
	size_t before = out->len;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < len; i++) {
		if (text[i] != '%') {
			rc = buf_add8(out, text[i] == '+' ? ' ' : (uint8_t)text[i], err);
			continue;
		}
		int high = len - i > 2 ? hex_value(text[i + 1]) : -1;
		int low = high < 0 ? -1 : hex_value(text[i + 2]);
		if (low < 0)
			rc = err_set(err, ERR_CORRUPT, "a broken escape at byte %zu of a name", i);
		else
			rc = buf_add8(out, (uint8_t)(high << 4 | low), err);
		i += 2;
	}
	if (rc != 0)
		out->len = before;
	return rc;
}

/* One pair as "name\0value\0", so that strcmp() of the names, then of the values, is the order. */
struct encoded {
	struct buf text;
	size_t value; /* where it begins */
};

static int encode_pair(const struct s3_uri_pair *pair, struct encoded *e, struct err *err)
{
	const char *value = pair->value == NULL ? "" : pair->value;
	int rc = s3_uri_encode(pair->name, strlen(pair->name), false, &e->text, err);
	if (rc == 0)
		rc = buf_add8(&e->text, 0, err);
	e->value = e->text.len;
	if (rc == 0)
		rc = s3_uri_encode(value, strlen(value), false, &e->text, err);
	return rc == 0 ? buf_add8(&e->text, 0, err) : rc;
}

static const char *text_of(const struct encoded *e, size_t at)
{
	return (const char *)e->text.data + at;
}

static bool is_after(const struct encoded *a, const struct encoded *b)
{
	int order = strcmp(text_of(a, 0), text_of(b, 0));
	if (order == 0)
		order = strcmp(text_of(a, a->value), text_of(b, b->value));
	return order > 0;
}

int s3_uri_query(const struct s3_uri_pair *pairs, size_t count, struct buf *out, struct err *err)
{
	assert(count <= S3_URI_MAX_PAIRS);
	struct encoded all[S3_URI_MAX_PAIRS];
	size_t order[S3_URI_MAX_PAIRS];
	int rc = 0;
	size_t made = 0;
	for (; rc == 0 && made < count; made++) {
		all[made] = (struct encoded){ .text = BUF_INIT((size_t)64 << 10) };
		rc = encode_pair(&pairs[made], &all[made], err);
		size_t at = made;
		for (; rc == 0 && at > 0 && is_after(&all[order[at - 1]], &all[made]); at--)
			order[at] = order[at - 1];
		order[at] = made;
	}
	for (size_t i = 0; rc == 0 && i < count; i++) {
		const struct encoded *e = &all[order[i]];
		rc = buf_addf(out, err, "%s%s=%s", i == 0 ? "" : "&", text_of(e, 0),
			text_of(e, e->value));
	}
	for (size_t i = 0; i < made; i++)
		buf_done(&all[i].text);
	return rc;
}
