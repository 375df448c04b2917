/*
 * people: API tokens and the roles behind them.
 */
#ifndef CONTROLLER_PEOPLE_H
#define CONTROLLER_PEOPLE_H

#include <stddef.h>
#include <stdint.h>

#include "msg/msg_enrol.h"

struct db;
struct err;

/* Each may do what those before it may, but an auditor never runs anything. */
enum people_role {
	PEOPLE_VIEWER = 1, /* look */
	PEOPLE_AUDITOR,    /* look, and read the audit records */
	PEOPLE_OPERATOR,   /* run jobs and drills, make enrolment tokens */
	PEOPLE_APPROVER,   /* approve and revoke agents */
	PEOPLE_OFFICER,    /* make and revoke people's tokens */
};
const char *people_role_name(enum people_role r);
enum people_role people_role_of(const char *word); /* 0 = none */
/* May ${r} do what needs ${need}? */
int people_may(enum people_role r, enum people_role need);

struct people_token {
	char name[MSG_NAME_BYTES]; /* unique among those not revoked */
	enum people_role role;
	int64_t made_ms, until_ms, used_ms, revoked_ms; /* 0 = never */
};
#define PEOPLE_TOKEN_TEXT_BYTES 64 /* "hfp-" and base32 of 20 random bytes */
/* Make one; only its SHA-256 is kept. */
int people_add(struct db *db, const struct people_token *t, char text[PEOPLE_TOKEN_TEXT_BYTES],
	struct err *err);
/* Who holds ${text} at ${now_ms}.  Return 0 or -ERR_AUTH (unknown, revoked or past its time). */
int people_find(
	struct db *db, const char *text, int64_t now_ms, struct people_token *out, struct err *err);
int people_revoke(struct db *db, const char *name, int64_t now_ms, struct err *err);
int people_each(struct db *db, int (*fn)(void *arg, const struct people_token *t), void *arg,
	struct err *err);

#endif
