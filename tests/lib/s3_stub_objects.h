/*
 * s3_stub_objects: what a bucket of the stub holds: keys, and of each its versions, markers of
 * deletion and locks, as S3 documents them.  The stub's lock is the caller's to hold.
 */
#ifndef LIB_S3_STUB_OBJECTS_H
#define LIB_S3_STUB_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct s3_stub_version {
	char *key; /* owned, as data */
	char id[24];
	uint8_t *data;
	size_t len;
	bool is_marker;
	bool is_compliance; /* of its lock */
	int64_t until_s;    /* wall clock; 0 = no lock */
	int64_t at_s;
};

/* Sorted by key, the newest version of each first. */
struct s3_stub_objects {
	struct s3_stub_version *at; /* owned */
	size_t count, cap;
	unsigned made;     /* versions so far */
	bool has_versions; /* else a key has one at most, with the id "null" */
};

/* The first place whose key is not below ${key}. */
size_t s3_stub_objects_place(const struct s3_stub_objects *o, const char *key);
/* The current one of a key (a marker counts as none), or the one of an id; or NULL. */
struct s3_stub_version *s3_stub_objects_find(
	const struct s3_stub_objects *o, const char *key, const char *id);
/* Put, and return what was put. */
struct s3_stub_version *s3_stub_objects_put(
	struct s3_stub_objects *o, const char *key, const void *data, size_t len);
/* Delete by name: it is gone, or there is a marker over it. */
void s3_stub_objects_delete(struct s3_stub_objects *o, const char *key);
/* Delete one version for good.  Return false when its lock forbids it. */
bool s3_stub_objects_purge(
	struct s3_stub_objects *o, const char *key, const char *id, int64_t now_s, bool may_bypass);
/* Lock one.  Return false when that would shorten or weaken the lock that is there. */
bool s3_stub_objects_lock(struct s3_stub_version *v, bool is_compliance, int64_t until_s,
	int64_t now_s, bool may_bypass);
/* How many keys can be read. */
size_t s3_stub_objects_visible(const struct s3_stub_objects *o);
void s3_stub_objects_done(struct s3_stub_objects *o);

#endif
