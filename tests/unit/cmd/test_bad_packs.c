#include "cmd/bad_packs.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "restore/erase_tree.h"
#include "vault/id_set.h"

static char base[64];
static char dir[128];
static char path[160];
static struct err err;

static void setup(void)
{
	(void)snprintf(base, sizeof(base), "/tmp/test-bad-packs.XXXXXX");
	cr_assert(mkdtemp(base) != NULL);
	(void)snprintf(dir, sizeof(dir), "%s/state", base);
	(void)snprintf(path, sizeof(path), "%s/bad-packs", dir);
	err_clear(&err);
}

static void teardown(void)
{
	cr_expect(eq(int, erase_tree_run(AT_FDCWD, base, NULL, NULL), 0));
}

TestSuite(bad_packs, .init = setup, .fini = teardown);

Test(bad_packs, what_is_stored_is_loaded_and_an_empty_list_forgets)
{
	uint8_t hashes[2][32] = { { 1 }, { 2 } };
	uint8_t other[32] = { 3 };
	struct id_set *set = NULL;
	cr_assert(eq(int, bad_packs_load(dir, &set, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, id_set_count(set), 0));
	id_set_free(set);
	cr_assert(eq(int, bad_packs_store(dir, NULL, 0, &err), 0), "%s", err.msg);
	cr_expect(ne(int, access(path, F_OK), 0));

	cr_assert(eq(int, bad_packs_store(dir, hashes, 2, &err), 0), "%s", err.msg);
	cr_assert(eq(int, bad_packs_load(dir, &set, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, id_set_count(set), 2));
	cr_expect(eq(u32, id_set_find(set, hashes[1]), 1));
	cr_expect(eq(u32, id_set_find(set, other), 0));
	id_set_free(set);
	cr_assert(eq(int, bad_packs_store(dir, NULL, 0, &err), 0), "%s", err.msg);
	cr_assert(eq(int, bad_packs_load(dir, &set, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, id_set_count(set), 0));
	id_set_free(set);
}

Test(bad_packs, a_file_that_is_no_list_is_named)
{
	static const char *const bad[] = { "", "x", "holdfast-bad-packs 2\n",
		"holdfast-bad-packs 1\nab\n",
		"holdfast-bad-packs 1\n"
		"zz00000000000000000000000000000000000000000000000000000000000000\n" };
	uint8_t hashes[1][32] = { { 1 } };
	cr_assert(eq(int, bad_packs_store(dir, hashes, 1, &err), 0), "%s", err.msg);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct id_set *set = NULL;
		FILE *f = fopen(path, "we");
		cr_assert(f != NULL);
		(void)fputs(bad[i], f);
		(void)fclose(f);
		cr_expect(eq(int, bad_packs_load(dir, &set, &err), -ERR_CORRUPT), "%s", bad[i]);
		cr_expect(eq(ptr, set, NULL));
		cr_expect(strstr(err.hint, "verify") != NULL);
	}
}
