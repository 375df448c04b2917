/*
 * entry_show: one entry of a snapshot for people and for programs.
 */
#ifndef CMD_ENTRY_SHOW_H
#define CMD_ENTRY_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console;
struct entry;
struct entry_time;

#define ENTRY_SHOW_TIME_BYTES 64

/* "file", "dir", "symlink", "fifo", "char", "block". */
const char *entry_show_kind(const struct entry *e);

/* RFC 3339 in UTC with nanoseconds, any year.  Return ${out}. */
const char *entry_show_time(const struct entry_time *t, char out[ENTRY_SHOW_TIME_BYTES]);

/* The entry as a new JSON object; NULL = no memory. */
json_t *entry_show_object(const uint8_t *key, size_t key_len, const struct entry *e);

/* A path line on the console; ${is_long}: mode, owner, size and time before it. */
void entry_show_line(
	struct console *c, const uint8_t *key, size_t key_len, const struct entry *e, bool is_long);

/* The key as a path in JSON; NULL = no memory. */
json_t *entry_show_path(const uint8_t *key, size_t key_len);

#endif
