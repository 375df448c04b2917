#include "tests/lib/prove_slice.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHOWN_WRONG 40

static volatile sig_atomic_t is_ended;

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
	uint64_t seed, at, wrong;
	double seconds;
	unsigned slices;
	uint64_t counts[PROVE_SLICE_COUNTS] = { 0 };
	bool is_good = fscanf(in, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %lf %u", &seed, &at, &wrong,
			       &seconds, &slices) == 5;
	for (size_t i = 0; is_good && p->labels[i] != NULL; i++)
		is_good = fscanf(in, "%" SCNu64, &counts[i]) == 1;
	(void)fclose(in); /* only read */
	if (!is_good || (has_seed && seed != p->seed))
		return;
	p->seed = seed;
	p->at = at;
	p->wrong = wrong;
	p->seconds = seconds;
	p->slices = slices;
	memcpy(p->counts, counts, sizeof(counts));
}

void prove_slice_begin(struct prove_slice *p, const char *name, const char *const *labels,
	uint64_t quick, uint64_t full, int argc, char **argv)
{
	const char *seed = getenv("SEED");
	const char *limit = getenv("PROVE_S");
	memset(p, 0, sizeof(*p));
	p->name = name;
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

static void write_state(const struct prove_slice *p)
{
	FILE *out = p->state == NULL ? NULL : fopen(p->state, "we");
	if (out == NULL)
		return;
	(void)fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %.1f %u", p->seed, p->at, p->wrong,
		p->seconds, p->slices);
	for (size_t i = 0; p->labels[i] != NULL; i++)
		(void)fprintf(out, " %" PRIu64, p->counts[i]);
	(void)fprintf(out, "\n");
	if (fclose(out) != 0)
		(void)fprintf(stderr, "%s: the state could not be written\n", p->name);
}

int prove_slice_end(struct prove_slice *p)
{
	p->seconds += now_s() - p->begin;
	write_state(p);
	printf("%s: seed %" PRIu64 ", %" PRIu64 " of %" PRIu64 " cases", p->name, p->seed, p->at,
		p->total);
	for (size_t i = 0; p->labels[i] != NULL; i++)
		printf(", %" PRIu64 " %s", p->counts[i], p->labels[i]);
	printf(", %" PRIu64 " wrong; %.0f s in %u slice%s%s\n", p->wrong, p->seconds, p->slices,
		p->slices == 1 ? "" : "s",
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
