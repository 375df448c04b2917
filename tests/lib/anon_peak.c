#include "tests/lib/anon_peak.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define SAMPLE_NS 5000000

static pthread_t thread;
static atomic_bool is_ended;
static struct anon_peak seen;

static void sample(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		unsigned long *to = strncmp(line, "RssAnon:", 8) == 0   ? &seen.anon_kib
				    : strncmp(line, "RssFile:", 8) == 0 ? &seen.file_kib
									: NULL;
		unsigned long kib = to == NULL ? 0 : strtoul(line + 8, NULL, 10);
		if (to != NULL && kib > *to)
			*to = kib;
	}
	if (f != NULL)
		(void)fclose(f); /* read only */
}

static void *run(void *arg)
{
	const struct timespec rest = { .tv_nsec = SAMPLE_NS };
	(void)arg;
	while (!is_ended) {
		sample();
		(void)nanosleep(&rest, NULL); /* a shorter rest is fine */
	}
	return NULL;
}

static double cpu_s(void)
{
	struct rusage u;
	(void)getrusage(RUSAGE_SELF, &u); /* cannot fail */
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

void anon_peak_begin(void)
{
	memset(&seen, 0, sizeof(seen));
	seen.cpu_s = cpu_s();
	is_ended = false;
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		abort();
}

void anon_peak_end(struct anon_peak *out)
{
	is_ended = true;
	(void)pthread_join(thread, NULL); /* it was started */
	sample();
	seen.cpu_s = cpu_s() - seen.cpu_s;
	*out = seen;
}
