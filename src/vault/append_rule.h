/*
 * append_rule: what somebody who may only add to a vault's store may put there: what a backup
 * writes, by the names (docs/FORMAT.md section 2), and of marks and snapshots by what is in them,
 * for which who judges needs a key of the vault.
 * Whoever holds a writer key can seal anything: an order to prune, a collection's list, another's
 * end mark, a snapshot of next year.  Those are what this refuses.
 * Threading: one thread, one caller of the store.
 */
#ifndef VAULT_APPEND_RULE_H
#define VAULT_APPEND_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct append_rule;
struct err;
struct store;
struct vault;

#define APPEND_RULE_SESSIONS 64     /* of one caller, at one time or after each other */
#define APPEND_RULE_MARK_BYTES 8192 /* of a session mark */
#define APPEND_RULE_SNAPSHOT_BYTES (16u << 20)
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
 * -ERR_LIMIT (a mark or a snapshot of more bytes than any has) or as the store.
 */
int append_rule_check(struct append_rule *r, struct store *s, const char *name, uint64_t len,
	bool *is_hashed, struct err *err);

/* Must append_rule_open() have looked at it before it is put?  Marks and snapshots: collection and
 * retention read every one of them, and stop at one that they cannot read. */
bool append_rule_is_opened(const char *name);

/**
 * append_rule_open(v, name, data, len, err):
 * Does ${v} open the whole object, as what ${name} says it is?  Return 0, -ERR_READONLY or
 * -ERR_NOMEM.
 */
int append_rule_open(
	struct vault *v, const char *name, const void *data, size_t len, struct err *err);

#endif
