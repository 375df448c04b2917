/*
 * log: one event a line in logfmt on standard error (or another stream).
 * Knows: level, the event's name (a function's address: "pack_writer.seal"), text escaping.
 * Floors 0 to 6 log at debug only; agents, controller and cmd decide what a person sees.
 * Thread-safe: one write per line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdio.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Show events up to ${level} on ${out} (borrowed; NULL = stderr).  Before threads start. */
void log_setup(enum log_level level, FILE *out);

/* True if an event of ${level} would be shown. */
bool log_is_on(enum log_level level);

/**
 * log_event(level, event, fmt, ...):
 * Write one line: time, level, event, formatted text.  Control characters in the result are
 * escaped here, so callers pass names as they are.  Longer than 2 KiB is cut.
 */
void log_event(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...) log_event(LOG_WARN, event, __VA_ARGS__)
#define log_info(event, ...) log_event(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...)                                                                      \
	do {                                                                                       \
		if (log_is_on(LOG_DEBUG))                                                          \
			log_event(LOG_DEBUG, event, __VA_ARGS__);                                  \
	} while (0)

#endif
