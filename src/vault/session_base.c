#include "vault/session_base.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/id_set.h"
#include "vault/session_mark.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) A session builds behind every snapshot of its source that was acknowledged and is known
 *     here: by its object, by the host's memory, or by an end mark.
 * (2) What is known by an end mark alone has no hash here, so that nothing can name it as its
 *     predecessor: then there is no base, and the session does not begin.
 */

struct looking {
	struct session_base_sight *sight;
	const struct session_base_sight *before; /* NULL at the first look */
	uint64_t news;                           /* unreadable, and not there before */
	struct err rollback;
	int failed;
};

static void name_id(const char *name, uint8_t id[HASH_BYTES])
{
	hash_sha256(name, strlen(name), id);
}

static void on_bad(void *arg, const char *object, const struct err *why)
{
	struct looking *l = arg;
	uint8_t id[HASH_BYTES];
	name_id(object, id);
	if (why->code == ERR_ROLLBACK)
		l->rollback = *why;
	if (l->before != NULL && id_set_find(l->before->names, id) == 0)
		l->news++;
	l->sight->unreadable++;
	if (id_set_add(l->sight->names, id, 1, NULL, NULL) != 0)
		l->failed = -ERR_NOMEM;
	log_debug("session_base.look", "object=%s error=%s, continuing", object, why->msg);
}

static int look(struct vault *v, struct looking *l, struct session_base_sight *s, struct err *err)
{
	uint8_t id[HASH_BYTES];
	l->sight = s;
	int rc = id_set_new(&s->names, err);
	if (rc == 0)
		rc = snapshot_list_all(v, on_bad, l, &s->list, err);
	for (size_t i = 0; rc == 0 && i < s->list.count; i++) {
		name_id(s->list.at[i].object, id);
		rc = id_set_add(s->names, id, 1, NULL, err);
	}
	if (rc == 0 && l->failed != 0)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc == 0 && l->rollback.code != 0) {
		rc = -l->rollback.code;
		if (err != NULL)
			*err = l->rollback;
	}
	if (rc != 0)
		session_base_forget(s);
	return rc;
}

int session_base_look(struct vault *v, struct session_base_sight *out, struct err *err)
{
	struct looking l = { .failed = 0 };
	struct session_base_sight s = { .names = NULL };
	int rc = look(v, &l, &s, err);
	if (rc == 0)
		*out = s;
	return rc;
}

void session_base_forget(struct session_base_sight *s)
{
	snapshot_list_done(&s->list);
	id_set_free(s->names);
	s->names = NULL;
}

static bool is_of(const struct snapshot *s, const uint8_t agent_id[16], const uint8_t source_id[16])
{
	return memcmp(s->record.agent_id, agent_id, 16) == 0 &&
	       memcmp(s->record.source_id, source_id, 16) == 0;
}

/* The newest that can be read; a fork holds the source. */
static int find_readable(const struct snapshot_list *l, const uint8_t agent_id[16],
	const uint8_t source_id[16], struct session_base *out, struct err *err)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct snapshot *s = &l->at[i];
		if (!is_of(s, agent_id, source_id))
			continue;
		if (s->is_forked) {
			err_set(err, ERR_FORK,
				"two snapshots of this source carry number %llu: a writer was "
				"cloned or set back",
				(unsigned long long)s->record.seq);
			return err_hint(err,
				"back up under another --source name until the cause is known; "
				"both snapshots are kept");
		}
		/* of two with one number, one of them void, the chain goes on from the other */
		if (s->record.seq > out->seq ||
			(s->record.seq == out->seq && s->fate == SNAPSHOT_LIVE)) {
			out->is_there = true;
			out->seq = s->record.seq;
			out->snapshot = s->fate == SNAPSHOT_LIVE ? s : NULL;
			memcpy(out->hash, s->hash, sizeof(out->hash));
		}
	}
	return 0;
}

/* Go behind what the host remembers, if the objects that cannot be read may be all that lacks. */
static int use_memory(const struct session_base_memory *m, uint64_t unreadable,
	struct session_base *out, struct err *err)
{
	bool is_other = m->seq == out->seq && m->seq != 0 &&
			memcmp(m->hash, out->hash, sizeof(m->hash)) != 0;
	if (m->seq <= out->seq && !is_other)
		return 0;
	if (is_other || m->seq - out->seq > unreadable) {
		err_set(err, ERR_ROLLBACK,
			"the store went back: the source ends with snapshot %llu, this host has "
			"seen %llu",
			(unsigned long long)out->seq, (unsigned long long)m->seq);
		return err_hint(err, "find out who replaced or cut the store");
	}
	out->is_there = true;
	out->seq = m->seq;
	out->snapshot = NULL;
	memcpy(out->hash, m->hash, sizeof(out->hash));
	return 0;
}

struct mark_search {
	struct vault *v;
	const uint8_t *agent_id, *source_id, *base;
	bool is_found;
	struct err *err;
};

static int read_mark(struct vault *v, const char *name, struct session_mark *out, struct err *err)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	int rc = store_get(v->store, name, &object, err);
	return rc != 0 ? rc : session_mark_open(&v->key, name, object.data, object.len, out, err);
}

/* Is this the end mark of a session that committed on the base?  A damaged mark behind the first
 * counts as one, if the first says that it is of the source and the base. */
static int see_mark(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct mark_search *s = arg;
	struct session_mark m;
	struct err why = ERR_INIT;
	char first[SESSION_MARK_NAME_BYTES];
	const size_t stem = SESSION_MARK_NAME_CHARS - 8;
	if (strlen(name) != SESSION_MARK_NAME_CHARS || strcmp(name + stem, "00000000") == 0)
		return 0;
	int rc = read_mark(s->v, name, &m, &why);
	bool is_end = rc == 0 && m.state == SESSION_MARK_END;
	if (rc == -ERR_CORRUPT || rc == -ERR_UNSUPPORTED) {
		(void)snprintf(first, sizeof(first), "%.*s00000000", (int)stem, name); /* fits */
		rc = read_mark(s->v, first, &m, &why);
		if (rc == -ERR_CORRUPT || rc == -ERR_UNSUPPORTED || rc == -ERR_NOT_FOUND)
			return 0; /* both are lost: verify names them */
		is_end = rc == 0;
	}
	if (rc != 0) {
		if (s->err != NULL)
			*s->err = why;
		return rc;
	}
	s->is_found |= is_end && memcmp(m.agent_id, s->agent_id, 16) == 0 &&
		       memcmp(m.source_id, s->source_id, 16) == 0 &&
		       memcmp(m.base, s->base, sizeof(m.base)) == 0;
	return 0;
}

/* Invariant 2. */
static int check_marks(struct vault *v, const struct session_base *base, const uint8_t agent_id[16],
	const uint8_t source_id[16], struct err *err)
{
	struct mark_search s = {
		.v = v, .agent_id = agent_id, .source_id = source_id, .base = base->hash, .err = err
	};
	int rc = store_list(v->store, "se/", see_mark, &s, err);
	if (rc != 0)
		return rc;
	if (!s.is_found)
		return 0;
	err_set(err, ERR_ROLLBACK,
		"the newest snapshot of this source, number %llu or a later one, cannot be read, "
		"and this host does not remember it",
		(unsigned long long)base->seq + 1);
	return err_hint(err,
		"back up from the host that made it, or put its object back from a copy of the "
		"store, or begin another chain with --source NAME");
}

int session_base_find(struct vault *v, const struct session_base_sight *sight,
	const uint8_t agent_id[16], const uint8_t source_id[16],
	const struct session_base_memory *memory, struct session_base *out, struct err *err)
{
	struct session_base base = { .is_there = false };
	int rc = find_readable(&sight->list, agent_id, source_id, &base, err);
	if (rc == 0 && memory != NULL)
		rc = use_memory(memory, sight->unreadable, &base, err);
	if (rc == 0 && sight->unreadable > 0)
		rc = check_marks(v, &base, agent_id, source_id, err);
	if (rc == 0)
		*out = base;
	return rc;
}

int session_base_check(struct vault *v, const struct session_base_sight *sight,
	const struct session_base *base, const uint8_t agent_id[16], const uint8_t source_id[16],
	struct err *err)
{
	struct looking l = { .before = sight };
	struct session_base_sight now = { .names = NULL };
	int rc = look(v, &l, &now, err);
	if (rc != 0)
		return rc;
	bool is_busy = false;
	for (size_t i = 0; i < now.list.count; i++)
		is_busy |= is_of(&now.list.at[i], agent_id, source_id) &&
			   now.list.at[i].record.seq > base->seq;
	session_base_forget(&now);
	if (is_busy)
		err_set(err, ERR_BUSY, "another backup of this source finished meanwhile");
	else if (l.news > 0)
		err_set(err, ERR_BUSY,
			"a snapshot that cannot be read came to the store meanwhile; it may be of "
			"this source");
	else
		return 0;
	return err_hint(err, "run the backup again; nothing was lost");
}
