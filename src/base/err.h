/*
 * err: one error value, filled where the fault is found and told where the user is.
 * Knows: the error table (err.def) with stable ids, exit statuses and retry classes.
 * Hides: the last code set for nobody, of each thread.  No allocation, so that out of memory can be
 * told too.  Thread-safe.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

/* Exit statuses of every program (docs/CLI.md). */
enum exit_status {
	EXIT_STATUS_OK = 0,
	EXIT_STATUS_FAILED = 1,
	EXIT_STATUS_USAGE = 2,
	EXIT_STATUS_WARNINGS = 3,
	EXIT_STATUS_OBJECTIVE = 4,
	EXIT_STATUS_NOT_FOUND = 10,
	EXIT_STATUS_BUSY = 11,
	EXIT_STATUS_AUTH = 12,
	EXIT_STATUS_UNREACHABLE = 13,
	EXIT_STATUS_INTEGRITY = 14,
	EXIT_STATUS_SIGNAL = 128,
};

enum err_code {
	ERR_OK = 0,
#define X(name, value, id, status, retry) ERR_##name = (value),
#include "base/err.def"
#undef X
};

#define ERR_MSG_BYTES 1024
#define ERR_HINT_BYTES 512

struct err {
	int code; /* enum err_code, 0 = none */
	char msg[ERR_MSG_BYTES];
	char hint[ERR_HINT_BYTES];
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		.code = 0                                                                          \
	}

/**
 * err_set(err, code, fmt, ...):
 * Fill ${err} (may be NULL) with ${code} and the formatted text; the hint is cleared.
 * Return -${code}, so that a function can end with `return err_set(...)`.
 */
int(err_set)(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * err_sys(err, code, fmt, ...):
 * As err_set(), with ": strerror(errno)" appended.  ERR_IO becomes ERR_NOSPACE on ENOSPC and
 * EDQUOT, ERR_NOMEM on ENOMEM and ERR_READONLY on EROFS.  errno is kept.
 */
int(err_sys)(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * err_wrap(err, fmt, ...):
 * Put the formatted text and ": " before the message that is there.  Return -err->code, or
 * -ERR_FAILED when ${err} is NULL or empty.
 */
int(err_wrap)(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * err_hint(err, fmt, ...):
 * Set what the user can do about it, right after the error was set.  Return -err->code, or
 * -ERR_FAILED when that is empty; with NULL the code that this thread set last with NULL.
 */
int(err_hint)(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * None of the four ever returns 0.  These say so to the compiler and to static analysis, which
 * would otherwise follow every `return err_set(..)` as if it were success.
 */
#define ERR_NEVER_ZERO(call)                                                                       \
	({                                                                                         \
		int rc_ = (call);                                                                  \
		if (rc_ >= 0)                                                                      \
			__builtin_unreachable();                                                   \
		rc_;                                                                               \
	})
#define err_set(...) ERR_NEVER_ZERO((err_set)(__VA_ARGS__))
#define err_sys(...) ERR_NEVER_ZERO((err_sys)(__VA_ARGS__))
#define err_wrap(...) ERR_NEVER_ZERO((err_wrap)(__VA_ARGS__))
#define err_hint(...) ERR_NEVER_ZERO((err_hint)(__VA_ARGS__))

/* Forget the error. */
void err_clear(struct err *err);

/* Return the stable id ("no-space") of ${code}, positive or negative; "failed" when unknown. */
const char *err_id(int code);

/* Return the code of the stable ${id} ("no-space"), positive; 0 when there is no such id. */
int err_code_of_id(const char *id);

/* Return the exit status of ${code}, positive or negative; 0 for 0. */
int err_exit_status(int code);

/* Return true if the same call may succeed later without anybody changing anything. */
bool err_is_retryable(int code);

#endif
