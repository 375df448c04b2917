/*
 * remote: a controller asked over its API (docs/API.md), with the token and the CA that the command
 * line names.  One thread.
 */
#ifndef CMD_REMOTE_H
#define CMD_REMOTE_H

#include <jansson.h>
#include <stdbool.h>

struct buf;
struct cli;
struct err;
struct remote;

/* True if the command line or the environment names a controller. */
bool remote_is_named(const struct cli *cli);

/* Return 0, -ERR_USAGE (what is missing), -ERR_NOT_FOUND, -ERR_AUTH (others can read the token). */
int remote_open(const struct cli *cli, struct remote **out, struct err *err);
void remote_close(struct remote *r);

/* ${path} is what follows "/api/v1/", made of words that need no escape.  *${out} is a new
 * reference.  Return 0, what the controller said, -ERR_UNREACHABLE or -ERR_AUTH. */
int remote_get(struct remote *r, const char *path, json_t **out, struct err *err);
/* Post ${take_body} (a reference that is taken, also when NULL). */
int remote_post(
	struct remote *r, const char *path, json_t *take_body, json_t **out, struct err *err);
/* The answer as it is, appended. */
int remote_bytes(struct remote *r, const char *path, struct buf *out, struct err *err);

/* The text member ${key} of an object, or "". */
const char *remote_text(const json_t *o, const char *key);
/* The number member, or 0. */
int64_t remote_number(const json_t *o, const char *key);
/* An RFC 3339 member as local time, or "-".  ${out}: HUMAN_BYTES. */
const char *remote_time(const json_t *o, const char *key, char *out);
/* Is ${text} fit to be a word of a path (letters, digits, '.', '_', '-')?  0 or -ERR_USAGE. */
int remote_check_word(const char *text, struct err *err);

#endif
