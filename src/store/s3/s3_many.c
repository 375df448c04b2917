#include "store/s3/s3_many.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "store/s3/s3_lock.h"
#include "store/s3/s3_put.h"
#include "store/s3/s3_versions.h"
#include "store/s3/s3_wire.h"

/*
 * INVARIANTS
 * (1) Every call that was started is waited for before its memory goes.
 */

/* The requests for some items. */
struct many {
	struct s3_wire *wire;
	struct store_item *items;
	struct s3_wire_call *calls; /* owned, as what follows; one for each item */
	char **keys;
	char (*bodies)[S3_LOCK_BODY_BYTES];
	size_t count;
};

static void many_done(struct many *m)
{
	for (size_t i = 0; m->keys != NULL && i < m->count; i++)
		free(m->keys[i]);
	free(m->keys);
	free(m->calls);
	free(m->bodies);
}

static int many_init(struct many *m, struct s3_wire *w, const char *prefix, struct store_item *at,
	size_t count, struct err *err)
{
	*m = (struct many){ .wire = w, .items = at, .count = count };
	m->calls = calloc(count + 1, sizeof(*m->calls));
	m->keys = calloc(count + 1, sizeof(*m->keys));
	m->bodies = calloc(count + 1, sizeof(*m->bodies));
	bool is_short = m->calls == NULL || m->keys == NULL || m->bodies == NULL;
	for (size_t i = 0; !is_short && i < count; i++) {
		if (asprintf(&m->keys[i], "%s%s", prefix, at[i].name) < 0) {
			m->keys[i] = NULL;
			is_short = true;
		}
		at[i].rc = 0;
		err_clear(&at[i].why);
	}
	if (!is_short)
		return 0;
	many_done(m);
	return err_set(err, ERR_NOMEM, "out of memory for requests");
}

/* An empty call for the item's version. */
static struct s3_wire_call *call_of(struct many *m, size_t i, enum s3_wire_method method)
{
	struct s3_wire_call *call = &m->calls[i];
	*call = (struct s3_wire_call){ .method = method, .key = m->keys[i] };
	if (m->items[i].id != NULL)
		call->query[call->query_count++] =
			(struct s3_uri_pair){ "versionId", m->items[i].id };
	return call;
}

/* Did it never come to a verdict on this one object? */
static bool is_general(int rc)
{
	return rc == -ERR_UNREACHABLE || rc == -ERR_INTERRUPTED || rc == -ERR_NOMEM ||
	       rc == -ERR_CONFIG || rc == -ERR_UNSUPPORTED;
}

/* Send the calls of the items that ${is_meant} holds for, wait for all. */
static int run(struct many *m, bool (*is_meant)(const struct store_item *at), struct err *err)
{
	size_t general = m->count;
	for (size_t i = 0; i < m->count; i++) {
		if (is_meant(&m->items[i]))
			s3_wire_start(m->wire, &m->calls[i]);
	}
	for (size_t i = 0; i < m->count; i++) {
		struct store_item *item = &m->items[i];
		if (!is_meant(item))
			continue;
		err_clear(&item->why);
		item->rc = s3_wire_wait(m->wire, &m->calls[i], &item->why);
		if (is_general(item->rc) && general == m->count)
			general = i;
	}
	if (general == m->count)
		return 0;
	if (err != NULL)
		*err = m->items[general].why;
	return m->items[general].rc;
}

static bool is_any(const struct store_item *at)
{
	(void)at;
	return true;
}

int s3_many_purge(
	struct s3_wire *w, const char *prefix, struct store_item *at, size_t count, struct err *err)
{
	struct many m;
	int rc = many_init(&m, w, prefix, at, count, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		(void)call_of(&m, i, S3_WIRE_DELETE);
	rc = run(&m, is_any, err);
	for (size_t i = 0; i < count; i++) {
		if (at[i].rc == -ERR_NOT_FOUND)
			at[i].rc = 0;
	}
	many_done(&m);
	return rc;
}

static bool is_empty_object(const struct store_item *at)
{
	return at->rc == -ERR_CORRUPT; /* it has no first byte */
}

int s3_many_see_locks(
	struct s3_wire *w, const char *prefix, struct store_item *at, size_t count, struct err *err)
{
	struct many m;
	int rc = many_init(&m, w, prefix, at, count, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < count; i++) { /* by way of its first byte: HEAD says no reasons */
		struct s3_wire_call *call = call_of(&m, i, S3_WIRE_GET);
		call->is_range = true;
		call->want = 1;
	}
	rc = run(&m, is_any, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (is_empty_object(&at[i])) {
			(void)call_of(&m, i, S3_WIRE_GET);
			at[i].rc = s3_wire_run(w, &m.calls[i], &at[i].why);
		}
	}
	for (size_t i = 0; i < count; i++) {
		at[i].mode = store_lock_mode_of(m.calls[i].lock_mode);
		int64_t until = s3_lock_ns(m.calls[i].lock_until);
		at[i].until_ns = at[i].mode == STORE_LOCK_NONE || until == 0
					 ? 0
					 : until - s3_wire_skew_ns(w);
		at[i].is_seen = at[i].until_ns != 0;
	}
	many_done(&m);
	return rc;
}

/* One that is in the weaker mode goes into the stronger with a right of its own alone.  That right
 * would also make a lock shorter: it is used only where the lock was seen, and with it the time it
 * has. */
static bool is_refused(const struct store_item *at)
{
	return at->rc == -ERR_AUTH && at->mode == STORE_LOCK_COMPLIANCE && at->is_seen;
}

static bool has_refused(const struct many *m)
{
	for (size_t i = 0; i < m->count; i++) {
		if (is_refused(&m->items[i]))
			return true;
	}
	return false;
}

static void fill_extend(struct many *m, bool is_forced)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct store_item *item = &m->items[i];
		struct s3_wire_call *call = NULL;
		if (is_forced && !is_refused(item))
			continue;
		call = call_of(m, i, S3_WIRE_PUT);
		call->query[call->query_count++] = (struct s3_uri_pair){ "retention", NULL };
		call->body = s3_lock_body(
			item->mode, item->until_ns + s3_wire_skew_ns(m->wire), m->bodies[i]);
		call->len = strlen(m->bodies[i]);
		if (is_forced)
			call->headers[call->header_count++] =
				(struct s3_sign_header){ "x-amz-bypass-governance-retention",
					"true" };
	}
}

int s3_many_extend(
	struct s3_wire *w, const char *prefix, struct store_item *at, size_t count, struct err *err)
{
	struct many m;
	int rc = many_init(&m, w, prefix, at, count, err);
	if (rc != 0)
		return rc;
	fill_extend(&m, false);
	rc = run(&m, is_any, err);
	if (rc == 0 && has_refused(&m)) {
		fill_extend(&m, true);
		for (size_t i = 0; i < count; i++) {
			if (is_refused(&at[i]))
				at[i].rc = s3_wire_run(w, &m.calls[i], &at[i].why);
		}
	}
	many_done(&m);
	return rc;
}

/* ---- one version brought back ------------------------------------------------------------------
 */

/* What lies over a version. */
struct above {
	const char *key, *id; /* borrowed */
	char **ids;           /* owned */
	size_t count;
	bool is_found;
};

static int see_above(void *arg, const struct s3_reply_version *v, struct err *err)
{
	struct above *a = arg;
	if (a->is_found || strcmp(v->key, a->key) != 0)
		return 0;
	if (strcmp(v->id, a->id) == 0) {
		a->is_found = true;
		return 0;
	}
	char **grown = reallocarray(a->ids, a->count + 1, sizeof(*grown));
	char *copy = strdup(v->id);
	if (grown != NULL)
		a->ids = grown;
	if (grown == NULL || copy == NULL) {
		free(copy);
		return err_set(err, ERR_NOMEM, "out of memory for a list of versions");
	}
	a->ids[a->count++] = copy;
	return 0;
}

static void above_done(struct above *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->ids[i]);
	free(a->ids);
}

/* Return 0, -ERR_AUTH when one is refused, or another error. */
static int delete_above(struct s3_wire *w, const struct above *a, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < a->count; i++) {
		struct s3_wire_call call = { .method = S3_WIRE_DELETE,
			.key = a->key,
			.query = { { "versionId", a->ids[i] } },
			.query_count = 1 };
		rc = s3_wire_run(w, &call, err);
		if (rc == -ERR_NOT_FOUND)
			rc = 0;
	}
	return rc;
}

static int put_again(struct s3_wire *w, const struct above *a, enum store_lock_mode mode,
	int64_t until_ns, struct err *err)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	struct s3_wire_call get = { .method = S3_WIRE_GET,
		.key = a->key,
		.query = { { "versionId", a->id } },
		.query_count = 1,
		.answer = &bytes };
	int rc = s3_wire_run(w, &get, err);
	if (rc != 0)
		return rc;
	struct s3_put p;
	s3_put_init(&p, a->key, bytes.data, bytes.len, false);
	s3_put_lock(&p, mode, until_ns);
	s3_put_over(&p);
	return s3_wire_run(w, &p.call, err);
}

int s3_many_bring_back(struct s3_wire *w, const char *key, const char *id,
	enum store_lock_mode mode, int64_t until_ns, struct err *err)
{
	struct above a = { .key = key, .id = id };
	int rc = s3_versions_each(w, key, see_above, &a, err);
	if (rc == 0 && !a.is_found)
		rc = err_set(err, ERR_NOT_FOUND, "no such version");
	if (rc == 0) {
		struct err why = ERR_INIT;
		rc = delete_above(w, &a, &why);
		if (rc == -ERR_AUTH)
			rc = put_again(w, &a, mode, until_ns, err);
		else if (rc != 0 && err != NULL)
			*err = why;
	}
	above_done(&a);
	return rc;
}
