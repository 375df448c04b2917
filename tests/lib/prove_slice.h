/*
 * prove_slice: a long proof in slices: cases numbered from 0, a seed, a limit of time, and a state
 * file from which the next slice goes on and adds to the counts.
 * A program of tests/prove is  NAME [--quick] [--seed N] [--state FILE]  and reads SEED, PROVE_S
 * (seconds of this slice) and PROVE_JOBS (processes at once, the processors) from the environment.
 * SIGTERM and SIGINT end the slice in good order.
 * What it makes lies in memory (/dev/shm) unless TMPDIR says where.  One at a time.
 */
#ifndef TESTS_LIB_PROVE_SLICE_H
#define TESTS_LIB_PROVE_SLICE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PROVE_SLICE_COUNTS 24
#define PROVE_SLICE_SECONDS 240
#define PROVE_SLICE_MAX_JOBS 64

struct prove_slice {
	const char *name;
	const char *const *labels; /* of the counts; ends with NULL */
	uint64_t seed;
	uint64_t at;    /* the next case */
	uint64_t total; /* of this proof; the caller may change it before the first case */
	bool is_quick;
	uint64_t counts[PROVE_SLICE_COUNTS];
	uint64_t wrong;
	/* For a proof whose cases come in rounds: the round at hand, and how much of it is done. */
	uint64_t round, in_round;
	unsigned jobs, job; /* after prove_slice_share(): how many processes, and which this is */
	/* the rest is private */
	const char *state;
	double seconds, limit, begin;
	unsigned slices;
};

/**
 * prove_slice_begin(p, name, labels, quick, full, argc, argv):
 * Read the arguments and the state.  ${quick} cases with --quick (no state), else ${full}.
 * Ends the program with status 2 for arguments that are none.
 */
void prove_slice_begin(struct prove_slice *p, const char *name, const char *const *labels,
	uint64_t quick, uint64_t full, int argc, char **argv);

/* Workers with the proof's seed, or each with its own: that of the proof and its number on top. */
enum prove_slice_seeds { PROVE_SLICE_ONE_SEED, PROVE_SLICE_OWN_SEEDS };

/**
 * prove_slice_share(p, seeds):
 * Go on as PROVE_JOBS processes, each with its part of the cases (numbered from 0) and a state of
 * its own.  Returns in these; who called waits for them, adds them up and ends the program.  With
 * --quick it is one process.  To be called before anything is made.
 */
void prove_slice_share(struct prove_slice *p, enum prove_slice_seeds seeds);

/* True while there is a case left and time for it.  The case is p->at; the caller counts it up. */
bool prove_slice_more(const struct prove_slice *p);

/* A result that must not be: told at once with the seed and the case. */
void prove_slice_wrong(struct prove_slice *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Write the state, print the line of this proof so far.  Return the exit status: 0, or 1 when
 * anything was wrong in any slice. */
int prove_slice_end(struct prove_slice *p);

/* What the proof itself cannot do without: when ${rc} is not 0 say ${what}, remove the scratch
 * directory and end the program with status 2. */
void prove_slice_must(int rc, const char *what);

/* A number below ${below} that only depends on ${*x}, which goes on. */
uint64_t prove_slice_random(uint64_t *x, uint64_t below);
/* The beginning of such a row for case ${n} of the proof. */
uint64_t prove_slice_row(const struct prove_slice *p, uint64_t n);

#endif
