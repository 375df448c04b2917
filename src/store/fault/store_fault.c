#include "store/fault/store_fault.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

/*
 * INVARIANTS
 * (1) An operation that is made to fail changes nothing that the driver inside shows, now or later.
 * (2) recent holds every name put that was not there before, until its barrier and its delay are
 *     over; only such names are ever removed from the driver inside to drop a staged set.
 */

#define FAULT_FIRST 16

struct recent {
	char name[STORE_MAX_NAME_BYTES + 1];
	bool is_staged;
	uint64_t shown_at; /* operation number when it became visible */
};

struct rule {
	enum store_fault_verb verb;
	uint64_t nth; /* 0 = no rule */
	uint64_t times;
	enum err_code code;
	bool is_torn;
	bool is_crash;
};

struct store_fault {
	struct store_driver driver;
	const struct store_driver *inner;
	void *self; /* owned */
	struct rule rule;
	pthread_mutex_t lock; /* of the two below: ranges are read on several threads */
	bool is_crashed;
	uint64_t counts[STORE_FAULT_VERBS];
	uint64_t seed;
	uint64_t delay;
	struct recent *recent; /* owned */
	size_t recent_count;
	size_t recent_cap;
};

enum verdict { GO_ON, FAIL, TEAR };

/* With the lock held. */
static enum verdict count_locked(
	struct store_fault *f, enum store_fault_verb verb, int *out_rc, struct err *err)
{
	const struct rule *r = &f->rule;
	f->counts[STORE_FAULT_ANY]++;
	f->counts[verb]++;
	if (r->nth != 0 && (r->verb == STORE_FAULT_ANY || r->verb == verb)) {
		uint64_t now = f->counts[r->verb];
		bool is_hit = now >= r->nth && now - r->nth < r->times;
		if (is_hit && r->is_crash)
			f->is_crashed = true;
		else if (is_hit) {
			*out_rc = err_set(err, r->code, "injected failure");
			return r->is_torn ? TEAR : FAIL;
		}
	}
	if (!f->is_crashed)
		return GO_ON;
	*out_rc = err_set(err, ERR_IO, "injected crash");
	return FAIL;
}

/* Count one operation and decide on it; on FAIL and TEAR ${err} is filled and *out_rc set. */
static enum verdict count_op(
	struct store_fault *f, enum store_fault_verb verb, int *out_rc, struct err *err)
{
	(void)pthread_mutex_lock(&f->lock); /* a plain lock, taken once: cannot fail */
	const enum verdict verdict = count_locked(f, verb, out_rc, err);
	(void)pthread_mutex_unlock(&f->lock);
	return verdict;
}

static struct recent *find_recent(const struct store_fault *f, const char *name)
{
	for (size_t i = 0; i < f->recent_count; i++) {
		if (strcmp(f->recent[i].name, name) == 0)
			return &f->recent[i];
	}
	return NULL;
}

static bool is_hidden(const struct store_fault *f, const char *name)
{
	if (f->delay == 0)
		return false;
	const struct recent *r = find_recent(f, name);
	return r != NULL && !r->is_staged && f->counts[STORE_FAULT_ANY] - r->shown_at <= f->delay;
}

static void forget_recent(struct store_fault *f, struct recent *r)
{
	*r = f->recent[--f->recent_count];
}

/* Make room for one more name, first by dropping those that no longer matter. */
static int reserve_recent(struct store_fault *f, struct err *err)
{
	for (size_t i = f->recent_count; i > 0; i--) {
		struct recent *r = &f->recent[i - 1];
		if (!r->is_staged && !is_hidden(f, r->name))
			forget_recent(f, r);
	}
	if (f->recent_count < f->recent_cap)
		return 0;
	size_t cap = f->recent_cap == 0 ? FAULT_FIRST : f->recent_cap * 2;
	struct recent *recent = reallocarray(f->recent, cap, sizeof(*recent));
	if (recent == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	f->recent = recent;
	f->recent_cap = cap;
	return 0;
}

/* Let the staged objects vanish from the driver inside, as its own failed barrier would. */
static void drop_staged(struct store_fault *f)
{
	for (size_t i = f->recent_count; i > 0; i--) {
		struct recent *r = &f->recent[i - 1];
		if (!r->is_staged)
			continue;
		(void)f->inner->remove(
			f->self, r->name, NULL); /* a staged name: cannot be missing */
		forget_recent(f, r);
	}
}

/* Write half of the object and take it away again, as a driver does that failed in the middle. */
static void tear_put(struct store_fault *f, const char *name, const void *data, size_t len)
{
	uint64_t size = 0;
	bool is_staging = (f->inner->features & STORE_NEEDS_BARRIER) != 0;
	if (!is_staging || find_recent(f, name) != NULL ||
		f->inner->stat(f->self, name, &size, NULL) != -ERR_NOT_FOUND)
		return;
	if (f->inner->put(f->self, name, data, len / 2, NULL) == 0)
		(void)f->inner->remove(f->self, name, NULL); /* staged a line ago */
}

static int fault_put(void *self, const char *name, const void *data, size_t len, struct err *err)
{
	struct store_fault *f = self;
	int rc = 0;
	enum verdict verdict = count_op(f, STORE_FAULT_PUT, &rc, err);
	if (verdict == TEAR)
		tear_put(f, name, data, len);
	if (verdict != GO_ON)
		return rc;
	uint64_t size = 0;
	struct err found = ERR_INIT;
	rc = f->inner->stat(f->self, name, &size, &found);
	bool is_new = rc == -ERR_NOT_FOUND && find_recent(f, name) == NULL;
	if (is_new)
		rc = reserve_recent(f, err);
	if (is_new && rc != 0)
		return rc;
	rc = f->inner->put(f->self, name, data, len, err);
	if (rc != 0 || !is_new)
		return rc;
	struct recent *r = &f->recent[f->recent_count++];
	(void)snprintf(r->name, sizeof(r->name), "%s", name); /* the grammar's limit fits */
	r->is_staged = (f->inner->features & STORE_NEEDS_BARRIER) != 0;
	r->shown_at = f->counts[STORE_FAULT_ANY];
	return 0;
}

static int not_found(struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "no such object");
}

static int fault_get(void *self, const char *name, struct buf *out, struct err *err)
{
	struct store_fault *f = self;
	int rc = 0;
	size_t before = out->len;
	enum verdict verdict = count_op(f, STORE_FAULT_GET, &rc, err);
	if (verdict == FAIL)
		return rc;
	if (verdict == TEAR) {
		if (f->inner->get(f->self, name, out, NULL) == 0)
			out->len = before + (out->len - before) / 2;
		return rc;
	}
	return is_hidden(f, name) ? not_found(err) : f->inner->get(f->self, name, out, err);
}

static int fault_get_range(
	void *self, const char *name, uint64_t offset, size_t len, struct buf *out, struct err *err)
{
	struct store_fault *f = self;
	int rc = 0;
	enum verdict verdict = count_op(f, STORE_FAULT_GET_RANGE, &rc, err);
	if (verdict == TEAR)
		(void)f->inner->get_range(f->self, name, offset, len / 2, out, NULL); /* fails */
	if (verdict != GO_ON)
		return rc;
	if (is_hidden(f, name))
		return not_found(err);
	return f->inner->get_range(f->self, name, offset, len, out, err);
}

struct listed {
	char *name; /* owned */
	uint64_t size;
};

struct listing {
	const struct store_fault *f;
	struct listed *at;
	size_t count;
	size_t cap;
	bool is_out_of_memory;
};

static void listing_done(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->at[i].name);
	free(l->at);
}

static int collect(void *arg, const char *name, uint64_t size)
{
	struct listing *l = arg;
	if (is_hidden(l->f, name))
		return 0;
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? FAULT_FIRST : l->cap * 2;
		struct listed *at = reallocarray(l->at, cap, sizeof(*at));
		l->is_out_of_memory = at == NULL;
		if (at == NULL)
			return -ERR_NOMEM;
		l->at = at;
		l->cap = cap;
	}
	char *copy = strdup(name);
	l->is_out_of_memory = copy == NULL;
	if (copy == NULL)
		return -ERR_NOMEM;
	l->at[l->count++] = (struct listed){ .name = copy, .size = size };
	return 0;
}

/* splitmix64: any seed gives another order, always the same one. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void shuffle(struct listing *l, uint64_t seed)
{
	for (size_t i = l->count; i > 1; i--) {
		size_t k = (size_t)(next_random(&seed) % i);
		struct listed kept = l->at[k];
		l->at[k] = l->at[i - 1];
		l->at[i - 1] = kept;
	}
}

static int fault_list(void *self, const char *prefix, store_list_fn fn, void *arg, struct err *err)
{
	struct store_fault *f = self;
	int failure = 0;
	enum verdict verdict = count_op(f, STORE_FAULT_LIST, &failure, err);
	if (verdict == FAIL)
		return failure;
	CLEANUP(listing_done) struct listing l = { .f = f };
	int rc = f->inner->list(f->self, prefix, collect, &l, verdict == TEAR ? NULL : err);
	if (l.is_out_of_memory)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (rc != 0)
		return verdict == TEAR ? failure : rc;
	if (f->seed != 0)
		shuffle(&l, f->seed);
	size_t count = verdict == TEAR ? l.count / 2 : l.count;
	for (size_t i = 0; i < count; i++) {
		rc = fn(arg, l.at[i].name, l.at[i].size);
		if (rc != 0)
			return rc;
	}
	return failure;
}

static int fault_stat(void *self, const char *name, uint64_t *size, struct err *err)
{
	struct store_fault *f = self;
	int rc = 0;
	if (count_op(f, STORE_FAULT_STAT, &rc, err) != GO_ON)
		return rc;
	return is_hidden(f, name) ? not_found(err) : f->inner->stat(f->self, name, size, err);
}

static int fault_remove(void *self, const char *name, struct err *err)
{
	struct store_fault *f = self;
	int rc = 0;
	if (count_op(f, STORE_FAULT_REMOVE, &rc, err) != GO_ON)
		return rc;
	rc = f->inner->remove(f->self, name, err);
	struct recent *r = rc == 0 ? find_recent(f, name) : NULL;
	if (r != NULL)
		forget_recent(f, r);
	return rc;
}

static int fault_barrier(void *self, struct err *err)
{
	struct store_fault *f = self;
	int rc = 0;
	enum verdict verdict = count_op(f, STORE_FAULT_BARRIER, &rc, err);
	if (verdict != GO_ON) {
		/* after a crash nobody calls a barrier again: the reset drops the set */
		if (!f->is_crashed)
			drop_staged(f);
		return rc;
	}
	rc = f->inner->barrier == NULL ? 0 : f->inner->barrier(f->self, err);
	for (size_t i = f->recent_count; i > 0; i--) {
		struct recent *r = &f->recent[i - 1];
		if (!r->is_staged)
			continue;
		r->is_staged = false;
		r->shown_at = f->counts[STORE_FAULT_ANY];
		if (rc != 0)
			forget_recent(f, r); /* the driver inside dropped it */
	}
	return rc;
}

static void fault_lock(void *self, struct store_lock *out)
{
	const struct store_fault *f = self;
	f->inner->lock(f->self, out);
}

static int fault_set_lock(void *self, const struct store_lock *lock, struct err *err)
{
	struct store_fault *f = self;
	int rc = 0;
	if (count_op(f, STORE_FAULT_VERSION, &rc, err) != GO_ON)
		return rc;
	return f->inner->set_lock(f->self, lock, err);
}

static int fault_versions(
	void *self, const char *prefix, store_version_fn fn, void *arg, struct err *err)
{
	struct store_fault *f = self;
	int rc = 0;
	if (count_op(f, STORE_FAULT_VERSION, &rc, err) != GO_ON)
		return rc;
	return f->inner->versions(f->self, prefix, fn, arg, err);
}

static int fault_read_version(
	void *self, const char *name, const char *id, struct buf *out, struct err *err)
{
	struct store_fault *f = self;
	int rc = 0;
	if (count_op(f, STORE_FAULT_VERSION, &rc, err) != GO_ON)
		return rc;
	return f->inner->read_version(f->self, name, id, out, err);
}

static int fault_bring_back(void *self, const char *name, const char *id, struct err *err)
{
	struct store_fault *f = self;
	int rc = 0;
	if (count_op(f, STORE_FAULT_VERSION, &rc, err) != GO_ON)
		return rc;
	return f->inner->bring_back(f->self, name, id, err);
}

typedef int (*items_fn)(void *self, struct store_item *at, size_t count, struct err *err);

/* One operation, however many it is about. */
static int with_items(
	struct store_fault *f, items_fn fn, struct store_item *at, size_t count, struct err *err)
{
	int rc = 0;
	if (count_op(f, STORE_FAULT_VERSION, &rc, err) != GO_ON)
		return rc;
	return fn(f->self, at, count, err);
}

static int fault_purge(void *self, struct store_item *at, size_t count, struct err *err)
{
	struct store_fault *f = self;
	return with_items(f, f->inner->purge, at, count, err);
}

static int fault_see_locks(void *self, struct store_item *at, size_t count, struct err *err)
{
	struct store_fault *f = self;
	return with_items(f, f->inner->see_locks, at, count, err);
}

static int fault_extend(void *self, struct store_item *at, size_t count, struct err *err)
{
	struct store_fault *f = self;
	return with_items(f, f->inner->extend, at, count, err);
}

/* What the one inside has of versions and locks. */
static void add_optional(struct store_driver *d, const struct store_driver *inner)
{
	d->lock = inner->lock == NULL ? NULL : fault_lock;
	d->set_lock = inner->set_lock == NULL ? NULL : fault_set_lock;
	d->versions = inner->versions == NULL ? NULL : fault_versions;
	d->read_version = inner->read_version == NULL ? NULL : fault_read_version;
	d->bring_back = inner->bring_back == NULL ? NULL : fault_bring_back;
	d->purge = inner->purge == NULL ? NULL : fault_purge;
	d->see_locks = inner->see_locks == NULL ? NULL : fault_see_locks;
	d->extend = inner->extend == NULL ? NULL : fault_extend;
}

static void fault_free(void *self)
{
	struct store_fault *f = self;
	if (f == NULL)
		return;
	f->inner->free(f->self);
	free(f->recent);
	(void)pthread_mutex_destroy(&f->lock);
	free(f);
}

int store_fault_new(const struct store_driver *inner, void *take_inner, struct store_fault **out,
	struct err *err)
{
	struct store_fault *f = calloc(1, sizeof(*f));
	if (f == NULL) {
		inner->free(take_inner);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	(void)pthread_mutex_init(&f->lock, NULL); /* default attributes: cannot fail */
	f->inner = inner;
	f->self = take_inner;
	f->driver = (struct store_driver){
		.name = "fault",
		.features = inner->features,
		.put = fault_put,
		.get = fault_get,
		.get_range = fault_get_range,
		.list = fault_list,
		.stat = fault_stat,
		.remove = fault_remove,
		.barrier = fault_barrier,
		.free = fault_free,
	};
	add_optional(&f->driver, inner);
	*out = f;
	return 0;
}

const struct store_driver *store_fault_driver(const struct store_fault *f)
{
	return &f->driver;
}

uint64_t store_fault_count(const struct store_fault *f, enum store_fault_verb verb)
{
	return f->counts[verb];
}

void store_fault_fail(struct store_fault *f, enum store_fault_verb verb, uint64_t nth,
	uint64_t times, enum err_code code)
{
	f->rule = (struct rule){ .verb = verb, .nth = nth, .times = times, .code = code };
}

void store_fault_tear(
	struct store_fault *f, enum store_fault_verb verb, uint64_t nth, enum err_code code)
{
	store_fault_fail(f, verb, nth, 1, code);
	f->rule.is_torn = true;
}

void store_fault_crash(struct store_fault *f, uint64_t nth)
{
	store_fault_fail(f, STORE_FAULT_ANY, nth, 1, ERR_IO);
	f->rule.is_crash = true;
}

void store_fault_shuffle(struct store_fault *f, uint64_t seed)
{
	f->seed = seed;
}

void store_fault_delay(struct store_fault *f, uint64_t ops)
{
	f->delay = ops;
}

void store_fault_reset(struct store_fault *f)
{
	if (f->is_crashed)
		drop_staged(f);
	for (size_t i = f->recent_count; i > 0; i--) {
		if (!f->recent[i - 1].is_staged)
			forget_recent(
				f, &f->recent[i - 1]); /* its number belongs to the old counts */
	}
	f->is_crashed = false;
	f->rule = (struct rule){ .nth = 0 };
	f->seed = 0;
	f->delay = 0;
	memset(f->counts, 0, sizeof(f->counts));
}
