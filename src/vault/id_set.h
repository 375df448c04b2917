/*
 * id_set: record IDs with their lengths, in memory (a large set in a file without a name, see
 * base/spill): open addressing on the ID's own bytes, which are a hash already.
 */
#ifndef VAULT_ID_SET_H
#define VAULT_ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct id_set;

int id_set_new(struct id_set **out, struct err *err);
void id_set_free(struct id_set *s);

/* Add an ID (${len} > 0).  *${is_new} (may be NULL) tells whether it was not there yet; the length
 * kept is the first one.  Return 0 or -ERR_NOMEM. */
int id_set_add(struct id_set *s, const uint8_t id[32], uint32_t len, bool *is_new, struct err *err);

/* The length of an ID, or 0 when it is not in the set. */
uint32_t id_set_find(const struct id_set *s, const uint8_t id[32]);

size_t id_set_count(const struct id_set *s);

#endif
