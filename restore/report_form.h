/*
 * report_form: the forms a text or number of the report must have, and the name of the place where
 * one has not.  Shared by writer and reader, so that what the one writes the other takes.
 */
#ifndef RESTORE_REPORT_FORM_H
#define RESTORE_REPORT_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "restore/report_shape.h"

/* Return true if ${text} may stand in a member of ${kind}. */
bool report_form_is_text(enum report_shape_kind kind, const char *text);
bool report_form_is_number(enum report_shape_kind kind, int64_t value);

#define REPORT_FORM_PATH_BYTES 256

/* A place inside the document: "systems[0].result.rto_met". */
struct report_form_place {
	char path[REPORT_FORM_PATH_BYTES];
};

/* Step down to member ${name}, or with NULL to item ${index}.  The return value goes to leave. */
size_t report_form_enter(struct report_form_place *p, const char *name, size_t index);
void report_form_leave(struct report_form_place *p, size_t came_from);

#endif
