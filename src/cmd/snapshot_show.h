/*
 * snapshot_show: what a snapshot's record and label say, for people and for programs.
 */
#ifndef CMD_SNAPSHOT_SHOW_H
#define CMD_SNAPSHOT_SHOW_H

#include <jansson.h>

struct console;
struct snapshot;

/* What lists show of a snapshot, as a new JSON object; NULL = no memory. */
json_t *snapshot_show_object(const struct snapshot *s);

/* Everything else the record says, added to ${o}. */
void snapshot_show_record(json_t *o, const struct snapshot *s);

/* How wide the columns of names are, in characters. */
struct snapshot_show_columns {
	int source, host;
};

#define SNAPSHOT_SHOW_COLUMNS_INIT                                                                 \
	{                                                                                          \
		.source = 12, .host = 8                                                            \
	}

/* Widen ${columns} for the names of ${s}, but not without limit. */
void snapshot_show_fit(struct snapshot_show_columns *columns, const struct snapshot *s);

/* The head of the table, and one line of it. */
void snapshot_show_head(struct console *c, const struct snapshot_show_columns *columns);
void snapshot_show_line(
	struct console *c, const struct snapshot_show_columns *columns, const struct snapshot *s);

/* All of it as lines "name  value". */
void snapshot_show_text(struct console *c, const struct snapshot *s);

#endif
