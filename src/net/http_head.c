#include "net/http_head.h"

#include <string.h>
#include <strings.h>

/*
 * INVARIANTS
 * (1) Two readers of one head must agree where its body ends: whatever RFC 9112 allows a reader to
 *     mend (bare LF, folding, white space before a colon, several lengths) is refused instead.
 * (2) Decoded text never holds a NUL: a C string is the whole value.
 */

#define LENGTH_MAX_DIGITS 15

static bool is_token_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

int http_head_scan(const uint8_t *data, size_t len, size_t *pos)
{
	size_t i = *pos;
	for (; i < len && i < HTTP_HEAD_MAX_BYTES; i++) {
		uint8_t c = data[i];
		if (c == '\n') {
			if (i == 0 || data[i - 1] != '\r')
				return -400;
			if (i == 1)
				return -400; /* an empty line where a request should begin */
			if (i >= 3 && data[i - 2] == '\n')
				return (int)(i + 1);
		} else if (i > 0 && data[i - 1] == '\r') {
			return -400;
		} else if ((c < ' ' && c != '\t' && c != '\r') || c == 0x7f) {
			return -400;
		}
	}
	*pos = i;
	return i >= HTTP_HEAD_MAX_BYTES ? -431 : 0;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decode the character at *${at} and step over it.  Return it, or -1 (bad code, control). */
static int decode_char(const char **at)
{
	const char *p = *at;
	int c = (unsigned char)*p;
	if (c == '%') {
		int high = digit_of(p[1]);
		int low = high < 0 ? -1 : digit_of(p[2]);
		if (low < 0)
			return -1;
		c = high << 4 | low;
		p += 2;
	}
	*at = p + 1;
	return c < ' ' || c == 0x7f ? -1 : c;
}

static bool is_dots(const char *segment, size_t len)
{
	return (len == 1 && segment[0] == '.') ||
	       (len == 2 && segment[0] == '.' && segment[1] == '.');
}

/* Decode in place; then no segment is empty, ".", ".." or holds an encoded '/'. */
static bool decode_path(char *path)
{
	const char *at = path;
	char *to = path;
	while (*at != '\0') {
		bool is_coded = *at == '%';
		int c = decode_char(&at);
		if (c < 0 || (is_coded && c == '/') || c == '\\')
			return false;
		*to++ = (char)c;
	}
	*to = '\0';
	for (const char *p = path; *p != '\0';) {
		const char *segment = p + 1; /* p is at a '/' */
		size_t len = strcspn(segment, "/");
		if (is_dots(segment, len) || (len == 0 && segment[0] == '/'))
			return false;
		p = segment + len;
	}
	return true;
}

static bool is_good_query(const char *query)
{
	for (const char *at = query; *at != '\0';) {
		if (decode_char(&at) < 0)
			return false;
	}
	return true;
}

static int parse_target(char *target, struct http_head *out, const char **why)
{
	if (target[0] != '/') {
		*why = "the path does not begin with '/'";
		return 400;
	}
	for (const char *p = target; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || *p == '#') {
			*why = "a character of the path must be percent-encoded";
			return 400;
		}
	}
	char *query = strchr(target, '?');
	if (query != NULL)
		*query++ = '\0';
	if (!decode_path(target) || (query != NULL && !is_good_query(query))) {
		*why = "the path has a part that is not allowed";
		return 400;
	}
	out->path = target;
	out->query = query != NULL ? query : target + strlen(target);
	return 0;
}

static int parse_request_line(char *line, struct http_head *out, const char **why)
{
	static const struct {
		const char *name;
		enum http_method method;
	} methods[] = { { "GET", HTTP_GET }, { "POST", HTTP_POST }, { "PUT", HTTP_PUT },
		{ "DELETE", HTTP_DELETE } };
	char *target = strchr(line, ' ');
	char *version = target == NULL ? NULL : strchr(target + 1, ' ');
	if (version == NULL) {
		*why = "the request line is not METHOD PATH HTTP/1.1";
		return 400;
	}
	*target++ = '\0';
	*version++ = '\0';
	if (strcmp(version, "HTTP/1.1") != 0) {
		bool is_http = strncmp(version, "HTTP/", 5) == 0 && strlen(version) == 8;
		*why = "only HTTP/1.1 is spoken here";
		return is_http ? 505 : 400;
	}
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(line, methods[i].name) == 0) {
			out->method = methods[i].method;
			return parse_target(target, out, why);
		}
	}
	*why = "only GET, POST, PUT and DELETE are known here";
	return 405;
}

/* Take apart one line; the value without the white space around it. */
static bool parse_field(char *line, struct http_head_field *out)
{
	char *colon = line;
	while (is_token_char((unsigned char)*colon))
		colon++;
	if (colon == line || *colon != ':')
		return false; /* also a folded line, and white space before the colon */
	*colon = '\0';
	char *value = colon + 1 + strspn(colon + 1, " \t");
	size_t len = strlen(value);
	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		value[--len] = '\0';
	*out = (struct http_head_field){ .name = line, .value = value };
	return true;
}

static size_t count_fields(const struct http_head *h, const char *name)
{
	size_t n = 0;
	for (size_t i = 0; i < h->field_count; i++)
		n += strcasecmp(h->fields[i].name, name) == 0 ? 1 : 0;
	return n;
}

static int parse_length(struct http_head *h, const char **why)
{
	const char *text = http_head_find(h, "Content-Length");
	bool has_coding = http_head_find(h, "Transfer-Encoding") != NULL;
	if (has_coding) {
		*why = "a body is sent with Content-Length here, not with Transfer-Encoding";
		return text != NULL ? 400 : 411;
	}
	if (text == NULL)
		return 0;
	size_t len = strlen(text);
	if (count_fields(h, "Content-Length") > 1 || len == 0 ||
		strspn(text, "0123456789") != len) {
		*why = "Content-Length must be there once and be a number";
		return 400;
	}
	if (len > LENGTH_MAX_DIGITS) {
		*why = "the body is too long";
		return 413;
	}
	for (size_t i = 0; i < len; i++)
		h->body_len = 10 * h->body_len + (uint64_t)(text[i] - '0');
	return 0;
}

/* Return true if the list ${value} names ${word}. */
static bool has_word(const char *value, const char *word)
{
	size_t len = strlen(word);
	while (*value != '\0') {
		value += strspn(value, " \t,");
		size_t n = strcspn(value, " \t,");
		if (n == len && strncasecmp(value, word, len) == 0)
			return true;
		value += n;
	}
	return false;
}

static int check_fields(struct http_head *h, const char **why)
{
	if (count_fields(h, "Host") != 1 || count_fields(h, "Authorization") > 1) {
		*why = "Host must be there once, and Authorization not twice";
		return 400;
	}
	for (size_t i = 0; i < h->field_count; i++) {
		if (strcasecmp(h->fields[i].name, "Connection") == 0 &&
			has_word(h->fields[i].value, "close"))
			h->is_last = true;
	}
	const char *expect = http_head_find(h, "Expect");
	if (expect != NULL && strcasecmp(expect, "100-continue") != 0) {
		*why = "only 100-continue can be expected";
		return 417;
	}
	h->has_expect = expect != NULL;
	return parse_length(h, why);
}

int http_head_parse(char *text, size_t len, struct http_head *out, const char **why)
{
	struct http_head h = { .path = NULL };
	char *end = text + len - 2; /* the empty line */
	bool is_first = true;
	for (char *line = text; line < end; is_first = false) {
		char *stop = memchr(line, '\r', (size_t)(end - line));
		if (stop == NULL)
			break;
		*stop = '\0';
		if (is_first) {
			int rc = parse_request_line(line, &h, why);
			if (rc != 0)
				return rc;
		} else if (h.field_count == HTTP_HEAD_MAX_FIELDS) {
			*why = "there are too many header fields";
			return 431;
		} else if (!parse_field(line, &h.fields[h.field_count++])) {
			*why = "a header field is not NAME: VALUE on one line";
			return 400;
		}
		line = stop + 2;
	}
	int rc = check_fields(&h, why);
	if (rc == 0)
		*out = h;
	return rc;
}

const char *http_head_find(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->field_count; i++) {
		if (strcasecmp(h->fields[i].name, name) == 0)
			return h->fields[i].value;
	}
	return NULL;
}

/* Decode from ${from} up to ${end} ('+' is a blank), cut to ${size}. */
static void decode_query(const char *from, const char *end, char *out, size_t size)
{
	size_t n = 0;
	while (from < end && n + 1 < size) {
		int c = *from == '+' ? ' ' : 0;
		if (c != 0)
			from++;
		else
			c = decode_char(&from); /* was checked when the head was parsed */
		out[n++] = (char)c;
	}
	out[n] = '\0';
}

bool http_head_query(const struct http_head *h, const char *name, char *out, size_t size)
{
	for (const char *p = h->query; *p != '\0';) {
		const char *end = p + strcspn(p, "&");
		const char *eq = memchr(p, '=', (size_t)(end - p));
		const char *name_end = eq == NULL ? end : eq;
		char shown[128];
		decode_query(p, name_end, shown, sizeof(shown));
		if (strcmp(shown, name) == 0) {
			decode_query(eq == NULL ? end : eq + 1, end, out, size);
			return true;
		}
		p = *end == '&' ? end + 1 : end;
	}
	return false;
}
