/*
 * report_json: the drill report as the predicate of an in-toto statement, in one canonical form:
 * the same report always gives the same bytes.  report_parse reads them back.
 * Hides: the walk over report_shape.  Not thread-safe for one report.
 */
#ifndef RESTORE_REPORT_JSON_H
#define RESTORE_REPORT_JSON_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct report;

#define REPORT_JSON_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define REPORT_JSON_MAX ((size_t)16 << 20) /* bytes of a statement, and of an envelope */

/**
 * report_json_encode(r, out, err):
 * Append the statement: sorted keys, no white space.  Subjects are the plan and every snapshot
 * drilled.  Return 0, -ERR_FAILED (a required member is absent or not in its form; the text says
 * which), -ERR_NOMEM or -ERR_LIMIT.
 */
int report_json_encode(struct report *r, struct buf *out, struct err *err);

/**
 * report_json_seal(r, seed, out, err):
 * Append the signed envelope of the statement of ${r}, whose times must be in order.
 * Return 0, as report_json_encode(), or -ERR_CORRUPT as report_order_check().
 */
int report_json_seal(struct report *r, const uint8_t seed[32], struct buf *out, struct err *err);

#endif
