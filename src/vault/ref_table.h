/*
 * ref_table: the refs of one node: first use order, no ID twice (docs/FORMAT.md section 4).
 */
#ifndef VAULT_REF_TABLE_H
#define VAULT_REF_TABLE_H

#include <stddef.h>

#include "vault/ref.h"

struct buf;
struct err;
struct ref_table;

#define REF_TABLE_MAX 4096

int ref_table_new(struct ref_table **out, struct err *err);
void ref_table_free(struct ref_table *t);

size_t ref_table_count(const struct ref_table *t);
/* The ref with index ${i} < count; borrowed until the next change. */
const struct ref *ref_table_at(const struct ref_table *t, size_t i);

/**
 * ref_table_add(t, ref, index, err):
 * Store the index of ${ref} in *${index}; it is appended unless it is there.
 * Return 0, -ERR_LIMIT (the table is full) or -ERR_CORRUPT (the ID is there with another key).
 */
int ref_table_add(struct ref_table *t, const struct ref *ref, size_t *index, struct err *err);

/* Take back all but the first ${count} refs. */
void ref_table_truncate(struct ref_table *t, size_t count);

/* Append count * REF_BYTES.  Return as buf_add(). */
int ref_table_encode(const struct ref_table *t, struct buf *out, struct err *err);

#endif
