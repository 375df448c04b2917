/*
 * gateway_grant: the read port's view of a vault: the newest snapshot of each of a few sources, and
 * the records they refer to, nothing else.  Knows no thread, no request.  One thread at a time.
 */
#ifndef CONTROLLER_GATEWAY_GRANT_H
#define CONTROLLER_GATEWAY_GRANT_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct gateway_grant;
struct gateway_vault;

struct gateway_grant_opts {
	const struct gateway_vault *vault; /* borrowed */
	int64_t at_ms;                     /* snapshots received later do not count */
	const char *const *sources;        /* names */
	size_t source_count;
	/* Agents that are shut out, 16 bytes each: their snapshots count as those of a writer whose
	 * key was struck do, only where nobody else has a source of the name. */
	const uint8_t *shut_out;
	size_t shut_out_count;
};

/* Open the vault for reading and choose.  A source without a snapshot is left out: the drill tells
 * that.  Return 0, -ERR_USAGE (two agents that work have a source of that name) or as vault_open().
 */
int gateway_grant_new(
	const struct gateway_grant_opts *opts, struct gateway_grant **out, struct err *err);
void gateway_grant_free(struct gateway_grant *g);

/* Append the encoded msg_points. */
int gateway_grant_points(struct gateway_grant *g, struct buf *out, struct err *err);

/* ${ids}: n * 32 bytes, n from 1 to MSG_READ_IDS.  Append records as docs/PROTOCOL.md says.
 * -ERR_NOT_FOUND: one of them is in no reference list of the grant (nothing is appended). */
int gateway_grant_records(
	struct gateway_grant *g, const uint8_t *ids, size_t len, struct buf *out, struct err *err);

#endif
