/*
 * drill_fixture: a vault on disk with the snapshots of a small plant (historian, batch records,
 * controller projects), made once for all tests of a program, and one call that drills a plan.
 */
#ifndef TESTS_LIB_DRILL_FIXTURE_H
#define TESTS_LIB_DRILL_FIXTURE_H

#include "restore/drill.h"
#include "restore/report.h"

/* Make the vault; call it before all tests, in the parent process.  Ends the program on failure. */
void drill_fixture_make(void);
/* Remove it; call it after all tests. */
void drill_fixture_remove(void);

/**
 * drill_fixture_run(plan, change, r, err):
 * Drill the plan in the text ${plan}; ${change} (may be NULL) changes the options first.  Return
 * what drill_run() returns; ${r} is the caller's.
 */
int drill_fixture_run(
	const char *plan, void (*change)(struct drill_opts *o), struct report **r, struct err *err);

/* Names of directories left in the place where drills work; 0 = clean. */
int drill_fixture_left(void);

/* Remove what a drill kept there. */
void drill_fixture_clear(void);

/* Change one bit in the rows of the largest table of the restored database cluster ${dir}. */
void drill_fixture_flip_a_table(const char *dir);

/* The plan of the three systems with a recovery time of ${rto} each; static. */
const char *drill_fixture_plan(const char *rto);

/* The sandbox's process 1 is this very program: call it first of all, from a constructor. */
void drill_fixture_be_process_1(int argc, char **argv);

#endif
