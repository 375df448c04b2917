/*
 * gateway_session: one backup session behind the vault port: the rules of docs/FORMAT.md section 5
 * (the vault's own session checks them) and of docs/PROTOCOL.md: who, which source, whose clock.
 * Knows no thread, no request.  One thread at a time.
 */
#ifndef CONTROLLER_GATEWAY_SESSION_H
#define CONTROLLER_GATEWAY_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/domain.h"
#include "vault/port.h"
#include "vault/session_base.h"

struct err;
struct gateway_session;
struct gateway_vault;
struct id_set;
struct snapshot;

struct gateway_session_opts {
	const struct gateway_vault *vault; /* borrowed */
	uint8_t agent_id[16];
	const char *source;                /* name; copied */
	size_t max_list;                   /* bytes of reference segments */
	struct session_base_memory memory; /* the catalog's, of this source */
	struct id_set *known;              /* as in struct session_opts; borrowed until free */
};

/* Open the vault and begin; ${base} is filled.  Return 0 or as vault_open() and port begin. */
int gateway_session_new(const struct gateway_session_opts *opts, struct gateway_session **out,
	struct port_base *base, struct err *err);
/* Aborts what is open. */
void gateway_session_free(struct gateway_session *s);
/* Whether its snapshot was made. */
bool gateway_session_is_committed(const struct gateway_session *s);

/* ${ids}: n * 32 bytes, n from 1 to PORT_HAS_IDS; one byte each into ${present}.  -ERR_CORRUPT when
 * ${len} is no such number. */
int gateway_session_has(struct gateway_session *s, const uint8_t *ids, size_t len,
	uint8_t present[PORT_HAS_IDS], size_t *count, struct err *err);
int gateway_session_put(
	struct gateway_session *s, const uint8_t *batch, size_t len, struct err *err);
/* Bytes of the reference segments from ${offset} on.  Bytes that are there already are compared:
 * a piece may come again.  -ERR_CORRUPT (a gap, or other bytes), -ERR_LIMIT. */
int gateway_session_list(struct gateway_session *s, uint64_t offset, const uint8_t *data,
	size_t len, struct err *err);
/* Whose envelopes are stored: the keys that a config lists. */
struct gateway_session_readers {
	uint8_t rkid[2 * DOMAIN_MAX_KEYS][32];
	size_t count;
};
void gateway_session_readers(const struct domain *d, struct gateway_session_readers *out);

/* ${readers}: by the newest config, which may be newer than that of the begin: an envelope for
 * anybody else is left out.  ${body}: docs/PROTOCOL.md, commit.  The same record again gets the
 * same receipt.  *${made} (the snapshot as the vault now lists it, without its segments; the
 * caller's, who may keep it longer than the session) is NULL when it was given again. */
int gateway_session_commit(struct gateway_session *s, const struct gateway_session_readers *readers,
	const uint8_t *body, size_t len, struct port_receipt *receipt, struct snapshot **made,
	struct err *err);
void gateway_session_made_free(struct snapshot *made);

#endif
