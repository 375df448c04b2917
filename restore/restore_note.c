#include "restore/restore_note.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"

void restore_note_add(struct restore_note *n, enum restore_note_kind kind, const char *fmt, ...)
{
	n->count++;
	if (n->fn == NULL)
		return;
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is good enough for a note */
	va_end(ap);
	n->fn(n->arg, kind, n->key, n->key_len, text);
}

const char *restore_note_path(
	const uint8_t *key, size_t len, char out[static RESTORE_NOTE_PATH_BYTES])
{
	char raw[RESTORE_NOTE_PATH_BYTES];
	size_t n = len < sizeof(raw) ? len : sizeof(raw);
	for (size_t i = 0; i < n; i++)
		raw[i] = key[i] == 0 ? '/' : (char)key[i];
	if (n == 0)
		raw[n++] = '.';                                  /* the target directory itself */
	(void)escape_text(out, RESTORE_NOTE_PATH_BYTES, raw, n); /* the length is not needed */
	return out;
}
