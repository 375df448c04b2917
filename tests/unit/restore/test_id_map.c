#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/err.h"
#include "restore/id_map.h"

Test(id_map, an_empty_map_has_nothing)
{
	struct id_map m = { 0 };
	cr_expect(not(id_map_get(&m, 0, 1, NULL)));
	id_map_done(&m);
}

Test(id_map, every_pair_of_many_is_found_with_its_value_and_no_other)
{
	struct id_map m = { 0 };
	static int values[5000];
	for (uint64_t i = 0; i < 5000; i++)
		cr_assert(eq(int, id_map_put(&m, i % 3, i + 1, &values[i], NULL), 0));
	for (uint64_t i = 0; i < 5000; i++) {
		void *value = NULL;
		cr_assert(id_map_get(&m, i % 3, i + 1, &value));
		cr_assert(eq(ptr, value, &values[i]));
		cr_assert(not(id_map_get(&m, i % 3 + 1, i + 1, NULL)));
	}
	cr_expect(eq(sz, m.count, 5000));
	id_map_done(&m);
	cr_expect(not(id_map_get(&m, 0, 1, NULL)));
}

Test(id_map, a_newer_value_replaces_the_older)
{
	struct id_map m = { 0 };
	int a, b;
	void *value = NULL;
	cr_assert(eq(int, id_map_put(&m, 7, 7, &a, NULL), 0));
	cr_assert(eq(int, id_map_put(&m, 7, 7, &b, NULL), 0));
	cr_expect(id_map_get(&m, 7, 7, &value));
	cr_expect(eq(ptr, value, &b));
	cr_expect(eq(sz, m.count, 1));
	id_map_done(&m);
}
