#include "store/s3/s3_notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "store/s3/s3_many.h"
#include "store/s3/s3_put.h"
#include "store/s3/s3_versions.h"

#define LOOK_BACK 64 /* versions, of the newest and of the oldest */

/* The caller frees. */
static char *key_of(const char *prefix, struct err *err)
{
	char *key = NULL;
	if (asprintf(&key, "%s" S3_CAPS_NAME, prefix) >= 0)
		return key;
	(void)err_set(err, ERR_NOMEM, "out of memory");
	return NULL;
}

/* One version, or the current one (NULL).  Damaged notes are as good as none. */
static int read_one(
	struct s3_wire *w, const char *key, const char *id, struct s3_notes *out, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(S3_CAPS_MAX_BYTES);
	struct s3_wire_call call = { .method = S3_WIRE_GET,
		.key = key,
		.query = { { "versionId", id } },
		.query_count = id == NULL ? 0 : 1,
		.answer = &text };
	int rc = s3_wire_run(w, &call, err);
	if (rc == 0 && s3_caps_parse((const char *)text.data, text.len, &out->caps, NULL) == 0)
		memcpy(out->version, call.version, sizeof(out->version));
	return rc;
}

struct ids {
	const char *key;
	char at[2 * LOOK_BACK][S3_REPLY_TEXT_BYTES]; /* in the second half the last ones told */
	size_t count;                                /* that there are */
};

/* Where the ${nth} newest is kept. */
static size_t place_of(size_t nth)
{
	return nth < LOOK_BACK ? nth : LOOK_BACK + nth % LOOK_BACK;
}

static int see_version(void *arg, const struct s3_reply_version *v, struct err *err)
{
	struct ids *ids = arg;
	(void)err; /* nothing here can fail */
	if (!v->is_marker && strcmp(v->key, ids->key) == 0)
		(void)snprintf(ids->at[place_of(ids->count++)], sizeof(ids->at[0]), "%s",
			v->id); /* fits */
	return 0;
}

/* Does it say that there are none, or none for this key? */
static bool is_none(int rc)
{
	return rc == -ERR_AUTH || rc == -ERR_UNSUPPORTED || rc == -ERR_NOT_FOUND;
}

/* The newest version that is whole.  A server that keeps none has none, and a key that may not list
 * them sees none.  Whoever puts rubbish over them does not reach the oldest. */
static int look_back(
	struct s3_wire *w, const char *key, bool is_there, struct s3_notes *out, struct err *err)
{
	struct err why = ERR_INIT;
	CLEANUP(cleanup_free_p) struct ids *ids = calloc(1, sizeof(*ids));
	if (ids == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	ids->key = key;
	int rc = s3_versions_each(w, key, see_version, ids, &why);
	if (is_none(rc) || (rc == -ERR_IO && !is_there)) /* some know no such question: 400 */
		return 0;
	size_t rest = ids->count > 2 * LOOK_BACK ? ids->count - LOOK_BACK : LOOK_BACK;
	for (size_t i = 0; rc == 0 && !out->caps.is_known && i < ids->count; i++) {
		if (i >= LOOK_BACK && i < rest)
			continue;
		rc = read_one(w, key, ids->at[place_of(i)], out, &why);
		if (is_none(rc) || rc == -ERR_LIMIT) /* not that one */
			rc = 0;
	}
	if (rc != 0 && err != NULL)
		*err = why;
	out->is_behind = out->caps.is_known;
	out->is_lost = ids->count > 0 && !out->caps.is_known;
	return rc;
}

int s3_notes_read(struct s3_wire *w, const char *prefix, struct s3_notes *out, struct err *err)
{
	CLEANUP(cleanup_free_p) char *key = key_of(prefix, err);
	struct s3_notes n = { .is_behind = false };
	struct err why = ERR_INIT;
	if (key == NULL)
		return -ERR_NOMEM;
	int rc = read_one(w, key, NULL, &n, &why);
	bool is_there = rc != -ERR_NOT_FOUND;
	if (rc == -ERR_LIMIT || rc == -ERR_NOT_FOUND)
		rc = 0; /* no notes of ours */
	if (rc == 0 && !n.caps.is_known)
		rc = look_back(w, key, is_there, &n, &why);
	if (rc != 0 && err != NULL)
		*err = why;
	if (rc == 0)
		*out = n;
	return rc;
}

int s3_notes_write(struct s3_wire *w, const char *prefix, struct s3_notes *n, struct err *err)
{
	CLEANUP(cleanup_free_p) char *key = key_of(prefix, err);
	CLEANUP(buf_done) struct buf text = BUF_INIT(S3_CAPS_MAX_BYTES);
	const struct store_lock *lock = &n->caps.lock;
	struct s3_put p;
	int rc = key == NULL ? -ERR_NOMEM : s3_caps_format(&n->caps, &text, err);
	if (rc != 0)
		return rc;
	s3_put_init(&p, key, text.data, text.len, false);
	s3_put_lock(&p, lock->mode, store_lock_until(lock, s3_wire_now_ns(w)));
	s3_put_over(&p);
	rc = s3_wire_run(w, &p.call, err);
	if (rc != 0)
		return rc;
	memcpy(n->version, p.call.version, sizeof(n->version));
	n->is_behind = false;
	return 0;
}

int s3_notes_extend(struct s3_wire *w, const char *prefix, const struct s3_notes *n,
	int64_t until_ns, struct err *err)
{
	struct store_item item = { .name = S3_CAPS_NAME,
		.id = n->version[0] == '\0' ? NULL : n->version,
		.mode = n->caps.lock.mode,
		.until_ns = until_ns };
	if (item.mode == STORE_LOCK_NONE)
		return 0;
	int rc = s3_many_extend(w, prefix, &item, 1, err);
	if (rc == 0 && item.rc != 0 && err != NULL)
		*err = item.why;
	return rc != 0 ? rc : item.rc;
}
