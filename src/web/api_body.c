#include "web/api_body.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "msg/msg_enrol.h"

#define QUERY_DIGITS 15

int api_body_text(const json_t *body, const char *key, const char **out, struct err *err)
{
	const json_t *v = json_object_get(body, key);
	*out = json_string_value(v);
	return v == NULL || *out != NULL ? 0 : err_set(err, ERR_USAGE, "'%s' is no text", key);
}

int api_body_need(const json_t *body, const char *key, const char **out, struct err *err)
{
	int rc = api_body_text(body, key, out, err);
	if (rc == 0 && (*out == NULL || (*out)[0] == '\0'))
		rc = err_set(err, ERR_USAGE, "the request needs a text '%s'", key);
	return rc;
}

int api_body_name(const json_t *body, const char *key, const char **out, struct err *err)
{
	const char *text = NULL;
	int rc = api_body_text(body, key, &text, err);
	*out = text == NULL ? "" : text;
	if (rc != 0 || text == NULL || msg_enrol_is_name(text))
		return rc;
	(void)err_set(err, ERR_USAGE, "'%s' is no name", text);
	return err_hint(err,
		"names are lower-case letters, digits, '.', '_', '-', at most %d of them",
		MSG_NAME_BYTES - 1);
}

int api_body_number(const json_t *body, const char *key, int64_t max, int64_t *out, struct err *err)
{
	const json_t *v = json_object_get(body, key);
	const int64_t n = json_integer_value(v); /* 0 when it is none */
	if (v != NULL && (!json_is_integer(v) || n < 0 || n > max))
		return err_set(
			err, ERR_USAGE, "'%s' is no whole number from 0 to %" PRId64, key, max);
	*out = n;
	return 0;
}

int api_body_query(const char *key, const char *text, int64_t fallback, int64_t max, int64_t *out,
	struct err *err)
{
	const size_t len = text == NULL ? 0 : strlen(text);
	int64_t n = fallback;
	if (text != NULL) {
		const bool is_number =
			len > 0 && len <= QUERY_DIGITS && strspn(text, "0123456789") == len;
		n = is_number ? strtoll(text, NULL, 10) : 0;
		if (n == 0)
			return err_set(err, ERR_USAGE, "'%s' is no whole number from 1 to %" PRId64,
				key, max);
	}
	*out = n > max ? max : n;
	return 0;
}
