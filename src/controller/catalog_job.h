/*
 * catalog_job: jobs and their attempts.
 *
 *	waiting --> running --> done | warnings | failed | canceled
 *	   ^           |
 *	   +-- retry --+            waiting --> missed | canceled
 */
#ifndef CONTROLLER_CATALOG_JOB_H
#define CONTROLLER_CATALOG_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "msg/msg_work.h"

struct db;
struct err;

enum catalog_job_state {
	JOB_WAITING = 1,
	JOB_RUNNING,
	JOB_DONE,
	JOB_WARNINGS,  /* done, with entries left out or findings */
	JOB_OBJECTIVE, /* a drill that was carried out and did not meet its objectives */
	JOB_FAILED,
	JOB_MISSED, /* its time passed before it could start */
	JOB_CANCELED,
};
const char *catalog_job_state_name(enum catalog_job_state s);
/* The bit (1 << state) of a state's name; NULL = 0, all.  Return 0 or -ERR_USAGE, with every name.
 */
int catalog_job_parse_states(const char *word, uint32_t *out, struct err *err);
/* Whether nothing more will happen to it. */
bool catalog_job_is_over(enum catalog_job_state s);

/* The agents of jobs that the controller does itself: no agent has them.  Copies to replicas, which
 * may take days, have one of their own: they follow each other, and nothing else waits for them.
 * NULL: an agent does ${verb}. */
const uint8_t *catalog_job_own_id(enum msg_verb verb);
bool catalog_job_is_own_id(const uint8_t agent_id[16]);

struct catalog_job {
	char id[MSG_ID_HEX];
	enum msg_verb verb;
	enum catalog_job_state state;
	uint8_t agent_id[16];
	char source[MSG_NAME_BYTES];              /* backup; copy: the replica */
	char schedule[MSG_NAME_BYTES];            /* who ordered it; "" = a person */
	char person[MSG_NAME_BYTES];              /* who, when ordered by hand */
	char reason[512];                         /* why it is in this state, for people */
	int64_t due_ms;                           /* when it was to begin */
	int64_t not_before_ms;                    /* retries wait until then */
	int64_t start_by_ms;                      /* not started by then: missed; 0 = no limit */
	int64_t deadline_ms;                      /* longest run, 0 = none */
	int64_t created_ms, started_ms, ended_ms; /* 0 = not yet */
	int64_t retries, retry_after_ms; /* how many more tries (below 0: a running one is to stop);
					    wait before the next */
	int64_t attempt;                 /* number of the newest attempt; 0 = none */
	int64_t lease_until_ms;
	struct msg_progress progress;
	struct msg_result result; /* of the newest attempt that ended */
	char drill[37];           /* drill: exercise id; "" else */
};

int catalog_job_add(struct db *db, const struct catalog_job *j, struct err *err);
/* By id or a unique prefix (>= 4 digits).  Return 0, -ERR_NOT_FOUND or -ERR_USAGE. */
int catalog_job_get(struct db *db, const char *id, struct catalog_job *out, struct err *err);
/* Write everything that changes: all but id, verb, agent, source, schedule, person, created. */
int catalog_job_set(struct db *db, const struct catalog_job *j, struct err *err);

struct catalog_job_query {
	uint32_t states;               /* bit 1 << state; 0 = all */
	const uint8_t *agent_id;       /* NULL = all */
	const char *source, *schedule; /* NULL = all */
	enum msg_verb verb;            /* 0 = all */
	int64_t limit;                 /* 0 = all */
	bool is_oldest_first;          /* by due time; else the newest first */
};
int catalog_job_each(struct db *db, const struct catalog_job_query *q,
	int (*fn)(void *arg, const struct catalog_job *j), void *arg, struct err *err);

/* The history of attempts, for people. */
struct catalog_attempt {
	int64_t number, started_ms, ended_ms;
	char outcome[32]; /* "done", "warnings", "failed", "lost" */
	char reason[512];
};
int catalog_job_add_attempt(
	struct db *db, const char *job, const struct catalog_attempt *a, struct err *err);
int catalog_job_set_attempt(
	struct db *db, const char *job, const struct catalog_attempt *a, struct err *err);
int catalog_job_each_attempt(struct db *db, const char *job,
	int (*fn)(void *arg, const struct catalog_attempt *a), void *arg, struct err *err);

/* The last due time that a schedule has fired for. */
int catalog_job_mark(struct db *db, const char *schedule, int64_t due_ms, struct err *err);
/* Return 0 (0 in *${due_ms} when it never fired). */
int catalog_job_get_mark(struct db *db, const char *schedule, int64_t *due_ms, struct err *err);

#endif
