/*
 * report_fixture: drill reports for tests: one in which everything went well, and one in which much
 * did not.  Neither is judged yet.
 */
#ifndef LIB_REPORT_FIXTURE_H
#define LIB_REPORT_FIXTURE_H

#include <stdint.h>

struct report;
struct report_system;
struct report_content_check;

#define REPORT_FIXTURE_T0 INT64_C(1795487993120) /* ms: 2026-11-24T02:39:53.120Z */

/* A drill of three systems without a flaw; free it with report_free().  Ends the test on failure.
 */
struct report *report_fixture_good(void);

/* The same drill with a missed objective, a failed check, a reached target and residue. */
struct report *report_fixture_bad(void);

/* One small system, for tests that turn every byte. */
struct report *report_fixture_small(void);

/* Add a check to ${s}. */
struct report_content_check *report_fixture_check(struct report *r, struct report_system *s,
	const char *id, const char *type, int64_t items, const char *observed);

#endif
