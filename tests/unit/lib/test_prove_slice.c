#include "tests/lib/prove_slice.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/store_scratch.h"

static char state[4200];

static void setup(void)
{
	const char *dir = store_scratch_new();
	cr_assert(dir != NULL);
	(void)snprintf(state, sizeof(state), "%s/state", dir);
	(void)setenv("PROVE_JOBS", "3", 1);
	(void)unsetenv("SEED");
	(void)unsetenv("PROVE_S");
}

TestSuite(prove_slice, .init = setup, .fini = store_scratch_done, .timeout = 60);

/* A proof of 10 cases in a process of its own: at most ${most} of them in each of its workers; the
 * worker ${dead} ends without a word.  Return its exit status. */
static int prove(uint64_t most, unsigned dead)
{
	static const char *const labels[] = { "tries", "of the first", NULL };
	char *argv[] = { (char *)"x", (char *)"--seed", (char *)"7", (char *)"--state", state };
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		struct prove_slice p;
		(void)freopen("/dev/null", "w", stdout);
		prove_slice_begin(&p, "x", labels, 1, 10, 5, argv);
		prove_slice_share(&p, PROVE_SLICE_OWN_SEEDS);
		for (uint64_t i = 0; i < most && prove_slice_more(&p); i++) {
			p.counts[0]++;
			p.counts[1] += p.job == 0;
			p.at++;
		}
		if (p.job == dead)
			_exit(0);
		exit(prove_slice_end(&p));
	}
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	return WEXITSTATUS(status);
}

struct told {
	uint64_t seed, at, total, wrong, counts[2];
	unsigned slices, jobs;
};

static struct told read_state(const char *path)
{
	struct told t = { .seed = 0 };
	FILE *f = fopen(path, "re");
	cr_assert(f != NULL, "%s", path);
	int n = fscanf(f,
		"%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %*f %u %u %" SCNu64
		" %" SCNu64,
		&t.seed, &t.at, &t.total, &t.wrong, &t.slices, &t.jobs, &t.counts[0], &t.counts[1]);
	cr_assert(eq(int, n, 8));
	(void)fclose(f);
	return t;
}

Test(prove_slice, workers_share_the_cases_and_their_counts_are_added)
{
	char first[sizeof(state) + 2];
	cr_assert(eq(int, prove(100, 99), 0));
	struct told t = read_state(state);
	cr_expect(t.seed == 7 && t.jobs == 3 && t.wrong == 0);
	cr_expect(t.at == 10 && t.total == 10 && t.counts[0] == 10 && t.counts[1] == 4);
	(void)snprintf(first, sizeof(first), "%s.2", state);
	t = read_state(first);
	cr_expect(t.seed == 9 && t.at == 3 && t.total == 3);
}

Test(prove_slice, the_next_slice_goes_on_where_each_worker_was)
{
	cr_assert(eq(int, prove(2, 99), 0));
	struct told t = read_state(state);
	cr_expect(t.at == 6 && t.total == 10 && t.slices == 1 && t.counts[0] == 6);
	(void)setenv("PROVE_JOBS", "5", 1); /* other workers would have other seeds */
	cr_assert(eq(int, prove(100, 99), 0));
	t = read_state(state);
	cr_expect(t.at == 10 && t.total == 10 && t.slices == 2 && t.jobs == 3 && t.counts[0] == 10);
}

Test(prove_slice, a_worker_that_ends_without_a_word_is_wrong)
{
	cr_assert(eq(int, prove(100, 1), 1));
	struct told t = read_state(state);
	cr_expect(t.wrong == 1 && t.counts[0] == 7);
}

Test(prove_slice, a_time_that_is_over_ends_the_slice_with_cases_left)
{
	(void)setenv("PROVE_S", "0", 1);
	cr_assert(eq(int, prove(100, 99), 0));
	struct told t = read_state(state);
	cr_expect(t.at == 0 && t.total == 10);
}
