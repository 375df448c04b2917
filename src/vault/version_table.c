#include "vault/version_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/siphash.h"
#include "store/store.h"

#define NS_PER_S INT64_C(1000000000)

/* Room for ${more} of ${size} bytes behind ${count}: a thirty-second more than there are, so that
 * what is not used is little beside what is. */
static int reserve(void **at, size_t *cap, size_t count, size_t more, size_t size, struct err *err)
{
	if (count + more <= *cap)
		return 0;
	size_t next = count + count / 32 + more + 64;
	void *grown = reallocarray(*at, next, size);
	if (grown == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a list of versions");
	*at = grown;
	*cap = next;
	return 0;
}

static int reserve_all(struct version_table *t, struct err *err)
{
	void *places = t->places, *versions = t->versions, *text = t->text;
	int rc = reserve(&places, &t->cap, t->count, 1, sizeof(*t->places), err);
	t->places = places;
	if (rc == 0)
		rc = reserve(
			&versions, &t->version_cap, t->version_count, 1, sizeof(*t->versions), err);
	t->versions = versions;
	if (rc == 0)
		rc = reserve(&text, &t->text_cap, t->text_len, (size_t)2 * VERSION_PACK_MAX_BYTES,
			1, err);
	t->text = text;
	return rc;
}

static uint32_t seconds_of(int64_t ns)
{
	int64_t s = ns <= 0 ? 0 : ns / NS_PER_S + (ns % NS_PER_S > 0);
	return s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

static bool is_last(const struct version_table *t, const char *name)
{
	char last[STORE_MAX_NAME_BYTES + 1];
	if (t->count == 0)
		return false;
	version_pack_get_name(t->text + t->places[t->count - 1].name, last);
	return strcmp(last, name) == 0;
}

static int add(void *arg, const struct store_version *v, struct err *err)
{
	struct version_table *t = arg;
	int rc = reserve_all(t, err);
	if (rc != 0)
		return rc;
	if (strlen(v->id) >= VERSION_PACK_ID_BYTES || strlen(v->name) > STORE_MAX_NAME_BYTES ||
		t->text_len > UINT32_MAX - 2 * VERSION_PACK_MAX_BYTES ||
		t->version_count == UINT32_MAX)
		return err_set(
			err, ERR_LIMIT, "more versions than a list holds, or an id too long");
	if (!is_last(t, v->name)) {
		t->places[t->count++] = (struct version_table_place){ .name = (uint32_t)t->text_len,
			.first = (uint32_t)t->version_count };
		t->text_len += version_pack_name(v->name, t->text + t->text_len);
	}
	uint64_t tag = siphash_key(t->key, v->tag, strlen(v->tag));
	t->versions[t->version_count++] =
		(struct version_table_version){ .size = v->size & INT64_MAX,
			.is_marker = v->is_marker,
			.tag = v->tag[0] == '\0' ? 0
			       : tag == 0        ? 1
						 : tag,
			.at_s = seconds_of(v->at_ns),
			.id = (uint32_t)t->text_len };
	t->text_len += version_pack_id(v->id, t->text + t->text_len);
	return 0;
}

int version_table_load(
	struct store *s, const char *prefix, struct version_table *out, struct err *err)
{
	struct version_table t = { .count = 0 };
	int rc = env_random(t.key, sizeof(t.key), err);
	if (rc == 0)
		rc = store_versions(s, prefix, add, &t, err);
	if (rc != 0)
		version_table_done(&t);
	else
		*out = t;
	return rc;
}

void version_table_done(struct version_table *t)
{
	free(t->places);
	free(t->versions);
	free(t->text);
	memset(t, 0, sizeof(*t));
}

size_t version_table_memory(const struct version_table *t)
{
	return t->cap * sizeof(*t->places) + t->version_cap * sizeof(*t->versions) + t->text_cap;
}

void version_table_name_at(
	const struct version_table *t, size_t number, struct version_table_name *out)
{
	const struct version_table_place *p = &t->places[number];
	size_t end = number + 1 < t->count ? p[1].first : t->version_count;
	version_pack_get_name(t->text + p->name, out->name);
	out->number = number;
	out->first = p->first;
	out->count = end - p->first;
	out->real = 0;
	for (size_t i = p->first; i < end; i++)
		out->real += !t->versions[i].is_marker;
}

bool version_table_find(
	const struct version_table *t, const char *name, struct version_table_name *out)
{
	size_t low = 0, high = t->count;
	while (low < high) {
		char at[STORE_MAX_NAME_BYTES + 1];
		size_t middle = low + (high - low) / 2;
		version_pack_get_name(t->text + t->places[middle].name, at);
		int order = strcmp(name, at);
		if (order == 0) {
			version_table_name_at(t, middle, out);
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

void version_table_id(const struct version_table *t, const struct version_table_version *x,
	char out[VERSION_PACK_ID_BYTES])
{
	version_pack_get_id(t->text + x->id, out);
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
	return a->tag != 0 && a->size == b->size && a->tag == b->tag;
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

int version_table_is_true(struct store *s, const struct version_table *t,
	const struct version_table_name *n, const struct version_table_version *version, bool *is,
	struct err *err)
{
	char id[VERSION_PACK_ID_BYTES];
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	uint8_t want[HASH_BYTES], got[HASH_BYTES];
	struct err why = ERR_INIT;
	*is = false;
	if (version->is_marker || !version_table_hash(n->name, want))
		return 0;
	version_table_id(t, version, id);
	int rc = store_read_version(s, n->name, id, &bytes, &why);
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
		int rc = version_table_is_true(s, t, n, x, &is_true, err);
		if (rc != 0)
			return rc;
		if (is_true)
			*out = x;
		if (is_true || (!x->is_marker && version_table_is_same(t, n)))
			break;
	}
	return 0;
}
