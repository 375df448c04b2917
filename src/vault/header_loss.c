#include "vault/header_loss.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "store/store.h"
#include "vault/slot.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) Nothing is taken from an object that does not hash to its name.
 * (2) A vault without a header counts as one only when it holds a snapshot: the header is what
 *     init writes last.
 */

#define SLOT_VAULT_AT 8 /* docs/FORMAT.md section 7, HFKV */

bool header_loss_is(int rc)
{
	return rc == -ERR_CORRUPT || rc == -ERR_NOT_FOUND || rc == -ERR_IO;
}

struct id_search {
	struct store *store;
	uint8_t id[16];
	bool is_found, is_ambiguous;
};

static int see_slot(void *arg, const char *name, uint64_t size)
{
	struct id_search *s = arg;
	CLEANUP(buf_done) struct buf slot = BUF_INIT(4096);
	if (size != SLOT_HFKV_BYTES || vault_get_hashed(s->store, name, &slot, NULL) != 0 ||
		slot.len != SLOT_HFKV_BYTES || memcmp(slot.data, "HFKV", 4) != 0)
		return 0;
	const uint8_t *id = slot.data + SLOT_VAULT_AT;
	s->is_ambiguous |= s->is_found && memcmp(s->id, id, sizeof(s->id)) != 0;
	s->is_found = true;
	memcpy(s->id, id, sizeof(s->id));
	return 0;
}

int header_loss_id(struct store *store, uint8_t out[16], struct err *err)
{
	struct id_search s = { .store = store };
	bool has_snapshot = false;
	int rc = store_has_any(store, "sn/", &has_snapshot, err);
	if (rc == 0 && has_snapshot)
		rc = store_list(store, "ks/", see_slot, &s, err);
	if (rc != 0)
		return rc;
	if (!s.is_found || s.is_ambiguous)
		return err_set(err, ERR_NOT_FOUND, "no key slot tells which vault this is");
	memcpy(out, s.id, sizeof(s.id));
	return 0;
}

struct proof {
	struct vault *v;
	bool is_given;
};

static int try_snapshot(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct proof *p = arg;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	p->is_given =
		p->is_given || vault_get_sealed(p->v, SEALED_SNAPSHOT, name, &body, NULL) == 0;
	return 0;
}

int header_loss_prove(struct vault *v, struct err *err)
{
	struct proof p = { .v = v, .is_given = v->domain.epoch != 0 };
	bool has_snapshot = false;
	int rc = store_has_any(v->store, "sn/", &has_snapshot, err);
	if (rc == 0 && has_snapshot && !p.is_given)
		rc = store_list(v->store, "sn/", try_snapshot, &p, err);
	if (rc != 0)
		return rc;
	bool is_begun = v->header.code != ERR_NOT_FOUND || has_snapshot; /* invariant 2 */
	return is_begun && p.is_given
		       ? 0
		       : err_set(err, ERR_NOT_FOUND, "nothing here opens with these keys");
}
