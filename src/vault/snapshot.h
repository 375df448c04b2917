/*
 * snapshot: the snapshots of an opened vault: listed with the writer key alone, opened with a
 * recovery or drill key (docs/FORMAT.md sections 5 and 9).
 */
#ifndef VAULT_SNAPSHOT_H
#define VAULT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/label.h"
#include "vault/root.h"
#include "vault/snaprec.h"
#include "vault/snapshot_body.h"

struct buf;
struct err;
struct fetch;
struct id_set;
struct vault;

/* What it is besides being there (docs/FORMAT.md section 10). */
enum snapshot_fate {
	SNAPSHOT_LIVE,
	SNAPSHOT_PRUNED, /* an order names it */
	SNAPSHOT_VOID,   /* of a fenced session, and not acknowledged */
};

struct snapshot {
	char object[128];          /* name on the store */
	struct snapshot_body body; /* owned: record bytes, receipt, segment list, label bytes */
	struct snaprec record;     /* decoded */
	uint8_t hash[32];          /* snap_hash: its hex is the snapshot's id for people */
	struct label label;        /* owned, decoded */
	bool is_signer_known;      /* signature checked against the config; false = no config */
	bool is_writer_revoked; /* the config lists no key of its agent that is not revoked, or who
				   reads knows that it is shut out (gateway_grant) */
	bool is_forked;         /* another live snapshot of the source has the same seq */
	enum snapshot_fate fate;
};

struct snapshot_list {
	struct snapshot *at; /* ascending by receipt time, then seq */
	size_t count;
};

typedef void (*snapshot_bad_fn)(void *arg, const char *object, const struct err *why);

/**
 * snapshot_list(v, on_bad, arg, out, err):
 * Read every live snapshot.  An object that cannot be had or read: told to ${on_bad} and passed
 * over, or with ${on_bad} NULL the call ends with its error and name.  So with the objects that say
 * which snapshots are pruned or void, but those are not told: verify names them.
 */
int snapshot_list(struct vault *v, snapshot_bad_fn on_bad, void *arg, struct snapshot_list *out,
	struct err *err);
/* The same with the pruned and void ones that are still there: links of the chains, no more. */
int snapshot_list_all(struct vault *v, snapshot_bad_fn on_bad, void *arg, struct snapshot_list *out,
	struct err *err);
void snapshot_list_done(struct snapshot_list *l);

/**
 * snapshot_check_object(v, name, object, len, err):
 * Would the bytes of an sn/ object be listed as a snapshot under ${name}?  Its hash is not looked
 * at.  Return 0, or why not: -ERR_CORRUPT (also when the name tells another time of receipt than
 * the body), -ERR_AUTH, or as snapshot_unseal_body().
 */
int snapshot_check_object(
	struct vault *v, const char *name, const void *object, size_t len, struct err *err);

/* What retention goes by, of one snapshot; tags are borrowed from it. */
struct retention_item;
void snapshot_retention(const struct snapshot *s, struct retention_item *out);

/**
 * snapshot_is_of(s, source):
 * True if ${source} is the name of its source, or WHOSE/NAME with NAME that name and WHOSE its host
 * or the beginning (>= 4 hex digits) of its agent's id.
 */
bool snapshot_is_of(const struct snapshot *s, const char *source);
/* The same of what a catalog knows of a snapshot: its source's ${name}, host and agent. */
bool snapshot_is_named(
	const char *name, const char *host, const uint8_t agent_id[16], const char *source);

/**
 * snapshot_pick(list, name, source, out, err):
 * Find one by "latest" (of ${source} as snapshot_is_of(), or of all when NULL and there is only one
 * source) or by a unique prefix (>= 4 hex digits) of its id.  For "latest" snapshots of revoked
 * writers count only where no other is; among those alone the newest is taken.  Of a source the
 * latest is the end of the chain, whatever the clock said when it was received.
 * *${out} is borrowed from the list.
 * Return 0, -ERR_NOT_FOUND or -ERR_USAGE (ambiguous; the text lists the candidates).
 */
int snapshot_pick(const struct snapshot_list *list, const char *name, const char *source,
	const struct snapshot **out, struct err *err);

/* An opened snapshot. */
struct snapshot_opened {
	struct ref root_ref;
	struct root root;
	enum snaprec_recipient recipient; /* of the key that opened it */
	size_t envelopes;                 /* how many there are */
	bool is_recovery_recomputed;      /* a recovery envelope is there, recomputed and equal */
};

/**
 * snapshot_open(v, f, snap, sk, out, err):
 * Open the envelope of ${sk}, recompute every envelope whose public key the config knows and
 * compare, check root_commit, read the root through ${f}, check the label.
 * Return 0, -ERR_AUTH (no envelope for this key) or -ERR_CORRUPT.
 */
int snapshot_open(struct vault *v, struct fetch *f, const struct snapshot *snap,
	const uint8_t sk[32], struct snapshot_opened *out, struct err *err);

/**
 * snapshot_check_envelopes(v, snap, err):
 * What can be said without a recipient's key: the envelopes are there, are of this snapshot, and
 * one is for a recovery key of the config.  Return 0, -ERR_NOT_FOUND, -ERR_CORRUPT.
 */
int snapshot_check_envelopes(struct vault *v, const struct snapshot *snap, struct err *err);

/* Append the body of the snapshot's ev/ object, with the envelopes that were made later, as a
 * sandbox gets it. */
int snapshot_envelopes(
	struct vault *v, const struct snapshot *snap, struct buf *out, struct err *err);

/* As snapshot_refs(), but only the segments whose id is not in ${seen} yet; they are added. */
int snapshot_refs_new(struct vault *v, const struct snapshot *snap, struct id_set *seen,
	snaprec_ref_fn fn, void *arg, struct err *err);

/* Walk the reference list in order; segments and refs_root are checked against the record. */
int snapshot_refs(struct vault *v, const struct snapshot *snap, snaprec_ref_fn fn, void *arg,
	struct err *err);

#endif
