/*
 * catalog_agent: the agents' table, their sources, and enrolment tokens.
 */
#ifndef CONTROLLER_CATALOG_AGENT_H
#define CONTROLLER_CATALOG_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "msg/msg_work.h"

struct buf;
struct db;
struct err;

enum catalog_agent_state { AGENT_PENDING = 1, AGENT_ACTIVE, AGENT_REVOKED };
const char *catalog_agent_state_name(enum catalog_agent_state s);

struct catalog_agent {
	uint8_t id[16];
	char name[MSG_NAME_BYTES]; /* unique among those not revoked */
	enum msg_role role;
	enum catalog_agent_state state;
	char version[64];
	char csr[MSG_PEM_BYTES];
	uint8_t tls_key_hash[32];
	uint8_t next_key_hash[32]; /* of a renewal that was not used yet; zeros = none */
	uint8_t ik[32], delivery[32], dk[32], report[32];
	char fingerprint[MSG_FINGERPRINT_BYTES];
	char group[MSG_NAME_BYTES];                /* sandbox: its drill group */
	char address[64];                          /* where it last called from */
	int64_t enrolled_ms, approved_ms, seen_ms; /* 0 = never */
	int64_t clock_off_ms;                      /* its clock minus ours at the last hello */
	int64_t certificate_until_s;
};

int catalog_agent_add(struct db *db, const struct catalog_agent *a, struct err *err);
/* By id (16 bytes).  Return 0 or -ERR_NOT_FOUND. */
int catalog_agent_get(
	struct db *db, const uint8_t id[16], struct catalog_agent *out, struct err *err);
/* By name, or by a unique prefix (>= 4) of the id's hex.  A name is that of the agent which has it
 * now, else of the one that had it last and is revoked.  Return 0, -ERR_NOT_FOUND or -ERR_USAGE
 * (ambiguous). */
int catalog_agent_find(struct db *db, const char *name, struct catalog_agent *out, struct err *err);
/* Write everything but the id. */
int catalog_agent_set(struct db *db, const struct catalog_agent *a, struct err *err);
int catalog_agent_seen(
	struct db *db, const uint8_t id[16], int64_t now_ms, const char *address, struct err *err);
/* Call ${fn} for each, by name; another value than 0 ends it and is returned. */
int catalog_agent_each(struct db *db, int (*fn)(void *arg, const struct catalog_agent *a),
	void *arg, struct err *err);

/* Append the ids of agents in ${state}, 16 bytes each. */
int catalog_agent_in_state(
	struct db *db, enum catalog_agent_state state, struct buf *out, struct err *err);

/* Replace the list of sources of an agent. */
int catalog_agent_set_sources(struct db *db, const uint8_t id[16], const struct msg_source *sources,
	size_t count, struct err *err);
int catalog_agent_each_source(struct db *db, const uint8_t id[16],
	int (*fn)(void *arg, const struct msg_source *s), void *arg, struct err *err);

struct catalog_token {
	uint8_t hash[32]; /* SHA-256 of the secret */
	enum msg_role role;
	char name[MSG_NAME_BYTES];  /* the agent must call itself so; "" = any */
	char group[MSG_NAME_BYTES]; /* sandbox */
	int64_t until_ms;
	int64_t spent_ms;              /* 0 = not spent */
	uint8_t agent_id[16], key[32]; /* of who spent it: its id and IK */
};
int catalog_agent_token_add(struct db *db, const struct catalog_token *t, struct err *err);
int catalog_agent_token_get(
	struct db *db, const uint8_t hash[32], struct catalog_token *out, struct err *err);
int catalog_agent_token_spend(struct db *db, const uint8_t hash[32], int64_t now_ms,
	const uint8_t agent_id[16], const uint8_t key[32], struct err *err);

#endif
