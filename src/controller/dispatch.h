/*
 * dispatch: jobs on their way: who runs what now, leases, retries, limits.
 * Knows: one job per source at a time, priorities (drill before backup), the limit of running jobs.
 * Everything is in the catalog, so a restart goes on where it was.  One thread (the loop's).
 */
#ifndef CONTROLLER_DISPATCH_H
#define CONTROLLER_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/catalog_job.h"

struct db;
struct dispatch;
struct err;

/* The agent of tasks that the controller does itself: retention, collect, scrub. */
#define DISPATCH_OWN_ID (catalog_job_own_id(MSG_VERB_COLLECT))

struct dispatch_opts {
	struct db *db; /* borrowed */
	int64_t max_running;
	/* Fill the drill's part of an order (plan, grant, ..): the drill desk.  An error fails the
	 * attempt with its reason. */
	int (*fill_drill)(
		void *arg, const struct catalog_job *j, struct msg_order *out, struct err *err);
	/* A drill was not taken by dispatch_order(): what was prepared for it is to go.  May be
	 * NULL. */
	void (*drop_drill)(void *arg, const struct catalog_job *j);
	/* The attempt is over, whatever the outcome: sessions and grants of it are to be closed. */
	void (*on_end)(void *arg, const struct catalog_job *j);
	/* Somebody should look: a job failed for good, was missed, an agent was lost. */
	void (*on_alarm)(void *arg, const struct catalog_job *j, const char *text);
	/* An agent that waits for work may have some now. */
	void (*on_ready)(void *arg, const uint8_t agent_id[16]);
	void *arg;
};
int dispatch_new(const struct dispatch_opts *opts, struct dispatch **out, struct err *err);
void dispatch_free(struct dispatch *d);
void dispatch_set_max_running(struct dispatch *d, int64_t max_running);

/* Take a new job (id is filled in).  -ERR_EXISTS: one of the same source (or, for a drill, of the
 * same plan and agent) is waiting or running; its id is in the text.  A drill that is not
 * taken is no exercise any more: ${j}->drill is then "". */
int dispatch_order(struct dispatch *d, struct catalog_job *j, struct err *err);

/* The next order for an agent: 1 and *${out} (owned: msg_work_order_done), 0 when there is none. */
int dispatch_next(
	struct dispatch *d, const uint8_t agent_id[16], struct msg_order *out, struct err *err);

/* An agent said hello: whatever it was running is lost, and tried again if tries are left. */
int dispatch_hello(struct dispatch *d, const uint8_t agent_id[16], struct err *err);

/* An agent was revoked: what it was running is lost for good, what waits for it is canceled. */
int dispatch_drop(struct dispatch *d, const uint8_t agent_id[16], struct err *err);

/* Check that ${attempt} of ${job} is what this agent runs now, and renew its lease.  Return 0,
 * -ERR_NOT_FOUND (not its job), -ERR_INTERRUPTED (given up or canceled: the text says why). */
int dispatch_touch(struct dispatch *d, const uint8_t agent_id[16], const char *job, int64_t attempt,
	struct catalog_job *out, struct err *err);
int dispatch_progress(struct dispatch *d, const uint8_t agent_id[16], const char *job,
	const struct msg_progress *p, struct msg_go *go, struct err *err);
/* The snapshot of the running attempt is durable: if its agent is lost now, the job is done. */
int dispatch_committed(
	struct dispatch *d, const char *job, const char *snapshot_hex, struct err *err);
int dispatch_result(struct dispatch *d, const uint8_t agent_id[16], const char *job,
	const struct msg_result *r, struct err *err);

/* Stop it: a waiting job at once, a running one at its next progress. */
int dispatch_cancel(struct dispatch *d, const char *job, const char *who, struct err *err);

/* Look at leases, start-by times and deadlines at ${now_ms}; return when to look again at the
 * latest.  Also after anything above. */
int64_t dispatch_tick(struct dispatch *d, int64_t now_ms);

#endif
