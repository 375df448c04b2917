/*
 * drill_internal: what the parts of a drill share.  For drill*.c alone.
 */
#ifndef RESTORE_DRILL_INTERNAL_H
#define RESTORE_DRILL_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "plans/plan.h"
#include "restore/clock.h"
#include "restore/drill.h"
#include "restore/drill_points.h"
#include "restore/probe_target.h"
#include "restore/sandbox.h"
#include "restore/snapshot_files.h"

struct canary;
struct err;
struct service_postgres;
struct truth;

#define DRILL_LOG_MAX ((size_t)16 << 20)
#define DRILL_ID_BYTES 37
#define DRILL_NAME_BYTES 64
#define DRILL_SERVICE_BYTES (PLAN_MAX_ID + 16)

/* One system of the plan on its way. */
struct drill_system {
	const struct plan_system *plan;
	struct report_system *report;
	struct drill_point point;
	const struct drill_point *snap;    /* the point, or NULL = none was chosen */
	struct snapshot_files files;       /* owned */
	struct truth *truth;               /* owned; NULL = none */
	char *root;                        /* owned: where the content begins, relative */
	struct service_postgres *database; /* owned; NULL = none runs */
	bool is_made;                      /* its directory */
	int tree_fd;                       /* that; owned, once is_made */
	bool is_restored;
	bool is_recovered; /* T6 */
};

struct drill {
	const struct drill_opts *o;
	struct report *r;
	struct clock clock;
	char id[DRILL_ID_BYTES];
	char name[DRILL_NAME_BYTES]; /* of the directory inside o->work */
	char work[PATH_MAX];
	char data[PATH_MAX];
	char log[PATH_MAX];
	char evidence[PATH_MAX];
	int parent_fd; /* o->work; owned */
	int data_fd;   /* owned */
	uint64_t seed;
	struct buf text;              /* the drill's log, for the evidence */
	struct canary *canary;        /* owned */
	struct probe_target *targets; /* owned; resolved before T0 */
	size_t target_count;
	struct sandbox *box; /* owned */
	bool is_isolated;
	struct drill_system *systems; /* owned; as in the plan */
	size_t *order;                /* owned; indices in order of recovery */
	bool has_sandbox_died;
};

/* drill.c */

/* A line in the drill's log, and for people. */
void drill_tell(struct drill *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A finding of the runner's own; ${system} may be NULL. */
void drill_find(struct drill *d, enum report_grade grade, const struct drill_system *s,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool drill_is_stopped(const struct drill *d);
/* These end a drill early: out of memory, interrupted, or the sandbox is gone. */
bool drill_is_final(int rc);
/*
 * ${rc} of a phase, or -ERR_INTERRUPTED in its place (and in ${err}) when it failed after somebody
 * asked to stop: a call that a signal broke off has not failed.
 */
int drill_settle(const struct drill *d, int rc, struct err *err);
/* The drill is aborted: note it in the report, once. */
void drill_note_stop(struct drill *d);

/* drill_begin.c */

/* Directories, ids, exercise, plan, environment, canary, targets; then T0 and T1. */
int drill_begin_run(struct drill *d, struct err *err);

/* drill_select.c */

/* Choose and open the recovery point of ${s}; what is wrong becomes a finding. */
int drill_select_run(struct drill *d, struct drill_system *s, struct err *err);

/* drill_isolation.c */

/* Make the sandbox and show that it reaches nothing. */
int drill_isolation_run(struct drill *d, struct err *err);
/* Count once more who reached the canary. */
void drill_isolation_count(struct drill *d);

/* drill_system.c */

/* The steps and checks of one system. */
int drill_system_run(struct drill *d, struct drill_system *s, struct err *err);
/*
 * Make the directory ${name} inside the data directory and open it; *${tree} is the caller's.  What
 * runs in the sandbox may rename it at any time: from here on only the descriptor says what it is.
 */
int drill_system_make(const struct drill *d, const char *name, int *tree, struct err *err);
/* Restore the snapshot of ${s} into the empty directory ${tree}. */
int drill_system_restore(struct drill *d, const struct drill_system *s, int tree,
	struct report_step *step, struct report_volume *volume, struct err *err);

/* A restored database to be started. */
struct drill_start {
	const char *name; /* of its directory inside the data directory, and of the service */
	int tree;         /* that directory */
	bool ignore_checksums;
};
int drill_system_start(struct drill *d, const struct drill_system *s,
	const struct drill_start *what, struct service_postgres **out, struct err *err);
/* A report's place for a check, filled from the plan, not run yet. */
struct report_content_check *drill_system_add_check(
	struct drill *d, struct report_system *s, const struct plan_check *c);

/* drill_control.c */

/* The name of the damaged copy's directory and service: one that no system's id can be. */
void drill_control_name(const struct plan_system *s, char out[DRILL_SERVICE_BYTES]);
/* The same checks on a damaged copy of ${s}. */
int drill_control_run(struct drill *d, struct drill_system *s, struct err *err);

/* drill_cleanup.c */

/* End everything, save the evidence, erase or keep, count what is left. */
void drill_cleanup_run(struct drill *d);

#endif
