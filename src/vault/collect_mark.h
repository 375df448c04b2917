/*
 * collect_mark: what of a vault is needed: every record in the reference list of a live snapshot,
 * and how much of each pack that is (docs/FORMAT.md section 10.2, a and e).
 */
#ifndef VAULT_COLLECT_MARK_H
#define VAULT_COLLECT_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/index.h"
#include "vault/snapshot.h"

struct collect_view;
struct err;
struct fetch;
struct id_set;
struct vault;

struct collect_mark_pack {
	uint64_t body;   /* bytes of its records */
	uint64_t marked; /* of those that are needed */
	uint64_t kept; /* of those that are needed and for which this place is the one that stays */
	bool is_there; /* on the store, in full length */
	bool is_eligible; /* there, not condemned or dead, not known to be damaged */
	bool is_metadata;
	bool is_early; /* may be of an open session: not to be condemned yet */
};

struct collect_mark {
	struct fetch *fetch;             /* owned */
	struct index *index;             /* borrowed from fetch */
	struct snapshot_list list;       /* every snapshot, pruned and void ones too; owned */
	uint8_t *bits;                   /* owned; one for the first place of each ID */
	struct id_set *strays;           /* owned; needed, and in no pack that is known */
	struct id_set *there;            /* owned; packs on the store, with their lengths */
	uint64_t there_bytes;            /* the lengths of those together */
	struct id_set *named;            /* owned; rf/ and ev/ objects that an sn/ object names */
	struct collect_mark_pack *packs; /* owned; by the index's number of the pack */
	uint64_t segments;               /* reference segments read */
};

/**
 * collect_mark_run(v, view, bad_packs, out, err):
 * List and mark; ${view} was looked at just before.  ${bad_packs} may be NULL.  Nothing is passed
 * over: an sn/, pr/ or rf/ object that cannot be read ends the call with its error.
 */
int collect_mark_run(struct vault *v, const struct collect_view *view,
	const struct id_set *bad_packs, struct collect_mark *out, struct err *err);
void collect_mark_done(struct collect_mark *m);

/* Is the record needed? */
bool collect_mark_has(const struct collect_mark *m, const uint8_t id[32]);
/* Has it a place in an eligible pack, and are the right bytes there?  They are read: a pack that
 * rotted since it was put must not outlive the last good copy of what it held.  1, 0 or an error.
 */
int collect_mark_is_elsewhere(const struct collect_mark *m, const uint8_t id[32], struct err *err);
/* May a pack go that does not tell what is in it?  1: every needed record has a place in an
 * eligible pack, and of those that the index places in this one the right bytes are there.  0 or an
 * error.
 */
int collect_mark_is_spare(const struct collect_mark *m, const uint8_t pack[32], struct err *err);
/* How many packs on the store nobody knows: in no index, and the footer unreadable.  They are left
 * alone (docs/FORMAT.md section 10.2, a). */
void collect_mark_unknown(const struct collect_mark *m, uint64_t *packs, uint64_t *bytes);
/* Has every needed record a place in an eligible pack?  Nothing is read. */
bool collect_mark_is_whole(const struct collect_mark *m);
/* The number of the pack whose place of a needed record stays, of the eligible ones; INDEX_NONE
 * when there is none. */
size_t collect_mark_keeper(const struct collect_mark *m, const uint8_t id[32]);

#endif
