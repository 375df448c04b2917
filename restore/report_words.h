/*
 * report_words: what the report's enums and numbers are called in front of people.  Constant data;
 * thread-safe.
 */
#ifndef RESTORE_REPORT_WORDS_H
#define RESTORE_REPORT_WORDS_H

#include <stdint.h>

/* "Passed with findings"; "?" for a value that is absent.  The same for the others. */
const char *report_words_verdict(unsigned verdict);
const char *report_words_met(unsigned met);
const char *report_words_status(unsigned status);
const char *report_words_reach(unsigned reach);
const char *report_words_grade(unsigned grade);
const char *report_words_envelope(unsigned envelope);
const char *report_words_consistency(unsigned consistency);

/* The name of the phase that ends with T${t} (1..7): "begin", "restore", ..  T1 is no time of an
 * approval: nobody is asked, and who is named as approving did so before. */
const char *report_words_phase(unsigned t);

#define REPORT_WORDS_BYTES 48 /* room for any text made here */

/* "2 min 05 s", "1 h" ("not measured" for REPORT_NONE).  Return ${out}. */
const char *report_words_duration(char out[REPORT_WORDS_BYTES], int64_t ms);

/* "2026-11-24 02:19:53 UTC" ("not recorded" for REPORT_NONE).  Return ${out}. */
const char *report_words_time(char out[REPORT_WORDS_BYTES], int64_t ms);

#endif
