#include "agents/sources/files.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agents/sources/root_list.h"
#include "base/err.h"
#include "tests/lib/walker.h"

static struct walker *const w = &walker_now;

TestSuite(files, .init = walker_setup, .fini = walker_teardown);

/* ---- order and roots ------------------------------------------------------------------------- */

Test(files, entries_come_in_key_order)
{
	walker_make_dir("a");
	walker_put("a/b", "");
	walker_put("a.b", "");
	walker_put("a-b", "");
	walker_put("a!", "");
	walker_make_dir("b");
	walker_put("b/z", "");
	walker_make_dir("b/a");
	walker_put("b/a/x", "");
	walker_put("B", "");
	walker_put("\xff", "");
	walker_put("\x01", "");
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(),
		"d d/\x01 d/B d/a d/a/b d/a! d/a-b d/a.b d/b d/b/a d/b/a/x d/b/z d/\xff "));
	cr_expect(eq(str, w->warned, ""));
}

Test(files, ancestors_come_once_with_their_metadata)
{
	walker_make_dir("p");
	walker_make_dir("p/q");
	walker_put("p/q/one", "1");
	walker_put("p/q/two", "2");
	walker_put("p/q/not", "3");
	walker_make_dir("p/r");
	walker_put("p/r/in", "4");
	cr_assert(eq(int, chmod("p", 0711), 0));
	walker_add_root("p/q/two", NULL);
	walker_add_root("p/r", NULL);
	walker_add_root("p/q/one", NULL);
	walker_begin();
	cr_assert(eq(int, walker_next(), 1));
	cr_expect(eq(str, (char *)walker_key(), "tmp"));
	cr_expect(eq(int, (int)w->item.entry.kind, ENTRY_DIR));
	cr_expect(eq(int, (int)w->item.entry.mode, 01777));
	cr_assert(eq(int, walker_next(), 1));
	cr_expect(eq(str, (char *)walker_key(), ""));
	cr_assert(eq(int, walker_next(), 1));
	cr_expect(eq(str, (char *)walker_key(), "p"));
	cr_expect(eq(int, (int)w->item.entry.mode, 0711));
	cr_expect(eq(u64, w->item.links, 1));
	cr_expect(eq(str, (char *)walker_walk(), "p/q p/q/one p/q/two p/r p/r/in "));
	cr_expect(eq(str, w->warned, ""));
}

Test(files, a_path_inside_another_and_a_repeated_one_are_one)
{
	walker_make_dir("a");
	walker_make_dir("a/b");
	walker_put("a/b/c", "");
	walker_put("ab", "");
	walker_add_root("a/b", NULL);
	walker_add_root("a", NULL);
	walker_add_root("./a/", NULL);
	walker_add_root("a/b/../../ab", NULL);
	cr_assert(eq(int, root_list_resolve(w->roots, NULL, NULL, NULL), 0));
	cr_expect(eq(sz, root_list_count(w->roots), 2));
	walker_begin(); /* resolves what is resolved */
	cr_expect(eq(sz, root_list_count(w->roots), 2));
	cr_expect(eq(str, (char *)walker_walk(), "tmp  a a/b a/b/c ab "));
}

Test(files, links_on_the_way_are_followed_and_the_last_is_kept)
{
	walker_make_dir("real");
	walker_put("real/file", "");
	cr_assert(eq(int, symlink("real", "link"), 0));
	walker_add_root("link/file", NULL);
	walker_add_root("link", NULL);
	walker_begin();
	cr_expect(eq(str, (char *)walker_walk(), "tmp  link real real/file "));
	files_free(w->files);
	root_list_free(w->roots);
	cr_assert(eq(int, root_list_new(&w->roots, NULL), 0));
	w->opts.roots = w->roots;
	walker_add_root("link/", NULL);
	walker_begin();
	cr_expect(eq(str, (char *)walker_walk(), "tmp  real real/file "));
}

Test(files, a_mapped_root_stands_under_its_own_key)
{
	walker_make_dir("data");
	walker_make_dir("data/base");
	walker_put("data/base/1", "");
	walker_put("conf", "");
	walker_put("other", "");
	walker_add_root("data", "pgdata");
	walker_add_root("conf", "etc/pg.conf");
	walker_add_root("other", NULL);
	walker_begin();
	cr_expect(eq(str, (char *)walker_walk(),
		"etc/pg.conf pgdata pgdata/base pgdata/base/1 tmp  other "));
}

Test(files, mapped_roots_leave_the_ancestors_of_others_whole)
{
	walker_make_dir("p");
	walker_make_dir("p/data");
	walker_put("p/x", "");
	walker_add_root("p/data", "a");
	walker_add_root("p/x", NULL);
	walker_add_root("p", "z");
	walker_begin();
	cr_expect(eq(str, (char *)walker_walk(), "a tmp  p p/x z z/data z/x "));
}

Test(files, roots_that_would_share_a_place_are_refused)
{
	walker_make_dir("a");
	walker_make_dir("b");
	static const char *const pairs[][4] = {
		{ "a", "x", "b", "x" },
		{ "a", "x", "b", "x/y" },
		{ "a", "tmp", "b", NULL },
		{ "a", "tmp/zzz", "b", NULL },
	};
	for (size_t i = 0; i < 4; i++) {
		struct root_list *l = NULL;
		cr_assert(eq(int, root_list_new(&l, NULL), 0));
		cr_assert(eq(int, root_list_add(l, pairs[i][0], pairs[i][1], NULL), 0));
		cr_assert(eq(int, root_list_add(l, pairs[i][2], pairs[i][3], NULL), 0));
		cr_expect(eq(int, root_list_resolve(l, NULL, NULL, &w->err), -ERR_USAGE));
		cr_expect(strstr(w->err.msg, "their places overlap") != NULL, "%s", w->err.msg);
		root_list_free(l);
	}
}

Test(files, a_missing_path_is_named_and_none_at_all_is_an_error)
{
	walker_put("here", "");
	walker_add_root("gone", NULL);
	walker_add_root("here", NULL);
	walker_add_root("nowhere/at/all", NULL);
	walker_begin();
	cr_expect(eq(str, (char *)walker_walk(), "tmp  here "));
	cr_expect(eq(str, w->warned,
		"gone: unable to find it: No such file or directory\n"
		"nowhere/at/all: unable to find it: No such file or directory\n"));
	cr_expect(eq(u64, w->source->lost(w->source->self), 2));

	struct root_list *l = NULL;
	struct files *none = NULL;
	cr_assert(eq(int, root_list_new(&l, NULL), 0));
	w->opts.roots = l;
	cr_expect(eq(int, files_new(&w->opts, &none, &w->err), -ERR_USAGE));
	cr_expect(eq(str, w->err.msg, "no path is given"));
	cr_assert(eq(int, root_list_add(l, "gone", NULL, NULL), 0));
	cr_expect(eq(int, files_new(&w->opts, &none, &w->err), -ERR_USAGE));
	cr_expect(ne(ptr, strstr(w->err.msg, "none of the given paths exists: '"), NULL), "%s",
		w->err.msg);
	cr_expect(eq(ptr, none, NULL));
	root_list_free(l);
}

Test(files, lists_of_paths_are_lines_or_end_with_zero_bytes)
{
	walker_put("one", "");
	walker_put("two two", "");
	walker_put("new\nline", "");
	cr_assert(eq(int, root_list_add_text(w->roots, "one\n\ntwo two\n", 13, &w->err), 0));
	cr_assert(eq(int, root_list_add_text(w->roots, "new\nline\0one", 13, &w->err), 0));
	walker_begin();
	cr_expect(eq(str, (char *)walker_walk(), "tmp  new\nline one two two "));
	char path[5000];
	memset(path, 'x', sizeof(path));
	cr_expect(eq(int, root_list_add_text(w->roots, path, sizeof(path), &w->err), -ERR_USAGE));
	cr_expect(eq(str, w->err.msg, "entry 1: unable to use a path of 5000 bytes"));
	cr_expect(eq(int, root_list_add(w->roots, "", NULL, &w->err), -ERR_USAGE));
	cr_expect(eq(int, root_list_add(w->roots, "one", "/", &w->err), -ERR_USAGE));
	cr_expect(eq(int, root_list_add(w->roots, "one", "a/../b", &w->err), -ERR_USAGE));
}

Test(files, the_root_directory_has_no_entry_of_its_own)
{
	walker_add_root("/", NULL);
	walker_exclude("/*");
	walker_exclude("!/tmp");
	walker_exclude("/tmp/*");
	char again[80];
	snprintf(again, sizeof(again), "!%s", w->dir);
	walker_exclude(again);
	walker_put("x", "");
	walker_begin();
	cr_expect(eq(str, (char *)walker_walk(), "tmp  x "));
}

/* ---- what is left out ------------------------------------------------------------------------ */

Test(files, patterns_leave_out_names_and_whole_directories)
{
	walker_make_dir("keep");
	walker_put("keep/a.tmp", "");
	walker_put("keep/a", "");
	walker_make_dir("out");
	walker_put("out/in", "");
	walker_put("out.txt", "");
	walker_exclude("*.tmp");
	walker_exclude("out/");
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(), "d d/keep d/keep/a d/out.txt "));
	cr_expect(eq(str, w->warned, ""));
	cr_expect(eq(str, w->noted, ""));
}

Test(files, a_given_path_is_kept_whatever_the_patterns_say)
{
	walker_put("x.tmp", "");
	walker_exclude("*.tmp");
	walker_exclude("/tmp");
	walker_add_root("x.tmp", NULL);
	walker_begin();
	cr_expect(eq(str, (char *)walker_walk(), "tmp  x.tmp "));
}

static const char tag[] = "Signature: 8a477f597d28d172789f06886806bc55\n# a cache\n";

Test(files, tagged_caches_keep_only_directory_and_tag)
{
	walker_make_dir("cache");
	walker_put("cache/CACHEDIR.TAG", tag);
	walker_put("cache/big", "x");
	walker_make_dir("cache/sub");
	walker_make_dir("fake");
	walker_put("fake/CACHEDIR.TAG", "Signature: of nothing");
	walker_put("fake/x", "");
	walker_make_dir("link");
	cr_assert(eq(int, symlink("../cache/CACHEDIR.TAG", "link/CACHEDIR.TAG"), 0));
	walker_put("link/x", "");
	walker_make_dir("short");
	walker_put("short/CACHEDIR.TAG", "Sig");
	w->opts.is_exclude_caches = true;
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(),
		"d d/cache d/cache/CACHEDIR.TAG d/fake d/fake/CACHEDIR.TAG d/fake/x d/link "
		"d/link/CACHEDIR.TAG d/link/x d/short d/short/CACHEDIR.TAG "));
}

Test(files, a_tag_is_an_ordinary_file_unless_asked_for)
{
	walker_put("CACHEDIR.TAG", tag);
	walker_put("x", "");
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(), "d d/CACHEDIR.TAG d/x "));
}

Test(files, a_directory_with_a_marker_keeps_only_directory_and_marker)
{
	static const char *const markers[] = { ".nobackup", ".skip" };
	walker_make_dir("a");
	walker_put("a/.skip", "");
	walker_put("a/x", "");
	walker_make_dir("b");
	walker_put("b/x.skip", "");
	w->opts.exclude_if_present = markers;
	w->opts.exclude_if_present_count = 2;
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(), "d d/a d/a/.skip d/b d/b/x.skip "));
}

Test(files, larger_files_than_the_limit_are_left_out_and_noted)
{
	walker_put("a", "12345");
	walker_put("b", "123456");
	w->opts.max_file_bytes = 5;
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(), "d d/a "));
	cr_expect(eq(str, w->noted, "/b: larger than the limit for files, not kept\n"));
	cr_expect(eq(str, w->warned, ""));
}

Test(files, what_belongs_to_the_backup_is_never_kept)
{
	struct files_own own[2];
	walker_make_dir("vault");
	walker_put("vault/pack", "");
	walker_put("cache", "");
	walker_put("x", "");
	cr_assert(eq(int, symlink("vault", "link"), 0));
	cr_assert(eq(int, files_own_find("link", &own[0], &w->err), 0));
	cr_assert(eq(int, files_own_find("cache", &own[1], &w->err), 0));
	cr_expect(eq(int, files_own_find("gone", &own[1], &w->err), -ERR_NOT_FOUND));
	cr_assert(eq(int, link("cache", "cache-by-another-name"), 0));
	w->opts.own = own;
	w->opts.own_count = 2;
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(), "d d/link d/x "));
	cr_expect(eq(str, w->noted,
		"/cache: belongs to the backup itself, not kept\n"
		"/cache-by-another-name: belongs to the backup itself, not kept\n"
		"/vault: belongs to the backup itself, not kept\n"));
	cr_expect(eq(str, w->warned, ""));
}

Test(files, a_socket_is_named_and_left_out)
{
	cr_assert(eq(int, mknod("sock", S_IFSOCK | 0600, 0), 0));
	walker_put("x", "");
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(), "d d/x "));
	cr_expect(eq(str, w->noted, "/sock: a socket, not kept\n"));
	cr_expect(eq(str, w->warned, ""));
	cr_expect(eq(u64, w->source->lost(w->source->self), 0));
}

/* A mount of its own under ${name}, gone with the test's process; false where that is not allowed.
 */
static bool mount_on(const char *name, const char *type)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", name, type, 0, NULL) == 0;
}

Test(files, other_file_systems_keep_their_directory_only)
{
	walker_make_dir("mnt");
	if (!mount_on("mnt", "tmpfs"))
		WALKER_SKIP("mounting is not allowed here");
	walker_put("mnt/in", "");
	walker_put("x", "");
	w->opts.is_one_file_system = true;
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(), "d d/mnt d/x "));
	files_free(w->files);
	w->files = NULL;
	root_list_free(w->roots);

	/* a path that is given is meant, also when it is inside another */
	cr_assert(eq(int, root_list_new(&w->roots, NULL), 0));
	w->opts.roots = w->roots;
	walker_add_root(".", NULL);
	walker_add_root("mnt", NULL);
	walker_begin();
	cr_expect(eq(str, (char *)walker_walk(), "tmp  mnt mnt/in x "));
	cr_expect(eq(int, umount("mnt"), 0));
	cr_expect(eq(str, w->warned, ""));
}

Test(files, other_file_systems_are_entered_unless_asked_not_to)
{
	walker_make_dir("mnt");
	walker_make_dir("mnt2");
	if (!mount_on("mnt", "tmpfs") || mount("none", "mnt2", "proc", 0, NULL) != 0)
		WALKER_SKIP("mounting is not allowed here");
	walker_put("mnt/in", "");
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(), "d d/mnt d/mnt/in d/mnt2 "));
	cr_expect(eq(str, w->noted, "/mnt2: made up by the kernel, its content is not kept\n"));
	cr_expect(eq(int, umount("mnt"), 0));
	cr_expect(eq(int, umount("mnt2"), 0));
}

Test(files, file_systems_have_different_ids_and_links_count)
{
	walker_make_dir("mnt");
	if (!mount_on("mnt", "tmpfs"))
		WALKER_SKIP("mounting is not allowed here");
	walker_put("mnt/in", "");
	walker_put("x", "");
	cr_assert(eq(int, link("x", "y"), 0));
	walker_walk_dir();
	walker_go_to("d/mnt/in");
	uint64_t fs_id = w->item.fs_id;
	cr_expect(eq(u64, w->item.links, 1));
	walker_go_to("d/x");
	cr_expect(ne(u64, w->item.fs_id, fs_id));
	cr_expect(eq(u64, w->item.links, 2));
	uint64_t ino = w->item.ino;
	fs_id = w->item.fs_id;
	walker_go_to("d/y");
	cr_expect(eq(u64, w->item.ino, ino));
	cr_expect(eq(u64, w->item.fs_id, fs_id));
	cr_expect(eq(int, umount("mnt"), 0));
}

/* ---- brief items ----------------------------------------------------------------------------- */

static bool is_telling_here(void)
{
	struct statfs fs;
	cr_assert(eq(int, statfs(w->dir, &fs), 0));
	return fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
	       fs.f_type == BTRFS_SUPER_MAGIC;
}

Test(files, a_brief_file_is_looked_at_by_name_and_opened_when_its_rest_is_asked_for)
{
	if (!is_telling_here())
		WALKER_SKIP("this file system's files are always opened");
	walker_make_dir("sub");
	walker_put("file", "text");
	walker_put("gone", "");
	walker_put("other", "old");
	walker_put("swapped", "");
	cr_assert(eq(int, symlink("file", "link"), 0));
	cr_assert(eq(int, setxattr("file", "user.tag", "x", 1, 0), 0));
	walker_walk_dir();
	w->source->be_brief(w->source->self);
	walker_go_to("d/file");
	cr_expect(w->item.is_brief);
	cr_expect(eq(u64, w->item.entry.size, 4));
	cr_expect(w->item.entry.has_btime);
	cr_expect(eq(sz, w->item.entry.xattr_count, 0));
	walker_append("file", "more"); /* it is as it is when it is opened */
	cr_assert(eq(int, w->source->detail(w->source->self, &w->item, &w->err), 1));
	cr_expect(not(w->item.is_brief));
	cr_expect(eq(u64, w->item.entry.size, 8));
	cr_assert(eq(sz, w->item.entry.xattr_count, 1));
	cr_expect(eq(str, (char *)w->item.entry.xattrs[0].name, "user.tag"));

	walker_go_to("d/gone");
	cr_assert(eq(int, unlink("gone"), 0));
	cr_expect(eq(int, w->source->detail(w->source->self, &w->item, &w->err), 0));
	walker_go_to("d/link");
	cr_expect(not(w->item.is_brief));
	walker_go_to("d/other");
	uint64_t ino = w->item.ino;
	walker_put("new", "another");
	cr_assert(eq(int, rename("new", "other"), 0));
	cr_assert(eq(int, w->source->detail(w->source->self, &w->item, &w->err), 1));
	cr_expect(ne(u64, w->item.ino, ino));
	cr_expect(eq(u64, w->item.entry.size, 7));
	walker_go_to("d/sub");
	cr_expect(not(w->item.is_brief));
	walker_go_to("d/swapped");
	cr_assert(eq(int, unlink("swapped"), 0));
	cr_assert(eq(int, symlink("file", "swapped"), 0));
	cr_expect(eq(int, w->source->detail(w->source->self, &w->item, &w->err), 0));
	cr_expect(eq(str, w->warned,
		"/gone: vanished while the backup ran\n"
		"/swapped: unable to open it: Too many levels of symbolic links\n"));
}

Test(files, a_brief_file_that_is_read_at_once_gets_its_attributes_at_the_end)
{
	if (!is_telling_here())
		WALKER_SKIP("this file system's files are always opened");
	uint8_t data[16];
	uint64_t size = 0, hole = 0;
	size_t len = 0;
	walker_put("file", "text");
	cr_assert(eq(int, setxattr("file", "user.tag", "x", 1, 0), 0));
	walker_walk_dir();
	w->source->be_brief(w->source->self);
	walker_go_to("d/file");
	cr_assert(eq(int, w->source->open(w->source->self, &size, &w->err), 0));
	cr_expect(eq(u64, size, 4));
	cr_expect(eq(int,
		w->source->read(w->source->self, data, sizeof(data), &len, &hole, &w->err), 1));
	cr_expect(eq(int,
		w->source->read(w->source->self, data, sizeof(data), &len, &hole, &w->err), 0));
	w->source->close(w->source->self, &w->item);
	cr_expect(eq(sz, w->item.entry.xattr_count, 1));
}

Test(files, what_was_read_under_one_name_is_as_new_under_the_next)
{
	if (!is_telling_here())
		WALKER_SKIP("this file system's files are always opened");
	char name[16];
	walker_make_dir("z");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%02d", i);
		walker_put(name, "text");
	}
	cr_assert(eq(int, link("f02", "f03-"), 0));
	walker_walk_dir();
	w->source->be_brief(w->source->self);
	walker_go_to("d/f02");
	for (int i = 0; i < 500; i++) /* by now others are looked at, mostly */
		walker_put("z/busy", "text");
	walker_append("f02", "more");
	cr_assert(eq(int, w->source->detail(w->source->self, &w->item, &w->err), 1));
	cr_expect(eq(u64, w->item.entry.size, 8));
	walker_go_to("d/f03-");
	cr_expect(w->item.is_brief);
	cr_expect(eq(u64, w->item.entry.size, 8));
}

/* Until the clock of files has moved on from ${then}. */
static void pass_tick(const struct timespec *then)
{
	struct stat now;
	do {
		cr_assert(eq(int, chmod("clock", 0600), 0));
		cr_assert(eq(int, stat("clock", &now), 0));
	} while (now.st_ctim.tv_sec == then->tv_sec && now.st_ctim.tv_nsec == then->tv_nsec);
}

/* What look_briefly() relies on. */
Test(files, a_change_of_attributes_is_a_change_of_time)
{
	if (!is_telling_here())
		WALKER_SKIP("this file system's files are always opened");
	static const char *const changes[] = { "setfattr -n user.a -v 1 f",
		"setfattr -n user.a -v 2 f", "setfattr -x user.a f", "setfacl -m u:65534:r f",
		"setfacl -b f", "chattr +d f", "chattr -d f" };
	struct stat before, after;
	walker_put("f", "text");
	walker_put("clock", "");
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		cr_assert(eq(int, utimensat(AT_FDCWD, "f", old, 0), 0));
		cr_assert(eq(int, stat("f", &before), 0));
		pass_tick(&before.st_ctim);
		cr_assert(eq(int, system(changes[i]), 0), "%s", changes[i]);
		cr_assert(eq(int, stat("f", &after), 0));
		cr_expect(after.st_ctim.tv_sec != before.st_ctim.tv_sec ||
				  after.st_ctim.tv_nsec != before.st_ctim.tv_nsec,
			"%s", changes[i]);
	}
}
