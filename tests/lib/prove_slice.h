/*
 * prove_slice: a long proof in slices: cases numbered from 0, a seed, a limit of time, and a state
 * file from which the next slice goes on and adds to the counts.
 * A program of tests/prove is  NAME [--quick] [--seed N] [--state FILE]  and reads SEED and PROVE_S
 * (seconds of this slice) from the environment.  SIGTERM and SIGINT end the slice in good order.
 * What it makes lies in memory (/dev/shm) unless TMPDIR says where.  One at a time.
 */
#ifndef TESTS_LIB_PROVE_SLICE_H
#define TESTS_LIB_PROVE_SLICE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PROVE_SLICE_COUNTS 24
#define PROVE_SLICE_SECONDS 240

struct prove_slice {
	const char *name;
	const char *const *labels; /* of the counts; ends with NULL */
	uint64_t seed;
	uint64_t at;    /* the next case */
	uint64_t total; /* of this proof; the caller may change it before the first case */
	bool is_quick;
	uint64_t counts[PROVE_SLICE_COUNTS];
	uint64_t wrong;
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

/* True while there is a case left and time for it.  The case is p->at; the caller counts it up. */
bool prove_slice_more(const struct prove_slice *p);

/* A result that must not be: told at once with the seed and the case. */
void prove_slice_wrong(struct prove_slice *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Write the state, print the line of this proof so far.  Return the exit status: 0, or 1 when
 * anything was wrong in any slice. */
int prove_slice_end(struct prove_slice *p);

/* A number below ${below} that only depends on ${*x}, which goes on. */
uint64_t prove_slice_random(uint64_t *x, uint64_t below);
/* The beginning of such a row for case ${n} of the proof. */
uint64_t prove_slice_row(const struct prove_slice *p, uint64_t n);

#endif
