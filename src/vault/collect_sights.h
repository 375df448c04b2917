/*
 * collect_sights: what one maintainer saw, and goes by in a later run: for how long open sessions
 * are silent, and which packs wait for whom.
 */
#ifndef VAULT_COLLECT_SIGHTS_H
#define VAULT_COLLECT_SIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct collect_sessions;
struct collect_view;
struct err;
struct session_mark;

/* What one maintainer saw of open sessions, on its own monotonic clock. */
struct collect_sight {
	uint8_t session[16];
	uint64_t number;  /* of its newest mark */
	int64_t since_ns; /* when that was seen first */
};

/* And the packs that nobody seemed to need while sessions were open: they may be those sessions',
 * and are condemned by a later run, when each of these sessions is over. */
struct collect_sights {
	struct collect_sight *at; /* owned */
	size_t count;
	uint8_t (*packs)[32]; /* owned */
	size_t pack_count;
	uint8_t (*sessions)[16]; /* owned */
	size_t session_count;
};

void collect_sights_done(struct collect_sights *s);
/* Note what is seen of a session now; *${silent_ns}: for how long nothing has changed.  Return 0 or
 * -ERR_NOMEM. */
int collect_sights_note(struct collect_sights *s, const struct session_mark *mark, int64_t mono_ns,
	int64_t *silent_ns, struct err *err);
/* Forget the sessions that are not among ${open}. */
void collect_sights_keep(struct collect_sights *s, const struct collect_sessions *open);

/* Take these as the packs to be looked at later, when the open ones of ${open} are over (NULL: none
 * is to be).  Return 0 or -ERR_NOMEM. */
int collect_sights_defer(struct collect_sights *s, const uint8_t (*packs)[32], size_t count,
	const struct collect_sessions *open, const struct collect_view *view, struct err *err);
bool collect_sights_has_pack(const struct collect_sights *s, const uint8_t pack[32]);
/* Are the sessions of then over? */
bool collect_sights_is_settled(const struct collect_sights *s, const struct collect_sessions *now,
	const struct collect_view *view);

#endif
