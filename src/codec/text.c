#include "codec/text.h"

#include "base/buf.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) Every byte string has one spelling in each encoding; decoders take that one only.
 */

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base32_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

void text_hex(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int text_unhex(const char *hex, size_t len, uint8_t *out)
{
	for (size_t i = 0; i < 2 * len; i++) {
		if (hex_value(hex[i]) < 0)
			return -1;
	}
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)((unsigned)hex_value(hex[2 * i]) << 4 |
				   (unsigned)hex_value(hex[2 * i + 1]));
	return 0;
}

int text_base64(const void *data, size_t len, struct buf *out, struct err *err)
{
	const uint8_t *p = data;
	if (len > SIZE_MAX / 2)
		return err_set(err, ERR_LIMIT, "%zu bytes are too many for base64", len);
	int rc = buf_reserve(out, (len + 2) / 3 * 4, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)p[i] << 16;
		if (n > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (n > 2)
			v |= p[i + 2];
		uint8_t *q = out->data + out->len;
		q[0] = (uint8_t)base64_digits[v >> 18];
		q[1] = (uint8_t)base64_digits[v >> 12 & 63];
		q[2] = n > 1 ? (uint8_t)base64_digits[v >> 6 & 63] : '=';
		q[3] = n > 2 ? (uint8_t)base64_digits[v & 63] : '=';
		out->len += 4;
	}
	return 0;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Decode the four characters at ${q}, ${digits} (2..4) of them digits.  Return 0, or -1. */
static int unbase64_group(const char *q, size_t digits, uint8_t out[3])
{
	uint32_t v = 0;
	for (size_t i = 0; i < 4; i++) {
		int value = i < digits ? base64_value(q[i]) : 0;
		if (value < 0)
			return -1;
		v = v << 6 | (uint32_t)value;
	}
	/* bits that belong to no byte must be zero */
	if ((v & ((1U << (8 * (4 - digits))) - 1)) != 0)
		return -1;
	out[0] = (uint8_t)(v >> 16);
	out[1] = (uint8_t)(v >> 8);
	out[2] = (uint8_t)v;
	return 0;
}

int text_unbase64(const char *text, size_t len, struct buf *out, struct err *err)
{
	if (len % 4 != 0)
		return err_set(err, ERR_CORRUPT, "base64 text is cut short");
	size_t padding = 0;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	int rc = buf_reserve(out, len / 4 * 3 - padding, err);
	if (rc != 0)
		return rc;
	size_t before = out->len;
	for (size_t i = 0; i < len; i += 4) {
		size_t digits = i + 4 == len ? 4 - padding : 4;
		uint8_t bytes[3];
		if (unbase64_group(text + i, digits, bytes) != 0) {
			out->len = before;
			return err_set(err, ERR_CORRUPT,
				"base64 text is not canonical near character %zu", i);
		}
		for (size_t j = 0; j + 1 < digits; j++)
			out->data[out->len++] = bytes[j];
	}
	return 0;
}

int text_base32(const void *data, size_t len, struct buf *out, struct err *err)
{
	const uint8_t *p = data;
	if (len > SIZE_MAX / 16)
		return err_set(err, ERR_LIMIT, "%zu bytes are too many for base32", len);
	int rc = buf_reserve(out, (len * 8 + 4) / 5, err);
	if (rc != 0)
		return rc;
	unsigned bits = 0; /* how many of the low bits of v are not written yet */
	uint32_t v = 0;
	for (size_t i = 0; i < len; i++) {
		v = v << 8 | p[i];
		bits += 8;
		for (; bits >= 5; bits -= 5)
			out->data[out->len++] = (uint8_t)base32_digits[v >> (bits - 5) & 31];
	}
	if (bits > 0)
		out->data[out->len++] = (uint8_t)base32_digits[v << (5 - bits) & 31];
	return 0;
}

static int base32_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

int text_unbase32(const char *text, size_t len, struct buf *out, struct err *err)
{
	size_t before = out->len;
	uint32_t v = 0;
	unsigned bits = 0; /* how many of the low bits of v were not given out yet */
	int rc = buf_reserve(out, len / 8 * 5 + len % 8 * 5 / 8, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < len; i++) {
		int value = base32_value(text[i]);
		if (value < 0) {
			out->len = before;
			return err_set(
				err, ERR_CORRUPT, "base32 text has a bad character at %zu", i + 1);
		}
		v = (v << 5 | (uint32_t)value) & 0xfff;
		bits += 5;
		if (bits >= 8) {
			bits -= 8;
			out->data[out->len++] = (uint8_t)(v >> bits);
		}
	}
	/* no digit that gives no bits, no bits that belong to no byte */
	if (bits >= 5 || (v & ((1U << bits) - 1)) != 0) {
		out->len = before;
		return err_set(err, ERR_CORRUPT, "base32 text is not canonical");
	}
	return 0;
}
