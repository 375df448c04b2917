/*
 * api_maintenance: the API's requests about what the controller does with its vault by itself:
 * tasks ordered by hand, the preview of retention (docs/API.md).  The loop's thread.
 */
#ifndef WEB_API_MAINTENANCE_H
#define WEB_API_MAINTENANCE_H

#include <jansson.h>

#include "msg/msg_work.h"

struct controller;
struct err;
struct http_request;

/* Order what ${body} asks for: {task}, and of retention {approve?}.  Return as
 * maintenance_order(). */
int api_maintenance_order(struct controller *c, const char *person, const json_t *body,
	char job[MSG_ID_HEX], struct err *err);

/* Return 0 (then ${q} is answered, later) or an error (then it is not). */
int api_maintenance_preview(struct controller *c, struct http_request *q, struct err *err);

#endif
