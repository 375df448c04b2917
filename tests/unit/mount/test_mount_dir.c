#include "mount/mount_dir.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mount/mount_node.h"
#include "tests/lib/mount_fixture.h"
#include "vault/record_cache.h"

static struct mount_fixture f;

static void setup(void)
{
	mount_fixture_init(&f, "plant", RECORD_CACHE_DEFAULT_BYTES);
	mount_fixture_ops(&f, NULL);
}

static void teardown(void)
{
	mount_fixture_done(&f);
}

TestSuite(mount_dir, .init = setup, .fini = teardown);

/* The names of a directory, each with what a lookup says of it compared. */
static const char *list(const char *path)
{
	static char out[4096];
	struct mount_ops_attr dir = { .st = { .st_ino = MOUNT_NODE_ROOT } };
	struct mount_dir *d = NULL;
	cr_assert(eq(int, mount_fixture_walk(&f, path, &dir), 0), "%s", path);
	cr_assert(eq(int, mount_dir_open(f.ops, dir.st.st_ino, &d), 0), "%s", path);
	out[0] = '\0';
	for (uint64_t nth = 0;; nth++) {
		const char *name;
		struct mount_ops_attr a, b;
		int rc = mount_dir_at(d, nth, &name, &a);
		cr_assert(ge(int, rc, 0));
		if (rc == 0)
			break;
		(void)strcat(strcat(out, out[0] == '\0' ? "" : " "), name);
		if (nth < 2) {
			cr_expect(eq(int, !S_ISDIR(a.st.st_mode), 0));
			continue;
		}
		uint64_t ino = 0;
		cr_assert(eq(int, mount_dir_look(d, &ino), 0));
		cr_expect(eq(u64, ino, a.st.st_ino));
		cr_assert(eq(int, mount_ops_lookup(f.ops, dir.st.st_ino, name, &b), 0), "%s", name);
		cr_expect(eq(int, memcmp(&a.st, &b.st, sizeof(a.st)), 0), "%s", name);
	}
	mount_dir_close(d);
	return out;
}

Test(mount_dir, lists_the_layout)
{
	char want[300], path[300];
	const struct mount_snap *snap = mount_fixture_snap(&f);
	cr_expect(eq(str, (char *)list("/"), (char *)". .. snapshots sources"));
	(void)snprintf(want, sizeof(want), ". .. %s latest", snap->id);
	cr_expect(eq(str, (char *)list("snapshots"), want));
	cr_expect(eq(str, (char *)list("sources"), (char *)". .. plant"));
	(void)snprintf(want, sizeof(want), ". .. %s latest", snap->time);
	cr_expect(eq(str, (char *)list("sources/plant"), want));
	(void)snprintf(path, sizeof(path), "snapshots/%s", snap->id);
	cr_expect(eq(str, (char *)list(path), (char *)". .. srv"));
}

Test(mount_dir, lists_directories_of_a_snapshot)
{
	mount_ops_free(f.ops);
	mount_fixture_ops(&f, mount_fixture_snap(&f)->hash);
	cr_expect(eq(str, (char *)list("/"), (char *)". .. srv"));
	cr_expect(eq(str, (char *)list("srv"), (char *)". .. a a.d empty hole link3 nothing"));
	cr_expect(eq(str, (char *)list("srv/a"), (char *)". .. big.arc link one.txt"));
	cr_expect(eq(str, (char *)list("srv/a.d"), (char *)". .. link2 two.txt"));
	cr_expect(eq(str, (char *)list("srv/empty"), (char *)". .."));
}

Test(mount_dir, a_link_is_no_directory)
{
	struct mount_dir *d = NULL;
	struct mount_ops_attr a;
	cr_assert(eq(int, mount_fixture_walk(&f, "snapshots/latest", &a), 0));
	cr_expect(eq(int, mount_dir_open(f.ops, a.st.st_ino, &d), -ENOTDIR));
	cr_expect(eq(int, mount_dir_open(f.ops, 4711, &d), -ESTALE));
}

Test(mount_dir, a_store_that_is_away_is_an_error)
{
	struct mount_dir *d = NULL;
	struct mount_ops_attr a;
	cr_assert(eq(int, mount_fixture_walk(&f, "snapshots", &a), 0));
	mount_fixture_again(&f, "plant");
	store_fault_reset(f.vault.fault);
	store_fault_fail(f.vault.fault, STORE_FAULT_LIST, 1, 1, ERR_UNREACHABLE);
	cr_expect(eq(int, mount_dir_open(f.ops, a.st.st_ino, &d), -EIO));
	cr_expect(eq(u32, f.problems, 1));
	cr_expect(eq(int, mount_dir_open(f.ops, a.st.st_ino, &d), 0));
	mount_dir_close(d);
}
