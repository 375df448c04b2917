/*
 * fleet_internal: what the files of the fleet share.
 */
#ifndef CONTROLLER_FLEET_INTERNAL_H
#define CONTROLLER_FLEET_INTERNAL_H

#include "base/buf.h"
#include "controller/audit.h"
#include "controller/fleet.h"
#include "vault/domain.h"

#define FLEET_MAX_CONFIG ((size_t)1 << 20)
#define FLEET_ID_HEX 33
#define FLEET_WHO_BYTES 96

struct fleet {
	struct fleet_opts o;
	uint8_t ca_hash[32];  /* SHA-256 of the CA's public key */
	struct buf config;    /* signed */
	struct domain domain; /* what it says */
	struct audit_some refusals;
};

int64_t fleet_now_ms(void);

/* An audit record of a refusal; strangers can make many, so only some of a minute are written, and
 * the number of the rest with the first of the next.  Errors of the catalog are not told: the
 * refusal stands. */
void fleet_note_refusal(struct fleet *f, const char *who, const char *address, const char *action,
	const char *object, const char *detail);

/* Write the agent as changed, and who did what to it, in one transaction. */
int fleet_keep_agent(struct fleet *f, const struct catalog_agent *a, const char *who,
	const char *action, const char *detail, struct err *err);

/* Whether the agent was given a certificate within the last minute. */
bool fleet_is_given_again(const struct catalog_agent *a);

/* Append a certificate of the agent for the key of ${csr}; *${until_s}: the end of its time. */
int fleet_issue(const struct fleet *f, const struct catalog_agent *a, const char *csr,
	struct buf *pem, int64_t *until_s, struct err *err);

/* ---- fleet_approve.c ---- */

/* Check that ${config} is the next one and says ${change} of ${a} and nothing else; put it on the
 * store; from then on it is the one that counts.  Errors: fleet_approve(), fleet_strike(). */
int fleet_approve_install(struct fleet *f, enum fleet_change change, const struct catalog_agent *a,
	const void *config, size_t len, struct err *err);

/* ---- fleet_next_config.c ---- */

/* What must follow ${now} when ${agent} is approved, or its key struck; errors as
 * fleet_next_config().  ${out} is ended by domain_done(). */
int fleet_next_config_make(const struct domain *now, enum fleet_change change,
	const struct catalog_agent *agent, struct domain *out, struct err *err);
/* Whether the agent's key is in the config, as its own and not revoked. */
bool fleet_next_config_has(const struct domain *d, const struct catalog_agent *agent);
/* Compare member by member.  Return 0 or -ERR_CONFIG (what differs). */
int fleet_next_config_check(
	const struct domain *wanted, const struct domain *given, struct err *err);

#endif
