/*
 * lock_class: which objects of a vault are locked where its store can: all that a restore needs and
 * nothing could make anew (docs/FORMAT.md section 2, "lock").  Pure.
 */
#ifndef VAULT_LOCK_CLASS_H
#define VAULT_LOCK_CLASS_H

#include <stdbool.h>

/* Is an object of this name to be locked? */
bool lock_class_wants(const char *name);

/* Does this version never take an object of this name away: header, slots, config, kept records,
 * later envelopes, texts? */
bool lock_class_is_lasting(const char *name);

#endif
