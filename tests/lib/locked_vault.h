/*
 * locked_vault: a vault in a bucket of the stub, with versions and Object Lock, and what happens to
 * it.  Asserts on failure unless it returns an error.
 */
#ifndef TESTS_LIB_LOCKED_VAULT_H
#define TESTS_LIB_LOCKED_VAULT_H

#include "tests/lib/s3_stub.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect.h"

#define LOCKED_VAULT_PREFIX "plant/"
#define LOCKED_VAULT_KEEP_S 864000 /* 10 d; objects are put with twice that */

struct locked_vault {
	struct s3_stub *stub;
	struct vault_fixture f;
	struct collect_sights sights;
};

/* With the policy compliance:10d, or with none. */
void locked_vault_init(struct locked_vault *l, bool has_policy);
void locked_vault_done(struct locked_vault *l);
/* Its store once more, as another process would open it; the caller frees. */
struct store *locked_vault_store(struct locked_vault *l, bool is_oldest);
/* Back up one file of noise that is another for each ${n}, beside one that stays. */
int locked_vault_backup(struct locked_vault *l, int n, struct err *err);
/* NULL, or how snapshot ${nth} of the store differs from backup ${n}. */
const char *locked_vault_differs(struct locked_vault *l, struct store *s, size_t nth, int n);
/* Prune all but the newest. */
void locked_vault_prune(struct locked_vault *l);
int locked_vault_collect(
	struct locked_vault *l, int64_t grace_ns, struct collect_result *r, struct err *err);
/* The name of an object that begins with ${prefix}, the ${nth}, as a key of the stub.  Static. */
const char *locked_vault_key(struct locked_vault *l, const char *prefix, size_t nth);
/* Let an object be as a repair leaves it: the oldest version damaged, the right one over it and a
 * marker; with ${is_attacked} somebody put the damaged one on top again. */
void locked_vault_layer(struct locked_vault *l, const char *key, bool is_attacked);
size_t locked_vault_count(struct locked_vault *l, const char *prefix);

#endif
