#include "conf/conf.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "base/human.h"
#include "conf/conf_problems.h"
#include "conf/conf_scan.h"
#include "conf/conf_tell.h"

/*
 * INVARIANTS
 * (1) A group's items run parallel to its table; a list's items are its members that fit.
 * (2) has_value is set only for a value that passed every check of its option.
 * (3) No byte reaches the parser that conf_scan_check() has not passed.
 * (4) The tree is as deep as the table, so recursion over it is bounded by the table.
 */

struct conf_node {
	const struct conf_option *table; /* of a group; NULL for anything else */
	int line;                        /* 0 = not in the file */
	bool has_value;
	char *text;     /* owned */
	int64_t number; /* see conf_number() */
	struct conf_node *items;
	size_t count;
};

struct conf {
	struct conf_node root;
};

/* ---- the tree -------------------------------------------------------------------------------- */

static void node_done(struct conf_node *n)
{
	for (size_t i = 0; i < n->count; i++)
		node_done(&n->items[i]);
	free(n->items);
	free(n->text);
}

void conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	node_done(&c->root);
	free(c);
}

DEFINE_CLEANUP(struct conf *, conf_free)

static int node_make_items(struct conf_node *n, size_t count, struct err *err)
{
	n->items = calloc(count == 0 ? 1 : count, sizeof(*n->items));
	if (n->items == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	n->count = count;
	return 0;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Return true if all of ${text} can be seen: no control character, no mark that hides or turns. */
static bool is_visible(const char *text)
{
	char unit[16];
	for (size_t at = 0; text[at] != '\0';) {
		size_t bytes = 1;
		while ((text[at + bytes] & 0xc0) == 0x80)
			bytes++;
		if (bytes > 4)
			return false;
		(void)escape_text(unit, sizeof(unit), text + at, bytes); /* fits or is cut */
		if (unit[0] == '\\' && (unit[1] == 'x' || unit[1] == 'r'))
			return false;
		at += bytes;
	}
	return true;
}

static bool is_in_range(const struct conf_option *o, int64_t v)
{
	return (o->max == 0 && o->min == 0) || (v >= o->min && (o->max == 0 || v <= o->max));
}

/*
 * Read the scalar ${text} by ${o} into ${out}->number.  Return false when it is not one; texts
 * are copied by the caller.
 */
static bool read_scalar(const struct conf_option *o, const char *text, struct conf_node *out)
{
	int64_t ns;
	uint64_t bytes;
	size_t len = strlen(text);
	switch (o->type) {
	case CONF_STRING:
		return len >= (o->min > 0 ? (size_t)o->min : 1) &&
		       len <= (o->max > 0 ? (size_t)o->max : CONF_MAX_TEXT) && is_visible(text);
	case CONF_WORD:
		for (size_t i = 0; o->words[i] != NULL; i++) {
			if (strcmp(o->words[i], text) == 0) {
				out->number = (int64_t)i;
				return true;
			}
		}
		return false;
	case CONF_DURATION:
		if (human_parse_duration(text, &ns) != 0 || !is_in_range(o, ns))
			return false;
		out->number = ns;
		return true;
	case CONF_SIZE:
		if (human_parse_size(text, &bytes) != 0 || bytes > INT64_MAX ||
			!is_in_range(o, (int64_t)bytes))
			return false;
		out->number = (int64_t)bytes;
		return true;
	case CONF_INT:
		out->number = strtoll(text, NULL, 10); /* a default from the table */
		return true;
	case CONF_BOOL:
		out->number = strcmp(text, "true") == 0;
		return true;
	case CONF_STRINGS:
	case CONF_GROUP:
	case CONF_GROUPS:
		break;
	}
	return false;
}

static int keep_text(const char *text, struct conf_node *out, struct err *err)
{
	out->text = strdup(text);
	if (out->text == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	out->has_value = true;
	return 0;
}

static int fill_scalar(const config_setting_t *s, const struct conf_option *o,
	struct conf_node *out, struct conf_problems *problems, struct err *err)
{
	if (o->type == CONF_INT || o->type == CONF_BOOL) {
		int type = config_setting_type(s);
		bool fits = o->type == CONF_BOOL
				    ? type == CONFIG_TYPE_BOOL
				    : type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
		int64_t v = o->type == CONF_BOOL ? config_setting_get_bool(s)
						 : config_setting_get_int64(s);
		if (!fits || (o->type == CONF_INT && !is_in_range(o, v))) {
			conf_tell_wrong(s, o, problems);
			return 0;
		}
		out->number = v;
		out->has_value = true;
		return 0;
	}
	const char *text = config_setting_get_string(s); /* NULL when it is not a text */
	if (text == NULL || !read_scalar(o, text, out)) {
		conf_tell_wrong_text(s, o, text, problems);
		return 0;
	}
	return keep_text(text, out, err);
}

static int fill_fallback(const struct conf_option *o, struct conf_node *out, struct err *err)
{
	bool fits = read_scalar(o, o->fallback, out);
	assert(fits); /* the table's own default */
	(void)fits;   /* only asserted */
	return keep_text(o->fallback, out, err);
}

/* ---- groups and lists ------------------------------------------------------------------------ */

static int fill_group(const config_setting_t *s, const struct conf_option *table,
	struct conf_node *out, struct conf_problems *problems, struct err *err);

static bool has_fitting_length(const config_setting_t *s, const struct conf_option *o)
{
	int64_t count = config_setting_length(s);
	return count >= o->min && count <= (o->max > 0 ? o->max : CONF_MAX_MEMBERS);
}

/* CONF_STRINGS and CONF_GROUPS: members that do not fit are told and left out. */
static int fill_list(const config_setting_t *s, const struct conf_option *o, struct conf_node *out,
	struct conf_problems *problems, struct err *err)
{
	static const struct conf_option one_text = { .key = "", .type = CONF_STRING };
	static const struct conf_option one_group = { .key = "", .type = CONF_GROUP };

	bool is_list = config_setting_is_list(s) || config_setting_is_array(s);
	if (!is_list || !has_fitting_length(s, o)) {
		conf_tell_wrong(s, o, problems);
		return 0;
	}
	size_t count = (size_t)config_setting_length(s);
	int rc = node_make_items(out, count, err);
	size_t kept = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
		struct conf_node *item = &out->items[kept];
		item->line = (int)config_setting_source_line(e);
		if (o->type == CONF_STRINGS) {
			rc = fill_scalar(e, &one_text, item, problems, err);
		} else if (config_setting_is_group(e)) {
			rc = fill_group(e, o->members, item, problems, err);
		} else {
			conf_tell_wrong(e, &one_group, problems);
		}
		if (item->has_value)
			kept++;
	}
	out->count = rc == 0 ? kept : count;
	out->has_value = rc == 0;
	return rc;
}

static int fill_member(const config_setting_t *group, const struct conf_option *o,
	struct conf_node *out, struct conf_problems *problems, struct err *err)
{
	const config_setting_t *s = config_setting_get_member(group, o->key);
	if (s == NULL) {
		if (o->is_required)
			conf_tell_missing(group, o, problems);
		return o->fallback != NULL ? fill_fallback(o, out, err) : 0;
	}
	out->line = (int)config_setting_source_line(s);
	switch (o->type) {
	case CONF_GROUP:
		if (config_setting_is_group(s))
			return fill_group(s, o->members, out, problems, err);
		conf_tell_wrong(s, o, problems);
		return 0;
	case CONF_STRINGS:
	case CONF_GROUPS:
		return fill_list(s, o, out, problems, err);
	case CONF_STRING:
	case CONF_WORD:
	case CONF_INT:
	case CONF_BOOL:
	case CONF_DURATION:
	case CONF_SIZE:
		break;
	}
	return fill_scalar(s, o, out, problems, err);
}

static int fill_group(const config_setting_t *s, const struct conf_option *table,
	struct conf_node *out, struct conf_problems *problems, struct err *err)
{
	size_t count = 0;
	while (table[count].key != NULL)
		count++;
	int rc = node_make_items(out, count, err);
	if (rc != 0)
		return rc;
	out->table = table;
	out->has_value = true;

	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
		const struct conf_option *o = table;
		while (o->key != NULL && strcmp(o->key, config_setting_name(e)) != 0)
			o++;
		if (o->key == NULL)
			conf_tell_unknown(e, table, problems);
	}
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = fill_member(s, &table[i], &out->items[i], problems, err);
	return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Hand ${text} (NUL-terminated, scanned) to the parser and build the tree. */
static int build(const char *text, const struct conf_option *table, struct conf *c,
	struct conf_problems *problems, struct err *err)
{
	config_t config;
	config_init(&config);
	int rc = 0;
	if (config_read_string(&config, text) == CONFIG_TRUE) {
		c->root.line = 1;
		rc = fill_group(config_root_setting(&config), table, &c->root, problems, err);
	} else {
		conf_problems_add(problems, CONF_ERROR, config_error_line(&config),
			"%s; expected 'key = value;' settings in '{ }' groups, '( )' lists and "
			"'[ ]' arrays",
			config_error_text(&config));
		rc = conf_problems_verdict(problems, "file", err);
	}
	config_destroy(&config);
	return rc;
}

int conf_parse(const char *name, const char *text, size_t len, const struct conf_option *table,
	struct conf **out, struct conf_problems *problems, struct err *err)
{
	conf_problems_set_file(problems, name);
	if (len > CONF_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "unable to read '%s': longer than %u bytes", name,
			CONF_MAX_BYTES);
	if (!conf_scan_check(text, len, problems)) {
		conf_problems_sort(problems);
		return conf_problems_verdict(problems, "file", err);
	}
	CLEANUP(cleanup_free_p) char *copy = strndup(text, len);
	CLEANUP(conf_free_p) struct conf *c = calloc(1, sizeof(*c));
	if (copy == NULL || c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = build(copy, table, c, problems, err);
	conf_problems_sort(problems);
	if (rc == 0)
		*out = TAKE(c);
	return rc;
}

int conf_load(const char *path, const struct conf_option *table, struct conf **out,
	struct conf_problems *problems, struct err *err)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(CONF_MAX_BYTES);
	CLEANUP(conf_free_p) struct conf *c = NULL;
	int rc = fdio_read_file(AT_FDCWD, path, &bytes, err);
	if (rc == 0)
		rc = conf_parse(path, bytes.len > 0 ? (const char *)bytes.data : "", bytes.len,
			table, &c, problems, err);
	if (rc == 0)
		rc = conf_problems_verdict(problems, "file", err);
	if (rc == 0)
		*out = TAKE(c);
	return rc;
}

/* ---- asking ---------------------------------------------------------------------------------- */

const struct conf_node *conf_root(const struct conf *c)
{
	return &c->root;
}

static const struct conf_node *find(const struct conf_node *group, const char *key)
{
	const struct conf_option *table = group->table;
	assert(table != NULL); /* not a group */
	size_t i = 0;
	while (table[i].key != NULL && strcmp(table[i].key, key) != 0)
		i++;
	assert(table[i].key != NULL); /* not in the table */
	return &group->items[i];
}

bool conf_has(const struct conf_node *group, const char *key)
{
	return find(group, key)->has_value;
}

int conf_line(const struct conf_node *group, const char *key)
{
	int line = find(group, key)->line;
	return line != 0 ? line : group->line;
}

const char *conf_text(const struct conf_node *group, const char *key)
{
	return find(group, key)->text;
}

int64_t conf_number(const struct conf_node *group, const char *key, int64_t other)
{
	const struct conf_node *n = find(group, key);
	return n->has_value ? n->number : other;
}

const struct conf_node *conf_group(const struct conf_node *group, const char *key)
{
	const struct conf_node *n = find(group, key);
	return n->has_value ? n : NULL;
}

size_t conf_count(const struct conf_node *group, const char *key)
{
	const struct conf_node *n = find(group, key);
	return n->has_value ? n->count : 0;
}

const struct conf_node *conf_item(const struct conf_node *group, const char *key, size_t index)
{
	const struct conf_node *n = find(group, key);
	assert(index < n->count);
	return &n->items[index];
}

const char *conf_item_text(const struct conf_node *group, const char *key, size_t index)
{
	return conf_item(group, key, index)->text;
}

int conf_item_line(const struct conf_node *group, const char *key, size_t index)
{
	return conf_item(group, key, index)->line;
}

int conf_node_line(const struct conf_node *group)
{
	return group->line;
}
