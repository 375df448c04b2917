#include "agents/sources/files_content.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "agents/sources/file_meta.h"
#include "tests/lib/walker.h"

static struct walker *const w = &walker_now;

TestSuite(files_content, .init = walker_setup, .fini = walker_teardown);

/* ---- content --------------------------------------------------------------------------------- */

struct got {
	uint64_t size_at_open, data, holes;
	char text[64]; /* the first bytes of data */
};

static int read_run(struct got *g, size_t cap)
{
	static uint8_t block[65536];
	size_t len = 0;
	uint64_t hole = 0;
	int rc = w->source->read(w->source->self, block, cap, &len, &hole, &w->err);
	if (rc == 1) {
		bool is_data = len > 0, is_hole = hole > 0;
		cr_assert(is_data != is_hole, "either data or a hole");
		cr_assert(le(sz, len, cap));
		for (size_t i = 0; i < len && g->data + i < sizeof(g->text) - 1; i++)
			g->text[g->data + i] = (char)block[i];
		g->data += len;
		g->holes += hole;
	}
	return rc;
}

static void open_it(struct got *g)
{
	*g = (struct got){ .data = 0 };
	cr_assert(eq(int, w->source->open(w->source->self, &g->size_at_open, &w->err), 0), "%s",
		w->err.msg);
}

static void read_it(struct got *g)
{
	int rc;
	while ((rc = read_run(g, 65536)) == 1)
		;
	cr_assert(eq(int, rc, 0));
	w->source->close(w->source->self, &w->item);
	cr_expect(eq(u64, g->data + g->holes, w->item.entry.size));
}

Test(files_content, content_is_read_whole)
{
	walker_put("f", "content of a file");
	walker_put("g", "");
	walker_walk_dir();
	struct got g;
	walker_go_to("d/f");
	cr_expect(eq(u64, w->item.entry.size, 17));
	open_it(&g);
	cr_expect(eq(u64, g.size_at_open, 17));
	read_it(&g);
	cr_expect(eq(str, g.text, "content of a file"));
	cr_expect(eq(u32, w->item.entry.notes, 0));
	walker_go_to("d/g");
	open_it(&g);
	read_it(&g);
	cr_expect(eq(u64, w->item.entry.size, 0));
	cr_expect(eq(str, w->warned, ""));
}

Test(files_content, holes_are_found)
{
	int fd = open("sparse", O_RDWR | O_CREAT, 0644);
	cr_assert(eq(int, (int)pwrite(fd, "begin", 5, 0), 5));
	cr_assert(eq(int, (int)pwrite(fd, "middle", 6, 64 << 20), 6));
	cr_assert(eq(int, ftruncate(fd, 1 << 30), 0));
	close(fd);
	fd = open("empty", O_RDWR | O_CREAT, 0644);
	cr_assert(eq(int, ftruncate(fd, 12345678), 0));
	close(fd);
	walker_walk_dir();
	struct got g;
	walker_go_to("d/empty");
	open_it(&g);
	read_it(&g);
	cr_expect(eq(u64, g.holes, 12345678));
	walker_go_to("d/sparse");
	open_it(&g);
	read_it(&g);
	cr_expect(eq(u64, g.data + g.holes, 1u << 30));
	cr_expect(lt(u64, g.data, 1u << 20));
	cr_expect(eq(str, g.text, "begin"));
	cr_expect(eq(str, w->warned, ""));
}

Test(files_content, a_file_that_grows_is_its_beginning_and_noted)
{
	walker_put("log", "first line\n");
	walker_walk_dir();
	struct got g;
	walker_go_to("d/log");
	struct source_item before = w->item;
	open_it(&g);
	walker_append("log", "second line\n");
	read_it(&g);
	cr_expect(eq(str, g.text, "first line\n"));
	cr_expect(eq(u64, w->item.entry.size, 11));
	cr_expect(eq(u32, w->item.entry.notes, ENTRY_NOTE_APPENDED));
	cr_expect(eq(i64, w->item.ctime.s, before.ctime.s));
	cr_expect(eq(u32, w->item.ctime.ns, before.ctime.ns));
	cr_expect(eq(str, w->warned, ""));
}

Test(files_content, a_file_that_grew_is_read_again_to_the_same_length)
{
	walker_put("log", "first line\n");
	walker_walk_dir();
	struct got g;
	walker_go_to("d/log");
	open_it(&g);
	while (read_run(&g, 65536) == 1)
		;
	cr_expect(not(w->source->again(w->source->self)), "it did not grow");
	walker_append("log", "second line\n");
	cr_assert(w->source->again(w->source->self));
	g = (struct got){ .data = 0 };
	w->item.entry.notes |= ENTRY_NOTE_CHANGED; /* as the pipeline when it reads otherwise */
	read_it(&g);
	cr_expect(eq(str, g.text, "first line\n"));
	cr_expect(eq(u32, w->item.entry.notes, ENTRY_NOTE_CHANGED));
	cr_expect(eq(str, w->warned, "/log: changed while it was read\n"));
}

Test(files_content, what_happens_in_the_second_reading_counts)
{
	walker_put("log", "first line\n");
	walker_walk_dir();
	struct got g;
	walker_go_to("d/log");
	open_it(&g);
	walker_append("log", "second line\n");
	while (read_run(&g, 65536) == 1)
		;
	cr_assert(w->source->again(w->source->self));
	cr_assert(eq(int, truncate("log", 11), 0));
	g = (struct got){ .data = 0 };
	read_it(&g);
	cr_expect(eq(str, g.text, "first line\n"));
	cr_expect(eq(u32, w->item.entry.notes, ENTRY_NOTE_CHANGED), "it is not what had grown");
	cr_expect(eq(str, w->warned, "/log: changed while it was read\n"));
}

static void set_mtime(const char *name, int64_t s)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = s, .tv_nsec = 9 } };
	cr_assert(eq(int, utimensat(AT_FDCWD, name, times, 0), 0));
}

Test(files_content, a_file_written_to_while_it_is_read_is_noted_and_named)
{
	walker_put("db", "0123456789");
	set_mtime("db", 1000);
	walker_walk_dir();
	struct got g;
	walker_go_to("d/db");
	cr_expect(eq(i64, w->item.entry.mtime.s, 1000));
	open_it(&g);
	cr_assert(eq(int, read_run(&g, 4), 1));
	int fd = open("db", O_WRONLY);
	cr_assert(eq(int, (int)pwrite(fd, "XX", 2, 2), 2));
	close(fd);
	set_mtime("db", 2000);
	read_it(&g);
	cr_expect(eq(str, g.text, "0123456789"));
	cr_expect(eq(u64, w->item.entry.size, 10));
	cr_expect(eq(i64, w->item.entry.mtime.s, 2000));
	cr_expect(eq(u32, w->item.entry.notes, ENTRY_NOTE_CHANGED));
	cr_expect(eq(str, w->warned, "/db: changed while it was read\n"));
}

/* Until the clock that file systems stamp with has moved on. */
static void wait_for_tick(void)
{
	struct timespec first, now;
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &first); /* lint-ok: the kernel's own stamp */
	do
		(void)clock_gettime(CLOCK_REALTIME_COARSE, &now); /* lint-ok: as above */
	while (now.tv_sec == first.tv_sec && now.tv_nsec == first.tv_nsec);
}

Test(files_content, a_write_through_an_old_mapping_is_noted_and_named)
{
	struct statfs fs;
	cr_assert(eq(int, statfs(".", &fs), 0));
	if (fs.f_type == TMPFS_MAGIC)
		cr_skip("a file system in memory stamps no mapped writes");
	walker_put("db", "0123456789");
	int fd = open("db", O_RDWR);
	char *map = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert(map != MAP_FAILED);
	((volatile char *)map)[0] = 'a'; /* from here on the page is dirty */
	walker_walk_dir();
	struct got g;
	walker_go_to("d/db");
	open_it(&g);
	cr_assert(eq(int, read_run(&g, 4), 1));
	wait_for_tick();
	((volatile char *)map)[1] = 'b';
	read_it(&g);
	cr_expect(eq(str, g.text, "a123456789"));
	cr_expect(eq(u32, w->item.entry.notes, ENTRY_NOTE_CHANGED));
	cr_expect(eq(str, w->warned, "/db: changed while it was read\n"));
	cr_assert(eq(int, munmap(map, 10), 0));
	close(fd);
}

Test(files_content, a_file_that_shrinks_ends_where_it_ends)
{
	walker_put("f", "0123456789");
	int fd = open("holes", O_RDWR | O_CREAT, 0644);
	cr_assert(eq(int, ftruncate(fd, 1 << 20), 0));
	walker_walk_dir();
	struct got g;
	walker_go_to("d/f");
	open_it(&g);
	cr_assert(eq(int, read_run(&g, 4), 1));
	cr_assert(eq(int, truncate("f", 6), 0));
	read_it(&g);
	cr_expect(eq(str, g.text, "012345"));
	cr_expect(eq(u64, w->item.entry.size, 6));
	cr_expect(eq(u32, w->item.entry.notes, ENTRY_NOTE_CHANGED));
	walker_go_to("d/holes");
	open_it(&g);
	cr_expect(eq(u64, g.size_at_open, 1 << 20));
	cr_assert(eq(int, ftruncate(fd, 1000), 0));
	read_it(&g);
	cr_expect(eq(u64, w->item.entry.size, 1000), "no zeros are made up");
	cr_expect(eq(u32, w->item.entry.notes, ENTRY_NOTE_CHANGED));
	cr_expect(eq(str, w->warned,
		"/f: changed while it was read\n/holes: changed while it was read\n"));
	close(fd);
}

Test(files_content, a_file_changed_before_it_is_opened_is_as_it_is_then)
{
	walker_put("f", "old");
	walker_walk_dir();
	struct got g;
	walker_go_to("d/f");
	walker_put("f", "newer");
	cr_assert(eq(int, chmod("f", 0600), 0));
	open_it(&g);
	cr_expect(eq(u64, g.size_at_open, 5));
	read_it(&g);
	cr_expect(eq(str, g.text, "newer"));
	cr_expect(eq(u64, w->item.entry.size, 5));
	cr_expect(eq(int, (int)w->item.entry.mode, 0600));
	cr_expect(eq(u32, w->item.entry.notes, 0));
	struct stat st;
	cr_assert(eq(int, stat("f", &st), 0));
	cr_expect(eq(i64, w->item.ctime.s, st.st_ctim.tv_sec));
	cr_expect(eq(u32, w->item.ctime.ns, (uint32_t)st.st_ctim.tv_nsec));
	cr_expect(eq(str, w->warned, ""));
}

Test(files_content, a_file_renamed_over_is_read_as_it_was_listed)
{
	walker_put("f", "old");
	walker_put("z", "newer");
	walker_walk_dir();
	struct got g;
	walker_go_to("d/f");
	cr_assert(eq(int, rename("z", "f"), 0));
	open_it(&g);
	read_it(&g);
	cr_expect(eq(str, g.text, "old"));
	cr_expect(eq(u32, w->item.entry.notes, 0));
}

Test(files_content, reading_may_end_early)
{
	walker_put("f", "0123456789");
	walker_walk_dir();
	struct got g;
	walker_go_to("d/f");
	open_it(&g);
	cr_assert(eq(int, read_run(&g, 4), 1));
	w->source->close(w->source->self, &w->item);
	cr_expect(eq(u64, w->item.entry.size, 10));
	cr_expect(eq(u32, w->item.entry.notes, 0));
	cr_expect(eq(int, walker_next(), 0));
}

Test(files_content, reading_leaves_no_access_time)
{
	walker_put("f", "x");
	struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	cr_assert(eq(int, utimensat(AT_FDCWD, "f", times, 0), 0));
	walker_walk_dir();
	struct got g;
	walker_go_to("d/f");
	open_it(&g);
	read_it(&g);
	struct stat st;
	cr_assert(eq(int, stat("f", &st), 0));
	cr_expect(eq(i64, st.st_atim.tv_sec, 1000));
}

Test(files_content, a_file_can_be_read_twice)
{
	walker_put("f", "twice");
	walker_walk_dir();
	struct got g;
	walker_go_to("d/f");
	for (int i = 0; i < 2; i++) {
		open_it(&g);
		read_it(&g);
		cr_expect(eq(str, g.text, "twice"));
	}
	cr_expect(eq(str, w->warned, ""));
}

Test(files_content, a_read_that_fails_is_told_with_its_place)
{
	struct files_content c = FILES_CONTENT_NONE;
	struct statx sx;
	walker_put("f", "0123456789");
	int fd = open("f", O_WRONLY);
	cr_assert(eq(int, file_meta_stat(fd, &sx), 0));
	files_content_begin(&c, fd, &sx);
	char data[4] = "abc";
	size_t len = 77;
	uint64_t hole = 78;
	cr_expect(
		eq(int, files_content_read(&c, data, sizeof(data), &len, &hole, &w->err), -ERR_IO));
	cr_expect(eq(str, w->err.msg, "unable to read at 0: Bad file descriptor"));
	cr_expect(eq(sz, len, 77));
	cr_expect(eq(u64, hole, 78));
	cr_expect(eq(str, data, "abc"));
	cr_expect(eq(int, (int)files_content_end(&c, &sx), FILES_CONTENT_SAME));
	cr_expect(eq(int, c.fd, -1));
}

Test(files_content, a_file_that_cannot_be_asked_any_more_counts_as_changed)
{
	struct files_content c = FILES_CONTENT_NONE;
	struct statx sx, now;
	walker_put("f", "0123456789");
	int fd = open("f", O_RDONLY);
	cr_assert(eq(int, file_meta_stat(fd, &sx), 0));
	files_content_begin(&c, fd, &sx);
	cr_assert(eq(int, close(fd), 0));
	cr_expect(eq(int, (int)files_content_end(&c, &now), FILES_CONTENT_CHANGED));
	cr_expect(eq(u64, now.stx_size, 10));
}
