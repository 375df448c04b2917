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

void domain_done(struct domain *d);
int domain_add_agent(
	struct domain *d, const uint8_t agent_id[16], const uint8_t ik_pk[32], struct err *err);
/* The identity whose kid is ${kid}, or NULL; borrowed. */
const struct domain_agent *domain_find_kid(const struct domain *d, const uint8_t kid[32]);
/* Append the signed body. */
int domain_encode(
	const struct domain *d, const uint8_t officer_seed[32], struct buf *out, struct err *err);
/* Check form and that an officer of ${trusted} (NULL: of the config itself) signed it. */
int domain_decode(const uint8_t *data, size_t len, const uint8_t *trusted_officer_pk,
	struct domain *out, struct err *err);

#endif
