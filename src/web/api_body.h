/*
 * api_body: members of a request's body and of its query, read strictly: what is there and is not
 * what it must be is refused with its name, and never passed over for a default.  Pure functions.
 */
#ifndef WEB_API_BODY_H
#define WEB_API_BODY_H

#include <jansson.h>
#include <stdint.h>

struct err;

/* Each returns 0 or -ERR_USAGE; ${body} may be NULL (there is none).  Texts are borrowed. */

/* A text that must be there and not be empty. */
int api_body_need(const json_t *body, const char *key, const char **out, struct err *err);
/* A name in the grammar of agents and sources; absent is "". */
int api_body_name(const json_t *body, const char *key, const char **out, struct err *err);
/* A text; absent is NULL. */
int api_body_text(const json_t *body, const char *key, const char **out, struct err *err);
/* A whole number from 0 to ${max}; absent is 0. */
int api_body_number(
	const json_t *body, const char *key, int64_t max, int64_t *out, struct err *err);
/* ${text} (NULL: absent) of the query's ${key}: a whole number from 1 on, cut to ${max}; absent is
 * ${fallback}. */
int api_body_query(const char *key, const char *text, int64_t fallback, int64_t max, int64_t *out,
	struct err *err);

#endif
