#include "controller/retention_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "conf/conf_problems.h"
#include "vault/snapshot.h"

/*
 * INVARIANTS
 * (1) policy.tags is tags.
 */

#define COUNT_OPTION(name, what)                                                                   \
	{                                                                                          \
		.key = name, .type = CONF_INT, .min = 0, .max = 1000000, .fallback = "0",          \
		.help = what                                                                       \
	}
#define WITHIN_OPTION(name, what)                                                                  \
	{                                                                                          \
		.key = name, .type = CONF_DURATION, .fallback = "0s", .help = what                 \
	}

const struct conf_option retention_conf_options[] = {
	{ .key = "source",
		.type = CONF_STRING,
		.max = 255,
		.help = "the source it is for, NAME or HOST/NAME; none = all others" },
	COUNT_OPTION("keep_last", "the newest so many"),
	COUNT_OPTION("keep_hourly", "the newest of each of the last so many hours that have one"),
	COUNT_OPTION("keep_daily", "the same for days, in UTC"),
	COUNT_OPTION("keep_weekly", "the same for weeks, from Monday"),
	COUNT_OPTION("keep_monthly", "the same for months"),
	COUNT_OPTION("keep_yearly", "the same for years"),
	WITHIN_OPTION("keep_within", "all so close before the newest of the source"),
	{ .key = "keep_tags",
		.type = CONF_STRINGS,
		.max = RETENTION_MAX_TAGS,
		.help = "every snapshot with one of these tags" },
	{ .key = "min_keep",
		.type = CONF_DURATION,
		.fallback = "14d",
		.help = "nothing younger goes, whatever the rules say" },
	{ .key = NULL },
};

static void rule_done(struct retention_conf *r)
{
	for (size_t i = 0; r->tags != NULL && i < r->policy.tag_count; i++)
		free(r->tags[i]);
	free(r->tags);
	free(r->source);
}

static int copy_text(const char *text, char **out, struct err *err)
{
	if (text == NULL)
		return 0;
	*out = strdup(text);
	return *out != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

/* Room for one more, zeroed; NULL when out of memory. */
static struct retention_conf *grow(struct retention_conf_list *l)
{
	struct retention_conf *grown = reallocarray(l->at, l->count + 1, sizeof(*grown));
	if (grown == NULL)
		return NULL;
	l->at = grown;
	memset(&grown[l->count], 0, sizeof(*grown));
	return &grown[l->count++];
}

static int take_tags(const struct conf_node *g, struct retention_conf *r, struct err *err)
{
	const size_t n = conf_count(g, "keep_tags");
	int rc = 0;
	r->tags = calloc(n + 1, sizeof(*r->tags));
	if (r->tags == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->policy.tags = (const char *const *)r->tags;
	for (; rc == 0 && r->policy.tag_count < n; r->policy.tag_count++)
		rc = copy_text(conf_item_text(g, "keep_tags", r->policy.tag_count),
			&r->tags[r->policy.tag_count], err);
	return rc;
}

static void check(const struct retention_conf_list *l, struct conf_problems *p)
{
	const struct retention_conf *r = &l->at[l->count - 1];
	struct retention_verdict verdict;
	struct err why = ERR_INIT;
	if (retention_decide(&r->policy, NULL, 0, 0, &verdict, &why) != 0)
		conf_problems_add(p, CONF_ERROR, r->line,
			"the rule of retention keeps nothing but the newest snapshot: give it a "
			"keep_.. of at least 1");
	for (size_t i = 0; i + 1 < l->count; i++) {
		const char *other = l->at[i].source;
		if (r->source == NULL ? other != NULL
				      : other == NULL || strcmp(r->source, other) != 0)
			continue;
		conf_problems_add(p, CONF_ERROR, r->line,
			"the rule for %s is there twice, first "
			"in line %d",
			r->source == NULL ? "all other sources" : r->source, l->at[i].line);
	}
}

int retention_conf_take(const struct conf_node *g, struct retention_conf_list *l,
	struct conf_problems *p, struct err *err)
{
	static const char *const counts[RETENTION_PERIODS] = { "keep_hourly", "keep_daily",
		"keep_weekly", "keep_monthly", "keep_yearly" };
	struct retention_conf *r = grow(l);
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->line = conf_node_line(g);
	r->policy.last = (uint32_t)conf_number(g, "keep_last", 0);
	for (int k = 0; k < RETENTION_PERIODS; k++)
		r->policy.count[k] = (uint32_t)conf_number(g, counts[k], 0);
	r->policy.within_ns = conf_number(g, "keep_within", 0);
	r->policy.min_keep_ns = conf_number(g, "min_keep", RETENTION_MIN_KEEP_NS);
	int rc = copy_text(conf_text(g, "source"), &r->source, err);
	if (rc == 0)
		rc = take_tags(g, r, err);
	if (rc == 0)
		check(l, p);
	return rc;
}

int retention_conf_copy(
	const struct retention_conf_list *from, struct retention_conf_list *out, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < from->count; i++) {
		struct retention_conf *r = grow(out);
		const size_t n = from->at[i].policy.tag_count;
		if (r == NULL || (r->tags = calloc(n + 1, sizeof(*r->tags))) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		r->line = from->at[i].line;
		r->policy = from->at[i].policy;
		r->policy.tags = (const char *const *)r->tags;
		rc = copy_text(from->at[i].source, &r->source, err);
		for (size_t k = 0; rc == 0 && k < n; k++)
			rc = copy_text(from->at[i].tags[k], &r->tags[k], err);
	}
	return rc;
}

void retention_conf_done(struct retention_conf_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		rule_done(&l->at[i]);
	free(l->at);
	l->at = NULL;
	l->count = 0;
}

const struct retention_conf *retention_conf_of(
	const struct retention_conf_list *l, const struct snapshot *s)
{
	const struct retention_conf *other = NULL;
	for (size_t i = 0; i < l->count; i++) {
		if (l->at[i].source == NULL)
			other = &l->at[i];
		else if (snapshot_is_of(s, l->at[i].source))
			return &l->at[i];
	}
	return other;
}
