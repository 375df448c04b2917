/*
 * report: the record of one recovery drill, as a value.  The drill runner fills in what it
 * measured; report_judge concludes; report_json, report_html and report_svg render; report_check
 * tells an auditor whether a signed one holds together.  The schema is docs/REPORT.md. Knows: the
 * sections and their words.  Hides: the memory, which all belongs to the struct report. Times are
 * ms since 1970 UTC, durations ms, sizes bytes; an absent number is REPORT_NONE, an absent text
 * NULL, an absent word 0.  Not thread-safe; a report belongs to one thread at a time.
 */
#ifndef RESTORE_REPORT_H
#define RESTORE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPORT_VERSION 2u /* of the schema, as it is written; older ones are read */
#define REPORT_NONE INT64_MIN
#define REPORT_INT_MAX ((INT64_C(1) << 53) - 1) /* what every JSON reader keeps exactly */
#define REPORT_TEXT_MAX 4096                    /* bytes of one text; longer ones are cut */
#define REPORT_ITEMS_MAX 10000                  /* of one list */

enum report_kind { REPORT_FULL_RESTORE = 1 };
enum report_trigger {
	REPORT_TRIGGER_SCHEDULE = 1,
	REPORT_TRIGGER_MANUAL,
	REPORT_TRIGGER_CHANGE,
	REPORT_TRIGGER_INCIDENT
};
enum report_network { REPORT_NETWORK_NONE = 1 };
enum report_reach { REPORT_UNREACHABLE = 1, REPORT_REACHED, REPORT_NOT_PROBED };
enum report_consistency { REPORT_APPLICATION = 1, REPORT_CRASH, REPORT_QUIESCED, REPORT_FUZZY };
enum report_envelope {
	REPORT_ENVELOPE_RECOMPUTED = 1,
	REPORT_ENVELOPE_DIFFERS,
	REPORT_ENVELOPE_GONE
};
enum report_rpa_basis { REPORT_RPA_CONTENT = 1, REPORT_RPA_SNAPSHOT_TIME };
enum report_rta_basis { REPORT_RTA_MEASURED = 1, REPORT_RTA_EXTRAPOLATED };
enum report_status {
	REPORT_STATUS_PASS = 1,
	REPORT_STATUS_FAIL,
	REPORT_STATUS_NOT_DEMONSTRATED,
	REPORT_STATUS_SKIPPED
};
enum report_met { REPORT_MET = 1, REPORT_MISSED, REPORT_MET_NOT_DEMONSTRATED };
enum report_detect { REPORT_DETECTED = 1, REPORT_NOT_DETECTED };
enum report_verdict {
	REPORT_PASS = 1,
	REPORT_PASS_WITH_FINDINGS,
	REPORT_NOT_DEMONSTRATED,
	REPORT_ABORTED,
	REPORT_FAIL
};
enum report_grade { REPORT_MAJOR = 1, REPORT_MINOR, REPORT_OBSERVATION };
enum report_cleanup_rule { REPORT_ERASE = 1, REPORT_KEEP };
enum report_log { REPORT_LOG_NONE = 1 };

/* A growable list of borrowed-from-the-report texts. */
struct report_texts {
	const char **items;
	size_t count;
};

struct report_exercise {
	const char *exercise_id; /* UUID, lower case */
	enum report_kind kind;
	enum report_trigger trigger;
	const char *scenario;     /* what is practised, for instance that the plant is a demo */
	int64_t started;          /* the runner began to work */
	int64_t t_declared;       /* T0: the simulated disruption */
	int64_t ended;            /* the runner stopped to work */
	const char *abort_reason; /* present when the drill was aborted */
	const char *ordered_by;   /* a person, a schedule, a controller */
	const char *approved_by;
};

struct report_plan {
	const char *id;
	int64_t version;
	const char *title;
	const char *sha256; /* of the plan file, 64 hex digits */
	const char *file;
};

struct report_host {
	const char *kernel;
	const char *os;
	int64_t cpu_count;
	int64_t memory_bytes;
};

/* One thing the sandbox must not reach, tried from inside. */
struct report_isolation_check {
	const char *target;         /* "192.0.2.10:502" */
	enum report_reach expected; /* REPORT_UNREACHABLE */
	enum report_reach observed;
	const char *detail; /* what the system answered */
	int64_t at;
};

/* A listener outside the sandbox that nobody inside may reach. */
struct report_canary {
	const char *address;
	int64_t connections_seen;
};

/* The agent that ran the drill on its host, for a controller; it signs first. */
struct report_agent {
	const char *name;
	const char *agent_id; /* 32 hex digits */
	const char *keyid;    /* of its report key, 64 hex digits */
};

/* The controller that ordered the drill, timed it and signs second. */
struct report_controller {
	const char *name;
	const char *keyid; /* of its report key, 64 hex digits */
};

struct report_environment {
	const char *sandbox_kind; /* "process" */
	struct report_host host;
	const char *tool_version;
	enum report_network network;
	struct report_isolation_check **isolation_checks;
	size_t isolation_checks_count;
	struct report_canary canary;
	struct report_agent agent;           /* absent: the drill was run in process */
	struct report_controller controller; /* absent: nobody ordered it from elsewhere */
};

struct report_recovery_point {
	const char *source;
	const char *snapshot_id; /* snap_hash, 64 hex digits */
	int64_t seq;
	int64_t snapshot_at;
	enum report_consistency consistency;
	int64_t data_as_of;              /* newest business time found in the restored data */
	enum report_rpa_basis rpa_basis; /* judged */
	const char *root_id;             /* 64 hex digits */
	enum report_envelope recovery_envelope;
};

struct report_timings {
	int64_t t_declared; /* T0 */
	int64_t t_approved; /* it begins, see report_words_phase() */
	int64_t t_selected;
	int64_t t_sandbox;
	int64_t t_restored;
	int64_t t_started;
	int64_t t_verified; /* T6 */
	int64_t t_clean;    /* T7 */
};
#define REPORT_T_COUNT 8

struct report_volume {
	int64_t logical_bytes;
	int64_t transferred_bytes;
	int64_t objects;
};

struct report_step {
	const char *name;
	const char *action; /* "do" in the plan and the JSON: restore, start */
	int64_t started;
	int64_t ended;
	int64_t budget_ms;
	enum report_status status;
	const char *observed;
};

struct report_content_check {
	const char *id;
	const char *type;
	bool is_mandatory;
	const char *expected;
	const char *observed;
	int64_t items_examined;
	enum report_status
		status; /* judged: a pass that examined nothing becomes not demonstrated */
	int64_t duration_ms;
};

/* The same checks run once more on a deliberately damaged copy: they must fail. */
struct report_negative_control {
	const char *damage; /* what was damaged; absent = no control was run on this system */
	struct report_texts checks_failed;
	enum report_detect verdict; /* judged */
};

struct report_result {
	int64_t rta_total_ms;     /* judged: T6 - T0 */
	int64_t rta_technical_ms; /* judged: T6 - T1 */
	enum report_rta_basis rta_basis;
	enum report_met rto_met;     /* judged */
	int64_t rpa_ms;              /* judged: T0 - data_as_of, or - snapshot_at */
	enum report_met rpo_met;     /* judged */
	enum report_verdict verdict; /* judged */
};

struct report_system {
	const char *system_id;
	const char *type;
	int64_t tier;
	int64_t mtpd_ms;
	int64_t rto_ms;
	int64_t rpo_ms;
	struct report_texts depends_on;
	struct report_recovery_point recovery_point;
	struct report_timings timings;
	struct report_volume volume;
	struct report_step **steps;
	size_t steps_count;
	struct report_content_check **checks;
	size_t checks_count;
	struct report_negative_control negative_control;
	struct report_result result;
};

struct report_finding {
	const char *id; /* judged: F1, F2, .. */
	enum report_grade grade;
	const char *system; /* absent = the drill as a whole */
	const char *rule;   /* judged: the rule that found it; absent = recorded by the runner */
	const char *description;
};

struct report_cleanup {
	enum report_cleanup_rule rule;
	bool is_completed;
	struct report_texts residue; /* what is left and should not be */
	int64_t processes_left;
	int64_t mounts_left;
	int64_t namespaces_left;
};

struct report_evidence {
	const char *ref;
	const char *kind;
	const char *sha256; /* 64 hex digits */
	int64_t size_bytes;
};

struct report_conclusion {
	enum report_verdict overall;
	const char *summary;
	struct report_texts limits_of_this_evidence;
};

struct report_block;
struct report_shape;

struct report {
	unsigned version; /* of the schema: by its rules it is judged */
	struct report_exercise exercise;
	struct report_plan plan;
	struct report_environment environment;
	struct report_system **systems;
	size_t systems_count;
	struct report_finding **findings;
	size_t findings_count;
	struct report_cleanup cleanup;
	struct report_evidence **evidence;
	size_t evidence_count;
	enum report_log log;
	struct report_conclusion verdict; /* judged, all of it */

	struct report_block *blocks; /* all memory of the report */
	bool has_failed;             /* out of memory or a limit: rendering is refused */
};

/* An empty report of the newest version: every number absent, log none.  NULL = out of memory. */
struct report *report_new(void);
void report_free(struct report *r);

/**
 * report_text(r, text):
 * Return a copy of ${text} that lives as long as ${r}: what is not UTF-8 is escaped, what is longer
 * than REPORT_TEXT_MAX is cut and ends in "[cut]".  NULL for NULL or "", and when out of memory
 * (then the report is marked as failed and no renderer takes it, so callers need not check).
 */
const char *report_text(struct report *r, const char *text);

/* report_text() of formatted text. */
const char *report_textf(struct report *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Append a copy of ${text} to ${list}, a member of ${r}.  Failure as report_text(). */
void report_add_text(struct report *r, struct report_texts *list, const char *text);

/*
 * Append an empty item to a list of the report.  The pointer stays good until report_free().
 * NULL when out of memory or at REPORT_ITEMS_MAX; then the report is marked as failed.
 * A new system has rta_basis measured, a new isolation check expects "unreachable".
 */
struct report_system *report_add_system(struct report *r);
struct report_step *report_add_step(struct report *r, struct report_system *s);
struct report_content_check *report_add_check(struct report *r, struct report_system *s);
struct report_isolation_check *report_add_isolation_check(struct report *r);
struct report_finding *report_add_finding(struct report *r);
struct report_evidence *report_add_evidence(struct report *r);

/**
 * report_append(r, list, count, shape):
 * What the functions above do: append an item of ${shape}, all absent, to the array of pointers
 * whose address is ${list} and whose length is ${count}.  For the reader in report_json.
 */
void *report_append(struct report *r, void *list, size_t *count, const struct report_shape *shape);

/* Zeroed memory that lives as long as ${r}; NULL when out of memory (marked as failed). */
void *report_alloc(struct report *r, size_t size);

/* The eight times T0..T7 of ${t} in order. */
void report_times(const struct report_timings *t, int64_t out[REPORT_T_COUNT]);

/* ns since 1970 as the report's ms (rounded down). */
int64_t report_ms(int64_t ns);

#endif
