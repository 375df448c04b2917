#include "agents/uploader.h"

#include <stdlib.h>

#include "agents/sender.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "vault/id_set.h"
#include "vault/snaprec.h"

/*
 * INVARIANTS
 * (1) sent holds every ID that this run sealed: none is sealed into a batch twice.
 */

struct uploader {
	struct sender *sender; /* owned */
	struct record_sealer *sealer;
	struct record_sink sink;
	struct snaprec_refs *refs;
	struct id_set *sent;
	uint64_t sealed_records;
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
	sender_get_stats(u->sender, &out->sent);
}

int uploader_flush(struct uploader *u, struct err *err)
{
	return sender_wait(u->sender, err);
}

static int sink_put(void *self, enum record_type type, enum record_class class, const void *raw,
	size_t len, struct ref *ref, struct err *err)
{
	struct uploader *u = self;
	struct buf *room = sender_room(u->sender);
	size_t before = room->len;
	struct ref sealed;
	bool is_new = false;
	int rc = record_seal(u->sealer, type, class, raw, len, room, &sealed, err);
	if (rc == 0)
		rc = id_set_add(u->sent, sealed.id, sealed.cr_len, &is_new, err);
	if (rc == 0)
		rc = snaprec_refs_add(u->refs, sealed.id, sealed.cr_len, err);
	if (rc != 0)
		return rc;
	u->sealed_records++;
	*ref = sealed;
	if (!is_new) {
		room->len = before;
		return 0;
	}
	return sender_add(u->sender, sealed.id, sealed.cr_len, type, err);
}

static int sink_use(void *self, const struct ref *ref, struct err *err)
{
	struct uploader *u = self;
	return snaprec_refs_add(u->refs, ref->id, ref->cr_len, err);
}

int uploader_finish(struct uploader *u, const uint8_t **segments, size_t *len, uint64_t *count,
	uint8_t refs_root[32], struct err *err)
{
	int rc = uploader_flush(u, err);
	return rc != 0 ? rc : snaprec_refs_finish(u->refs, segments, len, count, refs_root, err);
}
