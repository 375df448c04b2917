#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) len <= cap and len <= max.
 * (2) data is NULL exactly when cap is 0.
 */

#define BUF_FIRST_BYTES 256

void buf_done(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = 0;
	b->cap = 0;
}

void buf_wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_done(b);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
}

void buf_trim(struct buf *b, size_t keep)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t begin = ((uintptr_t)b->data + keep + page - 1) / page * page;
	const uintptr_t end = ((uintptr_t)b->data + b->cap) / page * page;
	if (b->len > keep)
		b->len = keep;
	if (keep < b->cap && end > begin) /* fails for bad ranges only */
		(void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

int buf_reserve(struct buf *b, size_t more, struct err *err)
{
	if (more > b->max - b->len)
		return err_set(
			err, ERR_LIMIT, "%zu bytes would pass the limit of %zu", more, b->max);
	size_t need = b->len + more;
	if (need <= b->cap)
		return 0;
	size_t cap = b->cap < BUF_FIRST_BYTES ? BUF_FIRST_BYTES : b->cap + b->cap / 2;
	if (cap < need)
		cap = need;
	uint8_t *data = realloc(b->data, cap);
	if (data == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %zu bytes", cap);
	b->data = data;
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, const void *data, size_t len, struct err *err)
{
	int rc = buf_reserve(b, len, err);
	if (rc != 0)
		return rc;
	if (len > 0) {
		memcpy(b->data + b->len, data, len);
		b->len += len;
	}
	return 0;
}

int buf_add_zero(struct buf *b, size_t len, struct err *err)
{
	int rc = buf_reserve(b, len, err);
	if (rc != 0)
		return rc;
	if (len > 0) {
		memset(b->data + b->len, 0, len);
		b->len += len;
	}
	return 0;
}

int buf_add8(struct buf *b, uint8_t v, struct err *err)
{
	return buf_add(b, &v, 1, err);
}

int buf_add16(struct buf *b, uint16_t v, struct err *err)
{
	uint8_t raw[2];
	bytes_put16(raw, v);
	return buf_add(b, raw, sizeof(raw), err);
}

int buf_add32(struct buf *b, uint32_t v, struct err *err)
{
	uint8_t raw[4];
	bytes_put32(raw, v);
	return buf_add(b, raw, sizeof(raw), err);
}

int buf_add64(struct buf *b, uint64_t v, struct err *err)
{
	uint8_t raw[8];
	bytes_put64(raw, v);
	return buf_add(b, raw, sizeof(raw), err);
}

int buf_addf(struct buf *b, struct err *err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_set(err, ERR_FAILED, "unable to format text");
	if ((size_t)n > b->max - b->len)
		return err_set(err, ERR_LIMIT, "%d bytes would pass the limit of %zu", n, b->max);
	/* vsnprintf writes one NUL more than we keep: grow the memory, not the length */
	size_t max = b->max;
	b->max = max + 1;
	int rc = buf_reserve(b, (size_t)n + 1, err);
	b->max = max;
	if (rc != 0)
		return rc;
	va_start(ap, fmt);
	(void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap); /* measured above */
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

const char *buf_cstr(struct buf *b)
{
	size_t max = b->max;
	b->max = max + 1;
	int rc = buf_reserve(b, 1, NULL);
	b->max = max;
	if (rc != 0)
		return NULL;
	b->data[b->len] = '\0';
	return (const char *)b->data;
}
