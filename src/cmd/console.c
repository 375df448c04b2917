#include "cmd/console.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "codec/jsonx.h"

/*
 * INVARIANTS
 * (1) No byte of a name reaches a terminal unescaped.
 * (2) The progress line is gone before anything else is written.
 */

#define TEXT_BYTES 4096
#define OBJECT_MAX_BYTES ((size_t)256 << 20)

void console_init(struct console *c)
{
	memset(c, 0, sizeof(*c));
	c->json = stdout;
	progress_init(&c->progress, false, true);
}

void console_print(struct console *c, const char *fmt, ...)
{
	if (c->is_json)
		return;
	progress_clear(&c->progress);
	va_list ap;
	va_start(ap, fmt);
	(void)vprintf(fmt, ap); /* console_flush() tells */
	va_end(ap);
}

void console_print_name(struct console *c, const char *name, size_t len)
{
	if (c->is_json)
		return;
	size_t size = 4 * len + 1;
	CLEANUP(cleanup_free_p) char *safe = malloc(size);
	if (safe == NULL)
		return; /* out of memory: the next allocation that matters tells */
	(void)escape_text(safe, size, name, len); /* there is room for every byte as \xHH */
	(void)fputs(safe, stdout);                /* console_flush() tells */
}

void console_count(struct console *c, uint64_t n, const char *one, const char *many)
{
	console_print(c, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
}

bool console_is_chatty(const struct console *c)
{
	return !c->is_json && !c->is_quiet;
}

void console_note(struct console *c, const char *fmt, ...)
{
	if (!console_is_chatty(c))
		return;
	progress_clear(&c->progress);
	va_list ap;
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap); /* nobody left to tell */
	va_end(ap);
	(void)fputc('\n', stderr); /* as above */
}

static json_t *safe_string(const char *text)
{
	char safe[4 * ERR_MSG_BYTES];
	if (escape_is_utf8(text, strlen(text)))
		return json_string(text);
	(void)escape_str(safe, sizeof(safe), text); /* cut is fine */
	return json_string(safe);
}

void console_warn(struct console *c, const char *path, size_t path_len, const char *fmt, ...)
{
	char text[TEXT_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
	va_end(ap);
	c->warnings++;
	progress_clear(&c->progress);
	if (c->is_json) {
		json_t *object = json_object();
		(void)json_object_set_new(
			object, "message", safe_string(text)); /* NULL: no memory */
		if (path != NULL)
			(void)json_object_set_new(object, "path", jsonx_name(path, path_len));
		(void)console_object(c, "warning", "warning", object); /* console_flush() tells */
		return;
	}
	char safe[2 * TEXT_BYTES];
	(void)escape_str(safe, sizeof(safe), text); /* cut is fine */
	if (path == NULL) {
		(void)fprintf(stderr, "holdfast: warning: %s\n", safe); /* nobody left to tell */
		return;
	}
	char name[2 * TEXT_BYTES];
	(void)escape_text(name, sizeof(name), path, path_len);              /* cut is fine */
	(void)fprintf(stderr, "holdfast: warning: '%s': %s\n", name, safe); /* as above */
}

int console_object(struct console *c, const char *name, const char *type, json_t *take)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(OBJECT_MAX_BYTES);
	char schema[128];
	(void)snprintf(schema, sizeof(schema), CONSOLE_SCHEMA_PREFIX "%s/1", name); /* fits */
	int rc = take == NULL ? -1 : json_object_set_new(take, "schema", json_string(schema));
	if (rc == 0 && type != NULL)
		rc = json_object_set_new(take, "message_type", json_string(type));
	if (rc == 0)
		rc = jsonx_encode(take, &out, NULL);
	json_decref(take);
	if (rc != 0)
		return -1;
	progress_clear(&c->progress);
	(void)fwrite(out.data, 1, out.len, c->json); /* console_flush() tells */
	(void)fputc('\n', c->json);                  /* as above */
	if (type != NULL)
		(void)fflush(c->json); /* a stream is read while it grows */
	return 0;
}

void console_error(struct console *c, const struct err *err, int exit_status)
{
	progress_clear(&c->progress);
	if (c->is_json) {
		json_t *object = json_object();
		(void)json_object_set_new(object, "id", json_string(err_id(err->code)));
		(void)json_object_set_new(object, "message", safe_string(err->msg));
		if (err->hint[0] != '\0')
			(void)json_object_set_new(object, "hint", safe_string(err->hint));
		(void)json_object_set_new(object, "exit_status", json_integer(exit_status));
		(void)console_object(c, "error", "error", object); /* the text follows anyway */
	}
	char safe[4 * ERR_MSG_BYTES];
	(void)escape_str(safe, sizeof(safe), err->msg); /* cut is fine */
	(void)fprintf(stderr, "holdfast: %s\n", safe);  /* nobody left to tell */
	if (err->hint[0] == '\0')
		return;
	(void)escape_str(safe, sizeof(safe), err->hint);
	(void)fprintf(stderr, "hint: %s\n", safe); /* as above */
}

bool console_is_broken(void)
{
	return ferror(stdout) != 0;
}

int console_flush(struct console *c)
{
	progress_clear(&c->progress);
	errno = 0;
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return 0;
	return errno != 0 ? errno
			  : EPIPE; /* seen before: the reader had gone or the disk was full */
}
