#include "tests/lib/prove_slice.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/store_scratch.h"

/*
 * INVARIANTS
 * (1) Who shares the cases out runs none itself: what it counts is what its workers have counted.
 * (2) A proof goes on with the number of workers it began with: another number would be other
 * seeds.
 */

#define SHOWN_WRONG 40

static volatile sig_atomic_t is_ended;
static const char *running = "prove"; /* the proof's name */
/* What each worker has at the end of its slice; the workers' state files say it to the next one. */
static struct worker {
	bool is_told;
	uint64_t at, total, wrong, counts[PROVE_SLICE_COUNTS];
} * workers;
static pid_t pids[PROVE_SLICE_MAX_JOBS];

static void on_end(int number)
{
	(void)number;
	is_ended = 1;
}

static double now_s(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail; the proofs fake env's clock */
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Seconds that processors worked for this process and for what it has waited for. */
static double cpu_s(void)
{
	static const int whose[] = { RUSAGE_SELF, RUSAGE_CHILDREN };
	double sum = 0;
	for (size_t i = 0; i < sizeof(whose) / sizeof(whose[0]); i++) {
		struct rusage u;
		(void)getrusage(whose[i], &u); /* cannot fail */
		sum += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	}
	return sum;
}

static void usage(const char *name)
{
	(void)fprintf(stderr, "usage: %s [--quick] [--seed N] [--state FILE]\n", name);
	exit(2);
}

/* A state of another seed or form is not gone on from. */
static void read_state(struct prove_slice *p, bool has_seed)
{
	FILE *in = p->state == NULL ? NULL : fopen(p->state, "re");
	if (in == NULL)
		return;
	struct prove_slice was = *p;
	uint64_t *const numbers[] = { &was.seed, &was.at, &was.total, &was.wrong, &was.round,
		&was.in_round };
	bool is_good = true;
	for (size_t i = 0; is_good && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		is_good = fscanf(in, "%" SCNu64, numbers[i]) == 1;
	is_good = is_good && fscanf(in, "%lf %u %u", &was.seconds, &was.slices, &was.jobs) == 3 &&
		  was.jobs <= PROVE_SLICE_MAX_JOBS;
	for (size_t i = 0; is_good && p->labels[i] != NULL; i++)
		is_good = fscanf(in, "%" SCNu64, &was.counts[i]) == 1;
	(void)fclose(in); /* only read */
	if (is_good && (!has_seed || was.seed == p->seed))
		*p = was;
}

void prove_slice_begin(struct prove_slice *p, const char *name, const char *const *labels,
	uint64_t quick, uint64_t full, int argc, char **argv)
{
	const char *seed = getenv("SEED");
	const char *limit = getenv("PROVE_S");
	memset(p, 0, sizeof(*p));
	p->name = name;
	running = name;
	p->labels = labels;
	for (int i = 1; i < argc; i++) {
		bool has_more = i + 1 < argc;
		if (strcmp(argv[i], "--quick") == 0)
			p->is_quick = true;
		else if (strcmp(argv[i], "--seed") == 0 && has_more)
			seed = argv[++i];
		else if (strcmp(argv[i], "--state") == 0 && has_more)
			p->state = argv[++i];
		else
			usage(name);
	}
	struct sigaction end = { .sa_handler = on_end };
	(void)sigaction(SIGTERM, &end, NULL); /* known signals: cannot fail */
	(void)sigaction(SIGINT, &end, NULL);
	if (access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 0); /* without it: slower */
	bool has_seed = seed != NULL && *seed != '\0';
	p->begin = now_s();
	p->seed = has_seed ? strtoull(seed, NULL, 10)
			   : ((uint64_t)time(NULL) * 100003 + (uint64_t)getpid()) % 1000000000;
	p->total = p->is_quick ? quick : full;
	p->limit = limit != NULL ? strtod(limit, NULL) : PROVE_SLICE_SECONDS;
	if (p->is_quick)
		p->state = NULL;
	read_state(p, has_seed);
	p->slices++;
	printf("%s: seed %" PRIu64 ", from case %" PRIu64 "\n", name, p->seed, p->at);
	(void)fflush(stdout); /* only a message */
}

/* ---- several processes ---------------------------------------------------------------------- */

static unsigned wanted_jobs(const struct prove_slice *p)
{
	const char *jobs = getenv("PROVE_JOBS");
	long n = jobs != NULL ? strtol(jobs, NULL, 10) : sysconf(_SC_NPROCESSORS_ONLN);
	if (p->jobs != 0)
		return p->jobs; /* (2) */
	return n < 1 ? 1 : n > PROVE_SLICE_MAX_JOBS ? PROVE_SLICE_MAX_JOBS : (unsigned)n;
}

/* Its seed, its state, and from there its cases. */
static void become_worker(struct prove_slice *p, unsigned job, enum prove_slice_seeds seeds)
{
	static char state[4096];
	uint64_t all = p->total;
	unsigned jobs = p->jobs, slices = p->slices;
	p->seed += seeds == PROVE_SLICE_OWN_SEEDS ? job : 0;
	p->at = p->round = p->in_round = p->wrong = 0;
	p->total = all / jobs + (job < all % jobs ? 1 : 0);
	memset(p->counts, 0, sizeof(p->counts));
	if (p->state != NULL) {
		(void)snprintf(state, sizeof(state), "%s.%u", p->state, job);
		p->state = state;
		read_state(p, true);
	}
	p->jobs = jobs;
	p->job = job;
	p->slices = slices;
}

/* Sum up what the workers have told. */
static void add_up(struct prove_slice *p)
{
	p->at = p->total = p->wrong = 0;
	memset(p->counts, 0, sizeof(p->counts));
	for (unsigned k = 0; k < p->jobs; k++) {
		const struct worker *w = &workers[k];
		if (!w->is_told)
			prove_slice_wrong(p, "worker %u ended without a word", k);
		p->at += w->at;
		p->total += w->total;
		p->wrong += w->wrong;
		for (size_t i = 0; i < PROVE_SLICE_COUNTS; i++)
			p->counts[i] += w->counts[i];
	}
}

static void wait_for_workers(struct prove_slice *p)
{
	bool is_passed_on = false;
	for (unsigned k = 0; k < p->jobs; k++) {
		while (pids[k] > 0 && waitpid(pids[k], NULL, 0) < 0) {
			for (unsigned i = k; is_ended && !is_passed_on && i < p->jobs; i++)
				(void)kill(pids[i], SIGTERM); /* ours, and not waited for yet */
			is_passed_on = is_ended != 0;
		}
	}
}

void prove_slice_share(struct prove_slice *p, enum prove_slice_seeds seeds)
{
	unsigned jobs = p->is_quick ? 1 : wanted_jobs(p);
	p->jobs = jobs;
	if (jobs == 1)
		return;
	workers = mmap(NULL, jobs * sizeof(*workers), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	prove_slice_must(workers == MAP_FAILED, "no memory");
	(void)fflush(stdout); /* the workers have a copy */
	for (unsigned k = 0; k < jobs; k++) {
		pids[k] = fork();
		prove_slice_must(pids[k] < 0, "fork");
		if (pids[k] == 0) {
			become_worker(p, k, seeds);
			return;
		}
	}
	wait_for_workers(p);
	add_up(p);
	p->jobs = jobs;
	p->job = jobs; /* none of them */
	exit(prove_slice_end(p));
}

static bool is_worker(const struct prove_slice *p)
{
	return p->jobs > 1 && p->job < p->jobs;
}

/* ---- the cases ------------------------------------------------------------------------------ */

bool prove_slice_more(const struct prove_slice *p)
{
	return p->at < p->total && !is_ended && (p->is_quick || now_s() - p->begin < p->limit);
}

void prove_slice_wrong(struct prove_slice *p, const char *format, ...)
{
	va_list args;
	if (p->wrong++ >= SHOWN_WRONG)
		return;
	printf("%s: seed %" PRIu64 ", case %" PRIu64 ": ", p->name, p->seed, p->at);
	va_start(args, format);
	(void)vprintf(format, args); /* only a message */
	va_end(args);
	printf("\n");
	(void)fflush(stdout);
}

void prove_slice_must(int rc, const char *what)
{
	if (rc == 0)
		return;
	(void)fprintf(stderr, "%s: %s\n", running, what);
	store_scratch_done();
	exit(2);
}

static void write_state(const struct prove_slice *p)
{
	FILE *out = p->state == NULL ? NULL : fopen(p->state, "we");
	if (out == NULL)
		return;
	(void)fprintf(out,
		"%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		" %.1f %u %u",
		p->seed, p->at, p->total, p->wrong, p->round, p->in_round, p->seconds, p->slices,
		p->jobs);
	for (size_t i = 0; p->labels[i] != NULL; i++)
		(void)fprintf(out, " %" PRIu64, p->counts[i]);
	(void)fprintf(out, "\n");
	if (fclose(out) != 0)
		(void)fprintf(stderr, "%s: the state could not be written\n", p->name);
}

int prove_slice_end(struct prove_slice *p)
{
	p->seconds += cpu_s();
	write_state(p);
	if (is_worker(p)) {
		struct worker *w = &workers[p->job];
		w->at = p->at;
		w->total = p->total;
		w->wrong = p->wrong;
		memcpy(w->counts, p->counts, sizeof(w->counts));
		w->is_told = true;
		return p->wrong != 0;
	}
	printf("%s: seed %" PRIu64 ", %" PRIu64 " of %" PRIu64 " cases", p->name, p->seed, p->at,
		p->total);
	for (size_t i = 0; p->labels[i] != NULL; i++)
		printf(", %" PRIu64 " %s", p->counts[i], p->labels[i]);
	printf(", %" PRIu64 " wrong; %.0f s of processor in %u slice%s%s\n", p->wrong, p->seconds,
		p->slices, p->slices == 1 ? "" : "s",
		p->at < p->total && p->wrong == 0 ? ", to be gone on" : "");
	return p->wrong != 0;
}

uint64_t prove_slice_random(uint64_t *x, uint64_t below)
{
	*x += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64, Steele, Lea, Flood 2014 */
	uint64_t z = *x;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return below == 0 ? 0 : z % below;
}

uint64_t prove_slice_row(const struct prove_slice *p, uint64_t n)
{
	uint64_t x = p->seed;
	return prove_slice_random(&x, UINT64_MAX) ^ (n * UINT64_C(0xd1342543de82ef95) + 1);
}
