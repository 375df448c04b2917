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

#include "controller/gateway_vault.h"
#include "msg/msg_vault.h"
#include "vault/session_base.h"

struct domain;
struct err;
struct gateway;
struct loop;
struct snapshot;

#define GATEWAY_IDLE_MS 300000
#define GATEWAY_CLOCK_MS 3600000             /* a record's times may be so far off */
#define GATEWAY_LIST_MAX ((size_t)256 << 20) /* bytes of reference segments of one session */

struct gateway_opts {
	struct loop *loop; /* borrowed */
	struct gateway_vault vault;
	/* A session committed (on the loop's thread, before its answer). */
	void (*on_commit)(void *arg, const char *job, const struct snapshot *made);
	/* A sandbox asked for what it was not granted. */
	void (*on_refused)(
		void *arg, const uint8_t agent_id[16], const char *grant, const char *why);
	void *arg;
	int max_sessions, max_grants; /* at least as many as jobs may run at once */
};
int gateway_new(const struct gateway_opts *opts, struct gateway **out, struct err *err);
/* ${newest} is the newest config; before the first commit, and with each later one.  Commits that
 * were asked for and have not begun go by it. */
void gateway_set_readers(struct gateway *g, const struct domain *newest);
/* Aborts what is open and waits for the threads. */
void gateway_free(struct gateway *g);

/* The answer to a request: rc 0, or ${why}; the bytes are borrowed for the call. */
typedef void (*gateway_fn)(void *arg, int rc, const struct err *why, const void *data, size_t len);

/* Each hands a request over and returns 0 (then ${fn} is called once, later), or an error at once
 * (then it is not): -ERR_INTERRUPTED (no such session of this agent, or it is over: both look
 * alike), -ERR_BUSY (too many).  ${body} is borrowed until ${fn} was called. */
struct gateway_begin {
	const struct msg_begin *ask;
	struct session_base_memory memory; /* what the catalog knows of the source's newest */
	const void *config;                /* the newest signed one, for the answer */
	size_t config_len;
};
int gateway_begin(struct gateway *g, const uint8_t agent_id[16], const struct gateway_begin *b,
	gateway_fn fn, void *arg, struct err *err);
int gateway_has(struct gateway *g, const uint8_t agent_id[16], const char *session,
	const uint8_t *body, size_t len, gateway_fn fn, void *arg, struct err *err);
int gateway_put(struct gateway *g, const uint8_t agent_id[16], const char *session,
	const uint8_t *body, size_t len, gateway_fn fn, void *arg, struct err *err);
int gateway_list(struct gateway *g, const uint8_t agent_id[16], const char *session,
	uint64_t offset, const uint8_t *body, size_t len, gateway_fn fn, void *arg,
	struct err *err);
/* Only whom the config of gateway_set_readers() lists when the commit runs gets an envelope. */
int gateway_commit(struct gateway *g, const uint8_t agent_id[16], const char *session,
	const uint8_t *body, size_t len, gateway_fn fn, void *arg, struct err *err);
int gateway_abort(
	struct gateway *g, const uint8_t agent_id[16], const char *session, struct err *err);
/* The job and attempt of a session of this agent, or NULL; borrowed. */
const char *gateway_job(
	const struct gateway *g, const uint8_t agent_id[16], const char *session, int64_t *attempt);
/* The job has said that it lives: its session and its grants are not idle, however long an agent
 * reads unchanged files or a restored database starts. */
void gateway_touch_job(struct gateway *g, const char *job);
/* Abort the sessions and close the grants of a job, or of an agent. */
void gateway_end_job(struct gateway *g, const char *job);
void gateway_end_agent(struct gateway *g, const uint8_t agent_id[16]);

/* What a grant is of; as the members of gateway_grant_opts, borrowed for the call. */
struct gateway_grant_of {
	int64_t at_ms;
	const char *const *sources;
	size_t source_count;
	const uint8_t *shut_out;
	size_t shut_out_count;
};
/* Open the grant of a drill's job.  A grant is called by its job's id.  Opened already: answered at
 * once.  Answered with no data when it can be asked. */
int gateway_open_grant(struct gateway *g, const uint8_t agent_id[16], const char *job,
	const struct gateway_grant_of *of, gateway_fn fn, void *arg, struct err *err);
/* Answered with encoded msg_points. */
int gateway_points(struct gateway *g, const uint8_t agent_id[16], const char *grant, gateway_fn fn,
	void *arg, struct err *err);
int gateway_records(struct gateway *g, const uint8_t agent_id[16], const char *grant,
	const uint8_t *body, size_t len, gateway_fn fn, void *arg, struct err *err);

/* End sessions and grants that nobody asked for; return when to call again. */
int64_t gateway_tick(struct gateway *g, int64_t now_ms);

#endif
