/*
 * verify_internal: what the parts of verify share.
 */
#ifndef VAULT_VERIFY_INTERNAL_H
#define VAULT_VERIFY_INTERNAL_H

#include "base/aside.h"
#include "base/buf.h"
#include "vault/block_memo.h"
#include "vault/collect_view.h"
#include "vault/fetch.h"
#include "vault/id_set.h"
#include "vault/snapshot.h"
#include "vault/verify.h"

struct verify {
	struct vault *vault;
	const struct verify_opts *opts;
	struct verify_result *result;
	struct collect_view lists; /* of collection, at the begin */
	struct id_set *good;  /* records whose bytes hash to their ID in a whole pack that is not
			       * dead, with length */
	uint64_t done, total; /* bytes, for progress */
	struct buf object;    /* the one being checked; its memory serves the next */
	struct block_memo *blocks; /* of contents compared before */
	struct aside *aside;       /* for what is hashed meanwhile */
	bool is_short;             /* something could not be looked at for lack of memory */
};

/* Tell a problem (or a warning) of an object and count it.  Lack of memory is no problem of the
 * object: it is kept, and the run ends with it. */
void verify_problem(struct verify *v, const char *object, const struct err *why);
void verify_warning(struct verify *v, const char *object, const char *what);
/* Count progress; return 0 or -ERR_INTERRUPTED. */
int verify_step(struct verify *v, uint64_t bytes, struct err *err);

/* Check one object by its name; findings are told.  Return 0, or what stops the run. */
int verify_objects_one(struct verify *v, const char *name, uint64_t size, struct err *err);

/* Walk a snapshot's tree and compare every file's digest.  ${seen}: contents compared before. */
int verify_content_snapshot(struct verify *v, struct fetch *f, const struct snapshot *s,
	struct id_set *seen, struct err *err);

#endif
