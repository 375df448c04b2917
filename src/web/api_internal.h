/*
 * api_internal: what the files of the API share: one request, and the routes by topic.
 */
#ifndef WEB_API_INTERNAL_H
#define WEB_API_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/catalog_agent.h"
#include "controller/people.h"
#include "msg/msg_enrol.h"

struct controller;
struct db;
struct err;
struct http_request;

#define API_ANSWER_MAX ((size_t)32 << 20)
#define API_CONFIG_MAX ((size_t)4 << 20)
#define API_PARTS 4
#define API_LIMIT 1000 /* rows of one answer */

struct api_request {
	struct controller *c;
	struct db *db;
	struct http_request *q;
	struct people_token who;
	char parts[API_PARTS][256]; /* behind /api/v1/ */
	size_t count;
	json_t *body; /* owned; NULL = none */
	bool is_answered;
	bool is_stranger; /* no token that counts */
};

/* A route fills *${out} (a new reference) or answers by itself and leaves it NULL. */
typedef int (*api_fn)(struct api_request *r, json_t **out, struct err *err);

/* Rows on their way into an array. */
struct api_listing {
	struct api_request *r;
	json_t *list; /* given to api_wrap_list() */
};
/* {key: list} as *${out} when ${rc} is 0; ends the list.  Return ${rc} or -ERR_NOMEM. */
int api_wrap_list(const char *key, struct api_listing *l, int rc, json_t **out, struct err *err);

/* A number of the query, as api_body_query(). */
int api_query(struct api_request *r, const char *key, int64_t fallback, int64_t max, int64_t *out,
	struct err *err);

/* ---- api_agents.c ---- */
int api_agents_list(struct api_request *r, json_t **out, struct err *err);
int api_agents_one(struct api_request *r, json_t **out, struct err *err);
int api_agents_approval(struct api_request *r, json_t **out, struct err *err);
int api_agents_approve(struct api_request *r, json_t **out, struct err *err);
int api_agents_revoke(struct api_request *r, json_t **out, struct err *err);
int api_agents_config(struct api_request *r, json_t **out, struct err *err);
int api_agents_strike(struct api_request *r, json_t **out, struct err *err);
int api_agents_enrolment(struct api_request *r, json_t **out, struct err *err);
/* The active agent that 'agent' of the body names, in this role.  Return 0, -ERR_USAGE or
 * -ERR_NOT_FOUND. */
int api_agents_of_body(
	struct api_request *r, enum msg_role role, struct catalog_agent *a, struct err *err);
/* The name of an agent; "controller" for its own, "" when there is none. */
void api_agents_name(struct db *db, const uint8_t id[16], char out[MSG_NAME_BYTES]);

/* ---- api_jobs.c ---- */
int api_jobs_list(struct api_request *r, json_t **out, struct err *err);
int api_jobs_one(struct api_request *r, json_t **out, struct err *err);
int api_jobs_order(struct api_request *r, json_t **out, struct err *err);
int api_jobs_cancel(struct api_request *r, json_t **out, struct err *err);
int api_jobs_maintain(struct api_request *r, json_t **out, struct err *err);
int api_jobs_preview(struct api_request *r, json_t **out, struct err *err);
int api_jobs_due(struct api_request *r, json_t **out, struct err *err);
int api_jobs_snapshots(struct api_request *r, json_t **out, struct err *err);
/* A job with its tries. */
int api_jobs_show(struct api_request *r, const char *id, json_t **out, struct err *err);

/* ---- api_drills.c ---- */
int api_drills_list(struct api_request *r, json_t **out, struct err *err);
int api_drills_order(struct api_request *r, json_t **out, struct err *err);
int api_drills_report(struct api_request *r, json_t **out, struct err *err);

/* ---- api_people.c ---- */
int api_people_audit(struct api_request *r, json_t **out, struct err *err);
int api_people_list(struct api_request *r, json_t **out, struct err *err);
int api_people_add(struct api_request *r, json_t **out, struct err *err);
int api_people_revoke(struct api_request *r, json_t **out, struct err *err);

#endif
