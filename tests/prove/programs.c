/*
 * programs: random programs of a plant against a model in memory: change, back up, break off a
 * backup, prune, collect, collect with a grace, restore, compare, verify, go on as a new process.
 * The store is in memory.  After each program the whole vault is compared and verified.
 */
#include <unistd.h>

#include "tests/lib/plant_model.h"
#include "tests/lib/prove_scratch.h"
#include "tests/lib/prove_slice.h"
#include "vault/collect.h"

#define FULL_STEPS 1000000
#define QUICK_STEPS 2500
#define STEPS_A_PROGRAM 500
#define MANY 12
#define HOUR INT64_C(3600000000000)

enum step { CHANGE, WAIT, BACKUP, BREAK, PRUNE, COLLECT, PATIENT, RESTORE, COMPARE, REOPEN, KINDS };
static const char *const labels[] = { "changes", "waits", "backups", "operations broken off",
	"prunes", "collections", "collections with a grace", "restores", "comparisons",
	"new processes", "programs", "backups without an answer that were there", NULL };
#define PROGRAMS KINDS
#define ADOPTED (KINDS + 1)

/* How often, of 64: most of a plant's life is change. */
static const uint8_t weights[KINDS] = { 36, 6, 8, 2, 2, 2, 1, 2, 2, 3 };

static struct prove_slice p;
static struct plant_model plant;
static struct store_fault *fault;

static enum step choose(uint64_t *row)
{
	if (plant.snap_count > MANY)
		return PRUNE;
	uint64_t dice = prove_slice_random(row, 64);
	enum step step = CHANGE;
	while (dice >= weights[step])
		dice -= weights[step++];
	return step;
}

static int restore(struct err *err)
{
	if (plant.snap_count == 0)
		return 0;
	int fd = prove_scratch_dir("target");
	int rc = plant_model_restore(&plant, fd, err);
	(void)close(fd); /* a directory */
	return rc;
}

/* A step whose n-th operation stops the process. */
static int broken_off(uint64_t *row, struct err *err)
{
	enum step which = prove_slice_random(row, 4);
	store_fault_reset(fault);
	store_fault_crash(fault, 1 + prove_slice_random(row, 60));
	int rc = which < 2    ? plant_model_backup(&plant, err)
		 : which == 2 ? plant_model_prune(&plant, 2, err)
			      : plant_model_collect(&plant, err);
	(void)rc; /* it may have been over before: the model knows */
	store_fault_reset(fault);
	const char *why = plant_model_check(&plant, plant.f.store, PLANT_MODEL_LISTED);
	return why == NULL ? 0 : err_set(err, ERR_CORRUPT, "%s", why);
}

static int run_step(enum step step, uint64_t *row, struct err *err)
{
	const char *why;
	switch (step) {
	case CHANGE:
		plant_model_change(&plant);
		return 0;
	case WAIT:
		plant_model_pass((int64_t)prove_slice_random(row, 48) * HOUR);
		return 0;
	case BACKUP:
		return plant_model_backup(&plant, err);
	case BREAK:
		return broken_off(row, err);
	case PRUNE:
		return plant_model_prune(&plant, 1 + prove_slice_random(row, 3), err);
	case COLLECT:
	case PATIENT:
		plant.grace_ns = step == PATIENT ? COLLECT_GRACE_NS : 0;
		plant.fence_ns = step == PATIENT ? COLLECT_FENCE_NS : 0;
		int rc = plant_model_collect(&plant, err);
		plant.grace_ns = 0;
		plant.fence_ns = 0;
		return rc;
	case RESTORE:
		return restore(err);
	case COMPARE:
		why = plant_model_check(&plant, plant.f.store, PLANT_MODEL_COMPARED);
		return why == NULL ? 0 : err_set(err, ERR_CORRUPT, "%s", why);
	case REOPEN:
		plant_model_done(&plant);
		return 0;
	case KINDS:
		break;
	}
	return err_set(err, ERR_FAILED, "no such step");
}

static void run_program(void)
{
	struct err err = ERR_INIT;
	struct store_mem *mem;
	struct store *store = NULL;
	uint64_t row = prove_slice_row(&p, p.counts[PROGRAMS]);
	(void)plant_model_env(row);
	prove_slice_must(store_mem_new(&mem, &err), err.msg);
	prove_slice_must(store_fault_new(&store_mem_driver, mem, &fault, &err), err.msg);
	prove_slice_must(store_new(store_fault_driver(fault), fault, NULL, &store, &err), err.msg);
	plant_model_init(&plant, row, store);
	plant.max_bytes = 1000 + prove_slice_random(&row, 12000);
	for (int i = 0; i < STEPS_A_PROGRAM; i++) {
		enum step step = choose(&row);
		p.counts[step]++;
		p.at++;
		if (run_step(step, &row, &err) == 0)
			continue;
		prove_slice_wrong(&p, "program %llu, step %d, %s: %s",
			(unsigned long long)p.counts[PROGRAMS], i, labels[step], err.msg);
		break;
	}
	const char *why =
		plant_model_check(&plant, store, PLANT_MODEL_COMPARED | PLANT_MODEL_VERIFIED);
	if (why != NULL)
		prove_slice_wrong(&p, "program %llu, at its end: %s",
			(unsigned long long)p.counts[PROGRAMS], why);
	p.counts[PROGRAMS]++;
	p.counts[ADOPTED] += plant.adopted;
	plant_model_done(&plant);
	store_free(store);
}

int main(int argc, char **argv)
{
	prove_slice_begin(&p, "prove-programs", labels, QUICK_STEPS, FULL_STEPS, argc, argv);
	prove_slice_share(&p, PROVE_SLICE_OWN_SEEDS);
	(void)prove_scratch_begin(); /* it is asked for by name */
	while (prove_slice_more(&p))
		run_program();
	prove_scratch_done();
	return prove_slice_end(&p);
}
