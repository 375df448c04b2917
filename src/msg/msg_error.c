#include "msg/msg_error.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "msg/msg_json_internal.h"

/*
 * INVARIANTS
 * (1) What was decoded is an error, whatever the other end sent.
 */

#define ERROR_MAX ((size_t)64 << 10)
#define ID_BYTES 64

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

int msg_error_code(const char *id)
{
#define X(NAME, value, text, status, retry)                                                        \
	if (strcmp(id, text) == 0)                                                                 \
		return ERR_##NAME;
#include "base/err.def"
#undef X
	return ERR_FAILED;
}

int msg_error_encode(const struct err *err, struct buf *out, struct err *why)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_text(&o, "error", MSG_JSON_LINE, err_id(err->code), ID_BYTES);
	msg_json_put_text(&o, "message", MSG_JSON_LINE, err->msg, sizeof(err->msg));
	if (err->hint[0] != '\0')
		msg_json_put_text(&o, "hint", MSG_JSON_LINE, err->hint, sizeof(err->hint));
	return msg_json_write(&o, out, why);
}

/* The code that a status alone stands for. */
static enum err_code code_of_status(int status)
{
	static const struct {
		int status;
		enum err_code code;
	} known[] = {
		{ 400, ERR_CORRUPT },
		{ 401, ERR_AUTH },
		{ 403, ERR_AUTH },
		{ 404, ERR_NOT_FOUND },
		{ 409, ERR_BUSY },
		{ 410, ERR_INTERRUPTED },
		{ 413, ERR_LIMIT },
		{ 501, ERR_UNSUPPORTED },
		{ 503, ERR_UNREACHABLE },
		{ 507, ERR_NOSPACE },
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].status == status)
			return known[i].code;
	}
	return ERR_FAILED;
}

int msg_error_decode(int status, const void *data, unsigned long len, struct err *err)
{
	struct msg_json_in in;
	struct err met = ERR_INIT;
	struct err why = ERR_INIT;
	char id[ID_BYTES] = "";
	msg_json_open(&in, data, len, ERROR_MAX, "refusal", &why);
	msg_json_word(&in, "error", id, sizeof(id));
	msg_json_text(&in, "message", MSG_JSON_LINE, met.msg, sizeof(met.msg));
	if (msg_json_has(&in, "hint"))
		msg_json_text(&in, "hint", MSG_JSON_LINE, met.hint, sizeof(met.hint));
	if (msg_json_close(&in) != 0)
		return err_set(err, code_of_status(status), "the other end answered with status %d",
			status);
	met.code = msg_error_code(id);
	if (err != NULL)
		*err = met;
	return -met.code;
}
