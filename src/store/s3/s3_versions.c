#include "store/s3/s3_versions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/s3/s3_reply.h"
#include "store/s3/s3_wire.h"

/*
 * INVARIANTS
 * (1) Servers list keys ascending and the versions of each newest first: the last one told of a key
 *     is its oldest.  Another order of keys is refused; that of versions is believed.
 */

#define FIRST_VERSIONS 1024
#define LOOK_ON 64 /* versions of one key, the oldest */

static int reserve(struct s3_versions *v, struct err *err)
{
	if (v->at != NULL && v->count < v->cap)
		return 0;
	size_t cap = v->cap == 0 ? FIRST_VERSIONS : 2 * v->cap;
	struct s3_version *at = reallocarray(v->at, cap, sizeof(*at));
	if (at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a list of versions");
	v->at = at;
	v->cap = cap;
	return 0;
}

static int add_version(void *arg, const struct s3_reply_version *version, struct err *err)
{
	struct s3_versions *v = arg;
	if (version->is_marker)
		return 0;
	int rc = reserve(v, err);
	if (rc != 0)
		return rc;
	struct s3_version *last = v->count == 0 ? NULL : &v->at[v->count - 1];
	bool is_older = last != NULL && strcmp(last->key, version->key) == 0;
	CLEANUP(cleanup_free_p) char *id = strdup(version->id);
	CLEANUP(cleanup_free_p) char *key = strdup(version->key);
	if (id == NULL || key == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a list of versions");
	if (is_older) {
		free(last->id);
		last->id = TAKE(id);
		last->size = version->size;
		last->is_alone = false;
	} else {
		v->at[v->count++] = (struct s3_version){
			.key = TAKE(key),
			.id = TAKE(id),
			.size = version->size,
			.is_alone = true,
		};
	}
	return 0;
}

/* Invariant 1, for whoever is told. */
struct order {
	s3_reply_version_fn fn;
	void *arg;
	char last[S3_REPLY_MAX_KEY_BYTES + 1];
};

static int check_order(void *arg, const struct s3_reply_version *version, struct err *err)
{
	struct order *o = arg;
	if (strcmp(o->last, version->key) > 0)
		return err_set(err, ERR_CORRUPT, "the server's list of versions is in no order");
	(void)snprintf(o->last, sizeof(o->last), "%s", version->key); /* fits */
	return o->fn(o->arg, version, err);
}

static int ask_page(struct s3_wire *w, const char *prefix, struct order *o,
	struct s3_reply_versions *next, struct err *err)
{
	CLEANUP(buf_done) struct buf answer = BUF_INIT(S3_WIRE_MAX_ANSWER_BYTES);
	CLEANUP(cleanup_free_p) char *key = NULL;
	CLEANUP(cleanup_free_p) char *id = NULL;
	struct s3_wire_call call = { .method = S3_WIRE_GET,
		.query = { { "versions", NULL }, { "encoding-type", "url" }, { "prefix", prefix } },
		.query_count = 3,
		.answer = &answer };
	if (next->key_marker.len > 0) {
		key = strdup(buf_cstr(&next->key_marker));
		id = next->id_marker.len > 0 ? strdup(buf_cstr(&next->id_marker)) : NULL;
		call.query[call.query_count++] = (struct s3_uri_pair){ "key-marker", key };
		if (id != NULL)
			call.query[call.query_count++] =
				(struct s3_uri_pair){ "version-id-marker", id };
	}
	int rc = s3_wire_run(w, &call, err);
	return rc == 0 ? s3_reply_versions(answer.data, answer.len, check_order, o, next, err) : rc;
}

int s3_versions_each(
	struct s3_wire *w, const char *prefix, s3_reply_version_fn fn, void *arg, struct err *err)
{
	struct order o = { .fn = fn, .arg = arg };
	struct s3_reply_versions next = { .key_marker = BUF_INIT(S3_REPLY_MAX_KEY_BYTES),
		.id_marker = BUF_INIT(S3_REPLY_TEXT_BYTES) };
	int rc = 0;
	do {
		rc = ask_page(w, prefix, &o, &next, err);
	} while (rc == 0 && next.is_truncated);
	buf_done(&next.key_marker);
	buf_done(&next.id_marker);
	return rc;
}

int s3_versions_load(
	struct s3_wire *w, const char *prefix, struct s3_versions *out, struct err *err)
{
	return s3_versions_each(w, prefix, add_version, out, err);
}

void s3_versions_done(struct s3_versions *v)
{
	for (size_t i = 0; i < v->count; i++) {
		free(v->at[i].key);
		free(v->at[i].id);
	}
	free(v->at);
	memset(v, 0, sizeof(*v));
}

static int by_key(const void *key, const void *at)
{
	return strcmp(key, ((const struct s3_version *)at)->key);
}

const struct s3_version *s3_versions_find(const struct s3_versions *v, const char *key)
{
	return v->count == 0 ? NULL : bsearch(key, v->at, v->count, sizeof(*v->at), by_key);
}

/* The last ones told of a key: its oldest. */
struct ring {
	const char *key;
	char ids[LOOK_ON][S3_REPLY_TEXT_BYTES];
	size_t count; /* that were told */
};

static int see_version(void *arg, const struct s3_reply_version *version, struct err *err)
{
	struct ring *r = arg;
	(void)err; /* nothing here can fail */
	if (!version->is_marker && strcmp(version->key, r->key) == 0)
		(void)snprintf(r->ids[r->count++ % LOOK_ON], sizeof(r->ids[0]), "%s",
			version->id); /* fits */
	return 0;
}

static bool is_of_key(const char *key, const uint8_t *data, size_t len)
{
	uint8_t hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];
	hash_sha256(data, len, hash);
	text_hex(hash, sizeof(hash), hex);
	size_t n = strlen(key);
	return n >= 2 * HASH_BYTES && strcmp(key + n - 2 * HASH_BYTES, hex) == 0;
}

static bool has_hash(const char *key)
{
	uint8_t hash[HASH_BYTES];
	size_t n = strlen(key);
	return n >= 2 * HASH_BYTES && text_unhex(key + n - 2 * HASH_BYTES, sizeof(hash), hash) == 0;
}

static int read_one(
	struct s3_wire *w, const char *key, const char *id, struct buf *out, struct err *err)
{
	struct s3_wire_call call = { .method = S3_WIRE_GET,
		.key = key,
		.query = { { "versionId", id } },
		.query_count = 1,
		.answer = out };
	return s3_wire_run(w, &call, err);
}

/* Those after the oldest, the older first.  Return 1 when ${out} is the right one, 0 when there is
 * none, or an error. */
static int read_on(struct s3_wire *w, const char *key, struct buf *out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct ring *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->key = key;
	const size_t before = out->len;
	int rc = s3_versions_each(w, key, see_version, r, err);
	for (size_t i = 1; rc == 0 && i < r->count && i < LOOK_ON; i++) {
		struct err why = ERR_INIT;
		rc = read_one(w, key, r->ids[(r->count - 1 - i) % LOOK_ON], out, &why);
		if (rc == 0 && is_of_key(key, out->data + before, out->len - before))
			return 1;
		out->len = before;
		/* too long for one of ours, gone meanwhile, or put so that we cannot read it: those
		 * behind it count; only where nobody can be asked that is the end */
		if (rc != -ERR_UNREACHABLE && rc != -ERR_INTERRUPTED && rc != -ERR_NOMEM)
			rc = 0;
		else if (err != NULL)
			*err = why;
	}
	return rc;
}

int s3_versions_read(
	struct s3_wire *w, const struct s3_version *v, struct buf *out, struct err *err)
{
	const size_t before = out->len;
	struct err why = ERR_INIT;
	int rc = read_one(w, v->key, v->id, out, &why);
	bool is_odd = rc == -ERR_LIMIT ||
		      (rc == 0 && !is_of_key(v->key, out->data + before, out->len - before));
	if (!is_odd || v->is_alone || !has_hash(v->key)) {
		if (rc != 0 && err != NULL)
			*err = why;
		return rc;
	}
	out->len = before;
	rc = read_on(w, v->key, out, err);
	return rc == 1 ? 0 : rc < 0 ? rc : read_one(w, v->key, v->id, out, err);
}
