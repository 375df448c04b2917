/*
 * gateway: the vault behind the ports: sessions of capture agents, grants of sandbox agents.  Each
 * has a thread of its own with a vault opened for it alone; requests are handed over and answered
 * on the loop's thread by callback.
 * Knows: what docs/FORMAT.md section 5 demands, times of records, limits of memory and number.
 * Hides: threads, stores, vaults.  Doors are for the loop's thread.
 */
#ifndef CONTROLLER_GATEWAY_H
#define CONTROLLER_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "msg/msg_vault.h"

struct buf;
struct controller_keys;
struct err;
struct gateway;
struct loop;
struct snapshot;
struct store;

#define GATEWAY_IDLE_MS 300000
#define GATEWAY_CLOCK_MS 3600000 /* a record's times may be so far off */
#define GATEWAY_LIST_MAX ((size_t)256 << 20) /* bytes of reference segments of one session */

struct gateway_opts {
	struct loop *loop;                  /* borrowed */
	const struct controller_keys *keys; /* borrowed */
	/* Open the vault's store; called on many threads. */
	int (*open_store)(void *arg, bool is_read_only, struct store **out, struct err *err);
	/* A session committed (on the loop's thread, before its answer). */
	void (*on_commit)(void *arg, const char *job, const struct snapshot *made);
	/* A sandbox asked for what it was not granted. */
	void (*on_refused)(void *arg, const uint8_t agent_id[16], const char *grant,
		const char *why);
	void *arg;
	int max_sessions, max_grants; /* 0 = 16, 16 */
};
int gateway_new(const struct gateway_opts *opts, struct gateway **out, struct err *err);
/* Aborts what is open and waits for the threads. */
void gateway_free(struct gateway *g);

/* The answer to a request: rc 0, or ${why}; the bytes are borrowed for the call. */
typedef void (*gateway_fn)(
	void *arg, int rc, const struct err *why, const void *data, size_t len);

/* Each hands a request over and returns 0 (then ${fn} is called once, later), or an error at once
 * (then it is not): -ERR_NOT_FOUND (no such session of this agent), -ERR_INTERRUPTED (it is over),
 * -ERR_BUSY (too many).  take_body is malloc'ed and taken over also on failure. */
int gateway_begin(struct gateway *g, const uint8_t agent_id[16], const struct msg_begin *m,
	const void *config, size_t config_len, gateway_fn fn, void *arg, struct err *err);
int gateway_has(struct gateway *g, const uint8_t agent_id[16], const char *session,
	uint8_t *take_body, size_t len, gateway_fn fn, void *arg, struct err *err);
int gateway_put(struct gateway *g, const uint8_t agent_id[16], const char *session,
	uint8_t *take_body, size_t len, gateway_fn fn, void *arg, struct err *err);
int gateway_list(struct gateway *g, const uint8_t agent_id[16], const char *session,
	uint64_t offset, uint8_t *take_body, size_t len, gateway_fn fn, void *arg,
	struct err *err);
int gateway_commit(struct gateway *g, const uint8_t agent_id[16], const char *session,
	uint8_t *take_body, size_t len, gateway_fn fn, void *arg, struct err *err);
int gateway_abort(struct gateway *g, const uint8_t agent_id[16], const char *session,
	struct err *err);
/* The job of a session, or NULL; borrowed. */
const char *gateway_job(const struct gateway *g, const char *session);
/* Abort the sessions and close the grants of a job, of an agent (NULL = any). */
void gateway_end_job(struct gateway *g, const char *job);
void gateway_end_agent(struct gateway *g, const uint8_t agent_id[16]);

/* Open a grant for the newest snapshots received at or before ${at_ms} of ${sources}; the points
 * (encoded msg_points) are kept for gateway_points().  Answered when the vault is open: data = the
 * grant's id. */
int gateway_grant(struct gateway *g, const uint8_t agent_id[16], const char *job, int64_t at_ms,
	const char *const *sources, size_t count, gateway_fn fn, void *arg, struct err *err);
int gateway_points(struct gateway *g, const uint8_t agent_id[16], const char *grant,
	gateway_fn fn, void *arg, struct err *err);
int gateway_records(struct gateway *g, const uint8_t agent_id[16], const char *grant,
	uint8_t *take_body, size_t len, gateway_fn fn, void *arg, struct err *err);

/* All snapshots of the vault, for a rebuild of the catalog: ${fn} is called on the loop's thread
 * for each, then ${done}. */
int gateway_snapshots(struct gateway *g, void (*fn)(void *arg, const struct snapshot *s),
	gateway_fn done, void *arg, struct err *err);
/* Put a signed config (synchronous: small). */
int gateway_put_config(struct gateway *g, const void *config, size_t len, struct err *err);
/* The newest signed config on the store, checked against keys->officer_pk (synchronous). */
int gateway_get_config(struct gateway *g, struct buf *out, struct err *err);

/* End sessions and grants that nobody asked for; return when to call again. */
int64_t gateway_tick(struct gateway *g, int64_t now_ms);

#endif
