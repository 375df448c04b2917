/*
 * api: what people and tools may ask of the controller: JSON over the people's port, with a bearer
 * token whose role each route names (docs/API.md).  The loop's thread.
 */
#ifndef WEB_API_H
#define WEB_API_H

#include <stdbool.h>

struct controller;
struct http_request;

/* Whether its head carries a token that counts (controller_opts.on_people_head); else answer it. */
bool api_admit(void *arg, struct controller *c, struct http_request *q);
/* Answer a request of the people's port (controller_opts.on_people). */
void api_handle(void *arg, struct controller *c, struct http_request *q);

#endif
