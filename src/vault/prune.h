/*
 * prune: snapshots taken out of a vault: ordered, their records kept for the chain, their envelopes
 * and objects deleted (docs/FORMAT.md section 10.1).  Packs are collection's affair.
 */
#ifndef VAULT_PRUNE_H
#define VAULT_PRUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/prune_order.h"

struct err;
struct snapshot;
struct vault;

/* Called for each record that was pruned; a value other than 0 stops and is returned. */
typedef int (*prune_record_fn)(void *arg, const uint8_t record[SNAPREC_BYTES], struct err *err);

/* The orders that lie on the store: what they name is pruned. */
struct prune_view {
	struct prune_order *at; /* owned */
	char (*names)[128];
	size_t count;
};

/* Told of an object that cannot be read. */
typedef void (*prune_bad_fn)(void *arg, const char *object, const struct err *why);

/* Read every order.  One that cannot be read is told to ${on_bad} and passed over, or with
 * ${on_bad} NULL ends the call with its error. */
int prune_view_load(
	struct vault *v, prune_bad_fn on_bad, void *arg, struct prune_view *out, struct err *err);
void prune_view_done(struct prune_view *view);
bool prune_view_has(const struct prune_view *view, const uint8_t snap_hash[32]);

struct prune_opts {
	enum prune_order_cause cause;
	const char *policy, *approval; /* texts for the record; NULL = none */
};

/**
 * prune_snapshots(v, opts, snaps, count, err):
 * Prune ${count} of the vault's snapshots (at most PRUNE_ORDER_MAX).  None may be the newest of its
 * source: the caller's to see to.  Broken off at any point, prune_resume() goes on.
 */
int prune_snapshots(struct vault *v, const struct prune_opts *opts,
	const struct snapshot *const *snaps, size_t count, struct err *err);

/* Carry out every order that lies on the store; *${count} (may be NULL): how many.  Return 0,
 * -ERR_CORRUPT (an order or a snapshot it names cannot be read) or a store's error. */
int prune_resume(struct vault *v, size_t *count, struct err *err);

/* Called for each hs/ object: its order and the record of each item (count * SNAPREC_BYTES), both
 * borrowed for the call; a value other than 0 stops and is returned. */
typedef int (*prune_kept_fn)(
	void *arg, const struct prune_order *order, const uint8_t *records, struct err *err);

/* Walk the orders with the records they took.  Objects that cannot be read as in
 * prune_view_load(). */
int prune_kept(struct vault *v, prune_bad_fn on_bad, void *bad_arg, prune_kept_fn fn, void *arg,
	struct err *err);

/* Keep records for the chains, ${records} in the order of the items (which get sorted): put an hs/
 * object, durably.  Return 0, -ERR_CORRUPT (a record is not its item's) or as the store. */
int prune_keep(struct vault *v, struct prune_order *order, const uint8_t *records, struct err *err);

/* Walk the records that were pruned, in no order, some perhaps twice.  Objects that cannot be read
 * as in prune_view_load(). */
int prune_records(struct vault *v, prune_bad_fn on_bad, void *bad_arg, prune_record_fn fn,
	void *arg, struct err *err);

#endif
