#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum retry_class { RETRY_NO, RETRY_LATER };

static const struct {
	int code;
	const char *id;
	int status;
	enum retry_class retry;
} table[] = {
#define X(name, value, id, status, retry) { (value), (id), (status), RETRY_##retry },
#include "base/err.def"
#undef X
};

static const size_t table_count = sizeof(table) / sizeof(table[0]);

/* What was set on this thread for nobody (NULL): a hint that follows returns it all the same. */
static _Thread_local int untold = ERR_FAILED;

static int put(struct err *err, enum err_code code, const char *fmt, va_list ap)
{
	if (err == NULL) {
		untold = (int)code;
	} else {
		err->code = (int)code;
		err->hint[0] = '\0';
		(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap); /* cut, never overrun */
	}
	return -(int)code;
}

int(err_set)(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int rc = put(err, code, fmt, ap);
	va_end(ap);
	return rc;
}

static enum err_code code_of_errno(enum err_code code, int saved)
{
	if (code != ERR_IO)
		return code;
	switch (saved) {
	case ENOSPC:
	case EDQUOT:
		return ERR_NOSPACE;
	case ENOMEM:
		return ERR_NOMEM;
	case EROFS:
		return ERR_READONLY;
	default:
		return code;
	}
}

int(err_sys)(struct err *err, enum err_code code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	int rc = put(err, code_of_errno(code, saved), fmt, ap);
	va_end(ap);
	if (err != NULL) {
		size_t len = strlen(err->msg);
		(void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(saved));
	}
	errno = saved;
	return rc;
}

int(err_wrap)(struct err *err, const char *fmt, ...)
{
	if (err == NULL || err->code == 0)
		return -ERR_FAILED;
	char old[ERR_MSG_BYTES];
	memcpy(old, err->msg, sizeof(old));
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap); /* cut, never overrun */
	va_end(ap);
	size_t len = strlen(err->msg);
	(void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", old);
	return -err->code;
}

int(err_hint)(struct err *err, const char *fmt, ...)
{
	if (err == NULL)
		return -untold;
	if (err->code == 0)
		return -ERR_FAILED;
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(err->hint, sizeof(err->hint), fmt, ap); /* cut, never overrun */
	va_end(ap);
	return -err->code;
}

void err_clear(struct err *err)
{
	err->code = 0;
	err->msg[0] = '\0';
	err->hint[0] = '\0';
}

static size_t find(int code)
{
	int want = code < 0 ? -code : code;
	for (size_t i = 0; i < table_count; i++) {
		if (table[i].code == want)
			return i;
	}
	return 0; /* FAILED */
}

const char *err_id(int code)
{
	return table[find(code)].id;
}

int err_code_of_id(const char *id)
{
	for (size_t i = 0; i < table_count; i++) {
		if (strcmp(table[i].id, id) == 0)
			return table[i].code;
	}
	return 0;
}

int err_exit_status(int code)
{
	return code == 0 ? EXIT_STATUS_OK : table[find(code)].status;
}

bool err_is_retryable(int code)
{
	return code != 0 && table[find(code)].retry == RETRY_LATER;
}
