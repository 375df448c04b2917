/*
 * session_copy: a session that brings a snapshot from another store of the same vault, as it was
 * signed there: the same record, envelopes and label, packs and objects of this store's own
 * (docs/FORMAT.md section 8, "Copy to another store").  The session's port puts the records.
 *
 *   begin --> has, put* --> commit      one snapshot after the other through one session
 *     +----------+----------+--> abort (the port's, or session_free)
 */
#ifndef VAULT_SESSION_COPY_H
#define VAULT_SESSION_COPY_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct port_commit;
struct session;
struct snapshot;

/**
 * session_copy_begin(s, snap, err):
 * Open the session's mark for the snapshot (borrowed for the call).  What packs of sessions that
 * broke off hold counts as stored, so that nothing is sent twice.  Return 0, -ERR_FAILED (one is
 * open), -ERR_READONLY, as vault_check_writable() or as the store.
 */
int session_copy_begin(struct session *s, const struct snapshot *snap, struct err *err);

/* Is the record stored, or put by this session?  1, 0 or an error. */
int session_copy_has(struct session *s, const uint8_t id[32], struct err *err);

/* Make what was put durable and known to the index, for the copy that goes on later. */
int session_copy_keep(struct session *s, struct err *err);

/**
 * session_copy_commit(s, c, snap, is_there, err):
 * Make the snapshot, with the receipt's time and gateway of ${snap}.  When it returns 0 it is
 * durable.  Return 0, -ERR_CORRUPT (a rule of the format is broken), -ERR_BUSY (the session was
 * fenced), -ERR_EXISTS with *${is_there} (another copy brought it meanwhile: there is one of it).
 */
int session_copy_commit(struct session *s, const struct port_commit *c, const struct snapshot *snap,
	bool *is_there, struct err *err);

#endif
