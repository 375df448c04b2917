/*
 * domain: the signed domain config, body of a cf/ object (docs/FORMAT.md): agents' identities,
 * recovery keys, drill groups, officers; one epoch after the other, signed by an officer.
 */
#ifndef VAULT_DOMAIN_H
#define VAULT_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define DOMAIN_MAX_AGENTS 4096
#define DOMAIN_MAX_KEYS 64
#define DOMAIN_NAME_BYTES 64

struct domain_agent {
	uint8_t agent_id[16];
	uint8_t ik_pk[32];
	uint8_t kid[32]; /* of ik_pk; not stored */
	bool is_revoked;
};

struct domain_group {
	char name[DOMAIN_NAME_BYTES]; /* drill group, [a-z0-9-]+ */
	uint8_t dk_pk[32];
};

struct domain {
	uint32_t epoch;
	uint8_t domain_id[16];
	struct domain_agent *agents; /* owned */
	size_t agent_count;
	struct domain_group groups[DOMAIN_MAX_KEYS];
	size_t group_count;
	uint8_t recovery_pk[DOMAIN_MAX_KEYS][32];
	size_t recovery_count;
	uint8_t officer_pk[DOMAIN_MAX_KEYS][32];
	size_t officer_count;
};

/* A domain begins as { 0 }; this frees what it grew and leaves that again. */
void domain_done(struct domain *d);
/* True if an identity of the agent is in the config and not revoked. */
bool domain_has_active(const struct domain *d, const uint8_t agent_id[16]);
/* Return 0, -ERR_LIMIT, -ERR_NOMEM or -ERR_EXISTS (the identity key is there already). */
int domain_add_agent(
	struct domain *d, const uint8_t agent_id[16], const uint8_t ik_pk[32], struct err *err);
/* The identity whose kid is ${kid}, revoked or not, or NULL; borrowed until the next add. */
const struct domain_agent *domain_find_kid(const struct domain *d, const uint8_t kid[32]);
/* Append the signed body.  Return 0, -ERR_AUTH (the officer is none of the config's), -ERR_USAGE (a
 * group's name) or -ERR_LIMIT. */
int domain_encode(
	const struct domain *d, const uint8_t officer_seed[32], struct buf *out, struct err *err);
/**
 * domain_decode(data, len, trusted_officer_pk, out, err):
 * Check the signature, that one of the config's own officers made it, and, unless
 * ${trusted_officer_pk} is NULL, that it is this one; then the form.  ${out} is filled anew: end it
 * with domain_done().  Return 0, -ERR_CORRUPT, -ERR_AUTH (another officer), -ERR_UNSUPPORTED
 * or -ERR_LIMIT (more than a config may hold).
 */
int domain_decode(const uint8_t *data, size_t len, const uint8_t *trusted_officer_pk,
	struct domain *out, struct err *err);

#endif
