#include "store/mem/store_mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) visible is sorted by name without a name twice; staged is in the order of the puts, and no
 *     name in it is in visible or twice.
 * (2) A content is never changed while somebody else refers to it.
 */

#define MEM_FIRST_OBJECTS 16

struct content {
	unsigned refs;
	size_t len;
	uint8_t data[];
};

struct object {
	char *name;              /* owned */
	struct content *content; /* one reference */
};

struct objects {
	struct object *at;
	size_t count;
	size_t cap;
};

struct store_mem {
	struct objects visible;
	struct objects staged;
};

static struct content *content_new(const void *data, size_t len)
{
	struct content *c = malloc(sizeof(*c) + len);
	if (c == NULL)
		return NULL;
	c->refs = 1;
	c->len = len;
	if (len > 0)
		memcpy(c->data, data, len);
	return c;
}

static void content_drop(struct content *c)
{
	if (--c->refs == 0)
		free(c);
}

static void object_done(struct object *o)
{
	free(o->name);
	content_drop(o->content);
}

static void objects_clear(struct objects *set)
{
	for (size_t i = 0; i < set->count; i++)
		object_done(&set->at[i]);
	set->count = 0;
}

static void objects_done(struct objects *set)
{
	objects_clear(set);
	free(set->at);
}

static int objects_reserve(struct objects *set, size_t more, struct err *err)
{
	if (set->cap - set->count >= more)
		return 0;
	size_t cap = set->cap == 0 ? MEM_FIRST_OBJECTS : set->cap * 2;
	if (cap < set->count + more)
		cap = set->count + more;
	struct object *at = reallocarray(set->at, cap, sizeof(*at));
	if (at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	set->at = at;
	set->cap = cap;
	return 0;
}

/* The first place whose name is not below ${name}; room for one more must be there to insert. */
static size_t visible_place(const struct objects *set, const char *name)
{
	size_t low = 0;
	size_t high = set->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (strcmp(set->at[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct object *find_visible(const struct store_mem *m, const char *name)
{
	size_t i = visible_place(&m->visible, name);
	bool is_there = i < m->visible.count && strcmp(m->visible.at[i].name, name) == 0;
	return is_there ? &m->visible.at[i] : NULL;
}

static struct object *find_staged(const struct store_mem *m, const char *name)
{
	for (size_t i = 0; i < m->staged.count; i++) {
		if (strcmp(m->staged.at[i].name, name) == 0)
			return &m->staged.at[i];
	}
	return NULL;
}

static void remove_at(struct objects *set, const struct object *o)
{
	size_t i = (size_t)(o - set->at);
	object_done(&set->at[i]);
	memmove(&set->at[i], &set->at[i + 1], (set->count - i - 1) * sizeof(*o));
	set->count--;
}

static void insert_visible(struct objects *set, struct object take)
{
	size_t i = visible_place(set, take.name);
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): the caller made room */
	memmove(&set->at[i + 1], &set->at[i], (set->count - i) * sizeof(take));
	set->at[i] = take;
	set->count++;
}

int store_mem_new(struct store_mem **out, struct err *err)
{
	struct store_mem *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = m;
	return 0;
}

static void mem_free(void *self)
{
	struct store_mem *m = self;
	if (m == NULL)
		return;
	objects_done(&m->visible);
	objects_done(&m->staged);
	free(m);
}

DEFINE_CLEANUP(struct store_mem *, mem_free)

static int mem_put(void *self, const char *name, const void *data, size_t len, struct err *err)
{
	struct store_mem *m = self;
	const struct object *o = find_visible(m, name);
	if (o == NULL)
		o = find_staged(m, name);
	if (o != NULL) {
		if (o->content->len == len && memcmp(o->content->data, data, len) == 0)
			return 0;
		return err_set(err, ERR_EXISTS, "the name is taken by other content");
	}
	int rc = objects_reserve(&m->staged, 1, err);
	if (rc != 0)
		return rc;
	CLEANUP(cleanup_free_p) char *copy = strdup(name);
	struct content *content = copy == NULL ? NULL : content_new(data, len);
	if (content == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	m->staged.at[m->staged.count++] = (struct object){ .name = TAKE(copy), .content = content };
	return 0;
}

static int not_found(struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "no such object");
}

static int mem_get(void *self, const char *name, struct buf *out, struct err *err)
{
	const struct object *o = find_visible(self, name);
	if (o == NULL)
		return not_found(err);
	return buf_add(out, o->content->data, o->content->len, err);
}

static int mem_get_range(
	void *self, const char *name, uint64_t offset, size_t len, struct buf *out, struct err *err)
{
	const struct object *o = find_visible(self, name);
	if (o == NULL)
		return not_found(err);
	if (offset > o->content->len || len > o->content->len - offset)
		return err_set(err, ERR_CORRUPT, "it ends at byte %zu", o->content->len);
	return buf_add(out, o->content->data + offset, len, err);
}

static int mem_list(void *self, const char *prefix, store_list_fn fn, void *arg, struct err *err)
{
	const struct store_mem *m = self;
	CLEANUP(mem_free_p) struct store_mem *copy = NULL;
	/* the callback may remove what it sees: walk a copy that shares the contents */
	int rc = store_mem_crash(m, 0, &copy, err);
	if (rc != 0)
		return rc;
	size_t len = strlen(prefix);
	for (size_t i = visible_place(&copy->visible, prefix); i < copy->visible.count; i++) {
		const struct object *o = &copy->visible.at[i];
		if (strncmp(o->name, prefix, len) != 0)
			break;
		rc = fn(arg, o->name, o->content->len);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int mem_stat(void *self, const char *name, uint64_t *size, struct err *err)
{
	const struct object *o = find_visible(self, name);
	if (o == NULL)
		return not_found(err);
	*size = o->content->len;
	return 0;
}

static int mem_remove(void *self, const char *name, struct err *err)
{
	(void)err; /* memory never refuses */
	struct store_mem *m = self;
	const struct object *o = find_visible(m, name);
	if (o != NULL)
		remove_at(&m->visible, o);
	o = find_staged(m, name);
	if (o != NULL)
		remove_at(&m->staged, o);
	return 0;
}

static int mem_barrier(void *self, struct err *err)
{
	struct store_mem *m = self;
	int rc = objects_reserve(&m->visible, m->staged.count, err);
	if (rc != 0) {
		objects_clear(&m->staged);
		return rc;
	}
	for (size_t i = 0; i < m->staged.count; i++)
		insert_visible(&m->visible, m->staged.at[i]);
	m->staged.count = 0;
	return 0;
}

size_t store_mem_staged(const struct store_mem *m)
{
	return m->staged.count;
}

/* Room must have been reserved. */
static int share(struct objects *to, const struct object *from, struct err *err)
{
	char *name = strdup(from->name);
	if (name == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	from->content->refs++;
	insert_visible(to, (struct object){ .name = name, .content = from->content });
	return 0;
}

int store_mem_crash(
	const struct store_mem *m, uint64_t kept, struct store_mem **out, struct err *err)
{
	CLEANUP(mem_free_p) struct store_mem *copy = NULL;
	int rc = store_mem_new(&copy, err);
	if (rc == 0)
		rc = objects_reserve(&copy->visible, m->visible.count + m->staged.count, err);
	for (size_t i = 0; rc == 0 && i < m->visible.count; i++)
		rc = share(&copy->visible, &m->visible.at[i], err);
	for (size_t i = 0; rc == 0 && i < m->staged.count && i < 64; i++) {
		if ((kept >> i & 1) != 0)
			rc = share(&copy->visible, &m->staged.at[i], err);
	}
	if (rc != 0)
		return rc;
	*out = TAKE(copy);
	return 0;
}

/* Give a visible object a content of its own, cut to ${len}. */
static int replace(struct object *o, size_t len, struct err *err)
{
	struct content *own = content_new(o->content->data, len);
	if (own == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	content_drop(o->content);
	o->content = own;
	return 0;
}

int store_mem_flip(struct store_mem *m, const char *name, uint64_t bit, struct err *err)
{
	struct object *o = find_visible(m, name);
	if (o == NULL)
		return err_set(err, ERR_NOT_FOUND, "no object '%s'", name);
	if (bit / 8 >= o->content->len)
		return err_set(err, ERR_LIMIT, "object '%s' has %zu bytes", name, o->content->len);
	int rc = replace(o, o->content->len, err);
	if (rc == 0)
		o->content->data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	return rc;
}

int store_mem_truncate(struct store_mem *m, const char *name, size_t len, struct err *err)
{
	struct object *o = find_visible(m, name);
	if (o == NULL)
		return err_set(err, ERR_NOT_FOUND, "no object '%s'", name);
	if (len > o->content->len)
		return err_set(err, ERR_LIMIT, "object '%s' has %zu bytes", name, o->content->len);
	return replace(o, len, err);
}

const struct store_driver store_mem_driver = {
	.name = "mem",
	.features = STORE_HAS_RANGE | STORE_HAS_IF_ABSENT | STORE_NEEDS_BARRIER,
	.put = mem_put,
	.get = mem_get,
	.get_range = mem_get_range,
	.list = mem_list,
	.stat = mem_stat,
	.remove = mem_remove,
	.barrier = mem_barrier,
	.free = mem_free,
};
