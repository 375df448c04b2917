/*
 * kill9: processes that back up, prune and collect one after another in one directory are killed
 * with SIGKILL at any moment.  What the model says is in memory that outlives them.  After each
 * kill: the vault opens, every acknowledged snapshot restores to the byte, verify with content
 * finds nothing, the next backup succeeds; then it restores to the byte and all others are there.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/plant_model.h"
#include "tests/lib/prove_scratch.h"
#include "tests/lib/prove_slice.h"

#define FULL_KILLS 1500
#define QUICK_KILLS 25
#define KILLS_A_VAULT 25
#define CHILD_STEPS 200
#define MAX_DELAY_US 60000
#define KEEP 3
#define MANY 8
#define HOUR INT64_C(3600000000000)

enum { VAULTS, KILLS, STEPS, DONE_STEPS, UNKNOWN };
static const char *const labels[] = { "vaults", "kills", "steps begun", "steps acknowledged",
	"snapshots there without an answer", NULL };

/* Written by the child: the model is at[which]; the other one is being written. */
struct shared {
	atomic_uint which;
	atomic_uint begun, done;
	atomic_bool is_failed;
	char text[ERR_MSG_BYTES];
	struct plant_model at[2];
};

static struct prove_slice p;
static struct shared *shared;
static struct plant_model plant;

static void publish(const struct plant_model *m)
{
	unsigned next = 1 - atomic_load(&shared->which);
	shared->at[next] = *m;
	atomic_store(&shared->which, next);
}

/* What is true while the step is under way. */
static void publish_under_way(const struct plant_model *m, uint64_t step)
{
	static struct plant_model way;
	way = *m;
	if (step < 2)
		way.maybes[way.maybe_count++ % PLANT_MAYBES] = way.now;
	for (size_t i = 0; step == 2 && i + KEEP < way.snap_count; i++)
		way.snaps[i].is_going = true;
	if (way.maybe_count > PLANT_MAYBES)
		way.maybe_count = PLANT_MAYBES;
	publish(&way);
}

/* In the child, until it is killed. */
static void work(uint64_t row)
{
	struct err err = ERR_INIT;
	plant.f.store = prove_scratch_store("vault");
	for (int i = 0; i < CHILD_STEPS; i++) {
		uint64_t step = plant.snap_count > MANY ? 2 : prove_slice_random(&row, 4);
		plant_model_change(&plant);
		publish_under_way(&plant, step);
		atomic_fetch_add(&shared->begun, 1);
		int rc = step < 2    ? plant_model_backup(&plant, &err)
			 : step == 2 ? plant_model_prune(&plant, KEEP, &err)
				     : plant_model_collect(&plant, &err);
		if (rc != 0) {
			memcpy(shared->text, err.msg, sizeof(shared->text));
			atomic_store(&shared->is_failed, true);
			break;
		}
		publish(&plant);
		atomic_fetch_add(&shared->done, 1);
	}
	for (;;)
		(void)pause(); /* killed here, too */
}

static void wait_us(uint64_t us)
{
	struct timespec ts = { .tv_sec = 0, .tv_nsec = (long)us * 1000 };
	(void)nanosleep(&ts, NULL); /* a moment by chance, not a condition */
}

static const char *look(void)
{
	static char text[ERR_MSG_BYTES + 64];
	struct err err = ERR_INIT;
	uint64_t before = plant.adopted;
	const char *why = plant_model_check(
		&plant, plant.f.store, PLANT_MODEL_COMPARED | PLANT_MODEL_VERIFIED);
	if (why != NULL)
		return why;
	p.counts[UNKNOWN] += plant.adopted - before;
	plant_model_change(&plant);
	if (plant_model_backup(&plant, &err) != 0) {
		(void)snprintf(text, sizeof(text), "the next backup: %s", err.msg);
		return text;
	}
	return plant_model_check(&plant, plant.f.store, PLANT_MODEL_LISTED);
}

static void kill_once(void)
{
	uint64_t row = prove_slice_row(&p, p.at);
	int status = 0;
	atomic_store(&shared->begun, 0);
	atomic_store(&shared->done, 0);
	publish(&plant);
	(void)plant_model_env(row);
	plant_model_pass((int64_t)(p.at % KILLS_A_VAULT + 1) * HOUR);
	(void)fflush(stdout); /* the child has a copy */
	pid_t pid = fork();
	prove_slice_must(pid < 0, "fork");
	if (pid == 0)
		work(row);
	wait_us(prove_slice_random(&row, MAX_DELAY_US));
	prove_slice_must(kill(pid, SIGKILL), "kill");
	prove_slice_must(waitpid(pid, &status, 0) != pid, "wait");
	p.counts[STEPS] += atomic_load(&shared->begun);
	p.counts[DONE_STEPS] += atomic_load(&shared->done);
	p.counts[KILLS]++;
	plant = shared->at[atomic_load(&shared->which)];
	plant.f.vault = NULL; /* the child's */
	plant.sights = (struct collect_sights){ .count = 0 };
	(void)plant_model_env(~row); /* not the child's random numbers again */
	plant_model_pass((int64_t)(p.at % KILLS_A_VAULT + 1) * HOUR + HOUR / 2);
	plant.f.store = prove_scratch_store("vault");
	const char *why = atomic_load(&shared->is_failed) ? shared->text : look();
	plant_model_done(&plant);
	store_free(plant.f.store);
	if (why != NULL)
		prove_slice_wrong(&p, "%s", why);
	p.at++;
}

static void run_vault(void)
{
	uint64_t row = prove_slice_row(&p, p.at);
	(void)close(prove_scratch_dir("vault")); /* empty now */
	(void)plant_model_env(row);
	struct store *store = prove_scratch_store("vault");
	plant_model_init(&plant, row, store);
	plant.max_bytes = 30000;
	store_free(store);
	p.counts[VAULTS]++;
	for (int i = 0; i < KILLS_A_VAULT && p.at < p.total && p.wrong == 0; i++)
		kill_once();
}

int main(int argc, char **argv)
{
	prove_slice_begin(&p, "prove-kill9", labels, QUICK_KILLS, FULL_KILLS, argc, argv);
	prove_slice_share(&p, PROVE_SLICE_OWN_SEEDS);
	(void)prove_scratch_begin(); /* it is asked for by name */
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	prove_slice_must(shared == MAP_FAILED, "no memory");
	while (prove_slice_more(&p) && p.wrong == 0)
		run_vault();
	prove_scratch_done();
	return prove_slice_end(&p);
}
