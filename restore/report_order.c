#include "restore/report_order.h"

#include <stdio.h>

#include "base/err.h"
#include "base/escape.h"
#include "restore/report.h"
#include "restore/report_words.h"

/* INVARIANTS: (1) Nothing is changed.  (2) An absent time orders nothing. */

#define NAME_BYTES 128

static const char *const t_names[REPORT_T_COUNT] = { "t_declared", "t_approved", "t_selected",
	"t_sandbox", "t_restored", "t_started", "t_verified", "t_clean" };

/* A moment and what to call it. */
struct moment {
	const char *name;
	int64_t at;
};

static int in_order(const char *where, struct moment a, struct moment b, struct err *err)
{
	char first[REPORT_WORDS_BYTES], second[REPORT_WORDS_BYTES];
	if (a.at == REPORT_NONE || b.at == REPORT_NONE || a.at <= b.at)
		return 0;
	return err_set(err, ERR_CORRUPT, "%s: %s (%s) is after %s (%s), by %lld ms", where, a.name,
		report_words_time(first, a.at), b.name, report_words_time(second, b.at),
		(long long)(a.at - b.at));
}

static int check_span(const struct report_exercise *x, const char *where, int64_t from, int64_t to,
	struct err *err)
{
	const struct moment begin = { "exercise.started", x->started };
	const struct moment end = { "exercise.ended", x->ended };
	const struct moment a = { "started", from };
	const struct moment b = { "ended", to };
	int rc = in_order(where, begin, a, err);
	if (rc == 0)
		rc = in_order(where, a, b, err);
	if (rc == 0)
		rc = in_order(where, b, end, err);
	if (rc == 0)
		rc = in_order(where, a, end, err);
	return rc;
}

static int check_system(
	const struct report_exercise *x, const struct report_system *s, struct err *err)
{
	int64_t t[REPORT_T_COUNT];
	char name[NAME_BYTES], where[NAME_BYTES * 2 + 16];
	int rc = 0;

	(void)escape_str(name, sizeof(name), s->system_id == NULL ? "?" : s->system_id);
	report_times(&s->timings, t);
	if (t[0] != x->t_declared)
		return err_set(err, ERR_CORRUPT,
			"system %s: t_declared is not that of the exercise", name);
	struct moment last = { t_names[0], t[0] };
	(void)snprintf(where, sizeof(where), "system %s", name); /* fits */
	for (size_t i = 1; rc == 0 && i < REPORT_T_COUNT; i++) {
		const struct moment next = { t_names[i], t[i] };
		rc = in_order(where, last, next, err);
		if (next.at != REPORT_NONE)
			last = next;
	}
	if (rc == 0)
		rc = in_order(where, last, (struct moment){ "exercise.ended", x->ended }, err);
	for (size_t i = 0; rc == 0 && i < s->steps_count; i++) {
		(void)snprintf(where, sizeof(where), "system %s, step %zu", name, i + 1); /* fits */
		rc = check_span(x, where, s->steps[i]->started, s->steps[i]->ended, err);
	}
	return rc;
}

int report_order_check(const struct report *r, struct err *err)
{
	const struct report_exercise *x = &r->exercise;
	int rc = in_order("exercise", (struct moment){ "started", x->started },
		(struct moment){ "ended", x->ended }, err);
	if (rc == 0)
		rc = in_order("exercise", (struct moment){ "t_declared", x->t_declared },
			(struct moment){ "ended", x->ended }, err);
	for (size_t i = 0; rc == 0 && i < r->systems_count; i++)
		rc = check_system(x, r->systems[i], err);
	for (size_t i = 0; rc == 0 && i < r->environment.isolation_checks_count; i++) {
		int64_t at = r->environment.isolation_checks[i]->at;
		rc = check_span(x, "isolation check", at, at, err);
	}
	return rc;
}
