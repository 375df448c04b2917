#include "vault/parity_make.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) Nothing comes out of a group of which one member does not hash to its name.
 */

#define READ_STRIPES 16 /* read at once */
#define OBJECT_MAX_BYTES ((size_t)PARITY_MEMBER_MAX_BYTES + (4u << 20))

DEFINE_CLEANUP(struct hash *, hash_free)

/* The stripe hashes of bytes, one after the other. */
static int add_hashes(const uint8_t *data, size_t len, struct buf *hashes, struct err *err)
{
	int rc = 0;
	for (size_t s = 0; rc == 0 && s < parity_stripes(len); s++) {
		uint8_t hash[HASH_BYTES];
		hash_sha256(data + s * PARITY_STRIPE_BYTES, parity_stripe_bytes(len, s), hash);
		rc = buf_add(hashes, hash, sizeof(hash), err);
	}
	return rc;
}

/* Add one member to the sums while it is read. */
static int add_member(struct store *store, const struct parity *g, size_t number,
	struct parity_make *out, struct buf *hashes, struct err *err)
{
	CLEANUP(buf_done) struct buf piece = BUF_INIT(READ_STRIPES * PARITY_STRIPE_BYTES);
	CLEANUP(hash_free_p) struct hash *whole = hash_new();
	const struct parity_member *m = &g->at[number];
	uint8_t want[HASH_BYTES];
	uint8_t got[HASH_BYTES];
	uint64_t size = 0;
	if (whole == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = store_stat(store, m->name, &size, err);
	if (rc == 0 && size != m->len)
		rc = err_set(err, ERR_CORRUPT, "object '%s' has %llu bytes instead of %u", m->name,
			(unsigned long long)size, m->len);
	for (size_t at = 0; rc == 0 && at < m->len; at += piece.len) {
		size_t len = m->len - at < piece.max ? m->len - at : piece.max;
		uint8_t *sums[PARITY_CODE_ROWS] = { NULL };
		buf_clear(&piece);
		rc = store_get_range(store, m->name, at, len, &piece, err);
		if (rc != 0)
			break;
		for (size_t r = 0; r < g->rows; r++)
			sums[r] = out->objects[r].data + at;
		parity_code_add(g->rows, m->slot, piece.data, piece.len, sums);
		hash_add(whole, piece.data, piece.len);
		rc = add_hashes(piece.data, piece.len, hashes, err);
	}
	if (rc != 0)
		return rc;
	hash_end(whole, got);
	if (!parity_is_member(m->name, want, NULL) || memcmp(want, got, sizeof(got)) != 0)
		return err_set(err, ERR_CORRUPT, "object '%s' does not hash to its name", m->name);
	return 0;
}

/* The object of one row: its sums are there, the hashes of the members too. */
static int end_row(struct parity *g, struct parity_make *out, struct buf *hashes, struct err *err)
{
	struct buf *object = &out->objects[g->row];
	size_t before = hashes->len;
	uint8_t hash[HASH_BYTES];
	int rc = add_hashes(object->data, object->len, hashes, err);
	if (rc == 0) {
		g->hashes = hashes->data;
		rc = parity_encode(g, object, err);
	}
	hashes->len = before;
	if (rc != 0)
		return rc;
	hash_sha256(object->data, object->len, hash);
	parity_name(hash, out->names[g->row]);
	return 0;
}

int parity_make_run(
	struct store *store, const struct parity *group, struct parity_make *out, struct err *err)
{
	struct parity g = *group;
	struct parity_make made = { .bad = 0 };
	CLEANUP(buf_done) struct buf hashes = BUF_INIT(4u << 20);
	int rc = 0;
	parity_settle(&g);
	for (size_t r = 0; r < PARITY_CODE_ROWS; r++) {
		made.objects[r].max = OBJECT_MAX_BYTES;
		if (rc == 0 && r < g.rows)
			rc = buf_add_zero(&made.objects[r], g.len, err);
	}
	out->bad = g.count;
	for (size_t i = 0; rc == 0 && i < g.count; i++) {
		rc = add_member(store, &g, i, &made, &hashes, err);
		if (vault_is_object_loss(rc))
			out->bad = i;
	}
	for (g.row = 0; rc == 0 && g.row < g.rows; g.row++)
		rc = end_row(&g, &made, &hashes, err);
	if (rc == 0)
		*out = made;
	else
		parity_make_done(&made);
	return rc;
}

void parity_make_done(struct parity_make *m)
{
	for (size_t r = 0; r < PARITY_CODE_ROWS; r++)
		buf_done(&m->objects[r]);
}
