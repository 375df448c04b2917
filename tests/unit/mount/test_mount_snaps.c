#include "mount/mount_snaps.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/mount_fixture.h"
#include "vault/record_cache.h"

static struct mount_fixture f;
static struct err err;

static void teardown(void)
{
	mount_fixture_done(&f);
}

TestSuite(mount_snaps, .fini = teardown);

static size_t count(void)
{
	struct mount_snap **list = NULL;
	size_t n = 0;
	cr_assert(eq(int, mount_snaps_list(f.snaps, &list, &n, &err), 0));
	free(list);
	return n;
}

Test(mount_snaps, new_snapshots_are_seen_when_somebody_looks_again)
{
	mount_fixture_init(&f, "plant", RECORD_CACHE_DEFAULT_BYTES);
	struct mount_snap *first = mount_fixture_snap(&f);
	cr_expect(eq(sz, count(), 1));
	cr_expect(eq(sz, strlen(first->id), 8));
	mount_fixture_again(&f, "plant");
	cr_expect(eq(sz, count(), 1));
	cr_assert(eq(int, mount_snaps_renew(f.snaps, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, count(), 2));
	cr_expect(mount_fixture_snap(&f) == first, "it is where it was");
	struct mount_snap **list = NULL;
	size_t n = 0;
	cr_assert(eq(int, mount_snaps_list(f.snaps, &list, &n, &err), 0));
	cr_expect(eq(int, mount_snaps_open(f.snaps, list[1], &err), 0), "%s", err.msg);
	cr_expect(ne(int, strcmp(list[0]->time, list[1]->time), 0), "two in one second");
	cr_expect(eq(int, strncmp(list[0]->time, "20", 2), 0));
	free(list);
}

Test(mount_snaps, who_looks_all_the_time_reads_the_store_once_a_second)
{
	mount_fixture_init(&f, "plant", RECORD_CACHE_DEFAULT_BYTES);
	store_fault_reset(f.vault.fault);
	for (int i = 0; i < 100; i++)
		cr_assert(eq(int, mount_snaps_renew(f.snaps, &err), 0));
	cr_expect(eq(u64, store_fault_count(f.vault.fault, STORE_FAULT_ANY), 0));
	mount_fixture_again(&f, "plant");
	store_fault_reset(f.vault.fault);
	store_fault_fail(f.vault.fault, STORE_FAULT_LIST, 1, 1, ERR_UNREACHABLE);
	cr_expect(eq(int, mount_snaps_renew(f.snaps, &err), -ERR_UNREACHABLE));
	cr_expect(eq(sz, count(), 1), "what was known stays");
	cr_expect(eq(int, mount_snaps_renew(f.snaps, &err), 0), "and it is tried again at once");
	cr_expect(eq(sz, count(), 2));
}

Test(mount_snaps, names_of_sources_become_names_of_directories)
{
	mount_fixture_init(&f, "host:/srv/a%b", RECORD_CACHE_DEFAULT_BYTES);
	cr_expect(eq(str, mount_fixture_snap(&f)->dir, (char *)"host:%2Fsrv%2Fa%25b"));
	cr_expect(eq(str, mount_fixture_snap(&f)->source, (char *)"host:/srv/a%b"));
	mount_fixture_done(&f);
	mount_fixture_init(&f, "..", RECORD_CACHE_DEFAULT_BYTES);
	cr_expect(eq(str, mount_fixture_snap(&f)->dir, (char *)"%2E%2E"));
	mount_fixture_done(&f);
	char longest[1001];
	memset(longest, 'x', 1000);
	longest[1000] = '\0';
	mount_fixture_init(&f, longest, RECORD_CACHE_DEFAULT_BYTES);
	cr_expect(eq(sz, strlen(mount_fixture_snap(&f)->dir), 255));
}

Test(mount_snaps, one_source_is_shown_alone)
{
	struct mount_snaps *one = NULL;
	mount_fixture_init(&f, "plant", RECORD_CACHE_DEFAULT_BYTES);
	mount_fixture_again(&f, "lab");
	struct mount_snaps_opts opts = { .vault = f.vault.vault,
		.sk = f.vault.rk_sk,
		.source = "lab",
		.cache_bytes = RECORD_CACHE_DEFAULT_BYTES };
	cr_assert(eq(int, mount_snaps_new(&opts, &one, &err), 0));
	cr_assert(eq(int, mount_snaps_renew(one, &err), 0));
	struct mount_snap **list = NULL;
	size_t n = 0;
	cr_assert(eq(int, mount_snaps_list(one, &list, &n, &err), 0));
	cr_expect(eq(sz, n, 1));
	cr_expect(eq(str, list[0]->source, (char *)"lab"));
	free(list);
	mount_snaps_free(one);
}

Test(mount_snaps, a_key_that_opens_nothing_is_told_when_a_snapshot_is_opened)
{
	const uint8_t other[32] = { 8, 8, 8 };
	struct mount_snaps *blind = NULL;
	struct mount_snap **list = NULL;
	size_t n = 0;
	mount_fixture_init(&f, "plant", RECORD_CACHE_DEFAULT_BYTES);
	struct mount_snaps_opts opts = {
		.vault = f.vault.vault, .sk = other, .cache_bytes = RECORD_CACHE_DEFAULT_BYTES
	};
	cr_assert(eq(int, mount_snaps_new(&opts, &blind, &err), 0));
	cr_assert(eq(int, mount_snaps_renew(blind, &err), 0));
	cr_assert(eq(int, mount_snaps_list(blind, &list, &n, &err), 0));
	cr_expect(eq(int, mount_snaps_open(blind, list[0], &err), -ERR_AUTH));
	free(list);
	mount_snaps_free(blind);
}
