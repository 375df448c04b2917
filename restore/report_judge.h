/*
 * report_judge: from the measurements of a drill to its verdict.  A pure function of the report: no
 * clock, no files, so that whoever holds the report can conclude again and must get the same.
 * Knows: the rules (docs/REPORT.md lists them by id).
 */
#ifndef RESTORE_REPORT_JUDGE_H
#define RESTORE_REPORT_JUDGE_H

struct report;

/**
 * report_judge_run(r):
 * Fill in everything that report.h marks as judged, replacing what is there: statuses of checks
 * that examined nothing, RTA, RPA, objectives met, verdicts, the findings that have a rule, their
 * numbers, the summary and the limits.  Running it again changes nothing.
 */
void report_judge_run(struct report *r);

/* 0 for a drill that passed, with findings or without, else 4 (EXIT_STATUS_OBJECTIVE). */
int report_judge_exit_status(const struct report *r);

#endif
