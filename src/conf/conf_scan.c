#include "conf/conf_scan.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "conf/conf_problems.h"

/*
 * INVARIANTS
 * (1) The refusal of @include does not depend on what this file thinks is a string or a comment:
 *     any line that begins with it is refused, since the parser's own idea might differ.
 * (2) pos only grows, so the scan is linear.
 * (3) A text never reaches the parser where the grammar has none: the parser would lose its memory.
 */

#define INCLUDE_WORD "@include"
#define NUMBER_BYTES 40 /* no number that fits is longer */

struct scan {
	const char *text;
	size_t len;
	size_t pos;
	int line;
	size_t depth;
	char open[CONF_SCAN_MAX_DEPTH]; /* the opening marks of the levels we are in */
	char last;                      /* mark before pos; 'w' = word or number, '"' = text */
	size_t parts;
	bool is_over;  /* a limit was passed: nothing more is told */
	bool is_unfit; /* must not reach the parser */
	struct conf_problems *problems;
};

/* The checks that need no knowledge of the grammar, line by line.  Return true if all is well. */
static bool check_lines(const char *text, size_t len, struct conf_problems *problems)
{
	size_t before = problems->errors;
	int line = 1;
	for (size_t at = 0; at < len; line++) {
		const char *start = text + at;
		const char *end = memchr(start, '\n', len - at);
		size_t bytes = end != NULL ? (size_t)(end - start) : len - at;
		at += bytes + 1;

		size_t blank = 0;
		while (blank < bytes && (start[blank] == ' ' || start[blank] == '\t'))
			blank++;
		if (bytes - blank >= strlen(INCLUDE_WORD) &&
			strncasecmp(start + blank, INCLUDE_WORD, strlen(INCLUDE_WORD)) == 0)
			conf_problems_add(problems, CONF_ERROR, line,
				"'%s' is not allowed: the file must be whole by itself",
				INCLUDE_WORD);

		bool has_control = false;
		for (size_t i = 0; i < bytes; i++) {
			unsigned char c = (unsigned char)start[i];
			has_control =
				has_control || (c < 0x20 && c != '\t' && c != '\r') || c == 0x7f;
		}
		if (has_control)
			conf_problems_add(problems, CONF_ERROR, line,
				"a control character is in this line; expected printable text");
		else if (!escape_is_utf8(start, bytes))
			conf_problems_add(
				problems, CONF_ERROR, line, "this line is not valid UTF-8");
	}
	return problems->errors == before;
}

static char peek(const struct scan *s, size_t ahead)
{
	return s->pos + ahead < s->len ? s->text[s->pos + ahead] : '\0';
}

static void step(struct scan *s)
{
	if (s->text[s->pos] == '\n')
		s->line++;
	s->pos++;
}

static void skip_block_comment(struct scan *s)
{
	int first = s->line;
	s->pos += 2;
	while (s->pos < s->len) {
		if (peek(s, 0) == '*' && peek(s, 1) == '/') {
			s->pos += 2;
			return;
		}
		step(s);
	}
	conf_problems_add(s->problems, CONF_ERROR, first, "this comment has no end; expected '*/'");
	s->is_unfit = true;
}

static void skip_string(struct scan *s)
{
	int first = s->line;
	s->pos++;
	while (s->pos < s->len) {
		char c = peek(s, 0);
		if (c == '"') {
			s->pos++;
			return;
		}
		if (c == '\\' && s->pos + 1 < s->len) {
			if (peek(s, 1) == 'x' && peek(s, 2) == '0' && peek(s, 3) == '0') {
				conf_problems_add(s->problems, CONF_ERROR, s->line,
					"a zero byte cannot be in a text");
				s->is_unfit = true;
			}
			s->pos++;
		}
		step(s);
	}
	conf_problems_add(s->problems, CONF_ERROR, first, "this text has no end; expected '\"'");
	s->is_unfit = true;
}

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*';
}

/* Return true for "1.5" and "1e3" (the sign of an exponent may follow); no table takes them. */
static bool is_fraction(const char *digits)
{
	const char *p = digits + strspn(digits, "+-");
	p += strspn(p, "0123456789");
	if (*p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	else if (*p != 'e' && *p != 'E')
		return false;
	if (*p == 'e' || *p == 'E')
		p += 1 + strspn(p + 1, "0123456789");
	return *p == '\0' && p[-1] != '.';
}

/* Read a number and what hangs on it.  Return false when it is longer than any that fits. */
static bool read_digits(struct scan *s, char digits[NUMBER_BYTES + 1])
{
	size_t n = 0;
	bool is_whole = true;
	do {
		if (n < NUMBER_BYTES)
			digits[n++] = peek(s, 0);
		else
			is_whole = false;
		s->pos++;
	} while (isalnum((unsigned char)peek(s, 0)) || peek(s, 0) == '_' || peek(s, 0) == '.');
	digits[n] = '\0';
	return is_whole;
}

/* An integer must fit: the parser would wrap it around or cut it without a word. */
static void check_number(struct scan *s)
{
	char digits[NUMBER_BYTES + 1];
	bool is_whole = read_digits(s, digits);
	size_t n = strlen(digits);
	bool is_open = n > 0 && !isdigit((unsigned char)digits[n - 1]); /* "1e", then "-5" */
	if (is_whole && is_fraction(digits) && (!is_open || peek(s, 0) == '-' || peek(s, 0) == '+'))
		return;

	bool is_long = false;
	while (n > 0 && digits[n - 1] == 'L') {
		is_long = true;
		digits[--n] = '\0';
	}
	bool is_hex = strncasecmp(digits + strspn(digits, "+-"), "0x", 2) == 0;
	char *end;
	errno = 0;
	long long v = strtoll(digits, &end, is_hex ? 16 : 10);
	if (is_whole && *end != '\0') {
		conf_problems_add(s->problems, CONF_ERROR, s->line,
			"'%s' is not a number; texts and durations stand in quotes", digits);
		s->is_unfit = true;
	} else if (!is_whole || errno == ERANGE) {
		conf_problems_add(s->problems, CONF_ERROR, s->line,
			"the number %s%s does not fit into 64 bits", digits, is_whole ? "" : "..");
	} else if (!is_long && (v > INT32_MAX || v < INT32_MIN)) {
		conf_problems_add(s->problems, CONF_ERROR, s->line,
			"the number %s does not fit into 32 bits; write %sL if it is meant", digits,
			digits);
	}
}

static void count_part(struct scan *s)
{
	if (++s->parts <= CONF_SCAN_MAX_PARTS)
		return;
	conf_problems_add(s->problems, CONF_ERROR, s->line,
		"more than %d settings and list members in one file", CONF_SCAN_MAX_PARTS);
	s->is_over = true;
	s->is_unfit = true;
}

static void open_level(struct scan *s)
{
	count_part(s);
	if (s->is_over)
		return;
	if (s->depth < CONF_SCAN_MAX_DEPTH) {
		s->open[s->depth++] = peek(s, 0);
		return;
	}
	conf_problems_add(s->problems, CONF_ERROR, s->line,
		"more than %d groups and lists inside each other", CONF_SCAN_MAX_DEPTH);
	s->is_over = true;
	s->is_unfit = true;
}

/* A text stands behind '=' or another text, or is a member of a list. */
static void check_text_place(struct scan *s)
{
	char open = s->depth > 0 ? s->open[s->depth - 1] : '{';
	bool is_member = open != '{' && (s->last == open || s->last == ',');
	if (is_member || s->last == '=' || s->last == ':' || s->last == '"')
		return;
	if (!s->is_unfit) /* else it follows from what was told */
		conf_problems_add(s->problems, CONF_ERROR, s->line,
			"syntax error: a text stands where none can be; expected 'key = "
			"\"text\";'");
	s->is_over = true;
	s->is_unfit = true;
}

/* Everything outside strings and comments. */
static void scan_plain(struct scan *s)
{
	char c = peek(s, 0);
	char next = peek(s, 1);
	if (isdigit((unsigned char)c) || ((c == '-' || c == '+') && isdigit((unsigned char)next))) {
		check_number(s);
		s->last = 'w';
		return;
	}
	if (is_word_char(c)) {
		s->last = 'w';
		while (is_word_char(peek(s, 0)))
			s->pos++;
		return;
	}
	if (c == '{' || c == '(' || c == '[')
		open_level(s);
	else if ((c == '}' || c == ')' || c == ']') && s->depth > 0)
		s->depth--;
	else if (c == '=' || c == ':' || c == ',')
		count_part(s);
	if (!isspace((unsigned char)c))
		s->last = c;
	step(s);
}

bool conf_scan_check(const char *text, size_t len, struct conf_problems *problems)
{
	struct scan s = { .text = text, .len = len, .line = 1, .problems = problems };
	s.is_unfit = !check_lines(text, len, problems);
	while (s.pos < s.len && !s.is_over) {
		char c = peek(&s, 0);
		if (c == '"') {
			check_text_place(&s);
			skip_string(&s);
			s.last = '"';
		} else if (c == '/' && peek(&s, 1) == '*') {
			skip_block_comment(&s);
		} else if (c == '#' || (c == '/' && peek(&s, 1) == '/')) {
			while (s.pos < s.len && peek(&s, 0) != '\n')
				s.pos++;
		} else {
			scan_plain(&s);
		}
	}
	return !s.is_unfit;
}
