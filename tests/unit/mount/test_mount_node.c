#include "mount/mount_node.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "mount/mount_snaps.h"

static struct mount_node_table *t;
static struct mount_snap snap = { .hash = { 1, 2, 3 } };

static void setup(void)
{
	const struct mount_node root = { .kind = MOUNT_NODE_TOP };
	cr_assert(eq(int, mount_node_new(&root, &t, NULL), 0));
}

static void teardown(void)
{
	mount_node_free(t);
}

TestSuite(mount_node, .init = setup, .fini = teardown);

static struct mount_node entry(const char *key)
{
	return (struct mount_node){ .kind = MOUNT_NODE_ENTRY,
		.snap = &snap,
		.key = (const uint8_t *)key,
		.key_len = strlen(key) };
}

static uint64_t look(const struct mount_node *n)
{
	uint64_t ino = 0;
	cr_assert(eq(int, mount_node_look(t, n, &ino, NULL), 0));
	return ino;
}

Test(mount_node, a_number_means_its_node_as_long_as_it_has_lookups)
{
	struct mount_node n = entry("a");
	uint64_t ino = look(&n);
	cr_expect(eq(u64, look(&n), ino));
	cr_expect(eq(u64, mount_node_number(t, &n), ino));
	const struct mount_node *there = mount_node_get(t, ino);
	cr_assert(there != NULL);
	cr_expect(eq(int, memcmp(there->key, "a", 1), 0));
	mount_node_forget(t, ino, 1);
	cr_expect(mount_node_get(t, ino) == there);
	mount_node_forget(t, ino, 1);
	cr_expect(mount_node_get(t, ino) == NULL);
	cr_expect(eq(u64, look(&n), ino), "the same number again");
	mount_node_forget(t, ino, 100);
	mount_node_forget(t, ino, 1);
	cr_expect(eq(sz, mount_node_count(t), 1));
}

Test(mount_node, the_mount_point_cannot_be_forgotten)
{
	mount_node_forget(t, MOUNT_NODE_ROOT, 1000);
	cr_assert(mount_node_get(t, MOUNT_NODE_ROOT) != NULL);
	cr_expect(eq(int, mount_node_get(t, MOUNT_NODE_ROOT)->kind, MOUNT_NODE_TOP));
}

Test(mount_node, names_of_one_group_are_one_number_and_groups_are_not)
{
	struct mount_node a = entry("a"), b = entry("b");
	a.group = b.group = 4;
	cr_expect(eq(u64, look(&a), look(&b)));
	b.group = 5;
	cr_expect(ne(u64, look(&a), look(&b)));
	struct mount_node plain = entry("a");
	cr_expect(ne(u64, look(&a), look(&plain)));
}

Test(mount_node, a_hundred_thousand_nodes_have_numbers_of_their_own)
{
	static uint64_t inos[100000];
	for (int i = 0; i < 100000; i++) {
		char key[32];
		(void)snprintf(key, sizeof(key), "plant/%d", i);
		struct mount_node n = entry(key);
		inos[i] = look(&n);
		cr_assert(ge(u64, inos[i], 16));
	}
	cr_expect(eq(sz, mount_node_count(t), 100001));
	for (int i = 0; i < 100000; i++) {
		char key[32];
		(void)snprintf(key, sizeof(key), "plant/%d", i);
		const struct mount_node *n = mount_node_get(t, inos[i]);
		cr_assert(n != NULL);
		cr_assert(eq(sz, n->key_len, strlen(key)));
		cr_assert(eq(int, memcmp(n->key, key, n->key_len), 0));
		mount_node_forget(t, inos[i], 1);
	}
	cr_expect(eq(sz, mount_node_count(t), 1));
}
