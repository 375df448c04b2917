#include "vault/hidden.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/store.h"
#include "tests/lib/locked_vault.h"
#include "vault/id_set.h"
#include "vault/snapshot.h"
#include "vault/version_table.h"

static struct locked_vault l;
static struct err err;

static void setup(void)
{
	locked_vault_init(&l, false);
	for (int i = 0; i < 3; i++)
		cr_assert(eq(int, locked_vault_backup(&l, i, &err), 0), "%s", err.msg);
}

static void teardown(void)
{
	locked_vault_done(&l);
}

TestSuite(hidden, .init = setup, .fini = teardown, .timeout = 120);

/* The name of the snapshot object that is lost; "" = none. */
static void find_lost(char out[256])
{
	struct version_table t;
	struct snapshot_list list;
	struct id_set *pruned = NULL;
	char lost[STORE_MAX_NAME_BYTES + 1];
	cr_assert(eq(int, version_table_load(l.f.store, "sn/", &t, &err), 0), "%s", err.msg);
	cr_assert(eq(int, snapshot_list_all(l.f.vault, NULL, NULL, &list, &err), 0), "%s", err.msg);
	cr_assert(eq(int, hidden_pruned(l.f.vault, NULL, NULL, &pruned, &err), 0), "%s", err.msg);
	cr_assert(eq(int, hidden_lost(l.f.vault, &t, &list, pruned, lost, &err), 0), "%s", err.msg);
	(void)snprintf(out, 256, "%s", lost);
	version_table_done(&t);
	snapshot_list_done(&list);
	id_set_free(pruned);
}

Test(hidden, a_pruned_snapshot_is_not_lost_and_a_deleted_one_is)
{
	char lost[256];
	find_lost(lost);
	cr_expect(eq(str, lost, ""));
	locked_vault_prune(&l);
	find_lost(lost);
	cr_expect(eq(str, lost, ""), "two were pruned");
	const char *key = locked_vault_key(&l, "sn/", 0);
	(void)s3_stub_destroy(l.stub, key, false);
	find_lost(lost);
	cr_expect(eq(str, lost, (char *)(uintptr_t)key + strlen(LOCKED_VAULT_PREFIX)));
}

Test(hidden, one_that_a_repair_brought_back_before_is_lost_too)
{
	char lost[256], key[256];
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "sn/", 0));
	locked_vault_layer(&l, key, false);
	find_lost(lost);
	cr_expect(eq(str, lost, ""));
	(void)s3_stub_destroy(l.stub, key, false);
	find_lost(lost);
	cr_expect(eq(str, lost, key + strlen(LOCKED_VAULT_PREFIX)));
}

Test(hidden, what_never_was_a_snapshot_of_the_vault_is_not_missed)
{
	char lost[256];
	static const char rubbish[] = LOCKED_VAULT_PREFIX
		"sn/000000000001-"
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	s3_stub_put(l.stub, rubbish, "", 0); /* it hashes to its name, and opens with no key */
	(void)s3_stub_destroy(l.stub, rubbish, false);
	s3_stub_put(l.stub, LOCKED_VAULT_PREFIX "sn/x", "y", 1);
	(void)s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX "sn/x", false);
	find_lost(lost);
	cr_expect(eq(str, lost, ""));
}
