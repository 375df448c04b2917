#include "vault/parity_cover.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect.h"
#include "vault/parity_rebuild.h"
#include "vault/prune.h"
#include "vault/snapshot.h"
#include "vault/verify.h"

static struct vault_fixture f;
static uint8_t noise[4][300000];

static struct fake_file day(unsigned i)
{
	return (struct fake_file){ .path = "a.arc",
		.kind = ENTRY_FILE,
		.data = noise[i],
		.len = sizeof(noise[0]) - i * 1000,
		.mtime_s = i + 1 };
}

static void backup(unsigned i)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct fake_file file = day(i);
	cr_assert(eq(int, vault_fixture_backup(&f, &file, 1, &r, &err), 0), "%s", err.msg);
}

static void setup(void)
{
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 4; i++)
		vault_fixture_noise(noise[i], sizeof(noise[i]), i + 1);
	backup(0);
	backup(1);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(parity_cover, .init = setup, .fini = teardown);

static int cover(unsigned rows, struct parity_cover_result *out, struct err *err)
{
	struct parity_cover_opts opts = { .rows = rows };
	return parity_cover_run(f.vault, &opts, out, err);
}

static void must_cover(unsigned rows, struct parity_cover_result *out)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, cover(rows, out, &err), 0), "%s", err.msg);
}

/* Does parity give the object back as it is in the image? */
static bool comes_back(const struct store_image_object *o)
{
	struct parity_set set;
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf out = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	cr_assert(eq(int, parity_set_load(f.store, &set, &err), 0));
	int rc = parity_rebuild_run(f.store, &set, o->name, &out, &err);
	parity_set_done(&set);
	return rc == 0 && out.len == o->len && memcmp(out.data, o->data, o->len) == 0;
}

static size_t count(const char *prefix)
{
	struct store_image s;
	store_image_take(f.store, prefix, &s);
	size_t n = s.count;
	store_image_done(&s);
	return n;
}

/* Problems that a keyless verification finds, and what it says of parity. */
struct seen {
	uint64_t problems, warnings, parity;
};
static struct seen verify(void)
{
	struct err err = ERR_INIT;
	struct verify_opts opts = { .sk = NULL };
	struct verify_result r;
	cr_assert(eq(int, verify_run(f.vault, &opts, &r, &err), 0), "%s", err.msg);
	return (struct seen){ r.problems, r.warnings, r.parity_objects };
}

Test(parity_cover, everything_that_nothing_else_brings_back_is_covered)
{
	struct parity_cover_result r;
	struct store_image s;
	size_t covered = 0;
	must_cover(1, &r);
	cr_expect(eq(u64, r.groups, 3)); /* data, metadata, others */
	cr_expect(eq(u64, r.made, 3));
	cr_expect(eq(sz, count("pa/"), 3));
	store_image_take(f.store, "", &s);
	for (size_t i = 0; i < s.count; i++) {
		bool is_member = parity_is_member(s.at[i].name, NULL, NULL);
		if (!is_member && strncmp(s.at[i].name, "pa/", 3) != 0)
			continue;
		covered += is_member;
		store_image_remove(f.store, s.at[i].name);
		cr_expect(comes_back(&s.at[i]) == is_member, "%s gone", s.at[i].name);
		store_image_restore(f.store, &s.at[i]);
		/* one bit in each of some places, and the end cut off */
		for (uint64_t k = 0; k < 4; k++) {
			struct err err = ERR_INIT;
			uint64_t bit = k * (s.at[i].len * 8 - 1) / 3;
			cr_assert(eq(int, store_mem_flip(f.mem, s.at[i].name, bit, &err), 0));
			bool is_trailer = !is_member && k == 3;
			cr_expect(comes_back(&s.at[i]) == !is_trailer, "%s bit %llu", s.at[i].name,
				(unsigned long long)bit);
			cr_assert(eq(int, store_mem_flip(f.mem, s.at[i].name, bit, &err), 0));
		}
	}
	cr_expect(eq(u64, r.members, covered));
	cr_expect(eq(u64, verify().problems, 0));
	cr_expect(eq(u64, verify().warnings, 0));
	cr_expect(eq(u64, verify().parity, 3));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
	store_image_done(&s);
}

Test(parity_cover, two_of_a_group_come_back_from_two_rows)
{
	struct parity_cover_result r;
	struct store_image s;
	must_cover(2, &r);
	cr_expect(eq(sz, count("pa/"), 6));
	store_image_take(f.store, "sn/", &s);
	cr_assert(eq(sz, s.count, 2));
	store_image_remove(f.store, s.at[0].name);
	store_image_remove(f.store, s.at[1].name);
	cr_expect(comes_back(&s.at[0]));
	cr_expect(comes_back(&s.at[1]));
	cr_expect(ge(u64, verify().problems, 1));
	store_image_done(&s);
}

Test(parity_cover, a_second_run_has_nothing_to_do)
{
	struct parity_cover_result r;
	struct store_image s;
	must_cover(1, &r);
	store_image_take(f.store, "", &s);
	must_cover(1, &r);
	cr_expect(eq(u64, r.made + r.dropped, 0));
	cr_expect(eq(u64, r.groups, 3));
	cr_expect(store_image_lacks(f.store, &s) == NULL);
	must_cover(2, &r); /* another number of rows */
	cr_expect(eq(u64, r.made, 3));
	cr_expect(eq(u64, r.dropped, 3));
	cr_expect(eq(sz, count("pa/"), 6));
	store_image_done(&s);
}

Test(parity_cover, who_does_not_say_how_many_rows_keeps_what_the_vault_has)
{
	struct parity_cover_result r;
	must_cover(0, &r);
	cr_expect(eq(uint, r.rows, 1)); /* none was there */
	must_cover(2, &r);
	backup(2);
	must_cover(0, &r);
	cr_expect(eq(uint, r.rows, 2));
	cr_expect(ge(u64, r.made, 1));
	cr_expect(eq(u64, r.parity_objects, 2 * r.groups));
	must_cover(0, &r);
	cr_expect(eq(u64, r.made + r.dropped, 0));
	must_cover(1, &r); /* only who says so makes two rows one */
	cr_expect(eq(u64, r.parity_objects, r.groups));
}

Test(parity_cover, small_groups_grow_and_full_ones_stay)
{
	struct parity_cover_result r;
	for (unsigned i = 0; i < 12; i++) {
		backup(i % 4);
		must_cover(1, &r);
	}
	/* data packs: of the two first days and of two new ones, the rest was there already */
	cr_expect(eq(u64, r.damaged + r.held, 0));
	struct parity_set set;
	struct err err = ERR_INIT;
	size_t small[3] = { 0 };
	cr_assert(eq(int, parity_set_load(f.store, &set, &err), 0));
	for (size_t i = 0; i < set.count; i++) {
		const struct parity *p = &set.at[i].parity;
		size_t target =
			p->class == PARITY_OTHERS ? PARITY_COVER_OTHERS : PARITY_COVER_PACKS;
		cr_expect(le(sz, p->count, target));
		small[p->class] += p->count * 2 < target;
	}
	for (unsigned c = 0; c < 3; c++)
		cr_expect(le(sz, small[c], 1), "class %u has %zu small groups", c, small[c]);
	parity_set_done(&set);
	cr_expect(eq(u64, verify().problems, 0));
}

Test(parity_cover, a_dry_run_changes_nothing_and_wrong_rows_are_refused)
{
	struct parity_cover_opts opts = { .rows = 1, .is_dry_run = true };
	struct parity_cover_result r;
	struct err err = ERR_INIT;
	cr_assert(eq(int, parity_cover_run(f.vault, &opts, &r, &err), 0));
	cr_expect(eq(u64, r.made, 3));
	cr_expect(eq(sz, count("pa/"), 0));
	cr_expect(eq(int, cover(3, &r, &err), -ERR_USAGE));
}

static const char *first(struct store_image *s, const char *prefix)
{
	store_image_take(f.store, prefix, s);
	cr_assert(ge(sz, s->count, 1));
	return s->at[0].name;
}

Test(parity_cover, what_may_repair_a_damaged_or_lost_member_stays)
{
	struct parity_cover_result r;
	struct store_image s;
	struct err err = ERR_INIT;
	must_cover(1, &r);
	const char *pack = first(&s, "pk/");
	cr_assert(eq(int, store_mem_flip(f.mem, pack, 99, &err), 0));
	must_cover(2, &r); /* wants to make every group anew */
	cr_expect(eq(u64, r.damaged, 1));
	cr_expect(eq(u64, r.held, 1));
	cr_expect(comes_back(&s.at[0]));
	store_image_remove(f.store, pack);
	must_cover(2, &r);
	cr_expect(eq(u64, r.held, 1));
	cr_expect(comes_back(&s.at[0]));
	cr_expect(eq(int, parity_cover_tend(f.vault, &err), -ERR_CORRUPT));
	cr_expect(ge(u64, verify().problems, 1));
	store_image_restore(f.store, &s.at[0]);
	must_cover(2, &r);
	cr_expect(eq(u64, r.held, 0));
	cr_expect(eq(int, parity_cover_tend(f.vault, &err), 0), "%s", err.msg);
	store_image_done(&s);
}

static void prune_all_but_newest(void)
{
	static const struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION };
	struct snapshot_list list;
	struct err err = ERR_INIT;
	const struct snapshot *going[8];
	size_t n = 0;
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	for (size_t i = 0; i + 1 < list.count; i++)
		going[n++] = &list.at[i];
	cr_assert(eq(int, prune_snapshots(f.vault, &opts, going, n, &err), 0), "%s", err.msg);
	snapshot_list_done(&list);
}

static int collect(int64_t grace_ns, struct collect_result *r, struct err *err)
{
	static struct collect_sights sights;
	struct collect_opts opts = { .fence_ns = COLLECT_FENCE_NS,
		.grace_ns = grace_ns,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.sights = &sights };
	int rc = 0;
	for (int i = 0; rc == 0 && i < 3; i++)
		rc = collect_run(f.vault, &opts, r, err);
	collect_sights_done(&sights);
	memset(&sights, 0, sizeof(sights));
	return rc;
}

Test(parity_cover, collection_deletes_nothing_that_parity_needs)
{
	struct parity_cover_result p;
	struct collect_result r;
	struct store_image s, packs;
	struct err err = ERR_INIT;
	must_cover(1, &p);
	store_image_take(f.store, "pa/", &s);
	prune_all_but_newest();
	cr_assert(eq(int, collect(COLLECT_GRACE_NS, &r, &err), 0), "%s", err.msg);
	cr_assert(ge(u64, r.dead, 1));
	/* a pack that lives rots while a dead one of its group waits */
	store_image_take(f.store, "pk/", &packs);
	size_t rotten = SIZE_MAX;
	for (size_t i = 0; i < packs.count; i++) {
		cr_assert(eq(int, store_mem_flip(f.mem, packs.at[i].name, 7, &err), 0));
		if (verify().problems >= 2) { /* the pack, and a snapshot that needs it */
			rotten = i;
			break;
		}
		cr_assert(eq(int, store_mem_flip(f.mem, packs.at[i].name, 7, &err), 0));
	}
	cr_assert(ne(sz, rotten, SIZE_MAX));
	cr_expect(eq(int, collect(0, &r, &err), -ERR_CORRUPT));
	cr_expect(strstr(err.hint, "repair") != NULL, "%s", err.hint);
	cr_expect(comes_back(&packs.at[rotten]));
	cr_expect(store_image_lacks(f.store, &packs) == packs.at[rotten].name);
	store_image_restore(f.store, &packs.at[rotten]);
	cr_assert(eq(int, collect(0, &r, &err), 0), "%s", err.msg);
	cr_expect(lt(sz, count("pk/"), packs.count));
	cr_expect(store_image_lacks(f.store, &s) != NULL); /* its groups were made anew */
	struct seen after = verify();
	cr_expect(eq(u64, after.problems, 0));
	cr_expect(ge(u64, after.parity, 1));
	must_cover(1, &p);
	cr_expect(eq(u64, p.held + p.damaged, 0));
	store_image_done(&s);
	store_image_done(&packs);
}

/* Is every member of the first coverage still in some whole group? */
static bool is_all_covered(const struct store_image *s)
{
	struct parity_set set;
	struct err err = ERR_INIT;
	bool is_covered = true;
	cr_assert(eq(int, parity_set_load(f.store, &set, &err), 0));
	for (size_t i = 0; i < s->count; i++)
		is_covered = is_covered && (!parity_is_member(s->at[i].name, NULL, NULL) ||
						   parity_rebuild_is_covered(&set, s->at[i].name));
	parity_set_done(&set);
	return is_covered;
}

Test(parity_cover, broken_off_at_any_operation_nothing_is_lost_and_the_next_run_carries_on)
{
	struct parity_cover_result r;
	struct store_image before;
	struct err err = ERR_INIT;
	must_cover(1, &r);
	store_image_take(f.store, "", &before);
	backup(2);
	store_fault_reset(f.fault);
	int rc = -1;
	uint64_t ops = 0;
	for (uint64_t n = 1; rc != 0; n++) {
		store_fault_reset(f.fault);
		store_fault_crash(f.fault, n);
		rc = cover(2, &r, &err);
		store_fault_reset(f.fault);
		cr_assert(is_all_covered(&before), "after operation %d", (int)n);
		ops = n;
		for (size_t i = 0; i < before.count; i++) {
			uint64_t size;
			if (strncmp(before.at[i].name, "pa/", 3) != 0)
				cr_assert(eq(int,
					store_stat(f.store, before.at[i].name, &size, &err), 0));
		}
		if (rc != 0 && n % 7 == 0) /* not always from the begin */
			(void)cover(1, &r, &err);
	}
	cr_expect(ge(u64, ops, 21));
	must_cover(2, &r);
	cr_expect(eq(u64, r.made, 0));
	cr_expect(eq(u64, verify().problems, 0));
	for (uint64_t n = 1; n < 40; n++) { /* one failure, not the end */
		store_fault_fail(f.fault, STORE_FAULT_ANY, n, 1, ERR_IO);
		(void)cover(1 + (unsigned)(n % 2), &r, &err);
		store_fault_reset(f.fault);
		cr_assert(is_all_covered(&before), "operation %d failed", (int)n);
	}
	must_cover(1, &r);
	cr_expect(eq(u64, r.damaged + r.held, 0));
	cr_expect(eq(u64, verify().problems, 0));
	store_image_done(&before);
}
