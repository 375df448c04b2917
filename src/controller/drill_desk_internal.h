/*
 * drill_desk_internal: what the parts of the drill desk share.  For drill_desk*.c alone.
 */
#ifndef CONTROLLER_DRILL_DESK_INTERNAL_H
#define CONTROLLER_DRILL_DESK_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/drill_desk.h"
#include "crypto/dsse.h"
#include "msg/msg_vault.h"

struct buf;
struct catalog_agent;
struct err;
struct plan;
struct report_check;

#define DRILL_DESK_ID_BYTES 37
#define DRILL_DESK_BOOT_BYTES 40
#define DRILL_DESK_PLAN "plan" /* <reports>/<exercise>/plan */
#define DRILL_DESK_PLAN_MAX ((size_t)1 << 20)
#define DRILL_DESK_EVIDENCE "evidence"
#define DRILL_DESK_NAME_MAX 100 /* of a file of evidence */

/* The desk; drill_desk.c owns it. */
struct drill_desk {
	struct drill_desk_opts o;
	int dirfd; /* o.reports; owned */
	uint8_t seed[32];
	uint8_t pk[32];
	char keyid[DSSE_KEYID_BYTES];
	struct plan *plan;    /* owned: of the last sources() */
	const char **sources; /* owned: texts lie in plan */
};

/* One exercise as it was ordered, kept in <reports>/<exercise>/order.json; times by our clocks. */
struct drill_desk_note {
	char exercise[DRILL_DESK_ID_BYTES];
	char plan_name[256];
	char trigger[16];
	char scenario[4097];              /* "" = none */
	int64_t declared_ms;              /* T0, since 1970 */
	char boot[DRILL_DESK_BOOT_BYTES]; /* which run of this host the next two are of */
	int64_t declared_mono_ms;
	int64_t ordered_mono_ms; /* of the newest attempt; 0 = not yet */
};

/* How long ago something was, by the clock that does not step, or by the wall after a reboot. */
struct drill_desk_seen {
	int64_t since_declared_ms, since_ordered_ms;
};

/* drill_desk_files.c */

/* Return 0, or -ERR_NOT_FOUND for what is no exercise id (a UUID). */
int drill_desk_files_need_id(const char *exercise, struct err *err);
/* The plan as it was ordered: its bytes are appended to ${text}. */
int drill_desk_files_get_plan(int dirfd, const struct drill_desk_note *n, struct buf *text,
	struct plan **out, struct err *err);
struct drill_desk_seen drill_desk_files_seen(const struct drill_desk_note *n);
bool drill_desk_files_is_evidence(const char *name);

/* ${dirfd} is the directory of reports. */
int drill_desk_files_make(int dirfd, const char *exercise, struct err *err);
/* Remove all of it. */
int drill_desk_files_erase(int dirfd, const char *exercise, struct err *err);
int drill_desk_files_put_note(int dirfd, const struct drill_desk_note *n, struct err *err);
/* Return 0, -ERR_NOT_FOUND or -ERR_CORRUPT. */
int drill_desk_files_get_note(
	int dirfd, const char *exercise, struct drill_desk_note *out, struct err *err);
int drill_desk_files_put(int dirfd, const char *exercise, const char *name, const void *data,
	size_t len, struct err *err);
int drill_desk_files_get(
	int dirfd, const char *exercise, const char *name, struct buf *out, struct err *err);
/* Which run of this host this is; "" when it does not say. */
void drill_desk_files_boot(char out[DRILL_DESK_BOOT_BYTES]);

/* A snapshot that was given to the agent, as its signed record says. */
struct drill_desk_point {
	char source[MSG_NAME_BYTES];
	char snapshot[65]; /* hex of its hash */
	char root_id[65];  /* hex */
	int64_t seq;
	int64_t start_ms, end_ms; /* of the capture, since 1970 */
};
/* What the newest attempt was given, and how long after T0 that was by our clock. */
struct drill_desk_granted {
	int64_t since_declared_ms;
	size_t count;
	struct drill_desk_point at[MSG_MAX_POINTS];
};
int drill_desk_files_put_granted(
	int dirfd, const char *exercise, const struct drill_desk_granted *g, struct err *err);
/* None noted yet: count 0. */
int drill_desk_files_get_granted(
	int dirfd, const char *exercise, struct drill_desk_granted *out, struct err *err);

/* drill_desk_check.c */

/* Who ordered it, for the report; "" = nobody is named. */
#define DRILL_DESK_WHO_BYTES 128
void drill_desk_check_who(const struct catalog_job *j, char out[DRILL_DESK_WHO_BYTES]);

/* What a report is compared with; all borrowed. */
struct drill_desk_expected {
	const struct drill_desk_note *note;
	const struct plan *plan;
	const struct catalog_agent *agent;
	const char *ordered_by;       /* "" = nobody */
	const char *controller;       /* name */
	const char *controller_keyid; /* ours */
	const struct drill_desk_granted *granted;
	struct drill_desk_seen seen;
};
/* Is the report (checked by itself) the one that was ordered?  Pure.  Return 0, -ERR_AUTH (who
 * signed) or -ERR_CORRUPT (what is not as ordered). */
int drill_desk_check_report(
	const struct report_check *c, const struct drill_desk_expected *x, struct err *err);

#endif
