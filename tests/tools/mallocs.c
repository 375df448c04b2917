/*
 * mallocs: every allocation of backup, restore, verify, prune and collection fails once.
 * In each scenario the n-th allocation of our own code and of jansson fails, for every n (with
 * --quick some, another residue in each scenario), each in a process of its own; in slices, as all
 * of the proof (tests/lib/prove_slice.h).
 * What is asked: no crash; an error with a code and a text, or a result that is true; the vault
 * verifies afterwards with all that was acknowledged.  (Linked with --wrap; the allocations of
 * libcrypto are not among them: cryptolib_die() ends the program there.)
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "restore/restore_run.h"
#include "restore/restore_writer.h"
#include "tests/lib/prove_scratch.h"
#include "tests/lib/prove_slice.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect.h"
#include "vault/fetch.h"
#include "vault/prune.h"
#include "vault/snapshot.h"
#include "vault/verify.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define QUICK_STEP 41
#define BIG_BYTES 700000
#define HOLE_BYTES ((uint64_t)17 << 20) /* past it a file has a digest of blocks */

/* ---- the allocations ------------------------------------------------------------------------ */

static atomic_long left = -1;  /* until one fails; below 0: none does */
static atomic_long seen;       /* by the call that is looked at */
static atomic_bool is_watched; /* the call is under way: not what prepares and checks it */

static bool is_failing(void)
{
	if (!atomic_load(&is_watched))
		return false;
	atomic_fetch_add(&seen, 1);
	return atomic_load(&left) > 0 && atomic_fetch_sub(&left, 1) == 1;
}

static void watch(bool is_on)
{
	atomic_store(&is_watched, is_on);
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

#define OR_NULL(call)                                                                              \
	if (is_failing()) {                                                                        \
		errno = ENOMEM;                                                                    \
		return NULL;                                                                       \
	}                                                                                          \
	return call

void *__wrap_malloc(size_t size)
{
	OR_NULL(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	OR_NULL(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size)
{
	OR_NULL(__real_realloc(p, size));
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	OR_NULL(__real_reallocarray(p, n, size));
}

char *__wrap_strdup(const char *s)
{
	OR_NULL(__real_strdup(s));
}

char *__wrap_strndup(const char *s, size_t n)
{
	OR_NULL(__real_strndup(s, n));
}

/* ---- the scenarios -------------------------------------------------------------------------- */

static struct vault_fixture f;
static uint8_t noise[BIG_BYTES];
static char cache[PATH_MAX + 16];

static const struct fake_file day1[] = {
	{ .path = "srv", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "srv/big.arc",
		.kind = ENTRY_FILE,
		.data = noise,
		.len = BIG_BYTES,
		.mtime_s = 5 },
	{ .path = "srv/hole", .kind = ENTRY_FILE, .data = noise, .len = 4096, .hole = HOLE_BYTES },
	{ .path = "srv/one.txt", .kind = ENTRY_FILE, .data = noise + 9, .len = 10, .mtime_s = 6 },
	{ .path = "srv/two.txt",
		.kind = ENTRY_FILE,
		.data = noise + 99,
		.len = 3000,
		.mtime_s = 7 },
};
static const struct fake_file day2[] = {
	{ .path = "srv", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "srv/big.arc",
		.kind = ENTRY_FILE,
		.data = noise,
		.len = BIG_BYTES,
		.mtime_s = 5 },
	{ .path = "srv/hole", .kind = ENTRY_FILE, .data = noise, .len = 4096, .hole = HOLE_BYTES },
	{ .path = "srv/one.txt", .kind = ENTRY_FILE, .data = noise + 7, .len = 200, .mtime_s = 9 },
	{ .path = "srv/two.txt",
		.kind = ENTRY_FILE,
		.data = noise + 99,
		.len = 3000,
		.mtime_s = 7 },
};

/* What is wrong after a run; NULL = nothing. */
typedef const char *(*scenario_fn)(struct err *err, int *rc);

static const char *backup_of(const struct fake_file *files, size_t count, struct err *err, int *rc)
{
	struct fake_source source;
	struct backup_result made = { .seq = 0 };
	struct backup_opts opts = { .source_name = "plant", .cache_path = cache };
	int before = vault_fixture_snapshots(f.store, f.rk_sk);
	vault_fixture_reopen(&f);
	fake_source_init(&source, files, count);
	watch(true);
	*rc = vault_fixture_run(&f, &opts, &source.source, &made, err);
	watch(false);
	int after = vault_fixture_snapshots(f.store, f.rk_sk);
	if (*rc == 0 && after != before + 1)
		return "acknowledged, and there is no snapshot";
	if (*rc == 0 && !made.has_snapshot)
		return "no snapshot, and no error";
	if (*rc != 0 && after != before && after != before + 1)
		return "a snapshot was lost";
	if (*rc == 0 &&
		vault_fixture_differs(f.store, f.rk_sk, (size_t)before, files, count) != NULL)
		return "acknowledged, and something else was stored";
	if (before == 1 && vault_fixture_differs(f.store, f.rk_sk, 0, day1, COUNT(day1)) != NULL)
		return "the snapshot before is damaged";
	return vault_fixture_problems(f.store, f.rk_sk) == 0 ? NULL : "the vault does not verify";
}

static const char *first_backup(struct err *err, int *rc)
{
	return backup_of(day1, COUNT(day1), err, rc);
}

static const char *next_backup(struct err *err, int *rc)
{
	return backup_of(day2, COUNT(day2), err, rc);
}

static int restore_to(int dirfd, struct restore_run_result *result, struct err *err)
{
	struct fetch *fetch = NULL;
	struct snapshot_list list = { .count = 0 };
	struct snapshot_opened opened;
	struct restore_writer *writer = NULL;
	struct restore_writer_opts how = { .overwrite = RESTORE_REFUSE, .no_owner = true };
	int rc = fetch_new(f.vault, &fetch, err);
	if (rc == 0)
		rc = snapshot_list(f.vault, NULL, NULL, &list, err);
	if (rc == 0 && list.count == 0)
		rc = err_set(err, ERR_NOT_FOUND, "no snapshot is told of");
	if (rc == 0)
		rc = snapshot_open(f.vault, fetch, &list.at[0], f.rk_sk, &opened, err);
	if (rc == 0)
		rc = restore_writer_new(dirfd, &how, &writer, err);
	if (rc == 0) {
		const struct restore_run_opts opts = {
			.source = fetch_source(fetch), .top = &opened.root.top, .writer = writer
		};
		rc = restore_run_tree(&opts, result, err);
	}
	restore_writer_free(writer);
	snapshot_list_done(&list);
	fetch_free(fetch);
	return rc;
}

/* The files of ${day1} in ${dirfd} hold what they held. */
static bool is_restored(int dirfd)
{
	static uint8_t got[BIG_BYTES + 1];
	for (size_t i = 1; i < COUNT(day1); i++) {
		int fd = openat(dirfd, day1[i].path, O_RDONLY | O_CLOEXEC);
		struct stat st;
		if (fd < 0)
			return false;
		bool same = fstat(fd, &st) == 0 &&
			    (uint64_t)st.st_size == day1[i].len + day1[i].hole &&
			    read(fd, got, day1[i].len) == (ssize_t)day1[i].len &&
			    memcmp(got, day1[i].data, day1[i].len) == 0;
		(void)close(fd); /* only read */
		if (!same)
			return false;
	}
	return true;
}

static const char *restore(struct err *err, int *rc)
{
	struct restore_run_result result = { .files = 0 };
	int out = prove_scratch_dir("out");
	watch(true);
	*rc = restore_to(out, &result, err);
	watch(false);
	if (*rc == 0 && result.damaged > 0)
		return "whole data is called damaged";
	if (*rc == 0 && result.failed == 0 && !is_restored(out))
		return "restored without an error, and it differs";
	(void)close(out); /* a directory */
	return NULL;
}

static const char *verify(struct err *err, int *rc)
{
	const struct verify_opts opts = { .sk = f.rk_sk };
	struct verify_result result = { .objects = 0 };
	watch(true);
	*rc = verify_run(f.vault, &opts, &result, err);
	watch(false);
	if (*rc == 0 && result.problems > 0)
		return "a whole vault is called damaged";
	if (*rc == 0 && (result.snapshots != 1 || result.files != 4))
		return "not everything was looked at, and nothing says so";
	return NULL;
}

/* All but the newest snapshot are taken out. */
static int run_prune(struct err *err)
{
	static const struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION };
	struct snapshot_list list = { .count = 0 };
	int rc = prune_resume(f.vault, NULL, err);
	if (rc == 0)
		rc = snapshot_list(f.vault, NULL, NULL, &list, err);
	if (rc == 0 && list.count > 1) {
		const struct snapshot *oldest = &list.at[0];
		rc = prune_snapshots(f.vault, &opts, &oldest, 1, err);
	}
	snapshot_list_done(&list);
	return rc;
}

/* The newest snapshot is day 2, whole, and so is the vault. */
static const char *newest_is_whole(void)
{
	int count = vault_fixture_snapshots(f.store, f.rk_sk);
	if (count < 1 || vault_fixture_differs(
				 f.store, f.rk_sk, (size_t)count - 1, day2, COUNT(day2)) != NULL)
		return "the newest snapshot is damaged";
	return vault_fixture_problems(f.store, f.rk_sk) == 0 ? NULL : "the vault does not verify";
}

static const char *prune(struct err *err, int *rc)
{
	watch(true);
	*rc = run_prune(err);
	watch(false);
	if (*rc == 0 && vault_fixture_snapshots(f.store, f.rk_sk) != 1)
		return "pruned, and it is still there";
	return newest_is_whole();
}

static const char *collect(struct err *err, int *rc)
{
	struct collect_sights sights = { .count = 0 };
	struct collect_opts opts = { .repack_bytes = COLLECT_REPACK_BYTES, .sights = &sights };
	struct collect_result result = { .packs = 0 };
	watch(true);
	*rc = collect_run(f.vault, &opts, &result, err);
	watch(false);
	collect_sights_done(&sights);
	if (*rc == 0 && (result.deleted == 0 || result.missing_records > 0))
		return "nothing was collected, and nothing says so";
	return newest_is_whole();
}

/* ---- one process for each allocation -------------------------------------------------------- */

static const struct scenario {
	const char *name;
	scenario_fn run;
	bool is_empty; /* begins with no snapshot */
} scenarios[] = {
	{ "backup", first_backup, true },
	{ "next backup", next_backup, false },
	{ "restore", restore, false },
	{ "verify", verify, false },
	{ "prune", prune, false },
	{ "collect", collect, false },
};

/* Written by the child. */
static struct shared {
	long seen;    /* allocations */
	int rc;       /* what the call said */
	bool is_idle; /* there were not so many that one failed */
	long counts[COUNT(scenarios)];
} * shared;

static struct prove_slice p;
enum { TOLD, PASSED, IDLE, FIRST_SCENARIO };
static const char *const labels[] = { "told as errors", "went well all the same",
	"behind the last allocation", "in a backup", "in the next backup", "in a restore",
	"in verify", "in a prune", "in a collection", NULL };

/* In the child: 0 = good. */
static int child_run(const struct scenario *s, long n)
{
	struct err err = ERR_INIT;
	int rc = 0;
	(void)alarm(300); /* what hangs is found, too */
	atomic_store(&seen, 0);
	atomic_store(&left, n);
	const char *why = s->run(&err, &rc);
	shared->seen = atomic_load(&seen);
	shared->rc = rc;
	shared->is_idle = atomic_load(&left) > 0;
	if (why == NULL && rc != 0 && (err.code != -rc || err.msg[0] == '\0'))
		why = "an error without a text";
	if (why == NULL && rc > 0)
		why = "an error that is no error";
	if (why != NULL)
		fprintf(stderr, "mallocs: %s: allocation %ld: %s (%d: %s)\n", s->name, n, why, rc,
			err.msg);
	return why != NULL;
}

/* Return 0 when the n-th allocation of ${s} may fail; else the signal, or 256 and more. */
static int run_one(const struct scenario *s, long n)
{
	int status = 0;
	(void)fflush(stdout); /* the child has a copy of it */
	pid_t pid = fork();
	if (pid == 0)
		exit(child_run(s, n)); /* leaks are looked for here */
	prove_slice_must(pid < 0, "fork");
	while (waitpid(pid, &status, 0) != pid)
		prove_slice_must(errno != EINTR, "wait");
	return status;
}

/* What comes before scenario number ${i}. */
static void prepare(size_t i)
{
	struct backup_opts opts = { .source_name = "plant", .cache_path = cache };
	struct backup_result made;
	struct fake_source source;
	struct err err = ERR_INIT;
	int rc = 0;
	if (i == 1) {
		fake_source_init(&source, day1, COUNT(day1));
		rc = vault_fixture_run(&f, &opts, &source.source, &made, &err);
	}
	if (scenarios[i].run == prune)
		rc = backup_of(day2, COUNT(day2), &err, &rc) != NULL;
	if (scenarios[i].run == collect)
		rc = run_prune(&err);
	prove_slice_must(rc, err.msg);
}

/* How many allocations each scenario makes, found out in a process of its own: the vault stays as
 * it is.  A few more are asked for: a run that goes on after a failure makes others. */
static void count_all(void)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < COUNT(scenarios); i++) {
			prepare(i);
			prove_slice_must(run_one(&scenarios[i], -1), scenarios[i].name);
			shared->counts[i] = shared->seen + 8;
		}
		_exit(0);
	}
	prove_slice_must(pid < 0 || waitpid(pid, &status, 0) != pid || status != 0, "counting");
}

/* The first allocation of scenario ${i} that this process has to fail, and the step to the next. */
static long first_of(size_t i)
{
	return 1 + (long)(p.is_quick ? i % QUICK_STEP : p.job);
}

static long step(void)
{
	return p.is_quick ? QUICK_STEP : (long)p.jobs;
}

static void try_one(const struct scenario *s, long n)
{
	int status = run_one(s, n);
	p.counts[FIRST_SCENARIO + (s - scenarios)]++;
	p.counts[shared->is_idle ? IDLE : shared->rc == 0 ? PASSED : TOLD]++;
	if (status != 0)
		prove_slice_wrong(&p, "%s: allocation %ld: %s %d", s->name, n,
			WIFEXITED(status) ? "exit" : "signal",
			WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	p.at++;
	p.in_round++;
}

/* A round is a scenario. */
static void run_all(void)
{
	p.total = p.at;
	for (size_t i = p.round; i < COUNT(scenarios); i++) {
		for (long n = first_of(i); n <= shared->counts[i]; n += step())
			p.total++;
	}
	p.total -= p.in_round;
	for (size_t i = 0; i < COUNT(scenarios); i++) {
		prepare(i);
		if (i < p.round)
			continue;
		long n = first_of(i) + step() * (long)p.in_round;
		for (; n <= shared->counts[i] && prove_slice_more(&p); n += step())
			try_one(&scenarios[i], n);
		if (n <= shared->counts[i])
			return;
		p.round++;
		p.in_round = 0;
	}
	p.total = p.at;
}

int main(int argc, char **argv)
{
	prove_slice_begin(&p, "prove-malloc", labels, 1, 1, argc, argv);
	prove_slice_share(&p, PROVE_SLICE_ONE_SEED); /* every jobs-th allocation */
	(void)prove_scratch_begin();                 /* it is asked for by name */
	json_set_alloc_funcs(__wrap_malloc, free);
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	prove_slice_must(shared == MAP_FAILED, "no memory");
	snprintf(cache, sizeof(cache), "%s/cache", prove_scratch_path());
	vault_fixture_noise(noise, sizeof(noise), 7);
	vault_fixture_init(&f);
	count_all();
	run_all();
	vault_fixture_done(&f);
	prove_scratch_done();
	return prove_slice_end(&p);
}
