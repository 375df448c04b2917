#include "vault/session_copy.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "store/store.h"
#include "vault/id_set.h"
#include "vault/session_check.h"
#include "vault/session_internal.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) Of two copies that bring one snapshot at the same time one stays: each looks after its own
 *     object is visible, and the one whose name is greater takes its own away before it tells.
 */

int session_copy_begin(struct session *s, const struct snapshot *snap, struct err *err)
{
	if (s->is_open)
		return err_set(err, ERR_FAILED, "the session is open already");
	if (store_is_read_only(s->vault->store))
		return err_set(err, ERR_READONLY, "the store was opened for reading only");
	s->is_begun = true;
	int rc = vault_check_writable(s->vault, err);
	if (rc == 0)
		rc = session_name(s, snap->record.agent_id, snap->record.source_id, err);
	memcpy(s->mark.base, snap->record.prev, sizeof(s->mark.base));
	if (rc == 0)
		rc = session_put_mark(s, SESSION_MARK_OPEN, err);
	if (rc != 0)
		return rc;
	s->is_open = true;
	rc = session_look_packs(s, err);
	id_set_free(s->puts);
	s->puts = NULL;
	if (rc == 0)
		rc = id_set_new(&s->puts, err);
	s->synced_at = env_mono_ns();
	if (rc != 0)
		session_over(s, false);
	return rc;
}

int session_copy_has(struct session *s, const uint8_t id[32], struct err *err)
{
	if (!s->is_open)
		return err_set(err, ERR_FAILED, "there is no open session");
	int rc = session_beat(s, err);
	if (rc != 0)
		return rc;
	return id_set_find(s->puts, id) > 0 || session_is_stored(s, id);
}

int session_copy_keep(struct session *s, struct err *err)
{
	if (!s->is_open)
		return err_set(err, ERR_FAILED, "there is no open session");
	int rc = session_flush(s, err);
	return rc != 0 ? rc : store_barrier(s->vault->store, err);
}

/* Objects with the receipt time of one snapshot. */
struct twins {
	struct vault *v;
	const uint8_t *record; /* SNAPREC_BYTES */
	const char *own;       /* name of ours; "" = not put yet */
	bool is_there;         /* another one, that stays before ours */
	struct err *err;
};

static int see_twin(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct twins *t = arg;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	if (t->own[0] != '\0' && strcmp(name, t->own) >= 0)
		return 0;
	int rc = vault_get_sealed(t->v, SEALED_SNAPSHOT, name, &body, t->err);
	if (rc == 0 && body.len >= SNAPREC_BYTES &&
		memcmp(body.data, t->record, SNAPREC_BYTES) == 0)
		t->is_there = true;
	if (rc == 0 || !vault_is_object_loss(rc))
		return rc;
	if (t->err != NULL)
		err_clear(t->err); /* damaged, or gone: verify names it */
	return 0;
}

static int look_for_twin(struct session *s, const struct snapshot_body *b, const char *own,
	bool *is_there, struct err *err)
{
	char prefix[32];
	struct twins t = { .v = s->vault, .record = b->record, .own = own, .err = err };
	(void)snprintf(prefix, sizeof(prefix), "sn/%012llx-",
		(unsigned long long)(b->receipt_ns / 1000000)); /* fits */
	int rc = store_list(s->vault->store, prefix, see_twin, &t, err);
	if (rc == 0)
		*is_there = t.is_there;
	return rc;
}

/* Invariant 1. */
static int put_once(
	struct session *s, const struct snapshot_body *b, bool *is_there, struct err *err)
{
	char name[VAULT_NAME_BYTES];
	bool is_twin = false;
	int rc = look_for_twin(s, b, "", &is_twin, err);
	if (rc == 0 && !is_twin) {
		rc = session_put_snapshot(s, b, name, err);
		if (rc == 0)
			rc = look_for_twin(s, b, name, &is_twin, err);
		if (rc == 0 && is_twin)
			rc = store_remove(s->vault->store, name, err);
		if (rc == 0 && is_twin)
			rc = store_barrier(s->vault->store, err);
	}
	*is_there = rc == 0 && is_twin;
	if (*is_there)
		rc = err_set(err, ERR_EXISTS, "another copy brought this snapshot meanwhile");
	return rc;
}

int session_copy_commit(struct session *s, const struct port_commit *c, const struct snapshot *snap,
	bool *is_there, struct err *err)
{
	*is_there = false;
	if (!s->is_open)
		return err_set(err, ERR_FAILED, "there is no open session");
	struct snapshot_body body = { .log_index = snap->body.log_index };
	struct session_check check = { .domain = vault_domain(s->vault),
		.agent_id = s->mark.agent_id,
		.source_id = s->mark.source_id,
		.is_copy = true,
		.puts = s->puts,
		.is_stored = session_find_stored,
		.arg = s };
	int rc = session_check_commit(&check, c, err);
	if (rc == 0)
		rc = session_fill_body(s, c, snap->body.gateway, &body, err);
	body.receipt_ns = snap->body.receipt_ns;
	if (rc == 0)
		rc = session_put_needed(s, c, &body, err);
	if (rc == 0)
		rc = put_once(s, &body, is_there, err);
	if (rc == 0)
		rc = session_look_fence(s, err);
	session_over(s, rc == 0);
	snapshot_body_done(&body);
	return rc;
}
