#include "cmd/retention_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "cmd/snapshot_show.h"
#include "cmd/view.h"
#include "vault/snapshot.h"

/*
 * INVARIANTS
 * (1) items[i] is about list->at[at[i]], for every i < count.
 */

static const char *const periods[RETENTION_PERIODS] = { "hourly", "daily", "weekly", "monthly",
	"yearly" };

static int parse_count(const struct cli *cli, const char *name, uint32_t *out, struct err *err)
{
	const char *text = cli_text(cli, name);
	char *end = NULL;
	if (text == NULL)
		return 0;
	if (strcmp(text, "all") == 0) {
		*out = RETENTION_ALL;
		return 0;
	}
	unsigned long n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n == 0 || n > 1000000)
		return err_set(err, ERR_USAGE,
			"--%s wants a number from 1 to 1000000, or 'all', not '%s'", name, text);
	*out = (uint32_t)n;
	return 0;
}

static int parse_time(const struct cli *cli, const char *name, int64_t *out, struct err *err)
{
	const char *text = cli_text(cli, name);
	if (text == NULL || human_parse_duration(text, out) == 0)
		return 0;
	return err_set(
		err, ERR_USAGE, "--%s wants a duration like 30d or 12h, not '%s'", name, text);
}

int retention_rules_parse(const struct cli *cli, struct retention_rules *out, struct err *err)
{
	char name[40];
	struct retention_policy *p = &out->policy;
	memset(out, 0, sizeof(*out));
	p->min_keep_ns = RETENTION_MIN_KEEP_NS;
	int rc = parse_count(cli, "keep-last", &p->last, err);
	for (int k = 0; rc == 0 && k < RETENTION_PERIODS; k++) {
		(void)snprintf(name, sizeof(name), "keep-%s", periods[k]); /* fits */
		rc = parse_count(cli, name, &p->count[k], err);
	}
	if (rc == 0)
		rc = parse_time(cli, "keep-within", &p->within_ns, err);
	for (int k = 0; rc == 0 && k < RETENTION_PERIODS; k++) {
		(void)snprintf(name, sizeof(name), "keep-within-%s", periods[k]); /* fits */
		rc = parse_time(cli, name, &p->within_period_ns[k], err);
	}
	if (rc == 0)
		rc = parse_time(cli, "min-keep", &p->min_keep_ns, err);
	if (rc == 0)
		rc = parse_time(cli, "slot", &p->slot_ns, err);
	for (size_t i = 0; rc == 0 && cli_nth(cli, "keep-tag", i) != NULL; i++) {
		if (i == RETENTION_MAX_TAGS)
			return err_set(
				err, ERR_USAGE, "more than %d --keep-tag", RETENTION_MAX_TAGS);
		out->tags[i] = cli_nth(cli, "keep-tag", i);
		p->tag_count = i + 1;
	}
	p->tags = out->tags;
	return rc;
}

int retention_rules_judge(const struct cli *cli, struct retention_rules *r,
	const struct snapshot_list *list, struct err *err)
{
	const char *source = cli_text(cli, "source");
	r->items = calloc(list->count + 1, sizeof(*r->items));
	r->at = calloc(list->count + 1, sizeof(*r->at));
	if (r->items == NULL || r->at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < list->count; i++) {
		const struct snapshot *s = &list->at[i];
		struct retention_item *item = &r->items[r->count];
		if (source != NULL && strcmp(source, s->label.source) != 0)
			continue;
		r->at[r->count++] = i;
		snapshot_retention(s, item);
	}
	if (source != NULL && r->count == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no snapshot of source '%s'", source);
	return retention_decide(&r->policy, r->items, r->count, env_now_ns(), &r->verdict, err);
}

void retention_rules_done(struct retention_rules *r)
{
	free(r->items);
	free(r->at);
	r->items = NULL;
	r->at = NULL;
}

void retention_rules_guards(
	const struct retention_rules *r, const struct snapshot_list *list, char out[512])
{
	const char *source = "";
	for (size_t i = 0; i < r->count; i++) {
		if (memcmp(r->items[i].source, r->verdict.share_source, 32) == 0)
			source = list->at[r->at[i]].label.source;
	}
	retention_guards_text(&r->verdict, source, out);
}

void retention_rules_show(
	const struct retention_rules *r, const struct snapshot_list *list, struct console *c)
{
	struct snapshot_show_columns columns = SNAPSHOT_SHOW_COLUMNS_INIT;
	for (size_t i = 0; i < r->count; i++)
		snapshot_show_fit(&columns, &list->at[r->at[i]]);
	snapshot_show_head(c, &columns);
	for (size_t i = 0; i < r->count; i++) {
		snapshot_show_line(c, &columns, &list->at[r->at[i]]);
		console_print(c, "          %s", r->items[i].why == 0 ? "goes" : "stays:");
		for (unsigned bit = 0; bit < RETENTION_BITS; bit++) {
			if ((r->items[i].why & 1u << bit) != 0)
				console_print(c, " %s", retention_why_word(1u << bit));
		}
		console_print(c, "\n");
	}
}

json_t *retention_rules_rows(const struct retention_rules *r, const struct snapshot_list *list)
{
	json_t *rows = json_array();
	for (size_t i = 0; rows != NULL && i < r->count; i++) {
		json_t *why = json_array();
		for (unsigned bit = 0; why != NULL && bit < RETENTION_BITS; bit++) {
			if ((r->items[i].why & 1u << bit) != 0)
				(void)json_array_append_new(
					why, json_string(retention_why_word(1u << bit)));
		}
		json_t *row = snapshot_show_object(&list->at[r->at[i]]);
		json_t *fate =
			json_pack("{s:b, s:o}", "stays", (int)(r->items[i].why != 0), "why", why);
		if (row == NULL || fate == NULL || json_object_update_new(row, fate) != 0 ||
			json_array_append(rows, row) != 0) {
			json_decref(rows);
			rows = NULL;
		}
		json_decref(row);
	}
	return rows;
}
