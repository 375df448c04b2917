/*
 * maintenance: the jobs that the controller does itself: retention, collection, scrub, one after
 * the other on a thread of their own, each with a vault opened for it; copies to replicas on
 * another thread, and previews of retention on a third.  Ordered by schedules and by people:
 * nothing that an agent says gets here. Hides: threads, leases, what is remembered between runs.
 * Doors are for the loop's thread.
 */
#ifndef CONTROLLER_MAINTENANCE_H
#define CONTROLLER_MAINTENANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/gateway_vault.h"
#include "msg/msg_work.h"

struct controller_conf;
struct db;
struct dispatch;
struct err;
struct loop;
struct maintenance;
struct maintenance_run;

struct maintenance_opts {
	struct loop *loop;         /* borrowed */
	struct db *db;             /* borrowed */
	struct dispatch *dispatch; /* borrowed */
	struct gateway_vault vault;
	const char *state; /* directory: what was verified when */
	/* A job is over: look at once for what is due now. */
	void (*on_end)(void *arg);
	void *arg;
};

/* What ran when the controller ended is tried again as its retries allow. */
int maintenance_new(const struct maintenance_opts *opts, const struct controller_conf *conf,
	struct maintenance **out, struct err *err);
/* Stops what runs and waits for it: an operation on the store at the longest. */
void maintenance_free(struct maintenance *m);
/* Another configuration from now on (borrowed until the next); what runs goes by the one before. */
void maintenance_set_conf(struct maintenance *m, const struct controller_conf *conf);

/* Begin what is due, give signs of life, obey stops; return when to call again. */
int64_t maintenance_tick(struct maintenance *m, int64_t now_ms);

/**
 * maintenance_order(m, verb, person, approval, id, err):
 * Order a task by hand.  ${approval}: who agreed and why that a large part goes (retention); NULL =
 * nobody.  Return 0, -ERR_USAGE (no task; retention without rules), -ERR_EXISTS (one is on its
 * way).
 */
int maintenance_order(struct maintenance *m, enum msg_verb verb, const char *person,
	const char *approval, char id[MSG_ID_HEX], struct err *err);

/**
 * maintenance_order_copy(m, replica, is_begin, person, id, err):
 * Order a copy to one of the configuration's replicas by hand.  ${is_begin}: where nothing is, one
 * is begun.  Return 0, -ERR_USAGE (no such replica), -ERR_EXISTS (one to it is on its way).
 */
int maintenance_order_copy(struct maintenance *m, const char *replica, bool is_begin,
	const char *person, char id[MSG_ID_HEX], struct err *err);

/* The answer to a preview: ${run} has rows and guards; borrowed for the call. */
typedef void (*maintenance_fn)(
	void *arg, int rc, const struct err *why, const struct maintenance_run *run);
/* What retention would do now.  Return 0 (then ${fn} is called once, later: with -ERR_INTERRUPTED
 * when the controller ends first), -ERR_USAGE (no rules) or -ERR_NOMEM. */
int maintenance_preview(struct maintenance *m, maintenance_fn fn, void *arg, struct err *err);

#endif
