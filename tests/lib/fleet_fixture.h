/*
 * fleet_fixture: a fleet over an empty catalog, its CA, its officer, and agents that ask.
 */
#ifndef TESTS_LIB_FLEET_FIXTURE_H
#define TESTS_LIB_FLEET_FIXTURE_H

#include <stdint.h>

#include "base/buf.h"
#include "controller/audit.h"
#include "controller/controller_keys.h"
#include "controller/fleet.h"
#include "net/http_server.h"
#include "tests/lib/catalog_fixture.h"

struct fleet_fixture {
	struct catalog_fixture catalog;
	struct controller_keys keys;
	uint8_t officer_seed[32];
	struct buf ca, ca_key; /* PEM, as C strings */
	struct fleet *fleet;
	struct buf config; /* the newest on the "store" */
	int puts;          /* how many were put */
	int put_rc;        /* what the next put gives */
};

/* One that enrols: its secrets and its request. */
struct fleet_fixture_agent {
	uint8_t ik_seed[32], delivery_sk[32];
	char key_pem[1024];
	struct msg_enrol m;
	uint8_t id[16];
};

/* All assert on failure.  The config begins with epoch 1, a recovery key, the officer, and a key of
 * the drill group "line3". */
void fleet_fixture_init(struct fleet_fixture *f);
void fleet_fixture_done(struct fleet_fixture *f);
/* As another start of the controller: the catalog, and the config on the store. */
void fleet_fixture_reopen(struct fleet_fixture *f);

/* Make keys and a request with the secret of the token ${text}. */
void fleet_fixture_agent(
	enum msg_role role, const char *name, const char *text, struct fleet_fixture_agent *out);
/* Make a token for the role and name, and enrol with it; a sandbox is of group "line3". */
void fleet_fixture_enrol(struct fleet_fixture *f, enum msg_role role, const char *name,
	struct fleet_fixture_agent *out);
/* Append the config that the officer signs for an agent. */
void fleet_fixture_sign(
	struct fleet_fixture *f, enum fleet_change change, const uint8_t id[16], struct buf *out);
/* Enrol and approve. */
void fleet_fixture_approve(struct fleet_fixture *f, enum msg_role role, const char *name,
	struct fleet_fixture_agent *out);
/* Who calls with the first key of an agent. */
void fleet_fixture_peer(const struct fleet_fixture_agent *a, struct http_peer *out);
/* The newest audit record. */
struct audit_record fleet_fixture_audit(struct fleet_fixture *f);
/* Move the clock of the program. */
void fleet_fixture_clock(int64_t ahead_ms);

#endif
