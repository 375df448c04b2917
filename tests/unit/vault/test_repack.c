#include "vault/repack.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect_mark.h"
#include "vault/collect_view.h"
#include "vault/fetch.h"

/* One backup: a data pack of two records, a metadata pack. */
static struct vault_fixture f;
static uint8_t noise[2][280000];
static struct collect_view view;
static struct collect_mark m;
static size_t data;
static struct err err;

static void setup(void)
{
	struct backup_result b;
	struct fake_file files[2] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = noise[0], .len = sizeof(noise[0]) },
		{ .path = "b", .kind = ENTRY_FILE, .data = noise[1], .len = sizeof(noise[1]) },
	};
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 2; i++)
		vault_fixture_noise(noise[i], sizeof(noise[i]), i + 1);
	cr_assert(eq(int, vault_fixture_backup(&f, files, 2, &b, &err), 0));
	cr_assert(eq(int, collect_view_look(f.vault, &view, NULL, NULL, &err), 0));
	cr_assert(eq(int, collect_mark_run(f.vault, &view, NULL, &m, &err), 0));
	cr_assert(eq(sz, index_pack_count(m.index), 2));
	data = m.packs[0].body > 500000 ? 0 : 1;
}

static void teardown(void)
{
	collect_mark_done(&m);
	collect_view_done(&view);
	vault_fixture_done(&f);
}

TestSuite(repack, .init = setup, .fini = teardown);

static struct repack_plan choose(uint64_t max_bytes)
{
	struct repack_plan p;
	cr_assert(eq(int, repack_choose(&m, max_bytes, &p, &err), 0));
	return p;
}

Test(repack, a_pack_goes_when_less_than_half_of_it_is_kept)
{
	struct collect_mark_pack *p = &m.packs[data];
	struct repack_plan plan = choose(UINT64_MAX);
	cr_expect(eq(sz, plan.packs, 0));
	repack_plan_done(&plan);
	p->kept = p->body / 2; /* half is enough */
	plan = choose(UINT64_MAX);
	cr_expect(eq(sz, plan.packs, (size_t)(p->kept * 2 < p->body)));
	repack_plan_done(&plan);
	p->kept = p->body / 2 - 1;
	plan = choose(UINT64_MAX);
	cr_expect(eq(sz, plan.packs, 1));
	cr_expect(plan.is_going[data]);
	cr_expect(eq(u64, plan.bytes, p->kept));
	repack_plan_done(&plan);
	plan = choose(p->kept - 1); /* more than one run may copy */
	cr_expect(eq(sz, plan.packs, 0));
	repack_plan_done(&plan);
}

Test(repack, what_is_of_an_open_session_or_wholly_waste_or_bad_is_not_repacked)
{
	struct collect_mark_pack *p = &m.packs[data];
	struct repack_plan plan;
	p->kept = 1000;
	p->is_early = true;
	plan = choose(UINT64_MAX);
	cr_expect(eq(sz, plan.packs, 0));
	repack_plan_done(&plan);
	p->is_early = false;
	p->is_eligible = false;
	plan = choose(UINT64_MAX);
	cr_expect(eq(sz, plan.packs, 0));
	repack_plan_done(&plan);
	p->is_eligible = true;
	p->kept = 0; /* condemned as it is */
	plan = choose(UINT64_MAX);
	cr_expect(eq(sz, plan.packs, 0));
	repack_plan_done(&plan);
}

static size_t count(const char *prefix)
{
	struct store_image s;
	store_image_take(f.store, prefix, &s);
	size_t n = s.count;
	store_image_done(&s);
	return n;
}

Test(repack, what_a_pack_keeps_lies_in_a_new_one_then_and_the_old_one_is_left)
{
	struct repack_plan plan = choose(UINT64_MAX);
	plan.is_going[data] = true;
	plan.packs = 1;
	plan.bytes = m.packs[data].kept;
	cr_assert(eq(int, repack_run(f.vault, &m, &plan, &err), 0), "%s", err.msg);
	cr_expect(plan.is_going[data]);
	repack_plan_done(&plan);
	cr_expect(eq(sz, count("pk/"), 3));
	cr_expect(eq(sz, count("ix/"), 2));
	/* every record has two places */
	struct fetch *fetch = NULL;
	struct index *index = NULL;
	struct index_place p;
	const uint8_t *id;
	size_t pack;
	size_t moved = 0;
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
	cr_assert(eq(int, fetch_index(fetch, &index, &err), 0));
	for (size_t i = 0; i < index_entry_count(m.index); i++) {
		index_at(m.index, i, &p, &id, &pack);
		moved += index_find(index, id, 1, &p);
	}
	cr_expect(eq(sz, moved, 2));
	fetch_free(fetch);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(repack, a_pack_that_rotted_is_taken_out_of_the_plan)
{
	char name[FETCH_PACK_NAME_BYTES];
	uint32_t len;
	struct repack_plan plan = choose(UINT64_MAX);
	plan.is_going[data] = true;
	plan.packs = 1;
	plan.bytes = m.packs[data].kept;
	fetch_pack_name(index_pack_at(m.index, data, &len), name);
	cr_assert(eq(int, store_mem_flip(f.mem, name, 77, &err), 0));
	cr_assert(eq(int, repack_run(f.vault, &m, &plan, &err), 0), "%s", err.msg);
	cr_expect(not(plan.is_going[data]));
	cr_expect(eq(sz, plan.packs, 0));
	cr_expect(eq(u64, plan.bytes, 0));
	cr_expect(eq(sz, count("pk/"), 2));
	repack_plan_done(&plan);
}
