/*
 * session_mark: the se/ objects that tell everybody of an open session (docs/FORMAT.md section 8).
 */
#ifndef VAULT_SESSION_MARK_H
#define VAULT_SESSION_MARK_H

#include <stddef.h>
#include <stdint.h>

#include "vault/sealed.h"

struct buf;
struct err;
struct store;

#define SESSION_MARK_NAME_CHARS 44 /* "se/" 32 hex "-" 8 hex */
#define SESSION_MARK_NAME_BYTES 64 /* with NUL */

enum session_mark_state {
	SESSION_MARK_OPEN = 1,
	SESSION_MARK_HEARTBEAT = 2,
	SESSION_MARK_END = 3,
	SESSION_MARK_VOID = 4,
};

struct session_mark {
	enum session_mark_state state;
	uint8_t session[16], agent_id[16], source_id[16];
	uint64_t number;  /* from 0; part of the name */
	uint8_t base[32]; /* snap_hash of the base, zeros = none */
	int64_t wall_ns;  /* information only */
};

/* Put the mark in the given state, durably, and count its number on.  Return as store_put(). */
int session_mark_put(struct session_mark *m, enum session_mark_state state,
	const struct sealed_key *key, struct store *store, struct err *err);

/* The name of mark ${number} of a session. */
void session_mark_name(
	const uint8_t session[16], uint64_t number, char name[SESSION_MARK_NAME_BYTES]);

/* Append the sealed object and store its name. */
int session_mark_seal(const struct session_mark *m, const struct sealed_key *key, struct buf *out,
	char name[SESSION_MARK_NAME_BYTES], struct err *err);

/* Open an object called ${name}; the name must be the one the body tells. */
int session_mark_open(const struct sealed_key *key, const char *name, const void *object,
	size_t len, struct session_mark *out, struct err *err);

#endif
