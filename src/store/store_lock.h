/*
 * store_lock: what a vault asks of a store that can lock objects: how, and for how long.
 * Pure functions.
 */
#ifndef STORE_STORE_LOCK_H
#define STORE_STORE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

struct err;

#define STORE_LOCK_TEXT_BYTES 64
#define STORE_LOCK_STEP_MAX_NS (INT64_C(30) * 86400 * 1000000000)
#define STORE_LOCK_MIN_NS (INT64_C(60) * 1000000000)
#define STORE_LOCK_MAX_NS (INT64_C(36500) * 86400 * 1000000000)

/* Ascending: a mode keeps what those before it keep. */
enum store_lock_mode {
	STORE_LOCK_NONE,
	STORE_LOCK_GOVERNANCE, /* who has a right of its own for that may end it early */
	STORE_LOCK_COMPLIANCE, /* nobody may */
};

/* What is needed stays locked for at least ${keep_ns} from every time that it is seen to. */
struct store_lock {
	enum store_lock_mode mode; /* NONE: nothing is locked */
	int64_t keep_ns;
};

/* By how much more a lock is made: ${keep_ns}, at most 30 days.  So each lock is made anew once in
 * a step, not each day. */
int64_t store_lock_step(const struct store_lock *l);

/* Until when an object is locked that is put, or seen to, at ${now_ns}; and the time before which a
 * lock that is there is too short.  Wall clock ns. */
int64_t store_lock_until(const struct store_lock *l, int64_t now_ns);
int64_t store_lock_least(const struct store_lock *l, int64_t now_ns);

bool store_lock_is_equal(const struct store_lock *a, const struct store_lock *b);

/**
 * store_lock_parse(text, out, err):
 * "compliance:30d", "governance:12h" or "off".  Return 0 or -ERR_USAGE (says how it is written, or
 * that the time is under a minute or over a hundred years).
 */
int store_lock_parse(const char *text, struct store_lock *out, struct err *err);
/* As store_lock_parse() takes it, the time in seconds: "compliance:2592000s".  Return ${out}. */
const char *store_lock_format(const struct store_lock *l, char out[STORE_LOCK_TEXT_BYTES]);
/* "COMPLIANCE", as the protocols have it; "" for none. */
const char *store_lock_word(enum store_lock_mode mode);
/* The mode of such a word; NONE for any other. */
enum store_lock_mode store_lock_mode_of(const char *word);

#endif
