/*
 * checks: is what was restored what it has to be?  One file per kind of check (check_*.c) behind
 * one entrance; whatever a check did not look at it has not shown.
 * Knows: what a check may look at (struct checks_place), how findings are told.
 * Threading: one place belongs to one thread at a time.
 */
#ifndef RESTORE_CHECKS_H
#define RESTORE_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/plan.h"
#include "restore/report.h"

struct buf;
struct err;
struct service_postgres;
struct snapshot_files;
struct truth;

#define CHECKS_TEXT_BYTES 512
#define CHECKS_TOLD_MAX 200 /* faults told in the evidence; more are only counted */
#define CHECKS_EVIDENCE_MAX ((size_t)4 << 20)

/* One restored system, as a check sees it. */
struct checks_place {
	const struct plan_system *system;
	int dirfd;                          /* what was restored, on this host */
	const char *root;                   /* directory of the system's own content below it, "" */
	const struct snapshot_files *files; /* what the snapshot says; NULL = not known */
	const struct truth *truth;          /* NULL = the source wrote none */
	struct service_postgres *database;  /* NULL = none runs */
	int64_t snapshot_ns;
	uint64_t seed;                 /* of samples */
	struct buf *evidence;          /* what was looked at and found, for people */
	bool (*is_stopped)(void *arg); /* OPTIONAL */
	void *arg;
};

/* What became of one check. */
struct checks_result {
	enum report_status status;
	int64_t items;
	int64_t newest_ms; /* newest business time it read in the content, or REPORT_NONE */
	/* A fail that tells nothing of the data: it could not look (a limit, the time, a server
	 * that ended or lacks something, an error of this host). */
	bool is_broken_off;
	char observed[CHECKS_TEXT_BYTES + 64];
};

/* True for a check that has to look before a database is started: files change then. */
bool checks_is_before_start(const struct plan_check *check);

/**
 * checks_run(place, check, out, err):
 * Run one check.  A check that fails is no error: look at out->status.  Return 0, -ERR_NOMEM,
 * -ERR_INTERRUPTED, or -ERR_UNREACHABLE (the sandbox is gone).
 */
int checks_run(const struct checks_place *place, const struct plan_check *check,
	struct checks_result *out, struct err *err);

/* ---- for the checks themselves ---- */

struct checks_case {
	const struct checks_place *place;
	const struct plan_check *check;
	int64_t items;     /* examined */
	int64_t faults;    /* found */
	int64_t newest_ms; /* REPORT_NONE until known */
	char first[CHECKS_TEXT_BYTES];
	char summary[CHECKS_TEXT_BYTES]; /* what was seen, when nothing is wrong */
};

/* Something is wrong: count it and tell it in the evidence. */
void checks_fault(struct checks_case *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A line for the evidence. */
void checks_tell(struct checks_case *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What the report shows as observed. */
void checks_summarize(struct checks_case *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Return 0, or -ERR_INTERRUPTED. */
int checks_stop(const struct checks_case *c, struct err *err);
/* A descriptor of the content's root, or -1 and errno. */
int checks_open_root(const struct checks_case *c);

#endif
