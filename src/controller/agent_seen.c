#include "controller/agent_seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "controller/catalog_agent.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) An agent is in the list once; those from 0 to count wait to be written.
 */

struct note {
	uint8_t id[16];
	int64_t at_ms;
	char address[sizeof(((struct catalog_agent *)NULL)->address)];
};

struct agent_seen {
	struct db *db;      /* borrowed */
	struct note *notes; /* owned */
	size_t count, cap;
	int64_t due_ms; /* the next writing; 0 = nothing waits */
};

int agent_seen_new(struct db *db, struct agent_seen **out, struct err *err)
{
	struct agent_seen *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->db = db;
	*out = s;
	return 0;
}

static struct note *find(const struct agent_seen *s, const uint8_t id[16])
{
	for (size_t i = 0; i < s->count; i++) {
		if (memcmp(s->notes[i].id, id, 16) == 0)
			return &s->notes[i];
	}
	return NULL;
}

static struct note *add(struct agent_seen *s, const uint8_t id[16])
{
	if (s->count == s->cap) {
		const size_t cap = s->cap == 0 ? 16 : s->cap * 2;
		struct note *notes = reallocarray(s->notes, cap, sizeof(*notes));
		if (notes == NULL)
			return NULL;
		s->notes = notes;
		s->cap = cap;
	}
	struct note *n = &s->notes[s->count++];
	memcpy(n->id, id, 16);
	return n;
}

int agent_seen_note(struct agent_seen *s, const uint8_t id[16], int64_t at_ms, const char *address,
	struct err *err)
{
	struct note *n = find(s, id);
	if (n == NULL)
		n = add(s, id);
	if (n == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	n->at_ms = at_ms;
	(void)snprintf(n->address, sizeof(n->address), "%s", address); /* cut as its column is */
	if (s->due_ms == 0)
		s->due_ms = at_ms + AGENT_SEEN_WRITE_MS;
	return 0;
}

/* One that is not in the catalog any more is nobody's loss. */
static int write_all(struct agent_seen *s, struct err *err)
{
	int rc = db_begin(s->db, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < s->count && (rc == 0 || rc == -ERR_NOT_FOUND); i++)
		rc = catalog_agent_seen(
			s->db, s->notes[i].id, s->notes[i].at_ms, s->notes[i].address, err);
	if (rc == 0 || rc == -ERR_NOT_FOUND)
		return db_commit(s->db, err);
	db_rollback(s->db);
	return rc;
}

int64_t agent_seen_tick(struct agent_seen *s, int64_t now_ms)
{
	struct err why = ERR_INIT;
	if (s->due_ms == 0)
		return now_ms + AGENT_SEEN_WRITE_MS;
	/* a clock that was put back must not hold it up for longer */
	if (now_ms < s->due_ms && s->due_ms - now_ms <= AGENT_SEEN_WRITE_MS)
		return s->due_ms;
	if (write_all(s, &why) == 0) {
		s->count = 0;
		s->due_ms = 0;
		return now_ms + AGENT_SEEN_WRITE_MS;
	}
	log_warn("agent_seen.write", "error=\"%s\", continuing", why.msg);
	s->due_ms = now_ms + AGENT_SEEN_WRITE_MS;
	return s->due_ms;
}

void agent_seen_free(struct agent_seen *s)
{
	struct err why = ERR_INIT;
	if (s == NULL)
		return;
	if (s->count > 0 && write_all(s, &why) != 0)
		log_warn("agent_seen.write", "error=\"%s\", continuing", why.msg);
	free(s->notes);
	free(s);
}
