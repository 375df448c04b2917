#include "net/http_refusal.h"

#include <jansson.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "codec/jsonx.h"

/*
 * INVARIANTS
 * (1) What the other end says is text, never a format, and reaches a terminal only escaped.
 */

DEFINE_CLEANUP(json_t *, json_decref)

int http_refusal_encode(const struct err *refusal, struct buf *out, struct err *err)
{
	char msg[2 * ERR_MSG_BYTES];
	char hint[2 * ERR_HINT_BYTES];
	(void)escape_str(msg, sizeof(msg), refusal->msg);
	(void)escape_str(hint, sizeof(hint), refusal->hint);
	CLEANUP(json_decref_p)
	json_t *o = json_pack("{s:s, s:s}", "error", err_id(refusal->code), "message", msg);
	if (o != NULL && hint[0] != '\0' && json_object_set_new(o, "hint", json_string(hint)) != 0)
		return err_set(err, ERR_NOMEM, "out of memory for a refusal");
	if (o == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a refusal");
	return jsonx_encode(o, out, err);
}

int http_refusal_decode(int status, const void *data, size_t len, struct err *err)
{
	CLEANUP(json_decref_p) json_t *o = NULL;
	const char *id = NULL;
	const char *msg = NULL;
	const char *hint = NULL;
	if (len == 0 || jsonx_parse(data, len, "the answer", &o, NULL) != 0 ||
		json_unpack(o, "{s:s, s:s, s?s}", "error", &id, "message", &msg, "hint", &hint) !=
			0)
		return err_set(err, ERR_FAILED, "the server answered with status %d", status);
	int code = err_code_of_id(id);
	char shown[ERR_MSG_BYTES];
	(void)escape_str(shown, sizeof(shown), msg);
	int rc = err_set(err, code == 0 ? ERR_FAILED : (enum err_code)code, "%s", shown);
	if (hint != NULL && hint[0] != '\0') {
		(void)escape_str(shown, ERR_HINT_BYTES, hint);
		(void)err_hint(err, "%s", shown); /* the code is returned below */
	}
	return rc;
}
