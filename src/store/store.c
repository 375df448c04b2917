#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/escape.h"
#include "store/store_internal.h"

/*
 * INVARIANTS
 * (1) No driver slot is called with a name outside the grammar or a size over the limit.
 * (2) A read-only store never calls put, remove or barrier.
 * (3) Only reads are tried again.  A barrier is never: its failure emptied the staged set, so that
 *     a second one would succeed and prove nothing.
 * (4) An out-parameter changes only on success.
 */

#define STORE_RETRY_FIRST_MS 50u
#define STORE_RETRY_MAX_MS 5000u
#define STORE_RESERVED "tmp"
#define STORE_SHOWN_BYTES 256

struct store_draft {
	struct store *store; /* borrowed */
	void *inner;         /* owned, the driver's; NULL: whole holds the bytes */
	struct buf whole;
	size_t len;
};

struct store {
	const struct store_driver *driver;
	void *self; /* owned */
	struct store_opts opts;
	bool (*is_stopped)(void *arg); /* or NULL */
	void *stop_arg;
};

static void real_sleep_ms(unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
	(void)nanosleep(&ts, NULL); /* a signal ends it early, which is what the caller wants */
}

int store_new(const struct store_driver *driver, void *take_self, const struct store_opts *opts,
	struct store **out, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	if (s == NULL) {
		driver->free(take_self);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	s->driver = driver;
	s->self = take_self;
	if (opts != NULL)
		s->opts = *opts;
	if (s->opts.sleep_ms == NULL)
		s->opts.sleep_ms = real_sleep_ms;
	*out = s;
	return 0;
}

void store_free(struct store *s)
{
	if (s == NULL)
		return;
	s->driver->free(s->self);
	free(s);
}

void store_exchange(struct store *s, const struct store_driver *driver, void *self,
	const struct store_driver **was, void **was_self)
{
	*was = s->driver;
	*was_self = s->self;
	s->driver = driver;
	s->self = self;
}

void store_stop_when(struct store *s, bool (*is_stopped)(void *arg), void *arg)
{
	s->is_stopped = is_stopped;
	s->stop_arg = arg;
}

static int check_stop(const struct store *s, struct err *err)
{
	if (s->is_stopped == NULL || !s->is_stopped(s->stop_arg))
		return 0;
	return err_set(err, ERR_INTERRUPTED, "it was stopped");
}

unsigned store_features(const struct store *s)
{
	return s->driver->features;
}

const char *store_driver_name(const struct store *s)
{
	return s->driver->name;
}

bool store_is_read_only(const struct store *s)
{
	return s->opts.is_read_only;
}

int store_facts(const struct store *s, store_fact_fn fn, void *arg)
{
	return s->driver->facts == NULL ? 0 : s->driver->facts(s->self, fn, arg);
}

static int check_writable(
	const struct store *s, const char *verb, const char *name, struct err *err)
{
	if (!s->opts.is_read_only)
		return 0;
	return err_set(err, ERR_READONLY,
		"unable to %s object '%s': the store is opened for reading only", verb, name);
}

int store_prove(struct store *s, store_fact_fn fn, void *arg, bool *is_kept, struct err *err)
{
	int rc = check_writable(s, "write", "of the trial", err);
	if (rc == 0)
		rc = check_stop(s, err);
	if (rc != 0)
		return rc;
	bool kept = false;
	if (s->driver->prove != NULL)
		rc = s->driver->prove(s->self, fn, arg, &kept, err);
	if (rc == 0)
		*is_kept = kept;
	return rc;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

static bool is_valid_component(const char *text, size_t len)
{
	if (len == 0 || (len == 1 && text[0] == '.') || (len == 2 && memcmp(text, "..", 2) == 0))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_name_char(text[i]))
			return false;
	}
	return true;
}

bool store_is_valid_name(const char *name)
{
	if (name == NULL || strnlen(name, STORE_MAX_NAME_BYTES + 1) > STORE_MAX_NAME_BYTES)
		return false;
	size_t first = strcspn(name, "/");
	if (first == strlen(STORE_RESERVED) && memcmp(name, STORE_RESERVED, first) == 0)
		return false;
	for (const char *p = name;; p++) {
		size_t len = strcspn(p, "/");
		if (!is_valid_component(p, len))
			return false;
		p += len;
		if (*p == '\0')
			return true;
	}
}

/* A prefix may end inside a component, so only its characters and its length are checked. */
static bool is_valid_prefix(const char *prefix)
{
	if (strnlen(prefix, STORE_MAX_NAME_BYTES + 1) > STORE_MAX_NAME_BYTES)
		return false;
	for (const char *p = prefix; *p != '\0'; p++) {
		if (!is_name_char(*p) && *p != '/')
			return false;
	}
	return true;
}

static int refuse_name(const char *what, const char *name, struct err *err)
{
	char shown[STORE_SHOWN_BYTES] = "";
	if (name != NULL)
		(void)escape_str(shown, sizeof(shown), name);
	return err_set(err, ERR_USAGE, "'%s' is not an object %s", shown, what);
}

static int check_name(const struct store *s, const char *name, struct err *err)
{
	return store_is_valid_name(name) ? check_stop(s, err) : refuse_name("name", name, err);
}

/* Put the operation before the driver's reason.  ${rc} stands even if the driver set no text. */
static int fail(int rc, const char *verb, const char *name, struct err *err)
{
	if (err != NULL && err->code == 0)
		err->code = -rc;
	(void)err_wrap(err, "unable to %s object '%s'", verb, name);
	return rc;
}

/* Full jitter: between 0 and a bound that doubles, so that many clients do not come back at once.
 */
static void wait_before_retry(const struct store *s, unsigned tried)
{
	unsigned bound = STORE_RETRY_FIRST_MS;
	for (unsigned i = 0; i < tried && bound < STORE_RETRY_MAX_MS; i++)
		bound *= 2;
	if (bound > STORE_RETRY_MAX_MS)
		bound = STORE_RETRY_MAX_MS;
	unsigned random = bound;
	if (env_random(&random, sizeof(random), NULL) != 0)
		random = bound; /* no jitter, but no failure either */
	s->opts.sleep_ms(random % (bound + 1));
}

/* Decide on one more try of a read that failed with ${rc}, and wait for it. */
static bool can_retry(const struct store *s, int rc, unsigned tried, struct err *err)
{
	if (tried >= s->opts.retries || !err_is_retryable(rc))
		return false;
	/* waiting frees neither space nor memory, and an interrupt must be obeyed */
	if (rc == -ERR_NOSPACE || rc == -ERR_NOMEM || rc == -ERR_INTERRUPTED)
		return false;
	wait_before_retry(s, tried);
	if (err != NULL)
		err_clear(err);
	return true;
}

int store_put(struct store *s, const char *name, const void *data, size_t len, struct err *err)
{
	int rc = check_name(s, name, err);
	if (rc == 0)
		rc = check_writable(s, "write", name, err);
	if (rc != 0)
		return rc;
	if (len > STORE_MAX_OBJECT_BYTES)
		return err_set(err, ERR_LIMIT,
			"unable to write object '%s': %zu bytes, the limit is %u", name, len,
			STORE_MAX_OBJECT_BYTES);
	rc = s->driver->put(s->self, name, len == 0 ? "" : data, len, err);
	return rc == 0 ? 0 : fail(rc, "write", name, err);
}

int store_draft_new(struct store *s, struct store_draft **out, struct err *err)
{
	int rc = check_writable(s, "write", "in pieces", err);
	if (rc != 0)
		return rc;
	struct store_draft *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->store = s;
	d->whole = (struct buf)BUF_INIT(STORE_MAX_OBJECT_BYTES);
	if (s->driver->draft_new != NULL)
		rc = s->driver->draft_new(s->self, &d->inner, err);
	if (rc != 0) {
		free(d);
		return fail(rc, "begin", "in pieces", err);
	}
	*out = d;
	return 0;
}

int store_draft_add(struct store_draft *d, const void *data, size_t len, struct err *err)
{
	const struct store *s = d->store;
	if (len > STORE_MAX_OBJECT_BYTES - d->len)
		return err_set(err, ERR_LIMIT, "unable to write an object of more than %u bytes",
			STORE_MAX_OBJECT_BYTES);
	int rc = 0;
	if (len > 0)
		rc = d->inner != NULL ? s->driver->draft_add(s->self, d->inner, data, len, err)
				      : buf_add(&d->whole, data, len, err);
	if (rc != 0)
		return fail(rc, "write", "in pieces", err);
	d->len += len;
	return 0;
}

int store_draft_put(struct store_draft *take_draft, const char *name, struct err *err)
{
	struct store_draft *d = take_draft;
	struct store *s = d->store;
	int rc = d->inner != NULL ? check_name(s, name, err) : 0;
	if (rc == 0 && d->inner != NULL) {
		rc = s->driver->draft_put(s->self, TAKE(d->inner), name, err);
		if (rc != 0)
			(void)fail(rc, "write", name, err);
	} else if (rc == 0) {
		rc = store_put(s, name, d->whole.data, d->whole.len, err);
	}
	store_draft_free(d);
	return rc;
}

void store_draft_free(struct store_draft *d)
{
	if (d == NULL)
		return;
	if (d->inner != NULL)
		d->store->driver->draft_free(d->store->self, d->inner);
	buf_done(&d->whole);
	free(d);
}

static int get_by(struct store *s,
	int (*get)(void *self, const char *name, struct buf *out, struct err *err),
	const char *name, struct buf *out, struct err *err)
{
	int rc = check_name(s, name, err);
	if (rc != 0)
		return rc;
	size_t before = out->len;
	for (unsigned tried = 0;; tried++) {
		rc = get(s->self, name, out, err);
		if (rc == 0)
			return 0;
		out->len = before;
		if (!can_retry(s, rc, tried, err))
			return fail(rc, "read", name, err);
	}
}

int store_get(struct store *s, const char *name, struct buf *out, struct err *err)
{
	return get_by(s, s->driver->get, name, out, err);
}

int store_get_anew(struct store *s, const char *name, struct buf *out, struct err *err)
{
	const struct store_driver *d = s->driver;
	return get_by(s, d->get_anew != NULL ? d->get_anew : d->get, name, out, err);
}

int store_get_range(struct store *s, const char *name, uint64_t offset, size_t len, struct buf *out,
	struct err *err)
{
	int rc = check_name(s, name, err);
	if (rc != 0)
		return rc;
	if (len > STORE_MAX_OBJECT_BYTES || offset > UINT64_MAX - len || len > out->max - out->len)
		return err_set(err, ERR_LIMIT,
			"unable to read object '%s': %zu bytes are asked for, more than allowed",
			name, len);
	size_t before = out->len;
	for (unsigned tried = 0;; tried++) {
		rc = s->driver->get_range(s->self, name, offset, len, out, err);
		if (rc == 0)
			return 0;
		out->len = before;
		if (!can_retry(s, rc, tried, err))
			return fail(rc, "read", name, err);
	}
}

struct listing {
	store_list_fn fn;
	void *arg;
	int verdict;       /* what fn returned last */
	bool is_delivered; /* fn was called at least once */
};

static int deliver(void *arg, const char *name, uint64_t size)
{
	struct listing *l = arg;
	l->is_delivered = true;
	l->verdict = l->fn(l->arg, name, size);
	return l->verdict;
}

int store_list(struct store *s, const char *prefix, store_list_fn fn, void *arg, struct err *err)
{
	if (prefix == NULL)
		prefix = "";
	if (!is_valid_prefix(prefix))
		return refuse_name("prefix", prefix, err);
	if (check_stop(s, err) != 0)
		return -ERR_INTERRUPTED;
	for (unsigned tried = 0;; tried++) {
		struct listing l = { .fn = fn, .arg = arg };
		int rc = s->driver->list(s->self, prefix, deliver, &l, err);
		if (rc == 0 || l.verdict != 0)
			return l.verdict; /* the caller's own answer, not a failure of the store */
		if (l.is_delivered || !can_retry(s, rc, tried, err)) {
			if (err != NULL && err->code == 0)
				err->code = -rc;
			(void)err_wrap(err, "unable to list objects '%s*'", prefix);
			return rc;
		}
	}
}

static int see_any(void *arg, const char *name, uint64_t size)
{
	(void)name;
	(void)size; /* any will do */
	*(bool *)arg = true;
	return 1;
}

int store_has_any(struct store *s, const char *prefix, bool *out, struct err *err)
{
	bool is_there = false;
	int rc = store_list(s, prefix, see_any, &is_there, err);
	if (rc >= 0)
		*out = is_there;
	return rc < 0 ? rc : 0;
}

int store_stat(struct store *s, const char *name, uint64_t *size, struct err *err)
{
	int rc = check_name(s, name, err);
	if (rc != 0)
		return rc;
	for (unsigned tried = 0;; tried++) {
		uint64_t found = 0;
		rc = s->driver->stat(s->self, name, &found, err);
		if (rc == 0) {
			if (size != NULL)
				*size = found;
			return 0;
		}
		if (!can_retry(s, rc, tried, err))
			return fail(rc, "look up", name, err);
	}
}

int store_remove(struct store *s, const char *name, struct err *err)
{
	int rc = check_name(s, name, err);
	if (rc == 0)
		rc = check_writable(s, "remove", name, err);
	if (rc != 0)
		return rc;
	rc = s->driver->remove(s->self, name, err);
	return rc == 0 ? 0 : fail(rc, "remove", name, err);
}

int store_barrier(struct store *s, struct err *err)
{
	if (s->driver->barrier == NULL || s->opts.is_read_only)
		return 0; /* nothing can be staged */
	int rc = check_stop(s, err);
	if (rc != 0)
		return rc;
	rc = s->driver->barrier(s->self, err);
	if (rc != 0) {
		if (err != NULL && err->code == 0)
			err->code = -rc;
		(void)err_wrap(err, "unable to make the written objects durable");
	}
	return rc;
}

/* ---- versions and locks ------------------------------------------------------------------------
 */

static int lacks(const struct store *s, const char *what, struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "this store (%s) %s", s->driver->name, what);
}

static int lacks_versions(const struct store *s, struct err *err)
{
	return lacks(s, "keeps no versions of what is removed or replaced", err);
}

static int lacks_locks(const struct store *s, struct err *err)
{
	(void)lacks(s, "does not lock objects", err);
	return err_hint(err, "docs/S3.md tells which do");
}

void store_locks_by(const struct store *s, struct store_lock *out)
{
	*out = (struct store_lock){ .mode = STORE_LOCK_NONE };
	if (s->driver->lock != NULL)
		s->driver->lock(s->self, out);
}

int store_set_lock(struct store *s, const struct store_lock *lock, struct err *err)
{
	if (s->driver->set_lock == NULL)
		return lacks_locks(s, err);
	int rc = check_writable(s, "write", "that says how objects are locked", err);
	return rc != 0 ? rc : s->driver->set_lock(s->self, lock, err);
}

bool store_hold_lock(struct store *s, const struct store_lock *lock)
{
	return s->driver->hold_lock != NULL && s->driver->hold_lock(s->self, lock);
}

int store_versions(
	struct store *s, const char *prefix, store_version_fn fn, void *arg, struct err *err)
{
	if (!is_valid_prefix(prefix))
		return refuse_name("prefix", prefix, err);
	if (s->driver->versions == NULL)
		return lacks_versions(s, err);
	int rc = check_stop(s, err);
	if (rc == 0)
		rc = s->driver->versions(s->self, prefix, fn, arg, err);
	return rc == 0 ? 0 : fail(rc, "list the versions of", prefix, err);
}

int store_read_version(
	struct store *s, const char *name, const char *id, struct buf *out, struct err *err)
{
	int rc = check_name(s, name, err);
	if (rc != 0)
		return rc;
	if (s->driver->read_version == NULL)
		return lacks_versions(s, err);
	size_t before = out->len;
	rc = s->driver->read_version(s->self, name, id, out, err);
	if (rc == 0)
		return 0;
	out->len = before;
	return fail(rc, "read a version of", name, err);
}

int store_bring_back(struct store *s, const char *name, const char *id, struct err *err)
{
	int rc = check_name(s, name, err);
	if (rc == 0)
		rc = check_writable(s, "bring back", name, err);
	if (rc != 0)
		return rc;
	if (s->driver->bring_back == NULL)
		return lacks_versions(s, err);
	rc = s->driver->bring_back(s->self, name, id, err);
	return rc == 0 ? 0 : fail(rc, "bring back", name, err);
}

/* May they be given to the driver? */
static int check_items(
	const struct store *s, const struct store_item *at, size_t count, struct err *err)
{
	if (count > STORE_ITEMS_MAX)
		return err_set(err, ERR_LIMIT, "%zu versions at once, the limit is %d", count,
			STORE_ITEMS_MAX);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = check_name(s, at[i].name, err);
	return rc;
}

int store_purge(struct store *s, struct store_item *at, size_t count, struct err *err)
{
	if (s->driver->purge == NULL)
		return lacks_versions(s, err);
	int rc = check_writable(s, "delete versions of", count == 0 ? "" : at[0].name, err);
	if (rc == 0)
		rc = check_items(s, at, count, err);
	return rc != 0 ? rc : s->driver->purge(s->self, at, count, err);
}

int store_see_locks(struct store *s, struct store_item *at, size_t count, struct err *err)
{
	if (s->driver->see_locks == NULL)
		return lacks_locks(s, err);
	int rc = check_items(s, at, count, err);
	return rc != 0 ? rc : s->driver->see_locks(s->self, at, count, err);
}

int store_extend(struct store *s, struct store_item *at, size_t count, struct err *err)
{
	if (s->driver->extend == NULL)
		return lacks_locks(s, err);
	int rc = check_writable(s, "lock", count == 0 ? "" : at[0].name, err);
	if (rc == 0)
		rc = check_items(s, at, count, err);
	return rc != 0 ? rc : s->driver->extend(s->self, at, count, err);
}
