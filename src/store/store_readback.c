#include "store/store_readback.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "store/store_around.h"

/*
 * INVARIANTS
 * (1) at[0 .. count) is what was put since the last barrier that succeeded or failed, and not
 *     removed: a failed barrier gives up its whole set.
 * (2) Bytes are hashed on their way in; what is compared was read from the store, from its medium
 *     where the driver can tell.
 */

#define FIRST_ENTRIES 64

struct entry {
	char *name; /* owned */
	size_t len;
	uint8_t hash[HASH_BYTES];
};

struct store_readback {
	struct store_around around; /* first */
	struct entry *at;           /* owned */
	size_t count, cap;
	uint64_t objects, bytes;
};

/* An object in pieces. */
struct draft {
	void *inner; /* owned, the inner driver's */
	struct hash *hash;
	size_t len;
};

static void forget(struct store_readback *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->at[i].name);
	r->count = 0;
}

static int reserve(struct store_readback *r, struct err *err)
{
	if (r->count < r->cap)
		return 0;
	const size_t cap = r->cap == 0 ? FIRST_ENTRIES : 2 * r->cap;
	struct entry *at = reallocarray(r->at, cap, sizeof(*at));
	if (at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->at = at;
	r->cap = cap;
	return 0;
}

/* Room was made. */
static int note(struct store_readback *r, const char *name, size_t len,
	const uint8_t hash[HASH_BYTES], struct err *err)
{
	struct entry *e = &r->at[r->count];
	e->name = strdup(name);
	if (e->name == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	e->len = len;
	memcpy(e->hash, hash, sizeof(e->hash));
	r->count++;
	return 0;
}

static int readback_put(void *self, const char *name, const void *data, size_t len, struct err *err)
{
	struct store_readback *r = self;
	uint8_t hash[HASH_BYTES];
	int rc = reserve(r, err);
	if (rc == 0)
		rc = r->around.inner->put(r->around.self, name, data, len, err);
	if (rc != 0)
		return rc;
	hash_sha256(data, len, hash);
	return note(r, name, len, hash, err);
}

static void readback_draft_free(void *self, void *draft)
{
	const struct store_readback *r = self;
	struct draft *d = draft;
	if (d->inner != NULL)
		r->around.inner->draft_free(r->around.self, d->inner);
	hash_free(d->hash);
	free(d);
}

static int readback_draft_new(void *self, void **draft, struct err *err)
{
	const struct store_readback *r = self;
	struct draft *d = calloc(1, sizeof(*d));
	if (d == NULL || (d->hash = hash_new()) == NULL) {
		free(d);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	int rc = r->around.inner->draft_new(r->around.self, &d->inner, err);
	if (rc != 0) {
		d->inner = NULL;
		readback_draft_free(self, d);
		return rc;
	}
	*draft = d;
	return 0;
}

static int readback_draft_add(
	void *self, void *draft, const void *data, size_t len, struct err *err)
{
	const struct store_readback *r = self;
	struct draft *d = draft;
	int rc = r->around.inner->draft_add(r->around.self, d->inner, data, len, err);
	if (rc == 0) {
		hash_add(d->hash, data, len);
		d->len += len;
	}
	return rc;
}

static int readback_draft_put(void *self, void *take_draft, const char *name, struct err *err)
{
	struct store_readback *r = self;
	struct draft *d = take_draft;
	uint8_t hash[HASH_BYTES];
	int rc = reserve(r, err);
	if (rc == 0)
		rc = r->around.inner->draft_put(r->around.self, TAKE(d->inner), name, err);
	if (rc == 0) {
		hash_end(d->hash, hash);
		rc = note(r, name, d->len, hash, err);
	}
	readback_draft_free(self, d);
	return rc;
}

static int readback_remove(void *self, const char *name, struct err *err)
{
	struct store_readback *r = self;
	int rc = r->around.inner->remove(r->around.self, name, err);
	for (size_t i = 0; rc == 0 && i < r->count; i++) {
		if (strcmp(r->at[i].name, name) != 0)
			continue;
		free(r->at[i].name);
		r->at[i--] = r->at[--r->count];
	}
	return rc;
}

static int read_anew(const struct store_readback *r, const struct entry *e, struct buf *got,
	bool *is_same, struct err *why)
{
	const struct store_driver *in = r->around.inner;
	uint8_t hash[HASH_BYTES];
	buf_clear(got);
	err_clear(why);
	int rc = (in->get_anew != NULL ? in->get_anew : in->get)(r->around.self, e->name, got, why);
	hash_sha256(got->data, got->len, hash);
	*is_same = rc == 0 && got->len == e->len && memcmp(hash, e->hash, sizeof(hash)) == 0;
	return rc;
}

/* What reads back wrong is read once more: the way back may have erred and not the medium. */
static int compare(struct store_readback *r, const struct entry *e, struct buf *got, bool *is_bad,
	struct err *err)
{
	struct err why = ERR_INIT;
	bool is_same = false;
	int rc = read_anew(r, e, got, &is_same, &why);
	if (!is_same)
		rc = read_anew(r, e, got, &is_same, &why);
	if (is_same) {
		r->objects++;
		r->bytes += got->len;
		return 0;
	}
	*is_bad = rc == 0 || rc == -ERR_LIMIT;
	if (rc == -ERR_NOT_FOUND)
		return err_set(err, ERR_IO,
			"object '%s' was written and is not there when it is read back", e->name);
	if (*is_bad) {
		(void)err_set(err, ERR_IO,
			"object '%s' reads back with other bytes than were written", e->name);
		return err_hint(err, "the medium, its controller or the memory of a host on the "
				     "way is broken: nothing that needs this object was "
				     "acknowledged");
	}
	if (err != NULL)
		*err = why;
	return err == NULL ? rc : err_wrap(err, "unable to read back '%s'", e->name);
}

/* Everything is looked at, so that no bad object is left to be taken for a good one.  Return the
 * first error. */
static int compare_all(struct store_readback *r, struct err *err)
{
	CLEANUP(buf_done) struct buf got = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	const struct store_driver *in = r->around.inner;
	bool is_any_bad = false;
	int first = 0;
	for (size_t i = 0; i < r->count; i++) {
		bool is_bad = false;
		int rc = compare(r, &r->at[i], &got, &is_bad, first == 0 ? err : NULL);
		if (first == 0)
			first = rc;
		is_any_bad |= is_bad;
		if (is_bad) /* where it cannot be, its name still tells what it is not */
			(void)in->remove(r->around.self, r->at[i].name, NULL);
	}
	if (is_any_bad && in->barrier != NULL)
		(void)in->barrier(r->around.self, NULL); /* as above */
	return first;
}

static int readback_barrier(void *self, struct err *err)
{
	struct store_readback *r = self;
	const struct store_driver *in = r->around.inner;
	int rc = in->barrier == NULL ? 0 : in->barrier(r->around.self, err);
	if (rc == 0)
		rc = compare_all(r, err);
	forget(r);
	return rc;
}

static void readback_free(void *self)
{
	struct store_readback *r = self;
	store_around_end(&r->around);
	forget(r);
	free(r->at);
	free(r);
}

int store_readback_add(struct store *s, struct store_readback **out, struct err *err)
{
	struct store_readback *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	store_around_begin(&r->around, s, readback_free);
	struct store_driver *d = &r->around.driver;
	d->put = readback_put;
	d->remove = readback_remove;
	d->barrier = readback_barrier;
	if (d->draft_new != NULL) {
		d->draft_new = readback_draft_new;
		d->draft_add = readback_draft_add;
		d->draft_put = readback_draft_put;
		d->draft_free = readback_draft_free;
	}
	*out = r;
	return 0;
}

uint64_t store_readback_objects(const struct store_readback *r)
{
	return r->objects;
}

uint64_t store_readback_bytes(const struct store_readback *r)
{
	return r->bytes;
}
