/*
 * report_summary: the two texts of a report's verdict that people read first.  No state.
 */
#ifndef RESTORE_REPORT_SUMMARY_H
#define RESTORE_REPORT_SUMMARY_H

struct report;

/*
 * Write verdict.summary and append to verdict.limits_of_this_evidence, for a report whose findings,
 * results and overall verdict are there.  Failure as report_text().
 */
void report_summary_write(struct report *r);

#endif
