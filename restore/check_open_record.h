/*
 * check_open_record: records can be opened and read, not only hashed.  Of batch records: every
 * batch that the source wrote down is there and as finished as it was, and a sample of them is
 * read through: the record, the event journal, the report, the laboratory values.  Of other
 * systems: a sample of their files, read by what they are.
 * Knows: what a batch folder holds (record.xml, journal.evt, *.pdf, *.csv).
 */
#ifndef RESTORE_CHECK_OPEN_RECORD_H
#define RESTORE_CHECK_OPEN_RECORD_H

#include <limits.h>

struct checks_case;
struct err;

/* Fill ${c}.  Return as a check of checks.c: an error other than ours is a fault. */
int check_open_record_run(struct checks_case *c, struct err *err);

/**
 * check_open_record_find(c, out, err):
 * Store the path, below the place's directory, of a file that ${c}'s check will open and whose form
 * it knows: the record of a sampled batch, else a sampled XML or PDF file.  The sample is that of
 * what is there now.  Return 0, -ERR_NOT_FOUND, -ERR_IO or -ERR_NOMEM.
 */
int check_open_record_find(struct checks_case *c, char out[PATH_MAX], struct err *err);

#endif
