#include "mount/mount_layout.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/mount_fixture.h"
#include "vault/record_cache.h"

static struct mount_fixture f;
static struct mount_layout l;
static struct err err;

static void setup(void)
{
	mount_fixture_init(&f, "plant", RECORD_CACHE_DEFAULT_BYTES);
	mount_fixture_again(&f, "lab");
	mount_fixture_again(&f, "plant");
}

static void teardown(void)
{
	mount_layout_done(&l);
	mount_fixture_done(&f);
}

TestSuite(mount_layout, .init = setup, .fini = teardown);

static size_t list(enum mount_node_kind kind, const char *key)
{
	const struct mount_node dir = {
		.kind = kind, .key = (const uint8_t *)key, .key_len = strlen(key)
	};
	mount_layout_done(&l);
	cr_assert(eq(int, mount_layout_list(f.snaps, &dir, &l, &err), 0), "%s", err.msg);
	return l.count;
}

Test(mount_layout, each_snapshot_stands_in_one_place)
{
	cr_assert(eq(sz, list(MOUNT_NODE_SNAPSHOTS, ""), 4));
	for (size_t i = 0; i < 3; i++) {
		cr_expect(eq(int, l.items[i].node.kind, MOUNT_NODE_ENTRY));
		cr_expect(eq(str, l.items[i].name, l.items[i].node.snap->id));
	}
	cr_expect(eq(str, l.items[3].name, (char *)"latest"));
	cr_expect(eq(str, l.items[3].text, l.items[2].name), "the newest");
	cr_expect(eq(int, l.items[3].node.kind, MOUNT_NODE_LINK));
}

Test(mount_layout, a_source_has_its_own_snapshots)
{
	cr_assert(eq(sz, list(MOUNT_NODE_SOURCES, ""), 2));
	cr_expect(eq(str, l.items[0].name, (char *)"lab"));
	cr_expect(eq(str, l.items[1].name, (char *)"plant"));
	cr_expect(eq(sz, list(MOUNT_NODE_SOURCE, "lab"), 2));
	cr_assert(eq(sz, list(MOUNT_NODE_SOURCE, "plant"), 3));
	cr_expect(ne(int, strcmp(l.items[0].name, l.items[1].name), 0));
	cr_expect(eq(str, l.items[2].text, l.items[1].name));
	cr_expect(eq(sz, list(MOUNT_NODE_SOURCE, "gone"), 0));
}
