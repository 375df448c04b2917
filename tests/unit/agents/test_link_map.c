#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "agents/link_map.h"
#include "base/err.h"

TestSuite(link_map);

static struct source_item item_of(uint64_t fs_id, uint64_t ino)
{
	return (struct source_item){ .entry = { .kind = ENTRY_FILE }, .fs_id = fs_id, .ino = ino };
}

Test(link_map, groups_are_numbered_in_order_and_found_again_after_growth)
{
	struct err err = ERR_INIT;
	struct link_map *m = NULL;
	struct link_found found;
	uint64_t group = 0;
	cr_assert(eq(int, link_map_new(&m, &err), 0));
	for (uint64_t i = 1; i <= 3000; i++) {
		struct source_item item = item_of(i % 3, i * 64);
		cr_assert(eq(int, link_map_add(m, &item, NULL, &group, &err), 0));
		cr_assert(eq(u64, group, i));
	}
	for (uint64_t i = 1; i <= 3000; i++) {
		struct source_item item = item_of(i % 3, i * 64);
		cr_assert(link_map_find(m, &item, &found));
		cr_assert(eq(u64, found.group, i));
	}
	struct source_item other = item_of(1, 64 * 3);
	cr_expect(not(link_map_find(m, &other, &found)));
	link_map_free(m);
}

Test(link_map, it_keeps_a_user_of_the_content)
{
	struct err err = ERR_INIT;
	struct link_map *m = NULL;
	struct content *c = NULL;
	struct link_found found;
	uint64_t group;
	cr_assert(eq(int, link_map_new(&m, &err), 0));
	cr_assert(eq(int, content_new(&c, &err), 0));
	struct source_item item = item_of(1, 2);
	cr_assert(eq(int, link_map_add(m, &item, c, &group, &err), 0));
	content_free(c);
	cr_assert(link_map_find(m, &item, &found));
	cr_expect(eq(int, content_add_hole(found.content, 5, &err), 0));
	link_map_free(m);
}

Test(link_map, an_inode_that_was_given_to_another_file_is_another_file)
{
	struct err err = ERR_INIT;
	struct link_map *m = NULL;
	struct link_found found;
	uint64_t group;
	struct source_item item = item_of(1, 2);
	item.entry.has_btime = true;
	item.entry.btime.s = 100;
	cr_assert(eq(int, link_map_new(&m, &err), 0));
	cr_assert(eq(int, link_map_add(m, &item, NULL, &group, &err), 0));
	struct source_item later = item;
	later.entry.btime.ns = 1;
	cr_expect(not(link_map_find(m, &later, &found)));
	struct source_item fifo = item;
	fifo.entry.kind = ENTRY_FIFO;
	cr_expect(not(link_map_find(m, &fifo, &found)));
	cr_assert(eq(int, link_map_add(m, &later, NULL, &group, &err), 0));
	cr_expect(eq(u64, group, 2));
	cr_assert(link_map_find(m, &item, &found));
	cr_expect(eq(u64, found.group, 1));
	link_map_free(m);
}
