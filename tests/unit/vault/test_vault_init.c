#include "vault/vault_init.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/s3/store_s3.h"
#include "store/store.h"
#include "tests/lib/locked_vault.h"

static struct err err;

TestSuite(vault_init, .timeout = 120);

static int make(struct store *s)
{
	const struct vault_init_opts opts = { .pass = "pass", .pass_len = 4, .scrypt_log2n = 10 };
	struct vault_init_result r;
	return vault_init(s, &opts, &r, &err);
}

Test(vault_init, where_a_vault_was_deleted_by_name_none_is_made_and_it_comes_back)
{
	struct locked_vault l;
	locked_vault_init(&l, false);
	cr_assert(eq(int, locked_vault_backup(&l, 0, &err), 0), "%s", err.msg);
	(void)s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX, false);
	size_t before = s3_stub_versions(l.stub);
	struct store *s = locked_vault_store(&l, false);
	size_t opened = s3_stub_versions(l.stub); /* the driver's notes */
	cr_expect(le(sz, before, opened));
	cr_expect(eq(int, make(s), -ERR_EXISTS));
	cr_expect(ne(ptr, strstr(err.msg, "was deleted"), NULL), "%s", err.msg);
	cr_expect(ne(ptr, strstr(err.hint, "vault undelete"), NULL), "%s", err.hint);
	cr_expect(eq(sz, s3_stub_versions(l.stub), opened), "nothing was put, nothing purged");
	store_free(s);
	s = locked_vault_store(&l, true);
	const char *differs = locked_vault_differs(&l, s, 0, 0);
	cr_expect(eq(ptr, (void *)(uintptr_t)differs, NULL), "%s", differs);
	store_free(s);
	locked_vault_done(&l);
}

Test(vault_init, what_is_taken_away_again_leaves_what_lay_below_it)
{
	const struct s3_stub_kind kind = { .has_versions = true };
	const struct store_s3_opts opts = { .create = true };
	struct store *s = NULL;
	char place[128];
	bool is_there = true;
	s3_stub_environment();
	struct s3_stub *stub = s3_stub_new(&kind);
	(void)snprintf(place, sizeof(place), "http://127.0.0.1:%d/" S3_STUB_BUCKET "/plant",
		s3_stub_port(stub));
	s3_stub_put(stub, LOCKED_VAULT_PREFIX "README.txt", "another's", 9);
	s3_stub_put(stub, LOCKED_VAULT_PREFIX "hs/00", "another's", 9);
	(void)s3_stub_destroy(stub, LOCKED_VAULT_PREFIX, false);
	cr_assert(eq(int, store_s3_open(place, &opts, &s, &err), 0), "%s", err.msg);
	size_t before = s3_stub_versions(stub);
	cr_assert(eq(int, make(s), 0), "%s", err.msg);
	cr_expect(ge(sz, s3_stub_versions(stub), (before + 4) + 1));
	vault_init_undo(s);
	cr_expect(eq(sz, s3_stub_versions(stub), before), "all that was put, and no more");
	cr_assert(eq(int, store_has_any(s, "", &is_there, &err), 0), "%s", err.msg);
	cr_expect(not(is_there));
	store_free(s);
	s3_stub_free(stub);
}
