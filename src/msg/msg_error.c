#include "msg/msg_error.h"

#include "base/err.h"
#include "net/http_refusal.h"

/*
 * The object itself is http_refusal's, which the client needs below this floor.
 *
 * INVARIANTS
 * (1) Every code has a status, and none below 400.
 */

int msg_error_status(const struct err *err)
{
	switch ((enum err_code)err->code) {
	case ERR_USAGE:
	case ERR_CONFIG:
	case ERR_CORRUPT:
	case ERR_ROLLBACK:
	case ERR_FORK:
		return 400;
	case ERR_AUTH:
		return 403;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_BUSY:
	case ERR_EXISTS:
		return 409;
	case ERR_INTERRUPTED:
		return 410;
	case ERR_LIMIT:
		return 413;
	case ERR_UNSUPPORTED:
		return 501;
	case ERR_UNREACHABLE:
		return 503;
	case ERR_NOSPACE:
		return 507;
	case ERR_OK:
	case ERR_FAILED:
	case ERR_IO:
	case ERR_NOMEM:
	case ERR_READONLY:
	case ERR_PARTIAL:
	case ERR_OBJECTIVE:
		break;
	}
	return 500;
}

int msg_error_encode(const struct err *err, struct buf *out, struct err *why)
{
	return http_refusal_encode(err, out, why);
}

int msg_error_decode(int status, const void *data, unsigned long len, struct err *err)
{
	return http_refusal_decode(status, data, len, err);
}
