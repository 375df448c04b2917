/*
 * fleet: who the agents are: tokens, enrolment, approval, certificates, revocation.
 * Knows: the CA, the domain config.  Hides: how a certificate is checked against the catalog.
 * The officer's key is never here: a new config comes signed from outside and is only checked.
 * One thread (the loop's).
 */
#ifndef CONTROLLER_FLEET_H
#define CONTROLLER_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/catalog_agent.h"
#include "msg/msg_enrol.h"

struct buf;
struct controller_keys;
struct db;
struct domain;
struct err;
struct fleet;
struct http_peer;

struct fleet_opts {
	struct db *db; /* borrowed, as all here */
	const struct controller_keys *keys;
	const char *ca_pem, *ca_key_pem;
	const char *agents_address, *people_address;
	/* Put a signed config on the store as a new cf/ object; returns when it is durable. */
	int (*put_config)(void *arg, const void *config, size_t len, struct err *err);
	/* Another config counts from now on; may be NULL. */
	void (*on_config)(void *arg, const struct domain *newest);
	void *arg;
};
int fleet_new(const struct fleet_opts *opts, const void *config, size_t config_len,
	struct fleet **out, struct err *err);
void fleet_free(struct fleet *f);

/* The newest signed config and its decoded form; borrowed until the next approval. */
const void *fleet_config(const struct fleet *f, size_t *len);
const struct domain *fleet_domain(const struct fleet *f);

#define FLEET_TOKEN_TTL_MS ((int64_t)15 * 60 * 1000)
#define FLEET_TOKEN_TTL_MAX_MS ((int64_t)7 * 24 * 3600 * 1000)
/* A token for ${role}; ${name} "" = the agent names itself; ${group}: the drill group of a sandbox,
 * "" for a capture; ${ttl_ms} 0 = FLEET_TOKEN_TTL_MS; ${who} for the audit record: "person:anna".
 * Return 0, -ERR_USAGE (name, group, role, time) or -ERR_EXISTS (the name is taken). */
int fleet_token(struct fleet *f, enum msg_role role, const char *name, const char *group,
	int64_t ttl_ms, const char *who, char out[MSG_TOKEN_TEXT_BYTES], struct err *err);

/* POST /v1/enrol.  ${address}: where from.  Return 0, -ERR_AUTH (no such token, spent by other
 * keys, past its time, wrong role or name; the text that goes out never says which, the audit
 * record does), -ERR_EXISTS (the name is taken, or a key was used before) or -ERR_CORRUPT (the
 * request for the certificate).  The token is spent only by 0. */
int fleet_enrol(struct fleet *f, const struct msg_enrol *m, const char *address,
	struct msg_enrol_answer *out, struct err *err);
/* POST /v1/enrol/collect, for who holds the IK (checked by msg_enrol_collect_decode()).  ${out} is
 * owned: msg_enrol_grant_done().  Return 0, -ERR_BUSY (not approved yet) or -ERR_AUTH (unknown,
 * revoked, its clock). */
int fleet_collect(
	struct fleet *f, const struct msg_collect *m, struct msg_enrol_grant *out, struct err *err);

/**
 * fleet_approve(f, agent, config, len, who, err):
 * Take ${config}, the next epoch signed by the officer: it must be the one before plus exactly
 * this agent's IK (capture) or its group's DK (sandbox), nothing else changed.
 * Return 0, -ERR_CONFIG (what differs), -ERR_AUTH (the officer), -ERR_BUSY (another epoch came
 * first: fetch and sign again) or -ERR_NOT_FOUND (also: it was revoked).  The same config once more
 * is fine.  An agent whose key is in the config already is approved with that config, or with a
 * next one that changes nothing but the epoch.
 */
int fleet_approve(struct fleet *f, const uint8_t agent[16], const void *config, size_t len,
	const char *who, struct err *err);
/* What an officer signs about an agent's key: its IK (capture) or its DK (sandbox). */
enum fleet_change {
	FLEET_ADD,
	FLEET_STRIKE /* an IK stays, marked as revoked: what it signed before stays readable */
};
/* The config an officer is to sign for ${agent}: decoded from ${config}, one epoch on, with its key
 * added or struck.  Used by whoever has the officer's key, off the controller; domain_done() ends
 * it.  Return 0, -ERR_CONFIG (the key is there as another's), -ERR_USAGE (its group), -ERR_LIMIT,
 * -ERR_NOT_FOUND (there is no key of it to strike) or as domain_decode(). */
int fleet_next_config(const void *config, size_t len, const uint8_t officer_pk[32],
	enum fleet_change change, const struct catalog_agent *agent, struct domain *out,
	struct err *err);
/* Whether the newest config lists the agent's key, not revoked: it may write, or new snapshots are
 * sealed to it. */
bool fleet_lists(const struct fleet *f, const struct catalog_agent *agent);
/* Shut it out at once; once more is fine.  Return 0 or -ERR_NOT_FOUND.  Its key stays in the config
 * until fleet_strike(). */
int fleet_revoke(struct fleet *f, const uint8_t agent[16], const char *who, struct err *err);
/**
 * fleet_strike(f, agent, config, len, who, err):
 * Take ${config}, the next epoch signed by the officer: the one before without the key of this
 * revoked agent, nothing else changed; other keys of its drill group stay.  Return as
 * fleet_approve(); also -ERR_USAGE (it is not revoked) and -ERR_NOT_FOUND (no key of it is there).
 * The same config once more is fine.
 */
int fleet_strike(struct fleet *f, const uint8_t agent[16], const void *config, size_t len,
	const char *who, struct err *err);

/* A key of the config by its id: an identity or a drill key, maybe of nobody in the catalog. */
struct fleet_key {
	uint8_t id[32]; /* kid or rkid of docs/FORMAT.md, as 'holdfast key show' lists it */
	bool is_struck; /* an identity that is marked revoked */
	struct catalog_agent agent; /* what of an agent the config tells: role, id and IK, or group
				       and DK; the name is the first digits of the key's id */
};
/* The key whose id, or whose agent's id, begins with ${text}: 8 to 64 hex digits.  Return 0,
 * -ERR_USAGE (no id, or of several) or -ERR_NOT_FOUND. */
int fleet_key_find(
	const struct domain *d, const char *text, struct fleet_key *out, struct err *err);
/**
 * fleet_key_strike(f, id, config, len, who, err):
 * As fleet_strike(), of the key with the id ${id} (64 hex digits) that no agent of the catalog has,
 * or one that is shut out.  Return as fleet_strike(); also -ERR_EXISTS (an agent that is not shut
 * out has it).
 */
int fleet_key_strike(struct fleet *f, const char *id, const void *config, size_t len,
	const char *who, struct err *err);

/**
 * fleet_identify(f, peer, need, out, err):
 * Who calls on the agents' port: its certificate's key is the one in the catalog, it is active and
 * has the role ${need} (0 = any).  Return 0 or -ERR_AUTH.
 */
int fleet_identify(struct fleet *f, const struct http_peer *peer, enum msg_role need,
	struct catalog_agent *out, struct err *err);
/* A new certificate for the same key or another, appended.  ${csr} from the agent itself, ${a} as
 * fleet_identify() told.  Another key counts from its first use on, which strikes the one before:
 * so an answer that was lost locks nobody out.  Return 0, -ERR_CORRUPT (${csr}) or -ERR_AUTH. */
int fleet_renew(struct fleet *f, const struct catalog_agent *a, const char *csr, struct buf *pem,
	struct err *err);

#endif
