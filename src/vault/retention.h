/*
 * retention: which snapshots of a source stay.  A pure function from receipt times, labels and a
 * policy to a reason for each that stays (docs/FORMAT.md section 10.1, docs/CLI.md "Retention").
 * Knows: nothing of a store or a clock.  Threading: none.
 *
 * Days, weeks (from Monday), months and years are those of UTC.
 */
#ifndef VAULT_RETENTION_H
#define VAULT_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define RETENTION_ALL UINT32_MAX                                 /* a count without an end */
#define RETENTION_MIN_KEEP_NS (INT64_C(14) * 86400 * 1000000000) /* 14 days */
#define RETENTION_CLOCK_STEP_NS (INT64_C(36) * 3600 * 1000000000)
#define RETENTION_SHARE_PERCENT 20 /* of a source, to go without an approval */
#define RETENTION_MAX_TAGS 64

/* The periods of which the newest snapshots are kept. */
enum retention_period {
	RETENTION_HOUR,
	RETENTION_DAY,
	RETENTION_WEEK,
	RETENTION_MONTH,
	RETENTION_YEAR,
	RETENTION_PERIODS, /* how many there are */
};

struct retention_policy {
	uint32_t last;                     /* the newest so many */
	uint32_t count[RETENTION_PERIODS]; /* the newest of each of the last so many periods that
					    * have one */
	int64_t within_ns;                 /* all so young before the newest; 0 = none */
	int64_t within_period_ns[RETENTION_PERIODS]; /* the newest of each period in that time */
	const char *const *tags;                     /* a snapshot with one of them stays */
	size_t tag_count;
	int64_t min_keep_ns; /* nothing younger goes, whatever its count; 0 = no such rule */
	int64_t slot_ns;     /* schedule slot: "last" counts one of each; 0 = every snapshot */
};

/* Why a snapshot stays: a set of bits. */
enum retention_why {
	RETENTION_NEWEST = 1 << 0, /* the end of its chain */
	RETENTION_LAST = 1 << 1,
	RETENTION_PERIOD = 1 << 2, /* << enum retention_period */
	RETENTION_WITHIN = 1 << 7,
	RETENTION_WITHIN_PERIOD = 1 << 8, /* << enum retention_period */
	RETENTION_TAG = 1 << 13,
	RETENTION_MIN_KEEP = 1 << 14,
	RETENTION_FUTURE = 1 << 15, /* received after now: the clock is in doubt */
	RETENTION_HELD = 1 << 16,   /* forked, or its signer is unknown: for a person to look at */
};
#define RETENTION_BITS 17

struct retention_item {
	uint8_t source[32]; /* agent_id || source_id */
	uint64_t seq;
	int64_t receipt_ns;
	bool is_partial, is_held;
	char *const *tags; /* borrowed */
	size_t tag_count;
	unsigned why;    /* out: enum retention_why bits; 0 = it goes */
	int64_t time_ns; /* of retention_decide() alone */
};

/* What asks for an approval before anything goes. */
enum retention_guard {
	RETENTION_GUARD_CLOCK = 1 << 0,  /* now is more than 36 h after the newest receipt of all */
	RETENTION_GUARD_SHARE = 1 << 1,  /* more than 20 % of a source would go */
	RETENTION_GUARD_FUTURE = 1 << 2, /* something was received after now */
};

struct retention_verdict {
	size_t kept, going;
	unsigned guards;
	uint8_t share_source[32]; /* with RETENTION_GUARD_SHARE: of which source most would go */
	unsigned share_percent;
};

/**
 * retention_decide(p, items, count, now_ns, out, err):
 * Fill why of every item; each source by itself.  Within a period a whole snapshot goes before a
 * partial one that is newer.  Where receipts fall while the numbers rise (a clock was wrong) the
 * rules are asked a second time, with no snapshot older than one of a smaller number; what either
 * answer keeps stays.  The order of ${items} does not matter.
 * Return 0, -ERR_USAGE (a policy without a rule that keeps anything) or -ERR_NOMEM.
 */
int retention_decide(const struct retention_policy *p, struct retention_item *items, size_t count,
	int64_t now_ns, struct retention_verdict *out, struct err *err);

#define RETENTION_GUARDS_BYTES 512
/* What asks for an approval, as one text; "" when nothing does.  ${source}: the name of
 * share_source, or "". */
void retention_guards_text(
	const struct retention_verdict *v, const char *source, char out[RETENTION_GUARDS_BYTES]);

/* The word for one bit of why: "daily", "min-keep". */
const char *retention_why_word(unsigned bit);

/* Append the policy as options of the command line: "--keep-last 3 --keep-daily 7".  Return as
 * buf_add(). */
int retention_format(const struct retention_policy *p, struct buf *out, struct err *err);

#endif
