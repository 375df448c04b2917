/*
 * record_plan: which records a walk of trees will ask for next, as the nodes it has opened name
 * them.  A guess: whoever follows it opens records early, or in vain.  Not thread-safe.
 */
#ifndef VAULT_RECORD_PLAN_H
#define VAULT_RECORD_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/record.h"

struct err;
struct record_plan;

#define RECORD_PLAN_MAX_BYTES ((size_t)8 << 20) /* raw, planned and not asked for */
#define RECORD_PLAN_MAX_RECORDS 16

/* Return 0 or -ERR_NOMEM. */
int record_plan_new(struct record_plan **out, struct err *err);
void record_plan_free(struct record_plan *p);

/* The record is asked for.  Data that follows what was asked for before widens how far the plan
 * looks, up to the limits above; what was planned in vain makes it begin anew. */
void record_plan_ask(struct record_plan *p, const struct ref *ref, enum record_type type);

/* The node asked for last names ${count} refs, REF_BYTES each, in the order of their first use. */
void record_plan_enter(struct record_plan *p, const uint8_t *refs, size_t count);

/* The next record to be opened early, each once.  Return false when that is enough for now. */
bool record_plan_next(struct record_plan *p, struct ref *out);

#endif
