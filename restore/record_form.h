/*
 * record_form: does a file have the form of what it claims to be: PDF, CSV, event journal?
 * Looks at bytes only; says in words what is wrong.  No state; thread-safe.
 */
#ifndef RESTORE_RECORD_FORM_H
#define RESTORE_RECORD_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_FORM_END "End Of BATCH" /* in the last line of a finished journal */

/*
 * Each: NULL when the form is right, else what is wrong (constant text).
 */

/* Header, %%EOF at the end, and startxref that leads to a cross-reference table or stream. */
const char *record_form_pdf(const char *data, size_t len);

/* At least a header row, every row with as many values; quoted values as in RFC 4180. */
const char *record_form_csv(const char *data, size_t len, int64_t *rows);

/* Lines that begin with a time and a tab, times that never go back; a finished one ends with
 * RECORD_FORM_END, one that runs may break off in its last line. */
const char *record_form_journal(const char *data, size_t len, bool is_running, int64_t *events);

#endif
