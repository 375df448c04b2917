/*
 * copy_keys: what a store needs so that a copy of a vault opens: texts, key slots, configs and
 * headers, byte for byte (docs/FORMAT.md section 8, "Copy to another store").  No key is used.
 */
#ifndef VAULT_COPY_KEYS_H
#define VAULT_COPY_KEYS_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct store;

/**
 * copy_keys_carry(from, to, is_init, put, err):
 * Bring to ${to} the ks/, rw/, cf/ and vh/ objects of ${from} that it lacks, durably, the headers
 * last;
 * *${put}: how many.  With ${is_init} a vault is begun where nothing is, or where such a begin
 * broke off; without it the vault must be there.  An object of ${from} that does not hash to its
 * name is not brought. Return 0, -ERR_NOT_FOUND (no vault at ${to}), -ERR_EXISTS (is_init, and
 * other things are there), -ERR_AUTH (${to} is another vault), -ERR_FORK (configs or headers were
 * made at both, apart from each other), -ERR_FAILED (${to} does not show at once what was written)
 * or as the stores.
 */
int copy_keys_carry(
	struct store *from, struct store *to, bool is_init, uint64_t *put, struct err *err);

#endif
