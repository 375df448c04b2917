/*
 * session_internal: what the ways of writing a snapshot share: the port (session.c) and the copy of
 * one from another store (session_copy.c).  Never leaves src/vault.
 */
#ifndef VAULT_SESSION_INTERNAL_H
#define VAULT_SESSION_INTERNAL_H

#include "vault/collect_view.h"
#include "vault/fetch.h"
#include "vault/session.h"
#include "vault/session_mark.h"
#include "vault/snapshot_body.h"
#include "vault/vault_internal.h"

struct pack;

struct session {
	struct vault *vault; /* borrowed */
	struct port port;
	struct fetch *fetch;
	struct index *index; /* borrowed from fetch */
	struct session_opts opts;
	struct session_base_sight sight; /* at begin */
	struct session_mark mark;
	struct id_marks *own;    /* IDs of this agent's unpruned snapshots */
	struct id_set *puts;     /* IDs put in this session */
	struct id_set *unproven; /* packs that are not what their names say; NULL = none so far */
	struct id_set *there;    /* packs on the store or staged, with their lengths */
	struct pack *packs[2];
	struct {
		uint64_t bytes;
		size_t count;
	} asked[2];              /* what was put since the pack before, stored already or not */
	size_t first_pack;       /* packs from here on are in no index segment yet */
	size_t segment_entries;  /* their entries */
	uint64_t unsynced_bytes; /* since the last barrier */
	int64_t synced_at;
	struct session_base base;
	bool is_whole; /* every record of the base is listed and stored */
	struct session_stats stats;
	uint8_t gateway[16];
	struct collect_view lists; /* of collection, at begin; at the end again */
	int64_t marked_at;         /* the last mark, monotonic */
	bool is_begun, is_open;
};

/* A new session of the source: a new random name, no mark yet. */
int session_name(struct session *s, const uint8_t agent_id[16], const uint8_t source_id[16],
	struct err *err);
/* Store a mark of this session and make it visible. */
int session_put_mark(struct session *s, enum session_mark_state state, struct err *err);
/* A sign of life, when the last one is old: without one for a day the session is fenced. */
int session_beat(struct session *s, struct err *err);
/* After the mark is visible: look at collection's lists, load the index once, list the packs that
 * count anew, and learn by their footers those that the index lacks. */
int session_look_packs(struct session *s, struct err *err);
/* Does the index know a place of the record in a pack that counts?  Not of one in an open pack. */
bool session_is_stored(const struct session *s, const uint8_t id[32]);
/* The same, after the footers of packs that no segment lists were asked: ${arg} is the session; 1
 * if the record lies in a pack that counts, else 0. */
int session_find_stored(void *arg, const uint8_t id[32], struct err *err);
/* Put what is in the open packs, and the index of what is in none. */
int session_flush(struct session *s, struct err *err);
/* The snapshot's body but for the receipt's time and the names of objects. */
int session_fill_body(const struct session *s, const struct port_commit *c,
	const uint8_t gateway[16], struct snapshot_body *b, struct err *err);
/* Put, durably, all that the snapshot needs; the names of it go to ${b}. */
int session_put_needed(
	struct session *s, const struct port_commit *c, struct snapshot_body *b, struct err *err);
/* Put the snapshot object, durably; tells its name. */
int session_put_snapshot(struct session *s, const struct snapshot_body *b,
	char name[VAULT_NAME_BYTES], struct err *err);
/* Before it is acknowledged: -ERR_BUSY when collection gave the session up meanwhile. */
int session_look_fence(struct session *s, struct err *err);
/* Put the last mark; an open session is open no more. */
void session_over(struct session *s, bool is_good);

#endif
