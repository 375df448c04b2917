#include "restore/checks.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/escape.h"
#include "restore/check_hash_manifest.h"
#include "restore/check_open_record.h"
#include "restore/check_sql.h"
#include "restore/check_xml.h"
#include "restore/report_form.h"
#include "restore/report_shape.h"
#include "restore/tree_walk.h"

/*
 * INVARIANTS
 * (1) A check passes only if it examined something and found no fault.
 * (2) What it hands on can be written into a report.
 * (3) A line of the evidence holds no control character; what goes to the report is escaped by
 *     whoever shows it.
 */

typedef int check_fn(struct checks_case *c, struct err *err);

static const struct {
	check_fn *run;
	bool is_before_start;
} kinds[] = {
	[PLAN_CHECK_HASH_MANIFEST] = { check_hash_manifest_run, true },
	[PLAN_CHECK_ROW_COUNT] = { check_sql_row_count, false },
	[PLAN_CHECK_NEWEST_RECORD] = { check_sql_newest_record, false },
	[PLAN_CHECK_SQL] = { check_sql_query, false },
	[PLAN_CHECK_OPEN_RECORD] = { check_open_record_run, false },
	[PLAN_CHECK_XML] = { check_xml_run, false },
};

bool checks_is_before_start(const struct plan_check *check)
{
	return kinds[check->type].is_before_start;
}

static void add_line(struct checks_case *c, const char *mark, const char *text)
{
	char safe[2 * CHECKS_TEXT_BYTES];
	(void)escape_str(safe, sizeof(safe), text); /* cut is fine */
	/* evidence that is full is cut; the report counts everything */
	if (c->place->evidence != NULL)
		(void)buf_addf(c->place->evidence, NULL, "%s%s\n", mark, safe);
}

void checks_fault(struct checks_case *c, const char *fmt, ...)
{
	char text[CHECKS_TEXT_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
	va_end(ap);
	c->faults++;
	if (c->faults == 1)
		memcpy(c->first, text, sizeof(text));
	if (c->faults <= CHECKS_TOLD_MAX)
		add_line(c, "  fault: ", text);
}

void checks_tell(struct checks_case *c, const char *fmt, ...)
{
	char text[CHECKS_TEXT_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
	va_end(ap);
	add_line(c, "  ", text);
}

void checks_summarize(struct checks_case *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(c->summary, sizeof(c->summary), fmt, ap); /* cut is fine */
	va_end(ap);
}

int checks_stop(const struct checks_case *c, struct err *err)
{
	const struct checks_place *p = c->place;
	if (p->is_stopped != NULL && p->is_stopped(p->arg))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	return 0;
}

int checks_open_root(const struct checks_case *c)
{
	return tree_walk_open_path(c->place->dirfd, c->place->root, O_RDONLY | O_DIRECTORY);
}

/* These end the drill; anything else that goes wrong is what the check found. */
static bool is_ours(int rc)
{
	return rc == -ERR_NOMEM || rc == -ERR_INTERRUPTED || rc == -ERR_UNREACHABLE;
}

/* These say nothing of the data. */
static bool is_broken_off(int rc)
{
	return rc == -ERR_BUSY || rc == -ERR_LIMIT || rc == -ERR_IO || rc == -ERR_NOSPACE;
}

/* What no report holds comes from damaged or forged content. */
static void check_range(struct checks_case *c)
{
	const int64_t newest_ms = c->newest_ms;
	if (newest_ms != REPORT_NONE && !report_form_is_number(REPORT_SHAPE_TIME, newest_ms)) {
		c->newest_ms = REPORT_NONE;
		checks_fault(c, "the newest record is of no time (%lld ms)", (long long)newest_ms);
	}
	if (!report_form_is_number(REPORT_SHAPE_INT, c->items)) {
		checks_fault(c, "%lld items are not to be believed", (long long)c->items);
		c->items = 0;
	}
}

static void conclude(const struct checks_case *c, struct checks_result *out)
{
	*out = (struct checks_result){ .items = c->items, .newest_ms = c->newest_ms };
	if (c->faults > 0)
		out->status = REPORT_STATUS_FAIL;
	else if (c->items > 0)
		out->status = REPORT_STATUS_PASS;
	else
		out->status = REPORT_STATUS_NOT_DEMONSTRATED;
	if (c->faults > 1)
		(void)snprintf(out->observed, sizeof(out->observed), "%lld faults, the first: %s",
			(long long)c->faults, c->first); /* cut is fine */
	else if (c->faults == 1)
		(void)snprintf(out->observed, sizeof(out->observed), "%s", c->first); /* fits */
	else
		(void)snprintf(out->observed, sizeof(out->observed), "%s",
			c->summary[0] == '\0' ? "nothing to examine" : c->summary); /* fits */
}

int checks_run(const struct checks_place *place, const struct plan_check *check,
	struct checks_result *out, struct err *err)
{
	struct checks_case c = { .place = place, .check = check, .newest_ms = REPORT_NONE };
	struct err why = ERR_INIT;
	char head[2 * PLAN_MAX_ID + 64];
	(void)snprintf(head, sizeof(head), "%s %s (%s)", place->system->id, check->id,
		plan_check_type_name(check->type)); /* cut is fine */
	add_line(&c, "check ", head);
	int rc = check->type == PLAN_CHECK_NONE
			 ? err_set(&why, ERR_USAGE, "a check of no known type")
			 : kinds[check->type].run(&c, &why);
	/* what a check found after somebody asked to stop may be what stopping did */
	if ((rc != 0 || c.faults > 0) && checks_stop(&c, &why) != 0)
		rc = -ERR_INTERRUPTED;
	if (is_ours(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (rc != 0)
		checks_fault(&c, "%s", why.msg);
	check_range(&c);
	conclude(&c, out);
	out->is_broken_off = is_broken_off(rc);
	checks_tell(&c, "examined %lld, faults %lld: %s", (long long)c.items, (long long)c.faults,
		out->observed);
	return 0;
}
