#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/env.h"
#include "base/err.h"
#include "restore/id_map.h"
#include "restore/restore_note.h"
#include "restore/target_name.h"
#include "tests/lib/nasty.h"

static char scratch[64];
static int dir = -1;
static struct err err;
static struct restore_note note;

static void setup(void)
{
	(void)snprintf(scratch, sizeof(scratch), "/tmp/target-name-XXXXXX");
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

TestSuite(target_name, .init = setup, .fini = teardown);

static struct stat make(const char *name)
{
	struct stat st = { 0 };
	int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY, 0600);
	cr_assert(eq(int, fstat(fd, &st), 0));
	(void)close(fd);
	return st;
}

static bool is_there(const char *name)
{
	struct stat st;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

Test(target_name, a_free_name_is_chosen_as_it_is)
{
	struct target_name_rule rule = { 0 };
	struct target_name name;
	cr_assert(eq(int, target_name_choose(dir, "a", &rule, &note, &name, &err), 0));
	cr_expect(eq(str, name.name, "a"));
	cr_expect(not(name.exists));
	cr_expect(eq(u64, note.count, 0));
}

Test(target_name, a_name_of_a_stranger_is_given_for_the_overwrite_rule_to_judge)
{
	struct id_map made = { 0 };
	struct target_name_rule rule = { .made = &made };
	struct target_name name;
	struct stat st = make("a");
	cr_assert(eq(int, target_name_choose(dir, "a", &rule, &note, &name, &err), 0));
	cr_expect(eq(str, name.name, "a"));
	cr_expect(name.exists);
	cr_expect(eq(u64, name.st.st_ino, st.st_ino));
}

Test(target_name, a_name_of_this_restore_is_passed_over_but_not_that_of_its_own_group)
{
	struct id_map made = { 0 };
	struct target_name_rule rule = { .made = &made };
	struct target_name name;
	struct stat st = make("a");
	cr_assert(eq(int, id_map_put(&made, st.st_dev, st.st_ino, NULL, NULL), 0));
	cr_assert(eq(int, target_name_choose(dir, "a", &rule, &note, &name, &err), 0));
	cr_expect(eq(str, name.name, "a~1"));
	cr_expect(eq(u64, note.count, 1));
	rule.own_dev = st.st_dev;
	rule.own_ino = st.st_ino;
	cr_assert(eq(int, target_name_choose(dir, "a", &rule, &note, &name, &err), 0));
	cr_expect(eq(str, name.name, "a"));
	id_map_done(&made);
}

Test(target_name, a_long_name_is_cut_at_a_character_to_make_room_for_the_number)
{
	struct target_name_rule rule = { 0 };
	struct target_name name;
	char longest[NAME_MAX + 1];
	memset(longest, 'x', NAME_MAX);
	longest[NAME_MAX] = '\0';
	memcpy(longest + NAME_MAX - 6, "\xe2\x82\xac", 3); /* the cut falls into it */
	(void)make(longest);
	cr_assert(eq(int, target_name_choose(dir, longest, &rule, &note, &name, &err), 0));
	cr_expect(eq(sz, strlen(name.name), NAME_MAX - 4));
	cr_expect(eq(str, name.name + NAME_MAX - 7, "x~1"));
}

Test(target_name, a_name_is_not_taken_from_anybody_unless_replacing)
{
	(void)make("temp");
	(void)make("name");
	cr_expect(eq(int, target_name_take(dir, "temp", "name", false, &err), -ERR_EXISTS));
	cr_expect(is_there("temp"));
	cr_expect(eq(int, target_name_take(dir, "temp", "name", true, &err), 0));
	cr_expect(not(is_there("temp")));
	cr_expect(eq(int, target_name_take(dir, "temp", "other", false, &err), -ERR_IO));
}

Test(target_name, every_bad_component_is_named_corrupt_or_too_long)
{
	uint8_t longest[NAME_MAX + 1];
	memset(longest, 'x', sizeof(longest));
	cr_expect(eq(int, target_name_check((const uint8_t *)"..", 2, &err), -ERR_CORRUPT));
	cr_expect(eq(int, target_name_check((const uint8_t *)".", 1, &err), -ERR_CORRUPT));
	cr_expect(eq(int, target_name_check((const uint8_t *)"", 0, &err), -ERR_CORRUPT));
	cr_expect(eq(int, target_name_check((const uint8_t *)"a/", 2, &err), -ERR_CORRUPT));
	cr_expect(eq(int, target_name_check((const uint8_t *)"a\0b", 3, &err), -ERR_CORRUPT));
	cr_expect(eq(int, target_name_check(longest, NAME_MAX + 1, &err), -ERR_LIMIT));
	cr_expect(eq(int, target_name_check(longest, NAME_MAX, &err), 0));
	cr_expect(eq(int, target_name_check((const uint8_t *)"...", 3, &err), 0));
	cr_expect(eq(int, target_name_check((const uint8_t *)"..a", 3, &err), 0));
}

static int no_random(void *out, size_t len)
{
	(void)out, (void)len;
	errno = EIO;
	return -1;
}

Test(target_name, temporary_names_differ_and_need_randomness)
{
	char a[TARGET_NAME_TEMP_BYTES] = "", b[TARGET_NAME_TEMP_BYTES] = "";
	cr_assert(eq(int, target_name_temp(a, &err), 0));
	cr_assert(eq(int, target_name_temp(b, &err), 0));
	cr_expect(ne(str, a, b));
	struct env_ops ops = *env_real();
	ops.random = no_random;
	(void)env_swap(&ops);
	int rc = target_name_temp(a, &err);
	(void)env_swap(NULL);
	cr_expect(eq(int, rc, -ERR_IO));
}
