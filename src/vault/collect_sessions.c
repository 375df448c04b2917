#include "vault/collect_sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/collect_view.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) A session that is open is seen as open: a mark that went away between list and read only
 *     leaves an older one to go by.
 */

struct loading {
	struct vault *v;
	struct collect_sessions *out;
	struct err *err;
};

static struct collect_session *find(struct collect_sessions *s, const uint8_t session[16])
{
	for (size_t i = s->count; i > 0; i--) { /* marks come in order on most stores */
		if (memcmp(s->at[i - 1].last.session, session, 16) == 0)
			return &s->at[i - 1];
	}
	return NULL;
}

static int see(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	static const uint8_t none[16];
	struct loading *l = arg;
	struct session_mark m;
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	int rc = store_get(l->v->store, name, &object, l->err);
	if (rc == -ERR_NOT_FOUND) {
		if (l->err != NULL)
			err_clear(l->err);
		return 0; /* cleaned up meanwhile */
	}
	if (rc == 0)
		rc = session_mark_open(&l->v->key, name, object.data, object.len, &m, l->err);
	if (rc != 0)
		return err_wrap(l->err, "session mark '%s'", name);
	struct collect_session *s = find(l->out, m.session);
	if (s != NULL) {
		if (m.number < s->first)
			s->first = m.number;
		if (m.number > s->last.number)
			s->last = m;
		return 0;
	}
	s = reallocarray(l->out->at, l->out->count + 1, sizeof(*s));
	if (s == NULL)
		return err_set(l->err, ERR_NOMEM, "out of memory");
	l->out->at = s;
	s += l->out->count++;
	*s = (struct collect_session){ .last = m, .first = m.number };
	s->is_restore = memcmp(m.agent_id, none, 16) == 0 && memcmp(m.source_id, none, 16) == 0;
	return 0;
}

int collect_sessions_load(struct vault *v, struct collect_sessions *out, struct err *err)
{
	struct collect_sessions s = { .count = 0 };
	struct loading l = { .v = v, .out = &s, .err = err };
	int rc = store_list(v->store, "se/", see, &l, err);
	if (rc == 0)
		*out = s;
	else
		collect_sessions_done(&s);
	return rc;
}

void collect_sessions_done(struct collect_sessions *s)
{
	free(s->at);
	s->at = NULL;
	s->count = 0;
}

const struct collect_session *collect_sessions_find(
	const struct collect_sessions *s, const uint8_t session[16])
{
	for (size_t i = 0; i < s->count; i++) {
		if (memcmp(s->at[i].last.session, session, 16) == 0)
			return &s->at[i];
	}
	return NULL;
}

bool collect_sessions_is_open(const struct collect_session *s, const struct collect_view *view)
{
	bool is_over = s->last.state == SESSION_MARK_END || s->last.state == SESSION_MARK_VOID;
	return !is_over && !collect_view_is_fenced(view, s->last.session);
}

/* ---- marks that tell nothing --------------------------------------------------------------- */

/* Is there a readable snapshot of the session's source behind its own?  Its own may be pruned: then
 * there was, and is, one behind it. */
static bool is_followed(const struct collect_session *s, const struct snapshot_list *list)
{
	uint64_t own = 0;
	uint64_t newest = 0;
	for (size_t i = 0; i < list->count; i++) {
		const struct snapshot *x = &list->at[i];
		if (memcmp(x->record.agent_id, s->last.agent_id, 16) != 0 ||
			memcmp(x->record.source_id, s->last.source_id, 16) != 0)
			continue;
		if (memcmp(x->body.session, s->last.session, 16) == 0)
			own = x->record.seq;
		if (x->record.seq > newest)
			newest = x->record.seq;
	}
	return newest > own;
}

/* A delete list names it: what became of it is known for good. */
static bool has_verdict(const struct collect_view *view, const uint8_t session[16])
{
	for (size_t i = 0; i < view->count; i++) {
		if (!view->at[i].is_gone &&
			collect_list_verdict(&view->at[i].list, session) != NULL)
			return true;
	}
	return false;
}

static bool is_mute(const struct collect_view *view, const struct collect_session *s,
	const struct snapshot_list *list)
{
	if (s->last.state == SESSION_MARK_VOID || has_verdict(view, s->last.session))
		return true;
	return s->last.state == SESSION_MARK_END && (s->is_restore || is_followed(s, list));
}

static int remove_mark(
	struct vault *v, const struct collect_session *s, uint64_t number, struct err *err)
{
	char hex[33];
	char name[SESSION_MARK_NAME_BYTES];
	text_hex(s->last.session, 16, hex);
	(void)snprintf(name, sizeof(name), "se/%s-%08x", hex, (unsigned)number); /* fits */
	return store_remove(v->store, name, err);
}

/* All but the newest mark of each, durably, then the newest: what is left always says that the
 * session is over. */
int collect_sessions_clean(struct vault *v, const struct collect_view *view,
	const struct collect_sessions *s, const struct snapshot_list *list, uint64_t *removed,
	struct err *err)
{
	int rc = 0;
	uint64_t count = 0;
	for (size_t i = 0; rc == 0 && i < s->count; i++) {
		const struct collect_session *x = &s->at[i];
		if (!is_mute(view, x, list))
			continue;
		for (uint64_t n = x->first; rc == 0 && n < x->last.number; n++, count++)
			rc = remove_mark(v, x, n, err);
	}
	if (rc == 0 && count > 0)
		rc = store_barrier(v->store, err);
	for (size_t i = 0; rc == 0 && i < s->count; i++) {
		if (!is_mute(view, &s->at[i], list))
			continue;
		rc = remove_mark(v, &s->at[i], s->at[i].last.number, err);
		count++;
	}
	if (rc == 0 && count > 0)
		rc = store_barrier(v->store, err);
	if (rc == 0)
		*removed += count;
	return rc;
}
