#include "agents/uploader.h"

#include <stdlib.h>

#include "agents/sender.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "vault/id_set.h"
#include "vault/snaprec.h"

/*
 *   put_later --> pool (workers) --+
 *   put --> sealed here -----------+--> taken in the order of the calls --> refs, batch --> sender
 *   use ---------------------------+
 *
 * INVARIANTS
 * (1) sent holds every ID that this run took: none is in a batch twice.
 * (2) The reference list and the batches are in the order of the calls, whatever sealing takes.
 */

struct uploader {
	struct sender *sender; /* owned, as all here */
	struct seal_pool *pool;
	struct record_sealer *sealer; /* for put */
	struct record_sink sink;
	struct snaprec_refs *refs;
	struct id_set *sent;
	struct chunk_cache *cache; /* borrowed; NULL = none */
	const uint8_t *list;       /* the reference list, once finished */
	size_t list_len;
	uint64_t sealed_records, known_bytes;
};

static int sink_put(void *self, enum record_type type, enum record_class class, const void *raw,
	size_t len, struct ref *ref, struct err *err);
static int sink_use(void *self, const struct ref *ref, struct err *err);

DEFINE_CLEANUP(struct uploader *, uploader_free)

int uploader_new(const struct uploader_opts *opts, struct uploader **out, struct err *err)
{
	CLEANUP(uploader_free_p) struct uploader *u = calloc(1, sizeof(*u));
	if (u == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	u->sink = (struct record_sink){ .self = u, .put = sink_put, .use = sink_use };
	const struct sender_opts to = {
		.port = opts->port, .is_stopped = opts->is_stopped, .arg = opts->arg
	};
	int rc = sender_new(&to, &u->sender, err);
	if (rc == 0)
		rc = record_sealer_new(1, opts->k_mle, opts->check, &u->sealer, err);
	const struct seal_pool_opts pool = { .k_mle = opts->k_mle,
		.check = opts->check,
		.workers = opts->workers,
		.cache = opts->cache };
	u->cache = opts->cache;
	if (rc == 0)
		rc = seal_pool_new(&pool, &u->pool, err);
	if (rc == 0)
		rc = snaprec_refs_new(&u->refs, err);
	if (rc == 0)
		rc = id_set_new(&u->sent, err);
	if (rc != 0)
		return rc;
	*out = TAKE(u);
	return 0;
}

void uploader_free(struct uploader *u)
{
	if (u == NULL)
		return;
	seal_pool_free(u->pool);
	sender_free(u->sender);
	record_sealer_free(u->sealer);
	snaprec_refs_free(u->refs);
	id_set_free(u->sent);
	free(u);
}

const struct record_sink *uploader_sink(struct uploader *u)
{
	return &u->sink;
}

void uploader_get_stats(const struct uploader *u, struct uploader_stats *out)
{
	out->sealed_records = u->sealed_records;
	out->known_bytes = u->known_bytes;
	sender_get_stats(u->sender, &out->sent);
}

/* One record, or only its reference, in its turn. */
static int accept(struct uploader *u, const struct seal_job *j, struct err *err)
{
	bool is_new = false;
	if (j->rc != 0) {
		if (err != NULL)
			*err = j->err;
		return j->rc;
	}
	int rc = snaprec_refs_add(u->refs, j->ref.id, j->ref.cr_len, err);
	if (j->is_known)
		u->known_bytes += j->raw.len;
	if (rc != 0 || j->is_use)
		return rc;
	u->sealed_records++;
	rc = id_set_add(u->sent, j->ref.id, j->ref.cr_len, &is_new, err);
	if (rc == 0 && is_new)
		rc = sender_add(u->sender, j->ref.id, j->cr.data, j->ref.cr_len, j->type, err);
	if (rc == 0 && is_new && j->has_print)
		(void)chunk_cache_add(
			u->cache, &j->print, &j->ref, NULL); /* its commit tells again */
	return rc;
}

/* Take the oldest that is finished, or wait for it.  Return 1, 0 when there is none, or an error.
 */
static int collect(struct uploader *u, bool is_waiting, struct err *err)
{
	struct seal_job *j = seal_pool_take(u->pool, is_waiting);
	if (j == NULL)
		return 0;
	int rc = accept(u, j, err);
	if (j->fn != NULL)
		j->fn(j->arg, j->index, rc == 0 ? &j->ref : NULL);
	seal_pool_drop(u->pool, j);
	return rc == 0 ? 1 : rc;
}

static int collect_all(struct uploader *u, bool is_waiting, struct err *err)
{
	int rc;
	do
		rc = collect(u, is_waiting, err);
	while (rc == 1);
	return rc;
}

/* Let go what is finished, and wait for more while ${len} bytes do not fit in. */
static int make_room(struct uploader *u, size_t len, struct err *err)
{
	int rc = collect_all(u, false, err);
	while (rc == 0 && seal_pool_is_full(u->pool, len)) {
		rc = collect(u, true, err);
		rc = rc == 1 ? 0 : rc;
	}
	return rc;
}

int uploader_put_later(struct uploader *u, enum record_type type, enum record_class class,
	struct buf *raw, size_t len, seal_pool_fn fn, void *arg, uint64_t index, struct err *err)
{
	struct seal_job *j = NULL;
	int rc = make_room(u, len, err);
	if (rc == 0 && (j = seal_pool_job(u->pool, raw, len)) == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc != 0) {
		if (fn != NULL)
			fn(arg, index, NULL);
		return rc;
	}
	j->type = type;
	j->class = class;
	j->fn = fn;
	j->arg = arg;
	j->index = index;
	seal_pool_add(u->pool, j);
	return 0;
}

int uploader_settle(struct uploader *u, struct err *err)
{
	return collect_all(u, true, err);
}

int uploader_flush(struct uploader *u, struct err *err)
{
	int rc = uploader_settle(u, err);
	return rc != 0 ? rc : sender_wait(u->sender, err);
}

static int sink_put(void *self, enum record_type type, enum record_class class, const void *raw,
	size_t len, struct ref *ref, struct err *err)
{
	struct uploader *u = self;
	int rc = make_room(u, len, err);
	if (rc != 0)
		return rc;
	struct seal_job *j = seal_pool_job(u->pool, NULL, 0);
	if (j == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	j->type = type;
	j->class = class;
	if (u->cache != NULL) /* most of a tree is as it was */
		seal_pool_look(u->cache, j, raw, len);
	if (!j->is_known)
		rc = record_seal(u->sealer, type, class, raw, len, &j->cr, &j->ref, err);
	if (rc != 0) {
		seal_pool_drop(u->pool, j);
		return rc;
	}
	*ref = j->ref;
	seal_pool_add_finished(u->pool, j);
	return collect_all(u, false, err);
}

static int sink_use(void *self, const struct ref *ref, struct err *err)
{
	struct uploader *u = self;
	int rc = make_room(u, 0, err);
	if (rc != 0)
		return rc;
	if (seal_pool_is_empty(u->pool))
		return snaprec_refs_add(u->refs, ref->id, ref->cr_len, err);
	struct seal_job *j = seal_pool_job(u->pool, NULL, 0);
	if (j == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	j->is_use = true;
	j->ref = *ref;
	seal_pool_add_finished(u->pool, j);
	return 0;
}

int uploader_finish(struct uploader *u, const uint8_t **segments, size_t *len, uint64_t *count,
	uint8_t refs_root[32], struct err *err)
{
	int rc = uploader_flush(u, err);
	if (rc == 0)
		rc = snaprec_refs_finish(u->refs, segments, len, count, refs_root, err);
	if (rc != 0)
		return rc;
	u->list = *segments;
	u->list_len = *len;
	return 0;
}

int uploader_keep_cache(struct uploader *u, const uint8_t snap_hash[32], struct err *err)
{
	return u->cache == NULL
		       ? 0
		       : chunk_cache_commit(u->cache, snap_hash, u->list, u->list_len, err);
}
