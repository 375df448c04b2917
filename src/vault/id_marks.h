/*
 * id_marks: a set of record IDs with their lengths, as one bit for each place of an index; what the
 * index does not know is kept beside, in an id_set.  So a set of millions of known records costs an
 * eighth of a byte each.
 * Threading: as the owner's; the index may grow meanwhile.
 */
#ifndef VAULT_ID_MARKS_H
#define VAULT_ID_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct id_marks;
struct index;

/* ${index} is settled, borrowed until free, and frozen: index_freeze().  Return 0 or -ERR_NOMEM. */
int id_marks_new(struct index *index, struct id_marks **out, struct err *err);
void id_marks_free(struct id_marks *m);

/* Add an ID (${len} > 0); the length kept is the first one.  Return 0 or -ERR_NOMEM. */
int id_marks_add(struct id_marks *m, const uint8_t id[32], uint32_t len, struct err *err);

/* The length of an ID, or 0 when it is not in the set. */
uint32_t id_marks_find(const struct id_marks *m, const uint8_t id[32]);

/* How many IDs the set holds beside the bits. */
size_t id_marks_strays(const struct id_marks *m);

#endif
