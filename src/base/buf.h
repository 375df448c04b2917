/*
 * buf: growable bytes with a cap.  The only way to grow memory from outside input.
 * Not thread-safe; a buf belongs to one thread at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct buf {
	uint8_t *data; /* owned; NULL while cap is 0 */
	size_t len;    /* bytes in use */
	size_t cap;    /* bytes allocated */
	size_t max;    /* len never passes this */
};

/* A buf with a cap of ${max_} bytes. */
#define BUF_INIT(max_)                                                                             \
	{                                                                                          \
		.data = NULL, .len = 0, .cap = 0, .max = (max_)                                    \
	}

/* Free the bytes; the buf is empty and usable again.  */
void buf_done(struct buf *b);

/* As buf_done(), but the bytes are wiped first: for plaintext keys. */
void buf_wipe(struct buf *b);

/* Forget the contents, keep the memory. */
void buf_clear(struct buf *b);

/* Give the memory behind the first ${keep} bytes back to the system, and the bytes in it up; the
 * room stays, and costs again what is written to.  For long-lived buffers that are rarely long. */
void buf_trim(struct buf *b, size_t keep);

/**
 * buf_reserve(b, more, err):
 * Make room for ${more} bytes behind len.  Return 0, -ERR_LIMIT (max) or -ERR_NOMEM.
 */
int buf_reserve(struct buf *b, size_t more, struct err *err);

/* Append ${len} bytes.  Return as buf_reserve(). */
int buf_add(struct buf *b, const void *data, size_t len, struct err *err);

/* Append ${len} zero bytes.  Return as buf_reserve(). */
int buf_add_zero(struct buf *b, size_t len, struct err *err);

/* Append one byte, or a big-endian integer.  Return as buf_reserve(). */
int buf_add8(struct buf *b, uint8_t v, struct err *err);
int buf_add16(struct buf *b, uint16_t v, struct err *err);
int buf_add32(struct buf *b, uint32_t v, struct err *err);
int buf_add64(struct buf *b, uint64_t v, struct err *err);

/* Append formatted text without its final NUL.  Return as buf_reserve(). */
int buf_addf(struct buf *b, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Return the contents as a C string, borrowed until the next change; NULL when out of memory. */
const char *buf_cstr(struct buf *b);

/* For CLEANUP(): CLEANUP(buf_done) struct buf b = BUF_INIT(LIMIT). */

#endif
