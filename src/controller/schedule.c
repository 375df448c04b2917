#include "controller/schedule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/text.h"
#include "controller/catalog.h"
#include "controller/catalog_agent.h"
#include "controller/catalog_job.h"
#include "controller/dispatch.h"
#include "crypto/hash.h"
#include "plans/calendar.h"

/*
 * INVARIANTS
 * (1) The mark of a schedule is the last due time that was dealt with, whatever came of it.  It is
 *     written after the job, and a due time that has a job gets no other: one due time makes one
 *     job, also over crashes, restarts and clock steps.
 * (2) A schedule seen for the first time is due from then on, never for what lies before.
 * (3) Marks are plain due times; splay is added when asked whether it is time, and in jobs.
 * (4) Another expression under the same name counts from when it was first seen.
 */

#define SCHEDULE_LATE_MS 60000   /* later than this: the controller was down or busy */
#define SCHEDULE_BACK_MS 3600000 /* a mark so far ahead: the clock went back */
#define SCHEDULE_LOOK_MS 3600000 /* look at least so often */
#define SCHEDULE_TEXT_BYTES 2048
#define SCHEDULE_PAUSE_MS 86400000 /* a pause is told once a day */

struct memory {
	char name[MSG_NAME_BYTES];
	int64_t told_ms; /* when a pause was told last */
	bool is_known;   /* its expression was compared with the one the mark is of */
};

struct schedule {
	struct schedule_opts o;
	const struct controller_conf *conf; /* borrowed */
	struct memory *memories;            /* owned */
	size_t memory_count;
};

int schedule_new(const struct schedule_opts *opts, const struct controller_conf *conf,
	struct schedule **out, struct err *err)
{
	struct schedule *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->o = *opts;
	s->conf = conf;
	*out = s;
	return 0;
}

void schedule_free(struct schedule *s)
{
	if (s == NULL)
		return;
	free(s->memories);
	free(s);
}

void schedule_set_conf(struct schedule *s, const struct controller_conf *conf)
{
	s->conf = conf;
	for (size_t i = 0; i < s->memory_count; i++)
		s->memories[i].is_known = false;
}

static void alarm_now(const struct schedule *s, const char *name, const char *text)
{
	if (s->o.on_alarm != NULL)
		s->o.on_alarm(s->o.arg, name, text);
}

/* The same for a name for ever, so that schedules of one time do not begin at once. */
static int64_t splay_of(const struct controller_schedule *c)
{
	uint8_t hash[HASH_BYTES];
	if (c->splay_ms <= 0)
		return 0;
	hash_sha256(c->name, strlen(c->name), hash);
	return (int64_t)(bytes_get64(hash) % (uint64_t)c->splay_ms);
}

/* ---- jobs ---- */

static void fill_job(
	const struct controller_schedule *c, int64_t due_ms, int64_t now_ms, struct catalog_job *j)
{
	const int64_t splay = splay_of(c);
	const int64_t next = calendar_next(c->calendar, due_ms);
	due_ms += splay;
	j->verb = c->verb;
	(void)snprintf(j->source, sizeof(j->source), "%s",
		c->source != NULL    ? c->source
		: c->replica != NULL ? c->replica
				     : "");
	(void)snprintf(j->schedule, sizeof(j->schedule), "%s", c->name); /* names: both fit */
	j->due_ms = due_ms;
	j->created_ms = now_ms;
	j->deadline_ms = c->deadline_ms;
	j->retries = c->retries;
	j->retry_after_ms = c->retry_after_ms;
	if (c->start_within_ms > 0)
		j->start_by_ms = (now_ms > due_ms ? now_ms : due_ms) + c->start_within_ms;
	else if (next != INT64_MAX)
		j->start_by_ms = next + splay > now_ms ? next + splay : now_ms + SCHEDULE_LATE_MS;
}

/* What could not be ordered is a job all the same, so that its absence is seen. */
static void record_missed(struct schedule *s, const struct controller_schedule *c,
	struct catalog_job *j, const char *why)
{
	uint8_t raw[16];
	struct err err = ERR_INIT;
	int rc = env_random(raw, sizeof(raw), &err);
	text_hex(raw, sizeof(raw), j->id);
	j->state = JOB_MISSED;
	j->ended_ms = j->created_ms;
	(void)snprintf(j->reason, sizeof(j->reason), "%s", why); /* cut is fine */
	if (rc == 0)
		rc = catalog_job_add(s->o.db, j, &err);
	if (rc != 0)
		log_error("schedule.missed", "schedule=%s: %s", c->name, err.msg);
	alarm_now(s, c->name, why);
}

static int is_source(void *arg, const struct msg_source *m)
{
	const char **name = arg;
	if (*name != NULL && strcmp(m->name, *name) == 0)
		*name = NULL; /* found */
	return 0;
}

static int count_source(void *arg, const struct msg_source *m)
{
	(void)m;
	(*(size_t *)arg)++;
	return 0;
}

/* An agent that has told its sources must have told this one. */
static int check_source(struct schedule *s, const struct controller_schedule *c,
	const uint8_t agent_id[16], struct err *err)
{
	const char *name = c->source;
	size_t count = 0;
	int rc = catalog_agent_each_source(s->o.db, agent_id, count_source, &count, err);
	if (rc == 0)
		rc = catalog_agent_each_source(s->o.db, agent_id, is_source, &name, err);
	if (rc == 0 && count > 0 && name != NULL)
		rc = err_set(
			err, ERR_NOT_FOUND, "agent '%s' has no source '%s'", c->agent, c->source);
	return rc;
}

static int prepare(struct schedule *s, const struct controller_schedule *c, struct catalog_job *j,
	struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = NULL;
	if (c->agent == NULL) {
		const uint8_t *own = catalog_job_own_id(c->verb);
		if (own == NULL) /* no configuration has it */
			return err_set(
				err, ERR_USAGE, "a %s needs an agent", msg_work_verb_name(c->verb));
		memcpy(j->agent_id, own, 16);
		return 0;
	}
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = catalog_agent_find(s->o.db, c->agent, a, err);
	if (rc != 0)
		return rc;
	memcpy(j->agent_id, a->id, 16);
	if (a->state != AGENT_ACTIVE)
		return err_set(err, ERR_NOT_FOUND, "agent '%s' is %s", c->agent,
			catalog_agent_state_name(a->state));
	return c->source != NULL ? check_source(s, c, a->id, err)
				 : s->o.prepare_drill(s->o.arg, c, j, err);
}

static void order(struct schedule *s, const struct controller_schedule *c, int64_t due_ms,
	int64_t now_ms, const char *note)
{
	struct err why = ERR_INIT;
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	if (j == NULL) {
		alarm_now(s, c->name, "out of memory: a due job was not ordered");
		return;
	}
	fill_job(c, due_ms, now_ms, j);
	int rc = prepare(s, c, j, &why);
	(void)snprintf(j->reason, sizeof(j->reason), "%s", note); /* short */
	if (rc == 0)
		rc = dispatch_order(s->o.dispatch, j, &why);
	if (rc != 0)
		record_missed(s, c, j, why.msg);
}

/* ---- due times ---- */

static struct memory *remember(struct schedule *s, const char *name)
{
	for (size_t i = 0; i < s->memory_count; i++) {
		if (strcmp(s->memories[i].name, name) == 0)
			return &s->memories[i];
	}
	struct memory *grown = reallocarray(s->memories, s->memory_count + 1, sizeof(*grown));
	if (grown == NULL)
		return NULL;
	s->memories = grown;
	struct memory *m = &grown[s->memory_count++];
	memset(m, 0, sizeof(*m));
	(void)snprintf(m->name, sizeof(m->name), "%s", name); /* a name: fits */
	return m;
}

static void tell_pause(struct schedule *s, const struct controller_schedule *c, int64_t now_ms)
{
	struct memory *m = remember(s, c->name);
	if (m == NULL || (now_ms >= m->told_ms && now_ms - m->told_ms < SCHEDULE_PAUSE_MS))
		return;
	m->told_ms = now_ms;
	alarm_now(s, c->name, "the schedule is paused and would have been due");
}

#define COUNT_MAX 1000
/* How many due times lie in (after, until]; more than a few are only "many". */
static int64_t count_due(const struct controller_schedule *c, int64_t after_ms, int64_t until_ms)
{
	int64_t n = 0;
	for (int64_t at = calendar_next(c->calendar, after_ms); at <= until_ms && n < COUNT_MAX;
		n++)
		at = calendar_next(c->calendar, at);
	return n;
}

struct wanted {
	int64_t due_ms;
	bool is_there;
};

static int compare_due(void *arg, const struct catalog_job *j)
{
	struct wanted *w = arg;
	w->is_there = w->is_there || j->due_ms == w->due_ms;
	return w->is_there || j->due_ms < w->due_ms ? 1 : 0; /* the newest come first */
}

/* True if the schedule has a job for this due time already: the clock went back, or the mark could
 * not be written. */
static bool has_job(struct schedule *s, const struct controller_schedule *c, int64_t due_ms)
{
	struct wanted w = { due_ms, false };
	const struct catalog_job_query q = { .schedule = c->name, .limit = COUNT_MAX };
	(void)catalog_job_each(s->o.db, &q, compare_due, &w, NULL); /* 1 ends it; unknown = no */
	return w.is_there;
}

/* Deal with everything due up to ${now_ms}: one job. */
static void deal(struct schedule *s, const struct controller_schedule *c, int64_t mark_ms,
	int64_t last_ms, int64_t now_ms)
{
	char note[160] = "";
	const int64_t count = count_due(c, mark_ms, last_ms);
	const bool is_late = now_ms - last_ms - splay_of(c) > SCHEDULE_LATE_MS;
	if (c->is_paused) {
		tell_pause(s, c, now_ms);
		return;
	}
	if (has_job(s, c, last_ms + splay_of(c)))
		return;
	if (count > 1)
		(void)snprintf(note, sizeof(note),
			"%s%" PRId64 " due times passed while the controller did not run or the "
			"clock was set; this one stands for all",
			count >= COUNT_MAX ? "at least " : "", count); /* fits */
	else if (is_late)
		(void)snprintf(note, sizeof(note),
			"was due while the controller did not run or the clock was set");
	if (is_late && c->catch_up == CATCH_UP_SKIP) {
		CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
		if (j != NULL) {
			fill_job(c, last_ms, now_ms, j);
			record_missed(s, c, j, note);
		}
		return;
	}
	order(s, c, last_ms, now_ms, note);
}

/* The mark to go on from: in *${mark_ms}; 0 = it must be made. */
static int read_mark(const struct schedule *s, const struct controller_schedule *c, int64_t now_ms,
	int64_t *mark_ms, bool *is_back, struct err *err)
{
	int rc = catalog_job_get_mark(s->o.db, c->name, mark_ms, err);
	*is_back = rc == 0 && *mark_ms > now_ms + SCHEDULE_BACK_MS;
	if (*is_back)
		*mark_ms = 0;
	return rc;
}

/* Compare the expression with the one of the mark.  Return 1 when it is another, 0 or an error. */
static int is_changed(struct schedule *s, const struct controller_schedule *c, struct err *err)
{
	CLEANUP(buf_done) struct buf before = BUF_INIT(SCHEDULE_TEXT_BYTES);
	char key[MSG_NAME_BYTES + 16], text[SCHEDULE_TEXT_BYTES] = "";
	struct memory *m = remember(s, c->name);
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (m->is_known)
		return 0;
	(void)snprintf(key, sizeof(key), "schedule.%s", c->name); /* a name: fits */
	(void)calendar_normal(c->calendar, text, sizeof(text));   /* what does not fit is cut */
	int rc = catalog_get(s->o.db, key, &before, err);
	bool is_new = rc == -ERR_NOT_FOUND;
	if (rc != 0 && !is_new)
		return rc;
	bool is_other = !is_new &&
			(before.len != strlen(text) || memcmp(before.data, text, before.len) != 0);
	if (is_new || is_other)
		rc = catalog_set(s->o.db, key, text, strlen(text), err);
	m->is_known = rc == 0;
	return rc != 0 ? rc : is_other ? 1 : 0;
}

static int find_mark(struct schedule *s, const struct controller_schedule *c, int64_t now_ms,
	int64_t *mark_ms, struct err *err)
{
	bool is_back = false;
	int rc = read_mark(s, c, now_ms, mark_ms, &is_back, err);
	if (rc == 0)
		rc = is_changed(s, c, err);
	if (rc < 0)
		return rc;
	if (is_back)
		alarm_now(s, c->name, "the clock went back: due times begin anew from now");
	if (*mark_ms != 0 && rc == 0)
		return 0;
	*mark_ms = now_ms; /* invariants 2 and 4 */
	return catalog_job_mark(s->o.db, c->name, *mark_ms, err);
}

static int64_t tick_one(struct schedule *s, const struct controller_schedule *c, int64_t now_ms)
{
	struct err why = ERR_INIT;
	int64_t mark = 0;
	const int64_t splay = splay_of(c);
	int rc = find_mark(s, c, now_ms, &mark, &why);
	const int64_t last = rc != 0 ? INT64_MIN : calendar_last(c->calendar, mark, now_ms - splay);
	if (rc == 0 && last != INT64_MIN) {
		deal(s, c, mark, last, now_ms);
		mark = last;
		rc = catalog_job_mark(s->o.db, c->name, last, &why);
	}
	if (rc != 0) {
		log_error("schedule.tick", "schedule=%s: %s", c->name, why.msg);
		return now_ms + SCHEDULE_LATE_MS;
	}
	int64_t next = calendar_next(c->calendar, mark);
	return next == INT64_MAX ? next : next + splay;
}

int64_t schedule_tick(struct schedule *s, int64_t now_ms)
{
	int64_t next = now_ms + SCHEDULE_LOOK_MS;
	for (size_t i = 0; i < s->conf->schedule_count; i++) {
		int64_t at = tick_one(s, &s->conf->schedules[i], now_ms);
		if (at < next)
			next = at;
	}
	return next;
}

/* The next plain due time whose moment is after ${now_ms}, found as a tick would. */
static int64_t next_of(
	const struct schedule *s, const struct controller_schedule *c, int64_t now_ms)
{
	int64_t mark = 0;
	bool is_back;
	if (read_mark(s, c, now_ms, &mark, &is_back, NULL) != 0 || mark == 0)
		mark = now_ms;
	const int64_t last = calendar_last(c->calendar, mark, now_ms - splay_of(c));
	return calendar_next(c->calendar, last == INT64_MIN ? mark : last);
}

size_t schedule_preview(const struct schedule *s, const char *name, int64_t now_ms,
	struct schedule_due *out, size_t count)
{
	size_t n = 0;
	CLEANUP(cleanup_free_p)
	int64_t *at = calloc(s->conf->schedule_count + 1, sizeof(*at));
	if (at == NULL)
		return 0;
	for (size_t i = 0; i < s->conf->schedule_count; i++)
		at[i] = next_of(s, &s->conf->schedules[i], now_ms);
	while (n < count) {
		size_t best = SIZE_MAX;
		int64_t due = INT64_MAX;
		for (size_t i = 0; i < s->conf->schedule_count; i++) {
			const struct controller_schedule *c = &s->conf->schedules[i];
			if (at[i] == INT64_MAX || (name != NULL && strcmp(name, c->name) != 0) ||
				at[i] + splay_of(c) >= due)
				continue;
			best = i;
			due = at[i] + splay_of(c);
		}
		if (best == SIZE_MAX)
			break;
		out[n++] = (struct schedule_due){ .schedule = &s->conf->schedules[best],
			.due_ms = due };
		at[best] = calendar_next(s->conf->schedules[best].calendar, at[best]);
	}
	return n;
}
