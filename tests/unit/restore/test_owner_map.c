#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/err.h"
#include "restore/owner_map.h"

static struct owner_map *m;

static void setup(void)
{
	cr_assert(eq(int, owner_map_new(&m, NULL), 0));
}

static void teardown(void)
{
	owner_map_free(m);
}

TestSuite(owner_map, .init = setup, .fini = teardown);

Test(owner_map, a_known_name_gives_the_number_of_this_host)
{
	cr_expect(eq(uint, owner_map_uid(m, "root", 4711), 0));
	cr_expect(eq(uint, owner_map_gid(m, "root", 4711), 0));
	cr_expect(eq(uint, owner_map_uid(m, "root", 4712), 0)); /* from the cache */
}

Test(owner_map, without_a_known_name_the_number_stays_though_another_had_the_slot)
{
	cr_expect(eq(uint, owner_map_uid(m, "no-such-user-here", 4711), 4711));
	cr_expect(eq(uint, owner_map_uid(m, "no-such-user-here", 4712), 4712));
	cr_expect(eq(uint, owner_map_gid(m, "no-such-group-here", 4711), 4711));
	cr_expect(eq(uint, owner_map_uid(m, NULL, 5), 5));
	cr_expect(eq(uint, owner_map_uid(m, "", 6), 6));
}

Test(owner_map, a_name_past_every_limit_counts_as_unknown)
{
	char name[1000];
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_expect(eq(uint, owner_map_uid(m, name, 9), 9));
}
