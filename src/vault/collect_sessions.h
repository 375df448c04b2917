/*
 * collect_sessions: the sessions whose marks lie on a store, as collection sees them: open or over,
 * and for how long without a sign of life (docs/FORMAT.md sections 8 and 10.2).
 */
#ifndef VAULT_COLLECT_SESSIONS_H
#define VAULT_COLLECT_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/session_mark.h"

struct collect_view;
struct err;
struct snapshot_list;
struct vault;

struct collect_session {
	struct session_mark last; /* its newest mark */
	uint64_t first;           /* the lowest number that is there */
	bool is_restore;          /* agent and source zero */
};

struct collect_sessions {
	struct collect_session *at; /* owned; ascending by session */
	size_t count;
};

/* Read every mark.  Return 0, -ERR_CORRUPT and the like (a mark cannot be read: it may be of an
 * open session) or a store's error. */
int collect_sessions_load(struct vault *v, struct collect_sessions *out, struct err *err);
void collect_sessions_done(struct collect_sessions *s);
/* NULL: it has no mark. */
const struct collect_session *collect_sessions_find(
	const struct collect_sessions *s, const uint8_t session[16]);
/* Open: its newest mark is no end and no void, and nobody fenced it. */
bool collect_sessions_is_open(const struct collect_session *s, const struct collect_view *view);

/**
 * collect_sessions_clean(v, view, s, list, removed, err):
 * Remove the marks that tell nothing any more.  ${list}: every snapshot, listed after ${s} was
 * loaded.  *${removed} counts marks.
 */
int collect_sessions_clean(struct vault *v, const struct collect_view *view,
	const struct collect_sessions *s, const struct snapshot_list *list, uint64_t *removed,
	struct err *err);

#endif
