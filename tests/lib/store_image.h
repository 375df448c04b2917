/*
 * store_image: every object of a store kept in memory, to compare with what becomes of it.
 */
#ifndef TESTS_LIB_STORE_IMAGE_H
#define TESTS_LIB_STORE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct store_image_object {
	char name[STORE_MAX_NAME_BYTES + 1];
	uint8_t *data; /* owned */
	size_t len;
};

struct store_image {
	struct store_image_object *at; /* owned; ascending by name */
	size_t count;
};

/* Keep all objects whose names begin with ${prefix} ("" = all).  Asserts on failure. */
void store_image_take(struct store *store, const char *prefix, struct store_image *out);
void store_image_done(struct store_image *s);

/* The object of this name, or NULL. */
const struct store_image_object *store_image_find(const struct store_image *s, const char *name);

/* The name of the first object of ${s} that ${store} has not, or not with these bytes; NULL when it
 * has all of them.  Borrowed from ${s}. */
const char *store_image_lacks(struct store *store, const struct store_image *s);

/* Put it back as it is in the image, whatever is there. */
void store_image_restore(struct store *store, const struct store_image_object *o);

/* Take an object away, durably. */
void store_image_remove(struct store *store, const char *name);

/* Put ${data} under a name that is taken: what rot does. */
void store_image_replace(struct store *store, const char *name, const void *data, size_t len);

#endif
