/*
 * agent_seen: when each agent was last here, and from where: kept in memory and written to the
 * catalog once a minute, all in one transaction, since every write there waits for the disk and
 * agents that wait for work come often.  The loop's thread.
 */
#ifndef CONTROLLER_AGENT_SEEN_H
#define CONTROLLER_AGENT_SEEN_H

#include <stdint.h>

struct agent_seen;
struct db;
struct err;

#define AGENT_SEEN_WRITE_MS 60000

/* ${db} is borrowed until free. */
int agent_seen_new(struct db *db, struct agent_seen **out, struct err *err);
/* Writes what was not written; NULL is fine. */
void agent_seen_free(struct agent_seen *s);

/* The agent ${id} was here at ${at_ms}, from ${address} (copied).  Return 0 or -ERR_NOMEM. */
int agent_seen_note(struct agent_seen *s, const uint8_t id[16], int64_t at_ms, const char *address,
	struct err *err);
/* Write, when the last writing is a minute old; what cannot be written is tried again then.
 * Return when to come again. */
int64_t agent_seen_tick(struct agent_seen *s, int64_t now_ms);

#endif
