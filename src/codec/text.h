/*
 * text: bytes as hex, base64 (RFC 4648, canonical) and base32 (RFC 4648, no padding, upper case).
 */
#ifndef CODEC_TEXT_H
#define CODEC_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

/* Write 2 * len hex digits and a NUL to ${out}. */
void text_hex(const void *data, size_t len, char *out);

/* Parse exactly ${len} bytes from 2 * len lower-case hex digits.  Return 0 or -1. */
int text_unhex(const char *hex, size_t len, uint8_t *out);

/* Append base64 with padding.  Return as buf_add(). */
int text_base64(const void *data, size_t len, struct buf *out, struct err *err);

/* Append the decoded bytes; only canonical base64 is taken.  Return 0, -ERR_CORRUPT or as
 * buf_add(). */
int text_unbase64(const char *text, size_t len, struct buf *out, struct err *err);

/* Append base32 without padding.  Return as buf_add(). */
int text_base32(const void *data, size_t len, struct buf *out, struct err *err);

/* Append the decoded bytes; only canonical base32 is taken.  Return 0, -ERR_CORRUPT or as
 * buf_add(). */
int text_unbase32(const char *text, size_t len, struct buf *out, struct err *err);

#endif
