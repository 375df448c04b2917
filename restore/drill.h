/*
 * drill: a continuity plan carried out for real in a sandbox, and what was measured.
 *
 *	begin -> select (T2) -> sandbox, isolation (T3) -> per system: restore, hash (T4),
 *	start (T5), checks (T6) -> negative control -> close, evidence, erase (T7) -> judge
 *
 * Knows: the order of things, and that cleaning up comes last whatever happened.
 * Hides: everything the steps need of each other (drill_internal.h).
 * A report always comes out, of a failed or interrupted drill too.
 * One thread; no other threads of the process may run (children are forked).
 */
#ifndef RESTORE_DRILL_H
#define RESTORE_DRILL_H

#include <stdbool.h>
#include <stdint.h>

#include "restore/report.h"

struct drill_points;
struct err;
struct plan;

#define DRILL_EVIDENCE "evidence" /* <reports>/<exercise id>/evidence/ */

/* Where a drill is when it calls back. */
enum drill_phase {
	DRILL_RESTORED, /* a system's data is there, nothing looked at it yet */
	DRILL_HASHED,   /* before the service starts */
	DRILL_STARTED,  /* before the other checks */
	DRILL_CHECKED,
};

struct drill_opts {
	const struct plan *plan;
	const struct drill_points *points;
	const char *work;     /* existing directory; the drill makes and removes one inside */
	const char *reports;  /* existing directory; evidence goes below it */
	const char *program;  /* for the sandbox; NULL = the one that runs */
	const char *tool;     /* name and version */
	const char *scenario; /* OPTIONAL: what is practised */
	enum report_trigger trigger;
	/* OPTIONAL: the UUID of this exercise, when somebody else chose it.  What an earlier try
	 * at the same exercise left in work and reports is removed first; but a report of it,
	 * <exercise>.json, stays with its page and evidence, as <exercise>.1.json and so on. */
	const char *exercise;
	int64_t declared_ns;       /* T0, since 1970; 0 = see the next line */
	int64_t since_declared_ms; /* T0 lies so long before the call; 0 = the next line */
	/* T0 is when the drill begins, but for what was done of the recovery before the call: the
	 * vault opened, its snapshots listed. */
	int64_t spent_ms;
	const char *ordered_by, *approved_by;       /* OPTIONAL, for the report */
	const struct report_agent *agent;           /* OPTIONAL: who runs it, for a controller */
	const struct report_controller *controller; /* OPTIONAL: for whom */
	/* OPTIONAL: a line for people, as it happens. */
	void (*on_tell)(void *arg, const char *text);
	bool (*is_stopped)(void *arg);
	void *arg;
	/* What follows is for tests of the drill itself; the program leaves it all zero. */
	void (*on_phase)(void *arg, enum drill_phase phase, const char *system, const char *dir);
	bool share_network; /* a sandbox that isolates nothing */
	int ready_ms;       /* patience with a service */
};

/**
 * drill_run(opts, r, err):
 * Carry out the plan, fill and judge ${r} (new, empty).  Return 0 when there is a report, whatever
 * it says; -ERR_NOMEM, -ERR_IO or -ERR_NOSPACE when there is none.  Nothing is left behind in
 * either case but what the report names.
 */
int drill_run(const struct drill_opts *opts, struct report *r, struct err *err);

#endif
