#include "vault/version_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/store.h"

static int reserve(struct version_table *t, struct err *err)
{
	if (t->count == t->cap) {
		size_t cap = t->cap == 0 ? 256 : 2 * t->cap;
		struct version_table_name *grown = reallocarray(t->names, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory for a list of versions");
		t->names = grown;
		t->cap = cap;
	}
	if (t->version_count == t->version_cap) {
		size_t cap = t->version_cap == 0 ? 256 : 2 * t->version_cap;
		struct version_table_version *grown =
			reallocarray(t->versions, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory for a list of versions");
		t->versions = grown;
		t->version_cap = cap;
	}
	return 0;
}

static int add(void *arg, const struct store_version *v, struct err *err)
{
	struct version_table *t = arg;
	int rc = reserve(t, err);
	if (rc != 0)
		return rc;
	bool is_new = t->count == 0 || strcmp(t->names[t->count - 1].name, v->name) != 0;
	CLEANUP(cleanup_free_p) char *id = strdup(v->id);
	CLEANUP(cleanup_free_p) char *tag = strdup(v->tag);
	CLEANUP(cleanup_free_p) char *name = is_new ? strdup(v->name) : NULL;
	if (id == NULL || tag == NULL || (is_new && name == NULL))
		return err_set(err, ERR_NOMEM, "out of memory for a list of versions");
	if (is_new)
		t->names[t->count++] = (struct version_table_name){ .name = TAKE(name),
			.first = t->version_count };
	struct version_table_name *n = &t->names[t->count - 1];
	t->versions[t->version_count++] = (struct version_table_version){ .id = TAKE(id),
		.tag = TAKE(tag),
		.size = v->size,
		.at_ns = v->at_ns,
		.is_marker = v->is_marker };
	n->count++;
	n->real += !v->is_marker;
	return 0;
}

int version_table_load(
	struct store *s, const char *prefix, struct version_table *out, struct err *err)
{
	struct version_table t = { .count = 0 };
	int rc = store_versions(s, prefix, add, &t, err);
	if (rc != 0)
		version_table_done(&t);
	else
		*out = t;
	return rc;
}

void version_table_done(struct version_table *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->names[i].name);
	for (size_t i = 0; i < t->version_count; i++) {
		free(t->versions[i].id);
		free(t->versions[i].tag);
	}
	free(t->names);
	free(t->versions);
	memset(t, 0, sizeof(*t));
}

static int by_name(const void *key, const void *at)
{
	return strcmp(key, ((const struct version_table_name *)at)->name);
}

const struct version_table_name *version_table_find(const struct version_table *t, const char *name)
{
	return t->count == 0 ? NULL : bsearch(name, t->names, t->count, sizeof(*t->names), by_name);
}

const struct version_table_version *version_table_newest(
	const struct version_table *t, const struct version_table_name *n)
{
	return &t->versions[n->first];
}

bool version_table_is_hidden(const struct version_table *t, const struct version_table_name *n)
{
	return version_table_newest(t, n)->is_marker;
}

const struct version_table_version *version_table_oldest(
	const struct version_table *t, const struct version_table_name *n)
{
	for (size_t i = n->count; i > 0; i--) {
		if (!t->versions[n->first + i - 1].is_marker)
			return &t->versions[n->first + i - 1];
	}
	return NULL;
}

static bool is_alike(const struct version_table_version *a, const struct version_table_version *b)
{
	return a->tag[0] != '\0' && a->size == b->size && strcmp(a->tag, b->tag) == 0;
}

bool version_table_is_same(const struct version_table *t, const struct version_table_name *n)
{
	const struct version_table_version *oldest = version_table_oldest(t, n);
	for (size_t i = 0; n->real > 1 && i < n->count; i++) {
		const struct version_table_version *x = &t->versions[n->first + i];
		if (!x->is_marker && !is_alike(x, oldest))
			return false;
	}
	return n->real > 0;
}

bool version_table_is_as_oldest(const struct version_table *t, const struct version_table_name *n)
{
	const struct version_table_version *newest = version_table_newest(t, n);
	const struct version_table_version *oldest = version_table_oldest(t, n);
	return newest == oldest ||
	       (!newest->is_marker && oldest != NULL && is_alike(newest, oldest));
}

bool version_table_hash(const char *name, uint8_t hash[32])
{
	size_t len = strlen(name);
	return len >= 64 && text_unhex(name + len - 64, HASH_BYTES, hash) == 0;
}

int version_table_is_true(struct store *s, const struct version_table_name *n,
	const struct version_table_version *version, bool *is, struct err *err)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	uint8_t want[HASH_BYTES], got[HASH_BYTES];
	struct err why = ERR_INIT;
	*is = false;
	if (version->is_marker || !version_table_hash(n->name, want))
		return 0;
	int rc = store_read_version(s, n->name, version->id, &bytes, &why);
	if (rc == -ERR_NOT_FOUND || rc == -ERR_LIMIT)
		return 0; /* gone meanwhile, or longer than any object */
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	hash_sha256(bytes.data, bytes.len, got);
	*is = memcmp(want, got, sizeof(got)) == 0;
	return 0;
}

int version_table_true(struct store *s, const struct version_table *t,
	const struct version_table_name *n, const struct version_table_version **out,
	struct err *err)
{
	bool is_true = false;
	*out = NULL;
	for (size_t i = n->count; i > 0; i--) { /* the oldest first */
		const struct version_table_version *x = &t->versions[n->first + i - 1];
		int rc = version_table_is_true(s, n, x, &is_true, err);
		if (rc != 0)
			return rc;
		if (is_true)
			*out = x;
		if (is_true || (!x->is_marker && version_table_is_same(t, n)))
			break;
	}
	return 0;
}
