/*
 * verify_internal: what the parts of verify share.
 */
#ifndef VAULT_VERIFY_INTERNAL_H
#define VAULT_VERIFY_INTERNAL_H

#include "base/buf.h"
#include "base/lineup.h"
#include "store/store.h"
#include "vault/block_memo.h"
#include "vault/collect_view.h"
#include "vault/fetch.h"
#include "vault/id_marks.h"
#include "vault/id_set.h"
#include "vault/missing.h"
#include "vault/snapshot.h"
#include "vault/verify.h"

struct verify_packs;
struct verify_work_worker;

struct verify {
	struct vault *vault;
	const struct verify_opts *opts;
	struct verify_result *result;
	struct collect_view lists; /* of collection, at the begin */
	struct fetch *fetch;       /* owned */
	struct id_marks *good;   /* records whose bytes hash to their ID in a whole pack that is not
				  * dead, with length */
	uint64_t done, total;    /* bytes, for progress */
	struct buf object;       /* the one being checked; its memory serves the next */
	bool is_short;           /* something could not be looked at for lack of memory */
	struct missing *missing; /* owned; when a parity object asked for it */
	struct id_set *told;     /* owned; SHA-256 of names of lost members that were told */
	char (*damaged)[STORE_MAX_NAME_BYTES + 1]; /* owned; what parity may bring back */
	size_t damaged_count;
	struct block_memo *blocks;                              /* of contents compared before */
	struct verify_work_worker *workers[LINEUP_MAX_THREADS]; /* owned; NULL: no content yet */
	struct verify_packs *packs; /* owned; those that are being hashed */
};

/* Tell a problem (or a warning) of an object and count it.  Lack of memory is no problem of the
 * object: it is kept, and the run ends with it. */
void verify_problem(struct verify *v, const char *object, const struct err *why);
void verify_warning(struct verify *v, const char *object, const char *what);
/* Count progress; return 0 or -ERR_INTERRUPTED. */
int verify_step(struct verify *v, uint64_t bytes, struct err *err);

/* Read an object into ${object}, whose contents are replaced.  Return 1; 0 when it cannot be had
 * (told to ${bad}, unless a collection has deleted it), or what stops the run. */
int verify_objects_read(struct verify *v, const char *name, uint64_t size, struct buf *object,
	void (*bad)(struct verify *v, const char *name, const struct err *why), struct err *err);
/* ${why} an object could not be read: likewise 0, or what stops the run. */
int verify_objects_unread(struct verify *v, const char *name, const struct err *why,
	void (*bad)(struct verify *v, const char *name, const struct err *why), struct err *err);
/* Check one object that is no pack, by its name; findings are told.  Return 0, or what stops the
 * run.
 */
int verify_objects_one(struct verify *v, const char *name, uint64_t size, struct err *err);

/* Packs are read, hashed on threads, and told in the order in which they were given, with their
 * progress and age.  Large ones are read there, too, in slices that end with a record.  ${name} is
 * borrowed until the end.  Return 0, or what stops the run. */
int verify_packs_new(struct verify *v, struct err *err);
void verify_packs_free(struct verify *v);
int verify_packs_give(struct verify *v, const char *name, uint64_t size, struct err *err);
int verify_packs_end(struct verify *v, struct err *err);

/* Check a parity object whose hash is right: trailer, stripes, and that its members are there. */
int verify_parity_object(
	struct verify *v, const char *name, const struct buf *object, struct err *why);
/* Keep the name of a damaged object for verify_parity_tell(). */
void verify_parity_note(struct verify *v, const char *name);
/* Say of each damaged object whether parity brings it back. */
int verify_parity_tell(struct verify *v, struct err *err);
/* The same for a pack that is left for another time: there, and its footer opens. */
int verify_objects_left(struct verify *v, const char *name, uint64_t size, struct err *err);

/* End what verify_content_snapshot() left for the next one. */
void verify_content_free(struct verify *v);
/* Walk a snapshot's tree and compare every file's digest.  ${seen}: contents compared before. */
int verify_content_snapshot(
	struct verify *v, const struct snapshot *s, struct id_set *seen, struct err *err);

#endif
