/*
 * truth_json: the truth manifest as JSON, the file truth.json (schema "truth-manifest/1").
 */
#ifndef CODEC_TRUTH_JSON_H
#define CODEC_TRUTH_JSON_H

#include <stddef.h>

struct buf;
struct err;
struct truth;

#define TRUTH_JSON_SCHEMA "truth-manifest/1"
#define TRUTH_JSON_FILE_NAME "truth.json"
#define TRUTH_JSON_MAX_BYTES ((size_t)256 << 20)
#define TRUTH_JSON_FINGERPRINT_RULE "sum-md5-64/1" /* what truth_table_query() computes */

/* Append the sealed manifest as JSON and a newline.  Return 0, -ERR_LIMIT or -ERR_NOMEM. */
int truth_json_format(const struct truth *t, struct buf *out, struct err *err);

/**
 * truth_json_parse(data, len, out, err):
 * Parse a manifest; *${out} is owned and sealed.  Return 0, -ERR_UNSUPPORTED (another schema
 * version) or -ERR_CORRUPT (what is wrong is named).
 */
int truth_json_parse(const void *data, size_t len, struct truth **out, struct err *err);

#endif
