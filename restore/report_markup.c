#include "restore/report_markup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "restore/report_words.h"

/*
 * INVARIANTS
 * (1) Between two calls the output is well formed as far as the constants are; text never opens or
 *     closes anything.
 * (2) Once rc is not 0 nothing is written.
 */

static void add(struct report_markup *m, const char *data, size_t len)
{
	if (m->rc == 0)
		m->rc = buf_add(m->out, data, len, m->err);
}

void report_markup_raw(struct report_markup *m, const char *markup)
{
	add(m, markup, strlen(markup));
}

void report_markup_rawf(struct report_markup *m, const char *fmt, ...)
{
	CLEANUP(cleanup_free_p) char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0) {
		text = NULL;
		if (m->rc == 0)
			m->rc = err_set(m->err, ERR_NOMEM, "out of memory");
		return;
	}
	add(m, text, (size_t)len);
}

static const char *entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void report_markup_text(struct report_markup *m, const char *text)
{
	if (text == NULL || m->rc != 0)
		return;
	size_t size = strlen(text) * 4 + 1; /* \xHH is the longest a byte can become */
	CLEANUP(cleanup_free_p) char *safe = malloc(size);
	if (safe == NULL) {
		m->rc = err_set(m->err, ERR_NOMEM, "out of memory");
		return;
	}
	size_t len = escape_str(safe, size, text);
	size_t from = 0;
	for (size_t i = 0; i < len; i++) {
		const char *e = entity(safe[i]);
		if (e == NULL)
			continue;
		add(m, safe + from, i - from);
		add(m, e, strlen(e));
		from = i + 1;
	}
	add(m, safe + from, len - from);
}

void report_markup_element(struct report_markup *m, const char *tag, const char *text)
{
	report_markup_rawf(m, "<%s>", tag);
	report_markup_text(m, text);
	report_markup_rawf(m, "</%.*s>\n", (int)strcspn(tag, " "), tag);
}

void report_markup_duration(struct report_markup *m, int64_t ms)
{
	char text[REPORT_WORDS_BYTES];
	report_markup_text(m, report_words_duration(text, ms));
}

void report_markup_time(struct report_markup *m, int64_t ms)
{
	char text[REPORT_WORDS_BYTES];
	report_markup_text(m, report_words_time(text, ms));
}
