/*
 * collect_days: a plant over some days whose vault is collected, under a clock of its own.  Asserts
 * on failure unless it returns an error.
 */
#ifndef TESTS_LIB_COLLECT_DAYS_H
#define TESTS_LIB_COLLECT_DAYS_H

#include <stddef.h>
#include <stdint.h>

#include "tests/lib/vault_fixture.h"
#include "vault/collect.h"

#define S INT64_C(1000000000)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)
#define BIG 300000

extern struct vault_fixture collect_days_vault;
extern struct collect_sights collect_days_sights;
/* Four states of a plant: what is big in one of them is waste when it is gone. */
extern struct fake_file collect_days_tree[4][5];
extern size_t collect_days_files[4];

/* A file of ${len} bytes of ${data}, which stays borrowed. */
struct fake_file collect_days_file(const char *path, const void *data, size_t len, int64_t mtime);

void collect_days_setup(void);
void collect_days_teardown(void);
int64_t collect_days_now(void); /* ns */
void collect_days_pass(int64_t ns);

/* Back up state ${n} a second later. */
int collect_days_backup(int n, struct backup_result *r);
/* Prune all but the newest ${keep}. */
int collect_days_prune(size_t keep, struct err *err);
int collect_days_collect(struct collect_result *r, int64_t grace_ns, struct err *err);
/* As if every pack that is there had been put off, and the sessions of then were over: what follows
 * condemns also what an open session may be about to need. */
int collect_days_put_off_all(struct err *err);
int collect_days_count(struct store *s, const char *prefix);
/* NULL, or how snapshot ${nth} differs from state ${n}. */
const char *collect_days_differs(struct store *s, int nth, int n);

#endif
