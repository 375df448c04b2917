#include "mount/mount_ops.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "mount/mount_node.h"
#include "store/mem/store_mem.h"
#include "tests/lib/mount_fixture.h"
#include "vault/file_reader.h"
#include "vault/record_cache.h"

static struct mount_fixture f;
static struct mount_ops_attr a;

static void setup(void)
{
	mount_fixture_init(&f, "plant", RECORD_CACHE_DEFAULT_BYTES);
	mount_fixture_ops(&f, NULL);
}

static void teardown(void)
{
	mount_fixture_done(&f);
}

TestSuite(mount_ops, .init = setup, .fini = teardown);

#define SNAP "snapshots/"

/* A path in the first snapshot. */
static int walk(const char *path)
{
	char full[4096];
	(void)snprintf(full, sizeof(full), SNAP "%s/%s", mount_fixture_snap(&f)->id, path);
	return mount_fixture_walk(&f, full, &a);
}

Test(mount_ops, every_entry_is_found_with_what_is_known_of_it)
{
	for (size_t i = 0; i < MOUNT_FIXTURE_FILES; i++) {
		const struct fake_file *file = &mount_fixture_day[i];
		cr_assert(eq(int, walk(file->path), 0), "%s", file->path);
		bool is_dir = file->kind == ENTRY_DIR;
		cr_expect(eq(int, S_ISDIR(a.st.st_mode) != 0, is_dir));
		cr_expect(eq(i64, a.st.st_mtim.tv_sec, file->mtime_s));
		cr_expect(eq(int, (int)a.st.st_nlink, file->links == 3 ? 3 : 1), "%s", file->path);
		cr_expect(a.is_fixed);
		if (!is_dir)
			cr_expect(eq(i64, a.st.st_size, (int64_t)(file->len + file->hole)));
		struct mount_ops_attr again;
		cr_assert(eq(int, mount_ops_getattr(f.ops, a.st.st_ino, &again), 0));
		cr_expect(eq(int, memcmp(&again.st, &a.st, sizeof(a.st)), 0));
	}
	cr_expect(eq(int, walk("srv/a/none"), ENOENT));
	cr_expect(eq(int, walk("srv/a/one.txt/x"), ENOENT));
	cr_expect(eq(int, walk("none"), ENOENT));
	cr_expect(eq(u32, f.problems, 0), "%s", f.problem);
}

Test(mount_ops, hard_links_are_one_inode_and_others_are_not)
{
	cr_assert(eq(int, walk("srv/a/link"), 0));
	ino_t first = a.st.st_ino;
	cr_assert(eq(int, walk("srv/a.d/link2"), 0));
	cr_expect(eq(u64, a.st.st_ino, first));
	cr_assert(eq(int, walk("srv/link3"), 0));
	cr_expect(eq(u64, a.st.st_ino, first));
	cr_assert(eq(int, walk("srv/a/one.txt"), 0));
	cr_expect(ne(u64, a.st.st_ino, first));
}

Test(mount_ops, the_layout_leads_to_snapshots)
{
	char target[300], want[300];
	const struct mount_snap *snap = mount_fixture_snap(&f);
	cr_assert(eq(int, mount_fixture_walk(&f, "snapshots/latest", &a), 0));
	cr_expect(eq(int, !S_ISLNK(a.st.st_mode), 0));
	cr_assert(eq(int, mount_ops_readlink(f.ops, a.st.st_ino, target, sizeof(target)), 0));
	cr_expect(eq(str, target, (char *)snap->id));
	cr_assert(eq(int, mount_fixture_walk(&f, "sources/plant/latest", &a), 0));
	cr_assert(eq(int, mount_ops_readlink(f.ops, a.st.st_ino, target, sizeof(target)), 0));
	cr_expect(eq(str, target, (char *)snap->time));
	(void)snprintf(want, sizeof(want), "sources/plant/%s", snap->time);
	cr_assert(eq(int, mount_fixture_walk(&f, want, &a), 0));
	cr_assert(eq(int, mount_ops_readlink(f.ops, a.st.st_ino, target, sizeof(target)), 0));
	(void)snprintf(want, sizeof(want), "../../snapshots/%s", snap->id);
	cr_expect(eq(str, target, want));
	cr_expect(eq(int, mount_ops_readlink(f.ops, a.st.st_ino, target, 5), -ENAMETOOLONG));
	cr_expect(a.is_passing);
	cr_expect(eq(int, mount_fixture_walk(&f, "snapshots/ffffffff", &a), ENOENT));
	cr_expect(eq(int, mount_fixture_walk(&f, "sources/none", &a), ENOENT));
	cr_expect(eq(int, mount_fixture_walk(&f, "none", &a), ENOENT));
	cr_assert(eq(int, mount_fixture_walk(&f, "sources", &a), 0));
	cr_expect(eq(int, !S_ISDIR(a.st.st_mode), 0));
	cr_expect(eq(int, mount_ops_getattr(f.ops, MOUNT_NODE_ROOT, &a), 0));
	cr_expect(eq(int, !S_ISDIR(a.st.st_mode), 0));
	cr_expect(eq(u64, a.st.st_ino, MOUNT_NODE_ROOT));
}

Test(mount_ops, a_new_snapshot_is_latest)
{
	char before[300], after[300];
	cr_assert(eq(int, mount_fixture_walk(&f, "snapshots/latest", &a), 0));
	cr_assert(eq(int, mount_ops_readlink(f.ops, a.st.st_ino, before, sizeof(before)), 0));
	mount_fixture_again(&f, "plant");
	cr_assert(eq(int, mount_fixture_walk(&f, "snapshots/latest", &a), 0));
	cr_assert(eq(int, mount_ops_readlink(f.ops, a.st.st_ino, after, sizeof(after)), 0));
	cr_expect(ne(int, strcmp(before, after), 0));
	char path[400];
	(void)snprintf(path, sizeof(path), "snapshots/%s/srv/a/one.txt", after);
	cr_expect(eq(int, mount_fixture_walk(&f, path, &a), 0));
}

Test(mount_ops, one_snapshot_alone_is_the_mount_point)
{
	mount_ops_free(f.ops);
	mount_fixture_ops(&f, mount_fixture_snap(&f)->hash);
	cr_assert(eq(int, mount_fixture_walk(&f, "srv/a/big.arc", &a), 0));
	cr_expect(eq(i64, a.st.st_size, MOUNT_FIXTURE_BIG_BYTES));
	cr_expect(eq(int, mount_fixture_walk(&f, "snapshots", &a), ENOENT));
	struct err err = ERR_INIT;
	struct mount_ops *other = NULL;
	const uint8_t none[32] = { 1 };
	struct mount_ops_opts opts = { .snaps = f.snaps, .snapshot = none };
	cr_expect(eq(int, mount_ops_new(&opts, &other, &err), -ERR_NOT_FOUND));
}

static int open_file(const char *path, struct file_reader **out)
{
	cr_assert(eq(int, walk(path), 0));
	return mount_ops_open(f.ops, a.st.st_ino, out);
}

Test(mount_ops, reads_files_and_only_files)
{
	static uint8_t room[MOUNT_FIXTURE_BIG_BYTES + 10];
	struct file_reader *file = NULL;
	size_t got = 0;
	cr_assert(eq(int, open_file("srv/a/big.arc", &file), 0));
	cr_assert(
		eq(int, mount_ops_read(f.ops, a.st.st_ino, file, 0, room, sizeof(room), &got), 0));
	cr_expect(eq(sz, got, MOUNT_FIXTURE_BIG_BYTES));
	cr_expect(eq(int, memcmp(room, mount_fixture_big, got), 0));
	file_reader_free(file);
	cr_assert(eq(int, open_file("srv/hole", &file), 0));
	cr_assert(eq(int, mount_ops_read(f.ops, a.st.st_ino, file, 4000, room, 1000, &got), 0));
	cr_expect(eq(int, memcmp(room, mount_fixture_big + 4000, 96), 0));
	for (size_t i = 96; i < 1000; i++)
		cr_assert(eq(int, room[i], 0));
	uint64_t at = 0;
	uint64_t ino = a.st.st_ino;
	cr_expect(eq(int, mount_ops_seek(f.ops, ino, file, 0, SEEK_HOLE, &at), 0));
	cr_expect(eq(u64, at, 4096));
	cr_expect(eq(int, mount_ops_seek(f.ops, ino, file, 0, SEEK_DATA, &at), 0));
	cr_expect(eq(u64, at, 0));
	cr_expect(eq(int, mount_ops_seek(f.ops, ino, file, 5000, SEEK_DATA, &at), -ENXIO));
	cr_expect(eq(int, mount_ops_seek(f.ops, ino, file, 1 << 22, SEEK_HOLE, &at), -ENXIO));
	cr_expect(eq(int, mount_ops_seek(f.ops, ino, file, 0, SEEK_SET, &at), -EINVAL));
	cr_expect(le(i64, a.st.st_blocks, 8));
	file_reader_free(file);
	cr_expect(eq(int, open_file("srv/a", &file), -EISDIR));
	cr_expect(eq(int, mount_ops_open(f.ops, MOUNT_NODE_ROOT, &file), -EISDIR));
	char target[8];
	cr_expect(eq(int, mount_ops_readlink(f.ops, a.st.st_ino, target, sizeof(target)), -EINVAL));
}

static int flip_pack(void *arg, const char *name, uint64_t size)
{
	/* all of a pack but its footer: the records are damaged, the index is not needed for it */
	for (uint64_t byte = 100; byte + 100 < size; byte += 1000)
		cr_assert(eq(int, store_mem_flip(arg, name, byte * 8, NULL), 0));
	return 0;
}

Test(mount_ops, damage_is_an_io_error_told_once_with_its_place)
{
	static uint8_t room[MOUNT_FIXTURE_BIG_BYTES];
	struct file_reader *file = NULL;
	size_t got = 0;
	cr_assert(eq(int, open_file("srv/a/big.arc", &file), 0));
	cr_assert(eq(int, store_list(f.vault.store, "pk/", flip_pack, f.vault.mem, NULL), 0));
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int,
			mount_ops_read(f.ops, a.st.st_ino, file, 300000, room, 8192, &got), -EIO));
	cr_expect(eq(u32, f.problems, 1));
	cr_expect(strstr(f.problem, "/srv/a/big.arc: ") == f.problem, "%s", f.problem);
	cr_expect(strstr(f.problem, "pk/") != NULL, "%s", f.problem);
	file_reader_free(file);
}

Test(mount_ops, a_store_that_is_away_for_a_moment_is_an_error_for_a_moment)
{
	static uint8_t room[8192];
	struct file_reader *file = NULL;
	size_t got = 0;
	cr_assert(eq(int, open_file("srv/a/big.arc", &file), 0));
	store_fault_reset(f.vault.fault);
	store_fault_fail(f.vault.fault, STORE_FAULT_GET_RANGE, 1, 1000, ERR_UNREACHABLE);
	cr_expect(eq(int, mount_ops_read(f.ops, a.st.st_ino, file, 0, room, 8192, &got), -EIO));
	store_fault_reset(f.vault.fault);
	cr_expect(eq(int, mount_ops_read(f.ops, a.st.st_ino, file, 0, room, 8192, &got), 0));
	cr_expect(eq(int, memcmp(room, mount_fixture_big, 8192), 0));
	file_reader_free(file);
}

Test(mount_ops, an_entry_without_attributes_has_none)
{
	char room[64];
	uint32_t flags = 7;
	cr_assert(eq(int, walk("srv/a/one.txt"), 0));
	cr_expect(eq(int, mount_ops_listxattr(f.ops, a.st.st_ino, room, sizeof(room)), 0));
	cr_expect(eq(int, mount_ops_getxattr(f.ops, a.st.st_ino, "user.x", room, sizeof(room)),
		-ENODATA));
	cr_expect(eq(int, mount_ops_getxattr(f.ops, MOUNT_NODE_ROOT, "user.x", room, 0), -ENODATA));
	cr_expect(eq(int, mount_ops_listxattr(f.ops, MOUNT_NODE_ROOT, room, 0), 0));
	cr_expect(eq(int, mount_ops_flags(f.ops, a.st.st_ino, &flags), 0));
	cr_expect(eq(u32, flags, 0));
	cr_expect(eq(int, mount_ops_flags(f.ops, MOUNT_NODE_ROOT, &flags), -ENOTTY));
}

Test(mount_ops, a_number_that_was_forgotten_is_stale)
{
	cr_assert(eq(int, walk("srv/a/one.txt"), 0));
	mount_ops_forget(f.ops, a.st.st_ino, 1000);
	struct mount_ops_attr b;
	cr_expect(eq(int, mount_ops_getattr(f.ops, a.st.st_ino, &b), -ESTALE));
	cr_expect(eq(int, mount_ops_lookup(f.ops, 12345678, "x", &b), -ESTALE));
}

struct walker {
	pthread_t thread;
	unsigned seed;
	unsigned wrong;
};

static void *walk_around(void *arg)
{
	struct walker *w = arg;
	uint8_t *room = malloc(4096);
	for (int i = 0; i < 300; i++) {
		struct mount_ops_attr b;
		struct file_reader *file = NULL;
		size_t got = 0;
		w->seed = w->seed * 1103515245u + 12345u;
		const struct fake_file *want =
			&mount_fixture_day[(w->seed >> 16) % MOUNT_FIXTURE_FILES];
		char path[128];
		(void)snprintf(path, sizeof(path), "snapshots/%s/%s", mount_fixture_snap(&f)->id,
			want->path);
		w->wrong += mount_fixture_walk(&f, path, &b) != 0;
		if (want->kind != ENTRY_FILE)
			continue;
		w->wrong += mount_ops_open(f.ops, b.st.st_ino, &file) != 0;
		size_t len = want->len < 4096 ? want->len : 4096;
		w->wrong += mount_ops_read(f.ops, b.st.st_ino, file, 0, room, len, &got) != 0;
		w->wrong += got != len || (len > 0 && memcmp(room, want->data, len) != 0);
		file_reader_free(file);
		mount_ops_forget(f.ops, b.st.st_ino, 1);
	}
	free(room);
	return NULL;
}

Test(mount_ops, many_threads_walk_and_read)
{
	struct walker w[6];
	for (unsigned i = 0; i < 6; i++) {
		w[i] = (struct walker){ .seed = i + 1 };
		cr_assert(eq(int, pthread_create(&w[i].thread, NULL, walk_around, &w[i]), 0));
	}
	for (unsigned i = 0; i < 6; i++) {
		cr_assert(eq(int, pthread_join(w[i].thread, NULL), 0));
		cr_expect(eq(u32, w[i].wrong, 0));
	}
	cr_expect(eq(u32, f.problems, 0), "%s", f.problem);
}
