/*
 * power: the power goes while a plant is backed up, pruned and collected into a directory.  Every
 * step is recorded (power_trace); for every point of it directories are built as a power cut may
 * leave them, bounded enumeration first, then by chance.  In each: the vault opens, every
 * acknowledged snapshot restores to the byte, verify with content finds nothing, the next backup
 * (in every fourth a collection before it) succeeds; then it restores to the byte, all others are
 * there, and verify with content finds nothing.
 *
 * So that the proof is known to be able to fail, part of the states are of a disk that did nothing
 * when it was told to sync.  There losses must show, and every one must be told.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/plant_model.h"
#include "tests/lib/power_trace.h"
#include "tests/lib/prove_scratch.h"
#include "tests/lib/prove_slice.h"
#include "vault/id_set.h"
#include "vault/verify.h"

#define STEPS 7
#define MARKS (2 * STEPS + 2)
#define PER_ROUND 200
#define PER_ROUND_QUICK 100
#define LIES 4
#define MASK_MAX 5 /* up to so many pending all subsets are tried */
#define SINGLES_A_POINT 5
#define RANDOM_A_POINT 4
#define FULL_STATES 21000
#define QUICK_STATES 100

enum { ROUNDS, OPS, POINTS, ENUMERATED, RANDOM, FOLLOWED, COLLECTED, LYING, LIES_TOLD };
static const char *const labels[] = { "traces", "operations recorded", "points in them",
	"states enumerated", "random states", "next backups", "next collections",
	"states of a lying disk", "losses told there", NULL };

static struct prove_slice p;
static struct plant_model plant;

/* What is true from operation ${at} on. */
static struct mark {
	size_t at;
	struct plant_model model;
} marks[MARKS];
static size_t mark_count;

/* ---- recording ------------------------------------------------------------------------------ */

static void mark(void)
{
	prove_slice_must(mark_count == MARKS, "too many marks");
	marks[mark_count].at = power_trace_count();
	marks[mark_count].model = plant;
	marks[mark_count].model.f.vault = NULL;
	marks[mark_count++].model.sights = (struct collect_sights){ .count = 0 };
}

/* What is true while a step is under way: a backup may be there, what is pruned may be gone. */
static void mark_under_way(int step, size_t keep)
{
	struct plant_model before = plant;
	if (step == 0) {
		plant.maybes[plant.maybe_count++ % PLANT_MAYBES] = plant.now;
	} else if (step == 1) {
		for (size_t i = 0; i + keep < plant.snap_count; i++)
			plant.snaps[i].is_going = true;
	}
	mark();
	plant.snap_count = before.snap_count;
	plant.maybe_count = before.maybe_count;
	for (size_t i = 0; i < plant.snap_count; i++)
		plant.snaps[i].is_going = before.snaps[i].is_going;
}

static void record(uint64_t row)
{
	static const int steps[STEPS] = { 0, 0, 0, 1, 2, 0, 2 }; /* backup, prune, collect */
	struct err err = ERR_INIT;
	const struct env_ops *env = plant_model_env(row);
	int dir = prove_scratch_dir("trace");
	power_trace_begin(dir, env);
	struct store *store = prove_scratch_store("trace");
	plant_model_init(&plant, row, store);
	plant.max_bytes = 6000;
	mark_count = 0;
	mark();
	for (size_t i = 0; i < STEPS; i++) {
		size_t keep = 1 + prove_slice_random(&row, 2);
		plant_model_change(&plant);
		mark_under_way(steps[i], keep);
		int rc = steps[i] == 0   ? plant_model_backup(&plant, &err)
			 : steps[i] == 1 ? plant_model_prune(&plant, keep, &err)
					 : plant_model_collect(&plant, &err);
		prove_slice_must(rc, err.msg);
		mark();
	}
	plant_model_done(&plant);
	store_free(store);
	power_trace_end(env);
	(void)close(dir); /* a directory */
	p.counts[ROUNDS]++;
	p.counts[OPS] += power_trace_count();
}

/* ---- one state ------------------------------------------------------------------------------ */

static const struct plant_model *model_at(size_t n)
{
	size_t i = mark_count;
	while (i > 1 && marks[i - 1].at > n)
		i--;
	return &marks[i - 1].model;
}

static const char *go_on(struct plant_model *m, bool is_collected)
{
	struct err err = ERR_INIT;
	static char text[ERR_MSG_BYTES + 64];
	if (is_collected) {
		p.counts[COLLECTED]++;
		if (plant_model_collect(m, &err) != 0) {
			(void)snprintf(text, sizeof(text), "the next collection: %s", err.msg);
			return text;
		}
	}
	plant_model_change(m);
	p.counts[FOLLOWED]++;
	if (plant_model_backup(m, &err) != 0) {
		(void)snprintf(text, sizeof(text), "the next backup: %s", err.msg);
		return text;
	}
	return plant_model_check(m, m->f.store, PLANT_MODEL_VERIFIED);
}

/* Build the state and look at it.  Return NULL or what is wrong. */
static const char *try_state(const struct power_trace_state *s)
{
	static struct plant_model m;
	int dir = prove_scratch_dir("state");
	prove_slice_must(power_trace_make(s, dir), "the state could not be made");
	(void)close(dir); /* a directory */
	m = *model_at(s->n);
	m.f.store = prove_scratch_store("state");
	const char *why =
		plant_model_check(&m, m.f.store, PLANT_MODEL_COMPARED | PLANT_MODEL_VERIFIED);
	if (why == NULL)
		why = go_on(&m, s->n % 4 == 0);
	plant_model_done(&m);
	store_free(m.f.store);
	return why;
}

static void state(const struct power_trace_state *s, struct id_set *seen)
{
	struct err err = ERR_INIT;
	uint8_t digest[32];
	bool is_new = false;
	power_trace_digest(s, digest);
	/* the same bytes are another state when more was acknowledged */
	digest[0] ^= (uint8_t)(model_at(s->n) - &marks[0].model);
	prove_slice_must(id_set_add(seen, digest, 1, &is_new, &err), "memory");
	if (!is_new)
		return;
	const char *why = try_state(s);
	if (why != NULL)
		prove_slice_wrong(&p, "trace %llu, cut after %zu, choice %d %llu: %s",
			(unsigned long long)p.counts[ROUNDS], s->n, (int)s->choice,
			(unsigned long long)s->x, why);
	p.counts[s->choice == POWER_RANDOM ? RANDOM : ENUMERATED]++;
	p.at++;
}

/* All states of one point. */
static void states_at(size_t n, uint64_t *row, struct id_set *seen)
{
	struct power_trace_state s = { .n = n, .choice = POWER_ALL_KEPT };
	size_t pending = power_trace_pending(n);
	state(&s, seen);
	s.choice = POWER_ALL_LOST;
	state(&s, seen);
	s.choice = POWER_MASK;
	for (s.x = 0; pending <= MASK_MAX && s.x < UINT64_C(1) << pending; s.x++)
		state(&s, seen);
	size_t stride = pending / SINGLES_A_POINT + 1;
	for (s.x = n % stride; pending > MASK_MAX && s.x < pending; s.x += stride) {
		s.choice = POWER_ONE_KEPT;
		state(&s, seen);
		s.choice = POWER_ONE_LOST;
		state(&s, seen);
	}
	s.choice = POWER_RANDOM;
	for (int i = 0; pending > 0 && i < RANDOM_A_POINT; i++) {
		s.x = prove_slice_random(row, UINT64_MAX);
		state(&s, seen);
	}
}

/* A loss on a disk that lies is no fault of ours; that it is told is our affair. */
static void lying_state(uint64_t *row)
{
	static struct plant_model m;
	size_t first = marks[0].at;
	struct power_trace_state s = { .choice = POWER_RANDOM, .is_lying = true };
	s.n = first + prove_slice_random(row, power_trace_count() - first + 1);
	s.x = prove_slice_random(row, UINT64_MAX);
	int dir = prove_scratch_dir("state");
	prove_slice_must(power_trace_make(&s, dir), "the state could not be made");
	(void)close(dir); /* a directory */
	m = *model_at(s.n);
	struct store *store = prove_scratch_store("state");
	bool is_lost = plant_model_check(&m, store, PLANT_MODEL_COMPARED) != NULL;
	struct err err = ERR_INIT;
	struct vault *vault = NULL;
	struct verify_opts opts = { .sk = NULL };
	struct verify_result result = { .problems = 0 };
	bool is_told = vault_fixture_open(store, m.f.rk_sk, &vault, &err) != 0 ||
		       verify_run(vault, &opts, &result, &err) != 0 || result.problems > 0;
	vault_close(vault);
	if (!is_told && is_lost) { /* all of it gone, newest first: the host's memory tells */
		m.f.store = store;
		plant_model_change(&m);
		is_told = plant_model_backup(&m, &err) == -ERR_ROLLBACK;
		plant_model_done(&m);
	}
	store_free(store);
	p.counts[LYING]++;
	p.counts[LIES_TOLD] += is_lost && is_told;
	if (is_lost && !is_told)
		prove_slice_wrong(&p, "a disk that lies, cut after %zu, %llu: lost and not told",
			s.n, (unsigned long long)s.x);
}

static size_t divisor(size_t a, size_t b)
{
	return b == 0 ? a : divisor(b, a % b);
}

/* One trace: its points in an order of chance, until enough of its states were seen. */
static void run_round(void)
{
	struct err err = ERR_INIT;
	struct id_set *seen = NULL;
	uint64_t row = prove_slice_row(&p, p.counts[ROUNDS]);
	uint64_t end = p.at + (p.is_quick ? PER_ROUND_QUICK : PER_ROUND);
	prove_slice_must(id_set_new(&seen, &err), "memory");
	record(row);
	size_t first = marks[0].at, points = power_trace_count() - first + 1;
	size_t step = 1 + 2 * prove_slice_random(&row, points);
	while (divisor(step, points) != 1) /* so that every point comes */
		step++;
	size_t at = prove_slice_random(&row, points);
	for (size_t i = 0; i < points && p.at < end; i++, at = (at + step) % points) {
		states_at(first + at, &row, seen);
		p.counts[POINTS]++;
	}
	for (int i = 0; i < LIES; i++)
		lying_state(&row);
	id_set_free(seen);
	power_trace_done();
}

int main(int argc, char **argv)
{
	prove_slice_begin(&p, "prove-power", labels, QUICK_STATES, FULL_STATES, argc, argv);
	prove_slice_share(&p, PROVE_SLICE_OWN_SEEDS);
	(void)prove_scratch_begin(); /* it is asked for by name */
	while (prove_slice_more(&p))
		run_round();
	if (p.at >= p.total && p.counts[LIES_TOLD] == 0)
		prove_slice_wrong(&p, "a disk that lies went unnoticed: the proof proves nothing");
	prove_scratch_done();
	return prove_slice_end(&p);
}
