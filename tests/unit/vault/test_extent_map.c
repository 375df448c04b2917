#include "vault/extent_map.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/sample_tree.h"
#include "vault/extent_tree.h"
#include "vault/node_codec.h"

static struct fake_records *f;
static struct extent *list;
static struct entry entry;
static struct extent_map *map;
static struct err err;

static void setup(void)
{
	f = fake_records_new();
}

static void teardown(void)
{
	extent_map_free(map);
	free(list);
	fake_records_free(f);
}

TestSuite(extent_map, .init = setup, .fini = teardown);

/* A file of ${count} extents, with a tree if it has more than an entry holds. */
static void make(size_t count)
{
	list = calloc(count, sizeof(*list));
	cr_assert(list != NULL);
	entry = (struct entry){ .kind = ENTRY_FILE };
	entry.size = sample_tree_extents(list, f, 7, count);
	entry.extents = list;
	entry.extent_count = count;
	if (count <= ENTRY_MAX_INLINE_EXTENTS)
		return;
	struct extent_tree *t = NULL;
	struct extent_tree_summary s;
	cr_assert(eq(int, extent_tree_new(&f->sink, &t, NULL), 0));
	for (size_t i = 0; i < count; i++)
		cr_assert(eq(int, extent_tree_add(t, &list[i], NULL), 0));
	cr_assert(eq(int, extent_tree_finish(t, &s, NULL), 0));
	extent_tree_free(t);
	entry.extents = NULL;
	entry.extent_count = 0;
	entry.has_extent_tree = true;
	entry.extent_tree = s.top;
	entry.extent_height = s.height;
}

/* The extent number ${i} is found at its first, a middle and its last byte. */
static void expect_found(size_t i, uint64_t start)
{
	const struct extent *want = &list[i];
	const uint64_t at[] = { 0, want->length / 2, want->length - 1 };
	for (size_t k = 0; k < 3; k++) {
		struct extent_map_spot spot;
		cr_assert(eq(int, extent_map_find(map, start + at[k], &spot, &err), 0), "%s",
			err.msg);
		cr_assert(eq(u64, spot.start, start));
		cr_assert(eq(u64, spot.extent.length, want->length));
		cr_assert(eq(int, spot.extent.is_hole, want->is_hole));
		if (!want->is_hole) {
			cr_assert(eq(u64, spot.extent.offset, want->offset));
			cr_assert(eq(
				int, memcmp(&spot.extent.ref, &want->ref, sizeof(want->ref)), 0));
		}
	}
}

static void expect_all(size_t count)
{
	make(count);
	cr_assert(eq(int, extent_map_new(&f->source, &entry, &map, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, extent_map_size(map), entry.size));
	uint64_t start = 0;
	for (size_t i = 0; i < count; i++) {
		expect_found(i, start);
		start += list[i].length;
	}
	for (size_t i = count; i-- > 0;) { /* and against the order of the nodes */
		start -= list[i].length;
		if (i % 7 == 0)
			expect_found(i, start);
	}
}

Test(extent_map, finds_every_extent_of_an_entry)
{
	expect_all(ENTRY_MAX_INLINE_EXTENTS);
	cr_expect(eq(sz, f->gets, 0));
}

Test(extent_map, finds_every_extent_of_a_tree_of_three_levels)
{
	expect_all(200000);
	cr_expect(ge(int, entry.extent_height, 3));
}

Test(extent_map, one_byte_costs_one_way_down_the_tree)
{
	make(200000);
	cr_assert(eq(int, extent_map_new(&f->source, &entry, &map, &err), 0));
	struct extent_map_spot spot;
	cr_assert(eq(int, extent_map_find(map, entry.size / 2, &spot, &err), 0));
	cr_expect(eq(sz, f->gets, entry.extent_height));
	for (int i = 0; i < 100; i++)
		cr_assert(eq(int, extent_map_find(map, spot.start, &spot, &err), 0));
	cr_expect(eq(sz, f->gets, entry.extent_height));
}

Test(extent_map, every_node_that_cannot_be_read_is_an_error)
{
	make(3000);
	for (size_t i = 1; i <= entry.extent_height; i++) {
		struct extent_map_spot spot;
		cr_assert(eq(int, extent_map_new(&f->source, &entry, &map, &err), 0));
		f->gets = 0;
		f->fail_get = i;
		cr_expect(lt(int, extent_map_find(map, 5, &spot, &err), 0));
		f->fail_get = 0;
		cr_expect(eq(int, extent_map_find(map, 5, &spot, &err), 0), "it is tried again");
		extent_map_free(map);
		map = NULL;
	}
}

Test(extent_map, refuses_extents_that_are_not_the_size)
{
	struct extent_map_spot spot;
	make(10);
	entry.size++;
	cr_expect(eq(int, extent_map_new(&f->source, &entry, &map, &err), -ERR_CORRUPT));
	entry.size -= 2;
	cr_expect(eq(int, extent_map_new(&f->source, &entry, &map, &err), -ERR_CORRUPT));
	free(list);
	make(3000);
	entry.size++;
	cr_assert(eq(int, extent_map_new(&f->source, &entry, &map, &err), 0));
	cr_expect(eq(int, extent_map_find(map, 0, &spot, &err), -ERR_CORRUPT));
	entry.extent_height = NODE_CODEC_MAX_HEIGHT + 1;
	struct extent_map *other = NULL;
	cr_expect(eq(int, extent_map_new(&f->source, &entry, &other, &err), -ERR_CORRUPT));
	entry.extent_height = 1;
	entry.size--;
	cr_assert(eq(int, extent_map_new(&f->source, &entry, &other, &err), 0));
	cr_expect(eq(int, extent_map_find(other, 0, &spot, &err), -ERR_CORRUPT), "another level");
	extent_map_free(other);
}
