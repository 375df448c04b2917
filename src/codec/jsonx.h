/*
 * jsonx: jansson with the house's rules: names that are not UTF-8 as {"base64": ..}, sorted compact
 * output that is the same for the same value, and parse errors that say line and column.
 */
#ifndef CODEC_JSONX_H
#define CODEC_JSONX_H

#include <jansson.h>
#include <stddef.h>

struct buf;
struct err;

/* A JSON string when ${name} is UTF-8, else {"base64": "..."}.  New reference; NULL = no memory. */
json_t *jsonx_name(const char *name, size_t len);

/* Append ${value} with sorted keys and no white space.  Return 0, -ERR_NOMEM or as buf_add(). */
int jsonx_encode(const json_t *value, struct buf *out, struct err *err);

/**
 * jsonx_parse(data, len, what, out, err):
 * Parse one value; duplicate keys are refused.  ${what} names the thing in the error.
 * Return 0 (new reference in *${out}), -ERR_CORRUPT or -ERR_NOMEM.
 */
int jsonx_parse(const void *data, size_t len, const char *what, json_t **out, struct err *err);

#endif
