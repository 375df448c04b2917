/*
 * conf: configuration files, read through one table of options.
 * The caller describes a file with nested tables of struct conf_option; conf reads the file and
 * tells everything that does not fit, at once, with line, expectation and the nearest known word.
 * Hides: the parser library (libconfig syntax), its types and its habits.
 * Threading: a struct conf does not change after it was made; share it as you like.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct conf_node;
struct conf_problems;
struct err;

#define CONF_MAX_BYTES (1u << 20) /* of one file */
#define CONF_MAX_TEXT 4096        /* bytes of a text, unless its option says otherwise */
#define CONF_MAX_MEMBERS 1024     /* of a list, unless its option says otherwise */

enum conf_type {
	CONF_STRING,   /* "text", 1 byte or more unless min says otherwise */
	CONF_WORD,     /* one of a few words; its number is the index in words */
	CONF_INT,      /* a whole number */
	CONF_BOOL,     /* true or false */
	CONF_DURATION, /* "10m", "1h30m"; its number is nanoseconds */
	CONF_SIZE,     /* "64KiB"; its number is bytes */
	CONF_STRINGS,  /* [ "a", "b" ] */
	CONF_GROUP,    /* { key = value; } */
	CONF_GROUPS,   /* ( { .. }, { .. } ) */
};

/* One row of a table; a table ends with a row whose key is NULL. */
struct conf_option {
	const char *key;
	enum conf_type type;
	bool is_required;
	/* the value of a number, bytes of a text, members of a list; max 0 = the type's own limit
	 */
	int64_t min;
	int64_t max;
	const char *const *words;          /* CONF_WORD: ends with NULL */
	const struct conf_option *members; /* CONF_GROUP, CONF_GROUPS */
	const char *fallback;              /* a scalar's default, written as text; NULL = none */
	const char *help;                  /* what it means: shown when it is missing or wrong */
};

/**
 * conf_load(path, table, out, problems, err):
 * Read the file ${path} by ${table} (borrowed, must outlive *${out}).  Warnings and errors go to
 * ${problems} (initialised by the caller, who ends it).  Return 0 and an owned *${out} only when
 * nothing is wrong; else -ERR_CONFIG (see ${problems}), -ERR_NOT_FOUND, -ERR_LIMIT (too long),
 * -ERR_IO or -ERR_NOMEM.
 */
int conf_load(const char *path, const struct conf_option *table, struct conf **out,
	struct conf_problems *problems, struct err *err);

/**
 * conf_parse(name, text, len, table, out, problems, err):
 * The same for ${len} bytes in memory called ${name} in messages, but go on when members do not
 * fit the table: then *${out} holds what does fit, the rest reads as absent, and ${problems} has
 * errors.  For a caller that has checks of its own and wants to tell everything at once; it must
 * ask conf_problems_has_errors() before it uses anything.  Return 0, -ERR_CONFIG (not well-formed:
 * nothing to go on with), -ERR_LIMIT or -ERR_NOMEM.
 */
int conf_parse(const char *name, const char *text, size_t len, const struct conf_option *table,
	struct conf **out, struct conf_problems *problems, struct err *err);

void conf_free(struct conf *c);

/* The file as a group; borrowed until conf_free(), as everything below. */
const struct conf_node *conf_root(const struct conf *c);

/*
 * Members of a group (conf_root(), conf_group() or conf_item() of CONF_GROUPS).  ${key} must be in
 * the group's table and of a fitting type: anything else is a bug of the caller.
 */

/* Return true if the member has a value: from the file or by default. */
bool conf_has(const struct conf_node *group, const char *key);

/* Line of the member, or of the group when the member is not in the file. */
int conf_line(const struct conf_node *group, const char *key);

/* CONF_STRING and CONF_WORD; NULL when it has no value. */
const char *conf_text(const struct conf_node *group, const char *key);

/* CONF_INT, CONF_BOOL (0, 1), CONF_DURATION (ns), CONF_SIZE, CONF_WORD (index); else ${other}. */
int64_t conf_number(const struct conf_node *group, const char *key, int64_t other);

/* CONF_GROUP; NULL when it has no value. */
const struct conf_node *conf_group(const struct conf_node *group, const char *key);

/* Number of members of CONF_STRINGS or CONF_GROUPS; 0 when it has no value. */
size_t conf_count(const struct conf_node *group, const char *key);

/* Member ${index} (< conf_count()) of CONF_GROUPS, or of CONF_STRINGS as text. */
const struct conf_node *conf_item(const struct conf_node *group, const char *key, size_t index);
const char *conf_item_text(const struct conf_node *group, const char *key, size_t index);
int conf_item_line(const struct conf_node *group, const char *key, size_t index);

/* Line a group begins in. */
int conf_node_line(const struct conf_node *group);

#endif
