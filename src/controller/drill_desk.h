/*
 * drill_desk: drills through the controller: plans, T0, grants, evidence, the second signature.
 * One thread (the loop's).
 */
#ifndef CONTROLLER_DRILL_DESK_H
#define CONTROLLER_DRILL_DESK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/catalog_job.h"

struct buf;
struct catalog_agent;
struct conf_problems;
struct db;
struct drill_desk;
struct err;

#define DRILL_DESK_EVIDENCE_FILES 256
#define DRILL_DESK_CLOCK_MS 120000 /* T0 on the agent's clock may differ from ours by so much */
#define DRILL_DESK_SLACK_MS 5000   /* a claimed span may be longer than ours by so much */

struct drill_desk_opts {
	struct db *db;                                     /* borrowed, as all here */
	const char *name;                                  /* of the controller, for the report */
	const char *reports;                               /* directory of reports and evidence */
	const uint8_t *report_seed;                        /* 32: the controller's report key */
	bool (*has_source)(void *arg, const char *source); /* is any snapshot of it known? */
	void *arg;
};
int drill_desk_new(const struct drill_desk_opts *opts, struct drill_desk **out, struct err *err);
void drill_desk_free(struct drill_desk *d);

/**
 * drill_desk_prepare(d, plan_name, text, len, agent, trigger, scenario, j, problems, err):
 * Read and lint the plan, keep its bytes, declare T0 now, make the exercise, fill ${j} for
 * dispatch_order().  Everything wrong with the plan goes to ${problems}.
 */
struct drill_desk_order {
	const char *plan_name;
	const void *plan;
	size_t plan_len;
	const struct catalog_agent *agent; /* sandbox */
	const char *trigger;               /* "manual", "schedule", "change", "incident" */
	const char *scenario;              /* or NULL */
};
int drill_desk_prepare(struct drill_desk *d, const struct drill_desk_order *o,
	struct catalog_job *j, struct conf_problems *problems, struct err *err);
/* For dispatch: ${j} was prepared and is not taken: nothing of its exercise stays.  Return 0,
 * -ERR_EXISTS (it was begun: it stays), -ERR_NOT_FOUND or -ERR_IO. */
int drill_desk_drop(struct drill_desk *d, const struct catalog_job *j, struct err *err);
/**
 * drill_desk_sweep(d, dropped, err):
 * At the start, before anything is ordered: take away exercises that were prepared and got no job,
 * because the controller ended in between, with an audit record each; *${dropped}: how many.
 * Return 0, -ERR_IO or what the catalog says.
 */
int drill_desk_sweep(struct drill_desk *d, size_t *dropped, struct err *err);
/* For dispatch: what the order says.  The grant is made by the agent's first question. */
int drill_desk_fill(
	struct drill_desk *d, const struct catalog_job *j, struct msg_order *out, struct err *err);
/* The sources of the plan of ${j} and T0, for the grant; texts borrowed until the next call. */
int drill_desk_sources(struct drill_desk *d, const struct catalog_job *j, const char *const **out,
	size_t *count, int64_t *declared_ms, struct err *err);

/**
 * drill_desk_granted(d, j, points, len, err):
 * Note which snapshots the grant of ${j} gives away: ${points} is the encoded msg_points that goes
 * out.  A report may name no other.  Return 0, -ERR_CORRUPT, or -ERR_IO and the like.
 */
int drill_desk_granted(struct drill_desk *d, const struct catalog_job *j, const void *points,
	size_t len, struct err *err);

/* A file of the evidence: 1 to 100 of [A-Za-z0-9._-], not beginning with a dot; at most
 * DRILL_DESK_EVIDENCE_FILES of them.  Replaced while there is no report; then only the same bytes
 * are taken again (-ERR_EXISTS).  Return 0, -ERR_USAGE (name), -ERR_LIMIT or -ERR_IO. */
int drill_desk_evidence(struct drill_desk *d, const struct catalog_job *j, const char *name,
	const void *data, size_t len, struct err *err);
/**
 * drill_desk_report(d, j, agent, envelope, len, out, err):
 * Check the report against what was ordered, add our signature, keep it; ${out} = the whole.
 * Return 0, -ERR_CORRUPT (what is wrong with it), -ERR_AUTH (not signed by the agent's key) or
 * -ERR_EXISTS (there is another report of this exercise).  The same report again gives the same
 * answer.
 */
int drill_desk_report(struct drill_desk *d, const struct catalog_job *j,
	const struct catalog_agent *agent, const void *envelope, size_t len, struct buf *out,
	struct err *err);
/* The bytes of a report.  Return 0 or -ERR_NOT_FOUND (no such exercise, or no report of it yet). */
int drill_desk_read(struct drill_desk *d, const char *exercise, struct buf *out, struct err *err);

#endif
