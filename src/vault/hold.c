#include "vault/hold.h"

#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "store/store.h"
#include "vault/session_mark.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) A mark that cannot be put ends no reader: then the grace of collection is what protects it.
 */

#define BEAT_NS (INT64_C(600) * 1000000000)

struct hold {
	struct vault *vault; /* borrowed */
	struct store *store; /* owned */
	struct session_mark mark;
	int64_t marked_at;
};

static int put(struct hold *h, enum session_mark_state state, struct err *err)
{
	h->marked_at = env_mono_ns();
	return session_mark_put(&h->mark, state, &h->vault->key, h->store, err);
}

int hold_begin(struct vault *v, struct store *take_store, const uint8_t snap_hash[32],
	struct hold **out, struct err *err)
{
	struct hold *h = calloc(1, sizeof(*h));
	if (h == NULL) {
		store_free(take_store);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	h->vault = v;
	h->store = take_store;
	if (snap_hash != NULL)
		memcpy(h->mark.base, snap_hash, sizeof(h->mark.base));
	int rc = vault_check_writable(v, err);
	if (rc == 0)
		rc = env_random(h->mark.session, sizeof(h->mark.session), err);
	if (rc == 0)
		rc = put(h, SESSION_MARK_OPEN, err);
	if (rc == 0) {
		*out = h;
		return 0;
	}
	store_free(h->store);
	free(h);
	return rc;
}

void hold_beat(struct hold *h)
{
	struct err why = ERR_INIT;
	if (h == NULL || env_mono_ns() - h->marked_at < BEAT_NS)
		return;
	if (put(h, SESSION_MARK_HEARTBEAT, &why) != 0)
		log_debug("hold.beat", "error=%s, continuing", why.msg);
}

int hold_refuse_same(const struct hold *h, struct store *other, struct err *err)
{
	char name[SESSION_MARK_NAME_BYTES];
	struct err why = ERR_INIT;
	uint64_t size = 0;
	if (h == NULL)
		return 0;
	session_mark_name(h->mark.session, 0, name);
	int rc = store_stat(other, name, &size, &why);
	if (rc == -ERR_NOT_FOUND)
		return 0;
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	(void)err_set(err, ERR_USAGE, "that place is the vault itself, by another name");
	return err_hint(err, "a copy lies elsewhere: on another disk, or in another bucket");
}

void hold_end(struct hold *h)
{
	struct err why = ERR_INIT;
	if (h == NULL)
		return;
	if (put(h, SESSION_MARK_END, &why) != 0)
		log_debug("hold.end", "error=%s, continuing", why.msg);
	store_free(h->store);
	free(h);
}
