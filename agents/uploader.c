#include "agents/uploader.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "vault/id_set.h"
#include "vault/snaprec.h"

/*
 * INVARIANTS
 * (1) batch holds count whole records back to back; ids, lens, types describe them in order.  It
 *     never moves: room for one more record is there from the start.
 * (2) sent holds every ID that this run sealed: none is sealed into a batch twice.
 */

/* Enough that a question and an answer cost nothing beside it; more is only memory. */
#define BATCH_FLUSH_BYTES (2u << 20)
#define BATCH_ROOM_BYTES (BATCH_FLUSH_BYTES + RECORD_MAX_WRITE_BYTES)

struct uploader {
	const struct port *port; /* borrowed */
	struct record_sealer *sealer;
	struct record_sink sink;
	struct snaprec_refs *refs;
	struct id_set *sent;
	struct buf batch;
	uint8_t ids[PORT_HAS_IDS][32];
	uint32_t lens[PORT_HAS_IDS];
	enum record_type types[PORT_HAS_IDS];
	size_t count;
	struct uploader_stats stats;
};

static int sink_put(void *self, enum record_type type, enum record_class class, const void *raw,
	size_t len, struct ref *ref, struct err *err);
static int sink_use(void *self, const struct ref *ref, struct err *err);

DEFINE_CLEANUP(struct uploader *, uploader_free)

int uploader_new(const struct port *port, const uint8_t k_mle[32], enum record_check check,
	struct uploader **out, struct err *err)
{
	CLEANUP(uploader_free_p) struct uploader *u = calloc(1, sizeof(*u));
	if (u == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	u->port = port;
	u->sink = (struct record_sink){ .self = u, .put = sink_put, .use = sink_use };
	u->batch = (struct buf)BUF_INIT(BATCH_ROOM_BYTES);
	int rc = buf_reserve(&u->batch, BATCH_ROOM_BYTES, err); /* costs only what is written to */
	if (rc == 0)
		rc = record_sealer_new(1, k_mle, check, &u->sealer, err);
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
	record_sealer_free(u->sealer);
	snaprec_refs_free(u->refs);
	id_set_free(u->sent);
	buf_done(&u->batch);
	free(u);
}

const struct record_sink *uploader_sink(struct uploader *u)
{
	return &u->sink;
}

const struct uploader_stats *uploader_stats(const struct uploader *u)
{
	return &u->stats;
}

/* Close the gaps of what the vault has: what is left is what is sent. */
static void keep_missing(struct uploader *u, const uint8_t *present)
{
	size_t at = 0, kept = 0;
	for (size_t i = 0; i < u->count; at += u->lens[i], i++) {
		if (present[i])
			continue;
		if (kept != at)
			memmove(u->batch.data + kept, u->batch.data + at, u->lens[i]);
		kept += u->lens[i];
		u->stats.sent_records++;
		u->stats.sent_bytes += u->lens[i];
		if (u->types[i] == RECORD_DATA) {
			u->stats.sent_data_records++;
			u->stats.sent_data_bytes += u->lens[i];
		}
	}
	u->batch.len = kept;
}

int uploader_flush(struct uploader *u, struct err *err)
{
	if (u->count == 0)
		return 0;
	uint8_t present[PORT_HAS_IDS];
	int rc = u->port->has(u->port->self, (const uint8_t(*)[32])u->ids, u->count, present, err);
	if (rc != 0)
		return rc;
	keep_missing(u, present);
	if (u->batch.len > 0)
		rc = u->port->put(u->port->self, u->batch.data, u->batch.len, err);
	u->count = 0;
	buf_clear(&u->batch);
	return rc;
}

static int sink_put(void *self, enum record_type type, enum record_class class, const void *raw,
	size_t len, struct ref *ref, struct err *err)
{
	struct uploader *u = self;
	size_t before = u->batch.len;
	struct ref sealed;
	bool is_new = false;
	int rc = record_seal(u->sealer, type, class, raw, len, &u->batch, &sealed, err);
	if (rc == 0)
		rc = id_set_add(u->sent, sealed.id, sealed.cr_len, &is_new, err);
	if (rc == 0)
		rc = snaprec_refs_add(u->refs, sealed.id, sealed.cr_len, err);
	if (rc != 0)
		return rc;
	u->stats.sealed_records++;
	*ref = sealed;
	if (!is_new) {
		u->batch.len = before;
		return 0;
	}
	memcpy(u->ids[u->count], sealed.id, sizeof(sealed.id));
	u->lens[u->count] = sealed.cr_len;
	u->types[u->count] = type;
	u->count++;
	if (u->count == PORT_HAS_IDS || u->batch.len >= BATCH_FLUSH_BYTES)
		return uploader_flush(u, err);
	return 0;
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
