#include "conf/conf_problems.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"

/*
 * INVARIANTS
 * (1) errors and warnings count every problem ever added; items holds the first of them.
 * (2) Every text in items is safe to show: it went through escape_str().
 */

#define PROBLEM_LINE_BYTES (CONF_PROBLEMS_TEXT_BYTES + 1024) /* with the file's name before it */

void conf_problems_done(struct conf_problems *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->items[i].text);
	free(p->items);
	free(p->file);
	*p = (struct conf_problems)CONF_PROBLEMS_INIT;
}

void conf_problems_set_file(struct conf_problems *p, const char *file)
{
	char safe[PROBLEM_LINE_BYTES - CONF_PROBLEMS_TEXT_BYTES];
	(void)escape_str(safe, sizeof(safe), file); /* a longer name is cut */
	free(p->file);
	p->file = strdup(safe);
}

/* Make room for one more.  Return false when it cannot be kept. */
static bool has_room(struct conf_problems *p)
{
	if (p->count < p->cap)
		return true;
	if (p->cap >= CONF_PROBLEMS_MAX)
		return false;
	size_t cap = p->cap == 0 ? 16 : p->cap * 2;
	if (cap > CONF_PROBLEMS_MAX)
		cap = CONF_PROBLEMS_MAX;
	struct conf_problem *items = reallocarray(p->items, cap, sizeof(*items));
	if (items == NULL)
		return false;
	p->items = items;
	p->cap = cap;
	return true;
}

void conf_problems_add(
	struct conf_problems *p, enum conf_severity severity, int line, const char *fmt, ...)
{
	char raw[CONF_PROBLEMS_TEXT_BYTES];
	char safe[CONF_PROBLEMS_TEXT_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, ap); /* a longer text is cut */
	va_end(ap);
	(void)escape_str(safe, sizeof(safe), raw); /* the same */

	if (severity == CONF_ERROR)
		p->errors++;
	else
		p->warnings++;
	if (!has_room(p))
		return;
	char *text = strdup(safe);
	if (text == NULL)
		return;
	p->items[p->count++] =
		(struct conf_problem){ .severity = severity, .line = line, .text = text };
}

void conf_problems_sort(struct conf_problems *p)
{
	/* insertion: at most CONF_PROBLEMS_MAX, mostly in order, and it must be stable */
	for (size_t i = 1; i < p->count; i++) {
		struct conf_problem moved = p->items[i];
		size_t at = i;
		for (; at > 0 && p->items[at - 1].line > moved.line; at--)
			p->items[at] = p->items[at - 1];
		p->items[at] = moved;
	}
}

bool conf_problems_has_errors(const struct conf_problems *p)
{
	return p->errors > 0;
}

/* "file:12: error: text" without a line end. */
static void format_one(
	const struct conf_problems *p, const struct conf_problem *one, char out[PROBLEM_LINE_BYTES])
{
	const char *file = p->file != NULL ? p->file : "";
	const char *colon = p->file != NULL ? ":" : "";
	const char *grade = one->severity == CONF_ERROR ? "error" : "warning";
	if (one->line > 0)
		(void)snprintf(out, PROBLEM_LINE_BYTES, "%s%s%d: %s: %s", file, colon, one->line,
			grade, one->text); /* fits, by the sizes above */
	else
		(void)snprintf(out, PROBLEM_LINE_BYTES, "%s%s%s%s: %s", file, colon,
			p->file != NULL ? " " : "", grade, one->text); /* fits */
}

int conf_problems_format(const struct conf_problems *p, struct buf *out, struct err *err)
{
	char line[PROBLEM_LINE_BYTES];
	int rc = 0;
	for (size_t i = 0; i < p->count && rc == 0; i++) {
		format_one(p, &p->items[i], line);
		rc = buf_addf(out, err, "%s\n", line);
	}
	size_t lost = p->errors + p->warnings - p->count;
	if (rc == 0 && lost > 0)
		rc = buf_addf(out, err, "and %zu more\n", lost);
	return rc;
}

void conf_problems_print(const struct conf_problems *p, FILE *out)
{
	char line[PROBLEM_LINE_BYTES];
	for (size_t i = 0; i < p->count; i++) {
		format_one(p, &p->items[i], line);
		(void)fprintf(out, "%s\n", line); /* a terminal that is gone is not our error */
	}
	size_t lost = p->errors + p->warnings - p->count;
	if (lost > 0)
		(void)fprintf(out, "and %zu more\n", lost); /* the same */
}

int conf_problems_verdict(const struct conf_problems *p, const char *what, struct err *err)
{
	if (!conf_problems_has_errors(p))
		return 0;
	const struct conf_problem *first = NULL;
	for (size_t i = 0; i < p->count && first == NULL; i++) {
		if (p->items[i].severity == CONF_ERROR)
			first = &p->items[i];
	}
	const char *file = p->file != NULL ? p->file : "-";
	const char *plural = p->errors == 1 ? "" : "s";
	if (first == NULL)
		return err_set(err, ERR_CONFIG, "unable to use %s '%s': %zu error%s", what, file,
			p->errors, plural);
	return err_set(err, ERR_CONFIG, "unable to use %s '%s': %zu error%s, first in line %d: %s",
		what, file, p->errors, plural, first->line, first->text);
}
