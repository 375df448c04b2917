/*
 * report_html: the drill report as one page for people: no script, nothing loaded from anywhere,
 * light, dark and on paper.  The page is a rendering; the signed JSON file it names is the
 * evidence. Knows: the order of the sections.  No state; thread-safe for different reports.
 */
#ifndef RESTORE_REPORT_HTML_H
#define RESTORE_REPORT_HTML_H

#include <stddef.h>

struct buf;
struct err;
struct report;

#define REPORT_HTML_MAX ((size_t)64 << 20) /* bytes of a page; the cap for ${out} */

struct report_html_opts {
	const char *json_name;   /* file name of the signed report */
	const char *json_sha256; /* of that file, 64 hex digits */
	const char *keyid;       /* fingerprint of the key that signed it first */
	/* OPTIONAL: of the controller that signed second */
	const char *controller_keyid;
};

/**
 * report_html_render(r, opts, out, err):
 * Append the page of the judged report ${r} to ${out}.  Return 0, -ERR_FAILED (not judged yet, or
 * marked as failed), or as buf_add().
 */
int report_html_render(const struct report *r, const struct report_html_opts *opts, struct buf *out,
	struct err *err);

#endif
