#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/content.h"
#include "agents/file_cache.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "tests/lib/store_scratch.h"
#include "tests/lib/vault_fixture.h"
#include "vault/slot.h"
#include "vault/verify.h"
#include "vault/verify_ages.h"

static struct vault_fixture f;
static uint8_t big[700000];

static const uint8_t small[] = "End Of BATCH\n";
static struct fake_file files[] = {
	{ .path = "a.evt", .kind = ENTRY_FILE, .data = small, .len = sizeof(small), .mtime_s = 1 },
	{ .path = "b.arc", .kind = ENTRY_FILE, .data = big, .len = sizeof(big), .mtime_s = 2 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void setup(void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	vault_fixture_init(&f);
	vault_fixture_noise(big, sizeof(big), 1);
	cr_assert(
		eq(int, vault_fixture_backup(&f, files, COUNT(files), &r, &err), 0), "%s", err.msg);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(verify, .init = setup, .fini = teardown);

struct seen {
	char object[256];
	int problems;
};

static void on_finding(void *arg, const struct verify_finding *x)
{
	struct seen *s = arg;
	if (x->is_warning)
		return;
	if (s->problems++ == 0)
		(void)snprintf(s->object, sizeof(s->object), "%s", x->object);
}

struct names {
	char at[64][128];
	uint64_t sizes[64];
	size_t count;
};

static int keep(void *arg, const char *name, uint64_t size)
{
	struct names *n = arg;
	cr_assert(lt(sz, n->count, 64));
	(void)snprintf(n->at[n->count], sizeof(n->at[0]), "%s", name);
	n->sizes[n->count++] = size;
	return 0;
}

/* The keyless run of what a process with the writer key does; -1 when it cannot open the vault. */
static int keyless(struct seen *seen)
{
	struct err err = ERR_INIT;
	struct vault_keys keys;
	struct vault *v = NULL;
	struct verify_opts opts = { .arg = seen, .on_finding = on_finding };
	struct verify_result result;
	memset(seen, 0, sizeof(*seen));
	vault_keys_of_writer(&f.keys.writer, &keys);
	int rc = vault_open(f.store, &keys, &v, &err);
	if (rc == 0)
		rc = verify_run(v, &opts, &result, &err);
	vault_close(v);
	return rc;
}

Test(verify, a_whole_vault_has_no_findings)
{
	struct seen seen;
	cr_expect(eq(int, keyless(&seen), 0));
	cr_expect(eq(int, seen.problems, 0), "%s", seen.object);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(verify, any_flipped_bit_of_any_object_is_named_without_a_passphrase)
{
	struct err err = ERR_INIT;
	struct names n = { .count = 0 };
	cr_assert(eq(int, store_list(f.store, "", keep, &n, &err), 0));
	cr_assert(ge(sz, n.count, 10));
	for (size_t i = 0; i < n.count; i++) {
		/* each class of position: begin, end, and a spread in between */
		for (uint64_t k = 0; k < 9; k++) {
			uint64_t bit = k * (n.sizes[i] * 8 - 1) / 8;
			struct seen seen;
			cr_assert(eq(int, store_mem_flip(f.mem, n.at[i], bit, &err), 0));
			int rc = keyless(&seen);
			cr_expect(rc == 0 && strcmp(seen.object, n.at[i]) == 0,
				"%s bit %d: rc %d, named '%s'", n.at[i], (int)bit, rc, seen.object);
			cr_assert(eq(int, store_mem_flip(f.mem, n.at[i], bit, &err), 0));
		}
	}
	struct seen seen;
	cr_expect(eq(int, keyless(&seen), 0));
	cr_expect(eq(int, seen.problems, 0));
}

Test(verify, every_missing_object_that_a_snapshot_needs_is_noticed)
{
	struct err err = ERR_INIT;
	struct names n = { .count = 0 };
	cr_assert(eq(int, store_list(f.store, "", keep, &n, &err), 0));
	for (size_t i = 0; i < n.count; i++) {
		const char *name = n.at[i];
		if (strncmp(name, "pk/", 3) != 0 && strncmp(name, "rf/", 3) != 0 &&
			strncmp(name, "ev/", 3) != 0)
			continue;
		CLEANUP(buf_done) struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
		struct seen seen;
		cr_assert(eq(int, store_get(f.store, name, &b, &err), 0));
		cr_assert(eq(int, store_remove(f.store, name, &err), 0));
		cr_assert(eq(int, store_barrier(f.store, &err), 0));
		cr_expect(eq(int, keyless(&seen), 0));
		cr_expect(ge(int, seen.problems, 1), "%s is gone and nobody noticed", name);
		cr_assert(eq(int, store_put(f.store, name, b.data, b.len, &err), 0));
		cr_assert(eq(int, store_barrier(f.store, &err), 0));
	}
}

/* The vault restores from its recovery key only while the slot is there. */
Test(verify, a_missing_key_slot_is_noticed_without_the_recovery_key)
{
	struct err err = ERR_INIT;
	struct names n = { .count = 0 };
	cr_assert(eq(int, store_list(f.store, "ks/", keep, &n, &err), 0));
	cr_assert(eq(sz, n.count, 2));
	for (size_t i = 0; i < n.count; i++) {
		struct seen seen;
		CLEANUP(buf_done) struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
		bool is_needed = n.sizes[i] == SLOT_HFKV_BYTES; /* the other is for a passphrase */
		cr_assert(eq(int, store_get(f.store, n.at[i], &b, &err), 0));
		cr_assert(eq(int, store_remove(f.store, n.at[i], &err), 0));
		cr_assert(eq(int, store_barrier(f.store, &err), 0));
		cr_expect(eq(int, keyless(&seen), 0));
		cr_expect(eq(int, seen.problems, is_needed));
		if (is_needed)
			cr_expect(eq(str, seen.object, n.at[i]));
		cr_assert(eq(int, store_put(f.store, n.at[i], b.data, b.len, &err), 0));
		cr_assert(eq(int, store_barrier(f.store, &err), 0));
	}
}

Test(verify, a_missing_snapshot_in_the_middle_of_a_chain_is_noticed)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct seen seen;
	struct names n = { .count = 0 };
	cr_assert(eq(int, store_list(f.store, "sn/", keep, &n, &err), 0));
	cr_assert(
		eq(int, vault_fixture_backup(&f, files, COUNT(files), &r, &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_remove(f.store, n.at[0], &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	cr_expect(eq(int, keyless(&seen), 0));
	cr_expect(ge(int, seen.problems, 1));
}

Test(verify, a_lost_or_damaged_index_costs_no_data)
{
	struct err err = ERR_INIT;
	struct names n = { .count = 0 };
	cr_assert(eq(int, store_list(f.store, "ix/", keep, &n, &err), 0));
	cr_assert(ge(sz, n.count, 1));
	cr_assert(eq(int, store_mem_flip(f.mem, n.at[0], 999, &err), 0));
	const char *why = vault_fixture_differs(f.store, f.rk_sk, 0, files, COUNT(files));
	cr_expect(eq(ptr, (void *)why, NULL), "%s", why);
	for (size_t i = 0; i < n.count; i++)
		cr_assert(eq(int, store_remove(f.store, n.at[i], &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	why = vault_fixture_differs(f.store, f.rk_sk, 0, files, COUNT(files));
	cr_expect(eq(ptr, (void *)why, NULL), "%s", why);
}

static bool stop_now(void *arg)
{
	(void)arg;
	return true;
}

Test(verify, it_stops_when_asked)
{
	struct err err = ERR_INIT;
	struct verify_opts opts = { .is_stopped = stop_now };
	struct verify_result result;
	cr_expect(eq(int, verify_run(f.vault, &opts, &result, &err), -ERR_INTERRUPTED));
}

Test(verify, an_object_that_cannot_be_read_is_named_and_the_run_goes_on)
{
	struct err err = ERR_INIT;
	struct seen seen = { .problems = 0 };
	struct verify_opts opts = { .arg = &seen, .on_finding = on_finding, .sk = f.rk_sk };
	struct verify_result result;
	struct names segments = { .count = 0 };
	cr_assert(eq(int, store_list(f.store, "ix/", keep, &segments, &err), 0));
	store_fault_reset(f.fault);
	cr_assert(eq(int, verify_run(f.vault, &opts, &result, &err), 0), "%s", err.msg);
	uint64_t gets = store_fault_count(f.fault, STORE_FAULT_GET);
	cr_assert(ge(u64, gets, 6));
	for (uint64_t n = 1; n <= gets; n++) {
		store_fault_reset(f.fault);
		store_fault_fail(f.fault, STORE_FAULT_GET, n, 1, ERR_IO);
		cr_expect(eq(int, verify_run(f.vault, &opts, &result, &err), 0), "get %d: %s",
			(int)n, err.msg);
		/* the first reads load the index, which the packs' footers replace */
		cr_expect(result.problems > 0 || n <= segments.count, "get %d", (int)n);
	}
	store_fault_reset(f.fault);
}

Test(verify, a_header_that_grew_past_its_kind_is_damage)
{
	static uint8_t zeros[8192];
	struct err err = ERR_INIT;
	struct names names = { .count = 0 };
	struct vault_keys keys;
	struct vault *v = NULL;
	cr_assert(eq(int, store_list(f.store, "vh/", keep, &names, &err), 0));
	cr_assert(eq(sz, names.count, 1));
	cr_assert(eq(int, store_remove(f.store, names.at[0], &err), 0));
	cr_assert(eq(int, store_put(f.store, names.at[0], zeros, sizeof(zeros), &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	vault_keys_of_writer(&f.keys.writer, &keys);
	cr_assert(eq(int, vault_open(f.store, &keys, &v, &err), 0), "%s", err.msg);
	cr_assert(ne(ptr, (void *)vault_no_header(v), NULL));
	cr_expect(eq(int, vault_no_header(v)->code, ERR_CORRUPT));
	vault_close(v);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 1));
}

/* ---- a part of it -------------------------------------------------------------------------- */

static int steps_left;

static bool stop_soon(void *arg)
{
	(void)arg;
	return steps_left >= 0 && steps_left-- == 0;
}

static struct verify_result part(struct verify_ages *ages, int64_t older_than_ns, int stop_after,
	int want_rc, struct seen *seen)
{
	struct err err = ERR_INIT;
	struct verify_result r = { .objects = 0 };
	struct verify_opts opts = { .arg = seen,
		.on_finding = on_finding,
		.is_stopped = stop_soon,
		.ages = ages,
		.older_than_ns = older_than_ns,
		.sk = f.rk_sk };
	memset(seen, 0, sizeof(*seen));
	steps_left = stop_after;
	cr_assert(eq(int, verify_run(f.vault, &opts, &r, &err), want_rc), "%s", err.msg);
	return r;
}

#define DAY_NS (INT64_C(86400) * 1000000000)

Test(verify, a_run_that_was_stopped_goes_on_with_what_it_had_not_read)
{
	struct err err = ERR_INIT;
	struct verify_ages *ages = NULL;
	struct seen seen;
	uint64_t read = 0;
	cr_assert(eq(int, verify_ages_new(&ages, &err), 0));
	struct verify_result all = part(NULL, 0, -1, 0, &seen);
	cr_assert(eq(u64, all.packs, 2));
	int stop = 0;
	for (; stop < 100; stop++) { /* a step further each time */
		struct verify_result r = { .packs = 0 };
		struct verify_opts opts = {
			.is_stopped = stop_soon, .ages = ages, .older_than_ns = DAY_NS
		};
		steps_left = stop;
		if (verify_run(f.vault, &opts, &r, &err) == 0) {
			read = r.packs;
			break;
		}
		cr_assert(eq(int, (int)err.code, ERR_INTERRUPTED));
		err_clear(&err);
	}
	cr_expect(lt(int, stop, 100));
	cr_expect(eq(u64, read, 0)); /* the runs before had read both */
	struct verify_result r = part(ages, DAY_NS, -1, 0, &seen);
	cr_expect(eq(u64, r.left_packs, 2));
	cr_expect(eq(u64, r.records, 0));
	cr_expect(eq(u64, r.files, 2)); /* contents were not opened yet */
	cr_expect(eq(u64, r.problems, 0));
	r = part(ages, DAY_NS, -1, 0, &seen);
	cr_expect(eq(u64, r.files, 0));
	cr_expect(eq(u64, r.left_snapshots, 1));
	verify_ages_free(ages);
}

Test(verify, a_pack_that_is_left_must_be_there_and_damage_is_read_again)
{
	struct err err = ERR_INIT;
	struct verify_ages *ages = NULL;
	struct seen seen;
	struct names n = { .count = 0 };
	cr_assert(eq(int, verify_ages_new(&ages, &err), 0));
	(void)part(ages, 0, -1, 0, &seen);
	cr_assert(eq(int, store_list(f.store, "pk/", keep, &n, &err), 0));
	cr_assert(eq(int, store_mem_flip(f.mem, n.at[0], 999, &err), 0));
	cr_expect(eq(u64, part(ages, DAY_NS, -1, 0, &seen).problems, 0)); /* nobody looked */
	cr_expect(ge(u64, part(ages, 0, -1, 0, &seen).problems, 1));
	cr_expect(ge(u64, part(ages, DAY_NS, -1, 0, &seen).problems, 1));
	cr_assert(eq(int, store_mem_flip(f.mem, n.at[0], 999, &err), 0));
	cr_expect(eq(u64, part(ages, DAY_NS, -1, 0, &seen).problems, 0));
	cr_assert(eq(int, store_remove(f.store, n.at[1], &err), 0));
	cr_expect(ge(u64, part(ages, DAY_NS, -1, 0, &seen).problems, 1)); /* gone is seen */
	verify_ages_free(ages);
}

/* Verify all content; *${ranges}: how many pieces of packs were read for it. */
static void with_data(struct verify_result *result, struct seen *seen, uint64_t *ranges)
{
	struct err err = ERR_INIT;
	struct verify_opts opts = { .arg = seen, .on_finding = on_finding, .sk = f.rk_sk };
	memset(seen, 0, sizeof(*seen));
	store_fault_reset(f.fault);
	cr_assert(eq(int, verify_run(f.vault, &opts, result, &err), 0), "%s", err.msg);
	*ranges = store_fault_count(f.fault, STORE_FAULT_GET_RANGE);
}

Test(verify, what_two_versions_of_a_large_file_share_is_opened_once_and_missed_in_both)
{
	const size_t len = (17u << 20) + 12345, more = 2u << 20;
	struct err err = ERR_INIT;
	struct backup_result r;
	struct verify_result result;
	struct seen seen;
	struct names n = { .count = 0 };
	uint64_t once, grown, twice;
	uint8_t *data = malloc(len + more);
	cr_assert(data != NULL);
	vault_fixture_noise(data, len + more, 3);
	memset(data + (3u << 20), 0, 2u << 20); /* a hole over the ends of blocks */
	struct fake_file shard = {
		.path = "shard", .kind = ENTRY_FILE, .data = data, .len = len, .mtime_s = 3
	};
	cr_assert(eq(int, vault_fixture_backup(&f, &shard, 1, &r, &err), 0), "%s", err.msg);
	with_data(&result, &seen, &once);
	cr_expect(eq(int, seen.problems, 0));
	shard.len = len + more;
	shard.mtime_s = 4;
	cr_assert(eq(int, vault_fixture_backup(&f, &shard, 1, &r, &err), 0), "%s", err.msg);
	with_data(&result, &seen, &twice);
	cr_expect(eq(int, seen.problems, 0), "%s", seen.object);
	cr_expect(eq(u64, result.files, COUNT(files) + 2)); /* each version has its own digest */
	grown = twice - once;
	cr_expect(lt(u64, grown, once / 2), "%d reads, then %d more", (int)once, (int)grown);

	/* a record that both versions need: the pack, both reference lists, both files */
	cr_assert(eq(int, store_list(f.store, "pk/", keep, &n, &err), 0));
	size_t largest = 0;
	for (size_t i = 1; i < n.count; i++)
		largest = n.sizes[i] > n.sizes[largest] ? i : largest;
	cr_assert(eq(int, store_mem_flip(f.mem, n.at[largest], 4u << 20, &err), 0));
	with_data(&result, &seen, &twice);
	cr_expect(eq(int, seen.problems, 5));
	free(data);
}

/* Remember of every file in the cache another digest than it has. */
static void spoil_digests(
	const char *cache, const struct fake_file *table, size_t count, const uint8_t snap_hash[32])
{
	struct err err = ERR_INIT;
	struct file_cache *c = NULL;
	struct fake_source s;
	struct source_item item;
	const uint8_t *k_fp = f.keys.writer.k_fp;
	fake_source_init(&s, table, count);
	cr_assert(eq(int, file_cache_open(cache, k_fp, snap_hash, &c, &err), 0), "%s", err.msg);
	while (s.source.next(s.source.self, &item, &err) > 0) {
		struct content *content = NULL;
		int found = file_cache_find(c, &item, 1000000, &content, &err);
		cr_assert(ge(int, found, 0), "%s", err.msg);
		if (found == 0)
			continue;
		content->digest[7] ^= 1;
		cr_assert(eq(int, file_cache_add(c, &item, content, &err), 0), "%s", err.msg);
		content_free(content);
	}
	cr_assert(eq(int, file_cache_commit(c, snap_hash, &err), 0), "%s", err.msg);
	file_cache_free(c);
}

Test(verify, a_digest_that_is_wrong_is_told_of_each_file_though_all_records_are_right)
{
	const size_t len = (17u << 20) + 3;
	struct err err = ERR_INIT;
	struct backup_result r;
	struct verify_result result;
	struct seen seen;
	uint64_t ranges;
	char path[4200];
	uint8_t *data = malloc(len);
	const char *dir = store_scratch_new();
	cr_assert(data != NULL && dir != NULL);
	vault_fixture_noise(data, len, 21);
	(void)snprintf(path, sizeof(path), "%s/cache", dir);
	struct fake_file table[] = {
		{ .path = "plain", .kind = ENTRY_FILE, .data = data, .len = 400000, .mtime_s = 5 },
		{ .path = "shard", .kind = ENTRY_FILE, .data = data, .len = len, .mtime_s = 5 },
	};
	for (int day = 0; day < 2; day++) {
		struct fake_source s;
		struct backup_opts opts = { .source_name = "plant", .cache_path = path };
		fake_source_init(&s, table, COUNT(table));
		cr_assert(eq(int, vault_fixture_run(&f, &opts, &s.source, &r, &err), 0), "%s",
			err.msg);
		with_data(&result, &seen, &ranges);
		cr_expect(eq(int, seen.problems, day == 0 ? 0 : 2), "day %d", day);
		if (day == 0)
			spoil_digests(path, table, COUNT(table), r.snap_hash);
	}
	cr_expect(eq(u64, r.unchanged_files, 2));
	cr_expect(eq(int, strncmp(seen.object, "sn/", 3), 0), "%s", seen.object);
	keyless(&seen);
	cr_expect(eq(int, seen.problems, 0), "%s", seen.object);
	store_scratch_done();
	free(data);
}
