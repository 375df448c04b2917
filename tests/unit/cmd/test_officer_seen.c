#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "cmd/officer_seen.h"

static char dir[64], key[80], seen[96];
static struct err err = ERR_INIT;
static const uint8_t plant[16] = { 1 }, other[16] = { 2 };
static const struct officer_seen three = { .epoch = 3, .hash = { 3 } },
				 four = { .epoch = 4, .hash = { 4 } },
				 four_b = { .epoch = 4, .hash = { 5 } },
				 five = { .epoch = 5, .hash = { 6 } };

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	cr_assert(ne(ptr, file, NULL));
	cr_assert(fputs(text, file) >= 0);
	cr_assert(eq(int, fchmod(fileno(file), 0600), 0));
	cr_assert(eq(int, fclose(file), 0));
}

static void setup(void)
{
	strcpy(dir, "/tmp/holdfast-officer-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)snprintf(key, sizeof(key), "%s/officer.key", dir);
	(void)snprintf(seen, sizeof(seen), "%s.seen", key);
	write_text(key, "key\n");
}

static void teardown(void)
{
	(void)unlink(seen);
	(void)unlink(key);
	(void)rmdir(dir);
}

TestSuite(officer_seen, .init = setup, .fini = teardown);

static int keep(
	const uint8_t id[16], const struct officer_seen *now, const struct officer_seen *next)
{
	int fd = -1;
	err_clear(&err);
	cr_assert(eq(int, officer_seen_lock(key, &fd, &err), 0), "%s", err.msg);
	int rc = officer_seen_keep(key, id, now, next, &err);
	(void)close(fd);
	return rc;
}

Test(officer_seen, what_is_seen_first_is_believed_and_kept_for_its_owner_only)
{
	struct stat st;
	cr_expect(eq(int, officer_seen_check(key, plant, &three, &four, &err), 0));
	cr_expect(ne(int, access(seen, F_OK), 0)); /* a look alone keeps nothing */
	cr_assert(eq(int, keep(plant, &three, &four), 0), "%s", err.msg);
	cr_assert(eq(int, stat(seen, &st), 0));
	cr_expect(eq(int, (int)(st.st_mode & 0777), 0600));
	cr_expect(eq(int, keep(plant, &four, &five), 0), "%s", err.msg);
}

Test(officer_seen, an_older_config_gets_no_other_signature)
{
	cr_assert(eq(int, keep(plant, &three, &four), 0));
	cr_expect(eq(int, officer_seen_check(key, plant, &three, &four_b, &err), -ERR_ROLLBACK));
	cr_expect(ne(ptr, strstr(err.msg, "shows config 3, but 4 was"), NULL), "%s", err.msg);
	cr_expect(ne(ptr, strstr(err.hint, "struck keys back"), NULL), "%s", err.hint);
	cr_expect(eq(int, officer_seen_check(key, plant, &three, NULL, &err), -ERR_ROLLBACK));
	cr_expect(eq(int, keep(plant, &four, &five), 0), "%s", err.msg); /* nothing was changed */
}

Test(officer_seen, another_config_of_the_same_epoch_is_refused)
{
	cr_assert(eq(int, keep(plant, &four, NULL), 0));
	cr_expect(eq(int, officer_seen_check(key, plant, &four_b, &five, &err), -ERR_ROLLBACK));
	cr_expect(ne(ptr, strstr(err.msg, "another config 4"), NULL), "%s", err.msg);
}

Test(officer_seen, a_change_whose_answer_was_lost_can_be_repeated)
{
	cr_assert(eq(int, keep(plant, &three, &four), 0));
	cr_expect(eq(int, keep(plant, &three, &four), 0), "%s", err.msg);
}

Test(officer_seen, what_another_process_signed_since_the_look_is_busy_and_no_rollback)
{
	cr_assert(eq(int, keep(plant, &three, NULL), 0));
	cr_assert(eq(int, officer_seen_check(key, plant, &three, &four_b, &err), 0));
	cr_assert(eq(int, keep(plant, &three, &four), 0)); /* the other process */
	cr_expect(eq(int, keep(plant, &three, &four_b), -ERR_BUSY));
	cr_expect(ne(ptr, strstr(err.msg, "config 4 was signed here since config 3"), NULL), "%s",
		err.msg);
	cr_expect(ne(ptr, strstr(err.hint, "repeat"), NULL), "%s", err.hint);
	cr_expect(eq(int, officer_seen_check(key, plant, &four, &five, &err), 0));
	cr_expect(eq(int, keep(plant, &four, &five), 0), "%s", err.msg);
}

Test(officer_seen, a_config_without_an_answer_gives_way_to_another_of_its_epoch)
{
	/* busy, or no answer at all: in this process or the next, the memory is the same */
	cr_assert(eq(int, keep(plant, &three, &four), 0));
	cr_expect(eq(int, officer_seen_check(key, plant, &three, &four_b, &err), -ERR_ROLLBACK));
	cr_expect(eq(int, officer_seen_check(key, plant, &three, NULL, &err), -ERR_ROLLBACK));
	cr_expect(eq(int, officer_seen_check(key, plant, &four, &five, &err), 0));
	cr_expect(eq(int, officer_seen_check(key, plant, &four_b, &five, &err), 0), "%s", err.msg);
	cr_assert(eq(int, keep(plant, &four_b, &five), 0), "%s", err.msg);
	/* from now on that one counts, and the one that gave way is old */
	cr_expect(eq(int, officer_seen_check(key, plant, &four, NULL, &err), -ERR_ROLLBACK));
	cr_expect(eq(int, officer_seen_check(key, plant, &four_b, NULL, &err), -ERR_ROLLBACK));
}

Test(officer_seen, a_config_that_was_taken_gives_way_to_none)
{
	cr_assert(eq(int, keep(plant, &three, &four), 0));
	cr_assert(eq(int, keep(plant, &four, NULL), 0)); /* the answer; or it is shown */
	cr_expect(eq(int, officer_seen_check(key, plant, &four_b, &five, &err), -ERR_ROLLBACK));
	cr_expect(eq(int, keep(plant, &four, &five), 0), "%s", err.msg);
}

Test(officer_seen, one_at_a_time_holds_the_lock)
{
	int fd = -1, again = open(key, O_RDONLY | O_CLOEXEC);
	cr_assert(eq(int, officer_seen_lock(key, &fd, &err), 0));
	cr_expect(eq(int, flock(again, LOCK_EX | LOCK_NB), -1));
	(void)close(fd);
	cr_expect(eq(int, flock(again, LOCK_EX | LOCK_NB), 0));
	(void)close(again);
}

Test(officer_seen, each_domain_has_a_memory_of_its_own)
{
	cr_assert(eq(int, keep(plant, &four, &five), 0));
	cr_assert(eq(int, keep(other, &three, &four), 0), "%s", err.msg);
	cr_expect(eq(int, officer_seen_check(key, plant, &four, NULL, &err), -ERR_ROLLBACK));
	cr_expect(eq(int, keep(other, &four, &five), 0), "%s", err.msg);
}

Test(officer_seen, a_damaged_memory_is_told_and_stays)
{
	static const char *const bad[] = { "", "holdfast-officer-seen 2\n",
		"holdfast-officer-seen 1\nabc", "holdfast-officer-seen 1\nabc 4 def\n",
		"holdfast-officer-seen 1\n01000000000000000000000000000000 4 "
		"0400000000000000000000000000000000000000000000000000000000000000 lost\n" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_text(seen, bad[i]);
		cr_expect(eq(int, keep(plant, &four, &five), -ERR_CORRUPT), "%s", bad[i]);
	}
}
