/*
 * secret: bytes that must not reach a swap file, a core dump or a log.
 * Memory is locked where the limit allows, kept out of dumps, and wiped at the end.
 */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H

#include <stddef.h>
#include <stdint.h>

struct err;

#define SECRET_MAX_BYTES ((size_t)1 << 20)

struct secret {
	uint8_t *data; /* owned; NULL when empty */
	size_t len;
};

#define SECRET_INIT                                                                                \
	{                                                                                          \
		.data = NULL, .len = 0                                                             \
	}

/**
 * secret_set(s, data, len, err):
 * Copy ${len} bytes into ${s} (what it held is wiped; ${data} may lie in it).  Return 0, -ERR_NOMEM
 * or -ERR_LIMIT (over SECRET_MAX_BYTES).
 */
int secret_set(struct secret *s, const void *data, size_t len, struct err *err);

/* Wipe and free.  The secret is empty and usable again. */
void secret_done(struct secret *s);

/* Wipe ${len} bytes at ${p}; the compiler may not leave it out. */
void secret_wipe(void *p, size_t len);

/* Once at program start: no core dumps, no ptrace by others of the same user (a debugger and
 * LeakSanitizer count as others). */
void secret_harden_process(void);

#endif
