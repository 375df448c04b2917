/*
 * demo_pdf: a one-page PDF 1.4 with lines of text, for the demo plant's batch reports.
 */
#ifndef AGENTS_DEMO_PDF_H
#define AGENTS_DEMO_PDF_H

#include <stddef.h>

struct buf;
struct err;

#define DEMO_PDF_LINES 50 /* fit on a page */

/**
 * demo_pdf_make(title, lines, count, out, err):
 * Append a whole document.  Text is printable ASCII; what is beyond DEMO_PDF_LINES is an error.
 * Return 0, -ERR_LIMIT or as buf_add().
 */
int demo_pdf_make(const char *title, const char *const *lines, size_t count, struct buf *out,
	struct err *err);

#endif
