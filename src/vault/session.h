/*
 * session: the port (port.h) on a vault in the same process: marks, packs, index, barrier, commit,
 * in the order of docs/FORMAT.md section 8.
 *
 *   begin --> put* --> commit --> (acknowledged)
 *     |         |         |
 *     +---------+---------+--> abort: nothing visible but the session marks and unused packs,
 *                              which the next session finds
 */
#ifndef VAULT_SESSION_H
#define VAULT_SESSION_H

#include <stdbool.h>

#include "vault/port.h"
#include "vault/session_base.h"

struct err;
struct id_set;
struct session;
struct vault;

struct session_stats {
	uint64_t records, data_records, packs, data_bytes, metadata_bytes; /* stored by it */
};

struct session_opts {
	struct session_base_memory memory; /* of the host, of the source that will begin */
	/* Hashes of packs known to be damaged: nothing in them counts as stored.  NULL = none.
	 * Borrowed until session_free(). */
	const struct id_set *bad_packs;
	/* Of an agent that is not this process: the IDs that it put in sessions of this source,
	 * which broke off; those of this one come to them.  What of them is stored it need not send
	 * again.  NULL = nothing is known.  Borrowed until session_free(). */
	struct id_set *known;
	/* A pack is listed in the index only behind a barrier of its own (that of a store with a
	 * readback has read it again by then), and one that no segment lists, since its session
	 * broke off before, is read from the medium, as far as that can be had, and compared with
	 * its name before it counts.  What a segment lists is not read again: it was, once. */
	bool is_proven;
};

/* ${vault} is borrowed until session_free(); ${opts} may be NULL: nothing is remembered. */
int session_new(struct vault *vault, const struct session_opts *opts, struct session **out,
	struct err *err);
void session_free(struct session *s); /* aborts an open session */
/* Who receives snapshots (docs/FORMAT.md section 5, gateway); without it zeros: stand-alone use. */
void session_set_gateway(struct session *s, const uint8_t gateway[16]);
/* The port to hand to a pipeline; valid until free. */
const struct port *session_port(struct session *s);
const struct session_stats *session_stats(const struct session *s);

#endif
