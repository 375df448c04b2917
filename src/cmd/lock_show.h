/*
 * lock_show: how well a vault's objects are locked, for people and programs.
 */
#ifndef CMD_LOCK_SHOW_H
#define CMD_LOCK_SHOW_H

#include <jansson.h>

struct console;
struct lock_keep_result;
struct store;

/* A new object; NULL = out of memory. */
json_t *lock_show_json(const struct store *s, const struct lock_keep_result *r);
/* Lines that begin with ${head}, as wide as those of 'vault info'. */
void lock_show_text(struct console *c, const char *head, const struct lock_keep_result *r);
/* Warn of what is not as it should be. */
void lock_show_warn(struct console *c, const struct lock_keep_result *r);

#endif
