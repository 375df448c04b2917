/*
 * report_sections: the sections of the report page below the summary, in the order of the page.
 * Each writes one <section>, or nothing when the report says nothing about it.  No state.
 */
#ifndef RESTORE_REPORT_SECTIONS_H
#define RESTORE_REPORT_SECTIONS_H

struct report;
struct report_markup;

void report_sections_findings(const struct report *r, struct report_markup *m);
void report_sections_systems(const struct report *r, struct report_markup *m);
void report_sections_isolation(const struct report *r, struct report_markup *m);
void report_sections_control(const struct report *r, struct report_markup *m);
void report_sections_cleanup(const struct report *r, struct report_markup *m);
void report_sections_scope(const struct report *r, struct report_markup *m);
void report_sections_evidence(const struct report *r, struct report_markup *m);
void report_sections_limits(const struct report *r, struct report_markup *m);

/* A word with a symbol: ${tone} is "ok", "bad", "gap" or "note". */
void report_sections_pill(struct report_markup *m, const char *tone, const char *word);

/* The same for an enum report_verdict. */
void report_sections_verdict(struct report_markup *m, unsigned verdict);

#endif
