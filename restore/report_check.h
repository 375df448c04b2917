/*
 * report_check: what an auditor may rely on in a signed report.  Opens the envelope, reads the
 * report, and concludes again from its measurements.
 * Knows: base, codec, crypto and the report's own files, nothing of stores or systems.
 */
#ifndef RESTORE_REPORT_CHECK_H
#define RESTORE_REPORT_CHECK_H

#include <stddef.h>

#include "crypto/dsse.h"

struct err;
struct report;

struct report_check {
	char keyid[DSSE_KEYID_BYTES]; /* who signed */
	struct report *report;        /* owned */
};

void report_check_done(struct report_check *c);

/**
 * report_check_envelope(data, len, keyid, out, err):
 * Check that the bytes are one intact envelope signed by the key with fingerprint ${keyid} (NULL =
 * by any key), that the statement inside is canonical, that its times can have happened and that
 * its verdict follows from its measurements.  Fill ${out} (end it with report_check_done()).
 * Return 0, -ERR_CORRUPT (what and where), -ERR_AUTH (signed by another key) or -ERR_UNSUPPORTED.
 */
int report_check_envelope(
	const void *data, size_t len, const char *keyid, struct report_check *out, struct err *err);

/**
 * report_check_judgement(statement, len, err):
 * The last step alone: judge the report in the canonical ${statement} again and compare.
 * Return 0, or -ERR_CORRUPT with the first member that differs, what it says and what follows.
 */
int report_check_judgement(const void *statement, size_t len, struct err *err);

#endif
