/*
 * api_show: the catalog's rows as JSON objects (docs/API.md, Objects).  New references; NULL when
 * out of memory.  Times are RFC 3339 in UTC, absent when they have not come; durations ms.
 */
#ifndef WEB_API_SHOW_H
#define WEB_API_SHOW_H

#include <jansson.h>
#include <stdbool.h>

struct audit_record;
struct calendar;
struct catalog_agent;
struct catalog_attempt;
struct catalog_job;
struct catalog_report;
struct catalog_snapshot;
struct msg_source;
struct people_token;
struct schedule_due;

/* ${is_in_config}: fleet_lists(). */
json_t *api_show_agent(const struct catalog_agent *a, bool is_in_config);
json_t *api_show_source(const struct msg_source *s);
/* ${agent} is the name of the job's agent. */
json_t *api_show_job(const struct catalog_job *j, const char *agent);
json_t *api_show_attempt(const struct catalog_attempt *a);
json_t *api_show_snapshot(const struct catalog_snapshot *s);
json_t *api_show_report(const struct catalog_report *r);
json_t *api_show_audit(const struct audit_record *r);
json_t *api_show_person(const struct people_token *t);
json_t *api_show_due(const struct schedule_due *d);

#endif
