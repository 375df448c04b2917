/*
 * hold: the marks of a reader (a restore, a mount, a dump, a drill, a verify, a grant): while they
 * go on, collection deletes nothing that was condemned after they began (docs/FORMAT.md section 8).
 * One thread at a time.
 */
#ifndef VAULT_HOLD_H
#define VAULT_HOLD_H

#include <stdint.h>

struct err;
struct hold;
struct store;
struct vault;

/**
 * hold_begin(v, take_store, snap_hash, out, err):
 * Put the open mark: before the snapshots are listed, so that no pack can go between the list and
 * the mark.  ${take_store} (taken also on failure) is a way to write to the store that ${v} was
 * opened on; ${v} is borrowed until hold_end().  ${snap_hash}: the one that is read; NULL =
 * several, or not chosen yet.  Return 0, as vault_check_writable() or as store_put().
 */
int hold_begin(struct vault *v, struct store *take_store, const uint8_t snap_hash[32],
	struct hold **out, struct err *err);
/* A sign of life, when the last is old; cheap, for every step of a reader.  NULL is fine. */
void hold_beat(struct hold *h);
/**
 * hold_refuse_same(h, other, err):
 * Is ${other} the very store that is held, by whatever name it was opened?  Its marks are seen
 * there then.  NULL is fine: nothing is known.  Return 0, -ERR_USAGE (it is) or as store_stat().
 */
int hold_refuse_same(const struct hold *h, struct store *other, struct err *err);
/* Put the end mark and free it.  NULL is fine. */
void hold_end(struct hold *h);

#endif
