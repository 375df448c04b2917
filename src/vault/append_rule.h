/*
 * append_rule: what somebody who may only add to a vault's store may put there: what a backup
 * writes, by the names alone (docs/FORMAT.md section 2), so that who judges it needs no key.
 * Whoever holds a writer key can seal anything: an order to prune, a collection's list, another's
 * end mark, a snapshot of next year.  Those are what this refuses.
 * Threading: one thread, one caller of the store.
 */
#ifndef VAULT_APPEND_RULE_H
#define VAULT_APPEND_RULE_H

#include <stdbool.h>
#include <stdint.h>

struct append_rule;
struct err;
struct store;

#define APPEND_RULE_SESSIONS 64     /* of one caller, at one time or after each other */
#define APPEND_RULE_MARK_BYTES 8192 /* of a session mark */
#define APPEND_RULE_CLOCK_NS (15 * INT64_C(60) * 1000000000)

/* Return 0 or -ERR_NOMEM. */
int append_rule_new(struct append_rule **out, struct err *err);
void append_rule_free(struct append_rule *r);

/**
 * append_rule_check(r, s, name, len, is_hashed, err):
 * May an object of ${len} bytes be put under ${name}?  Packs, index segments, reference segments,
 * envelopes; a snapshot whose receipt is now, give or take APPEND_RULE_CLOCK_NS; marks of sessions
 * that this caller began, in their order.  *${is_hashed}: the name ends with the hash of the bytes,
 * and who puts has to compare them.
 * Return 0, -ERR_READONLY (nothing that a backup writes), -ERR_EXISTS (another's session),
 * -ERR_LIMIT or as the store.
 */
int append_rule_check(struct append_rule *r, struct store *s, const char *name, uint64_t len,
	bool *is_hashed, struct err *err);

#endif
