/*
 * schedule: turns due times into jobs; the preview uses the same code.
 * Absence is failure: a due time that could not be ordered or was missed is a job in state missed
 * with its reason, and an alarm.  One thread (the loop's).
 */
#ifndef CONTROLLER_SCHEDULE_H
#define CONTROLLER_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#include "controller/controller_conf.h"

struct catalog_job;
struct db;
struct dispatch;
struct err;
struct schedule;

struct schedule_opts {
	struct db *db;             /* borrowed */
	struct dispatch *dispatch; /* borrowed */
	/* Prepare a job for a drill's schedule (reads and lints the plan, makes the exercise). */
	int (*prepare_drill)(void *arg, const struct controller_schedule *s, struct catalog_job *j,
		struct err *err);
	void (*on_alarm)(void *arg, const char *schedule, const char *text);
	void *arg;
};
int schedule_new(const struct schedule_opts *opts, const struct controller_conf *conf,
	struct schedule **out, struct err *err);
void schedule_free(struct schedule *s);
/* Another configuration from now on (borrowed until the next); marks are kept by name. */
void schedule_set_conf(struct schedule *s, const struct controller_conf *conf);

/* Order what is due at ${now_ms}; return when to call again. */
int64_t schedule_tick(struct schedule *s, int64_t now_ms);

struct schedule_due {
	const struct controller_schedule *schedule;
	int64_t due_ms; /* splay included */
};
/* The next ${count} due times of all schedules (of ${name} when not NULL) after ${now_ms}, in
 * order; return how many. */
size_t schedule_preview(const struct schedule *s, const char *name, int64_t now_ms,
	struct schedule_due *out, size_t count);

#endif
