/*
 * fleet: who the agents are: tokens, enrolment, approval, certificates, revocation.
 * Knows: the CA, the domain config.  Hides: how a certificate is checked against the catalog.
 * The officer's key is never here: a new config comes signed from outside and is only checked.
 * One thread (the loop's).
 */
#ifndef CONTROLLER_FLEET_H
#define CONTROLLER_FLEET_H

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
	struct db *db;                       /* borrowed, as all here */
	const struct controller_keys *keys;
	const char *ca_pem, *ca_key_pem;
	const char *agents_address, *people_address;
	/* Put a signed config on the store as a new cf/ object; returns when it is durable. */
	int (*put_config)(void *arg, const void *config, size_t len, struct err *err);
	void *arg;
};
int fleet_new(const struct fleet_opts *opts, const void *config, size_t config_len,
	struct fleet **out, struct err *err);
void fleet_free(struct fleet *f);

/* The newest signed config and its decoded form; borrowed until the next approval. */
const void *fleet_config(const struct fleet *f, size_t *len);
const struct domain *fleet_domain(const struct fleet *f);

/* A token for ${role}; ${name} "" = the agent names itself; ${group}: the drill group of a sandbox.
 * Return 0, -ERR_USAGE (a name) or -ERR_EXISTS (the name is taken). */
int fleet_token(struct fleet *f, enum msg_role role, const char *name, const char *group,
	int64_t ttl_ms, char out[MSG_TOKEN_TEXT_BYTES], struct err *err);

/* POST /v1/enrol.  -ERR_AUTH: no such token, spent by other keys, past its time, wrong role or
 * name; the text that goes out never says which, the audit record does. */
int fleet_enrol(struct fleet *f, const struct msg_enrol *m, const char *address,
	struct msg_enrol_answer *out, struct err *err);
/* POST /v1/enrol/collect.  Return 0, -ERR_BUSY (not approved yet) or -ERR_AUTH. */
int fleet_collect(struct fleet *f, const struct msg_collect *m, struct msg_enrol_grant *out,
	struct err *err);

/**
 * fleet_approve(f, agent, config, len, who, err):
 * Take ${config}, the next epoch signed by the officer: it must be the one before plus exactly
 * this agent's IK (capture) or its group's DK (sandbox), nothing else changed.
 * Return 0, -ERR_CONFIG (what differs), -ERR_AUTH (the officer), -ERR_BUSY (another epoch came
 * first: fetch and sign again) or -ERR_NOT_FOUND.
 */
int fleet_approve(struct fleet *f, const uint8_t agent[16], const void *config, size_t len,
	const char *who, struct err *err);
/* The config an officer is to sign for ${agent}: decoded from ${config}, one epoch on, with its key
 * added.  Used by whoever approves, off the controller. */
int fleet_next_config(const void *config, size_t len, const uint8_t officer_pk[32],
	const struct catalog_agent *agent, struct domain *out, struct err *err);
/* At once.  Its key stays in the config, so that its snapshots stay readable. */
int fleet_revoke(struct fleet *f, const uint8_t agent[16], const char *who, struct err *err);

/**
 * fleet_identify(f, peer, need, out, err):
 * Who calls on the agents' port: its certificate's key is the one in the catalog, it is active and
 * has the role ${need} (0 = any).  Return 0 or -ERR_AUTH.
 */
int fleet_identify(struct fleet *f, const struct http_peer *peer, enum msg_role need,
	struct catalog_agent *out, struct err *err);
/* A new certificate for the same key or another.  ${csr} from the agent itself. */
int fleet_renew(struct fleet *f, const struct catalog_agent *a, const char *csr, struct buf *pem,
	struct err *err);

#endif
