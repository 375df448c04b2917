/*
 * collect_internal: what the parts of a collection share.
 */
#ifndef VAULT_COLLECT_INTERNAL_H
#define VAULT_COLLECT_INTERNAL_H

#include "base/err.h"
#include "vault/collect.h"
#include "vault/collect_view.h"

struct collect_mark;

struct collect {
	struct vault *v;
	const struct collect_opts *opts;
	struct collect_result *r;
	struct collect_view view; /* as of the last collect_look() */
	uint8_t run[16];          /* this process's */
	uint32_t number;          /* of its next list */
	struct id_set *deleted;   /* owned; ends of the names of what this run deleted */
	int refused;        /* -ERR_*: (h) left a list alone that names what is needed, or 0 */
	struct err refusal; /* of the first of them */
};

/* Look at gc/ and dd/ again; nothing is passed over. */
int collect_look(struct collect *c, struct err *err);
/* Mark, with every number of every chain accounted for.  As collect_mark_run(); ${out} is owned. */
int collect_find_needed(struct collect *c, struct collect_mark *out, struct err *err);
/* Put a list of this run, durably, and look again. */
int collect_put(struct collect *c, struct collect_list *l, struct err *err);
/* Remove an object of the view, durably. */
int collect_drop(struct collect *c, const struct collect_view_entry *e, struct err *err);

/* (a), (b): condemn.  *${is_made}: there was something. */
int collect_begin_condemn(struct collect *c, bool *is_made, struct err *err);
/* (c), (d): *${is_over}: every session that the list waits for is. */
int collect_begin_wait(
	struct collect *c, const uint8_t condemned[32], bool *is_over, struct err *err);
/* (e), (f): look again and list what is to be deleted. */
int collect_end_decide(struct collect *c, const uint8_t condemned[32], struct err *err);
/* (g) of every delete list whose condemned list is there; and lists that tell nothing go. */
int collect_end_bury(struct collect *c, struct err *err);
/* Is the grace of any dd/ object over? */
bool collect_end_is_due(const struct collect *c);
/* (h) of every dd/ object whose grace is over. */
int collect_end_delete(struct collect *c, struct err *err);

#endif
