#include "vault/label.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/wire.h"

enum label_tag {
	LABEL_TAG_SOURCE = 1,
	LABEL_TAG_HOST = 2,
	LABEL_TAG_PATH = 3, /* repeats */
	LABEL_TAG_TAG = 4,  /* repeats */
	LABEL_TAG_COUNTS = 5,
	LABEL_TAG_TOOL = 6,
	LABEL_TAG_LEFT_OUT = 7, /* absent = none */
	LABEL_TAG_KEEP = 128,   /* from here on: unknown ones are skipped */
};

#define LABEL_COUNTS_BYTES 32
#define LABEL_LEFT_OUT_BYTES 8

static int add_text(struct buf *out, enum label_tag tag, const char *text, struct err *err)
{
	size_t len = text == NULL ? 0 : strlen(text);
	if (len == 0)
		return 0;
	if (len > LABEL_MAX_TEXT)
		return err_set(err, ERR_LIMIT, "a label text of %zu bytes is longer than %d", len,
			LABEL_MAX_TEXT);
	return wire_add_tlv(out, (uint8_t)tag, text, len, err);
}

static int add_list(
	struct buf *out, enum label_tag tag, char *const *list, size_t count, struct err *err)
{
	if (count > LABEL_MAX_ITEMS)
		return err_set(err, ERR_LIMIT, "more than %d paths or tags", LABEL_MAX_ITEMS);
	for (size_t i = 0; i < count; i++) {
		int rc = add_text(out, tag, list[i], err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int label_encode(const struct label *l, struct buf *out, struct err *err)
{
	uint8_t counts[LABEL_COUNTS_BYTES];
	bytes_put64(counts, l->files);
	bytes_put64(counts + 8, l->dirs);
	bytes_put64(counts + 16, l->others);
	bytes_put64(counts + 24, l->new_bytes);
	int rc = add_text(out, LABEL_TAG_SOURCE, l->source, err);
	if (rc == 0)
		rc = add_text(out, LABEL_TAG_HOST, l->host, err);
	if (rc == 0)
		rc = add_list(out, LABEL_TAG_PATH, l->paths, l->path_count, err);
	if (rc == 0)
		rc = add_list(out, LABEL_TAG_TAG, l->tags, l->tag_count, err);
	if (rc == 0)
		rc = wire_add_tlv(out, LABEL_TAG_COUNTS, counts, sizeof(counts), err);
	if (rc == 0)
		rc = add_text(out, LABEL_TAG_TOOL, l->tool, err);
	if (rc != 0 || l->left_out == 0)
		return rc;
	bytes_put64(counts, l->left_out);
	return wire_add_tlv(out, LABEL_TAG_LEFT_OUT, counts, LABEL_LEFT_OUT_BYTES, err);
}

static int take_text(struct wire *value, char **out, struct err *err)
{
	if (value->left > LABEL_MAX_TEXT || memchr(value->p, 0, value->left) != NULL)
		return err_set(err, ERR_CORRUPT, "label: a text is too long or holds a NUL");
	char *text = strndup((const char *)value->p, value->left);
	if (text == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	free(*out);
	*out = text;
	return 0;
}

static int take_item(struct wire *value, char ***list, size_t *count, struct err *err)
{
	if (*count >= LABEL_MAX_ITEMS)
		return err_set(err, ERR_CORRUPT, "label: more than %d items", LABEL_MAX_ITEMS);
	char *text = NULL;
	int rc = take_text(value, &text, err);
	if (rc != 0)
		return rc;
	char **grown = reallocarray(*list, *count + 1, sizeof(*grown));
	if (grown == NULL) {
		free(text);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	grown[(*count)++] = text;
	*list = grown;
	return 0;
}

static int take_one(struct label *l, uint8_t tag, struct wire *value, struct err *err)
{
	switch (tag) {
	case LABEL_TAG_SOURCE:
		return take_text(value, &l->source, err);
	case LABEL_TAG_HOST:
		return take_text(value, &l->host, err);
	case LABEL_TAG_PATH:
		return take_item(value, &l->paths, &l->path_count, err);
	case LABEL_TAG_TAG:
		return take_item(value, &l->tags, &l->tag_count, err);
	case LABEL_TAG_COUNTS:
		if (value->left != LABEL_COUNTS_BYTES)
			return err_set(
				err, ERR_CORRUPT, "label: counts are %zu bytes", value->left);
		l->files = bytes_get64(value->p);
		l->dirs = bytes_get64(value->p + 8);
		l->others = bytes_get64(value->p + 16);
		l->new_bytes = bytes_get64(value->p + 24);
		return 0;
	case LABEL_TAG_TOOL:
		return take_text(value, &l->tool, err);
	case LABEL_TAG_LEFT_OUT:
		if (value->left == LABEL_LEFT_OUT_BYTES)
			l->left_out = bytes_get64(value->p);
		if (l->left_out == 0)
			return err_set(err, ERR_CORRUPT,
				"label: the count of names left out is 0 or no number");
		return 0;
	default:
		if (tag >= LABEL_TAG_KEEP)
			return 0;
		return err_set(err, ERR_UNSUPPORTED, "label: field %u needs a newer version", tag);
	}
}

int label_decode(const uint8_t *data, size_t len, struct label *out, struct err *err)
{
	struct label l = { .source = strdup(""), .host = strdup(""), .tool = strdup("") };
	struct wire w = { .p = data, .left = len };
	uint8_t last = 0;
	uint8_t tag;
	struct wire value;
	int rc = l.source == NULL || l.host == NULL || l.tool == NULL
			 ? err_set(err, ERR_NOMEM, "out of memory")
			 : 0;
	while (rc == 0) {
		uint8_t before = last;
		int more = wire_next_tlv(&w, &last, &tag, &value, err);
		if (more <= 0) {
			rc = more;
			break;
		}
		if (tag == before && tag != LABEL_TAG_PATH && tag != LABEL_TAG_TAG)
			rc = err_set(err, ERR_CORRUPT, "label: field %u stands twice", tag);
		else
			rc = take_one(&l, tag, &value, err);
	}
	if (rc != 0) {
		label_done(&l);
		return rc;
	}
	*out = l;
	return 0;
}

static void free_list(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

void label_done(struct label *l)
{
	free(l->source);
	free(l->host);
	free(l->tool);
	free_list(l->paths, l->path_count);
	free_list(l->tags, l->tag_count);
	memset(l, 0, sizeof(*l));
}
