#include "vault/collect_sights.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "vault/collect_sessions.h"

/*
 * INVARIANTS
 * (1) A silence is counted from the moment at which this maintainer saw the newest mark first,
 * never from what a mark or another host says.
 */

void collect_sights_done(struct collect_sights *s)
{
	free(s->at);
	free(s->packs);
	free(s->sessions);
	memset(s, 0, sizeof(*s));
}

int collect_sights_note(struct collect_sights *s, const struct session_mark *mark, int64_t mono_ns,
	int64_t *silent_ns, struct err *err)
{
	struct collect_sight *at = NULL;
	for (size_t i = 0; i < s->count && at == NULL; i++) {
		if (memcmp(s->at[i].session, mark->session, 16) == 0)
			at = &s->at[i];
	}
	if (at == NULL) {
		at = reallocarray(s->at, s->count + 1, sizeof(*at));
		if (at == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		s->at = at;
		at += s->count++;
		memcpy(at->session, mark->session, 16);
		at->number = mark->number;
		at->since_ns = mono_ns;
	} else if (at->number != mark->number || at->since_ns > mono_ns) {
		at->number = mark->number;
		at->since_ns = mono_ns;
	}
	*silent_ns = mono_ns - at->since_ns;
	return 0;
}

void collect_sights_keep(struct collect_sights *s, const struct collect_sessions *open)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->count; i++) {
		if (collect_sessions_find(open, s->at[i].session) != NULL)
			s->at[kept++] = s->at[i];
	}
	s->count = kept;
}

static int compare_packs(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

int collect_sights_defer(struct collect_sights *s, const uint8_t (*packs)[32], size_t count,
	const struct collect_sessions *open, const struct collect_view *view, struct err *err)
{
	uint8_t(*p)[32] = calloc(count + 1, sizeof(*p));
	uint8_t(*x)[16] = calloc(open == NULL ? 1 : open->count + 1, sizeof(*x));
	size_t n = 0;
	if (p == NULL || x == NULL) {
		free(p);
		free(x);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	if (count > 0) {
		memcpy(p, packs, count * sizeof(*p));
		qsort(p, count, sizeof(*p), compare_packs);
	}
	for (size_t i = 0; open != NULL && i < open->count; i++) {
		if (!open->at[i].is_restore && collect_sessions_is_open(&open->at[i], view))
			memcpy(x[n++], open->at[i].last.session, sizeof(*x));
	}
	free(s->packs);
	free(s->sessions);
	s->packs = p;
	s->pack_count = count;
	s->sessions = x;
	s->session_count = n;
	return 0;
}

bool collect_sights_has_pack(const struct collect_sights *s, const uint8_t pack[32])
{
	return s->pack_count > 0 &&
	       bsearch(pack, s->packs, s->pack_count, sizeof(*s->packs), compare_packs) != NULL;
}

bool collect_sights_is_settled(const struct collect_sights *s, const struct collect_sessions *now,
	const struct collect_view *view)
{
	for (size_t i = 0; i < s->session_count; i++) {
		const struct collect_session *x = collect_sessions_find(now, s->sessions[i]);
		if (x != NULL && collect_sessions_is_open(x, view))
			return false;
	}
	return true;
}
