#include "vault/ref_table.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) slots holds index + 1 of every ref, 0 = free; linear probing from the ID's first bytes.
 * (2) Refs leave in the reverse of the order in which they came, so that no probe sequence of a
 *     ref that stays runs over a slot set free.
 * (3) At most half of the slots are taken: every probe ends.
 */
#define SLOTS (2 * REF_TABLE_MAX)

struct ref_table {
	size_t count;
	struct ref refs[REF_TABLE_MAX];
	uint16_t slots[SLOTS];
};

int ref_table_new(struct ref_table **out, struct err *err)
{
	struct ref_table *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = t;
	return 0;
}

void ref_table_free(struct ref_table *t)
{
	if (t != NULL)
		explicit_bzero(t->refs, t->count * sizeof(t->refs[0]));
	free(t);
}

size_t ref_table_count(const struct ref_table *t)
{
	return t->count;
}

const struct ref *ref_table_at(const struct ref_table *t, size_t i)
{
	assert(i < t->count);
	return &t->refs[i];
}

/* The slot that holds ${id}, or the free one where it belongs. */
static size_t find_slot(const struct ref_table *t, const uint8_t *id)
{
	size_t slot = bytes_get32(id) % SLOTS;
	while (t->slots[slot] != 0 && memcmp(t->refs[t->slots[slot] - 1].id, id, REF_ID_BYTES) != 0)
		slot = (slot + 1) % SLOTS;
	return slot;
}

int ref_table_add(struct ref_table *t, const struct ref *ref, size_t *index, struct err *err)
{
	size_t slot = find_slot(t, ref->id);

	if (t->slots[slot] != 0) {
		const struct ref *there = &t->refs[t->slots[slot] - 1];
		if (memcmp(there->key, ref->key, sizeof(ref->key)) != 0 ||
			there->raw_len != ref->raw_len || there->cr_len != ref->cr_len)
			return err_set(err, ERR_CORRUPT, "two refs differ for one record");
		*index = t->slots[slot] - 1u;
		return 0;
	}
	if (t->count == REF_TABLE_MAX)
		return err_set(err, ERR_LIMIT, "a node holds at most %d refs", REF_TABLE_MAX);
	t->refs[t->count] = *ref;
	*index = t->count++;
	t->slots[slot] = (uint16_t)t->count;
	return 0;
}

void ref_table_truncate(struct ref_table *t, size_t count)
{
	while (t->count > count) {
		t->slots[find_slot(t, t->refs[t->count - 1].id)] = 0;
		t->count--;
	}
}

int ref_table_encode(const struct ref_table *t, struct buf *out, struct err *err)
{
	int rc = buf_reserve(out, t->count * REF_BYTES, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < t->count; i++, out->len += REF_BYTES)
		ref_encode(&t->refs[i], out->data + out->len);
	return 0;
}
