#include "agents/file_cache.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"

#define NOW 2000000000
#define OLD 1000000000

DEFINE_CLEANUP(struct content *, content_free)
DEFINE_CLEANUP(struct file_cache *, file_cache_free)

static char dir[64], path[128], spool[136];
static const uint8_t k_fp[32] = "the key of the fingerprints ...";
static const uint8_t first[32] = "the first snapshot", second[32] = "the second snapshot";
static struct err err;
static struct env_ops ops;

static int64_t fixed_now(void)
{
	return (int64_t)NOW * 1000000000;
}

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_file_cache.XXXXXX");
	cr_assert(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/a/b/cache", dir);
	snprintf(spool, sizeof(spool), "%s.new", path);
	ops = *env_real();
	ops.now_ns = fixed_now;
	env_swap(&ops);
}

static void teardown(void)
{
	char name[160];
	env_swap(NULL);
	unlink(path);
	unlink(spool);
	snprintf(name, sizeof(name), "%s/a/b", dir);
	rmdir(name);
	snprintf(name, sizeof(name), "%s/a", dir);
	rmdir(name);
	cr_expect(eq(int, rmdir(dir), 0), "nothing else was left behind");
}

TestSuite(file_cache, .init = setup, .fini = teardown);

static struct source_item item_of(uint64_t ino, uint64_t size)
{
	return (struct source_item){ .fs_id = 7,
		.ino = ino,
		.links = 1,
		.ctime = { .s = OLD, .ns = 11 },
		.entry = {
			.kind = ENTRY_FILE, .size = size, .mtime = { .s = OLD - 5, .ns = 22 } } };
}

static struct ref ref_of(uint8_t seed)
{
	struct ref ref = { .raw_len = 100000, .cr_len = 5000u + seed };
	memset(ref.id, seed, sizeof(ref.id));
	memset(ref.key, seed + 100, sizeof(ref.key));
	return ref;
}

/* data, a hole, data: 1000 + 4096 + seed bytes */
static struct content *content_of(uint8_t seed)
{
	struct content *c = NULL;
	struct ref one = ref_of(seed), two = ref_of((uint8_t)(seed + 1));
	cr_assert(eq(int, content_new(&c, NULL), 0));
	cr_assert(eq(int, content_add(c, &one, 17, 1000, NULL), 0));
	cr_assert(eq(int, content_add_hole(c, 4096, NULL), 0));
	if (seed > 0)
		cr_assert(eq(int, content_add(c, &two, 3, seed, NULL), 0));
	c->size = 5096u + seed;
	c->digest_kind = ENTRY_DIGEST_SHA256;
	memset(c->digest, seed, sizeof(c->digest));
	return c;
}

static bool is_content_of(const struct content *c, uint8_t seed)
{
	CLEANUP(content_free_p) struct content *want = content_of(seed);
	bool same = c->size == want->size && c->count == want->count && c->users == 1 &&
		    content_is_whole(c) && c->digest_kind == want->digest_kind &&
		    memcmp(c->digest, want->digest, 32) == 0;
	for (size_t i = 0; same && i < c->count; i++) {
		const struct extent *x = &c->extents[i], *y = &want->extents[i];
		same = x->is_hole == y->is_hole && x->length == y->length &&
		       x->offset == y->offset && memcmp(&x->ref, &y->ref, sizeof(x->ref)) == 0;
	}
	return same;
}

static struct file_cache *open_cache(const uint8_t *base)
{
	struct file_cache *c = NULL;
	cr_assert(eq(int, file_cache_open(path, k_fp, base, &c, &err), 0), "%s", err.msg);
	return c;
}

static void add(struct file_cache *c, const struct source_item *item, uint8_t seed)
{
	CLEANUP(content_free_p) struct content *content = content_of(seed);
	cr_assert(eq(int, file_cache_add(c, item, content, &err), 0), "%s", err.msg);
}

/* A cache of files 1..count for the snapshot ${first}; file n has content n % 200. */
static void make(unsigned count)
{
	CLEANUP(file_cache_free_p) struct file_cache *c = open_cache(NULL);
	for (unsigned i = count; i > 0; i--) {
		struct source_item item = item_of(i, 5096 + i % 200);
		add(c, &item, (uint8_t)(i % 200));
	}
	cr_assert(eq(int, file_cache_commit(c, first, &err), 0), "%s", err.msg);
}

static int find(struct file_cache *c, const struct source_item *item, struct content **out)
{
	struct source_item copy = *item;
	int rc = file_cache_find(c, &copy, NOW, out, &err);
	cr_assert(rc == 0 || rc == 1, "%s", err.msg);
	return rc;
}

/* Return true if file ${ino} as make() left it is found; what is found must be right. */
static bool knows(struct file_cache *c, unsigned ino)
{
	CLEANUP(content_free_p) struct content *content = NULL;
	struct source_item item = item_of(ino, 5096 + ino % 200);
	if (find(c, &item, &content) == 0)
		return false;
	cr_expect(is_content_of(content, (uint8_t)(ino % 200)));
	return true;
}

Test(file_cache, what_was_added_is_found_by_the_next_backup)
{
	make(1000);
	CLEANUP(file_cache_free_p) struct file_cache *c = open_cache(first);
	for (unsigned i = 1; i <= 1000; i++)
		cr_expect(knows(c, i), "file %u", i);
	cr_expect(not(knows(c, 1001)));
	struct source_item item = item_of(0, 5096);
	CLEANUP(content_free_p) struct content *content = NULL;
	cr_expect(eq(int, find(c, &item, &content), 0));
	item = item_of(5, 5101);
	item.fs_id = 8;
	cr_expect(eq(int, find(c, &item, &content), 0));
	item.fs_id = 6;
	cr_expect(eq(int, find(c, &item, &content), 0));
	cr_expect(eq(ptr, content, NULL));
}

Test(file_cache, the_file_is_private_and_the_spool_is_gone)
{
	struct stat st;
	make(3);
	cr_assert(eq(int, stat(path, &st), 0));
	cr_expect(eq(int, st.st_mode & 07777, 0600));
	cr_expect(eq(int, access(spool, F_OK), -1));
	char parent[160];
	snprintf(parent, sizeof(parent), "%s/a/b", dir);
	cr_assert(eq(int, stat(parent, &st), 0));
	cr_expect(eq(int, st.st_mode & 07777, 0700));
}

Test(file_cache, every_changed_field_is_a_miss)
{
	make(1);
	CLEANUP(file_cache_free_p) struct file_cache *c = open_cache(first);
	CLEANUP(content_free_p) struct content *content = NULL;
	const struct source_item same = item_of(1, 5097);
	struct source_item item = same;
	item.entry.size++;
	cr_expect(eq(int, find(c, &item, &content), 0));
	item = same;
	item.entry.mtime.s++;
	cr_expect(eq(int, find(c, &item, &content), 0));
	item = same;
	item.entry.mtime.ns++;
	cr_expect(eq(int, find(c, &item, &content), 0));
	item = same;
	item.ctime.s--;
	cr_expect(eq(int, find(c, &item, &content), 0));
	item = same;
	item.ctime.ns--;
	cr_expect(eq(int, find(c, &item, &content), 0));
	item = same;
	item.entry.kind = ENTRY_FIFO;
	cr_expect(eq(int, find(c, &item, &content), 0));
	cr_expect(eq(int, find(c, &same, &content), 1));
}

Test(file_cache, a_file_changed_within_two_seconds_of_the_scan_is_a_miss)
{
	make(1);
	CLEANUP(file_cache_free_p) struct file_cache *c = open_cache(first);
	struct source_item item = item_of(1, 5097);
	struct content *content = NULL;
	for (int64_t start = OLD - 1; start <= OLD + 2; start++)
		cr_expect(eq(int, file_cache_find(c, &item, start, &content, &err), 0));
	cr_assert(eq(int, file_cache_find(c, &item, OLD + 3, &content, &err), 1));
	content_free(content);
}

Test(file_cache, a_file_changed_since_the_backup_began_is_not_remembered)
{
	struct file_cache *c = open_cache(NULL);
	for (unsigned i = 1; i <= 4; i++) {
		struct source_item item = item_of(i, 5096 + i);
		item.ctime.s = NOW - 5 + (int)i; /* 4, 3, 2, 1 s before */
		add(c, &item, (uint8_t)i);
	}
	cr_assert(eq(int, file_cache_commit(c, first, &err), 0));
	file_cache_free(c);
	c = open_cache(first);
	for (unsigned i = 1; i <= 4; i++) {
		struct source_item item = item_of(i, 5096 + i);
		item.ctime.s = NOW - 5 + (int)i;
		struct content *content = NULL;
		int rc = file_cache_find(c, &item, NOW + 86400, &content, &err);
		cr_expect(eq(int, rc, i <= 2));
		content_free(content);
	}
	file_cache_free(c);
}

Test(file_cache, items_that_cannot_be_known_again_are_passed_over)
{
	struct file_cache *c = open_cache(NULL);
	struct content *content = content_of(1);
	struct source_item item = item_of(1, 5097);
	item.entry.notes = ENTRY_NOTE_CHANGED;
	cr_expect(eq(int, file_cache_add(c, &item, content, &err), 0));
	item = item_of(2, 5097);
	content->waiting = 1;
	cr_expect(eq(int, file_cache_add(c, &item, content, &err), 0));
	content->waiting = 0;
	item = item_of(3, 5098); /* the content is of another length */
	cr_expect(eq(int, file_cache_add(c, &item, content, &err), 0));
	item = item_of(0, 5097);
	cr_expect(eq(int, file_cache_add(c, &item, content, &err), 0));
	item = item_of(4, 5097);
	item.entry.kind = ENTRY_SYMLINK;
	cr_expect(eq(int, file_cache_add(c, &item, content, &err), 0));
	item = item_of(5, 5097);
	item.is_unsure = true;
	cr_expect(eq(int, file_cache_add(c, &item, content, &err), 0));
	content_free(content);
	cr_assert(eq(int, file_cache_commit(c, first, &err), 0));
	file_cache_free(c);

	struct stat st;
	cr_assert(eq(int, stat(path, &st), 0));
	cr_expect(eq(sz, (size_t)st.st_size, 88), "a header and nothing else");
}

Test(file_cache, another_base_another_key_or_no_base_is_empty)
{
	make(3);
	struct file_cache *c = open_cache(second);
	cr_expect(not(knows(c, 1)));
	file_cache_free(c);
	c = open_cache(NULL);
	cr_expect(not(knows(c, 1)));
	file_cache_free(c);
	uint8_t other[32] = "another key";
	cr_assert(eq(int, file_cache_open(path, other, first, &c, &err), 0));
	cr_expect(not(knows(c, 1)));
	file_cache_free(c);
	c = open_cache(first);
	cr_expect(knows(c, 1));
	file_cache_free(c);
}

Test(file_cache, without_commit_the_last_cache_stays)
{
	make(3);
	struct file_cache *c = open_cache(first);
	struct source_item item = item_of(9, 5105);
	add(c, &item, 9);
	file_cache_free(c);
	cr_expect(eq(int, access(spool, F_OK), -1));
	c = open_cache(first);
	cr_expect(knows(c, 1));
	cr_expect(not(knows(c, 9)));
	file_cache_free(c);
}

Test(file_cache, the_last_cache_is_read_while_the_next_one_replaces_it)
{
	make(300);
	struct file_cache *c = open_cache(first);
	struct source_item item = item_of(5000, 5096);
	add(c, &item, 0);
	cr_assert(eq(int, file_cache_commit(c, second, &err), 0));
	cr_expect(knows(c, 299));
	add(c, &item, 0); /* behind the commit: passed over */
	cr_expect(eq(int, file_cache_commit(c, first, &err), 0));
	file_cache_free(c);
	c = open_cache(second);
	cr_expect(not(knows(c, 299)));
	cr_expect(knows(c, 5000));
	file_cache_free(c);
}

Test(file_cache, an_inode_added_twice_stands_in_the_index_once)
{
	struct file_cache *c = open_cache(NULL);
	struct source_item item = item_of(4, 5100);
	add(c, &item, 4);
	add(c, &item, 4);
	cr_assert(eq(int, file_cache_commit(c, first, &err), 0));
	file_cache_free(c);
	struct stat st;
	cr_assert(eq(int, stat(path, &st), 0));
	cr_expect(eq(sz, (size_t)st.st_size, 88 + 2 * (96 + 3 * 88 + 8) + 24));
	c = open_cache(first);
	cr_expect(knows(c, 4));
	file_cache_free(c);
}

/* ---- attributes ----------------------------------------------------------------------------- */

static char long_value[66000];

static void add_with(struct file_cache *c, unsigned ino, size_t value_len, bool is_poor)
{
	const struct entry_xattr x[] = { { "security.one", 12, (uint8_t *)long_value, value_len },
		{ "user.two", 8, NULL, 0 } };
	struct source_item item = item_of(ino, 5096 + ino);
	item.entry.flags = 0x10 + ino;
	item.entry.xattrs = x;
	item.entry.xattr_count = 2;
	item.is_poor = is_poor;
	add(c, &item, (uint8_t)ino);
}

static struct source_item find_brief(struct file_cache *c, unsigned ino)
{
	CLEANUP(content_free_p) struct content *content = NULL;
	struct source_item item = item_of(ino, 5096 + ino);
	item.is_brief = true;
	cr_assert(eq(int, file_cache_find(c, &item, NOW, &content, &err), 1));
	cr_expect(is_content_of(content, (uint8_t)ino));
	return item;
}

Test(file_cache, a_brief_file_gets_its_attributes)
{
	struct file_cache *c = open_cache(NULL);
	struct source_item plain = item_of(4, 5100);
	memset(long_value, 'v', sizeof(long_value));
	cr_expect(file_cache_is_empty(c));
	add_with(c, 1, 40000, false);
	add_with(c, 2, 65536, false); /* more than a record may have */
	add_with(c, 3, 5, true);
	add(c, &plain, 4);
	cr_assert(eq(int, file_cache_commit(c, first, &err), 0), "%s", err.msg);
	file_cache_free(c);

	c = open_cache(first);
	cr_expect(not(file_cache_is_empty(c)));
	struct source_item item = find_brief(c, 1);
	cr_expect(not(item.is_brief));
	cr_expect(eq(u32, item.entry.flags, 0x11));
	cr_assert(eq(sz, item.entry.xattr_count, 2));
	const struct entry_xattr *x = item.entry.xattrs;
	cr_assert(x[0].name_len == 12 && memcmp(x[0].name, "security.one", 12) == 0);
	cr_assert(x[0].value_len == 40000 && memcmp(x[0].value, long_value, 40000) == 0);
	cr_assert(x[1].name_len == 8 && memcmp(x[1].name, "user.two", 8) == 0);
	cr_expect(eq(sz, x[1].value_len, 0));
	cr_expect(find_brief(c, 2).is_brief, "what is not told is not known");
	cr_expect(find_brief(c, 3).is_brief, "nor what could not be read");
	item = find_brief(c, 4);
	cr_expect(not(item.is_brief));
	cr_expect(eq(sz, item.entry.xattr_count, 0));
	file_cache_free(c);
}

Test(file_cache, the_cache_of_another_user_is_empty)
{
	make(3);
	if (geteuid() != 0)
		cr_skip_test("only root can give a file away");
	cr_assert(eq(int, chown(path, 65534, (gid_t)-1), 0));
	CLEANUP(file_cache_free_p) struct file_cache *c = open_cache(first);
	cr_expect(file_cache_is_empty(c));
	cr_expect(not(knows(c, 1)));
}

Test(file_cache, a_second_writer_adds_nothing_and_harms_nothing)
{
	struct file_cache *one = open_cache(NULL), *two = open_cache(NULL);
	struct source_item item = item_of(1, 5097);
	add(one, &item, 1);
	struct source_item other = item_of(2, 5098);
	add(two, &other, 2);
	cr_expect(eq(int, file_cache_commit(two, second, &err), 0));
	cr_expect(eq(int, access(path, F_OK), -1));
	file_cache_free(two);
	cr_expect(eq(int, file_cache_commit(one, first, &err), 0));
	file_cache_free(one);
	CLEANUP(file_cache_free_p) struct file_cache *c = open_cache(first);
	cr_expect(knows(c, 1));
	cr_expect(not(knows(c, 2)));
}

static size_t slurp(uint8_t *out, size_t cap)
{
	CLEANUP(cleanup_fclose_p) FILE *f = fopen(path, "re");
	cr_assert(f != NULL);
	return fread(out, 1, cap, f);
}

static void put(const uint8_t *data, size_t len)
{
	CLEANUP(cleanup_fclose_p) FILE *f = fopen(path, "we");
	cr_assert(f != NULL);
	cr_assert(eq(sz, fwrite(data, 1, len, f), len));
}

Test(file_cache, every_changed_byte_is_a_miss_or_changes_nothing)
{
	static uint8_t data[8192];
	make(4);
	size_t len = slurp(data, sizeof(data));
	cr_assert(lt(sz, len, sizeof(data)));
	unsigned damaged = 0;
	for (size_t i = 0; i < len; i++) {
		data[i] ^= (uint8_t)(1 + i % 255);
		put(data, len);
		data[i] ^= (uint8_t)(1 + i % 255);
		CLEANUP(file_cache_free_p) struct file_cache *c = open_cache(first);
		unsigned known = 0;
		for (unsigned ino = 1; ino <= 4; ino++)
			known += knows(c, ino); /* a hit is compared there */
		damaged += known < 4;
	}
	/* all but nothing: a changed place that still orders right is still found by its record */
	cr_expect(eq(uint, damaged, (unsigned)len));
}

Test(file_cache, a_cut_file_is_empty)
{
	static uint8_t data[8192];
	make(4);
	size_t len = slurp(data, sizeof(data));
	for (size_t cut = 0; cut < len; cut += 7) {
		put(data, cut);
		CLEANUP(file_cache_free_p) struct file_cache *c = open_cache(first);
		cr_expect(not(knows(c, 1)));
	}
}

Test(file_cache, a_file_that_shrinks_while_it_is_open_is_a_miss)
{
	make(400);
	CLEANUP(file_cache_free_p) struct file_cache *c = open_cache(first);
	cr_assert(eq(int, truncate(path, 0), 0));
	cr_expect(not(knows(c, 1)));
	cr_expect(not(knows(c, 200)));
}

Test(file_cache, what_is_no_regular_file_is_empty)
{
	make(1);
	cr_assert(eq(int, unlink(path), 0));
	cr_assert(eq(int, mkfifo(path, 0600), 0));
	struct file_cache *c = open_cache(first);
	cr_expect(not(knows(c, 1)));
	file_cache_free(c);
	cr_assert(eq(int, unlink(path), 0));
	cr_assert(eq(int, symlink("/etc/passwd", path), 0));
	c = open_cache(first);
	cr_expect(not(knows(c, 1)));
	file_cache_free(c);
}

static int fail_fsync(int fd)
{
	(void)fd;
	errno = EIO;
	return -1;
}

static ssize_t fail_write(int fd, const void *data, size_t len)
{
	(void)fd, (void)data, (void)len;
	errno = ENOSPC;
	return -1;
}

static int fail_rename(int from_dir, const char *from, int to_dir, const char *to)
{
	(void)from_dir, (void)from, (void)to_dir, (void)to;
	errno = EACCES;
	return -1;
}

static void expect_kept(void)
{
	cr_expect(eq(int, access(spool, F_OK), -1));
	env_swap(&ops);
	CLEANUP(file_cache_free_p) struct file_cache *c = open_cache(first);
	cr_expect(knows(c, 1));
}

Test(file_cache, a_failed_commit_leaves_the_last_cache)
{
	static const struct {
		int want;
		const char *text;
	} cases[] = { { -ERR_IO, "unable to write '" }, { -ERR_NOSPACE, "unable to write '" },
		{ -ERR_IO, "unable to replace '" } };
	make(2);
	for (size_t i = 0; i < 3; i++) {
		struct env_ops bad = ops;
		if (i == 0)
			bad.fsync = fail_fsync;
		else if (i == 1)
			bad.write = fail_write;
		else
			bad.renameat = fail_rename;
		env_swap(&bad);
		struct file_cache *c = open_cache(first);
		struct source_item item = item_of(8, 5104);
		add(c, &item, 8);
		cr_expect(eq(int, file_cache_commit(c, second, &err), cases[i].want));
		cr_expect(
			strncmp(err.msg, cases[i].text, strlen(cases[i].text)) == 0, "%s", err.msg);
		cr_expect(eq(int, file_cache_commit(c, second, &err), -ERR_IO));
		file_cache_free(c);
		expect_kept();
	}
}

Test(file_cache, a_failed_add_is_told_again)
{
	make(1);
	char blocked[160];
	snprintf(blocked, sizeof(blocked), "%s/a/b/cache.new", dir);
	cr_assert(eq(int, mkdir(blocked, 0700), 0));
	struct file_cache *c = open_cache(first);
	CLEANUP(content_free_p) struct content *content = content_of(1);
	struct source_item item = item_of(1, 5097);
	cr_expect(eq(int, file_cache_add(c, &item, content, &err), -ERR_IO));
	cr_expect(strncmp(err.msg, "unable to create '", 18) == 0, "%s", err.msg);
	cr_expect(eq(int, file_cache_add(c, &item, content, &err), -ERR_IO));
	cr_expect(eq(int, file_cache_commit(c, second, &err), -ERR_IO));
	file_cache_free(c);
	cr_assert(eq(int, rmdir(blocked), 0));
	expect_kept();
}

Test(file_cache, freeing_nothing_is_fine)
{
	file_cache_free(NULL);
	cr_expect(eq(int, access(path, F_OK), -1));
}
