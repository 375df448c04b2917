#include "restore/restore_run.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "restore/erase_tree.h"
#include "restore/restore_writer.h"
#include "tests/lib/vault_fixture.h"
#include "vault/entry.h"
#include "vault/fetch.h"
#include "vault/snapshot.h"

#define BIG_BYTES 700000

static struct vault_fixture f;
static struct fetch *fetch;
static struct snapshot_list list;
static struct snapshot_opened opened;
static char target[64];
static int target_fd = -1;
static uint8_t big[BIG_BYTES];
static struct restore_run_opts opts;
static struct restore_run_result result;
static struct err err;
static char problems[4096]; /* one line each: key with '/' and text */

static const struct fake_file day[] = {
	{ .path = "srv", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "srv/a", .kind = ENTRY_DIR, .mtime_s = 200 },
	{ .path = "srv/a/big.arc",
		.kind = ENTRY_FILE,
		.data = big,
		.len = BIG_BYTES,
		.mtime_s = 5 },
	{ .path = "srv/a/one.txt", .kind = ENTRY_FILE, .data = big, .len = 10, .mtime_s = 6 },
	{ .path = "srv/a.d", .kind = ENTRY_DIR, .mtime_s = 300 },
	{ .path = "srv/a.d/two.txt",
		.kind = ENTRY_FILE,
		.data = big + 20,
		.len = 20,
		.mtime_s = 7 },
	{ .path = "srv/hole",
		.kind = ENTRY_FILE,
		.data = big,
		.len = 4096,
		.hole = 1 << 20,
		.mtime_s = 8 },
};

static void on_problem(void *arg, const uint8_t *key, size_t len, const struct err *why)
{
	(void)arg;
	struct buf path = BUF_INIT(4096);
	if (key != NULL)
		cr_assert(eq(int, entry_key_path(key, len, &path, NULL), 0));
	size_t used = strlen(problems);
	(void)snprintf(problems + used, sizeof(problems) - used, "%s: %s\n",
		key == NULL ? "(rest)" : buf_cstr(&path), why->msg);
	buf_done(&path);
}

static void setup(void)
{
	struct backup_result made;
	vault_fixture_noise(big, sizeof(big), 7);
	vault_fixture_init(&f);
	cr_assert(eq(int, vault_fixture_backup(&f, day, sizeof(day) / sizeof(day[0]), &made, &err),
			  0),
		"%s", err.msg);
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	cr_assert(eq(int, snapshot_open(f.vault, fetch, &list.at[0], f.rk_sk, &opened, &err), 0));
	(void)snprintf(target, sizeof(target), "/tmp/test-restore-run.XXXXXX");
	cr_assert(mkdtemp(target) != NULL);
	target_fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	opts = (struct restore_run_opts){
		.source = fetch_source(fetch), .top = &opened.root.top, .on_problem = on_problem
	};
	problems[0] = '\0';
}

static void teardown(void)
{
	(void)close(target_fd);
	cr_expect(eq(int, erase_tree_run(AT_FDCWD, target, NULL, NULL), 0));
	snapshot_list_done(&list);
	fetch_free(fetch);
	vault_fixture_done(&f);
}

TestSuite(restore_run, .init = setup, .fini = teardown);

static int run(void)
{
	struct restore_writer_opts how = { .overwrite = RESTORE_REFUSE, .no_owner = true };
	struct restore_writer *writer = NULL;
	cr_assert(eq(int, restore_writer_new(target_fd, &how, &writer, &err), 0), "%s", err.msg);
	opts.writer = writer;
	int rc = restore_run_tree(&opts, &result, &err);
	restore_writer_free(writer);
	return rc;
}

static bool is_there(const char *path)
{
	return faccessat(target_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static struct restore_run_path path_of(const char *path, struct buf *key)
{
	*key = (struct buf)BUF_INIT(1024);
	cr_assert(eq(int, entry_path_key(path, key, &err), 0));
	return (struct restore_run_path){ .key = key->data, .key_len = key->len };
}

Test(restore_run, everything_comes_back_with_its_content)
{
	static uint8_t back[BIG_BYTES];
	cr_assert(eq(int, run(), 0), "%s", err.msg);
	cr_expect(eq(u64, result.files, 4));
	cr_expect(eq(u64, result.dirs, 3));
	cr_expect(eq(u64, result.damaged + result.failed, 0), "%s", problems);
	cr_expect(eq(u64, result.bytes, BIG_BYTES + 30 + 4096 + (1 << 20)));
	int fd = openat(target_fd, "srv/a/big.arc", O_RDONLY);
	cr_assert(fd >= 0);
	cr_assert(eq(i64, (int64_t)read(fd, back, sizeof(back)), BIG_BYTES));
	(void)close(fd);
	cr_expect(memcmp(back, big, sizeof(big)) == 0);
	struct stat st;
	cr_assert(eq(int, fstatat(target_fd, "srv/hole", &st, 0), 0));
	cr_expect(eq(i64, (int64_t)st.st_size, 4096 + (1 << 20)));
}

Test(restore_run, without_a_writer_it_only_counts)
{
	cr_assert(eq(int, restore_run_tree(&opts, &result, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, result.files, 4));
	cr_expect(eq(u64, result.dirs, 3));
	cr_expect(not(is_there("srv")));
}

Test(restore_run, a_selected_path_comes_with_its_ancestors_and_their_times)
{
	struct buf key;
	struct restore_run_path paths[] = { path_of("/srv/a.d/two.txt", &key) };
	struct stat st;
	opts.paths = paths;
	opts.path_count = 1;
	cr_assert(eq(int, run(), 0), "%s", err.msg);
	cr_expect(paths[0].is_found);
	cr_expect(is_there("srv/a.d/two.txt"));
	cr_expect(not(is_there("srv/a")));
	cr_assert(eq(int, fstatat(target_fd, "srv/a.d", &st, 0), 0));
	cr_expect(eq(i64, (int64_t)st.st_mtime, 300));
	cr_assert(eq(int, fstatat(target_fd, "srv", &st, 0), 0));
	cr_expect(eq(i64, (int64_t)st.st_mtime, 100));
	buf_done(&key);
}

Test(restore_run, paths_in_any_order_nested_and_missing_ones_are_each_answered)
{
	struct buf keys[5];
	struct restore_run_path paths[] = { path_of("/srv/a.d", &keys[0]),
		path_of("/srv/a/one.txt", &keys[1]), path_of("/srv/a", &keys[2]),
		path_of("/srv/a/none", &keys[3]), path_of("/nothing", &keys[4]) };
	static const bool want[] = { true, true, true, false, false };
	opts.paths = paths;
	opts.path_count = 5;
	cr_assert(eq(int, run(), 0), "%s", err.msg);
	for (size_t i = 0; i < 5; i++) {
		cr_expect(eq(int, paths[i].is_found, want[i]), "%zu", i);
		buf_done(&keys[i]);
	}
	cr_expect(eq(u64, result.files, 3));
	cr_expect(not(is_there("srv/hole")));
	cr_expect(eq(u64, result.damaged + result.failed, 0), "%s", problems);
}

static enum restore_run_choice choose(void *arg, const uint8_t *key, size_t len, bool is_dir)
{
	(void)arg;
	if (is_dir && key[len - 1] == 'd')
		return RESTORE_RUN_PRUNE;
	return memmem(key, len, "one", 3) != NULL ? RESTORE_RUN_TAKE : RESTORE_RUN_PASS;
}

Test(restore_run, a_rule_may_pass_over_and_prune)
{
	opts.choose = choose;
	cr_assert(eq(int, run(), 0), "%s", err.msg);
	cr_expect(is_there("srv/a/one.txt"));
	cr_expect(not(is_there("srv/a/big.arc")));
	cr_expect(not(is_there("srv/a.d")));
	cr_expect(eq(u64, result.files, 1));
	cr_expect(eq(u64, result.dirs, 2));
}

/* A source in front of the real one that spoils data records of ${spoil} bytes and more. */
struct spoiler {
	const struct record_source *real;
	int code;
};

static int spoil_get(
	void *self, const struct ref *ref, enum record_type type, struct buf *raw, struct err *e)
{
	const struct spoiler *s = self;
	size_t before = raw->len;
	int rc = s->real->get(s->real->self, ref, type, raw, e);
	if (rc != 0 || type != RECORD_DATA || raw->len - before < 16384)
		return rc;
	if (s->code != 0)
		return err_set(e, (enum err_code)s->code, "spoilt");
	raw->data[before] ^= 1; /* only the whole-file digest can see it */
	return 0;
}

static int run_spoilt(int code)
{
	struct spoiler spoiler = { .real = opts.source, .code = code };
	struct record_source source = { .self = &spoiler, .get = spoil_get };
	opts.source = &source;
	return run();
}

Test(restore_run, a_file_with_another_digest_is_named_and_never_appears)
{
	cr_assert(eq(int, run_spoilt(0), 0), "%s", err.msg);
	cr_expect(eq(u64, result.damaged, 1));
	cr_expect(strstr(problems, "/srv/a/big.arc: its content does not have the digest") != NULL,
		"%s", problems);
	cr_expect(not(is_there("srv/a/big.arc")));
	cr_expect(is_there("srv/a/one.txt"));
	cr_expect(is_there("srv/a.d/two.txt"));
}

Test(restore_run, a_lost_record_costs_its_file_only)
{
	cr_assert(eq(int, run_spoilt(ERR_NOT_FOUND), 0), "%s", err.msg);
	cr_expect(eq(u64, result.damaged, 1));
	cr_expect(eq(u64, result.files, 3));
	cr_expect(not(is_there("srv/a/big.arc")));
}

Test(restore_run, a_store_that_fails_ends_the_run)
{
	cr_expect(eq(int, run_spoilt(ERR_UNREACHABLE), -ERR_UNREACHABLE));
	cr_expect(not(is_there("srv/a/big.arc")));
}

static bool stop_at_once(void *arg)
{
	(void)arg;
	return true;
}

Test(restore_run, a_stop_is_obeyed)
{
	opts.is_stopped = stop_at_once;
	cr_expect(eq(int, run(), -ERR_INTERRUPTED));
	cr_expect(eq(u64, result.files, 0));
}

struct largest {
	char name[128];
	uint64_t size;
};

static int keep_largest(void *arg, const char *name, uint64_t size)
{
	struct largest *l = arg;
	if (size > l->size) {
		(void)snprintf(l->name, sizeof(l->name), "%s", name);
		l->size = size;
	}
	return 0;
}

/* Its digest is one of blocks: they are hashed side by side, and written meanwhile. */
Test(restore_run, a_large_file_comes_back_whole_or_not_at_all)
{
	const size_t len = (19u << 20) + 777, hole = 3u << 20;
	struct backup_result made;
	struct largest pack = { .size = 0 };
	struct stat st;
	uint8_t *data = malloc(len), *back = malloc(len);
	cr_assert(data != NULL && back != NULL);
	vault_fixture_noise(data, len, 11);
	memset(data + (5u << 20) + 100, 0, 2u << 20);
	const struct fake_file shard = { .path = "shard",
		.kind = ENTRY_FILE,
		.data = data,
		.len = len,
		.hole = hole,
		.mtime_s = 9 };
	cr_assert(eq(int, vault_fixture_backup(&f, &shard, 1, &made, &err), 0), "%s", err.msg);
	snapshot_list_done(&list);
	fetch_free(fetch);
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	cr_assert(eq(int, snapshot_open(f.vault, fetch, &list.at[1], f.rk_sk, &opened, &err), 0));
	opts.source = fetch_source(fetch);
	cr_assert(eq(int, run(), 0), "%s", err.msg);
	cr_expect(eq(u64, result.files, 1));
	cr_expect(eq(u64, result.bytes, len + hole));
	int fd = openat(target_fd, "shard", O_RDONLY | O_CLOEXEC);
	cr_assert(ge(int, fd, 0));
	cr_assert(eq(int, fstat(fd, &st), 0));
	cr_expect(eq(u64, (uint64_t)st.st_size, len + hole));
	cr_assert(eq(long, (long)pread(fd, back, len, 0), (long)len));
	cr_expect(eq(int, memcmp(back, data, len), 0));
	(void)close(fd);

	cr_assert(eq(int, unlinkat(target_fd, "shard", 0), 0));
	cr_assert(eq(int, store_list(f.store, "pk/", keep_largest, &pack, &err), 0));
	cr_assert(eq(int, store_mem_flip(f.mem, pack.name, pack.size * 6, &err), 0));
	fetch_free(fetch); /* nothing that was opened before */
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
	opts.source = fetch_source(fetch);
	cr_assert(eq(int, run(), 0), "%s", err.msg);
	cr_expect(eq(u64, result.damaged, 1));
	cr_expect(strstr(problems, "/shard: ") != NULL, "%s", problems);
	cr_expect(not(is_there("shard")));
	free(data);
	free(back);
}
