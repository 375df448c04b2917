#include "vault/parity_rebuild.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/parity_make.h"

/*
 * INVARIANTS
 * (1) A block counts only when its SHA-256 is the one in the trailer.
 * (2) What comes out hashes to its name: whatever a trailer says, nothing else is handed on.
 */

struct work {
	struct store *store;
	const struct parity_set *set;
	const struct parity_set_object *rows[PARITY_CODE_ROWS]; /* of the group; NULL = not there */
	struct parity group; /* with the hashes of one trailer of it */
	struct buf trailer;
	struct buf trailers[PARITY_CODE_ROWS]; /* with the hashes of each row's own stripes */
	struct parity own[PARITY_CODE_ROWS];
	struct buf block;
};

/* Read a stripe of an object and compare its hash: true when it is good. */
static bool read_block(struct work *w, const char *name, size_t len, size_t stripe,
	const uint8_t *hash, struct buf *out)
{
	uint8_t got[HASH_BYTES];
	size_t want = parity_stripe_bytes(len, stripe);
	buf_clear(out);
	if (store_get_range(
		    w->store, name, (uint64_t)stripe * PARITY_STRIPE_BYTES, want, out, NULL) != 0)
		return false;
	hash_sha256(out->data, out->len, got);
	return memcmp(got, hash, sizeof(got)) == 0;
}

/* Take the good blocks of the stripe away from the sums; note the slots of the others.  Return how
 * many there are, or SIZE_MAX when more than ${rows}. */
static size_t take_known(struct work *w, size_t target, size_t stripe, size_t rows, size_t bytes,
	uint8_t *const *sums, uint8_t lost[PARITY_CODE_ROWS])
{
	const struct parity *g = &w->group;
	size_t count = 1;
	lost[0] = g->at[target].slot;
	for (size_t i = 0; i < g->count; i++) {
		const struct parity_member *m = &g->at[i];
		if (i == target || parity_stripe_bytes(m->len, stripe) == 0)
			continue;
		if (read_block(w, m->name, m->len, stripe, parity_stripe_hash(g, i, stripe),
			    &w->block)) {
			size_t len = w->block.len < bytes ? w->block.len : bytes;
			parity_code_add(PARITY_CODE_ROWS, m->slot, w->block.data, len, sums);
		} else if (count == rows) {
			return SIZE_MAX;
		} else {
			lost[count++] = m->slot;
		}
	}
	return count;
}

/* The target's block of one stripe out of the others. */
static int solve_block(
	struct work *w, size_t target, size_t stripe, struct buf *out, struct err *err)
{
	uint8_t space[PARITY_CODE_ROWS][PARITY_STRIPE_BYTES];
	uint8_t *sums[PARITY_CODE_ROWS] = { space[0], space[1] };
	uint8_t *used[PARITY_CODE_ROWS] = { NULL };
	uint8_t lost[PARITY_CODE_ROWS] = { 0 };
	uint8_t rows[PARITY_CODE_ROWS] = { 0 };
	size_t there = 0;
	memset(space, 0, sizeof(space));
	for (uint8_t r = 0; r < w->group.rows; r++) {
		const struct parity *own = &w->own[r];
		if (w->rows[r] == NULL || own->hashes == NULL ||
			!read_block(w, w->rows[r]->name, own->len, stripe,
				parity_stripe_hash(own, own->count, stripe), &w->block))
			continue;
		memcpy(space[r], w->block.data, w->block.len);
		used[there] = space[r];
		rows[there++] = r;
	}
	size_t count = there == 0 ? SIZE_MAX
				  : take_known(w, target, stripe, there,
					    parity_stripe_bytes(w->group.len, stripe), sums, lost);
	if (count == SIZE_MAX)
		return err_set(err, ERR_CORRUPT,
			"too much of its parity group is damaged at byte %llu",
			(unsigned long long)stripe * PARITY_STRIPE_BYTES);
	size_t bytes = parity_stripe_bytes(w->group.at[target].len, stripe);
	size_t at = out->len;
	int rc = buf_add_zero(out, bytes, err);
	if (rc == 0)
		parity_code_solve(count, lost, rows, used, bytes, 0, out->data + at);
	return rc;
}

static int check_whole(const uint8_t *data, size_t len, const char *name, struct err *err)
{
	uint8_t want[HASH_BYTES];
	uint8_t got[HASH_BYTES];
	hash_sha256(data, len, got);
	if (strlen(name) < 64 || text_unhex(name + strlen(name) - 64, sizeof(want), want) != 0 ||
		memcmp(want, got, sizeof(got)) != 0)
		return err_set(err, ERR_CORRUPT, "what its parity gives is not '%s'", name);
	return 0;
}

/* All objects of the group of ${o} that can be read. */
static int open_group(struct work *w, const struct parity_set_object *o, struct err *err)
{
	int rc = parity_set_trailer(w->store, o->name, o->size, &w->trailer, &w->group, err);
	for (size_t i = 0; rc == 0 && i < w->set->count; i++) {
		const struct parity_set_object *x = &w->set->at[i];
		if (!x->is_readable || memcmp(x->parity.group, w->group.group, 32) != 0)
			continue;
		uint8_t r = x->parity.row;
		struct err why = ERR_INIT;
		if (parity_set_trailer(
			    w->store, x->name, x->size, &w->trailers[r], &w->own[r], &why) == 0)
			w->rows[r] = x;
		else
			w->own[r].hashes = NULL;
	}
	return rc;
}

static int rebuild_member(struct work *w, size_t target, struct buf *out, struct err *err)
{
	const struct parity_member *m = &w->group.at[target];
	size_t before = out->len;
	int rc = 0;
	for (size_t s = 0; rc == 0 && s < parity_stripes(m->len); s++) {
		if (read_block(w, m->name, m->len, s, parity_stripe_hash(&w->group, target, s),
			    &w->block))
			rc = buf_add(out, w->block.data, w->block.len, err);
		else
			rc = solve_block(w, target, s, out, err);
	}
	if (rc == 0)
		rc = check_whole(out->data + before, out->len - before, m->name, err);
	if (rc != 0)
		out->len = before;
	return rc;
}

static void work_done(struct work *w)
{
	buf_done(&w->trailer);
	buf_done(&w->block);
	for (size_t r = 0; r < PARITY_CODE_ROWS; r++)
		buf_done(&w->trailers[r]);
}

/* A parity object: the group's members give it again.  Any trailer of the group will do. */
static int rebuild_parity(struct store *store, const struct parity *group, const char *name,
	struct buf *out, struct err *err)
{
	struct parity_make made;
	int rc = parity_make_run(store, group, &made, err);
	if (rc != 0)
		return rc;
	rc = err_set(err, ERR_NOT_FOUND, "'%s' is of another group", name);
	for (size_t r = 0; r < group->rows; r++) {
		if (strcmp(made.names[r], name) == 0)
			rc = buf_add(out, made.objects[r].data, made.objects[r].len, err);
	}
	parity_make_done(&made);
	return rc;
}

/* Whether a lost parity object is of this group can only be told by making it: its group has a row
 * that is not there. */
static bool may_have_lost(const struct parity_set *set, size_t number, const char *name)
{
	const struct parity *p = &set->at[number].parity;
	if (strcmp(set->at[number].name, name) == 0)
		return true;
	for (size_t i = 0; i < set->count; i++) {
		const struct parity_set_object *o = &set->at[i];
		if (i != number && o->is_readable && memcmp(o->parity.group, p->group, 32) == 0)
			return strcmp(o->name, name) == 0;
	}
	return p->rows > 1;
}

bool parity_rebuild_is_covered(const struct parity_set *set, const char *name)
{
	bool is_parity = strncmp(name, PARITY_PREFIX, strlen(PARITY_PREFIX)) == 0;
	for (size_t i = 0; i < set->count; i++) {
		const struct parity_set_object *o = &set->at[i];
		if (o->is_readable && (is_parity ? may_have_lost(set, i, name)
						 : parity_set_member(&o->parity, name) >= 0))
			return true;
	}
	return false;
}

static int try_object(struct store *store, const struct parity_set *set, size_t number,
	const char *name, struct buf *out, struct err *err)
{
	const struct parity_set_object *o = &set->at[number];
	int member = parity_set_member(&o->parity, name);
	if (member < 0)
		return rebuild_parity(store, &o->parity, name, out, err);
	struct work w = { .store = store,
		.set = set,
		.trailer = BUF_INIT(PARITY_SET_TRAILER_MAX),
		.block = BUF_INIT(PARITY_STRIPE_BYTES) };
	for (size_t r = 0; r < PARITY_CODE_ROWS; r++)
		w.trailers[r].max = PARITY_SET_TRAILER_MAX;
	int rc = open_group(&w, o, err);
	if (rc == 0)
		rc = rebuild_member(&w, (size_t)member, out, err);
	work_done(&w);
	return rc;
}

int parity_rebuild_run(struct store *store, const struct parity_set *set, const char *name,
	struct buf *out, struct err *err)
{
	bool is_parity = strncmp(name, PARITY_PREFIX, strlen(PARITY_PREFIX)) == 0;
	int last = err_set(err, ERR_NOT_FOUND, "no parity covers '%s'", name);
	for (size_t i = 0; i < set->count; i++) {
		const struct parity_set_object *o = &set->at[i];
		if (!o->is_readable || (is_parity ? !may_have_lost(set, i, name)
						  : parity_set_member(&o->parity, name) < 0))
			continue;
		struct err why = ERR_INIT;
		last = try_object(store, set, i, name, out, &why);
		if (last == 0 || last == -ERR_NOMEM) {
			if (err != NULL)
				*err = why;
			return last;
		}
		if (err != NULL)
			*err = why;
	}
	return last;
}
