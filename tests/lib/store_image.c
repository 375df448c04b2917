#include "tests/lib/store_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

static void must(int rc, const struct err *err, const char *what)
{
	if (rc != 0) {
		(void)fprintf(stderr, "store_image: %s: %s\n", what, err->msg);
		abort();
	}
}

static int keep(void *arg, const char *name, uint64_t size)
{
	struct store_image *s = arg;
	(void)size;
	s->at = reallocarray(s->at, s->count + 1, sizeof(*s->at));
	if (s->at == NULL)
		abort();
	s->at[s->count] = (struct store_image_object){ .len = 0 };
	(void)snprintf(s->at[s->count++].name, sizeof(s->at->name), "%s", name);
	return 0;
}

static int compare(const void *left, const void *right)
{
	return strcmp(((const struct store_image_object *)left)->name,
		((const struct store_image_object *)right)->name);
}

void store_image_take(struct store *store, const char *prefix, struct store_image *out)
{
	struct err err = ERR_INIT;
	memset(out, 0, sizeof(*out));
	must(store_list(store, prefix, keep, out, &err), &err, "list");
	if (out->count > 0)
		qsort(out->at, out->count, sizeof(*out->at), compare);
	for (size_t i = 0; i < out->count; i++) {
		struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
		must(store_get(store, out->at[i].name, &b, &err), &err, out->at[i].name);
		out->at[i].data = b.data;
		out->at[i].len = b.len;
	}
}

void store_image_done(struct store_image *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->at[i].data);
	free(s->at);
	memset(s, 0, sizeof(*s));
}

const struct store_image_object *store_image_find(const struct store_image *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->at[i].name, name) == 0)
			return &s->at[i];
	}
	return NULL;
}

const char *store_image_lacks(struct store *store, const struct store_image *s)
{
	const char *name = NULL;
	for (size_t i = 0; i < s->count && name == NULL; i++) {
		struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
		if (store_get(store, s->at[i].name, &b, NULL) != 0 || b.len != s->at[i].len ||
			memcmp(b.data, s->at[i].data, b.len) != 0)
			name = s->at[i].name;
		buf_done(&b);
	}
	return name;
}

void store_image_remove(struct store *store, const char *name)
{
	struct err err = ERR_INIT;
	must(store_remove(store, name, &err), &err, "remove");
	must(store_barrier(store, &err), &err, "barrier");
}

void store_image_replace(struct store *store, const char *name, const void *data, size_t len)
{
	struct err err = ERR_INIT;
	must(store_remove(store, name, &err), &err, "remove");
	must(store_put(store, name, data, len, &err), &err, "put");
	must(store_barrier(store, &err), &err, "barrier");
}

void store_image_restore(struct store *store, const struct store_image_object *o)
{
	store_image_replace(store, o->name, o->data, o->len);
}
