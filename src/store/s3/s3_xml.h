/*
 * s3_xml: the little XML that S3 servers answer with.  A strict parser of our own instead of a
 * library: no document types, no entities but the five, no names outside ASCII, nothing fetched,
 * bounded depth.  Attributes, comments and processing instructions are skipped, name spaces cut
 * off.  Pure; thread-safe.
 */
#ifndef STORE_S3_S3_XML_H
#define STORE_S3_S3_XML_H

#include <stddef.h>

struct err;

#define S3_XML_MAX_DEPTH 16
#define S3_XML_MAX_PATH_BYTES 512
#define S3_XML_MAX_TEXT_BYTES ((size_t)16 << 10) /* of one element */

/**
 * Called at the end of each element: ${path} is "ListBucketResult/Contents/Key", ${text} what is in
 * it, decoded and NUL-terminated ("" when it has elements inside).  Both are borrowed for the call.
 * Return 0 to go on, or a negative error code.
 */
typedef int (*s3_xml_fn)(
	void *arg, const char *path, const char *text, size_t len, struct err *err);

/**
 * s3_xml_walk(data, len, fn, arg, err):
 * Parse one whole document.  ${fn} has been called for what comes before a fault, so keep nothing
 * of it unless 0 is returned.  Return 0, -ERR_CORRUPT (says where and why), -ERR_LIMIT, -ERR_NOMEM
 * or what ${fn} returned.
 */
int s3_xml_walk(const void *data, size_t len, s3_xml_fn fn, void *arg, struct err *err);

#endif
