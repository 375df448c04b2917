#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "agents/link_map.h"
#include "base/err.h"

TestSuite(link_map);

Test(link_map, groups_are_numbered_in_order_and_found_again_after_growth)
{
	struct err err = ERR_INIT;
	struct link_map *m = NULL;
	struct link_found found;
	uint64_t group = 0;
	cr_assert(eq(int, link_map_new(&m, &err), 0));
	for (uint64_t i = 1; i <= 3000; i++) {
		cr_assert(eq(int, link_map_add(m, i % 3, i * 64, NULL, &group, &err), 0));
		cr_assert(eq(u64, group, i));
	}
	for (uint64_t i = 1; i <= 3000; i++) {
		cr_assert(link_map_find(m, i % 3, i * 64, &found));
		cr_assert(eq(u64, found.group, i));
	}
	cr_expect(not(link_map_find(m, 1, 64 * 3, &found)));
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
	cr_assert(eq(int, link_map_add(m, 1, 2, c, &group, &err), 0));
	content_free(c);
	cr_assert(link_map_find(m, 1, 2, &found));
	cr_expect(eq(int, content_add_hole(found.content, 5, &err), 0));
	link_map_free(m);
}
