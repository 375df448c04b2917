/*
 * audit: who did what, when, from where, and how it ended: a chain of records, each with the
 * SHA-256 of the one before, in the catalog.  The tamper-evident log will take them over.
 */
#ifndef CONTROLLER_AUDIT_H
#define CONTROLLER_AUDIT_H

#include <stddef.h>
#include <stdint.h>

struct db;
struct err;

struct audit_record {
	int64_t number, at_ms;
	char who[96];     /* "person:anna", "agent:line3", "controller" */
	char address[64]; /* "" = none */
	char action[64];  /* "agent.approve", "grant.refused" */
	char object[128]; /* what it was done to */
	char outcome[32]; /* "ok" or an error id */
	char detail[512];
	uint8_t prev[32], hash[32];
};

/* Add one; number, time, prev and hash are filled in. */
int audit_add(struct db *db, const char *who, const char *address, const char *action,
	const char *object, const char *outcome, const char *detail, struct err *err);
/* Newest first. */
int audit_each(struct db *db, int64_t limit, int (*fn)(void *arg, const struct audit_record *r),
	void *arg, struct err *err);
/* Check the whole chain.  Return 0 or -ERR_CORRUPT (which record).  Records cut off at its end are
 * not found. */
int audit_check(struct db *db, struct err *err);

/* Of records that strangers and agents can cause without end only so many are written in a minute;
 * the first of the next one tells how many were not.  One of these for all from one door. */
#define AUDIT_SOME_A_MINUTE 60
struct audit_some {
	int64_t from_ms; /* of the minute that is counted */
	int64_t count;   /* in it */
};
/* As audit_add(), or nothing (also 0). */
int audit_add_some(struct audit_some *s, struct db *db, const char *who, const char *address,
	const char *action, const char *object, const char *outcome, const char *detail,
	struct err *err);

#endif
