#include "tests/lib/s3_stub_objects.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

size_t s3_stub_objects_place(const struct s3_stub_objects *o, const char *key)
{
	size_t low = 0, high = o->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (strcmp(o->at[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct s3_stub_version *s3_stub_objects_find(
	const struct s3_stub_objects *o, const char *key, const char *id)
{
	for (size_t i = s3_stub_objects_place(o, key);
		i < o->count && strcmp(o->at[i].key, key) == 0; i++) {
		if (id == NULL)
			return o->at[i].is_marker ? NULL : &o->at[i];
		if (strcmp(o->at[i].id, id) == 0)
			return &o->at[i];
	}
	return NULL;
}

static void drop(struct s3_stub_objects *o, size_t i)
{
	free(o->at[i].key);
	free(o->at[i].data);
	memmove(&o->at[i], &o->at[i + 1], (o->count - i - 1) * sizeof(*o->at));
	o->count--;
}

static struct s3_stub_version *add(struct s3_stub_objects *o, const char *key)
{
	size_t i = s3_stub_objects_place(o, key);
	if (!o->has_versions && i < o->count && strcmp(o->at[i].key, key) == 0)
		drop(o, i);
	if (o->count == o->cap) {
		o->cap = o->cap == 0 ? 64 : 2 * o->cap;
		o->at = realloc(o->at, o->cap * sizeof(*o->at));
		assert(o->at != NULL);
	}
	memmove(&o->at[i + 1], &o->at[i], (o->count - i) * sizeof(*o->at));
	o->at[i] = (struct s3_stub_version){ .key = strdup(key), .at_s = (int64_t)time(NULL) };
	o->count++;
	if (o->has_versions)
		snprintf(o->at[i].id, sizeof(o->at[i].id), "v/%u+a", ++o->made);
	else
		snprintf(o->at[i].id, sizeof(o->at[i].id), "null");
	return &o->at[i];
}

struct s3_stub_version *s3_stub_objects_put(
	struct s3_stub_objects *o, const char *key, const void *data, size_t len)
{
	struct s3_stub_version *v = add(o, key);
	v->data = malloc(len + 1);
	memcpy(v->data, data, len);
	v->len = len;
	return v;
}

void s3_stub_objects_delete(struct s3_stub_objects *o, const char *key)
{
	size_t i = s3_stub_objects_place(o, key);
	if (o->has_versions)
		add(o, key)->is_marker = true;
	else if (i < o->count && strcmp(o->at[i].key, key) == 0)
		drop(o, i);
}

bool s3_stub_objects_purge(
	struct s3_stub_objects *o, const char *key, const char *id, int64_t now_s, bool may_bypass)
{
	struct s3_stub_version *v = s3_stub_objects_find(o, key, id);
	if (v == NULL)
		return true;
	if (v->until_s > now_s && (v->is_compliance || !may_bypass))
		return false;
	drop(o, (size_t)(v - o->at));
	return true;
}

bool s3_stub_objects_lock(struct s3_stub_version *v, bool is_compliance, int64_t until_s,
	int64_t now_s, bool may_bypass)
{
	bool is_locked = v->until_s > now_s;
	bool is_weaker = until_s < v->until_s || (v->is_compliance && !is_compliance);
	bool is_other = v->is_compliance != is_compliance;
	if (is_locked && is_weaker && (v->is_compliance || !may_bypass))
		return false;
	if (is_locked && is_other && !may_bypass)
		return false;
	v->is_compliance = is_compliance;
	v->until_s = until_s;
	return true;
}

size_t s3_stub_objects_visible(const struct s3_stub_objects *o)
{
	size_t n = 0;
	for (size_t i = 0; i < o->count; i++) {
		bool is_current = i == 0 || strcmp(o->at[i - 1].key, o->at[i].key) != 0;
		n += is_current && !o->at[i].is_marker;
	}
	return n;
}

void s3_stub_objects_done(struct s3_stub_objects *o)
{
	while (o->count > 0)
		drop(o, o->count - 1);
	free(o->at);
}
