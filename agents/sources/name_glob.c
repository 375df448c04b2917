#include "agents/sources/name_glob.h"

#include <stdint.h>
#include <string.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) Every step consumes at least one byte of what it reads; nothing is read at or behind the end.
 * (2) Bytes that are no UTF-8 count as characters from NOT_UTF8 on, so that they equal only
 *     themselves and lie in no range of real characters.
 */

#define NOT_UTF8 0x110000u

struct span {
	const uint8_t *p, *end;
};

static struct span span_of(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;
	return (struct span){ .p = p, .end = p + len };
}

static unsigned sequence_len(uint8_t lead)
{
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	return lead >= 0xf0 && lead <= 0xf4 ? 4 : 1;
}

/* Take one character; the span is not empty. */
static uint32_t take_char(struct span *s)
{
	uint8_t lead = *s->p;
	unsigned len = sequence_len(lead);
	uint32_t ch = len == 1 ? lead : lead & (0x7fu >> len);
	bool is_whole = (size_t)(s->end - s->p) >= len;
	for (unsigned i = 1; is_whole && i < len; i++) {
		is_whole = (s->p[i] & 0xc0) == 0x80;
		ch = ch << 6 | (s->p[i] & 0x3fu);
	}
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (lead >= 0x80 && (len == 1 || !is_whole || ch < least[len] || ch >= NOT_UTF8)) {
		s->p++;
		return NOT_UTF8 + lead;
	}
	s->p += len;
	return ch;
}

/* Take one character of a set or a literal, which '\' may make plain.  Return false at the end. */
static bool take_plain(struct span *s, uint32_t *ch)
{
	if (s->p < s->end && *s->p == '\\')
		s->p++;
	if (s->p == s->end)
		return false;
	*ch = take_char(s);
	return true;
}

/*
 * Take a set, s->p behind its '['.  Return true when it is well formed; then *is_in says whether
 * ${ch} is in it.
 */
static bool take_set(struct span *s, uint32_t ch, bool *is_in)
{
	bool is_negated = s->p < s->end && (*s->p == '!' || *s->p == '^');
	if (is_negated)
		s->p++;
	bool found = false;
	for (bool is_first = true; s->p < s->end; is_first = false) {
		if (*s->p == ']' && !is_first) {
			s->p++;
			*is_in = found != is_negated;
			return true;
		}
		if (s->end - s->p > 1 && s->p[0] == '[' && s->p[1] == ':')
			return false; /* a class such as [:digit:] would be taken for its letters */
		uint32_t low, high;
		if (!take_plain(s, &low))
			return false;
		high = low;
		if (s->end - s->p > 1 && s->p[0] == '-' && s->p[1] != ']') {
			s->p++;
			if (!take_plain(s, &high))
				return false;
		}
		if (low > high)
			return false;
		found = found || (ch >= low && ch <= high);
	}
	return false;
}

int name_glob_check(const char *pattern, size_t len, struct err *err)
{
	struct span s = span_of(pattern, len);
	while (s.p < s.end) {
		uint32_t ch;
		bool is_in;
		if (*s.p == '[') {
			s.p++;
			if (!take_set(&s, 0, &is_in))
				return err_set(err, ERR_USAGE,
					"'[' begins no set of characters; write '[[]' for the "
					"character");
		} else if (!take_plain(&s, &ch)) {
			return err_set(err, ERR_USAGE, "a backslash stands before nothing");
		}
	}
	return 0;
}

/* Take one element of the pattern that is not '*'.  Return true if it matches ${ch}. */
static bool take_element(struct span *p, uint32_t ch)
{
	uint32_t literal;
	bool is_in = false;
	switch (*p->p) {
	case '?':
		p->p++;
		return true;
	case '[':
		p->p++;
		return take_set(p, ch, &is_in) && is_in;
	default:
		return take_plain(p, &literal) && literal == ch;
	}
}

bool name_glob_is_match(const char *pattern, size_t pattern_len, const char *name, size_t name_len)
{
	struct span p = span_of(pattern, pattern_len), s = span_of(name, name_len);
	struct span star_p = { NULL, NULL }, star_s = { NULL, NULL };
	while (s.p < s.end) {
		if (p.p < p.end && *p.p == '*') {
			p.p++;
			star_p = p;
			star_s = s;
			continue;
		}
		struct span next_p = p, next_s = s;
		uint32_t ch = take_char(&next_s);
		if (p.p < p.end && take_element(&next_p, ch)) {
			p = next_p;
			s = next_s;
			continue;
		}
		if (star_p.p == NULL)
			return false;
		/* the last star takes one character more; earlier ones never need to */
		p = star_p;
		(void)take_char(&star_s);
		s = star_s;
	}
	while (p.p < p.end && *p.p == '*')
		p.p++;
	return p.p == p.end;
}
