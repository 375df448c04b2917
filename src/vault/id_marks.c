#include "vault/id_marks.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/spill.h"
#include "vault/id_set.h"
#include "vault/index.h"

/*
 * INVARIANTS
 * (1) Bit o says that the ID of place o, the first of its ID, is in the set with the length that
 *     the index gives; an ID with another length, or without a place below ${count}, is a stray.
 * (2) No ID is in the set both ways.
 */

struct id_marks {
	const struct index *index; /* borrowed */
	size_t count;              /* places that keep their ordinals */
	struct spill bits;
	struct id_set *strays; /* owned */
};

int id_marks_new(struct index *index, struct id_marks **out, struct err *err)
{
	struct id_marks *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	m->index = index;
	m->count = index_freeze(index);
	int rc = spill_reserve(&m->bits, m->count / 8 + 1, err);
	if (rc == 0)
		rc = id_set_new(&m->strays, err);
	if (rc != 0) {
		id_marks_free(m);
		return rc;
	}
	*out = m;
	return 0;
}

void id_marks_free(struct id_marks *m)
{
	if (m == NULL)
		return;
	spill_done(&m->bits);
	id_set_free(m->strays);
	free(m);
}

/* The ordinal and the length of an ID that has a bit; false: it has none. */
static bool find_bit(const struct id_marks *m, const uint8_t id[32], size_t *at, uint32_t *len)
{
	struct index_place place;
	const uint8_t *same;
	size_t pack;
	*at = index_ordinal(m->index, id);
	if (*at >= m->count) /* INDEX_NONE, or added since */
		return false;
	index_at(m->index, *at, &place, &same, &pack);
	*len = place.cr_len;
	return true;
}

int id_marks_add(struct id_marks *m, const uint8_t id[32], uint32_t len, struct err *err)
{
	size_t at;
	uint32_t known;
	uint8_t *bits = m->bits.at;
	if (!find_bit(m, id, &at, &known))
		return id_set_add(m->strays, id, len, NULL, err);
	if ((bits[at / 8] & 1 << at % 8) != 0)
		return 0;
	if (known != len)
		return id_set_add(m->strays, id, len, NULL, err);
	if (id_set_find(m->strays, id) == 0)
		bits[at / 8] |= (uint8_t)(1 << at % 8);
	return 0;
}

uint32_t id_marks_find(const struct id_marks *m, const uint8_t id[32])
{
	size_t at;
	uint32_t known;
	const uint8_t *bits = m->bits.at;
	if (find_bit(m, id, &at, &known) && (bits[at / 8] & 1 << at % 8) != 0)
		return known;
	return id_set_find(m->strays, id);
}

size_t id_marks_strays(const struct id_marks *m)
{
	return id_set_count(m->strays);
}
