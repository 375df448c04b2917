#include "vault/salvage.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "tests/lib/store_image.h"
#include "tests/lib/store_scratch.h"
#include "tests/lib/vault_fixture.h"
#include "vault/fetch.h"
#include "vault/id_set.h"
#include "vault/index_cache.h"
#include "vault/pack_out.h"
#include "vault/parity.h"
#include "vault/vault_internal.h"

/* A data pack of two files' records. */
static struct vault_fixture f;
static uint8_t noise[2][280000];
static struct store_image packs;
static const struct store_image_object *pack;
static struct id_set *good;

static void setup(void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct fake_file files[2] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = noise[0], .len = sizeof(noise[0]) },
		{ .path = "b", .kind = ENTRY_FILE, .data = noise[1], .len = sizeof(noise[1]) },
	};
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 2; i++)
		vault_fixture_noise(noise[i], sizeof(noise[i]), i + 1);
	cr_assert(eq(int, vault_fixture_backup(&f, files, 2, &r, &err), 0), "%s", err.msg);
	store_image_take(f.store, "pk/", &packs);
	cr_assert(eq(sz, packs.count, 2));
	pack = packs.at[0].len > packs.at[1].len ? &packs.at[0] : &packs.at[1];
	cr_assert(eq(int, id_set_new(&good, &err), 0));
}

static void teardown(void)
{
	id_set_free(good);
	store_image_done(&packs);
	vault_fixture_done(&f);
}

TestSuite(salvage, .init = setup, .fini = teardown);

static struct salvage_result salvage(const struct id_set *wanted, struct pack_out *to)
{
	struct err err = ERR_INIT;
	struct salvage_result r;
	const struct salvage_opts opts = { .wanted = wanted, .to = to, .good = good };
	cr_assert(eq(int, salvage_pack(f.vault, pack->name, pack->len, &opts, &r, &err), 0), "%s",
		err.msg);
	return r;
}

static void rot(uint64_t bit)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_mem_flip(f.mem, pack->name, bit, &err), 0));
}

static struct fetch_footer footer(void)
{
	struct err err = ERR_INIT;
	struct fetch_footer x;
	uint8_t hash[32];
	cr_assert(parity_is_member(pack->name, hash, NULL));
	cr_assert(eq(int, fetch_footer(f.vault, hash, pack->len, &x, &err), 0));
	return x;
}

Test(salvage, a_record_that_rotted_costs_no_other)
{
	struct fetch_footer x = footer();
	cr_assert(eq(sz, x.count, 2));
	rot((x.at[0].offset + 5) * 8);
	struct salvage_result r = salvage(NULL, NULL);
	cr_expect(r.is_known);
	cr_expect(eq(u64, r.saved, 1));
	cr_expect(eq(u64, r.lost, 1));
	cr_expect(eq(u32, id_set_find(good, x.at[0].id), 0));
	cr_expect(eq(u32, id_set_find(good, x.at[1].id), x.at[1].cr_len));
	fetch_footer_done(&x);
}

Test(salvage, the_index_says_what_lies_in_a_pack_without_a_footer)
{
	rot(pack->len * 8 - 1);
	cr_expect(eq(u64, salvage(NULL, NULL).saved, 2));
	/* and without the index nothing does */
	struct store_image ix;
	store_image_take(f.store, "ix/", &ix);
	for (size_t i = 0; i < ix.count; i++)
		store_image_remove(f.store, ix.at[i].name);
	store_image_done(&ix);
	struct salvage_result r = salvage(NULL, NULL);
	cr_expect(not(r.is_known));
	cr_expect(eq(u64, r.saved + r.lost, 0));
}

Test(salvage, only_what_is_wanted_and_not_there_yet_is_taken)
{
	struct err err = ERR_INIT;
	struct id_set *wanted = NULL;
	struct fetch_footer x = footer();
	struct pack_out out;
	struct store_image now;
	cr_assert(eq(int, id_set_new(&wanted, &err), 0));
	cr_assert(eq(int, pack_out_begin(f.vault, &out, &err), 0));
	cr_expect(eq(u64, salvage(wanted, &out).saved, 0));
	cr_assert(eq(int, id_set_add(wanted, x.at[1].id, x.at[1].cr_len, NULL, &err), 0));
	cr_expect(eq(u64, salvage(wanted, &out).saved, 1));
	cr_expect(eq(u64, salvage(wanted, &out).saved, 0)); /* it is in good now */
	cr_assert(eq(int, pack_out_end(&out, &err), 0));
	pack_out_done(&out);
	store_image_take(f.store, "pk/", &now);
	cr_expect(eq(sz, now.count, 3));
	store_image_done(&now);
	id_set_free(wanted);
	fetch_footer_done(&x);
}

/* A pack with a bad sector cannot be set aside: each run finds it, and what is saved is saved. */
Test(salvage, what_was_saved_once_is_not_saved_again)
{
	struct fetch_footer x = footer();
	rot((x.at[0].offset + 5) * 8);
	cr_expect(eq(u64, salvage(NULL, NULL).saved, 1));
	struct salvage_result r = salvage(NULL, NULL);
	cr_expect(eq(u64, r.saved, 0));
	cr_expect(eq(u64, r.lost, 1));
	cr_expect(not(r.is_unread));
	fetch_footer_done(&x);
}

Test(salvage, what_the_store_did_not_give_is_told_from_what_is_damaged)
{
	for (uint64_t nth = 1;; nth++) {
		id_set_free(good);
		cr_assert(eq(int, id_set_new(&good, NULL), 0));
		store_fault_reset(f.fault);
		store_fault_fail(f.fault, STORE_FAULT_GET_RANGE, nth, 1, ERR_IO);
		struct salvage_result r = salvage(NULL, NULL);
		bool is_hit = store_fault_count(f.fault, STORE_FAULT_GET_RANGE) >= nth;
		cr_expect(eq(int, r.is_unread, is_hit), "read %d", (int)nth);
		if (!is_hit)
			break;
	}
}

static bool is_none(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return false;
}

static bool is_pack(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, pack->name) == 0;
}

Test(salvage, packs_that_no_segment_lists_are_listed_but_for_bad_ones)
{
	struct err err = ERR_INIT;
	struct store_image ix;
	struct pack_out out;
	uint64_t count = 99;
	cr_assert(eq(int, salvage_index(f.vault, is_none, NULL, NULL, &count, &err), 0));
	cr_expect(eq(u64, count, 0));
	store_image_take(f.store, "ix/", &ix);
	for (size_t i = 0; i < ix.count; i++)
		store_image_remove(f.store, ix.at[i].name);
	store_image_done(&ix);
	cr_assert(eq(int, salvage_index(f.vault, is_pack, NULL, NULL, &count, &err), 0));
	cr_expect(eq(u64, count, 1));
	cr_assert(eq(int, pack_out_begin(f.vault, &out, &err), 0));
	cr_assert(eq(int, salvage_index(f.vault, is_none, NULL, &out, &count, &err), 0));
	cr_expect(eq(u64, count, 2));
	cr_assert(eq(int, pack_out_end(&out, &err), 0));
	pack_out_done(&out);
	cr_assert(eq(int, salvage_index(f.vault, is_none, NULL, NULL, &count, &err), 0));
	cr_expect(eq(u64, count, 0));
}

/* A segment of so many places, all in a pack that is not there, that a cache of the index pays. */
static void put_large_segment(void)
{
	static struct pack_place places[INDEX_CACHE_MIN_ENTRIES];
	static const uint8_t name[32] = { 1 };
	struct err err = ERR_INIT;
	struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char object[VAULT_NAME_BYTES];
	struct index *x = NULL;
	cr_assert(eq(int, index_new(&x, &err), 0));
	for (uint32_t i = 0; i < INDEX_CACHE_MIN_ENTRIES; i++) {
		places[i] = (struct pack_place){
			.suite = 1, .type = 1, .offset = i * 50, .cr_len = 62
		};
		bytes_put32(places[i].id, i);
	}
	cr_assert(
		eq(int, index_add_pack(x, name, 60000, places, INDEX_CACHE_MIN_ENTRIES, &err), 0));
	cr_assert(eq(int, index_settle(x, &err), 0));
	cr_assert(eq(int, index_encode(x, 0, &body, &err), 0));
	cr_assert(eq(int,
		vault_put_sealed(f.store, vault_sealed_key(f.vault), SEALED_INDEX, "ix/", body.data,
			body.len, object, NULL, &err),
		0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	index_free(x);
	buf_done(&body);
}

Test(salvage, packs_of_a_damaged_segment_are_listed_whatever_the_cache_knows)
{
	struct err err = ERR_INIT;
	struct store_image ix;
	struct index *x = NULL;
	uint64_t count = 99;
	store_image_take(f.store, "ix/", &ix);
	put_large_segment();
	cr_assert(eq(int, vault_set_cache(f.vault, store_scratch_new(), &err), 0));
	cr_assert(eq(int, index_cache_load(f.vault, &x, &err), 0), "%s", err.msg); /* made */
	index_free(x);
	for (size_t i = 0; i < ix.count; i++)
		cr_assert(eq(int, store_mem_flip(f.mem, ix.at[i].name, 999, &err), 0));
	store_image_done(&ix);
	cr_assert(eq(int, salvage_index(f.vault, is_none, NULL, NULL, &count, &err), 0));
	cr_expect(eq(u64, count, 2));
	store_scratch_done();
}
