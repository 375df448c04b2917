#include "base/escape.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/*
 * Length of the valid UTF-8 sequence at p (n bytes left), 0 if there is none; the code point goes
 * to *cp.  Overlong forms, surrogates and values over U+10FFFF are refused (RFC 3629).
 */
static size_t utf8_unit(const unsigned char *p, size_t n, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len;
	uint32_t v;

	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if ((p[0] & 0xe0) == 0xc0) {
		len = 2;
		v = p[0] & 0x1fu;
	} else if ((p[0] & 0xf0) == 0xe0) {
		len = 3;
		v = p[0] & 0x0fu;
	} else if ((p[0] & 0xf8) == 0xf0) {
		len = 4;
		v = p[0] & 0x07u;
	} else {
		return 0;
	}
	if (len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3fu);
	}
	if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*cp = v;
	return len;
}

/* C0, DEL, C1, line and paragraph separators, and the marks that reorder or hide text. */
static bool is_hidden(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0xad || cp == 0x61c ||
	       (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff || (cp >= 0xe0000 && cp <= 0xe007f);
}

size_t escape_text(char *out, size_t size, const char *data, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)data;
	size_t used = 0;

	if (size == 0)
		return 0;
	for (size_t i = 0; i < len;) {
		uint32_t cp = 0;
		size_t n = utf8_unit(p + i, len - i, &cp);
		char unit[16];
		size_t unit_len = 0;
		size_t eaten = n == 0 ? 1 : n;
		if (n == 1 && (cp == '\n' || cp == '\r' || cp == '\t' || cp == '\\')) {
			unit[0] = '\\';
			unit[1] = cp == '\n' ? 'n' : cp == '\r' ? 'r' : cp == '\t' ? 't' : '\\';
			unit_len = 2;
		} else if (n > 0 && !is_hidden(cp)) {
			memcpy(unit, p + i, n);
			unit_len = n;
		} else {
			for (size_t k = 0; k < eaten; k++) {
				unit[unit_len++] = '\\';
				unit[unit_len++] = 'x';
				unit[unit_len++] = hex[p[i + k] >> 4];
				unit[unit_len++] = hex[p[i + k] & 15];
			}
		}
		if (used + unit_len >= size)
			break;
		memcpy(out + used, unit, unit_len);
		used += unit_len;
		i += eaten;
	}
	out[used] = '\0';
	return used;
}

size_t escape_str(char *out, size_t size, const char *str)
{
	return escape_text(out, size, str, strlen(str));
}

bool escape_is_utf8(const char *data, size_t len)
{
	const unsigned char *p = (const unsigned char *)data;
	for (size_t i = 0; i < len;) {
		uint32_t cp = 0;
		size_t n = utf8_unit(p + i, len - i, &cp);
		if (n == 0 || cp == 0)
			return false;
		i += n;
	}
	return true;
}
