#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "restore/restore_writer.h"
#include "restore/target_meta.h"
#include "tests/lib/nasty.h"
#include "tests/lib/treecmp.h"
#include "vault/entry.h"

#define MAX_GROUPS 64
#define MAX_XATTRS 64
#define XATTR_BYTES 65536
#define CHUNK_BYTES 262144

static char scratch[64];
static int from = -1, target = -1;
static struct restore_writer *w;
static struct err err;
static unsigned notes[RESTORE_NOTE_RENAMED + 1];

static void setup(void)
{
	(void)snprintf(scratch, sizeof(scratch), "/tmp/target-meta-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(scratch), NULL));
	int fd = open(scratch, O_RDONLY | O_DIRECTORY);
	cr_assert(eq(int, mkdirat(fd, "from", 0755), 0));
	cr_assert(eq(int, mkdirat(fd, "target", 0755), 0));
	from = openat(fd, "from", O_RDONLY | O_DIRECTORY);
	target = openat(fd, "target", O_RDONLY | O_DIRECTORY);
	(void)close(fd);
	cr_assert(from >= 0 && target >= 0);
}

static void teardown(void)
{
	restore_writer_free(w);
	w = NULL;
	(void)close(from);
	(void)close(target);
	int fd = open(scratch, O_RDONLY | O_DIRECTORY);
	(void)nasty_remove(fd);
	(void)close(fd);
	(void)rmdir(scratch);
}

TestSuite(target_meta, .init = setup, .fini = teardown);

/* A skipped test is left without its teardown. */
static void need_root(void)
{
	if (geteuid() == 0)
		return;
	teardown();
	cr_skip("needs root");
}

static void on_note(void *arg, enum restore_note_kind kind, const uint8_t *key, size_t key_len,
	const char *text)
{
	char path[RESTORE_NOTE_PATH_BYTES];
	(void)arg;
	notes[kind]++;
	cr_log_info("%s: %s", restore_note_path(key, key_len, path), text);
}

static void start(const struct restore_writer_opts *more)
{
	struct restore_writer_opts opts = *more;
	opts.note = on_note;
	cr_assert(eq(int, restore_writer_new(target, &opts, &w, &err), 0), "%s", err.msg);
}

/* ---- a plain reader of a file system, so that the writer is judged without the agent --------- */

struct reader {
	struct entry e;
	struct entry_xattr xattrs[MAX_XATTRS];
	char names[XATTR_BYTES];
	uint8_t values[XATTR_BYTES];
	uint8_t target[4096];
	struct {
		dev_t dev;
		ino_t ino;
	} groups[MAX_GROUPS];
	size_t group_count;
	uint8_t key[ENTRY_MAX_KEY_BYTES];
	uint8_t chunk[CHUNK_BYTES];
};

static struct reader reader;

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_xattrs(int dirfd, const char *name)
{
	char path[300];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
	ssize_t len = llistxattr(path, reader.names, sizeof(reader.names));
	size_t count = 0, used = 0;
	for (char *p = reader.names; p < reader.names + len; p += strlen(p) + 1) {
		uint8_t *value = reader.values + used;
		ssize_t got = lgetxattr(path, p, value, sizeof(reader.values) - used);
		cr_assert(got >= 0 && count < MAX_XATTRS);
		reader.xattrs[count++] = (struct entry_xattr){
			.name = p, .name_len = strlen(p), .value = value, .value_len = (size_t)got
		};
		used += (size_t)got;
	}
	reader.e.xattrs = reader.xattrs;
	reader.e.xattr_count = count;
}

static uint64_t group_of(const struct stat *st)
{
	if (st->st_nlink == 1 || S_ISDIR(st->st_mode))
		return 0;
	size_t i = 0;
	while (i < reader.group_count &&
		(reader.groups[i].dev != st->st_dev || reader.groups[i].ino != st->st_ino))
		i++;
	if (i == reader.group_count) {
		cr_assert(lt(sz, i, MAX_GROUPS));
		reader.groups[reader.group_count].dev = st->st_dev;
		reader.groups[reader.group_count++].ino = st->st_ino;
	}
	return i + 1;
}

static void read_kind(int dirfd, const char *name, const struct stat *st)
{
	struct entry *e = &reader.e;
	if (S_ISREG(st->st_mode))
		e->kind = ENTRY_FILE;
	else if (S_ISDIR(st->st_mode))
		e->kind = ENTRY_DIR;
	else if (S_ISLNK(st->st_mode))
		e->kind = ENTRY_SYMLINK;
	else if (S_ISFIFO(st->st_mode))
		e->kind = ENTRY_FIFO;
	else
		e->kind = S_ISCHR(st->st_mode) ? ENTRY_CHAR : ENTRY_BLOCK;
	if (e->kind == ENTRY_FILE)
		e->size = (uint64_t)st->st_size;
	e->dev_major = major(st->st_rdev);
	e->dev_minor = minor(st->st_rdev);
	if (e->kind == ENTRY_SYMLINK) {
		e->target = reader.target;
		e->target_len = (size_t)readlinkat(
			dirfd, name, (char *)reader.target, sizeof(reader.target));
	}
	unsigned flags = 0;
	int fd = e->kind > ENTRY_DIR ? -1 : openat(dirfd, name, O_RDONLY | O_NOFOLLOW);
	if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0)
		e->flags = flags & TARGET_META_FLAGS;
	if (fd >= 0)
		(void)close(fd);
}

static void read_entry(int dirfd, const char *name)
{
	struct stat st;
	cr_assert(eq(int, fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0));
	reader.e = (struct entry){ .mode = st.st_mode & 07777,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.mtime = { .s = st.st_mtim.tv_sec, .ns = (uint32_t)st.st_mtim.tv_nsec },
		.hardlink = group_of(&st) };
	if (S_ISLNK(st.st_mode))
		reader.e.mode = 0777;
	read_kind(dirfd, name, &st);
	read_xattrs(dirfd, name);
}

/* Hand over the data between the holes. */
static void feed_content(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW);
	cr_assert(fd >= 0);
	off_t at = 0;
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(fd, at, SEEK_HOLE);
		while (at < end) {
			size_t want = end - at < CHUNK_BYTES ? (size_t)(end - at) : CHUNK_BYTES;
			ssize_t n = pread(fd, reader.chunk, want, at);
			cr_assert(ge(i64, n, 1));
			int rc =
				restore_writer_data(w, (uint64_t)at, reader.chunk, (size_t)n, &err);
			cr_assert(eq(int, rc, 0), "%s", err.msg);
			at += n;
		}
	}
	(void)close(fd);
	cr_assert(eq(int, restore_writer_end(w, &err), 0), "%s", err.msg);
}

static void feed_dir(int dirfd, size_t key_len);

static void feed_name(int dirfd, const char *name, size_t key_len)
{
	if (key_len > 0)
		reader.key[key_len++] = 0;
	memcpy(reader.key + key_len, name, strlen(name));
	key_len += strlen(name);

	enum restore_step step;
	read_entry(dirfd, name);
	bool is_dir = reader.e.kind == ENTRY_DIR;
	int rc = restore_writer_begin(w, reader.key, key_len, &reader.e, &step, &err);
	cr_assert(eq(int, rc, 0), "%s", err.msg);
	if (step == RESTORE_STEP_DATA)
		feed_content(dirfd, name);
	if (!is_dir)
		return;
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	cr_assert(fd >= 0);
	feed_dir(fd, key_len);
	(void)close(fd);
}

static void feed_dir(int dirfd, size_t key_len)
{
	char *names[512];
	size_t count = 0;
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY));
	cr_assert(ne(ptr, dir, NULL));
	const struct dirent *d;
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		cr_assert(lt(sz, count, 512));
		names[count++] = strdup(d->d_name);
	}
	(void)closedir(dir);
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++) {
		feed_name(dirfd, names[i], key_len);
		free(names[i]);
	}
}

/* Restore ${from} and compare; differences go to stderr, where a failing test shows them. */
static long round_trip(const struct restore_writer_opts *opts, const struct treecmp_opts *compare)
{
	memset(&reader, 0, sizeof(reader));
	start(opts);
	feed_dir(from, 0);
	cr_assert(eq(int, restore_writer_finish(w, &err), 0), "%s", err.msg);
	long differences = treecmp_dirs(from, target, compare, stderr);
	restore_writer_free(w);
	w = NULL;
	return differences;
}

Test(target_meta, everything_a_host_can_have_comes_back_as_it_was)
{
	struct restore_writer_opts opts = { .sparse = true };
	struct treecmp_opts compare = { 0 };
	struct nasty_counts counts;
	need_root();
	cr_assert(eq(int, nasty_make(from, NASTY_TERABYTE | NASTY_LOCKED, NULL, &counts), 0));
	cr_expect(ge(uint, counts.made, 301));
	cr_expect(eq(int, (int)round_trip(&opts, &compare), 0));
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		cr_expect(eq(uint, notes[i], 0), "kind %zu", i);
}

Test(target_meta, restoring_over_another_state_makes_it_as_it_was)
{
	struct restore_writer_opts opts = { .sparse = true, .overwrite = RESTORE_REPLACE };
	struct treecmp_opts compare = { 0 };
	need_root();
	cr_assert(eq(int, nasty_make(from, 0, NULL, NULL), 0));
	cr_assert(eq(int, nasty_make(target, 0, NULL, NULL), 0));
	/* strange attributes, modes and times of directories, and other content */
	cr_assert(eq(int, fsetxattr(target, "user.root", "stays", 5, 0), 0));
	int fd = openat(target, "names", O_RDONLY | O_DIRECTORY);
	cr_assert(eq(int, fsetxattr(fd, "user.strange", "goes", 4, 0), 0));
	cr_assert(eq(int, fchmod(fd, 0701), 0));
	(void)close(fd);
	fd = openat(target, "content/random-4096", O_WRONLY | O_TRUNC);
	(void)close(fd);
	cr_expect(eq(int, (int)round_trip(&opts, &compare), 0));
	cr_expect(eq(int, (int)fgetxattr(target, "user.root", NULL, 0), 5));
}

Test(target_meta, nothing_is_inherited_from_the_target_directory)
{
	/* a default ACL in the kernel's form: version 2, user:4711:rwx among the base entries */
	static const uint8_t acl[] = { 2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0x67,
		0x12, 0, 0, 4, 0, 7, 0, 255, 255, 255, 255, 0x10, 0, 7, 0, 255, 255, 255, 255, 0x20,
		0, 7, 0, 255, 255, 255, 255 };
	struct restore_writer_opts opts = { .sparse = true };
	struct treecmp_opts compare = { 0 };
	cr_assert(eq(int, fsetxattr(target, "system.posix_acl_default", acl, sizeof(acl), 0), 0));
	cr_assert(eq(int, mkdirat(from, "dir", 0750), 0));
	cr_assert(eq(int, mkfifoat(from, "dir/fifo", 0640), 0));
	(void)close(openat(from, "dir/file", O_CREAT | O_WRONLY, 0604));
	cr_expect(eq(int, (int)round_trip(&opts, &compare), 0));
}

/* ---- what cannot be set ---------------------------------------------------------------------- */

static int put_entry(const char *name, struct entry e)
{
	enum restore_step step;
	int rc = restore_writer_begin(w, (const uint8_t *)name, strlen(name), &e, &step, &err);
	if (rc == 0 && step == RESTORE_STEP_DATA)
		rc = restore_writer_end(w, &err);
	return rc != 0 ? rc : (int)step;
}

static struct entry entry_of(enum entry_kind kind)
{
	return (struct entry){
		.kind = kind, .mode = 0644, .uid = geteuid(), .gid = getegid(), .mtime = { 1, 1 }
	};
}

static unsigned mode_of(const char *name)
{
	struct stat st = { 0 };
	cr_expect(eq(int, fstatat(target, name, &st, AT_SYMLINK_NOFOLLOW), 0));
	return st.st_mode & 07777;
}

Test(target_meta, a_time_the_file_system_cannot_hold_is_noted)
{
	struct entry e = entry_of(ENTRY_FILE);
	start(&(struct restore_writer_opts){ 0 });
	e.mtime = (struct entry_time){ .s = INT64_MAX, .ns = 0 };
	cr_expect(eq(int, put_entry("late", e), RESTORE_STEP_DATA));
	cr_expect(eq(uint, notes[RESTORE_NOTE_TIME], 1));
	e.mtime = (struct entry_time){ .s = INT64_MIN, .ns = 999999999 };
	cr_expect(eq(int, put_entry("soon", e), RESTORE_STEP_DATA));
	cr_expect(eq(uint, notes[RESTORE_NOTE_TIME], 2));
	cr_expect(eq(u64, restore_writer_stats(w)->notes, 2));
}

Test(target_meta, attributes_that_no_file_system_takes_are_noted_by_name)
{
	static const uint8_t value[1] = { 'v' };
	char longest[300];
	memset(longest, 'n', sizeof(longest));
	memcpy(longest, "user.", 5);
	struct entry_xattr xattrs[] = {
		{ .name = "nonsense.x", .name_len = 10, .value = value, .value_len = 1 },
		{ .name = longest, .name_len = sizeof(longest), .value = value, .value_len = 1 },
		{ .name = "user.a\0b", .name_len = 8, .value = value, .value_len = 1 },
		{ .name = "user.good", .name_len = 9, .value = value, .value_len = 1 },
	};
	struct entry e = entry_of(ENTRY_FILE);
	e.xattrs = xattrs;
	e.xattr_count = 4;
	start(&(struct restore_writer_opts){ 0 });
	cr_expect(eq(int, put_entry("f", e), RESTORE_STEP_DATA));
	cr_expect(eq(uint, notes[RESTORE_NOTE_XATTR], 3));
	int fd = openat(target, "f", O_RDONLY);
	cr_expect(eq(int, (int)fgetxattr(fd, "user.good", NULL, 0), 1));
	(void)close(fd);
}

Test(target_meta, unknown_inode_flags_are_noted_not_set)
{
	struct entry e = entry_of(ENTRY_FILE);
	e.flags = FS_COMPR_FL | FS_NODUMP_FL;
	start(&(struct restore_writer_opts){ 0 });
	cr_expect(eq(int, put_entry("f", e), RESTORE_STEP_DATA));
	cr_expect(eq(uint, notes[RESTORE_NOTE_FLAGS], 1));
	e = entry_of(ENTRY_FIFO);
	e.flags = FS_NODUMP_FL;
	cr_expect(eq(int, put_entry("g", e), RESTORE_STEP_DONE));
}

Test(target_meta, without_owners_set_id_bits_are_left_out_and_said)
{
	struct entry e = entry_of(ENTRY_FILE);
	e.uid = 12345;
	e.mode = 06755;
	start(&(struct restore_writer_opts){ .no_owner = true });
	cr_expect(eq(int, put_entry("f", e), RESTORE_STEP_DATA));
	cr_expect(eq(uint, mode_of("f"), 02755)); /* the group is ours */
	cr_expect(eq(uint, notes[geteuid() == 0 ? RESTORE_NOTE_MODE : RESTORE_NOTE_RIGHTS], 1));
	cr_expect(eq(uint, notes[RESTORE_NOTE_OWNER], 0));
}

Test(target_meta, names_of_owners_win_over_numbers_unless_asked)
{
	struct stat st = { 0 };
	struct entry e = entry_of(ENTRY_FILE);
	e.uid = 12345;
	e.gid = 12345;
	e.user = "root";
	e.group = "no-such-group-here";
	need_root();
	start(&(struct restore_writer_opts){ 0 });
	cr_expect(eq(int, put_entry("f", e), RESTORE_STEP_DATA));
	cr_expect(eq(int, fstatat(target, "f", &st, 0), 0));
	cr_expect(eq(uint, st.st_uid, 0));
	cr_expect(eq(uint, st.st_gid, 12345));
	restore_writer_free(w);
	w = NULL;
	start(&(struct restore_writer_opts){ .numeric_ids = true, .overwrite = RESTORE_REPLACE });
	cr_expect(eq(int, put_entry("f", e), RESTORE_STEP_DATA));
	cr_expect(eq(int, fstatat(target, "f", &st, 0), 0));
	cr_expect(eq(uint, st.st_uid, 12345));
}

Test(target_meta, an_ordinary_user_gets_what_he_may_have_and_notes_for_the_rest)
{
	static const uint8_t value[1] = { 'v' };
	struct entry_xattr trusted = {
		.name = "trusted.x", .name_len = 9, .value = value, .value_len = 1
	};
	bool was_root = geteuid() == 0;
	if (was_root) {
		cr_assert(eq(int, fchown(target, 65534, 65534), 0));
		cr_assert(eq(int, chmod(scratch, 0755), 0));
		cr_assert(eq(int, setresgid(65534, 65534, 0), 0));
		cr_assert(eq(int, setresuid(65534, 65534, 0), 0));
	}
	start(&(struct restore_writer_opts){ 0 });
	struct entry e = entry_of(ENTRY_FILE);
	e.uid = e.gid = 1;
	e.mode = 06711;
	e.xattrs = &trusted;
	e.xattr_count = 1;
	cr_expect(eq(int, put_entry("f", e), RESTORE_STEP_DATA), "%s", err.msg);
	cr_expect(eq(uint, mode_of("f"), 0711));
	cr_expect(eq(uint, notes[RESTORE_NOTE_OWNER], 1));
	cr_expect(eq(uint, notes[RESTORE_NOTE_RIGHTS], 2)); /* set-id bits and the attribute */
	cr_expect(eq(uint, notes[RESTORE_NOTE_MODE], 0));
	cr_expect(eq(uint, notes[RESTORE_NOTE_XATTR], 0));

	e = entry_of(ENTRY_CHAR);
	e.dev_major = 1;
	e.dev_minor = 3;
	cr_expect(eq(int, put_entry("g", e), RESTORE_STEP_SKIPPED));
	cr_expect(eq(uint, notes[RESTORE_NOTE_DEVICE], 1));
	e = entry_of(ENTRY_DIR);
	e.mode = 0;
	cr_expect(eq(int, put_entry("h", e), RESTORE_STEP_DONE));
	cr_expect(eq(int, restore_writer_finish(w, &err), 0), "%s", err.msg);
	cr_expect(eq(uint, mode_of("h"), 0));
	if (was_root)
		cr_assert(eq(int, setresuid(0, 0, 0), 0)); /* so that it can be removed */
}

Test(target_meta, a_copy_holds_everything_and_refuses_too_much)
{
	static uint8_t value[ENTRY_MAX_XATTR_BYTES + 1];
	static struct entry_xattr xattrs[ENTRY_MAX_XATTRS + 1];
	struct entry *copy = NULL, e = entry_of(ENTRY_DIR);
	value[0] = 'v';
	for (size_t i = 0; i < ENTRY_MAX_XATTRS + 1; i++)
		xattrs[i] = (struct entry_xattr){
			.name = "user.n", .name_len = 6, .value = value, .value_len = 1
		};
	e.user = "me";
	e.xattrs = xattrs;
	e.xattr_count = 2;
	cr_assert(eq(int, target_meta_copy(&e, &copy, &err), 0));
	value[0] = 'w';
	cr_expect(eq(str, (char *)copy->user, "me"));
	cr_expect(eq(ptr, (void *)copy->group, NULL));
	cr_expect(eq(sz, copy->xattr_count, 2));
	cr_expect(eq(int, memcmp(copy->xattrs[1].name, "user.n", 6), 0));
	cr_expect(eq(int, copy->xattrs[1].value[0], 'v'));
	cr_expect(eq(uint, copy->mode, 0644));
	free(copy);
	copy = NULL;

	e.xattr_count = ENTRY_MAX_XATTRS + 1;
	cr_expect(eq(int, target_meta_copy(&e, &copy, &err), -ERR_LIMIT));
	e.xattr_count = 1;
	xattrs[0].value_len = sizeof(value);
	cr_expect(eq(int, target_meta_copy(&e, &copy, &err), -ERR_LIMIT));
	e.xattr_count = ENTRY_MAX_XATTRS;
	for (size_t i = 0; i < ENTRY_MAX_XATTRS; i++)
		xattrs[i].value_len = ENTRY_MAX_XATTR_BYTES;
	cr_expect(eq(int, target_meta_copy(&e, &copy, &err), -ERR_LIMIT));
	cr_expect(eq(ptr, copy, NULL));
}
