#include "store/s3/store_s3.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "store/s3/s3_caps.h"
#include "store/s3/s3_flight.h"
#include "store/s3/s3_list.h"
#include "store/s3/s3_location.h"
#include "store/s3/s3_many.h"
#include "store/s3/s3_notes.h"
#include "store/s3/s3_prove.h"
#include "store/s3/s3_put.h"
#include "store/s3/s3_remove.h"
#include "store/s3/s3_reply.h"
#include "store/s3/s3_versions.h"
#include "store/s3/s3_wire.h"

/*
 * INVARIANTS
 * (1) A small object is put only when all that was put before it is there; large ones may arrive in
 *     any order among themselves.
 * (2) The first failure since the last barrier is told by every put, and by the barrier, which
 *     forgets it.
 * (3) With the oldest versions as the view nothing is written, and each read names its version.
 * (4) Keys that are gathered for deletion are deleted before anything else is asked of the server.
 * (5) Where objects are locked, the first small one of each process was seen to be.
 */

#define ALONE_BYTES ((size_t)1 << 20) /* larger ones are put beside each other */
#define DEFAULT_WINDOW_BYTES ((size_t)96 << 20)

/* An object on its way. */
struct upload {
	struct s3_put put; /* first: its call is what the wire gives back */
	char *key;         /* owned */
	void *data;        /* owned */
	TAILQ_ENTRY(upload) link;
};

TAILQ_HEAD(upload_list, upload);

struct store_s3 {
	struct s3_location place;
	struct s3_wire *wire;
	struct store_driver driver;
	struct s3_notes notes;
	size_t window_bytes, under_way;
	struct upload_list uploads;
	struct s3_remove removals;
	struct s3_versions versions; /* of the view of the oldest */
	struct err failed;           /* code 0 = none */
	bool is_read_only;
	bool (*wants_lock)(const char *name); /* NULL = all */
	bool is_lock_seen, are_notes_locked;
	struct store_lock held; /* when is_held: s3_hold_lock() */
	bool is_held;
};

static void upload_free(struct upload *u)
{
	free(u->key);
	free(u->data);
	free(u);
}

static void s3_free(void *self)
{
	struct store_s3 *s = self;
	if (s == NULL)
		return;
	if (s->wire != NULL && !s->is_read_only)
		(void)s3_remove_flush(&s->removals, NULL); /* nobody is left to be told */
	s3_wire_free(s->wire);                             /* before the uploads that it holds */
	struct upload *u = NULL;
	while ((u = TAILQ_FIRST(&s->uploads)) != NULL) {
		TAILQ_REMOVE(&s->uploads, u, link);
		upload_free(u);
	}
	s3_remove_done(&s->removals);
	s3_versions_done(&s->versions);
	s3_location_done(&s->place);
	free(s);
}

DEFINE_CLEANUP(struct store_s3 *, s3_free)

/* The whole key of an object; the caller frees. */
static char *key_of(const struct store_s3 *s, const char *name, struct err *err)
{
	char *key = NULL;
	if (asprintf(&key, "%s%s", s->place.prefix, name) < 0) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return key;
}

/* ---- objects on their way ----------------------------------------------------------------------
 */

static void keep_first(struct store_s3 *s, int rc, const struct err *why)
{
	if (rc != 0 && s->failed.code == 0)
		s->failed = *why;
}

/* Wait for one and forget it. */
static void finish(struct store_s3 *s, struct upload *u)
{
	struct err why = ERR_INIT;
	int rc = s3_wire_wait(s->wire, &u->put.call, &why);
	if (u->put.is_condition_refused)
		s->notes.caps.has_if_absent = false;
	keep_first(s, rc, &why);
	s->under_way -= u->put.call.len;
	TAILQ_REMOVE(&s->uploads, u, link);
	upload_free(u);
}

/* Take what has ended, then wait until ${room} more bytes fit. */
static void make_room(struct store_s3 *s, size_t room)
{
	struct upload *next = NULL;
	for (struct upload *u = TAILQ_FIRST(&s->uploads); u != NULL; u = next) {
		next = TAILQ_NEXT(u, link);
		if (s3_wire_is_done(s->wire, &u->put.call))
			finish(s, u);
	}
	while (!TAILQ_EMPTY(&s->uploads) && s->under_way + room > s->window_bytes)
		finish(s, TAILQ_FIRST(&s->uploads));
}

static void wait_for_all(struct store_s3 *s)
{
	while (!TAILQ_EMPTY(&s->uploads))
		finish(s, TAILQ_FIRST(&s->uploads));
}

static void flush_removals(struct store_s3 *s)
{
	struct err why = ERR_INIT;
	keep_first(s, s3_remove_flush(&s->removals, &why), &why);
}

/* Before a name is read or removed: nothing of it may be under way. */
static void settle(struct store_s3 *s, const char *key)
{
	const struct upload *u = NULL;
	flush_removals(s);
	TAILQ_FOREACH(u, &s->uploads, link)
	{
		if (strcmp(u->key, key) == 0) {
			wait_for_all(s);
			return;
		}
	}
}

static int tell_failed(const struct store_s3 *s, struct err *err)
{
	if (s->failed.code != 0 && err != NULL)
		*err = s->failed;
	return -s->failed.code;
}

/* How objects are locked: by the place, else as we are held to, else as it is noted. */
static struct store_lock lock_of(const struct store_s3 *s)
{
	if (s->place.has_lock)
		return s->place.lock;
	return s->is_held ? s->held : s->notes.caps.lock;
}

/* How this one is. */
static struct store_lock lock_for(const struct store_s3 *s, const char *key)
{
	struct store_lock l = lock_of(s);
	if (s->wants_lock != NULL && !s->wants_lock(key + strlen(s->place.prefix)))
		l.mode = STORE_LOCK_NONE;
	return l;
}

static void begin_put(
	struct store_s3 *s, struct s3_put *p, const char *key, const void *data, size_t len)
{
	struct store_lock lock = lock_for(s, key);
	s3_put_init(p, key, data, len, s->notes.caps.has_if_absent);
	if (lock.mode != STORE_LOCK_NONE)
		s3_put_lock(p, lock.mode, store_lock_until(&lock, s3_wire_now_ns(s->wire)));
}

/* Invariant 5: some servers take what asks for a lock, and do not lock it. */
static int see_lock(struct store_s3 *s, const char *key, struct err *err)
{
	struct s3_wire_call look = { .method = S3_WIRE_GET, .key = key };
	if (s->is_lock_seen || lock_for(s, key).mode == STORE_LOCK_NONE)
		return 0;
	int rc = s3_wire_run(s->wire, &look, err);
	if (rc != 0)
		return rc;
	if (store_lock_mode_of(look.lock_mode) == STORE_LOCK_NONE) {
		(void)err_set(err, ERR_UNSUPPORTED,
			"'%s' took an object and does not show that it is locked", s->place.host);
		return err_hint(err, "the key needs GetObjectRetention; else this server ignores "
				     "locks: 'holdfast vault lock --policy off'");
	}
	s->is_lock_seen = true;
	return 0;
}

static int put_beside(
	struct store_s3 *s, const char *key, const void *data, size_t len, struct err *err)
{
	struct upload *u = calloc(1, sizeof(*u));
	if (u == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	u->key = strdup(key);
	u->data = malloc(len);
	if (u->key == NULL || u->data == NULL) {
		upload_free(u);
		return err_set(err, ERR_NOMEM, "out of memory for an object on its way");
	}
	memcpy(u->data, data, len);
	begin_put(s, &u->put, u->key, u->data, len);
	TAILQ_INSERT_TAIL(&s->uploads, u, link);
	s->under_way += len;
	s3_wire_start(s->wire, &u->put.call);
	return 0;
}

static int put_alone(
	struct store_s3 *s, const char *key, const void *data, size_t len, struct err *err)
{
	struct s3_put p;
	wait_for_all(s);
	int rc = tell_failed(s, err);
	if (rc != 0)
		return rc;
	begin_put(s, &p, key, data, len);
	rc = s3_wire_run(s->wire, &p.call, err);
	if (p.is_condition_refused)
		s->notes.caps.has_if_absent = false;
	return rc != 0 || p.step != S3_PUT_WRITE ? rc : see_lock(s, key, err);
}

static int s3_put(void *self, const char *name, const void *data, size_t len, struct err *err)
{
	struct store_s3 *s = self;
	CLEANUP(cleanup_free_p) char *key = key_of(s, name, err);
	if (key == NULL)
		return -ERR_NOMEM;
	settle(s, key);
	make_room(s, len < s->window_bytes ? len : s->window_bytes);
	int rc = tell_failed(s, err);
	if (rc != 0)
		return rc;
	return len < ALONE_BYTES ? put_alone(s, key, data, len, err)
				 : put_beside(s, key, data, len, err);
}

static int s3_barrier(void *self, struct err *err)
{
	struct store_s3 *s = self;
	flush_removals(s);
	wait_for_all(s);
	int rc = tell_failed(s, err);
	err_clear(&s->failed);
	return rc;
}

static int s3_remove(void *self, const char *name, struct err *err)
{
	struct store_s3 *s = self;
	CLEANUP(cleanup_free_p) char *key = key_of(s, name, err);
	if (key == NULL)
		return -ERR_NOMEM;
	const struct upload *u = NULL;
	TAILQ_FOREACH(u, &s->uploads, link)
	{
		if (strcmp(u->key, key) == 0) {
			wait_for_all(s);
			break;
		}
	}
	return s3_remove_add(&s->removals, key, err);
}

/* ---- reading -----------------------------------------------------------------------------------
 */

/* The oldest of ${key}.  Return 0 or -ERR_NOT_FOUND. */
static int find_version(
	const struct store_s3 *s, const char *key, const struct s3_version **out, struct err *err)
{
	*out = s3_versions_find(&s->versions, key);
	return *out != NULL ? 0 : err_set(err, ERR_NOT_FOUND, "no such object");
}

/* Let ${call} read the version that counts.  Return 0 or -ERR_NOT_FOUND. */
static int name_version(const struct store_s3 *s, struct s3_wire_call *call, struct err *err)
{
	const struct s3_version *v = NULL;
	int rc = s->place.is_oldest ? find_version(s, call->key, &v, err) : 0;
	if (v != NULL)
		call->query[call->query_count++] = (struct s3_uri_pair){ "versionId", v->id };
	return rc;
}

static int s3_get(void *self, const char *name, struct buf *out, struct err *err)
{
	struct store_s3 *s = self;
	CLEANUP(cleanup_free_p) char *key = key_of(s, name, err);
	if (key == NULL)
		return -ERR_NOMEM;
	settle(s, key);
	struct s3_wire_call call = { .method = S3_WIRE_GET, .key = key, .answer = out };
	const struct s3_version *v = NULL;
	if (!s->place.is_oldest)
		return s3_wire_run(s->wire, &call, err);
	int rc = find_version(s, key, &v, err);
	return rc == 0 ? s3_versions_read(s->wire, v, out, err) : rc;
}

/* Its size, by way of its first byte: unlike HEAD that says why when it fails. */
static int size_of(struct store_s3 *s, const char *key, uint64_t *size, struct err *err)
{
	struct s3_wire_call call = {
		.method = S3_WIRE_GET, .key = key, .is_range = true, .offset = 0, .want = 1
	};
	struct err why = ERR_INIT;
	int rc = name_version(s, &call, &why);
	if (rc == 0)
		rc = s3_wire_run(s->wire, &call, &why);
	if (rc == -ERR_CORRUPT && call.got == 0) { /* it has no first byte */
		*size = 0;
		return 0;
	}
	if (rc == 0 && call.total == 0)
		rc = err_set(&why, ERR_UNSUPPORTED, "the server does not tell its size");
	if (rc == 0)
		*size = call.total;
	else if (err != NULL)
		*err = why;
	return rc;
}

static int s3_stat(void *self, const char *name, uint64_t *size, struct err *err)
{
	struct store_s3 *s = self;
	CLEANUP(cleanup_free_p) char *key = key_of(s, name, err);
	if (key == NULL)
		return -ERR_NOMEM;
	settle(s, key);
	return size_of(s, key, size, err);
}

static int s3_get_range(
	void *self, const char *name, uint64_t offset, size_t len, struct buf *out, struct err *err)
{
	struct store_s3 *s = self;
	CLEANUP(cleanup_free_p) char *key = key_of(s, name, err);
	if (key == NULL)
		return -ERR_NOMEM;
	settle(s, key);
	if (len == 0) {
		uint64_t size = 0;
		int rc = size_of(s, key, &size, err);
		if (rc == 0 && offset > size)
			rc = err_set(
				err, ERR_CORRUPT, "it ends at byte %llu", (unsigned long long)size);
		return rc;
	}
	struct s3_wire_call call = { .method = S3_WIRE_GET,
		.key = key,
		.is_range = true,
		.offset = offset,
		.want = len,
		.answer = out };
	int rc = name_version(s, &call, err);
	return rc == 0 ? s3_wire_run(s->wire, &call, err) : rc;
}

static int list_oldest(const struct store_s3 *s, const char *whole, store_list_fn fn, void *arg)
{
	size_t own = strlen(s->place.prefix);
	size_t len = strlen(whole);
	for (size_t i = 0; i < s->versions.count; i++) {
		const struct s3_version *v = &s->versions.at[i];
		if (strncmp(v->key, whole, len) != 0 || !store_is_valid_name(v->key + own))
			continue;
		int rc = fn(arg, v->key + own, v->size);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int s3_list(void *self, const char *prefix, store_list_fn fn, void *arg, struct err *err)
{
	struct store_s3 *s = self;
	CLEANUP(cleanup_free_p) char *whole = key_of(s, prefix, err);
	if (whole == NULL)
		return -ERR_NOMEM;
	if (s->place.is_oldest)
		return list_oldest(s, whole, fn, arg);
	flush_removals(s);
	return s3_list_each(s->wire, s->place.prefix, whole, fn, arg, err);
}

/* ---- versions and locks ------------------------------------------------------------------------
 */

struct telling {
	const struct store_s3 *store;
	store_version_fn fn;
	void *arg;
};

static int tell_version(void *arg, const struct s3_reply_version *v, struct err *err)
{
	struct telling *t = arg;
	struct store_version out = { .name = v->key + strlen(t->store->place.prefix),
		.id = v->id,
		.tag = v->tag,
		.size = v->size,
		.at_ns = v->at_ns == 0 ? 0 : v->at_ns - s3_wire_skew_ns(t->store->wire),
		.is_marker = v->is_marker,
		.is_current = v->is_latest };
	return store_is_valid_name(out.name) ? t->fn(t->arg, &out, err) : 0;
}

static int s3_versions_of(
	void *self, const char *prefix, store_version_fn fn, void *arg, struct err *err)
{
	struct store_s3 *s = self;
	struct telling t = { .store = s, .fn = fn, .arg = arg };
	CLEANUP(cleanup_free_p) char *whole = key_of(s, prefix, err);
	if (whole == NULL)
		return -ERR_NOMEM;
	flush_removals(s);
	return s3_versions_each(s->wire, whole, tell_version, &t, err);
}

static int s3_read_version(
	void *self, const char *name, const char *id, struct buf *out, struct err *err)
{
	struct store_s3 *s = self;
	CLEANUP(cleanup_free_p) char *key = key_of(s, name, err);
	if (key == NULL)
		return -ERR_NOMEM;
	struct s3_wire_call call = { .method = S3_WIRE_GET,
		.key = key,
		.query = { { "versionId", id } },
		.query_count = 1,
		.answer = out };
	return s3_wire_run(s->wire, &call, err);
}

static int s3_bring_back(void *self, const char *name, const char *id, struct err *err)
{
	struct store_s3 *s = self;
	CLEANUP(cleanup_free_p) char *key = key_of(s, name, err);
	if (key == NULL)
		return -ERR_NOMEM;
	settle(s, key);
	struct store_lock lock = lock_for(s, key);
	return s3_many_bring_back(
		s->wire, key, id, lock.mode, store_lock_until(&lock, s3_wire_now_ns(s->wire)), err);
}

static int s3_purge(void *self, struct store_item *at, size_t count, struct err *err)
{
	struct store_s3 *s = self;
	flush_removals(s);
	return s3_many_purge(s->wire, s->place.prefix, at, count, err);
}

static int s3_see_locks(void *self, struct store_item *at, size_t count, struct err *err)
{
	struct store_s3 *s = self;
	flush_removals(s);
	return s3_many_see_locks(s->wire, s->place.prefix, at, count, err);
}

static int s3_extend(void *self, struct store_item *at, size_t count, struct err *err)
{
	struct store_s3 *s = self;
	struct err why = ERR_INIT;
	int64_t latest = 0;
	for (size_t i = 0; i < count; i++)
		latest = at[i].until_ns > latest ? at[i].until_ns : latest;
	if (!s->are_notes_locked && count > 0 &&
		s3_notes_extend(s->wire, s->place.prefix, &s->notes, latest, &why) != 0)
		log_warn("store_s3.notes", "unable to lock '" S3_CAPS_NAME "': %s, continuing",
			why.msg);
	s->are_notes_locked = true; /* once is enough */
	return s3_many_extend(s->wire, s->place.prefix, at, count, err);
}

static void s3_lock_by(void *self, struct store_lock *out)
{
	*out = lock_of(self);
}

/* ---- opening -----------------------------------------------------------------------------------
 */

static int s3_facts(void *self, store_fact_fn fn, void *arg)
{
	const struct store_s3 *s = self;
	const struct s3_caps *c = &s->notes.caps;
	const char *unknown = c->is_known ? "no" : "not tried";
	int rc = fn(arg, "host", s->place.host);
	if (rc == 0)
		rc = fn(arg, "bucket", s->place.bucket);
	if (rc == 0)
		rc = fn(arg, "region", s3_wire_region(s->wire));
	if (rc == 0)
		rc = fn(arg, "credentials", s3_wire_credentials(s->wire));
	if (rc == 0)
		rc = fn(arg, "conditional-put", c->has_if_absent ? "yes" : unknown);
	if (rc == 0)
		rc = fn(arg, "versioning", c->has_versions ? "yes" : unknown);
	if (rc == 0)
		rc = fn(arg, "object-lock",
			c->is_lock_kept ? "yes, and kept"
			: c->has_lock   ? "yes, but it did not keep a locked version"
					: unknown);
	char text[STORE_LOCK_TEXT_BYTES];
	const struct store_lock lock = lock_of(s);
	return rc == 0 ? fn(arg, "lock", store_lock_format(&lock, text)) : rc;
}

static int s3_prove_it(void *self, store_fact_fn fn, void *arg, bool *is_kept, struct err *err)
{
	struct store_s3 *s = self;
	const struct store_lock lock = lock_of(s);
	return s3_prove(s->wire, s->place.prefix, &lock, fn, arg, is_kept, err);
}

static const struct store_driver template = {
	.name = "s3",
	.features = STORE_HAS_RANGE,
	.put = s3_put,
	.get = s3_get,
	.get_range = s3_get_range,
	.list = s3_list,
	.stat = s3_stat,
	.remove = s3_remove,
	.barrier = s3_barrier,
	.facts = s3_facts,
	.prove = s3_prove_it,
	.free = s3_free,
};

/* The first word with the server.  Notes that somebody removed are put back. */
static int read_notes(struct store_s3 *s, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = s3_notes_read(s->wire, s->place.prefix, &s->notes, &why);
	if (rc == -ERR_UNREACHABLE && !s->place.is_https && s3_flight_is_tls_there(&s->place)) {
		(void)err_set(err, ERR_CONFIG, "'%s' speaks TLS, and we do not", s->place.host);
		return err_hint(err, "write https:// instead of http://");
	}
	if (rc == 0 && s->notes.is_behind && !s->is_read_only) {
		log_warn("store_s3.notes", "'" S3_CAPS_NAME "' was removed or replaced, continuing "
					   "with an older version of it");
		rc = s3_notes_write(s->wire, s->place.prefix, &s->notes, &why);
	}
	if (rc == 0 && s->notes.is_lost)
		log_warn("store_s3.notes",
			"'" S3_CAPS_NAME "' was replaced and no version of it can be read: what is "
			"put is locked only as the place says or as this host has seen, "
			"continuing; see 'holdfast vault lock --policy'");
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

static void set_features(struct store_s3 *s);

static void can_lock(struct s3_caps *c)
{
	c->has_versions = c->has_lock = c->is_lock_kept = true;
}

/* Does the bucket keep what is locked? */
static int check_lock(const struct store_s3 *s, const struct s3_caps *caps, struct err *err)
{
	if (caps->has_versions && caps->is_lock_kept)
		return 0;
	(void)err_set(err, ERR_CONFIG, "bucket '%s' does not lock objects%s", s->place.bucket,
		caps->has_lock ? ": one that was locked could be deleted" : "");
	return err_hint(err, "make a bucket with Object Lock; the key needs PutObjectRetention, "
			     "GetBucketVersioning and GetBucketObjectLockConfiguration");
}

/* Try what the server can, and note it with ${lock}. */
static int write_notes(struct store_s3 *s, const struct store_lock *lock, struct err *err)
{
	struct s3_notes n = { .is_behind = false };
	int rc = s3_caps_probe(s->wire, s->place.prefix, &n.caps, err);
	if (rc == 0 && lock->mode != STORE_LOCK_NONE)
		rc = check_lock(s, &n.caps, err);
	n.caps.lock = *lock;
	if (rc == 0)
		rc = s3_notes_write(s->wire, s->place.prefix, &n, err);
	if (rc == 0)
		s->notes = n;
	return rc;
}

/* The place asks for locks.  Notes that deny them are not believed: anybody who writes may have
 * written them.  Who may write tries anew, who reads looks as if they were there. */
static int see_place(struct store_s3 *s, struct err *err)
{
	struct s3_caps *c = &s->notes.caps;
	if (c->has_versions && c->is_lock_kept)
		return 0;
	if (s->is_read_only) {
		can_lock(c);
		return 0;
	}
	const struct store_lock noted = c->lock;
	int rc = write_notes(s, &noted, err);
	return rc == 0 ? check_lock(s, c, err) : rc;
}

static int s3_set_lock(void *self, const struct store_lock *lock, struct err *err)
{
	struct store_s3 *s = self;
	wait_for_all(s); /* they go by what held before */
	int rc = write_notes(s, lock, err);
	if (rc != 0)
		return rc;
	s->is_held = false;
	set_features(s);
	return 0;
}

/* Who asks for a lock saw that the bucket keeps one; invariant 5 looks again. */
static bool s3_hold_lock(void *self, const struct store_lock *lock)
{
	struct store_s3 *s = self;
	if (s->place.has_lock || lock == NULL)
		return !s->place.has_lock;
	s->held = *lock;
	s->is_held = true;
	if (lock->mode != STORE_LOCK_NONE)
		can_lock(&s->notes.caps);
	set_features(s);
	return true;
}

static void set_features(struct store_s3 *s)
{
	const struct s3_caps *c = &s->notes.caps;
	struct store_driver *d = &s->driver;
	*d = template;
	d->set_lock = s3_set_lock;
	d->hold_lock = s3_hold_lock;
	if (c->has_if_absent)
		d->features |= STORE_HAS_IF_ABSENT;
	if (c->has_versions) {
		d->features |= STORE_HAS_VERSIONS;
		d->versions = s3_versions_of;
		d->read_version = s3_read_version;
		d->bring_back = s3_bring_back;
		d->purge = s3_purge;
	}
	if (c->has_versions && c->is_lock_kept) {
		d->features |= STORE_HAS_OBJECT_LOCK;
		d->lock = s3_lock_by;
		d->see_locks = s3_see_locks;
		d->extend = s3_extend;
	}
}

int store_s3_new(const char *location, const struct store_s3_opts *opts, struct store_s3 **out,
	struct err *err)
{
	static const struct store_lock none = { .mode = STORE_LOCK_NONE };
	struct store_s3_opts o = { .create = false };
	if (opts != NULL)
		o = *opts;
	CLEANUP(s3_free_p) struct store_s3 *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	TAILQ_INIT(&s->uploads);
	s->is_read_only = o.is_read_only;
	s->wants_lock = o.wants_lock;
	s->window_bytes = o.window_bytes == 0 ? DEFAULT_WINDOW_BYTES : o.window_bytes;
	struct s3_wire_opts wire = { .place = &s->place,
		.connections = o.connections,
		.connect_ms = o.connect_ms,
		.stall_s = o.stall_s,
		.budget_ms = o.budget_ms,
		.send_bps = o.send_bps,
		.receive_bps = o.receive_bps,
		.is_stopped = o.is_stopped,
		.arg = o.arg };
	int rc = s3_location_parse(location, &s->place, err);
	s->place.is_oldest |= o.is_oldest;
	if (rc == 0 && s->place.is_oldest && !o.is_read_only)
		rc = err_set(err, ERR_READONLY, "the view of the oldest versions is for reading");
	if (rc == 0)
		rc = s3_wire_new(&wire, &s->wire, err);
	if (rc == 0)
		s3_remove_init(&s->removals, s->wire);
	if (rc == 0)
		rc = read_notes(s, err);
	if (rc == 0 && o.create && !o.is_read_only && !s->notes.caps.is_known)
		rc = write_notes(s, &none, err);
	if (rc == 0 && s->place.has_lock && s->place.lock.mode != STORE_LOCK_NONE)
		rc = see_place(s, err);
	if (rc == 0 && s->place.is_oldest)
		rc = s3_versions_load(s->wire, s->place.prefix, &s->versions, err);
	if (rc != 0)
		return rc;
	set_features(s);
	*out = TAKE(s);
	return 0;
}

const struct store_driver *store_s3_driver(const struct store_s3 *s)
{
	return &s->driver;
}

int store_s3_open(
	const char *location, const struct store_s3_opts *opts, struct store **out, struct err *err)
{
	struct store_s3 *s = NULL;
	int rc = store_s3_new(location, opts, &s, err);
	if (rc != 0)
		return rc;
	struct store_opts policy = { .is_read_only = s->is_read_only };
	return store_new(&s->driver, s, &policy, out, err);
}
