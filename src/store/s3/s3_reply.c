#include "store/s3/s3_reply.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "store/s3/s3_lock.h"
#include "store/s3/s3_uri.h"
#include "store/s3/s3_xml.h"

/*
 * INVARIANTS
 * (1) A key is told only when its whole element was read and has all it needs.
 */

static bool is_at(const char *path, const char *place)
{
	return strcmp(path, place) == 0;
}

static int take_refusal(void *arg, const char *path, const char *text, size_t len, struct err *err)
{
	(void)err; /* nothing here can fail */
	struct s3_reply_refusal *out = arg;
	if (is_at(path, "Error/Code"))
		(void)escape_text(out->code, sizeof(out->code), text, len);
	else if (is_at(path, "Error/Message"))
		(void)escape_text(out->text, sizeof(out->text), text, len);
	else if (is_at(path, "Error/Region"))
		(void)escape_text(out->region, sizeof(out->region), text, len);
	return 0;
}

void s3_reply_refusal(const void *data, size_t len, struct s3_reply_refusal *out)
{
	memset(out, 0, sizeof(*out));
	(void)s3_xml_walk(
		data, len, take_refusal, out, NULL); /* what was read before a fault stays */
}

static int parse_size(const char *text, uint64_t *size, struct err *err)
{
	uint64_t n = 0;
	const char *p = text;
	for (; *p >= '0' && *p <= '9' && n < UINT64_MAX / 10 - 1; p++)
		n = n * 10 + (uint64_t)(*p - '0');
	if (p == text || *p != '\0')
		return err_set(err, ERR_CORRUPT, "a size in the server's list is no number");
	*size = n;
	return 0;
}

static bool is_true(const char *text)
{
	return strcmp(text, "true") == 0;
}

/* ${text} as it stands, or decoded when the server says that it encoded keys. */
static int take_key(const char *text, size_t len, struct buf *out, struct err *err)
{
	buf_clear(out);
	return buf_add(out, text, len, err);
}

struct listing {
	s3_reply_object_fn fn;
	void *arg;
	struct s3_reply_page *page;
	struct buf key; /* of the element at hand, as the server wrote it */
	bool has_key, has_size, is_list, has_truncated;
	bool is_encoded; /* asked for, but it is the server that says */
	uint64_t size;
};

static int end_object(struct listing *l, struct err *err)
{
	if (!l->has_key || !l->has_size)
		return err_set(
			err, ERR_CORRUPT, "an object in the server's list lacks key or size");
	l->has_key = l->has_size = false;
	CLEANUP(buf_done) struct buf plain = BUF_INIT(S3_REPLY_MAX_KEY_BYTES);
	int rc = l->is_encoded ? s3_uri_decode((const char *)l->key.data, l->key.len, &plain, err)
			       : buf_add(&plain, l->key.data, l->key.len, err);
	if (rc != 0)
		return rc;
	const char *key = buf_cstr(&plain);
	if (key == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (strlen(key) != plain.len)
		return 0; /* a zero byte inside: cannot be ours */
	return l->fn(l->arg, key, l->size, err);
}

static int take_object(void *arg, const char *path, const char *text, size_t len, struct err *err)
{
	struct listing *l = arg;
	if (is_at(path, "ListBucketResult/Contents"))
		return end_object(l, err);
	if (is_at(path, "ListBucketResult/Contents/Key")) {
		l->has_key = true;
		return take_key(text, len, &l->key, err);
	}
	if (is_at(path, "ListBucketResult/Contents/Size")) {
		l->has_size = true;
		return parse_size(text, &l->size, err);
	}
	if (is_at(path, "ListBucketResult/IsTruncated")) {
		l->page->is_truncated = is_true(text);
		l->has_truncated = true;
	} else if (is_at(path, "ListBucketResult/NextContinuationToken")) {
		return take_key(text, len, &l->page->token, err);
	} else if (is_at(path, "ListBucketResult")) {
		l->is_list = true;
	}
	return 0;
}

static int note_encoding(void *arg, const char *path, const char *text, size_t len, struct err *err)
{
	(void)len;
	(void)err; /* nothing here can fail */
	if (is_at(path, "ListBucketResult/EncodingType") ||
		is_at(path, "ListVersionsResult/EncodingType"))
		*(bool *)arg = strcmp(text, "url") == 0;
	return 0;
}

int s3_reply_list(const void *data, size_t len, s3_reply_object_fn fn, void *arg,
	struct s3_reply_page *out, struct err *err)
{
	struct listing l = { .fn = fn, .arg = arg, .page = out };
	l.key = (struct buf)BUF_INIT(S3_XML_MAX_TEXT_BYTES);
	out->is_truncated = false;
	buf_clear(&out->token);
	/* the element that says how keys are written may stand behind them */
	int rc = s3_xml_walk(data, len, note_encoding, &l.is_encoded, err);
	if (rc == 0)
		rc = s3_xml_walk(data, len, take_object, &l, err);
	buf_done(&l.key);
	if (rc == 0 && (!l.is_list || !l.has_truncated))
		rc = err_set(err, ERR_CORRUPT, "the server's answer is no list of objects");
	if (rc == 0 && out->is_truncated && out->token.len == 0)
		rc = err_set(err, ERR_CORRUPT, "a page of the server's list names no next one");
	return rc;
}

struct deletion {
	s3_reply_key_fn fn;
	void *arg;
	char key[S3_REPLY_MAX_KEY_BYTES + 1];
	char code[S3_REPLY_CODE_BYTES];
	bool is_result;
};

static int take_deletion(void *arg, const char *path, const char *text, size_t len, struct err *err)
{
	struct deletion *d = arg;
	if (is_at(path, "DeleteResult/Error/Key")) {
		if (len >= sizeof(d->key))
			return err_set(
				err, ERR_CORRUPT, "a key in the server's answer is too long");
		memcpy(d->key, text, len + 1);
	} else if (is_at(path, "DeleteResult/Error/Code")) {
		(void)escape_text(d->code, sizeof(d->code), text, len);
	} else if (is_at(path, "DeleteResult/Error")) {
		int rc = d->fn(d->arg, d->key, d->code, err);
		d->key[0] = d->code[0] = '\0';
		return rc;
	} else if (is_at(path, "DeleteResult")) {
		d->is_result = true;
	}
	return 0;
}

int s3_reply_delete(const void *data, size_t len, s3_reply_key_fn fn, void *arg, struct err *err)
{
	struct deletion d = { .fn = fn, .arg = arg };
	int rc = s3_xml_walk(data, len, take_deletion, &d, err);
	if (rc == 0 && !d.is_result)
		rc = err_set(err, ERR_CORRUPT, "the server's answer is no result of a deletion");
	return rc;
}

struct versions {
	s3_reply_version_fn fn;
	void *arg;
	struct s3_reply_versions *page;
	struct s3_reply_version now;
	bool is_encoded, is_list, has_truncated, has_key, has_id;
};

static int take_version_key(struct versions *v, const char *text, size_t len, struct err *err)
{
	CLEANUP(buf_done) struct buf plain = BUF_INIT(S3_REPLY_MAX_KEY_BYTES);
	int rc = v->is_encoded ? s3_uri_decode(text, len, &plain, err)
			       : buf_add(&plain, text, len, err);
	if (rc != 0)
		return rc;
	if (plain.len > 0)
		memcpy(v->now.key, plain.data, plain.len);
	v->now.key[plain.len] = '\0';
	v->has_key = true;
	return 0;
}

static int end_version(struct versions *v, bool is_marker, struct err *err)
{
	if (!v->has_key || !v->has_id)
		return err_set(err, ERR_CORRUPT, "a version in the server's list lacks key or id");
	v->now.is_marker = is_marker;
	int rc = v->fn(v->arg, &v->now, err);
	memset(&v->now, 0, sizeof(v->now));
	v->has_key = v->has_id = false;
	return rc;
}

static int take_version_field(
	struct versions *v, const char *name, const char *text, size_t len, struct err *err)
{
	if (is_at(name, "Key"))
		return take_version_key(v, text, len, err);
	if (is_at(name, "VersionId")) {
		if (len >= sizeof(v->now.id))
			return err_set(err, ERR_CORRUPT, "a version's id is too long");
		memcpy(v->now.id, text, len + 1);
		v->has_id = true;
	} else if (is_at(name, "Size")) {
		return parse_size(text, &v->now.size, err);
	} else if (is_at(name, "ETag")) {
		if (len < sizeof(v->now.tag))
			memcpy(v->now.tag, text, len + 1);
	} else if (is_at(name, "LastModified")) {
		v->now.at_ns = s3_lock_ns(text);
	} else if (is_at(name, "IsLatest")) {
		v->now.is_latest = is_true(text);
	}
	return 0;
}

static int take_version(void *arg, const char *path, const char *text, size_t len, struct err *err)
{
	static const char version[] = "ListVersionsResult/Version";
	static const char marker[] = "ListVersionsResult/DeleteMarker";
	struct versions *v = arg;
	if (is_at(path, version) || is_at(path, marker))
		return end_version(v, is_at(path, marker), err);
	if (strncmp(path, version, strlen(version)) == 0 && path[strlen(version)] == '/')
		return take_version_field(v, path + sizeof(version), text, len, err);
	if (strncmp(path, marker, strlen(marker)) == 0 && path[strlen(marker)] == '/')
		return take_version_field(v, path + sizeof(marker), text, len, err);
	if (is_at(path, "ListVersionsResult/IsTruncated")) {
		v->page->is_truncated = is_true(text);
		v->has_truncated = true;
	} else if (is_at(path, "ListVersionsResult/NextKeyMarker")) {
		buf_clear(&v->page->key_marker);
		return v->is_encoded ? s3_uri_decode(text, len, &v->page->key_marker, err)
				     : buf_add(&v->page->key_marker, text, len, err);
	} else if (is_at(path, "ListVersionsResult/NextVersionIdMarker")) {
		return take_key(text, len, &v->page->id_marker, err);
	} else if (is_at(path, "ListVersionsResult")) {
		v->is_list = true;
	}
	return 0;
}

int s3_reply_versions(const void *data, size_t len, s3_reply_version_fn fn, void *arg,
	struct s3_reply_versions *out, struct err *err)
{
	struct versions v = { .fn = fn, .arg = arg, .page = out };
	out->is_truncated = false;
	buf_clear(&out->key_marker);
	buf_clear(&out->id_marker);
	int rc = s3_xml_walk(data, len, note_encoding, &v.is_encoded, err);
	if (rc == 0)
		rc = s3_xml_walk(data, len, take_version, &v, err);
	if (rc == 0 && (!v.is_list || !v.has_truncated))
		rc = err_set(err, ERR_CORRUPT, "the server's answer is no list of versions");
	if (rc == 0 && out->is_truncated && out->key_marker.len == 0)
		rc = err_set(err, ERR_CORRUPT, "a page of the server's list names no next one");
	return rc;
}

struct state {
	const char *root, *path;
	bool is_root, is_enabled;
};

static int take_state(void *arg, const char *path, const char *text, size_t len, struct err *err)
{
	(void)len;
	(void)err; /* nothing here can fail */
	struct state *s = arg;
	if (is_at(path, s->path))
		s->is_enabled = strcmp(text, "Enabled") == 0;
	else if (is_at(path, s->root))
		s->is_root = true;
	return 0;
}

static int read_state(
	struct state *s, const void *data, size_t len, bool *is_enabled, struct err *err)
{
	int rc = s3_xml_walk(data, len, take_state, s, err);
	if (rc == 0 && !s->is_root)
		rc = err_set(err, ERR_CORRUPT, "the server's answer is no %s", s->root);
	if (rc == 0)
		*is_enabled = s->is_enabled;
	return rc;
}

int s3_reply_versioning(const void *data, size_t len, bool *is_enabled, struct err *err)
{
	struct state s = { .root = "VersioningConfiguration",
		.path = "VersioningConfiguration/Status" };
	return read_state(&s, data, len, is_enabled, err);
}

int s3_reply_object_lock(const void *data, size_t len, bool *is_enabled, struct err *err)
{
	struct state s = { .root = "ObjectLockConfiguration",
		.path = "ObjectLockConfiguration/ObjectLockEnabled" };
	return read_state(&s, data, len, is_enabled, err);
}
