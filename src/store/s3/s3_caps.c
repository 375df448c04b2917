#include "store/s3/s3_caps.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "store/s3/s3_lock.h"
#include "store/s3/s3_reply.h"
#include "store/s3/s3_wire.h"

/*
 * INVARIANTS
 * (1) A capability is yes only when the server did what it means, before our eyes.
 */

#define HEADLINE "holdfast s3 1"
#define LOCK "lock="

static const struct {
	const char *name;
	size_t at;
} fields[] = {
	{ "conditional-put", offsetof(struct s3_caps, has_if_absent) },
	{ "versioning", offsetof(struct s3_caps, has_versions) },
	{ "object-lock", offsetof(struct s3_caps, has_lock) },
	{ "object-lock-kept", offsetof(struct s3_caps, is_lock_kept) },
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

int s3_caps_format(const struct s3_caps *c, struct buf *out, struct err *err)
{
	int rc = buf_addf(out, err, HEADLINE "\n");
	for (size_t i = 0; rc == 0 && i < FIELDS; i++) {
		bool value = *(const bool *)((const char *)c + fields[i].at);
		rc = buf_addf(out, err, "%s=%s\n", fields[i].name, value ? "yes" : "no");
	}
	char lock[STORE_LOCK_TEXT_BYTES];
	if (rc == 0 && c->lock.mode != STORE_LOCK_NONE)
		rc = buf_addf(out, err, LOCK "%s\n", store_lock_format(&c->lock, lock));
	return rc;
}

static void take_line(const char *line, size_t len, struct s3_caps *out)
{
	char lock[STORE_LOCK_TEXT_BYTES];
	size_t head = strlen(LOCK);
	if (len > head && len - head < sizeof(lock) && memcmp(line, LOCK, head) == 0) {
		(void)snprintf(lock, sizeof(lock), "%.*s", (int)(len - head), line + head);
		(void)store_lock_parse(lock, &out->lock, NULL); /* no good: as if there was none */
		return;
	}
	for (size_t i = 0; i < FIELDS; i++) {
		size_t n = strlen(fields[i].name);
		if (len == n + 4 && memcmp(line, fields[i].name, n) == 0 &&
			memcmp(line + n, "=yes", 4) == 0)
			*(bool *)((char *)out + fields[i].at) = true;
	}
}

int s3_caps_parse(const char *text, size_t len, struct s3_caps *out, struct err *err)
{
	struct s3_caps c = { .is_known = true };
	size_t head = strlen(HEADLINE);
	if (len <= head || memcmp(text, HEADLINE "\n", head + 1) != 0)
		return err_set(err, ERR_CORRUPT, "the notes about the object store are damaged");
	for (size_t at = head + 1; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end == NULL ? len - at : (size_t)(end - text) - at;
		take_line(text + at, n, &c);
		at += n + 1;
	}
	*out = c;
	return 0;
}

struct probe {
	struct s3_wire *wire;
	char *key; /* of the probe's object */
};

/* PUT the probe's object; ${call} may carry headers. */
static int put_probe(struct probe *p, struct s3_wire_call *call, const char *text, struct err *err)
{
	call->method = S3_WIRE_PUT;
	call->key = p->key;
	call->body = text;
	call->len = strlen(text);
	return s3_wire_run(p->wire, call, err);
}

/* Two conditional PUTs of other content under one name: the second one must be refused. */
static int probe_condition(struct probe *p, struct s3_caps *out, struct err *err)
{
	struct s3_wire_call first = { .headers = { { "if-none-match", "*" } }, .header_count = 1 };
	int rc = put_probe(p, &first, "first", err);
	if (rc == -ERR_UNSUPPORTED) { /* 501: it says so */
		struct s3_wire_call plain = { .header_count = 0 };
		return put_probe(p, &plain, "first", err);
	}
	if (rc != 0)
		return rc;
	struct s3_wire_call second = { .headers = { { "if-none-match", "*" } }, .header_count = 1 };
	rc = put_probe(p, &second, "second", err);
	out->has_if_absent = rc == -ERR_EXISTS;
	return rc == -ERR_EXISTS || rc == -ERR_UNSUPPORTED ? 0 : rc;
}

/* Ask the bucket about itself.  A server that does not know, or does not tell us, has it not. */
static bool ask_bucket(struct probe *p, const char *what,
	int (*read)(const void *data, size_t len, bool *is_enabled, struct err *err))
{
	CLEANUP(buf_done) struct buf answer = BUF_INIT(S3_WIRE_MAX_ANSWER_BYTES);
	struct s3_wire_call call = { .method = S3_WIRE_GET,
		.query = { { what, NULL } },
		.query_count = 1,
		.answer = &answer };
	bool is_enabled = false;
	if (s3_wire_run(p->wire, &call, NULL) != 0 ||
		read(answer.data, answer.len, &is_enabled, NULL) != 0)
		return false;
	return is_enabled;
}

static int delete_version(struct probe *p, const char *version, struct err *err)
{
	struct s3_wire_call call = { .method = S3_WIRE_DELETE,
		.key = p->key,
		.query = { { "versionId", version } },
		.query_count = version == NULL || version[0] == '\0' ? 0 : 1 };
	return s3_wire_run(p->wire, &call, err);
}

/* A locked version is written, looked at, and must withstand its deletion. */
static void probe_lock(struct probe *p, struct s3_caps *out)
{
	char until[S3_LOCK_TIME_BYTES];
	(void)s3_lock_time(s3_wire_now_ns(p->wire) + S3_CAPS_LOCK_S * INT64_C(1000000000), until);
	struct s3_wire_call put = { .headers = { { "x-amz-object-lock-mode", "COMPLIANCE" },
					    { "x-amz-object-lock-retain-until-date", until } },
		.header_count = 2 };
	struct s3_wire_call look = { .method = S3_WIRE_GET, .key = p->key };
	if (put_probe(p, &put, "locked", NULL) != 0 || put.version[0] == '\0' ||
		s3_wire_run(p->wire, &look, NULL) != 0 || look.lock_mode[0] == '\0')
		return;
	out->is_lock_kept = delete_version(p, put.version, NULL) != 0 && put.version[0] != '\0' &&
			    s3_wire_run(p->wire, &look, NULL) == 0;
}

int s3_caps_probe(struct s3_wire *w, const char *prefix, struct s3_caps *out, struct err *err)
{
	uint64_t random = 0;
	struct s3_caps c = { .is_known = true };
	struct probe p = { .wire = w };
	int rc = env_random(&random, sizeof(random), err);
	if (rc == 0 &&
		asprintf(&p.key, "%stmp/probe-%016llx", prefix, (unsigned long long)random) < 0)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc != 0)
		return rc;
	rc = probe_condition(&p, &c, err);
	if (rc == 0) {
		c.has_versions = ask_bucket(&p, "versioning", s3_reply_versioning);
		c.has_lock = ask_bucket(&p, "object-lock", s3_reply_object_lock);
		if (c.has_lock)
			probe_lock(&p, &c);
		(void)delete_version(&p, NULL, NULL); /* what stays is small, and ours to stay */
		*out = c;
	}
	free(p.key);
	return rc;
}
