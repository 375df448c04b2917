#include "db/db_sqlite.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "db/db.h"

static char dir[64], location[96], path[80];
static struct db *d;
static struct err err = ERR_INIT;

static const struct db_migration schema[] = {
	{ 1, "CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT, body DB_BLOB);"
	     "CREATE UNIQUE INDEX item_name ON item (name) WHERE id <> 3" },
};

static void open_db(void)
{
	cr_assert(eq(int, db_open(location, &d, &err), 0), "%s", err.msg);
	cr_assert(eq(int, db_migrate(d, schema, 1, &err), 0), "%s", err.msg);
}

static void close_db(void)
{
	db_close(d);
	d = NULL;
}

static void setup(void)
{
	strcpy(dir, "/tmp/test_sq.XXXXXX");
	cr_assert(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/c.db", dir);
	snprintf(location, sizeof(location), "sqlite:%s", path);
	open_db();
}

static void teardown(void)
{
	char command[128];
	close_db();
	(void)umount(dir); /* where it was made small */
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert(eq(int, system(command), 0));
}

TestSuite(db_sqlite, .init = setup, .fini = teardown);

static int add(int64_t id, size_t len)
{
	static uint8_t body[1 << 16];
	memset(body, (int)id, sizeof(body));
	return db_run(d, "INSERT INTO item (id, body) VALUES ($1, $2)",
		DB_ARGS(db_int(id), db_bytes(body, len)), NULL, &err);
}

/* The sum of ids, after every value was looked at; or an error. */
static int read_all(int64_t *sum)
{
	struct db_rows *r = NULL;
	*sum = 0;
	int rc = db_query(d, "SELECT id, name, body FROM item", DB_NO_ARGS, &r, &err);
	if (rc != 0)
		return rc;
	while ((rc = db_rows_next(r, &err)) == 1) {
		size_t len = 0;
		*sum += db_rows_int(r, 0);
		const uint8_t *body = db_rows_bytes(r, 2, &len);
		*sum += (int64_t)strlen(db_rows_text(r, 1)) * 0;
		for (size_t i = 0; i < len; i++)
			*sum += body[i] * 0;
	}
	db_rows_done(r);
	return rc;
}

Test(db_sqlite, the_file_and_its_log_are_private)
{
	struct stat st;
	char wal[96];
	cr_assert(eq(int, stat(path, &st), 0));
	cr_expect(eq(int, st.st_mode & 0777, 0600));
	snprintf(wal, sizeof(wal), "%s-wal", path);
	cr_assert(eq(int, stat(wal, &st), 0));
	cr_expect(eq(int, st.st_mode & 0777, 0600));
}

Test(db_sqlite, a_second_opener_is_told_who_has_it)
{
	struct db *second = NULL;
	cr_expect(eq(int, db_open(location, &second, &err), -ERR_BUSY));
	cr_expect(ne(ptr, strstr(err.msg, "in use by another process"), NULL), "%s", err.msg);
	cr_expect(ne(str, err.hint, ""));
	/* another process, before and after a write */
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(-db_open(location, &second, &err));
		int status = 0;
		cr_assert(eq(int, waitpid(pid, &status, 0), pid));
		cr_expect(eq(int, WEXITSTATUS(status), ERR_BUSY));
		cr_assert(eq(int, add(i, 10), 0));
	}
	close_db();
	cr_expect(eq(int, db_open(location, &d, &err), 0), "%s", err.msg);
}

Test(db_sqlite, who_holds_it_for_a_moment_is_waited_for)
{
	int ready[2];
	char byte = 0;
	cr_assert(eq(int, add(1, 10), 0));
	close_db();
	cr_assert(eq(int, pipe(ready), 0));
	pid_t pid = fork();
	if (pid == 0) {
		open_db();
		(void)db_begin(d, &err);
		(void)add(2, 10);
		(void)!write(ready[1], "r", 1);
		(void)poll(NULL, 0, 300);
		(void)kill(getpid(), SIGKILL); /* in the middle of what it did */
	}
	int status = 0;
	int64_t sum = 0;
	cr_assert(eq(sz, (size_t)read(ready[0], &byte, 1), 1));
	cr_assert(eq(int, db_open(location, &d, &err), 0), "%s", err.msg);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_assert(eq(int, read_all(&sum), 0), "%s", err.msg);
	cr_expect(eq(i64, sum, 1));
	(void)close(ready[0]);
	(void)close(ready[1]);
}

Test(db_sqlite, what_was_committed_survives_a_kill)
{
	close_db();
	pid_t pid = fork();
	if (pid == 0) {
		open_db();
		for (int64_t i = 1; i <= 20; i++) {
			if (add(i, 3000) != 0)
				_exit(1);
		}
		(void)db_begin(d, &err);
		(void)add(1000, 60000);
		(void)kill(getpid(), SIGKILL);
	}
	int status = 0;
	int64_t sum = 0;
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_assert(eq(int, WTERMSIG(status), SIGKILL));
	open_db();
	cr_assert(eq(int, read_all(&sum), 0), "%s", err.msg);
	cr_expect(eq(i64, sum, 210));
}

Test(db_sqlite, a_directory_that_is_missing_or_in_the_way_is_an_error)
{
	struct db *other = NULL;
	char at[128];
	snprintf(at, sizeof(at), "sqlite:%s/none/c.db", dir);
	cr_expect(eq(int, db_open(at, &other, &err), -ERR_IO));
	cr_expect(ne(ptr, strstr(err.msg, "none/c.db"), NULL));
	snprintf(at, sizeof(at), "sqlite:%s", dir);
	cr_expect(eq(int, db_open(at, &other, &err), -ERR_IO), "%s", err.msg);
	char longest[5000];
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest, "sqlite:", 7);
	cr_expect(eq(int, db_open(longest, &other, &err), -ERR_CONFIG));
}

Test(db_sqlite, a_name_with_a_meaning_elsewhere_is_a_file_here)
{
	struct db *other = NULL;
	cr_assert(eq(int, chdir(dir), 0));
	cr_assert(eq(int, db_open("sqlite::memory:", &other, &err), 0), "%s", err.msg);
	db_close(other);
	cr_expect(eq(int, access(":memory:", F_OK), 0));
	cr_assert(eq(int, chdir("/"), 0));
}

Test(db_sqlite, what_is_no_database_is_damage_with_a_way_out)
{
	close_db();
	FILE *f = fopen(path, "w");
	for (int i = 0; i < 2000; i++)
		fputs("not a db", f);
	fclose(f);
	cr_expect(eq(int, db_open(location, &d, &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.hint, "holdfast catalog rebuild"), NULL));
	cr_expect(eq(ptr, d, NULL));
}

Test(db_sqlite, flipped_bits_are_an_error_or_a_clean_read_never_a_crash)
{
	for (int64_t i = 1; i <= 40; i++)
		cr_assert(eq(int, add(i, i % 5 == 0 ? 9000 : 50), 0));
	close_db();
	CLEANUP(buf_done) struct buf whole = BUF_INIT(1 << 24);
	cr_assert(eq(int, fdio_read_file(AT_FDCWD, path, &whole, &err), 0));
	int damaged = 0, clean = 0;
	for (size_t i = 0; i < 600; i++) {
		/* densely at the head of the first pages, then everywhere */
		size_t at = i < 200 ? i : i < 300 ? 4096 + i : (i * 7919) % whole.len;
		int fd = open(path, O_WRONLY | O_TRUNC);
		whole.data[at] ^= (uint8_t)(1 << i % 8);
		cr_assert(eq(sz, (size_t)write(fd, whole.data, whole.len), whole.len));
		whole.data[at] ^= (uint8_t)(1 << i % 8);
		close(fd);
		int64_t sum = 0;
		int rc = db_open(location, &d, &err);
		if (rc != 0) /* what a check found is told on one line, without its own head */
			cr_expect(strpbrk(err.msg, "*\n") == NULL, "%s", err.msg);
		if (rc == 0)
			rc = db_migrate(d, schema, 1, &err);
		if (rc == 0)
			rc = read_all(&sum);
		if (rc == 0)
			(void)add(4000, 100); /* whatever it says */
		close_db();
		rc == 0 ? clean++ : damaged++;
	}
	cr_expect(ge(int, damaged, 41), "%d damaged, %d clean", damaged, clean);
	cr_expect(ge(int, clean, 1));
}

Test(db_sqlite, every_cut_of_the_file_is_an_error_or_a_clean_read)
{
	for (int64_t i = 1; i <= 20; i++)
		cr_assert(eq(int, add(i, 3000), 0));
	close_db();
	struct stat st;
	int damaged = 0;
	cr_assert(eq(int, stat(path, &st), 0));
	for (off_t len = st.st_size - 512; len > 0; len -= 4096 - 512) {
		int64_t sum;
		cr_assert(eq(int, truncate(path, len), 0));
		int rc = db_open(location, &d, &err);
		if (rc == 0)
			rc = read_all(&sum);
		close_db();
		damaged += rc != 0;
	}
	cr_expect(ge(int, damaged, 6));
}

/* Run the disk full: a small file system of its own for root, a limit on files for others. */
static struct rlimit before;

static void make_room_scarce(void)
{
	close_db();
	if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount("none", dir, "tmpfs", 0, "size=1m") == 0) {
		open_db();
		return;
	}
	struct rlimit small;
	signal(SIGXFSZ, SIG_IGN);
	cr_assert(eq(int, getrlimit(RLIMIT_FSIZE, &before), 0));
	small = before;
	small.rlim_cur = 1 << 20;
	cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &small), 0));
	open_db();
}

static int fill(int64_t from, int64_t to)
{
	int rc = 0;
	for (int64_t i = from; rc == 0 && i < to; i++)
		rc = add(i, 60000);
	return rc;
}

Test(db_sqlite, a_full_disk_undoes_what_was_not_committed)
{
	int64_t sum = 0;
	make_room_scarce();
	for (int64_t i = 1; i <= 5; i++)
		cr_assert(eq(int, add(i, 1000), 0));
	cr_assert(eq(int, db_begin(d, &err), 0));
	int rc = fill(100, 1100);
	if (rc == 0)
		rc = db_commit(d, &err);
	else
		db_rollback(d);
	cr_expect(eq(int, rc, -ERR_NOSPACE), "%s", err.msg);
	cr_expect(ne(str, err.hint, ""));
	cr_assert(eq(int, read_all(&sum), 0), "%s", err.msg);
	cr_expect(eq(i64, sum, 15));
	/* one by one: what was acknowledged is there, the one that was not is not */
	int64_t next = 100, want = 15;
	while ((rc = add(next, 60000)) == 0)
		want += next++;
	cr_expect(eq(int, rc, -ERR_NOSPACE), "%s", err.msg);
	cr_expect(ge(i64, next, 101));
	cr_assert(eq(int, read_all(&sum), 0), "%s", err.msg);
	cr_expect(eq(i64, sum, want));
	close_db();
	cr_assert(eq(int, db_open(location, &d, &err), 0), "%s", err.msg);
	cr_assert(eq(int, read_all(&sum), 0), "%s", err.msg);
	cr_expect(eq(i64, sum, want));
}

Test(db_sqlite, after_a_full_disk_it_goes_on_when_there_is_room)
{
	for (int64_t i = 1; i <= 5; i++)
		cr_assert(eq(int, add(i, 1000), 0));
	struct rlimit small;
	signal(SIGXFSZ, SIG_IGN);
	cr_assert(eq(int, getrlimit(RLIMIT_FSIZE, &before), 0));
	small = before;
	small.rlim_cur = 200000;
	cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &small), 0));
	cr_assert(eq(int, db_begin(d, &err), 0));
	int rc = fill(100, 1100);
	rc == 0 ? (void)(rc = db_commit(d, &err)) : db_rollback(d);
	cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &before), 0));
	cr_expect(eq(int, rc, -ERR_NOSPACE), "%s", err.msg);
	cr_expect(eq(int, add(6, 60000), 0), "%s", err.msg);
	close_db();
	open_db();
	int64_t sum = 0;
	cr_assert(eq(int, read_all(&sum), 0));
	cr_expect(eq(i64, sum, 21));
}

Test(db_sqlite, a_copy_that_does_not_fit_is_taken_away)
{
	char copy[96];
	snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	for (int64_t i = 1; i <= 10; i++)
		cr_assert(eq(int, add(i, 60000), 0));
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit small;
	cr_assert(eq(int, getrlimit(RLIMIT_FSIZE, &before), 0));
	/* the log is already as long as it gets, the copy is not */
	small = before;
	small.rlim_cur = 100000;
	close_db();
	open_db();
	cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &small), 0));
	int rc = db_backup(d, copy, &err);
	cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &before), 0));
	cr_expect(eq(int, rc, -ERR_NOSPACE), "%s", err.msg);
	cr_expect(eq(int, access(copy, F_OK), -1));
	cr_expect(eq(int, db_backup(d, copy, &err), 0), "%s", err.msg);
}
