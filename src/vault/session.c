#include "vault/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/hash_lanes.h"
#include "store/store.h"
#include "vault/collect_view.h"
#include "vault/fetch.h"
#include "vault/id_marks.h"
#include "vault/id_set.h"
#include "vault/index_merge.h"
#include "vault/pack.h"
#include "vault/pack_out.h"
#include "vault/record.h"
#include "vault/session_base.h"
#include "vault/session_check.h"
#include "vault/session_internal.h"
#include "vault/session_mark.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"

/*
 * The order of writing (docs/FORMAT.md section 8):
 *   mark | look at collection | packs, index segments | reference lists | envelopes | BARRIER |
 * snapshot | BARRIER | look for a fence | end mark
 *
 * INVARIANTS
 * (1) is_open from a begin that succeeded until commit, abort or a failure of put.
 * (2) puts holds every record of this session; each lies in a pack written or in an open pack.
 * (3) The snapshot object is put only after a barrier over everything it needs.
 * (4) What collection has condemned counts as absent (there does not hold it): the lists are read
 *     after our own mark is visible, and before the packs are listed.
 * (5) The index alone proves nothing: a crash inside a barrier may leave an index segment without
 *     its packs.  A record counts as stored only in a pack that the store lists in full length
 *     and that is not known to be damaged.
 * (6) When a pack is written depends on what was put, not on what of it was new: else a sender who
 *     fills a pack up to its brink would learn from the time of the next put whether another agent
 *     holds that record.
 */

#define BARRIER_BYTES (1u << 30)
#define BARRIER_NS (INT64_C(30) * 1000000000)
#define HEARTBEAT_NS (INT64_C(600) * 1000000000)
#define SEGMENT_FLUSH_ENTRIES INDEX_MERGE_SMALL_ENTRIES /* what needs no merging */
#define KEEP_BYTES ((size_t)4 << 20)  /* an abort leaves no packs smaller than this behind */
#define RF_MAX_BODY_BYTES (16u << 20) /* what sealing takes is several times that */

DEFINE_CLEANUP(struct session *, session_free)

static int port_begin(void *self, const uint8_t agent_id[16], const uint8_t source_id[16],
	struct port_base *base, struct err *err);
static int port_has(
	void *self, const uint8_t (*ids)[32], size_t count, uint8_t *present, struct err *err);
static int port_put(void *self, const uint8_t *batch, size_t len, struct err *err);
static int port_commit_snapshot(void *self, const struct port_commit *commit,
	struct port_receipt *receipt, struct err *err);
static void port_abort(void *self);

int session_new(
	struct vault *vault, const struct session_opts *opts, struct session **out, struct err *err)
{
	CLEANUP(session_free_p) struct session *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->vault = vault;
	if (opts != NULL)
		s->opts = *opts;
	s->port = (struct port){ .self = s,
		.begin = port_begin,
		.has = port_has,
		.put = port_put,
		.commit = port_commit_snapshot,
		.abort = port_abort };
	int rc = fetch_new(vault, &s->fetch, err);
	for (int i = 0; rc == 0 && i < 2; i++)
		rc = pack_new(vault->store, (enum pack_class)i, &s->packs[i], err);
	if (rc != 0)
		return rc;
	*out = TAKE(s);
	return 0;
}

void session_free(struct session *s)
{
	if (s == NULL)
		return;
	port_abort(s);
	session_base_forget(&s->sight);
	collect_view_done(&s->lists);
	id_marks_free(s->own);
	id_set_free(s->puts);
	id_set_free(s->there);
	id_set_free(s->unproven);
	pack_free(s->packs[0]);
	pack_free(s->packs[1]);
	fetch_free(s->fetch);
	free(s);
}

void session_set_gateway(struct session *s, const uint8_t gateway[16])
{
	memcpy(s->gateway, gateway, sizeof(s->gateway));
}

const struct port *session_port(struct session *s)
{
	return &s->port;
}

const struct session_stats *session_stats(const struct session *s)
{
	return &s->stats;
}

/* Store a mark of this session and make it visible. */
int session_put_mark(struct session *s, enum session_mark_state state, struct err *err)
{
	s->marked_at = env_mono_ns();
	return session_mark_put(&s->mark, state, &s->vault->key, s->vault->store, err);
}

/* A sign of life, when the last one is old: without one for a day the session is fenced. */
int session_beat(struct session *s, struct err *err)
{
	if (env_mono_ns() - s->marked_at < HEARTBEAT_NS)
		return 0;
	return session_put_mark(s, SESSION_MARK_HEARTBEAT, err);
}

static void bad_list(void *arg, const char *object, const struct err *why)
{
	(void)arg;
	log_debug("session.collection", "object=%s error=%s, continuing", object, why->msg);
}

/* Section 8 step 10.  A list that came meanwhile and cannot be read may be the fence. */
int session_look_fence(struct session *s, struct err *err)
{
	uint64_t before = s->lists.unreadable;
	int rc = collect_view_look(s->vault, &s->lists, bad_list, NULL, err);
	if (rc != 0)
		return rc;
	if (!collect_view_is_fenced(&s->lists, s->mark.session) && s->lists.unreadable == before)
		return 0;
	err_set(err, ERR_BUSY,
		"this backup gave no sign of life for so long that collection went on without it");
	return err_hint(err, "run the backup again: what it stored may be deleted already");
}

/* A pack that no index segment lists: of a session that broke off, or has not come so far. */
struct unlisted {
	uint8_t hash[HASH_BYTES];
	uint32_t size;
};

struct packs_listing {
	struct session *s;
	struct unlisted *at; /* owned */
	size_t count, cap;
	struct err *err;
};

static int note_unlisted(struct packs_listing *l, const uint8_t hash[32], uint32_t size)
{
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 64 : l->cap * 2;
		struct unlisted *grown = reallocarray(l->at, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(l->err, ERR_NOMEM, "out of memory");
		l->at = grown;
		l->cap = cap;
	}
	memcpy(l->at[l->count].hash, hash, HASH_BYTES);
	l->at[l->count++].size = size;
	return 0;
}

static int note_pack(void *arg, const char *name, uint64_t size)
{
	struct packs_listing *l = arg;
	uint8_t hash[HASH_BYTES];
	size_t len = strlen(name);
	if (size == 0 || size > PACK_MAX_BYTES || len < 64 ||
		text_unhex(name + len - 64, sizeof(hash), hash) != 0)
		return 0; /* no pack of this format */
	if (l->s->opts.bad_packs != NULL && id_set_find(l->s->opts.bad_packs, hash) > 0)
		return 0; /* it is there, and as good as not */
	if (l->s->unproven != NULL && id_set_find(l->s->unproven, hash) > 0)
		return 0; /* it was read, and is not read again for the next snapshot */
	if (collect_view_is_absent(&l->s->lists, false, hash))
		return 0; /* collection may delete it under our eyes */
	const bool is_listed = index_has_pack(l->s->index, hash);
	int rc = 0;
	if (is_listed || !l->s->opts.is_proven) /* else when it was read */
		rc = id_set_add(l->s->there, hash, (uint32_t)size, NULL, l->err);
	if (rc == 0 && !is_listed)
		rc = note_unlisted(l, hash, (uint32_t)size);
	return rc;
}

/* Write the index entries of the packs that no segment lists yet. */
static int flush_index(struct session *s, struct err *err)
{
	if (index_pack_count(s->index) == s->first_pack)
		return 0;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char name[VAULT_NAME_BYTES];
	int rc = s->opts.is_proven ? store_barrier(s->vault->store, err) : 0;
	if (rc == 0)
		rc = index_encode(s->index, s->first_pack, &body, err);
	if (rc == 0)
		rc = vault_put_sealed(s->vault->store, &s->vault->key, SEALED_INDEX, "ix/",
			body.data, body.len, name, NULL, err);
	if (rc != 0)
		return rc;
	s->unsynced_bytes += body.len;
	s->first_pack = index_pack_count(s->index);
	s->segment_entries = 0;
	return 0;
}

/* Is the pack what its name says?  1, 0 or an error of the store. */
static int prove_pack(struct session *s, const uint8_t hash[32], struct err *err)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(PACK_MAX_BYTES);
	char name[FETCH_PACK_NAME_BYTES];
	struct err why = ERR_INIT;
	fetch_pack_name(hash, name);
	int rc = vault_get_hashed_anew(s->vault->store, name, &object, &why);
	if (rc == 0)
		return 1;
	if (vault_is_object_loss(rc)) {
		log_warn("session.prove", "%s: it does not count, continuing", why.msg);
		if (s->unproven == NULL && (rc = id_set_new(&s->unproven, err)) != 0)
			return rc;
		return id_set_add(s->unproven, hash, 1, NULL, err);
	}
	if (err != NULL)
		*err = why;
	return rc;
}

/* Learn one that no segment lists; *${records}: what it holds that counts. */
static int learn_pack(
	struct session *s, const struct unlisted *pack, size_t *records, struct err *err)
{
	int good = s->opts.is_proven ? prove_pack(s, pack->hash, err) : 1;
	*records = 0;
	if (good <= 0)
		return good;
	int rc = s->opts.is_proven ? id_set_add(s->there, pack->hash, pack->size, NULL, err) : 0;
	return rc != 0 ? rc : fetch_learn_pack(s->fetch, pack->hash, pack->size, records, err);
}

/* What a session that broke off has stored is not stored twice; this one lists its packs. */
static int learn_packs(
	struct session *s, const struct unlisted *packs, size_t count, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		size_t records = 0;
		rc = learn_pack(s, &packs[i], &records, err);
		s->segment_entries += records;
		if (rc != 0 || (s->segment_entries < SEGMENT_FLUSH_ENTRIES && i + 1 < count))
			continue;
		rc = index_settle(s->index, err);
		if (rc == 0 && s->segment_entries >= SEGMENT_FLUSH_ENTRIES)
			rc = flush_index(s, err);
	}
	return rc;
}

static int list_packs(struct session *s, struct err *err)
{
	id_set_free(s->there);
	s->there = NULL;
	int rc = id_set_new(&s->there, err);
	struct packs_listing l = { .s = s, .err = err };
	if (rc != 0 || s->lists.unreadable > 0) /* what those condemn nobody knows: any pack */
		return rc;
	rc = store_list(s->vault->store, "pk/", note_pack, &l, err);
	if (rc == 0)
		rc = learn_packs(s, l.at, l.count, err);
	free(l.at);
	return rc;
}

/* Invariant 4. */
int session_look_packs(struct session *s, struct err *err)
{
	bool is_first = s->index == NULL;
	int rc = collect_view_look(s->vault, &s->lists, bad_list, NULL, err);
	if (rc == 0)
		rc = fetch_index(s->fetch, &s->index, err);
	if (rc != 0)
		return rc;
	if (is_first)
		s->first_pack = index_pack_count(s->index);
	return list_packs(s, err);
}

/* Invariant 5.  Records that wait in an open pack are in puts, not here. */
bool session_is_stored(const struct session *s, const uint8_t id[32])
{
	struct index_place place;
	for (size_t nth = 0; index_find(s->index, id, nth, &place); nth++) {
		if (id_set_find(s->there, place.pack) == place.pack_len)
			return true;
	}
	return false;
}

/* For session_check: 1 if the record is stored, else 0.  A damaged index segment must not make an
 * unchanged file's records look lost: before a no, the packs that no segment lists are asked. */
int session_find_stored(void *arg, const uint8_t id[32], struct err *err)
{
	struct session *s = arg;
	if (session_is_stored(s, id))
		return 1;
	int rc = flush_index(s, err); /* what is learned from footers is no news of this session */
	if (rc == 0)
		rc = fetch_footers(s->fetch, err);
	if (rc != 0)
		return rc;
	s->first_pack = index_pack_count(s->index);
	return session_is_stored(s, id);
}

static int add_own(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct session *s = arg;
	return id_marks_add(s->own, id, cr_len, err);
}

static int add_base(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct session *s = arg;
	int rc = s->is_whole ? session_find_stored(s, id, err) : 0;
	if (rc < 0)
		return rc;
	if (s->is_whole && rc == 0)
		log_debug("session.base", "a record of the base is in no pack that counts");
	s->is_whole = rc > 0;
	return add_own(arg, id, cr_len, err);
}

/* The agent's own references: never "exists in the vault", that would be a guessing oracle.  A list
 * that cannot be read costs sending its records again. */
static int load_own(struct session *s, struct err *err)
{
	const struct snapshot_list *l = &s->sight.list;
	int rc = id_marks_new(s->index, &s->own, err);
	s->is_whole = s->base.snapshot != NULL;
	for (size_t i = 0; rc == 0 && i < l->count; i++) {
		struct err why = ERR_INIT;
		if (l->at[i].fate != SNAPSHOT_LIVE ||
			memcmp(l->at[i].record.agent_id, s->mark.agent_id, 16) != 0)
			continue;
		bool is_base = &l->at[i] == s->base.snapshot;
		rc = snapshot_refs(s->vault, &l->at[i], is_base ? add_base : add_own, s, &why);
		if (vault_is_object_loss(rc)) {
			log_debug("session.own", "snapshot=%s error=%s, continuing",
				l->at[i].object, why.msg);
			s->is_whole = s->is_whole && !is_base;
			rc = 0;
		} else if (rc != 0 && err != NULL) {
			*err = why;
		}
	}
	return rc;
}

/* What the session builds on, and the mark that tells everybody. */
static int begin_on_base(struct session *s, struct err *err)
{
	const uint8_t *agent_id = s->mark.agent_id;
	const uint8_t *source_id = s->mark.source_id;
	int rc = session_base_look(s->vault, &s->sight, err);
	if (rc == 0)
		rc = session_base_find(
			s->vault, &s->sight, agent_id, source_id, &s->opts.memory, &s->base, err);
	if (rc == 0)
		memcpy(s->mark.base, s->base.hash, sizeof(s->mark.base));
	return rc != 0 ? rc : session_put_mark(s, SESSION_MARK_OPEN, err);
}

int session_name(
	struct session *s, const uint8_t agent_id[16], const uint8_t source_id[16], struct err *err)
{
	memset(&s->mark, 0, sizeof(s->mark));
	memcpy(s->mark.agent_id, agent_id, 16);
	memcpy(s->mark.source_id, source_id, 16);
	return env_random(s->mark.session, sizeof(s->mark.session), err);
}

static int port_begin(void *self, const uint8_t agent_id[16], const uint8_t source_id[16],
	struct port_base *base, struct err *err)
{
	struct session *s = self;
	if (s->is_begun) /* what it knows belongs to one agent and one source */
		return err_set(err, ERR_FAILED, "a session begins once");
	s->is_begun = true;
	if (store_is_read_only(s->vault->store))
		return err_set(err, ERR_READONLY, "the store was opened for reading only");
	int rc = vault_check_writable(s->vault, err);
	if (rc != 0)
		return rc;
	rc = session_name(s, agent_id, source_id, err);
	if (rc == 0)
		rc = begin_on_base(s, err);
	if (rc == 0)
		rc = session_look_packs(s, err);
	if (rc != 0)
		return rc;
	rc = load_own(s, err);
	if (rc == 0)
		rc = id_set_new(&s->puts, err);
	if (rc != 0)
		return rc;
	s->synced_at = env_mono_ns();
	s->is_open = true;
	base->is_there = s->base.is_there;
	base->is_whole = s->is_whole;
	base->seq = s->base.seq;
	memcpy(base->hash, s->base.hash, sizeof(base->hash));
	return 0;
}

/* Is it stored, and did the agent have it before?  1, 0 or -ERR_NOMEM. */
static int find_own(struct session *s, const uint8_t id[32], struct err *err)
{
	uint32_t known = s->opts.known == NULL ? 0 : id_set_find(s->opts.known, id);
	if ((known == 0 && id_marks_find(s->own, id) == 0) || !session_is_stored(s, id))
		return 0;
	/* what an earlier session put is as good as put by this one: it lies in a pack that counts
	 */
	int rc = known > 0 ? id_set_add(s->puts, id, known, NULL, err) : 0;
	return rc != 0 ? rc : 1;
}

static int port_has(
	void *self, const uint8_t (*ids)[32], size_t count, uint8_t *present, struct err *err)
{
	struct session *s = self;
	if (!s->is_open)
		return err_set(err, ERR_FAILED, "there is no open session");
	if (count > PORT_HAS_IDS)
		return err_set(err, ERR_LIMIT, "more than %d IDs asked at once", PORT_HAS_IDS);
	int rc = session_beat(s, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = id_set_find(s->puts, ids[i]) > 0 ? 1 : find_own(s, ids[i], err);
		if (rc >= 0) {
			present[i] = (uint8_t)rc;
			rc = 0;
		}
	}
	if (rc != 0)
		session_over(s, false); /* a beat's barrier was over what was put before, too */
	return rc;
}

static int flush_pack(struct session *s, enum pack_class class, struct err *err)
{
	struct pack_made made;
	int rc = pack_out_put(s->packs[class], &s->vault->key, s->index, &made, err);
	if (rc == 0 && made.count > 0)
		rc = id_set_add(s->there, made.hash, made.len, NULL, err);
	if (rc != 0 || made.count == 0)
		return rc;
	s->stats.packs++;
	s->segment_entries += made.count;
	s->unsynced_bytes += made.len;
	if (s->segment_entries >= SEGMENT_FLUSH_ENTRIES)
		rc = flush_index(s, err);
	if (rc == 0 && (s->unsynced_bytes >= BARRIER_BYTES ||
			       env_mono_ns() - s->synced_at >= BARRIER_NS)) {
		rc = store_barrier(s->vault->store, err);
		s->unsynced_bytes = 0;
		s->synced_at = env_mono_ns();
	}
	return rc;
}

/* Take one whole record into a pack, unless the vault has it already. */
static int take_record(struct session *s, const uint8_t id[HASH_BYTES], const uint8_t *cr,
	uint32_t cr_len, int type, struct err *err)
{
	bool is_new = false;
	int rc = id_set_add(s->puts, id, cr_len, &is_new, err);
	if (rc == 0 && is_new && s->opts.known != NULL)
		rc = id_set_add(s->opts.known, id, cr_len, NULL, err);
	if (rc != 0 || !is_new)
		return rc;
	enum pack_class class = type == RECORD_DATA ? PACK_DATA : PACK_METADATA;
	if (s->asked[class].bytes + cr_len > PACK_TARGET_BYTES ||
		s->asked[class].count >= PACK_MAX_RECORDS) { /* invariant 6 */
		rc = flush_pack(s, class, err);
		if (rc != 0)
			return rc;
		s->asked[class].bytes = 0;
		s->asked[class].count = 0;
	}
	s->asked[class].bytes += cr_len;
	s->asked[class].count++;
	if (session_is_stored(s, id))
		return 0;
	rc = pack_add(s->packs[class], id, cr, cr_len, err);
	if (rc != 0)
		return rc;
	s->stats.records++;
	s->stats.data_records += class == PACK_DATA;
	if (class == PACK_DATA)
		s->stats.data_bytes += cr_len;
	else
		s->stats.metadata_bytes += cr_len;
	return 0;
}

/* As many of the batch's first records as are hashed side by side; *${taken} tells their bytes. */
static int take_some(
	struct session *s, const uint8_t *batch, size_t len, size_t *taken, struct err *err)
{
	struct hash_part parts[HASH_LANES_MAX];
	struct hash_lanes_item items[HASH_LANES_MAX];
	int types[HASH_LANES_MAX];
	size_t count = 0, at = 0;
	for (; count < HASH_LANES_MAX && at < len; count++) {
		uint32_t cr_len = 0;
		int suite;
		int rc = record_peek(batch + at, len - at, &cr_len, &suite, &types[count], err);
		if (rc == 0 && cr_len > len - at)
			rc = err_set(err, ERR_CORRUPT, "a record is cut short in its batch");
		if (rc != 0)
			return rc;
		parts[count] = (struct hash_part){ batch + at, cr_len };
		items[count] = (struct hash_lanes_item){ .parts = &parts[count], .count = 1 };
		at += cr_len;
	}
	hash_lanes_run(items, count);
	for (size_t i = 0; i < count; i++) {
		int rc = take_record(
			s, items[i].out, parts[i].data, (uint32_t)parts[i].len, types[i], err);
		if (rc != 0)
			return rc;
	}
	*taken = at;
	return 0;
}

static int port_put(void *self, const uint8_t *batch, size_t len, struct err *err)
{
	struct session *s = self;
	if (!s->is_open)
		return err_set(err, ERR_FAILED, "there is no open session");
	if (len > PORT_MAX_BATCH_BYTES)
		return err_set(err, ERR_LIMIT, "a batch of %zu bytes is longer than %u", len,
			PORT_MAX_BATCH_BYTES);
	int rc = session_beat(s, err);
	while (rc == 0 && len > 0) {
		size_t taken = 0;
		rc = take_some(s, batch, len, &taken, err);
		batch += taken;
		len -= taken;
	}
	if (rc != 0)
		session_over(s, false);
	return rc;
}

/* Seal reference segments into as few rf objects as fit, and fill the snapshot's segment list. */
struct rf_writer {
	struct session *s;
	const uint8_t *body; /* all segments */
	struct snapshot_body *out;
	size_t cap;
	size_t begin, end; /* what the next rf object holds */
	size_t first;      /* its first segment */
};

static int rf_flush(struct rf_writer *w, struct err *err)
{
	if (w->end == w->begin)
		return 0;
	uint8_t hash[HASH_BYTES];
	char name[VAULT_NAME_BYTES];
	int rc = vault_put_sealed(w->s->vault->store, &w->s->vault->key, SEALED_REFS, "rf/",
		w->body + w->begin, w->end - w->begin, name, hash, err);
	if (rc != 0)
		return rc;
	for (size_t i = w->first; i < w->out->segment_count; i++)
		memcpy(w->out->segments[i].rf, hash, sizeof(hash));
	w->begin = w->end;
	w->first = w->out->segment_count;
	return 0;
}

static int rf_segment(
	void *arg, const uint8_t id[32], uint32_t offset, uint32_t len, struct err *err)
{
	struct rf_writer *w = arg;
	if (offset + len - w->begin > RF_MAX_BODY_BYTES) {
		int rc = rf_flush(w, err);
		if (rc != 0)
			return rc;
	}
	if (w->out->segment_count == w->cap) {
		size_t cap = w->cap == 0 ? 64 : w->cap * 2;
		struct snapshot_segment *grown =
			reallocarray(w->out->segments, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		w->out->segments = grown;
		w->cap = cap;
	}
	struct snapshot_segment *seg = &w->out->segments[w->out->segment_count++];
	memcpy(seg->id, id, 32);
	seg->offset = offset - (uint32_t)w->begin;
	seg->length = len;
	w->end = (size_t)offset + len;
	return 0;
}

static int put_refs(
	struct session *s, const struct port_commit *c, struct snapshot_body *out, struct err *err)
{
	struct rf_writer w = { .s = s, .body = c->segments, .out = out };
	uint8_t root[HASH_BYTES];
	uint64_t count;
	int rc = snaprec_refs_walk(
		c->segments, c->segments_len, rf_segment, NULL, &w, root, &count, err);
	return rc != 0 ? rc : rf_flush(&w, err);
}

static int put_envelopes(
	struct session *s, const struct port_commit *c, uint8_t ev[32], struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(1u << 20);
	uint8_t hash[HASH_BYTES];
	char name[VAULT_NAME_BYTES];
	snaprec_hash(c->record, hash);
	int rc = buf_add(&body, hash, sizeof(hash), err);
	if (rc == 0)
		rc = buf_add16(&body, (uint16_t)c->envelope_count, err);
	if (rc == 0)
		rc = buf_add(&body, c->envelopes, c->envelope_count * SNAPREC_ENVELOPE_BYTES, err);
	return rc != 0 ? rc
		       : vault_put_sealed(s->vault->store, &s->vault->key, SEALED_ENVELOPES, "ev/",
				 body.data, body.len, name, ev, err);
}

int session_put_snapshot(struct session *s, const struct snapshot_body *b,
	char name[VAULT_NAME_BYTES], struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char prefix[32];
	int rc = snapshot_body_encode(b, &body, err);
	if (rc != 0)
		return rc;
	(void)snprintf(prefix, sizeof(prefix), "sn/%012llx-",
		(unsigned long long)(b->receipt_ns / 1000000)); /* fits */
	rc = vault_put_sealed(s->vault->store, &s->vault->key, SEALED_SNAPSHOT, prefix, body.data,
		body.len, name, NULL, err);
	return rc != 0 ? rc : store_barrier(s->vault->store, err);
}

int session_flush(struct session *s, struct err *err)
{
	int rc = flush_pack(s, PACK_DATA, err);
	if (rc == 0)
		rc = flush_pack(s, PACK_METADATA, err);
	return rc != 0 ? rc : flush_index(s, err);
}

int session_put_needed(
	struct session *s, const struct port_commit *c, struct snapshot_body *b, struct err *err)
{
	int rc = session_flush(s, err);
	if (rc == 0)
		rc = put_refs(s, c, b, err);
	if (rc == 0)
		rc = put_envelopes(s, c, b->ev, err);
	return rc != 0 ? rc : store_barrier(s->vault->store, err);
}

/* Everything a snapshot needs, durable; then the snapshot itself. */
static int write_all(
	struct session *s, const struct port_commit *c, struct snapshot_body *b, struct err *err)
{
	char name[VAULT_NAME_BYTES];
	int rc = session_put_needed(s, c, b, err);
	if (rc == 0)
		rc = session_base_check(s->vault, &s->sight, &s->base, s->mark.agent_id,
			s->mark.source_id, err); /* last: the writing before may take minutes */
	b->receipt_ns = env_now_ns();
	return rc != 0 ? rc : session_put_snapshot(s, b, name, err);
}

int session_fill_body(const struct session *s, const struct port_commit *c,
	const uint8_t gateway[16], struct snapshot_body *b, struct err *err)
{
	memcpy(b->record, c->record, SNAPREC_BYTES);
	memcpy(b->session, s->mark.session, sizeof(b->session));
	memcpy(b->gateway, gateway, sizeof(b->gateway));
	if (c->label_len == 0)
		return 0;
	b->label = malloc(c->label_len);
	if (b->label == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(b->label, c->label, c->label_len);
	b->label_len = c->label_len;
	return 0;
}

static int port_commit_snapshot(
	void *self, const struct port_commit *c, struct port_receipt *receipt, struct err *err)
{
	struct session *s = self;
	if (!s->is_open)
		return err_set(err, ERR_FAILED, "there is no open session");
	struct snapshot_body body = { .log_index = SNAPSHOT_BODY_NO_LOG };
	struct session_check check = { .domain = vault_domain(s->vault),
		.agent_id = s->mark.agent_id,
		.source_id = s->mark.source_id,
		.base = &s->base,
		.own = s->own,
		.puts = s->puts,
		.is_stored = session_find_stored,
		.arg = s };
	int rc = session_check_commit(&check, c, err);
	if (rc == 0)
		rc = session_fill_body(s, c, s->gateway, &body, err);
	if (rc == 0)
		rc = write_all(s, c, &body, err);
	if (rc == 0)
		rc = session_look_fence(s, err);
	if (rc == 0) {
		snaprec_hash(c->record, receipt->snap_hash);
		receipt->receipt_ns = (uint64_t)body.receipt_ns;
	}
	session_over(s, rc == 0);
	snapshot_body_done(&body);
	return rc;
}

void session_over(struct session *s, bool is_good)
{
	struct err why = ERR_INIT;
	if (!s->is_open)
		return;
	s->is_open = false;
	if (session_put_mark(s, is_good ? SESSION_MARK_END : SESSION_MARK_VOID, &why) != 0)
		log_debug("session.over", "last mark: %s, continuing", why.msg);
}

/* Nothing has failed: what lies in open packs is worth keeping for the session that comes next. */
static void port_abort(void *self)
{
	struct session *s = self;
	struct err why = ERR_INIT;
	if (s->is_open && pack_bytes(s->packs[0]) + pack_bytes(s->packs[1]) >= KEEP_BYTES &&
		session_flush(s, &why) != 0)
		log_debug("session.abort", "error=%s, continuing", why.msg);
	session_over(s, false);
}
