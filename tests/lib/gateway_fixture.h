/*
 * gateway_fixture: a vault in a scratch directory with what a controller holds of it, and a capture
 * agent that backs up a table of files through any port.
 */
#ifndef TESTS_LIB_GATEWAY_FIXTURE_H
#define TESTS_LIB_GATEWAY_FIXTURE_H

#include "agents/backup.h"
#include "controller/controller_keys.h"
#include "controller/gateway_vault.h"
#include "tests/lib/fake_source.h"
#include "vault/vault_init.h"

struct gateway_fixture {
	char dir[64];
	uint8_t rk_sk[32];
	struct vault_init_result init; /* init.dk_sk opens drill group "line3" */
	struct keyring_writer agent;   /* k_vault wiped: as an agent holds it */
	struct controller_keys keys;
	struct gateway_vault vault;
	struct domain domain;
	const struct domain *newest; /* at commits; NULL = domain */
	int opened;                  /* stores opened so far */
};

void gateway_fixture_init(struct gateway_fixture *f);
void gateway_fixture_done(struct gateway_fixture *f);

/* Back up the table as ${source} through ${port}. */
int gateway_fixture_backup(struct gateway_fixture *f, const struct port *port, const char *source,
	const struct fake_file *files, size_t count, struct backup_result *out, struct err *err);

/* The same through a gateway_session of its own, called directly. */
int gateway_fixture_direct(struct gateway_fixture *f, const char *source,
	const struct fake_file *files, size_t count, struct backup_result *out, struct err *err);

#endif
