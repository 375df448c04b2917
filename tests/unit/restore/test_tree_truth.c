#include "restore/tree_truth.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "codec/truth.h"
#include "crypto/hash.h"
#include "tests/lib/store_scratch.h"

DEFINE_CLEANUP(struct truth *, truth_free)

static int top = -1;

static void setup(void)
{
	const char *dir = store_scratch_new();
	cr_assert(dir != NULL);
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(ge(int, top, 0));
}

static void teardown(void)
{
	cleanup_close_p(&top);
	store_scratch_done();
}

TestSuite(tree_truth, .init = setup, .fini = teardown, .timeout = 60);

static void put(const char *path, const char *content)
{
	int fd = openat(top, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert(ge(int, fd, 0), "%s", path);
	cr_assert(eq(int, (int)write(fd, content, strlen(content)), (int)strlen(content)));
	(void)close(fd);
}

static const struct truth_file *find(const struct truth *t, const char *path)
{
	for (size_t i = 0; i < t->file_count; i++) {
		if (strcmp(t->files[i].path, path) == 0)
			return &t->files[i];
	}
	cr_assert(false, "no '%s'", path);
	return NULL;
}

Test(tree_truth, files_are_listed_with_their_hash_and_nothing_else_is_followed)
{
	CLEANUP(truth_free_p) struct truth *t = truth_new();
	struct err err = ERR_INIT;
	uint8_t sum[HASH_BYTES];
	cr_assert(eq(int, mkdirat(top, "d", 0700), 0));
	cr_assert(eq(int, mkdirat(top, "empty", 0700), 0));
	put("d/one\n\xff", "hello");
	put("zero", "");
	put("journal.evt", "2026-11-24T01:00:00Z\tx\n");
	cr_assert(eq(int, symlinkat("/etc", top, "link"), 0));
	cr_assert(eq(int, mkfifoat(top, "fifo", 0600), 0));
	const struct tree_truth_opts o = { .prefix = "batch" };
	cr_assert(eq(int, tree_truth_add(top, &o, t, &err), 0), "%s", err.msg);
	cr_assert(eq(int, truth_seal(t, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, t->file_count, 3));
	const struct truth_file *f = find(t, "batch/d/one\n\xff");
	hash_sha256("hello", 5, sum);
	cr_expect(eq(u64, f->size, 5));
	cr_expect(eq(int, memcmp(f->sha256, sum, sizeof(sum)), 0));
	cr_expect(eq(u64, find(t, "batch/zero")->size, 0));
	cr_expect(not(find(t, "batch/journal.evt")->is_append));
	cr_expect(t->has_files);
	cr_expect(not(t->has_batches));
	cr_expect(eq(i64, t->newest_ms, TRUTH_NO_TIME));
}

Test(tree_truth, journals_tell_batches_their_state_and_the_newest_time)
{
	CLEANUP(truth_free_p) struct truth *t = truth_new();
	struct err err = ERR_INIT;
	static const char *const dirs[] = { "A1", "A2", "A3", "A4" };
	for (size_t i = 0; i < 4; i++)
		cr_assert(eq(int, mkdirat(top, dirs[i], 0700), 0));
	put("A1/journal.evt", "2026-11-24T01:00:00Z\tBegin\n2026-11-24T02:00:00Z\tEnd Of BATCH\n");
	put("A2/journal.evt", "2026-11-24T01:00:00Z\tBegin\n2026-11-24T03:00:00Z\tgo\n"
			      "2026-11-24T09:00:00Z\tEnd Of BAT"); /* its last line is half */
	put("A3/journal.evt", "no time at all\n");
	put("A4/journal.evt", "");
	const struct tree_truth_opts o = { .has_batches = true };
	cr_assert(eq(int, tree_truth_add(top, &o, t, &err), 0), "%s", err.msg);
	cr_assert(eq(int, truth_seal(t, &err), 0), "%s", err.msg);
	cr_assert(eq(sz, t->batch_count, 4));
	cr_expect(eq(str, t->batches[0].id, "A1"));
	cr_expect(not(t->batches[0].is_running));
	cr_expect(t->batches[1].is_running);
	cr_expect(t->batches[2].is_running);
	cr_expect(t->batches[3].is_running);
	cr_expect(not(find(t, "A1/journal.evt")->is_append));
	cr_expect(find(t, "A2/journal.evt")->is_append);
	cr_expect(eq(i64, t->newest_ms, 1795489200000)); /* 03:00 */
}

static void on_left(void *arg, const char *path, size_t len, const char *why)
{
	cr_expect(ne(ptr, strstr(why, "unable to"), NULL), "%s", why);
	cr_expect(eq(u64, len, strlen(path)));
	(void)snprintf(arg, 64, "%s", path);
}

Test(tree_truth, what_cannot_be_read_is_told_and_left_out)
{
	CLEANUP(truth_free_p) struct truth *t = truth_new();
	struct err err = ERR_INIT;
	char left[64] = "";
	put("a", "x");
	put("secret", "y");
	put("z", "z");
	cr_assert(eq(int, fchmodat(top, "secret", 0, 0), 0));
	cr_assert(eq(int, fchmod(top, 0755), 0));
	cr_assert(eq(int, fchmodat(top, "a", 0644, 0), 0));
	cr_assert(eq(int, fchmodat(top, "z", 0644, 0), 0));
	if (geteuid() == 0) /* who may read everything meets no file that cannot be read */
		cr_assert(eq(int, seteuid(65534), 0));
	const struct tree_truth_opts whole = { .prefix = "p" };
	cr_expect(eq(int, tree_truth_add(top, &whole, t, &err), -ERR_IO));
	truth_free(t);
	t = truth_new();
	const struct tree_truth_opts o = { .prefix = "p", .on_left = on_left, .arg = left };
	cr_expect(eq(int, tree_truth_add(top, &o, t, &err), 0), "%s", err.msg);
	if (geteuid() != getuid())
		cr_assert(eq(int, seteuid(getuid()), 0));
	cr_expect(eq(str, left, "p/secret"));
	cr_assert(eq(u64, t->file_count, 2));
}

Test(tree_truth, too_deep_a_tree_is_refused)
{
	CLEANUP(truth_free_p) struct truth *t = truth_new();
	struct err err = ERR_INIT;
	char path[2 * TREE_TRUTH_DEPTH + 8] = "d";
	const struct tree_truth_opts o = { .prefix = NULL };
	for (int i = 0; i < TREE_TRUTH_DEPTH; i++) {
		cr_assert(eq(int, mkdirat(top, path, 0700), 0), "%s", path);
		memcpy(path + 2 * i + 1, "/d", 3);
	}
	cr_expect(eq(int, tree_truth_add(top, &o, t, &err), 0), "%s", err.msg);
	cr_assert(eq(int, mkdirat(top, path, 0700), 0), "%s", path);
	cr_expect(eq(int, tree_truth_add(top, &o, t, &err), -ERR_LIMIT));
}
