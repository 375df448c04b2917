#include "store/store_around.h"

#include <string.h>

#include "store/store_internal.h"

/*
 * INVARIANTS
 * (1) An OPTIONAL slot is there exactly when the driver inside has it.
 */

static int hand_facts(void *self, store_fact_fn fn, void *arg)
{
	const struct store_around *a = self;
	return a->inner->facts(a->self, fn, arg);
}

static int hand_prove(void *self, store_fact_fn fn, void *arg, bool *is_kept, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->prove(a->self, fn, arg, is_kept, err);
}

static int hand_put(void *self, const char *name, const void *data, size_t len, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->put(a->self, name, data, len, err);
}

static int hand_get(void *self, const char *name, struct buf *out, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->get(a->self, name, out, err);
}

static int hand_get_anew(void *self, const char *name, struct buf *out, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->get_anew(a->self, name, out, err);
}

static int hand_get_range(
	void *self, const char *name, uint64_t offset, size_t len, struct buf *out, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->get_range(a->self, name, offset, len, out, err);
}

static int hand_list(void *self, const char *prefix, store_list_fn fn, void *arg, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->list(a->self, prefix, fn, arg, err);
}

static int hand_stat(void *self, const char *name, uint64_t *size, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->stat(a->self, name, size, err);
}

static int hand_remove(void *self, const char *name, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->remove(a->self, name, err);
}

static int hand_barrier(void *self, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->barrier(a->self, err);
}

static int hand_draft_new(void *self, void **draft, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->draft_new(a->self, draft, err);
}

static int hand_draft_add(void *self, void *draft, const void *data, size_t len, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->draft_add(a->self, draft, data, len, err);
}

static int hand_draft_put(void *self, void *take_draft, const char *name, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->draft_put(a->self, take_draft, name, err);
}

static void hand_draft_free(void *self, void *draft)
{
	const struct store_around *a = self;
	a->inner->draft_free(a->self, draft);
}

static void hand_lock(void *self, struct store_lock *out)
{
	const struct store_around *a = self;
	a->inner->lock(a->self, out);
}

static int hand_versions(
	void *self, const char *prefix, store_version_fn fn, void *arg, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->versions(a->self, prefix, fn, arg, err);
}

static int hand_read_version(
	void *self, const char *name, const char *id, struct buf *out, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->read_version(a->self, name, id, out, err);
}

static int hand_bring_back(void *self, const char *name, const char *id, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->bring_back(a->self, name, id, err);
}

static int hand_purge(void *self, struct store_item *at, size_t count, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->purge(a->self, at, count, err);
}

static int hand_see_locks(void *self, struct store_item *at, size_t count, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->see_locks(a->self, at, count, err);
}

static int hand_extend(void *self, struct store_item *at, size_t count, struct err *err)
{
	const struct store_around *a = self;
	return a->inner->extend(a->self, at, count, err);
}

static void hand_on_locks(struct store_around *a);

static int hand_set_lock(void *self, const struct store_lock *lock, struct err *err)
{
	struct store_around *a = self;
	int rc = a->inner->set_lock(a->self, lock, err);
	hand_on_locks(a);
	return rc;
}

static bool hand_hold_lock(void *self, const struct store_lock *lock)
{
	struct store_around *a = self;
	bool counts = a->inner->hold_lock(a->self, lock);
	hand_on_locks(a);
	return counts;
}

/* The slots that the driver inside may gain while it is open, and its features. */
static void hand_on_locks(struct store_around *a)
{
	const struct store_driver *in = a->inner;
	struct store_driver *d = &a->driver;
	d->features = in->features;
	d->lock = in->lock != NULL ? hand_lock : NULL;
	d->set_lock = in->set_lock != NULL ? hand_set_lock : NULL;
	d->hold_lock = in->hold_lock != NULL ? hand_hold_lock : NULL;
	d->versions = in->versions != NULL ? hand_versions : NULL;
	d->read_version = in->read_version != NULL ? hand_read_version : NULL;
	d->bring_back = in->bring_back != NULL ? hand_bring_back : NULL;
	d->purge = in->purge != NULL ? hand_purge : NULL;
	d->see_locks = in->see_locks != NULL ? hand_see_locks : NULL;
	d->extend = in->extend != NULL ? hand_extend : NULL;
}

void store_around_begin(struct store_around *a, struct store *s, void (*free)(void *self))
{
	store_exchange(s, &a->driver, a, &a->inner, &a->self);
	const struct store_driver *in = a->inner;
	const bool has_drafts = in->draft_new != NULL;
	a->driver = (struct store_driver){ .name = in->name,
		.facts = in->facts != NULL ? hand_facts : NULL,
		.prove = in->prove != NULL ? hand_prove : NULL,
		.put = hand_put,
		.get = hand_get,
		.get_anew = in->get_anew != NULL ? hand_get_anew : NULL,
		.get_range = hand_get_range,
		.list = hand_list,
		.stat = hand_stat,
		.remove = hand_remove,
		.barrier = in->barrier != NULL ? hand_barrier : NULL,
		.draft_new = has_drafts ? hand_draft_new : NULL,
		.draft_add = has_drafts ? hand_draft_add : NULL,
		.draft_put = has_drafts ? hand_draft_put : NULL,
		.draft_free = has_drafts ? hand_draft_free : NULL,
		.free = free };
	hand_on_locks(a);
}

void store_around_end(struct store_around *a)
{
	a->inner->free(a->self);
}
