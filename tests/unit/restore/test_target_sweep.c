#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "restore/restore_writer.h"
#include "restore/target_name.h"
#include "restore/target_sweep.h"
#include "tests/lib/nasty.h"
#include "vault/entry.h"

#define LEFT ".holdfast-0123456789abcdef.new"

static char scratch[64];
static int dir = -1;

static void setup(void)
{
	(void)snprintf(scratch, sizeof(scratch), "/tmp/target-sweep-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(scratch), NULL));
	dir = open(scratch, O_RDONLY | O_DIRECTORY);
	cr_assert(dir >= 0);
}

static void teardown(void)
{
	(void)nasty_remove(dir);
	(void)close(dir);
	(void)rmdir(scratch);
}

TestSuite(target_sweep, .init = setup, .fini = teardown);

static void make(const char *name)
{
	int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY, 0600);
	cr_assert(fd >= 0);
	(void)close(fd);
}

static bool is_there(const char *name)
{
	struct stat st;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

Test(target_sweep, what_target_name_makes_is_removed_and_nothing_else)
{
	static const char *const others[] = { ".holdfast-0123456789abcde.new",
		".holdfast-0123456789abcdeff.new", ".holdfast-0123456789ABCDEF.new",
		".holdfast-0123456789abcdef.new~", "x.holdfast-0123456789abcdef.new",
		".holdfast-0123456789abcdef" };
	char made[TARGET_NAME_TEMP_BYTES];
	struct err err = ERR_INIT;
	cr_assert(eq(int, target_name_temp(made, &err), 0));
	make(made);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		make(others[i]);
	cr_expect(eq(u64, target_sweep(dir), 1));
	cr_expect(not(is_there(made)));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect(is_there(others[i]), "%s", others[i]);
}

Test(target_sweep, a_link_goes_and_its_target_stays)
{
	make("precious");
	cr_assert(eq(int, symlinkat("precious", dir, LEFT), 0));
	cr_expect(eq(u64, target_sweep(dir), 1));
	cr_expect(not(is_there(LEFT)));
	cr_expect(is_there("precious"));
}

Test(target_sweep, a_directory_of_the_name_stays)
{
	cr_assert(eq(int, mkdirat(dir, LEFT, 0700), 0));
	cr_expect(eq(u64, target_sweep(dir), 0));
	cr_expect(is_there(LEFT));
}

Test(target_sweep, a_file_that_a_restore_is_writing_stays)
{
	struct restore_writer *w = NULL;
	struct restore_writer_opts opts = { .overwrite = RESTORE_REFUSE };
	struct err err = ERR_INIT;
	struct entry e = { .kind = ENTRY_FILE, .mode = 0600, .size = 1 };
	enum restore_step step;
	cr_assert(eq(int, restore_writer_new(dir, &opts, &w, &err), 0), "%s", err.msg);
	cr_assert(eq(int, restore_writer_begin(w, (const uint8_t *)"f", 1, &e, &step, &err), 0),
		"%s", err.msg);
	cr_expect(eq(u64, target_sweep(dir), 0));
	cr_expect(eq(int, restore_writer_data(w, 0, "x", 1, &err), 0));
	cr_expect(eq(int, restore_writer_end(w, &err), 0), "%s", err.msg);
	cr_expect(is_there("f"));
	restore_writer_free(w);
}

Test(target_sweep, of_another_owner_only_where_nobody_else_can_write)
{
	if (geteuid() != 0) {
		teardown(); /* of a skipped test Criterion runs none */
		cr_skip_test("needs root");
	}
	make(LEFT);
	cr_assert(eq(int, fchownat(dir, LEFT, 12345, 12345, 0), 0));
	cr_assert(eq(int, fchmod(dir, 0777), 0));
	cr_expect(eq(u64, target_sweep(dir), 0));
	cr_assert(eq(int, fchmod(dir, 0755), 0));
	cr_assert(eq(int, fchown(dir, 12345, 0), 0));
	cr_expect(eq(u64, target_sweep(dir), 0));
	cr_assert(eq(int, fchown(dir, 0, 0), 0));
	cr_expect(eq(u64, target_sweep(dir), 1));
}

Test(target_sweep, a_restore_sweeps_the_directories_it_enters_before_it_judges_them)
{
	struct restore_writer *w = NULL;
	struct restore_writer_opts opts = { .overwrite = RESTORE_REFUSE };
	struct err err = ERR_INIT;
	struct entry e = { .kind = ENTRY_FILE, .mode = 0600 };
	enum restore_step step;
	make(LEFT);
	cr_assert(eq(int, restore_writer_new(dir, &opts, &w, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, restore_writer_stats(w)->leftovers, 1));
	restore_writer_free(w);

	cr_assert(eq(int, mkdirat(dir, "d", 0700), 0));
	make("d/" LEFT);
	opts.overwrite = RESTORE_KEEP;
	cr_assert(eq(int, restore_writer_new(dir, &opts, &w, &err), 0), "%s", err.msg);
	cr_assert(eq(int, restore_writer_begin(w, (const uint8_t *)"d\0f", 3, &e, &step, &err), 0),
		"%s", err.msg);
	cr_expect(eq(int, restore_writer_end(w, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, restore_writer_stats(w)->leftovers, 1));
	cr_expect(not(is_there("d/" LEFT)));
	restore_writer_free(w);
}
