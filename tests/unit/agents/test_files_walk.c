#include "agents/sources/files.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/sources/dir_stack.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "tests/lib/nasty.h"
#include "tests/lib/walker.h"

static struct walker *const w = &walker_now;

TestSuite(files_walk, .init = walker_setup, .fini = walker_teardown);

/* ---- names and depth ------------------------------------------------------------------------- */

Test(files_walk, any_name_is_kept_as_it_is)
{
	static const char *const names[] = { "\n", " ", "-rf", "...", "\\", "caf\xc3\xa9",
		"\xff\xfe", "\x1b[1m", "new\nline" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		walker_put(names[i], "");
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(),
		"d d/\n d/\x1b[1m d/  d/-rf d/... d/\\ d/caf\xc3\xa9 d/new\nline d/\xff\xfe "));
}

Test(files_walk, depth_2000_is_walked_with_few_descriptors)
{
	walker_make_well("d", 2000);
	cr_assert(eq(int, chdir(w->dir), 0));
	walker_walk_dir();
	unsigned files_seen = 0, dirs = 0;
	size_t longest = 0;
	while (walker_next() == 1) {
		if (w->item.entry.kind == ENTRY_DIR) {
			dirs++;
			continue;
		}
		files_seen++;
		longest = w->item.key_len > longest ? w->item.key_len : longest;
		uint64_t size = 0;
		cr_assert(eq(int, w->source->open(w->source->self, &size, &w->err), 0));
		cr_expect(ge(u64, size, 1));
		w->source->close(w->source->self, &w->item);
		if (dirs == 2001 && files_seen == 2001) {
			int fd = open("/", O_RDONLY);
			cr_expect(lt(int, fd, DIR_STACK_MAX_FDS + 30));
			close(fd);
		}
	}
	cr_expect(eq(uint, dirs, 2001));
	cr_expect(eq(uint, files_seen, 4001));
	cr_expect(eq(sz, longest, 4001 + 7));
	cr_expect(eq(str, w->warned, ""));
}

Test(files_walk, a_path_longer_than_the_format_takes_is_named_and_left_out)
{
	char name[251];
	memset(name, 'L', 250);
	name[250] = '\0';
	walker_make_well(name, 135); /* 135 * 251 > 32768 */
	cr_assert(eq(int, chdir(w->dir), 0));
	walker_walk_dir();
	unsigned dirs = 0;
	while (walker_next() == 1)
		dirs += w->item.entry.kind == ENTRY_DIR;
	cr_expect(eq(uint, dirs, 1 + 130));
	cr_expect(strstr(w->warned, ": the path is longer than a backup can hold, not kept\n") !=
		  NULL);
}

Test(files_walk, a_directory_of_many_names_is_sorted)
{
	char name[32];
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "name-%d", i * 7919 % 3000);
		walker_put(name, "");
	}
	walker_walk_dir();
	unsigned count = 0;
	char last[64] = "";
	while (walker_next() == 1) {
		cr_expect(lt(str, last, (char *)walker_key()));
		snprintf(last, sizeof(last), "%s", walker_key());
		count++;
	}
	cr_expect(eq(uint, count, 3001));
}

/* Directories of many and of few files, links and directories between them, deeper than
 * descriptors are kept. */
static void make_mixed_tree(const char *dir, int level)
{
	char path[64];
	walker_make_dir(dir);
	cr_assert(eq(int, chdir(dir), 0));
	for (int i = 0; i < 60 + level % 7 * 50; i++) {
		snprintf(path, sizeof(path), "f%04d", i * 7);
		if (i % 50 == 49)
			cr_assert(eq(int, symlink("f0000", path), 0));
		else
			walker_put(path, "");
	}
	for (int i = 0; i < 3; i++) {
		const char letter = i == 1 ? 'f' : 'z'; /* among the files and behind them */
		snprintf(path, sizeof(path), "%c%04d-", letter, i * 7 * 20);
		walker_make_dir(path);
		for (int k = 0; k < 40; k += 1 + 30 * (level % 3)) {
			snprintf(path, sizeof(path), "%c%04d-/%d", letter, i * 7 * 20, k);
			walker_put(path, "");
		}
	}
	if (level < DIR_STACK_MAX_FDS + 10)
		make_mixed_tree("f0099", level + 1);
	cr_assert(eq(int, chdir(".."), 0));
}

Test(files_walk, a_brief_walk_gives_what_an_open_one_gives)
{
	static char want[16u << 20];
	size_t used = 0, at = 0;
	make_mixed_tree("t", 0);
	walker_exclude("z0280-");
	walker_exclude("*77");
	walker_walk_dir();
	while (walker_next() == 1) {
		used += (size_t)snprintf(want + used, sizeof(want) - used, "%s %d %ju\n",
			walker_key(), (int)w->item.entry.kind, (uintmax_t)w->item.ino);
		cr_assert(lt(sz, used, sizeof(want)));
	}
	cr_assert(ge(sz, used, 100000));
	files_free(w->files);
	cr_assert(eq(int, files_new(&w->opts, &w->files, &w->err), 0), "%s", w->err.msg);
	w->source = files_source(w->files);
	w->source->be_brief(w->source->self);
	while (walker_next() == 1) {
		char line[4096];
		size_t len = (size_t)snprintf(line, sizeof(line), "%s %d %ju\n", walker_key(),
			(int)w->item.entry.kind, (uintmax_t)w->item.ino);
		cr_assert(le(sz, at + len, used));
		cr_assert(eq(int, memcmp(want + at, line, len), 0), "%s", line);
		at += len;
	}
	cr_expect(eq(sz, at, used));
	cr_expect(eq(str, w->warned, ""));
}

/* ---- permissions and races ------------------------------------------------------------------- */

Test(files_walk, a_directory_that_cannot_be_read_keeps_its_entry_and_is_named)
{
	walker_make_dir("locked");
	walker_put("locked/in", "");
	walker_put("x", "");
	cr_assert(eq(int, chmod("locked", 0), 0));
	cr_assert(walker_become_user());
	walker_walk_dir();
	cr_expect(eq(str, (char *)walker_walk(), "d d/locked d/x "));
	cr_expect(eq(str, w->warned, "/locked: unable to open the directory: Permission denied\n"));
	cr_expect(eq(u64, w->source->lost(w->source->self), 1));
	cr_assert(eq(int, seteuid(getuid()), 0));
	cr_assert(eq(int, chmod("locked", 0700), 0));
}

Test(files_walk, a_file_that_cannot_be_opened_is_named_when_it_is_to_be_read)
{
	walker_put("locked", "secret");
	cr_assert(eq(int, chmod("locked", 0), 0));
	cr_assert(walker_become_user());
	walker_walk_dir();
	walker_go_to("d/locked");
	cr_expect(eq(str, w->warned, ""));
	uint64_t size = 99;
	cr_expect(eq(int, w->source->open(w->source->self, &size, &w->err), -ERR_IO));
	cr_expect(eq(u64, size, 99));
	cr_expect(eq(str, w->warned, "/locked: unable to open it: Permission denied\n"));
	w->source->close(w->source->self, &w->item);
	cr_assert(eq(int, seteuid(getuid()), 0));
}

Test(files_walk, a_file_that_becomes_readable_is_read_if_it_is_the_same)
{
	if (getuid() != 0)
		WALKER_SKIP("needs a second user");
	walker_put("locked", "secret");
	cr_assert(eq(int, chmod("locked", 0), 0));
	cr_assert(walker_become_user());
	walker_walk_dir();
	walker_go_to("d/locked");
	cr_assert(eq(int, seteuid(getuid()), 0));
	uint64_t size = 0;
	cr_assert(eq(int, w->source->open(w->source->self, &size, &w->err), 0));
	cr_expect(eq(u64, size, 6));
	w->source->close(w->source->self, &w->item);
	cr_expect(eq(str, w->warned, ""));
}

Test(files_walk, a_file_replaced_before_it_could_be_opened_is_named)
{
	if (getuid() != 0)
		WALKER_SKIP("needs a second user");
	walker_put("locked", "secret");
	walker_put("other", "another");
	walker_make_dir("z");
	walker_put("z/gone", "x");
	cr_assert(eq(int, chmod("locked", 0), 0));
	cr_assert(eq(int, chmod("z/gone", 0), 0));
	cr_assert(walker_become_user());
	walker_walk_dir();
	walker_go_to("d/locked");
	cr_assert(eq(int, seteuid(0), 0));
	cr_assert(eq(int, rename("other", "locked"), 0));
	uint64_t size;
	cr_expect(eq(int, w->source->open(w->source->self, &size, &w->err), -ERR_IO));
	cr_expect(eq(str, w->warned, "/locked: replaced while the backup ran\n"));
	w->warned[0] = '\0';
	cr_assert(walker_become_user());
	walker_go_to("d/z/gone");
	cr_assert(eq(int, seteuid(0), 0));
	cr_assert(eq(int, unlink("z/gone"), 0));
	cr_expect(eq(int, w->source->open(w->source->self, &size, &w->err), -ERR_IO));
	cr_expect(strstr(w->warned, "/z/gone: vanished while the backup ran\n") != NULL, "%s",
		w->warned);
}

Test(files_walk, a_name_that_vanishes_behind_the_listing_is_named)
{
	walker_put("a", "");
	walker_put("b", "");
	walker_put("c", "");
	walker_walk_dir();
	walker_go_to("d/a");
	cr_assert(eq(int, unlink("b"), 0));
	cr_expect(eq(str, (char *)walker_walk(), "d/c "));
	cr_expect(eq(str, w->warned, "/b: vanished while the backup ran\n"));
	cr_expect(eq(u64, w->source->lost(w->source->self), 1));
}

/* Stand at the bottom of a well below m/ so deep that the descriptor of m/ is closed. */
static void go_down(void)
{
	walker_make_dir("m");
	walker_make_dir("elsewhere");
	walker_put("m/zz", "");
	cr_assert(eq(int, chdir("m"), 0));
	walker_make_well("d", DIR_STACK_MAX_FDS + 10);
	cr_assert(eq(int, chdir(w->dir), 0));
	walker_walk_dir();
	const char *name;
	do {
		cr_assert(eq(int, walker_next(), 1));
		name = strrchr(walker_key(), '/');
	} while (name == NULL || strcmp(name, "/bottom") != 0);
}

Test(files_walk, the_way_up_is_found_when_a_directory_was_moved)
{
	go_down();
	/* ".." of what is walked now leads elsewhere */
	cr_assert(eq(int, rename("m/d", "elsewhere/d"), 0));
	const char *rest = walker_walk();
	cr_expect(strstr(rest, " d/m/z d/m/zz ") != NULL, "%s", rest);
	cr_expect(eq(str, w->warned, ""));
}

Test(files_walk, a_directory_replaced_while_it_is_walked_loses_its_rest_and_is_named)
{
	go_down();
	cr_assert(eq(int, rename("m/d", "elsewhere/d"), 0));
	cr_assert(eq(int, rename("m", "elsewhere/m"), 0));
	walker_make_dir("m");
	walker_put("m/z", "not the same");
	walker_put("z", "");
	const char *rest = walker_walk();
	cr_expect(strstr(rest, "d/m/z ") == NULL, "%s", rest);
	cr_expect(eq(str, w->warned,
		"/m: unable to come back to the directory, its rest is not kept: Stale file "
		"handle\n"));
	cr_expect(eq(u64, w->source->lost(w->source->self), 1));
}

Test(files_walk, the_whole_corpus_is_read_without_a_warning)
{
	if (getuid() != 0)
		WALKER_SKIP("another user cannot read all of it");
	struct nasty_counts counts;
	CLEANUP(cleanup_close_p) int fd = open(".", O_RDONLY | O_DIRECTORY);
	cr_assert(eq(int, nasty_make(fd, NASTY_LOCKED, NULL, &counts), 0));
	walker_walk_dir();
	unsigned kinds[ENTRY_BLOCK + 1] = { 0 };
	uint8_t block[4096];
	while (walker_next() == 1) {
		kinds[w->item.entry.kind]++;
		if (w->item.entry.kind != ENTRY_FILE)
			continue;
		uint64_t size = 0, got = 0, hole = 0;
		size_t len = 0;
		int rc;
		cr_assert(eq(int, w->source->open(w->source->self, &size, &w->err), 0), "%s: %s",
			walker_key(), w->err.msg);
		while ((rc = w->source->read(
				w->source->self, block, sizeof(block), &len, &hole, &w->err)) == 1)
			got += len + hole;
		w->source->close(w->source->self, &w->item);
		cr_expect(eq(int, rc, 0));
		cr_expect(eq(u64, got, size));
		cr_expect(eq(u64, w->item.entry.size, size));
	}
	cr_expect(ge(uint, kinds[ENTRY_FILE], 301));
	cr_expect(ge(uint, kinds[ENTRY_DIR], 301));
	cr_expect(ge(uint, kinds[ENTRY_SYMLINK], 7));
	cr_expect(ge(uint, kinds[ENTRY_FIFO], 2));
	cr_expect(eq(str, w->warned, ""));
	(void)nasty_remove(fd); /* what is locked; the rest goes with the directory */
}
