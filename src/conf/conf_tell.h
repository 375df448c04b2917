/*
 * conf_tell: the sentences about settings that do not fit their table.  Inside this room only: it
 * speaks the parser library's types, which nobody else sees.
 */
#ifndef CONF_CONF_TELL_H
#define CONF_CONF_TELL_H

#include <libconfig.h>

struct conf_option;
struct conf_problems;

/* The setting ${s} is not what ${o} wants, wrong type or out of range: what it is and should be. */
void conf_tell_wrong(
	const config_setting_t *s, const struct conf_option *o, struct conf_problems *problems);

/* The same when it is a text (NULL = it is not): a slip in a known word gets a suggestion. */
void conf_tell_wrong_text(const config_setting_t *s, const struct conf_option *o, const char *text,
	struct conf_problems *problems);

/* ${group} lacks ${o}. */
void conf_tell_missing(
	const config_setting_t *group, const struct conf_option *o, struct conf_problems *problems);

/* ${s} is in no row of ${table}. */
void conf_tell_unknown(
	const config_setting_t *s, const struct conf_option *table, struct conf_problems *problems);

#endif
