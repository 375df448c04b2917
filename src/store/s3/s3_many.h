/*
 * s3_many: one request for each of many versions, as many at once as the wire bears: deleted by
 * their ids, their locks seen, their locks extended; and one version brought back.
 */
#ifndef STORE_S3_S3_MANY_H
#define STORE_S3_S3_MANY_H

#include <stddef.h>

#include "store/store.h"

struct err;
struct s3_wire;

/* The keys are ${prefix} and the items' names.  Each as the driver's slot of store.h. */
int s3_many_purge(struct s3_wire *w, const char *prefix, struct store_item *at, size_t count,
	struct err *err);
int s3_many_see_locks(struct s3_wire *w, const char *prefix, struct store_item *at, size_t count,
	struct err *err);
int s3_many_extend(struct s3_wire *w, const char *prefix, struct store_item *at, size_t count,
	struct err *err);

/**
 * s3_many_bring_back(w, key, id, mode, until_ns, err):
 * Delete the versions and markers that lie over version ${id}; where one of them is refused, read
 * it and put its bytes over them, locked in ${mode} (NONE: not) until ${until_ns}.
 * Return 0, -ERR_NOT_FOUND (no such version) or as s3_wire_wait().
 */
int s3_many_bring_back(struct s3_wire *w, const char *key, const char *id,
	enum store_lock_mode mode, int64_t until_ns, struct err *err);

#endif
