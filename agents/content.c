#include "agents/content.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) An extent waits, for its record or for the bundle, exactly when it is no hole and its
 *     ref.cr_len is 0.  A content waits for records or for one bundle, never for both.
 */

int content_new(struct content **out, struct err *err)
{
	struct content *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->users = 1;
	*out = c;
	return 0;
}

struct content *content_share(struct content *c)
{
	c->users++;
	return c;
}

void content_free(struct content *c)
{
	if (c == NULL || --c->users > 0)
		return;
	free(c->extents);
	free(c);
}

static int append(struct content *c, const struct extent *x, struct err *err)
{
	if (c->extents == NULL || c->count == c->cap) {
		size_t cap = c->cap == 0 ? 1 : c->cap * 2;
		struct extent *grown = reallocarray(c->extents, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		c->extents = grown;
		c->cap = cap;
	}
	c->extents[c->count++] = *x;
	return 0;
}

int content_add_hole(struct content *c, uint64_t length, struct err *err)
{
	struct extent *last = c->count == 0 ? NULL : &c->extents[c->count - 1];
	if (last != NULL && last->is_hole) {
		last->length += length;
		return 0;
	}
	struct extent x = { .is_hole = true, .length = length };
	return append(c, &x, err);
}

int content_add(
	struct content *c, const struct ref *ref, uint64_t offset, uint64_t length, struct err *err)
{
	struct extent *last = c->count == 0 ? NULL : &c->extents[c->count - 1];
	if (last != NULL && !last->is_hole && last->offset + last->length == offset &&
		memcmp(&last->ref, ref, sizeof(*ref)) == 0) {
		last->length += length;
		return 0;
	}
	struct extent x = { .ref = *ref, .offset = offset, .length = length };
	return append(c, &x, err);
}

int content_add_later(struct content *c, uint64_t length, uint64_t *index, struct err *err)
{
	struct extent x = { .length = length };
	int rc = append(c, &x, err);
	if (rc != 0)
		return rc;
	*index = c->count - 1;
	c->waiting++;
	return 0;
}

int content_add_bundled(
	struct content *c, uint64_t bundle, uint64_t offset, uint64_t length, struct err *err)
{
	struct ref none = { .cr_len = 0 };
	int rc = content_add(c, &none, offset, length, err);
	if (rc == 0)
		c->bundle = bundle;
	return rc;
}

void content_settle(struct content *c, uint64_t index, const struct ref *ref)
{
	c->extents[index].ref = *ref;
	c->waiting--;
}

void content_resolve(struct content *c, const struct ref *ref)
{
	for (size_t i = 0; i < c->count; i++) {
		if (!c->extents[i].is_hole && c->extents[i].ref.cr_len == 0)
			c->extents[i].ref = *ref;
	}
	c->bundle = 0;
}

bool content_is_whole(const struct content *c)
{
	return c->bundle == 0 && c->waiting == 0;
}
