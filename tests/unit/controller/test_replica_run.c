#include "controller/replica_run.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "controller/replica_conf.h"
#include "restore/erase_tree.h"
#include "store/store.h"
#include "tests/lib/gateway_fixture.h"
#include "vault/snapshot.h"
#include "vault/vault.h"
#include "vault/verify.h"

static struct gateway_fixture f;
static char place[80];
static struct replica_conf replica;
static struct replica_run_opts opts;
static struct replica_run_result result;
static struct err err;
static uint64_t last_done, last_total;
static int stop_after; /* 0 = never */

static bool is_stopped(void *arg)
{
	(void)arg;
	return stop_after > 0 && --stop_after == 0;
}

static void on_progress(void *arg, uint64_t done, uint64_t total, uint64_t bytes)
{
	(void)arg;
	(void)bytes;
	last_done = done;
	last_total = total;
}

static void setup(void)
{
	gateway_fixture_init(&f);
	(void)snprintf(place, sizeof(place), "%s.replica", f.dir); /* fits */
	replica = (struct replica_conf){ .name = (char *)"cellar", .place = place };
	opts = (struct replica_run_opts){
		.replica = &replica, .is_stopped = is_stopped, .on_progress = on_progress
	};
	err_clear(&err);
	stop_after = 0;
}

static void teardown(void)
{
	(void)erase_tree_run(AT_FDCWD, place, NULL, NULL); /* may not be there */
	gateway_fixture_done(&f);
}

TestSuite(replica_run, .init = setup, .fini = teardown);

static void back_up(const char *source)
{
	static int n;
	static char text[200000];
	struct backup_result r;
	n++;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * i / 7 + (size_t)n * i);
	const struct fake_file file = { .path = "a.evt",
		.kind = ENTRY_FILE,
		.data = (const uint8_t *)text,
		.len = sizeof(text),
		.mtime_s = n };
	cr_assert(
		eq(int, gateway_fixture_direct(&f, source, &file, 1, &r, &err), 0), "%s", err.msg);
}

static int go(void)
{
	err_clear(&err);
	return replica_run_do(&f.vault, &opts, &result, &err);
}

static void no_finding(void *arg, const struct verify_finding *x)
{
	(void)arg;
	cr_expect(x->is_warning, "%s: %s", x->object, x->what);
}

/* How many snapshots the replica has, all of it verified. */
static size_t snapshots(void)
{
	struct store *store = NULL;
	struct vault *vault = NULL;
	struct snapshot_list list;
	struct verify_result v;
	const struct verify_opts how = { .on_finding = no_finding };
	const struct gateway_place p = { .location = place };
	cr_assert(eq(int, f.vault.open_place(f.vault.arg, &p, &store, &err), 0), "%s", err.msg);
	cr_assert(eq(int, gateway_vault_open_on(&f.vault, store, &vault, &err), 0), "%s", err.msg);
	cr_assert(eq(int, snapshot_list(vault, NULL, NULL, &list, &err), 0));
	cr_expect(eq(int, verify_run(vault, &how, &v, &err), 0), "%s", err.msg);
	const size_t n = list.count;
	snapshot_list_done(&list);
	vault_close(vault);
	store_free(store);
	return n;
}

Test(replica_run, begins_only_when_asked_brings_what_is_wanted_and_sends_nothing_twice)
{
	back_up("a");
	back_up("a");
	back_up("b");
	cr_expect(eq(int, go(), -ERR_NOT_FOUND));
	cr_expect(ne(ptr, strstr(err.msg, "replica 'cellar'"), NULL), "%s", err.msg);
	cr_expect(ne(ptr, strstr(err.hint, "--begin"), NULL), "%s", err.hint);
	char *only[] = { (char *)"a" };
	opts.is_begun_here = true;
	replica.sources = only;
	replica.source_count = 1;
	replica.newest = 1;
	cr_assert(eq(int, go(), 0), "%s", err.msg);
	cr_expect(eq(u64, result.snapshots, 1));
	cr_expect(ge(u64, result.bytes, 1));
	cr_expect(ge(u64, result.read_back, result.bytes + 1));
	cr_expect(eq(u64, last_done, last_total));
	cr_expect(eq(sz, snapshots(), 1));
	opts.is_begun_here = false;
	replica.source_count = 0;
	replica.newest = 0;
	cr_assert(eq(int, go(), 0), "%s", err.msg);
	cr_expect(eq(u64, result.there, 1));
	cr_expect(eq(sz, snapshots(), 3));
	cr_assert(eq(int, go(), 0), "%s", err.msg);
	cr_expect(eq(u64, result.there, 3));
	cr_expect(eq(u64, result.bytes, 0));
}

Test(replica_run, one_that_is_stopped_is_gone_on_with)
{
	for (int i = 0; i < 3; i++)
		back_up("a");
	opts.is_begun_here = true;
	int tries = 0;
	do {
		stop_after = 30 + 10 * tries;
		if (++tries == 100)
			break;
	} while (go() == -ERR_INTERRUPTED);
	cr_expect(ge(int, tries, 3));
	cr_expect(eq(int, err.code, 0), "%s", err.msg);
	stop_after = 0;
	cr_assert(eq(int, go(), 0), "%s", err.msg);
	cr_expect(eq(sz, snapshots(), 3));
}

Test(replica_run, another_vault_there_is_refused)
{
	struct gateway_fixture other;
	back_up("a");
	gateway_fixture_init(&other);
	replica.place = other.dir;
	cr_expect(eq(int, go(), -ERR_AUTH));
	gateway_fixture_done(&other);
	f.vault.open_place = NULL;
	cr_expect(eq(int, go(), -ERR_UNSUPPORTED));
}

/* The place is another path to it. */
Test(replica_run, the_vault_is_not_its_own_replica)
{
	back_up("a");
	cr_assert(eq(int, symlink(f.dir, place), 0));
	cr_expect(eq(int, go(), -ERR_USAGE));
	cr_expect(ne(ptr, strstr(err.msg, "the vault itself"), NULL), "%s", err.msg);
	cr_expect(eq(int, unlink(place), 0));
}
