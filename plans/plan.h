/*
 * plan: a continuity plan as it was written: systems in need of recovery, how soon, in which order,
 * by which steps, and the checks that prove it.  docs/PLAN.md is the reference of the language.
 * Knows: the table of keys.  Hides: how a plan is read.  What a sound plan is: plan_lint; the
 * order of recovery: plan_order.
 * Threading: a struct plan does not change after plan_load(); share it as you like.
 */
#ifndef PLANS_PLAN_H
#define PLANS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "plans/plan_expect.h"

struct conf_problems;
struct err;

#define PLAN_MAX_SYSTEMS 256
#define PLAN_MAX_AFTER 64
#define PLAN_MAX_STEPS 32
#define PLAN_MAX_CHECKS 64
#define PLAN_MAX_TARGETS 256
#define PLAN_MAX_ID 64
#define PLAN_MAX_SAMPLE 100000
#define PLAN_MAX_TIER 4
#define PLAN_NO_INDEX SIZE_MAX

/* 0 of each enum: not known, since the file had something else there.  Never in a loaded plan. */

enum plan_system_type {
	PLAN_SYSTEM_NONE,
	PLAN_SYSTEM_HISTORIAN,
	PLAN_SYSTEM_BATCH_RECORDS,
	PLAN_SYSTEM_PLC_PROJECT,
	PLAN_SYSTEM_DB,
	PLAN_SYSTEM_FILE_STORE,
};

enum plan_action {
	PLAN_ACTION_NONE,
	PLAN_ACTION_RESTORE, /* bring the snapshot's content into the sandbox */
	PLAN_ACTION_START,   /* start the restored database there */
};

enum plan_check_type {
	PLAN_CHECK_NONE,
	PLAN_CHECK_HASH_MANIFEST, /* every file as the truth manifest says */
	PLAN_CHECK_ROW_COUNT,     /* rows of a table */
	PLAN_CHECK_NEWEST_RECORD, /* how old the newest record was when the snapshot was taken */
	PLAN_CHECK_SQL,           /* one number from a query */
	PLAN_CHECK_OPEN_RECORD,   /* records opened and read, a sample */
	PLAN_CHECK_XML,           /* XML files are well-formed */
};

enum plan_cleanup {
	PLAN_CLEANUP_NONE,
	PLAN_CLEANUP_ERASE,
	PLAN_CLEANUP_KEEP,
};

struct plan_dependency {
	char *id;
	size_t index; /* in plan.systems; PLAN_NO_INDEX when there is none of that name */
	int line;
};

struct plan_step {
	char *name;
	enum plan_action action;
	int64_t budget_ns; /* 0 = none given */
	int line;
};

struct plan_check {
	char *id;
	enum plan_check_type type;
	bool is_mandatory;
	char *expect_text; /* as written */
	struct plan_expect expect;
	char *object; /* table, or "prefix*" for all tables that begin so; NULL = none */
	char *query;  /* NULL = none */
	int sample;   /* 0 = none */
	int line;
	int expect_line;
	int object_line;
	int query_line;
	int sample_line;
};

/* Durations are nanoseconds; 0 only while a plan with errors is looked at. */
struct plan_system {
	char *id;
	enum plan_system_type type;
	int tier; /* 1 = first */
	int64_t mtpd_ns;
	int64_t rto_ns;
	int64_t rpo_ns;
	char *source; /* name of the snapshot source, without "source:" */
	struct plan_dependency *after;
	size_t after_count;
	struct plan_step *steps;
	size_t step_count;
	struct plan_check *checks;
	size_t check_count;
	int line;
	int rto_line;
	int source_line;
	int steps_line;
};

/* An address the sandbox must not reach. */
struct plan_target {
	char *host; /* IPv4 or IPv6 address, or a name */
	int port;
	int line;
};

struct plan {
	char *file; /* as given to plan_load() */
	char *id;
	int64_t version;
	char *title;
	uint8_t sha256[HASH_BYTES]; /* of the file's bytes */
	struct plan_system *systems;
	size_t system_count;
	struct plan_target *must_not_reach;
	size_t must_not_reach_count;
	enum plan_cleanup on_success;
	enum plan_cleanup on_fail;
	int line;
	int id_line;
};

/**
 * plan_load(path, out, problems, err):
 * Read and lint the plan in ${path}.  Everything wrong or doubtful goes to ${problems}
 * (initialised by the caller, who ends it), ordered by line.  Return 0 and an owned *${out} only
 * when there is no error (warnings are fine); else -ERR_CONFIG, -ERR_NOT_FOUND or -ERR_LIMIT.
 */
int plan_load(const char *path, struct plan **out, struct conf_problems *problems, struct err *err);

/**
 * plan_draft(name, text, len, out, problems, err), plan_draft_load(path, out, problems, err):
 * As plan_parse() and plan_load(), for whoever has more to ask about a plan than lint can: *${out}
 * is given also when there are errors, with what was understood (the rest is NULL or 0).  Whether
 * it may be used is then for conf_problems_verdict() to say.  Return 0; -ERR_CONFIG only for text
 * that is no plan at all.
 */
int plan_draft(const char *name, const char *text, size_t len, struct plan **out,
	struct conf_problems *problems, struct err *err);
int plan_draft_load(
	const char *path, struct plan **out, struct conf_problems *problems, struct err *err);

/* The same for ${len} bytes in memory, called ${name}. */
int plan_parse(const char *name, const char *text, size_t len, struct plan **out,
	struct conf_problems *problems, struct err *err);

void plan_free(struct plan *p);

/* Index of the system ${id}, or PLAN_NO_INDEX. */
size_t plan_find_system(const struct plan *p, const char *id);

/* The words of the language ("historian", "restore", "row_count", "erase"); "?" for 0. */
const char *plan_system_type_name(enum plan_system_type type);
const char *plan_action_name(enum plan_action action);
const char *plan_check_type_name(enum plan_check_type type);
const char *plan_cleanup_name(enum plan_cleanup rule);

/* Return true if the type is a database: it can be started and asked. */
bool plan_system_type_is_database(enum plan_system_type type);

#endif
