#include "restore/record_form.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/human.h"

#define RECORD_FORM_PDF_TAIL 1024 /* %%EOF stands within the last so many bytes */

static const char *find(const char *data, size_t len, const char *word)
{
	return memmem(data, len, word, strlen(word));
}

/* The last place of ${word}, or NULL. */
static const char *find_last(const char *data, size_t len, const char *word)
{
	const size_t n = strlen(word);
	for (size_t i = len >= n ? len - n + 1 : 0; i > 0; i--) {
		if (memcmp(data + i - 1, word, n) == 0)
			return data + i - 1;
	}
	return NULL;
}

const char *record_form_pdf(const char *data, size_t len)
{
	const size_t tail = len < RECORD_FORM_PDF_TAIL ? len : RECORD_FORM_PDF_TAIL;
	if (len < 8 || memcmp(data, "%PDF-", 5) != 0)
		return "it has no PDF header";
	const char *eof = find_last(data + len - tail, tail, "%%EOF");
	if (eof == NULL)
		return "its end (%%EOF) is missing";
	const char *start = find_last(data, (size_t)(eof - data), "startxref");
	if (start == NULL)
		return "it names no cross-reference table";
	uint64_t at = 0;
	const char *p = start + strlen("startxref");
	while (p < eof && isspace((unsigned char)*p))
		p++;
	const char *digits = p;
	while (p < eof && isdigit((unsigned char)*p) && at <= len)
		at = at * 10 + (uint64_t)(*p++ - '0');
	if (p == digits || at >= len)
		return "its cross-reference table lies outside the file";
	/* a table, or since PDF 1.5 an object "n n obj" with a stream */
	if (find(data + at, len - at < 64 ? len - at : 64, "xref") == data + at)
		return NULL;
	if (isdigit((unsigned char)data[at]) &&
		find(data + at, len - at < 64 ? len - at : 64, " obj") != NULL)
		return NULL;
	return "there is no cross-reference table where it says";
}

/* Walk one row from ${p}; store its values.  Return behind its end, or NULL when a quote is open.
 */
static const char *csv_row(const char *p, const char *end, size_t *values)
{
	bool is_quoted = false;
	*values = 1;
	for (; p < end; p++) {
		if (*p == '"')
			is_quoted = !is_quoted;
		else if (*p == ',' && !is_quoted)
			(*values)++;
		else if (*p == '\n' && !is_quoted)
			return p + 1;
	}
	return is_quoted ? NULL : end;
}

const char *record_form_csv(const char *data, size_t len, int64_t *rows)
{
	const char *p = data, *end = data + len;
	size_t wanted = 0;
	*rows = 0;
	if (len == 0)
		return "it is empty";
	if (memchr(data, '\0', len) != NULL)
		return "it holds zero bytes";
	if (end[-1] != '\n')
		return "its last row is cut";
	while (p < end) {
		size_t values;
		p = csv_row(p, end, &values);
		if (p == NULL)
			return "a quoted value never ends";
		if (*rows == 0)
			wanted = values;
		else if (values != wanted)
			return "a row has another number of values than the header";
		(*rows)++;
	}
	return NULL;
}

/* The time at the start of a line; false when there is none. */
static bool line_time(const char *line, size_t len, int64_t *ns)
{
	char stamp[HUMAN_BYTES];
	const char *tab = memchr(line, '\t', len);
	if (tab == NULL || (size_t)(tab - line) >= sizeof(stamp))
		return false;
	memcpy(stamp, line, (size_t)(tab - line));
	stamp[tab - line] = '\0';
	return human_parse_time(stamp, ns) == 0;
}

const char *record_form_journal(const char *data, size_t len, bool is_running, int64_t *events)
{
	int64_t last_ns = INT64_MIN;
	const char *p = data, *end = data + len, *last = NULL;
	size_t last_len = 0;
	*events = 0;
	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		int64_t ns;
		if (stop == NULL)
			return is_running ? NULL : "its last line is cut";
		if (!line_time(p, (size_t)(stop - p), &ns))
			return "a line does not begin with a time";
		if (ns < last_ns)
			return "its times go back";
		last_ns = ns;
		last = p;
		last_len = (size_t)(stop - p);
		(*events)++;
		p = stop + 1;
	}
	if (*events == 0)
		return "it holds no event";
	if (!is_running && find(last, last_len, RECORD_FORM_END) == NULL)
		return "it does not end with \"" RECORD_FORM_END "\"";
	return NULL;
}
