#include "vault/lock_lean.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "store/store.h"
#include "vault/id_set.h"
#include "vault/lock_keep.h"

int lock_lean_add(
	struct lock_lean *l, const struct store *s, const uint8_t pack[32], struct err *err)
{
	struct store_lock lock;
	bool is_new = false;
	store_locks_by(s, &lock);
	if (lock.mode == STORE_LOCK_NONE)
		return 0;
	int rc = l->set == NULL ? id_set_new(&l->set, err) : 0;
	if (rc == 0)
		rc = id_set_add(l->set, pack, 1, &is_new, err);
	if (rc != 0 || !is_new)
		return rc;
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
		uint8_t(*grown)[32] = reallocarray(l->packs, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		l->packs = grown;
		l->cap = cap;
	}
	memcpy(l->packs[l->count++], pack, sizeof(l->packs[0]));
	return 0;
}

void lock_lean_keep(struct lock_lean *l, struct store *s)
{
	struct err why = ERR_INIT;
	if (lock_keep_packs(s, (const uint8_t(*)[32])l->packs, l->count, &why) != 0)
		log_warn("lock_lean.keep", "%s, continuing", why.msg);
	l->count = 0;
}

void lock_lean_done(struct lock_lean *l)
{
	id_set_free(l->set);
	free(l->packs);
	memset(l, 0, sizeof(*l));
}
