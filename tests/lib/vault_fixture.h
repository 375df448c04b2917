/*
 * vault_fixture: a vault in memory for tests, and one call that backs up a table of files.
 */
#ifndef TESTS_LIB_VAULT_FIXTURE_H
#define TESTS_LIB_VAULT_FIXTURE_H

#include "agents/backup.h"
#include "store/fault/store_fault.h"
#include "store/mem/store_mem.h"
#include "store/store.h"
#include "tests/lib/fake_source.h"
#include "vault/session.h"
#include "vault/vault.h"
#include "vault/vault_init.h"

struct fetch;
struct snapshot;

#define VAULT_FIXTURE_PASS "correct horse"
#define VAULT_FIXTURE_LOG2N 4

struct vault_fixture {
	struct store_mem *mem;     /* owned by fault */
	struct store_fault *fault; /* owned by store */
	struct store *store;
	struct vault_init_result keys;
	uint8_t rk_sk[32];
	struct vault *vault;
	struct session_opts host; /* what the host remembers; a test fills it */
};

/* Make a vault with drill group "line3".  Asserts on failure. */
void vault_fixture_init(struct vault_fixture *f);
/* The same in an empty store, which ${f} ends. */
void vault_fixture_init_in(struct vault_fixture *f, struct store *take_store);
void vault_fixture_done(struct vault_fixture *f);

/* Close and open the vault again, as another process would. */
void vault_fixture_reopen(struct vault_fixture *f);

/* Back up the table as source "plant".  Return what backup_run() returns. */
int vault_fixture_backup(struct vault_fixture *f, const struct fake_file *files, size_t count,
	struct backup_result *out, struct err *err);

/* The same through any source and with any options (port, keys, domain, label are filled in). */
int vault_fixture_run(struct vault_fixture *f, struct backup_opts *opts,
	const struct source *source, struct backup_result *out, struct err *err);

/**
 * vault_fixture_differs(store, rk_sk, nth, files, count):
 * Open the vault in ${store} with nothing but the recovery key, read its ${nth} snapshot (from 0)
 * whole and compare it with the table.  Return NULL when equal, else what differs (static text).
 */
const char *vault_fixture_differs(struct store *store, const uint8_t rk_sk[32], size_t nth,
	const struct fake_file *files, size_t count);

/* Open the vault in ${store} with nothing but the recovery key. */
int vault_fixture_open(
	struct store *store, const uint8_t rk_sk[32], struct vault **out, struct err *err);

/* Compare one snapshot of an opened vault with the table.  Return as vault_fixture_differs(). */
const char *vault_fixture_compare(struct vault *vault, struct fetch *fetch,
	const struct snapshot *snap, const uint8_t rk_sk[32], const struct fake_file *files,
	size_t count);

/* The number of snapshots in a store, by the recovery key alone; -1 when it cannot be opened. */
int vault_fixture_snapshots(struct store *store, const uint8_t rk_sk[32]);

/* Problems that a full verification (with content) of the store finds; -1 when it cannot run. */
int vault_fixture_problems(struct store *store, const uint8_t rk_sk[32]);

/* Are all of them zeros? */
bool vault_fixture_is_zero(const uint8_t *data, size_t len);

/* Deterministic noise: ${len} bytes from ${seed}. */
void vault_fixture_noise(uint8_t *out, size_t len, uint64_t seed);

#endif
