/*
 * faults: every operation of backup, prune, collection with repack, and restore fails once, in each
 * way a disk or a store has; and the program stops at every operation.
 *
 * Three places: the store's driver (reads, lists and barriers too), the system calls of the local
 * driver, the system calls of a restore's target.  After each: the call has failed with a code and
 * a text or did what it says; every acknowledged snapshot is there to the byte, verify with content
 * finds nothing, the same step succeeds now; then the newest snapshot is there to the byte, all
 * others are, and verify with content finds nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "tests/lib/plant_model.h"
#include "tests/lib/prove_scratch.h"
#include "tests/lib/prove_slice.h"
#include "tests/lib/store_scratch.h"

#define FULL_CASES 16000
#define FULL_FAULTS 10000
#define FULL_KILLS 5000
#define MORE_CASES 500
#define QUICK_STEP 29
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { ROUNDS, FAULTS, KILLS, TOLD, PASSED, STORE_CASES, SYSTEM_CASES, TARGET_CASES };
static const char *const labels[] = { "plants", "faults", "kill points", "told as errors",
	"went well all the same", "in the store's driver", "in system calls on the store",
	"in system calls on a target", NULL };

enum step { BACKUP, PRUNE, COLLECT, RESTORE };
static const char *const step_names[] = { "backup", "prune", "collect", "restore" };

static struct prove_slice p;
static const struct env_ops *env;
static uint64_t case_number; /* in this round */
static bool is_cut_short;    /* the slice ended within this round */

static int run_step(struct plant_model *m, enum step step, int target, struct err *err)
{
	switch (step) {
	case BACKUP:
		return plant_model_backup(m, err);
	case PRUNE:
		return plant_model_prune(m, 1, err);
	case COLLECT:
		return plant_model_collect(m, err);
	case RESTORE:
		break;
	}
	return plant_model_restore(m, target, err);
}

/* A plant before the step: snapshots, pruned ones, waste that waits for collection, changes. */
static void prepare(struct plant_model *m, uint64_t row, struct store *store)
{
	struct err err = ERR_INIT;
	plant_model_init(m, row, store);
	m->max_bytes = 4000 + prove_slice_random(&row, 9000);
	for (int i = 0; i < 4; i++) {
		plant_model_change(m);
		prove_slice_must(plant_model_backup(m, &err), err.msg);
		if (i == 2)
			prove_slice_must(plant_model_prune(m, 1, &err), err.msg);
	}
	plant_model_change(m);
	plant_model_done(m);
}

/* ---- after the fault ------------------------------------------------------------------------ */

struct trial {
	const char *place, *kind;
	enum step step;
	uint64_t n;
};

static void wrong(const struct trial *t, const char *why)
{
	prove_slice_wrong(&p, "plant %llu, %s: %s, operation %llu, %s: %s",
		(unsigned long long)p.round, t->place, step_names[t->step],
		(unsigned long long)t->n, t->kind, why);
}

static bool is_silent_damage(const struct err *err)
{
	return strstr(err->msg, "nothing was told") != NULL;
}

/* What the call itself said. */
static void judge(const struct trial *t, int rc, const struct err *err)
{
	if (rc == 0) {
		p.counts[PASSED]++;
		return;
	}
	p.counts[TOLD]++;
	if (rc > 0 || (int)err->code != -rc || err->msg[0] == '\0')
		wrong(t, "an error without a code or a text");
	else if (is_silent_damage(err))
		wrong(t, err->msg);
}

/* The store as it is now, by the same and by new processes. */
static void look_after(const struct trial *t, struct plant_model *m)
{
	struct err err = ERR_INIT;
	const char *why =
		plant_model_check(m, m->f.store, PLANT_MODEL_COMPARED | PLANT_MODEL_VERIFIED);
	int target = -1;
	if (why == NULL) {
		target = t->step == RESTORE ? prove_scratch_dir("again") : -1;
		if (run_step(m, t->step, target, &err) != 0)
			why = err.msg;
	}
	if (why == NULL && t->step != RESTORE)
		why = plant_model_check(m, m->f.store, PLANT_MODEL_VERIFIED);
	if (why != NULL)
		wrong(t, why);
	if (target >= 0)
		(void)close(target); /* a directory */
}

/* Is it this case's turn?  With --quick one of some; else those that no slice before has done,
 * while there is time. */
static bool is_due(void)
{
	uint64_t n = case_number++;
	if (p.is_quick)
		return n % QUICK_STEP == p.seed % QUICK_STEP;
	if (n < p.in_round)
		return false;
	is_cut_short = is_cut_short || !prove_slice_more(&p);
	if (!is_cut_short)
		p.in_round = n + 1;
	return !is_cut_short;
}

/* ---- in the driver, on a store in memory ---------------------------------------------------- */

struct mem_base {
	struct plant_model model;
	struct store_mem *mem;
	struct store *store;
};

static void no_sleep(unsigned ms)
{
	(void)ms;
}

/* A copy of ${from} with what ${kept} says of the staged, behind a fault driver. */
static struct store *mem_copy(const struct store_mem *from, uint64_t kept, unsigned retries,
	struct store_mem **mem, struct store_fault **fault)
{
	const struct store_opts opts = { .retries = retries, .sleep_ms = no_sleep };
	struct err err = ERR_INIT;
	struct store *store = NULL;
	prove_slice_must(store_mem_crash(from, kept, mem, &err), err.msg);
	prove_slice_must(store_fault_new(&store_mem_driver, *mem, fault, &err), err.msg);
	prove_slice_must(
		store_new(store_fault_driver(*fault), *fault, &opts, &store, &err), err.msg);
	return store;
}

enum mem_kind { EIO_ONCE, NOSPACE, TORN, EIO_RETRIED, EIO_LASTS, KILL_NONE, KILL_ALL, KILL_SOME };
static const char *const mem_kinds[] = { "EIO", "no space", "torn", "EIO once, with retries",
	"EIO three times, with retries", "killed", "killed, all staged kept",
	"killed, some staged kept" };

static void arm(struct store_fault *f, enum mem_kind kind, uint64_t n)
{
	switch (kind) {
	case EIO_ONCE:
	case EIO_RETRIED:
		store_fault_fail(f, STORE_FAULT_ANY, n, 1, ERR_IO);
		break;
	case NOSPACE:
		store_fault_fail(f, STORE_FAULT_ANY, n, 1, ERR_NOSPACE);
		break;
	case TORN:
		store_fault_tear(f, STORE_FAULT_ANY, n, ERR_IO);
		break;
	case EIO_LASTS:
		store_fault_fail(f, STORE_FAULT_ANY, n, 3, ERR_IO);
		break;
	case KILL_NONE:
	case KILL_ALL:
	case KILL_SOME:
		store_fault_crash(f, n);
		break;
	}
}

/* Return the operations of the step (${n} 0: no fault). */
static uint64_t mem_case(
	const struct mem_base *base, enum step step, uint64_t n, enum mem_kind kind)
{
	static struct plant_model m;
	const struct trial t = { "the store", mem_kinds[kind], step, n };
	bool is_retried = kind == EIO_RETRIED || kind == EIO_LASTS;
	bool is_killed = kind >= KILL_NONE;
	struct err err = ERR_INIT;
	struct store_mem *mem;
	struct store_fault *fault;
	int target = prove_scratch_dir("target");
	m = base->model;
	m.f.store = mem_copy(base->mem, 0, is_retried ? 2 : 0, &mem, &fault);
	if (n > 0)
		arm(fault, kind, n);
	int rc = run_step(&m, step, target, &err);
	uint64_t ops = store_fault_count(fault, STORE_FAULT_ANY);
	(void)close(target); /* a directory */
	if (n == 0) {
		prove_slice_must(rc, err.msg);
	} else {
		judge(&t, rc, &err);
		if (is_killed) {
			uint64_t row = n;
			uint64_t kept = kind == KILL_NONE  ? 0
					: kind == KILL_ALL ? UINT64_MAX
							   : prove_slice_random(&row, UINT64_MAX);
			struct store *dead = m.f.store;
			struct store *store = mem_copy(mem, kept, 0, &mem, &fault);
			plant_model_move(&m, store);
			store_free(dead);
		} else {
			store_fault_reset(fault);
		}
		look_after(&t, &m);
		p.counts[is_killed ? KILLS : FAULTS]++;
		p.counts[STORE_CASES]++;
		p.at++;
	}
	plant_model_done(&m);
	store_free(m.f.store);
	return ops;
}

static void mem_round(const struct mem_base *base)
{
	for (enum step step = BACKUP; step <= RESTORE; step++) {
		uint64_t ops = mem_case(base, step, 0, EIO_ONCE);
		for (uint64_t n = 1; n <= ops; n++) {
			for (enum mem_kind kind = EIO_ONCE; kind <= KILL_SOME; kind++) {
				if (is_due())
					(void)mem_case(base, step, n, kind);
			}
		}
	}
}

/* ---- in system calls ------------------------------------------------------------------------ */

struct call_kind {
	const char *name;
	const char *letters; /* store_scratch_break() */
	int error;
	bool is_kill;
};
static const struct call_kind call_kinds[] = {
	{ "EIO", "*", EIO, false },
	{ "ENOSPC", "*", ENOSPC, false },
	{ "EIO of an open", "o", EIO, false },
	{ "a short write", "w", 0, false },
	{ "EINTR of a write", "w", EINTR, false },
	{ "killed", "*", EIO, true },
};

struct export
{
	struct store *from;
	int dirfd;
};

static int export_one(void *arg, const char *name, uint64_t size)
{
	const struct export *x = arg;
	CLEANUP(buf_done) struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	char part[STORE_MAX_NAME_BYTES + 1];
	(void)size;
	for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		(void)snprintf(part, sizeof(part), "%.*s", (int)(slash - name), name);
		prove_slice_must(mkdirat(x->dirfd, part, 0700) != 0 && errno != EEXIST, "mkdir");
	}
	prove_slice_must(store_get(x->from, name, &b, NULL), "get");
	int fd = openat(x->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	prove_slice_must(fd < 0 || write(fd, b.data, b.len) != (ssize_t)b.len, "write");
	(void)close(fd); /* written */
	return 0;
}

/* The store of ${base} in a directory, as the local driver has it. */
static struct store *local_copy(const struct mem_base *base)
{
	struct err err = ERR_INIT;
	struct export x = { .from = base->store, .dirfd = prove_scratch_dir("vault") };
	prove_slice_must(store_list(base->store, "", export_one, &x, &err), err.msg);
	(void)close(x.dirfd); /* a directory */
	return prove_scratch_store("vault");
}

/* ${step} RESTORE: the target breaks, the store is in memory.  Else the local store breaks.  Return
 * the operations that matched (${n} 0: no fault). */
static uint64_t call_case(
	const struct mem_base *base, enum step step, uint64_t n, const struct call_kind *kind)
{
	static struct plant_model m;
	const struct trial t = { step == RESTORE ? "the target" : "the local store", kind->name,
		step, n };
	struct err err = ERR_INIT;
	struct store_mem *mem;
	struct store_fault *fault;
	int target = prove_scratch_dir("target");
	m = base->model;
	m.f.store = step == RESTORE ? mem_copy(base->mem, 0, 0, &mem, &fault) : local_copy(base);
	store_scratch_watch();
	store_scratch_break(kind->letters, n, kind->is_kill ? UINT64_MAX : 1, kind->error);
	int rc = run_step(&m, step, target, &err);
	uint64_t ops = store_scratch_matched();
	(void)close(target); /* a directory */
	if (n == 0) {
		(void)env_swap(env);
		prove_slice_must(rc, err.msg);
	} else {
		judge(&t, rc, &err);
		if (kind->is_kill && step != RESTORE) {
			plant_model_done(&m);
			store_free(m.f.store); /* removes nothing: every call still fails */
			(void)env_swap(env);
			plant_model_move(&m, prove_scratch_store("vault"));
		}
		(void)env_swap(env);
		look_after(&t, &m);
		p.counts[kind->is_kill ? KILLS : FAULTS]++;
		p.counts[step == RESTORE ? TARGET_CASES : SYSTEM_CASES]++;
		p.at++;
	}
	plant_model_done(&m);
	store_free(m.f.store);
	return ops;
}

static void call_round(const struct mem_base *base)
{
	for (enum step step = BACKUP; step <= RESTORE; step++) {
		for (size_t k = 0; k < COUNT(call_kinds); k++) {
			uint64_t ops = call_case(base, step, 0, &call_kinds[k]);
			for (uint64_t n = 1; n <= ops; n++) {
				if (is_due())
					(void)call_case(base, step, n, &call_kinds[k]);
			}
		}
	}
}

/* One plant: every operation of every step, in every way. */
static void run_round(void)
{
	struct err err = ERR_INIT;
	static struct mem_base base;
	uint64_t row = prove_slice_row(&p, p.round);
	env = plant_model_env(row);
	case_number = 0;
	is_cut_short = false;
	if (p.in_round == 0)
		p.counts[ROUNDS]++;
	prove_slice_must(store_mem_new(&base.mem, &err), err.msg);
	prove_slice_must(store_new(&store_mem_driver, base.mem, NULL, &base.store, &err), err.msg);
	prepare(&base.model, row, base.store);
	mem_round(&base);
	call_round(&base);
	store_free(base.store);
	if (is_cut_short)
		return;
	p.round++;
	p.in_round = 0;
}

int main(int argc, char **argv)
{
	prove_slice_begin(&p, "prove-faults", labels, 1, FULL_CASES, argc, argv);
	prove_slice_share(&p, PROVE_SLICE_OWN_SEEDS);
	(void)prove_scratch_begin(); /* it is asked for by name */
	while (prove_slice_more(&p)) {
		run_round();
		bool is_short = p.counts[FAULTS] * p.jobs < FULL_FAULTS ||
				p.counts[KILLS] * p.jobs < FULL_KILLS;
		if (!p.is_quick && p.at >= p.total && is_short)
			p.total = p.at + MORE_CASES;
	}
	if (p.is_quick)
		p.total = p.at;
	prove_scratch_done();
	return prove_slice_end(&p);
}
