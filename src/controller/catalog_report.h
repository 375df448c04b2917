/*
 * catalog_report: drills and their signed reports.
 */
#ifndef CONTROLLER_CATALOG_REPORT_H
#define CONTROLLER_CATALOG_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "msg/msg_work.h"

struct buf;
struct db;
struct err;

struct catalog_report {
	char exercise[37];
	char job[MSG_ID_HEX];
	char plan_id[65];
	int64_t plan_version;
	uint8_t plan_sha256[32];
	uint8_t agent_id[16];
	int64_t declared_ms, ended_ms; /* 0 = not yet */
	char verdict[32];              /* word of the report; "" = none yet */
	uint8_t sha256[32];            /* of the report's bytes; zeros = none yet */
};
int catalog_report_add(struct db *db, const struct catalog_report *r, struct err *err);
int catalog_report_set(struct db *db, const struct catalog_report *r, struct err *err);
/* Strike what was never begun.  Return 0, -ERR_NOT_FOUND or -ERR_EXISTS (it has a job). */
int catalog_report_drop(struct db *db, const char *exercise, struct err *err);
/* Call ${fn} for each that was never begun and that no job is for; another value than 0 ends it and
 * is returned. */
int catalog_report_each_orphan(struct db *db, int (*fn)(void *arg, const struct catalog_report *r),
	void *arg, struct err *err);
int catalog_report_get(
	struct db *db, const char *exercise, struct catalog_report *out, struct err *err);
int catalog_report_each(struct db *db, int64_t limit,
	int (*fn)(void *arg, const struct catalog_report *r), void *arg, struct err *err);

#endif
