#include "store/s3/s3_remove.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "store/s3/s3_reply.h"
#include "store/s3/s3_wire.h"

/*
 * INVARIANTS
 * (1) A key counts as deleted when the server said so of it, or said nothing against it in a whole
 *     answer.
 */

#define BODY_MAX_BYTES ((size_t)8 << 20)

void s3_remove_init(struct s3_remove *r, struct s3_wire *wire)
{
	memset(r, 0, sizeof(*r));
	r->wire = wire;
}

static void forget(struct s3_remove *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->keys[i]);
	r->count = 0;
}

void s3_remove_done(struct s3_remove *r)
{
	forget(r);
	free(r->keys);
	r->keys = NULL;
}

static int remove_one(struct s3_remove *r, const char *key, struct err *err)
{
	struct s3_wire_call call = { .method = S3_WIRE_DELETE, .key = key };
	int rc = s3_wire_run(r->wire, &call, err);
	return rc == -ERR_NOT_FOUND ? 0 : rc;
}

/* All of ${keys}, one request each; the first error, after all were tried. */
static int remove_singly(struct s3_remove *r, char *const *keys, size_t count, struct err *err)
{
	int first = 0;
	for (size_t i = 0; i < count; i++) {
		struct err why = ERR_INIT;
		int rc = remove_one(r, keys[i], &why);
		if (rc == 0 || first != 0)
			continue;
		first = rc;
		if (err != NULL)
			*err = why;
		if (rc == -ERR_INTERRUPTED || rc == -ERR_UNREACHABLE)
			break; /* the others would fare no better */
	}
	return first;
}

static int add_escaped(const char *text, struct buf *out, struct err *err)
{
	int rc = 0;
	for (; rc == 0 && *text != '\0'; text++) {
		switch (*text) {
		case '&':
			rc = buf_addf(out, err, "&amp;");
			break;
		case '<':
			rc = buf_addf(out, err, "&lt;");
			break;
		case '>':
			rc = buf_addf(out, err, "&gt;");
			break;
		default:
			rc = (unsigned char)*text < ' ' ? buf_addf(out, err, "&#%d;", *text)
							: buf_add8(out, (uint8_t)*text, err);
		}
	}
	return rc;
}

static int make_body(const struct s3_remove *r, struct buf *out, struct err *err)
{
	int rc = buf_addf(out, err, "<Delete><Quiet>true</Quiet>");
	for (size_t i = 0; rc == 0 && i < r->count; i++) {
		rc = buf_addf(out, err, "<Object><Key>");
		if (rc == 0)
			rc = add_escaped(r->keys[i], out, err);
		if (rc == 0)
			rc = buf_addf(out, err, "</Key></Object>");
	}
	return rc == 0 ? buf_addf(out, err, "</Delete>") : rc;
}

/* The keys that the server would not delete with the others. */
struct refused {
	char *keys[S3_REMOVE_MAX_KEYS];
	size_t count;
};

static int note(void *arg, const char *key, const char *code, struct err *err)
{
	struct refused *left = arg;
	if (strcmp(code, "NoSuchKey") == 0)
		return 0;
	if (left->count == S3_REMOVE_MAX_KEYS)
		return err_set(err, ERR_CORRUPT, "more keys in the server's answer than asked for");
	char *copy = strdup(key);
	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	left->keys[left->count++] = copy;
	return 0;
}

/* Each of them again by itself: that says why, or succeeds. */
static int remove_refused(struct s3_remove *r, const struct buf *answer, struct err *err)
{
	struct refused *left = calloc(1, sizeof(*left));
	if (left == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = s3_reply_delete(answer->data, answer->len, note, left, err);
	if (rc == 0)
		rc = remove_singly(r, left->keys, left->count, err);
	for (size_t i = 0; i < left->count; i++)
		free(left->keys[i]);
	free(left);
	return rc;
}

static int remove_together(struct s3_remove *r, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(BODY_MAX_BYTES);
	CLEANUP(buf_done) struct buf answer = BUF_INIT(S3_WIRE_MAX_ANSWER_BYTES);
	int rc = make_body(r, &body, err);
	if (rc != 0)
		return rc;
	struct s3_wire_call call = { .method = S3_WIRE_POST,
		.query = { { "delete", NULL } },
		.query_count = 1,
		.body = body.data,
		.len = body.len,
		.answer = &answer };
	struct err why = ERR_INIT;
	rc = s3_wire_run(r->wire, &call, &why);
	if (rc == 0)
		return remove_refused(r, &answer, err);
	if (call.status == 501 || call.status == 405 || call.status == 404 || call.status == 400) {
		/* no such verb here; a missing bucket is said again below */
		r->is_one_by_one = true;
		return remove_singly(r, r->keys, r->count, err);
	}
	if (err != NULL)
		*err = why;
	return rc;
}

int s3_remove_flush(struct s3_remove *r, struct err *err)
{
	int rc = 0;
	if (r->count == 1 || r->is_one_by_one)
		rc = remove_singly(r, r->keys, r->count, err);
	else if (r->count > 1)
		rc = remove_together(r, err);
	forget(r);
	return rc;
}

int s3_remove_add(struct s3_remove *r, const char *key, struct err *err)
{
	if (r->keys == NULL)
		r->keys = calloc(S3_REMOVE_MAX_KEYS, sizeof(*r->keys));
	char *copy = r->keys == NULL ? NULL : strdup(key);
	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->keys[r->count++] = copy;
	return r->count == S3_REMOVE_MAX_KEYS ? s3_remove_flush(r, err) : 0;
}
