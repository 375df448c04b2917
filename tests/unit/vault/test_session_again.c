/* Sessions that store anew what is gone or rotten, and nothing that is there. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "tests/lib/vault_fixture.h"
#include "vault/fetch.h"
#include "vault/id_set.h"
#include "vault/index.h"
#include "vault/record.h"
#include "vault/session.h"
#include "vault/snapshot.h"

static struct vault_fixture f;

static void setup(void)
{
	vault_fixture_init(&f);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(session_again, .init = setup, .fini = teardown);

static const uint8_t small[] = "batch 4711 complete\n";
static const uint8_t other[] = "batch 4712 complete\n";

static const struct fake_file day1[] = {
	{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "plant/a.evt",
		.kind = ENTRY_FILE,
		.data = small,
		.len = sizeof(small),
		.mtime_s = 5 },
	{ .path = "plant/b.evt",
		.kind = ENTRY_FILE,
		.data = other,
		.len = sizeof(other),
		.mtime_s = 6 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int remove_object(void *arg, const char *name, uint64_t size)
{
	struct err err = ERR_INIT;
	(void)size;
	return store_remove(arg, name, &err);
}

Test(session_again, records_whose_pack_is_gone_are_stored_anew)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_list(f.store, "pk/", remove_object, f.store, &err), 0));
	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);
	cr_expect(ge(u64, r.sent_data_records, 1));
	const char *why = vault_fixture_differs(f.store, f.rk_sk, 1, day1, COUNT(day1));
	cr_expect(eq(ptr, (void *)why, NULL), "%s", why);
}

struct packs_seen {
	size_t count;
	uint64_t bytes;
};

static int see_pack(void *arg, const char *name, uint64_t size)
{
	struct packs_seen *s = arg;
	(void)name;
	s->count++;
	s->bytes += size;
	return 0;
}

/* As kill -9 leaves it: packs, durable with the last barrier, and nothing that tells of them. */
Test(session_again, what_one_that_broke_off_has_stored_is_not_stored_twice)
{
	static uint8_t noise[3000000];
	const struct fake_file files[] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = noise, .len = sizeof(noise) },
		{ .path = "b", .kind = ENTRY_FILE, .data = small, .len = sizeof(small) },
	};
	struct err err = ERR_INIT;
	struct backup_result r;
	struct packs_seen before = { .count = 0 }, after = { .count = 0 };
	vault_fixture_noise(noise, sizeof(noise), 5);
	cr_assert(eq(int, vault_fixture_backup(&f, files, COUNT(files), &r, &err), 0));
	static const char *const rest[] = { "sn/", "ev/", "rf/", "ix/", "se/" };
	for (size_t i = 0; i < COUNT(rest); i++)
		cr_assert(eq(int, store_list(f.store, rest[i], remove_object, f.store, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	cr_assert(eq(int, store_list(f.store, "pk/", see_pack, &before, &err), 0));
	cr_assert(ge(u64, before.bytes, (sizeof(noise)) + 1));

	vault_fixture_reopen(&f);
	cr_assert(eq(int, vault_fixture_backup(&f, files, COUNT(files), &r, &err), 0));
	cr_assert(eq(int, store_list(f.store, "pk/", see_pack, &after, &err), 0));
	cr_expect(eq(sz, after.count, before.count + 1), "one for the new root");
	cr_expect(lt(u64, after.bytes, before.bytes + 10000));
	const char *why = vault_fixture_differs(f.store, f.rk_sk, 0, files, COUNT(files));
	cr_expect(eq(ptr, (void *)why, NULL), "%s", why);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));

	/* and all packs are in the index now: none has to be asked again */
	struct fetch *fetch = NULL;
	struct index *index = NULL;
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
	cr_assert(eq(int, fetch_index(fetch, &index, &err), 0));
	cr_expect(eq(sz, index_pack_count(index), after.count));
	fetch_free(fetch);
}

static int flip_pack(void *arg, const char *name, uint64_t size)
{
	struct err err = ERR_INIT;
	uint8_t hash[32];
	(void)size;
	cr_assert(eq(int, text_unhex(name + strlen(name) - 64, sizeof(hash), hash), 0));
	cr_assert(eq(int, id_set_add(arg, hash, 1, NULL, &err), 0));
	return store_mem_flip(f.mem, name, 100, &err); /* in its first record */
}

Test(session_again, records_of_a_pack_known_to_be_rotten_are_stored_anew)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct id_set *bad = NULL;
	char cache[] = "/tmp/test-session.XXXXXX";
	char chunks[sizeof(cache) + 8];
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant", .cache_path = cache };
	int fd = mkstemp(cache);
	cr_assert(fd >= 0);
	(void)close(fd);
	cr_assert(eq(int, id_set_new(&bad, &err), 0));
	fake_source_init(&source, day1, COUNT(day1));
	cr_assert(eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0));
	fake_source_init(&source, day1, COUNT(day1));
	cr_assert(eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0));
	cr_assert(ge(u64, r.unchanged_files, 1), "the cache is in use");
	cr_assert(eq(int, store_list(f.store, "pk/", flip_pack, bad, &err), 0));
	cr_expect(vault_fixture_differs(f.store, f.rk_sk, 0, day1, COUNT(day1)) != NULL);

	f.host.bad_packs = bad;
	fake_source_init(&source, day1, COUNT(day1));
	cr_assert(
		eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0), "%s", err.msg);
	cr_expect(ge(u64, r.sent_data_records, 1));
	cr_expect(eq(u64, r.unchanged_files, 0));
	const char *why = vault_fixture_differs(f.store, f.rk_sk, 2, day1, COUNT(day1));
	cr_expect(eq(ptr, (void *)why, NULL), "%s", why);
	/* once stored anew nothing is sent again */
	fake_source_init(&source, day1, COUNT(day1));
	cr_assert(eq(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0));
	cr_expect(eq(u64, r.sent_data_records, 0));
	cr_expect(ge(u64, r.unchanged_files, 1));
	id_set_free(bad);
	(void)unlink(cache);
	(void)snprintf(chunks, sizeof(chunks), "%s.chunks", cache);
	(void)unlink(chunks);
}

/* What an unreadable list condemns nobody knows: it may be anything that is there. */
Test(session_again, with_a_collection_list_that_cannot_be_read_all_is_stored_anew)
{
	struct err err = ERR_INIT;
	struct backup_result one;
	struct backup_result r;
	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &one, &err), 0));
	char list[80];
	(void)snprintf(list, sizeof(list), "gc/%064d", 1);
	cr_assert(eq(int, store_put(f.store, list, "x", 1, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	cr_assert(eq(int, vault_fixture_backup(&f, day1, COUNT(day1), &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.sent_data_records, one.sent_data_records));
	cr_expect(eq(u64, r.seq, 2));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 1)); /* the list itself */
}
