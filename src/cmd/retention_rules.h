/*
 * retention_rules: the rules of retention on a command line, and a vault's snapshots judged by
 * them.
 */
#ifndef CMD_RETENTION_RULES_H
#define CMD_RETENTION_RULES_H

#include <jansson.h>
#include <stdbool.h>

#include "vault/retention.h"

struct cli;
struct console;
struct err;
struct snapshot_list;

/* The options of the rules, for a verb's own table. */
#define RETENTION_RULES_OPTIONS                                                                    \
	{ .name = "keep-last",                                                                     \
		.kind = CLI_TEXT,                                                                  \
		.argument = "N",                                                                   \
		.help = "the newest N of every source (\"all\": every one); this and the next "    \
			"rules add up" },                                                          \
		{ .name = "keep-hourly",                                                           \
			.kind = CLI_TEXT,                                                          \
			.argument = "N",                                                           \
			.help = "the newest of each of the last N hours that have one" },          \
		{ .name = "keep-daily",                                                            \
			.kind = CLI_TEXT,                                                          \
			.argument = "N",                                                           \
			.help = "the same for days, in UTC" },                                     \
		{ .name = "keep-weekly",                                                           \
			.kind = CLI_TEXT,                                                          \
			.argument = "N",                                                           \
			.help = "the same for weeks, from Monday" },                               \
		{ .name = "keep-monthly",                                                          \
			.kind = CLI_TEXT,                                                          \
			.argument = "N",                                                           \
			.help = "the same for months" },                                           \
		{ .name = "keep-yearly",                                                           \
			.kind = CLI_TEXT,                                                          \
			.argument = "N",                                                           \
			.help = "the same for years" },                                            \
		{ .name = "keep-within",                                                           \
			.kind = CLI_TEXT,                                                          \
			.argument = "DURATION",                                                    \
			.help = "all so close before the newest of the source (\"30d\")" },        \
		{ .name = "keep-within-hourly",                                                    \
			.kind = CLI_TEXT,                                                          \
			.argument = "DURATION",                                                    \
			.help = "the newest of each hour in that time" },                          \
		{ .name = "keep-within-daily",                                                     \
			.kind = CLI_TEXT,                                                          \
			.argument = "DURATION",                                                    \
			.help = "the same for days" },                                             \
		{ .name = "keep-within-weekly",                                                    \
			.kind = CLI_TEXT,                                                          \
			.argument = "DURATION",                                                    \
			.help = "the same for weeks" },                                            \
		{ .name = "keep-within-monthly",                                                   \
			.kind = CLI_TEXT,                                                          \
			.argument = "DURATION",                                                    \
			.help = "the same for months" },                                           \
		{ .name = "keep-within-yearly",                                                    \
			.kind = CLI_TEXT,                                                          \
			.argument = "DURATION",                                                    \
			.help = "the same for years" },                                            \
		{ .name = "keep-tag",                                                              \
			.kind = CLI_TEXT,                                                          \
			.is_many = true,                                                           \
			.argument = "TAG",                                                         \
			.help = "every snapshot with this tag" },                                  \
		{ .name = "min-keep",                                                              \
			.kind = CLI_TEXT,                                                          \
			.argument = "DURATION",                                                    \
			.help = "nothing younger goes, whatever the rules say; default 14d" },     \
		{ .name = "slot",                                                                  \
			.kind = CLI_TEXT,                                                          \
			.argument = "DURATION",                                                    \
			.help = "the schedule's step: --keep-last counts one snapshot of each" },  \
	{                                                                                          \
		.name = "source", .kind = CLI_TEXT, .argument = "NAME",                            \
		.help = "of this source only"                                                      \
	}

struct retention_rules {
	struct retention_policy policy;
	const char *tags[RETENTION_MAX_TAGS]; /* borrowed from the command line */
	struct retention_item *items;         /* owned; item i is snapshot at[i] of the list */
	size_t *at;                           /* owned */
	size_t count;
	struct retention_verdict verdict;
};

/* Read the options.  Return 0 or -ERR_USAGE. */
int retention_rules_parse(const struct cli *cli, struct retention_rules *out, struct err *err);
/* Judge the snapshots of ${list} (with --source: of that one).  Return as retention_decide(). */
int retention_rules_judge(const struct cli *cli, struct retention_rules *r,
	const struct snapshot_list *list, struct err *err);
void retention_rules_done(struct retention_rules *r);

/* What asks for an approval, as one text; "" when nothing does. */
void retention_rules_guards(const struct retention_rules *r, const struct snapshot_list *list,
	char out[RETENTION_GUARDS_BYTES]);
/* Every snapshot with what becomes of it and why, as text. */
void retention_rules_show(
	const struct retention_rules *r, const struct snapshot_list *list, struct console *c);
/* The same as an array; NULL when out of memory. */
json_t *retention_rules_rows(const struct retention_rules *r, const struct snapshot_list *list);

#endif
