/*
 * retention_conf: the rules of retention in the controller's configuration, of a source or of all
 * others (docs/CONTROLLER.md).  Pure; one that was taken keeps at least the newest of something.
 */
#ifndef CONTROLLER_RETENTION_CONF_H
#define CONTROLLER_RETENTION_CONF_H

#include <stddef.h>

#include "conf/conf.h"
#include "vault/retention.h"

struct conf_problems;
struct err;
struct snapshot;

#define RETENTION_CONF_MAX 1000 /* rules */

struct retention_conf {
	char *source; /* owned: as snapshot_is_of() takes it; NULL = what no other rule is for */
	struct retention_policy policy;
	char **tags; /* owned, policy.tag_count of them */
	int line;
};

struct retention_conf_list {
	struct retention_conf *at; /* owned */
	size_t count;
};

/* The keys of one rule. */
extern const struct conf_option retention_conf_options[];

/* Add the rule of ${g}; what is wrong with it goes to ${p}.  Return 0 or -ERR_NOMEM. */
int retention_conf_take(const struct conf_node *g, struct retention_conf_list *l,
	struct conf_problems *p, struct err *err);
int retention_conf_copy(
	const struct retention_conf_list *from, struct retention_conf_list *out, struct err *err);
void retention_conf_done(struct retention_conf_list *l);

/* The rule for a snapshot: of its source, else of all others; NULL = it stays. */
const struct retention_conf *retention_conf_of(
	const struct retention_conf_list *l, const struct snapshot *s);

#endif
