/*
 * local_stage: objects written but not yet named.
 * Knows: tmp/ and its files, the order "all data synced, then names, then directories", and how a
 * set that failed is taken back.  One thread at a time.
 */
#ifndef STORE_LOCAL_LOCAL_STAGE_H
#define STORE_LOCAL_LOCAL_STAGE_H

#include <stddef.h>

struct err;
struct local_stage;

/* More objects than this between two barriers are a caller's mistake. */
#define LOCAL_STAGE_MAX_OBJECTS 65536

/* More staged files than this are not held open: they are synced at once and closed. */
#define LOCAL_STAGE_MAX_OPEN 64

/* A file in tmp/ that nobody holds is left over from a crash when it is older. */
#define LOCAL_STAGE_STALE_NS (24 * INT64_C(3600) * 1000000000)

/* Make an empty stage of the store at ${root} (borrowed; must outlive it), and remove what crashed
 * processes left in tmp/ as far as that is possible.  Return 0 or -ERR_NOMEM. */
int local_stage_new(int root, struct local_stage **out, struct err *err);

/* Remove the staged files and end.  NULL is fine. */
void local_stage_free(struct local_stage *s);

/* Return as the put slot of struct store_driver, or -ERR_LIMIT (LOCAL_STAGE_MAX_OBJECTS). */
int local_stage_put(
	struct local_stage *s, const char *name, const void *data, size_t len, struct err *err);

/* The four of struct store_driver for an object in pieces: a file in tmp/ from the start.  It is
 * not synced before it is staged; freed or taken it is no leftover. */
struct local_draft;
int local_stage_draft(struct local_stage *s, struct local_draft **out, struct err *err);
int local_stage_draft_add(struct local_draft *d, const void *data, size_t len, struct err *err);
int local_stage_draft_put(
	struct local_stage *s, struct local_draft *take_draft, const char *name, struct err *err);
void local_stage_draft_free(struct local_stage *s, struct local_draft *d);

/* Remove an object, staged or visible; the next barrier makes that durable.  Return 0,
 * -ERR_READONLY or -ERR_IO. */
int local_stage_remove(struct local_stage *s, const char *name, struct err *err);

/* Make all staged objects durable and visible, in this order.  After a failure none of them is. */
int local_stage_barrier(struct local_stage *s, struct err *err);

#endif
