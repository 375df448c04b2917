/*
 * report_check: what an auditor may rely on in a signed report.  Opens the envelope, reads the
 * report, and concludes again from its measurements.
 * Knows: base, codec, crypto and the report's own files, nothing of stores or systems.
 */
#ifndef RESTORE_REPORT_CHECK_H
#define RESTORE_REPORT_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "crypto/dsse.h"

struct buf;
struct err;
struct report;

struct report_check {
	struct dsse_opened signed_by; /* who signed, in order; the first ran the drill */
	struct report *report;        /* owned */
	/* the report names a controller, which has not signed it (yet) */
	bool is_controller_missing;
};

void report_check_done(struct report_check *c);

/* The keys that must have signed; none = any may. */
struct report_check_keys {
	char keyid[DSSE_MAX_SIGNATURES][DSSE_KEYID_BYTES];
	size_t count;
};

/* Return true if the key of signer ${i} is one of ${keys} (NULL = none). */
bool report_check_is_given(
	const struct report_check *c, size_t i, const struct report_check_keys *keys);

/**
 * report_check_read(path, file, err):
 * Append the bytes of the report ${path}.  The page for people is refused, which is no verdict on
 * the report: nobody signed a page, and what it was made from lies elsewhere.
 * Return 0, -ERR_USAGE (a page), or as fdio_read_file().
 */
int report_check_read(const char *path, struct buf *file, struct err *err);

/**
 * report_check_envelope(data, len, keys, out, err):
 * Check that the bytes are one intact envelope whose every signature holds and that each of
 * ${keys} (NULL = none) signed, that the statement inside is canonical, that the agent it names, if
 * any, signed first, that its times can have happened and that its verdict follows from its
 * measurements.  Fill ${out} (end it with report_check_done()).
 * Return 0, -ERR_CORRUPT (what and where), -ERR_AUTH (a key did not sign) or -ERR_UNSUPPORTED.
 */
int report_check_envelope(const void *data, size_t len, const struct report_check_keys *keys,
	struct report_check *out, struct err *err);

/**
 * report_check_judgement(statement, len, err):
 * The last step alone: judge the report in the canonical ${statement} again and compare.
 * Return 0, or -ERR_CORRUPT with the first member that differs, what it says and what follows.
 */
int report_check_judgement(const void *statement, size_t len, struct err *err);

#endif
