/*
 * port: how an agent meets a vault, near or far (DESIGN: near and far look alike).
 * One implementation calls the vault in process (session.h); another speaks to the gateway.
 * Nothing above this knows which.
 */
#ifndef VAULT_PORT_H
#define VAULT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/snaprec.h"

struct err;

#define PORT_MAX_BATCH_BYTES (16u << 20)
#define PORT_HAS_IDS 256 /* fixed size of a question */

/* The source's newest unpruned snapshot, or none. */
struct port_base {
	bool is_there;
	bool is_whole; /* every record of it is known to be there: an unchanged file needs no
			* reading.  False: nothing remembered of it may be used, read everything */
	uint64_t seq;
	uint8_t hash[32]; /* snap_hash */
};

struct port_commit {
	const uint8_t *record;   /* SNAPREC_BYTES, signed */
	const uint8_t *segments; /* rf body: reference segments back to back */
	size_t segments_len;
	const uint8_t *envelopes; /* count * SNAPREC_ENVELOPE_BYTES */
	size_t envelope_count;
	const uint8_t *label; /* TLVs, docs/FORMAT.md section 5 */
	size_t label_len;
};

struct port_receipt {
	uint8_t snap_hash[32];
	uint64_t receipt_ns;
};

struct port {
	void *self;
	/* Open a session for one source.  -ERR_FORK when the source is held, -ERR_ROLLBACK when its
	 * newest snapshot cannot be named. */
	int (*begin)(void *self, const uint8_t agent_id[16], const uint8_t source_id[16],
		struct port_base *base, struct err *err);
	/* For each of ${count} <= PORT_HAS_IDS record IDs: is it in this agent's own unpruned
	 * snapshots or this session's puts, and still there?  present[i] = 1 or 0. */
	int (*has)(void *self, const uint8_t (*ids)[32], size_t count, uint8_t *present,
		struct err *err);
	/* Send records with headers, back to back, at most PORT_MAX_BATCH_BYTES. */
	int (*put)(void *self, const uint8_t *batch, size_t len, struct err *err);
	/* Keep what was put moving, while nothing is asked or put.  Return 1: call again soon, 0:
	 * nothing is under way, or what put would return.  NULL: put leaves nothing under way. */
	int (*tend)(void *self, struct err *err);
	/* Make the snapshot.  When it returns 0 the snapshot is durable and will be restorable.
	 * -ERR_CORRUPT when a rule of the format is broken, -ERR_BUSY when the session was fenced.
	 */
	int (*commit)(void *self, const struct port_commit *commit, struct port_receipt *receipt,
		struct err *err);
	/* End the session without a snapshot; fine after any failure, and after commit (no effect).
	 */
	void (*abort)(void *self);
};

#endif
