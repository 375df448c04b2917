/*
 * report_parse: the statement of report_json read back, strictly: it comes from outside.
 */
#ifndef RESTORE_REPORT_PARSE_H
#define RESTORE_REPORT_PARSE_H

#include <stddef.h>

struct err;
struct report;

/**
 * report_parse_statement(data, len, out, err):
 * Read a statement.  Unknown, missing, empty or malformed members and any other form than
 * report_json_encode()'s own are refused.  Return 0 (new report in *${out}), -ERR_CORRUPT with the
 * place, -ERR_UNSUPPORTED (another schema than ours) or -ERR_NOMEM.
 */
int report_parse_statement(const void *data, size_t len, struct report **out, struct err *err);

#endif
