/*
 * agent_state: who this agent is: its keys and what the controller gave it, in one file of its
 * state directory (0600, replaced as a whole).  From the first request on everything is kept, so
 * that an enrolment that was cut off goes on.
 */
#ifndef AGENTS_AGENT_STATE_H
#define AGENTS_AGENT_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "msg/msg_enrol.h"

struct err;

#define AGENT_STATE_FILE "identity"

enum agent_stage {
	AGENT_STAGE_NEW = 1, /* keys are made, nobody has answered */
	AGENT_STAGE_WAITING, /* the controller knows us; a person must approve */
	AGENT_STAGE_ENROLLED,
};

struct agent_state {
	enum agent_stage stage;
	struct msg_enrol request;       /* secret, role, name, public keys; without csr */
	struct msg_enrol_answer answer; /* from WAITING on */
	struct msg_keys keys;           /* from ENROLLED on */
	uint8_t ca_hash[32];
	char people[MSG_ADDRESS_BYTES]; /* where to enrol */
	char agents[MSG_ADDRESS_BYTES]; /* where to work, from ENROLLED on */
	uint8_t ik_seed[32], delivery_sk[32], dk_sk[32], report_seed[32], k_fp[32];
	char tls_key[MSG_PEM_BYTES];
	char ca[MSG_PEM_BYTES]; /* from WAITING on */
	char certificate[MSG_PEM_BYTES];
	uint8_t *config; /* owned: newest signed domain config that was checked */
	size_t config_len;
};

/* Make the keys of a new agent for ${token}.  Return 0, -ERR_IO or what the crypto room says. */
int agent_state_make(const struct msg_token *token, enum msg_role role, const char *name,
	struct agent_state *out, struct err *err);
/* Wipe. */
void agent_state_done(struct agent_state *s);

/* Return 0, -ERR_NOT_FOUND (no agent was ever enrolled here), -ERR_AUTH (others may read the file)
 * or -ERR_CORRUPT. */
int agent_state_load(const char *dir, struct agent_state *out, struct err *err);

/**
 * agent_state_lock(dir, fd, err):
 * Be the one agent that runs on ${dir}: two with one identity would take each other's work.  Held
 * until *${fd} (owned) is closed.  One that is ending is waited for, a few seconds.  Return 0,
 * -ERR_BUSY, -ERR_NOT_FOUND (no such directory) or -ERR_IO.
 */
int agent_state_lock(const char *dir, int *fd, struct err *err);
/* ${dir} is made (0700) when it is missing.  Return 0 or as atomic_file_write(). */
int agent_state_save(const char *dir, const struct agent_state *s, struct err *err);
/* Take over a newer signed config; an older one is -ERR_ROLLBACK, the same does nothing.  Checks
 * officer and form.  *${is_new} tells whether there is something to save. */
int agent_state_take_config(
	struct agent_state *s, const uint8_t *config, size_t len, int *is_new, struct err *err);

#endif
