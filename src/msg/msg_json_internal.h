/*
 * msg_json (this room only): members of one JSON object, read and written with sticky errors: the
 * first thing wrong is kept, everything after it does nothing, and the end tells.
 */
#ifndef MSG_MSG_JSON_INTERNAL_H
#define MSG_MSG_JSON_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf;

/* What may be in a text. */
enum msg_json_text {
	MSG_JSON_LINE,  /* no control character */
	MSG_JSON_LINES, /* \n and \t too */
	MSG_JSON_PEM,   /* printable ASCII and \n, begins with "-----BEGIN " */
};

/* ---- reading ---- */

struct msg_json_in {
	json_t *root;     /* owned by the outermost only */
	const json_t *at; /* the object that is read */
	const char *what; /* "hello": for errors */
	struct err *err;
	int rc;
};

/* Parse ${len} <= ${max} bytes as an object.  On failure the rest does nothing. */
void msg_json_open(struct msg_json_in *in, const void *data, size_t len, size_t max,
	const char *what, struct err *err);
/* Free; return 0 or the first error. */
int msg_json_close(struct msg_json_in *in);
/* Set the error that ${key} is wrong: "hello: 'key' ...". */
void msg_json_refuse(struct msg_json_in *in, const char *key, const char *why);

/* True if the member is there and not null. */
bool msg_json_has(const struct msg_json_in *in, const char *key);
/* A text that fits ${size} with its NUL. */
void msg_json_text(
	struct msg_json_in *in, const char *key, enum msg_json_text kind, char *out, size_t size);
/* The same, a new string; at most ${max} bytes. */
void msg_json_strdup(
	struct msg_json_in *in, const char *key, enum msg_json_text kind, size_t max, char **out);
/* A name by msg_enrol_is_name(). */
void msg_json_name(struct msg_json_in *in, const char *key, char *out, size_t size);
/* A word of [a-z0-9-]. */
void msg_json_word(struct msg_json_in *in, const char *key, char *out, size_t size);
/* An integer in ${min}..${max}. */
void msg_json_number(
	struct msg_json_in *in, const char *key, int64_t min, int64_t max, int64_t *out);
void msg_json_bool(struct msg_json_in *in, const char *key, bool *out);
/* Exactly ${len} bytes as hex; as base64. */
void msg_json_hex(struct msg_json_in *in, const char *key, uint8_t *out, size_t len);
void msg_json_fixed(struct msg_json_in *in, const char *key, uint8_t *out, size_t len);
/* 16 bytes as hex, kept as text. */
void msg_json_id(struct msg_json_in *in, const char *key, char out[33]);
/* Base64 of 1..${max} bytes, a new allocation. */
void msg_json_bytes(
	struct msg_json_in *in, const char *key, size_t max, uint8_t **out, size_t *len);
/* An array of at most ${max} members; NULL after an error. */
const json_t *msg_json_array(struct msg_json_in *in, const char *key, size_t max);
/* Read the ${i}th of ${array} as an object of its own, under ${in}'s error. */
struct msg_json_in msg_json_item(const struct msg_json_in *in, const json_t *array, size_t i);
/* Read the member ${key}, an object, likewise. */
struct msg_json_in msg_json_inner(struct msg_json_in *in, const char *key);
/* Take over what reading ${item} met. */
void msg_json_item_end(struct msg_json_in *in, const struct msg_json_in *item);

/* ---- writing ---- */

struct msg_json_out {
	json_t *at; /* owned */
	bool is_failed;
};

void msg_json_begin(struct msg_json_out *out);
/* Append the object and free it.  Return 0, -ERR_NOMEM or as buf_add(). */
int msg_json_write(struct msg_json_out *out, struct buf *to, struct err *err);
void msg_json_drop(struct msg_json_out *out);

/* A text; what may not be in it is shown escaped, and it is cut to ${size} - 1 bytes. */
void msg_json_put_text(struct msg_json_out *out, const char *key, enum msg_json_text kind,
	const char *text, size_t size);
void msg_json_put_number(struct msg_json_out *out, const char *key, int64_t value);
void msg_json_put_bool(struct msg_json_out *out, const char *key, bool value);
void msg_json_put_hex(struct msg_json_out *out, const char *key, const uint8_t *data, size_t len);
void msg_json_put_base64(struct msg_json_out *out, const char *key, const void *data, size_t len);
/* What was begun and not written: takes ${inner}. */
void msg_json_put_object(struct msg_json_out *out, const char *key, struct msg_json_out *inner);
/* An array of what was begun and not written: takes ${items}. */
void msg_json_put_array(struct msg_json_out *out, const char *key, json_t *array);
void msg_json_add_item(struct msg_json_out *out, json_t *array, struct msg_json_out *item);

#endif
