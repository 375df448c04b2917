#include "conf/conf_tell.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/human.h"
#include "conf/conf.h"
#include "conf/conf_problems.h"
#include "conf/conf_suggest.h"

#define PATH_BYTES 160 /* "plan.systems[3].checks[1]" in messages; a longer one is cut */
#define FOUND_BYTES 96 /* what stands there */
#define SHOWN_BYTES 64 /* of a text */

/*
 * INVARIANTS
 * (1) The text of a CONF_STRING is never shown: what it says, such as a password in a conninfo, is
 *     not for a log.  What is chosen from words or measured in a unit is.
 */

/* Where a setting stands: "plan.systems[3].rto"; "" for the file itself. */
static void format_path(const config_setting_t *s, char out[PATH_BYTES])
{
	out[0] = '\0';
	if (s == NULL || config_setting_is_root(s))
		return;
	char above[PATH_BYTES];
	format_path(config_setting_parent(s), above);
	const char *name = config_setting_name(s);
	int n = name != NULL ? snprintf(out, PATH_BYTES, "%s%s%s", above,
				       above[0] == '\0' ? "" : ".", name)
			     : snprintf(out, PATH_BYTES, "%s[%d]", above, config_setting_index(s));
	if (n >= PATH_BYTES)
		memcpy(out + PATH_BYTES - 3, "..", 3);
}

static void format_range(const struct conf_option *o, const char *what, char out[PATH_BYTES])
{
	if (o->max != 0)
		(void)snprintf(out, PATH_BYTES, "%s from %" PRId64 " to %" PRId64, what, o->min,
			o->max); /* fits */
	else if (o->min != 0)
		(void)snprintf(out, PATH_BYTES, "%s of at least %" PRId64, what, o->min); /* fits */
	else
		(void)snprintf(out, PATH_BYTES, "%s", what); /* fits */
}

static void format_list(const struct conf_option *o, const char *what, char out[PATH_BYTES])
{
	int64_t max = o->max != 0 ? o->max : CONF_MAX_MEMBERS;
	if (o->max == 0 && o->min == 0)
		(void)snprintf(out, PATH_BYTES, "%s", what); /* fits */
	else
		(void)snprintf(out, PATH_BYTES, "%s, with %" PRId64 " to %" PRId64 " members", what,
			o->min, max); /* fits */
}

static void format_words(const struct conf_option *o, char out[PATH_BYTES])
{
	size_t used = (size_t)snprintf(out, PATH_BYTES, "one of"); /* fits */
	for (size_t i = 0; o->words[i] != NULL && used < PATH_BYTES; i++)
		used += (size_t)snprintf(out + used, PATH_BYTES - used, "%s \"%s\"",
			i == 0 ? "" : ",", o->words[i]); /* a long list is cut */
}

static void format_expected(const struct conf_option *o, char out[PATH_BYTES])
{
	char low[HUMAN_BYTES];
	char high[HUMAN_BYTES];
	switch (o->type) {
	case CONF_STRING:
		if (o->max != 0)
			(void)snprintf(out, PATH_BYTES,
				"a text in quotes of %" PRId64 " to %" PRId64 " bytes",
				o->min > 0 ? o->min : 1, o->max); /* fits */
		else
			(void)snprintf(out, PATH_BYTES, "a text in quotes"); /* fits */
		break;
	case CONF_WORD:
		format_words(o, out);
		break;
	case CONF_INT:
		format_range(o, "a whole number", out);
		break;
	case CONF_BOOL:
		(void)snprintf(out, PATH_BYTES, "true or false"); /* fits */
		break;
	case CONF_DURATION:
		if (o->max != 0)
			(void)snprintf(out, PATH_BYTES,
				"a duration such as \"90s\", \"10m\" or \"4h\", from %s to %s",
				human_duration(low, o->min),
				human_duration(high, o->max)); /* fits */
		else
			(void)snprintf(out, PATH_BYTES,
				"a duration such as \"90s\", \"10m\" or \"4h\""); /* fits */
		break;
	case CONF_SIZE:
		format_range(o, "a size such as \"64KiB\" or \"2G\", in bytes", out);
		break;
	case CONF_STRINGS:
		format_list(o, "a list of texts: [ \"a\", \"b\" ]", out);
		break;
	case CONF_GROUP:
		(void)snprintf(out, PATH_BYTES, "a group: { key = value; }"); /* fits */
		break;
	case CONF_GROUPS:
		format_list(o, "a list of groups: ( { key = value; } )", out);
		break;
	}
}

static void format_text_found(const char *text, const struct conf_option *o, char out[FOUND_BYTES])
{
	size_t len = strlen(text);
	bool is_measured = o->type == CONF_WORD || o->type == CONF_DURATION ||
			   o->type == CONF_SIZE || o->type == CONF_INT || o->type == CONF_BOOL;
	if (len == 0)
		(void)snprintf(out, FOUND_BYTES, "an empty text"); /* fits, as all here */
	else if (is_measured)
		(void)snprintf(out, FOUND_BYTES, "\"%.*s\"%s", SHOWN_BYTES, text,
			len > SHOWN_BYTES ? ".." : "");
	else if (o->type == CONF_STRING)
		(void)snprintf(out, FOUND_BYTES, "a text of %zu bytes", len);
	else
		(void)snprintf(out, FOUND_BYTES, "a text");
}

static void format_found(
	const config_setting_t *s, const struct conf_option *o, char out[FOUND_BYTES])
{
	int members = config_setting_length(s);
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING:
		format_text_found(config_setting_get_string(s), o, out);
		break;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		(void)snprintf(out, FOUND_BYTES, "%lld", config_setting_get_int64(s)); /* fits */
		break;
	case CONFIG_TYPE_FLOAT:
		(void)snprintf(out, FOUND_BYTES, "%g", config_setting_get_float(s)); /* fits */
		break;
	case CONFIG_TYPE_BOOL:
		(void)snprintf(out, FOUND_BYTES, "%s",
			config_setting_get_bool(s) != 0 ? "true" : "false"); /* fits */
		break;
	case CONFIG_TYPE_GROUP:
		(void)snprintf(out, FOUND_BYTES, "a group"); /* fits */
		break;
	default:
		(void)snprintf(out, FOUND_BYTES, "a list of %d member%s", members,
			members == 1 ? "" : "s"); /* fits */
		break;
	}
}

void conf_tell_wrong(
	const config_setting_t *s, const struct conf_option *o, struct conf_problems *problems)
{
	char path[PATH_BYTES];
	char expected[PATH_BYTES];
	char found[FOUND_BYTES];
	format_path(s, path);
	format_expected(o, expected);
	format_found(s, o, found);
	conf_problems_add(problems, CONF_ERROR, (int)config_setting_source_line(s),
		"unable to use '%s': found %s, expected %s%s%s", path, found, expected,
		o->help != NULL ? "; " : "", o->help != NULL ? o->help : "");
}

void conf_tell_missing(
	const config_setting_t *group, const struct conf_option *o, struct conf_problems *problems)
{
	char path[PATH_BYTES];
	char expected[PATH_BYTES];
	int line = (int)config_setting_source_line(group);
	format_path(group, path);
	format_expected(o, expected);
	conf_problems_add(problems, CONF_ERROR, line < 1 ? 1 : line,
		"'%s' is missing%s%s%s: expected %s%s%s", o->key, path[0] == '\0' ? "" : " in '",
		path, path[0] == '\0' ? "" : "'", expected, o->help != NULL ? "; " : "",
		o->help != NULL ? o->help : "");
}

void conf_tell_unknown(
	const config_setting_t *s, const struct conf_option *table, struct conf_problems *problems)
{
	char path[PATH_BYTES];
	const char *name = config_setting_name(s);
	const char *nearest = NULL;
	format_path(config_setting_parent(s), path);
	for (const struct conf_option *o = table; o->key != NULL; o++) {
		if (conf_suggest_is_near(name, o->key) &&
			(nearest == NULL || conf_suggest_distance(name, o->key) <
						    conf_suggest_distance(name, nearest)))
			nearest = o->key;
	}
	conf_problems_add(problems, CONF_ERROR, (int)config_setting_source_line(s),
		"unknown key '%.64s'%s%s%s%s%s%s", name, path[0] == '\0' ? "" : " in '", path,
		path[0] == '\0' ? "" : "'", nearest != NULL ? "; did you mean '" : "",
		nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
}

void conf_tell_wrong_text(const config_setting_t *s, const struct conf_option *o, const char *text,
	struct conf_problems *problems)
{
	for (size_t i = 0; o->type == CONF_WORD && text != NULL && o->words[i] != NULL; i++) {
		if (!conf_suggest_is_near(text, o->words[i]))
			continue;
		char path[PATH_BYTES];
		format_path(s, path);
		conf_problems_add(problems, CONF_ERROR, (int)config_setting_source_line(s),
			"unable to use '%s': unknown word \"%.64s\"; did you mean \"%s\"?", path,
			text, o->words[i]);
		return;
	}
	conf_tell_wrong(s, o, problems);
}
