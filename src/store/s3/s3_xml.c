#include "store/s3/s3_xml.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) at never passes end; nothing behind end is read.
 * (2) path holds the names of the open elements, joined by '/'; depth counts them.
 */

#define MAX_CODE_POINT 0x10ffffu

struct walker {
	const char *start, *at, *end;
	char path[S3_XML_MAX_PATH_BYTES];
	size_t path_len;
	unsigned depth;
	bool is_leaf; /* no element was closed since the last one was opened */
	struct buf text;
	s3_xml_fn fn;
	void *arg;
	struct err *err;
};

static int broken(const struct walker *w, const char *why)
{
	return err_set(
		w->err, ERR_CORRUPT, "broken XML at byte %zu: %s", (size_t)(w->at - w->start), why);
}

static bool is_next(const struct walker *w, const char *text)
{
	size_t len = strlen(text);
	return (size_t)(w->end - w->at) >= len && memcmp(w->at, text, len) == 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct walker *w)
{
	while (w->at < w->end && is_blank(*w->at))
		w->at++;
}

/* Skip what begins here with ${opening} and ends with ${closing}. */
static int skip_until(struct walker *w, const char *opening, const char *closing)
{
	w->at += strlen(opening);
	while (w->at < w->end && !is_next(w, closing))
		w->at++;
	if (w->at == w->end)
		return broken(w, "it ends too early");
	w->at += strlen(closing);
	return 0;
}

static bool is_name_char(char c, bool is_first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_')
		return true;
	return !is_first && ((c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':');
}

/* The local part of the name that is next; its length, or an error. */
static int take_name(struct walker *w, const char **name, size_t *len)
{
	const char *from = w->at;
	while (w->at < w->end && is_name_char(*w->at, w->at == from))
		w->at++;
	if (w->at == from)
		return broken(w, "a name is missing");
	for (const char *p = from; p < w->at; p++) {
		if (*p == ':')
			from = p + 1;
	}
	if (from == w->at)
		return broken(w, "a name is missing");
	*name = from;
	*len = (size_t)(w->at - from);
	return 0;
}

static int skip_attribute(struct walker *w)
{
	const char *name = NULL;
	size_t len = 0;
	int rc = take_name(w, &name, &len);
	if (rc != 0)
		return rc;
	skip_blanks(w);
	if (!is_next(w, "="))
		return broken(w, "an attribute without a value");
	w->at++;
	skip_blanks(w);
	if (w->at == w->end || (*w->at != '"' && *w->at != '\''))
		return broken(w, "an attribute without quotes");
	char quote = *w->at++;
	while (w->at < w->end && *w->at != quote && *w->at != '<')
		w->at++;
	if (w->at == w->end || *w->at != quote)
		return broken(w, "an attribute without its end");
	w->at++;
	return 0;
}

static int add_code_point(struct walker *w, uint32_t c)
{
	uint8_t utf8[4];
	size_t len = 0;
	if (c < 0x80) {
		utf8[len++] = (uint8_t)c;
	} else if (c < 0x800) {
		utf8[len++] = (uint8_t)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		utf8[len++] = (uint8_t)(0xe0 | c >> 12);
		utf8[len++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	} else {
		utf8[len++] = (uint8_t)(0xf0 | c >> 18);
		utf8[len++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		utf8[len++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		utf8[len++] = (uint8_t)(0x80 | (c & 0x3f));
	return buf_add(&w->text, utf8, len, w->err);
}

/* "&#10;" or "&#xA;", at the '#'. */
static int take_number(struct walker *w)
{
	w->at++;
	bool is_hex = is_next(w, "x");
	w->at += is_hex ? 1 : 0;
	uint32_t c = 0;
	unsigned digits = 0;
	for (; w->at < w->end && *w->at != ';'; w->at++, digits++) {
		char d = *w->at;
		uint32_t value = d >= '0' && d <= '9'             ? (uint32_t)(d - '0')
				 : is_hex && d >= 'a' && d <= 'f' ? (uint32_t)(d - 'a' + 10)
				 : is_hex && d >= 'A' && d <= 'F' ? (uint32_t)(d - 'A' + 10)
								  : 16;
		if (value == 16 || digits > 7)
			return broken(w, "a broken character number");
		c = c * (is_hex ? 16 : 10) + value;
	}
	if (w->at == w->end || digits == 0 || c == 0 || c > MAX_CODE_POINT ||
		(c >= 0xd800 && c <= 0xdfff))
		return broken(w, "a broken character number");
	w->at++;
	return add_code_point(w, c);
}

static int take_entity(struct walker *w)
{
	static const struct {
		const char *text;
		char c;
	} known[] = { { "amp;", '&' }, { "lt;", '<' }, { "gt;", '>' }, { "quot;", '"' },
		{ "apos;", '\'' } };
	w->at++;
	if (is_next(w, "#"))
		return take_number(w);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (is_next(w, known[i].text)) {
			w->at += strlen(known[i].text);
			return buf_add8(&w->text, (uint8_t)known[i].c, w->err);
		}
	}
	return broken(w, "an unknown entity");
}

static int take_text(struct walker *w)
{
	const char *from = w->at;
	while (w->at < w->end && *w->at != '<' && *w->at != '&' && *w->at != '\0')
		w->at++;
	if (w->at < w->end && *w->at == '\0')
		return broken(w, "a zero byte");
	int rc = buf_add(&w->text, from, (size_t)(w->at - from), w->err);
	return rc == 0 && is_next(w, "&") ? take_entity(w) : rc;
}

static int take_cdata(struct walker *w)
{
	const char *from = w->at + strlen("<![CDATA[");
	int rc = skip_until(w, "<![CDATA[", "]]>");
	if (rc != 0)
		return rc;
	size_t len = (size_t)(w->at - from) - strlen("]]>");
	if (memchr(from, '\0', len) != NULL)
		return broken(w, "a zero byte");
	return buf_add(&w->text, from, len, w->err);
}

/* Tell about the innermost element and leave it. */
static int leave(struct walker *w)
{
	if (!w->is_leaf)
		buf_clear(&w->text);
	const char *text = buf_cstr(&w->text);
	if (text == NULL)
		return err_set(w->err, ERR_NOMEM, "out of memory");
	int rc = w->fn(w->arg, w->path, text, w->text.len, w->err);
	buf_clear(&w->text);
	w->is_leaf = false;
	w->depth--;
	while (w->path_len > 0 && w->path[w->path_len - 1] != '/')
		w->path_len--;
	if (w->path_len > 0)
		w->path_len--;
	w->path[w->path_len] = '\0';
	return rc;
}

static int enter(struct walker *w)
{
	const char *name = NULL;
	size_t len = 0;
	w->at++;
	int rc = take_name(w, &name, &len);
	if (rc != 0)
		return rc;
	if (w->depth == S3_XML_MAX_DEPTH || len + 2 > sizeof(w->path) - w->path_len)
		return broken(w, "it is nested too deeply");
	if (w->depth > 0)
		w->path[w->path_len++] = '/';
	memcpy(w->path + w->path_len, name, len);
	w->path_len += len;
	w->path[w->path_len] = '\0';
	w->depth++;
	w->is_leaf = true;
	buf_clear(&w->text);
	for (skip_blanks(w); w->at < w->end && is_name_char(*w->at, true); skip_blanks(w)) {
		if ((rc = skip_attribute(w)) != 0)
			return rc;
	}
	bool is_empty = is_next(w, "/>");
	if (!is_empty && !is_next(w, ">"))
		return broken(w, "a tag without its end");
	w->at += is_empty ? 2 : 1;
	return is_empty ? leave(w) : 0;
}

static int close_tag(struct walker *w)
{
	const char *name = NULL;
	size_t len = 0;
	w->at += 2;
	int rc = take_name(w, &name, &len);
	if (rc != 0)
		return rc;
	size_t own = 0;
	while (own < w->path_len && w->path[w->path_len - own - 1] != '/')
		own++;
	if (own != len || memcmp(w->path + w->path_len - own, name, len) != 0)
		return broken(w, "the end of another element");
	skip_blanks(w);
	if (!is_next(w, ">"))
		return broken(w, "a tag without its end");
	w->at++;
	return leave(w);
}

/* What may stand before, between and behind elements. */
static int skip_outside(struct walker *w, bool *is_over)
{
	skip_blanks(w);
	*is_over = false;
	if (is_next(w, "<?"))
		return skip_until(w, "<?", "?>");
	if (is_next(w, "<!--"))
		return skip_until(w, "<!--", "-->");
	*is_over = true;
	return 0;
}

static int step_inside(struct walker *w)
{
	if (w->at == w->end)
		return broken(w, "it ends too early");
	if (is_next(w, "<?"))
		return skip_until(w, "<?", "?>");
	if (is_next(w, "<!--"))
		return skip_until(w, "<!--", "-->");
	if (is_next(w, "<![CDATA["))
		return take_cdata(w);
	if (is_next(w, "</"))
		return close_tag(w);
	return *w->at == '<' ? enter(w) : take_text(w);
}

int s3_xml_walk(const void *data, size_t len, s3_xml_fn fn, void *arg, struct err *err)
{
	struct walker w = { .start = data, .at = data, .fn = fn, .arg = arg, .err = err };
	w.end = w.at + len;
	w.text = (struct buf)BUF_INIT(S3_XML_MAX_TEXT_BYTES);
	bool is_over = false;
	int rc = 0;
	if (is_next(&w, "\xef\xbb\xbf"))
		w.at += 3;
	while (rc == 0 && !is_over)
		rc = skip_outside(&w, &is_over);
	if (rc == 0 && !is_next(&w, "<"))
		rc = broken(&w, "there is no element");
	if (rc == 0)
		rc = enter(&w);
	while (rc == 0 && w.depth > 0)
		rc = step_inside(&w);
	is_over = false;
	while (rc == 0 && !is_over)
		rc = skip_outside(&w, &is_over);
	if (rc == 0 && w.at != w.end)
		rc = broken(&w, "something comes behind its end");
	buf_done(&w.text);
	return rc;
}
