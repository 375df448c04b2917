#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/text.h"
#include "controller/catalog_agent.h"
#include "controller/catalog_report.h"
#include "controller/drill_desk.h"
#include "controller/drill_desk_internal.h"
#include "crypto/hash.h"
#include "plans/plan.h"
#include "restore/report.h"
#include "restore/report_check.h"
#include "restore/report_html.h"
#include "restore/report_json.h"
#include "restore/report_shape.h"

/*
 * INVARIANTS
 * (1) The first report that holds is <exercise>.json for ever; nothing replaces it.
 * (2) We sign only what report_check_envelope() and drill_desk_check_report() let pass; the
 *     signature made before is thrown away if they do not.
 */

#define NS_PER_MS 1000000

DEFINE_CLEANUP(struct plan *, plan_free)

/* Is what it says of the evidence true of what we were given? */
static int check_evidence(const struct drill_desk *d, const struct report *r, struct err *err)
{
	const size_t skip =
		DRILL_DESK_ID_BYTES + sizeof(DRILL_DESK_EVIDENCE); /* "<id>/evidence/" */
	for (size_t i = 0; i < r->evidence_count; i++) {
		const struct report_evidence *e = r->evidence[i];
		CLEANUP(buf_done) struct buf file = BUF_INIT(MSG_MAX_BODY);
		uint8_t digest[HASH_BYTES];
		char hex[2 * HASH_BYTES + 1], want[DRILL_DESK_ID_BYTES + 32];
		(void)snprintf(want, sizeof(want), "%s/" DRILL_DESK_EVIDENCE "/",
			r->exercise.exercise_id); /* fits */
		if (strncmp(e->ref, want, skip) != 0 ||
			!drill_desk_files_is_evidence(e->ref + skip))
			return err_set(err, ERR_CORRUPT, "the report refers to evidence elsewhere");
		int rc = fdio_read_file(d->dirfd, e->ref, &file, err);
		if (rc == -ERR_NOT_FOUND)
			return err_set(
				err, ERR_CORRUPT, "evidence '%s' was not sent", e->ref + skip);
		if (rc != 0)
			return rc;
		hash_sha256(file.data, file.len, digest);
		text_hex(digest, sizeof(digest), hex);
		if (strcmp(hex, e->sha256) != 0 || e->size_bytes != (int64_t)file.len)
			return err_set(err, ERR_CORRUPT,
				"evidence '%s' is not what the report says of it", e->ref + skip);
	}
	return 0;
}

static int check(struct drill_desk *d, const struct catalog_job *j,
	const struct catalog_agent *agent, const struct report_check *c, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(DRILL_DESK_PLAN_MAX);
	CLEANUP(plan_free_p) struct plan *plan = NULL;
	CLEANUP(cleanup_free_p) struct drill_desk_granted *granted = calloc(1, sizeof(*granted));
	struct drill_desk_note n;
	if (granted == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = drill_desk_files_get_note(d->dirfd, j->drill, &n, err);
	if (rc == 0)
		rc = drill_desk_files_get_plan(d->dirfd, &n, &text, &plan, err);
	if (rc == 0)
		rc = drill_desk_files_get_granted(d->dirfd, j->drill, granted, err);
	if (rc != 0)
		return rc;
	char who[DRILL_DESK_WHO_BYTES];
	drill_desk_check_who(j, who);
	const struct drill_desk_expected x = { .ordered_by = who,
		.note = &n,
		.plan = plan,
		.agent = agent,
		.controller = d->o.name,
		.controller_keyid = d->keyid,
		.granted = granted,
		.seen = drill_desk_files_seen(&n) };
	rc = drill_desk_check_report(c, &x, err);
	return rc == 0 ? check_evidence(d, c->report, err) : rc;
}

static int put_page(
	struct drill_desk *d, const struct report_check *c, const struct buf *json, struct err *err)
{
	CLEANUP(buf_done) struct buf html = BUF_INIT(REPORT_HTML_MAX);
	uint8_t digest[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1], name[64], page[64];
	const char *id = c->report->exercise.exercise_id;
	hash_sha256(json->data, json->len, digest);
	text_hex(digest, sizeof(digest), hex);
	(void)snprintf(name, sizeof(name), "%s.json", id); /* fits, and below */
	(void)snprintf(page, sizeof(page), "%s.html", id);
	const struct report_html_opts opts = { .json_name = name,
		.json_sha256 = hex,
		.keyid = c->signed_by.signers[0].keyid,
		.controller_keyid = d->keyid };
	int rc = report_html_render(c->report, &opts, &html, err);
	return rc == 0 ? atomic_file_write(d->dirfd, page, 0644, html.data, html.len, err) : rc;
}

/* The report is on disk: the rest can be made again from it. */
static int make_known(
	struct drill_desk *d, const struct report_check *c, const struct buf *json, struct err *err)
{
	struct catalog_report row;
	int rc = put_page(d, c, json, err);
	if (rc == 0)
		rc = catalog_report_get(d->o.db, c->report->exercise.exercise_id, &row, err);
	if (rc != 0 || row.verdict[0] != '\0')
		return rc;
	row.ended_ms = env_now_ns() / NS_PER_MS;
	(void)snprintf(row.verdict, sizeof(row.verdict), "%s",
		report_shape_word(
			report_shape_verdicts, c->report->verdict.overall)); /* words are short */
	hash_sha256(json->data, json->len, row.sha256);
	return catalog_report_set(d->o.db, &row, err);
}

/* There is a report: it is this one, or this one is refused. */
static int same_again(struct drill_desk *d, const struct buf *whole, const struct buf *there,
	const struct report_check *c, struct err *err)
{
	if (there->len != whole->len || memcmp(there->data, whole->data, whole->len) != 0)
		return err_set(err, ERR_EXISTS, "there is another report of this exercise already");
	return make_known(d, c, whole, err);
}

static int take_report(struct drill_desk *d, const struct catalog_job *j,
	const struct catalog_agent *agent, const struct report_check *c, const struct buf *whole,
	struct err *err)
{
	CLEANUP(buf_done) struct buf there = BUF_INIT(REPORT_JSON_MAX);
	char name[DRILL_DESK_ID_BYTES + 8];
	(void)snprintf(name, sizeof(name), "%s.json", j->drill); /* fits */
	int rc = fdio_read_file(d->dirfd, name, &there, NULL);
	if (rc == 0)
		return same_again(d, whole, &there, c, err);
	rc = check(d, j, agent, c, err);
	if (rc == 0)
		rc = atomic_file_create(d->dirfd, name, 0644, whole->data, whole->len, err);
	return rc == 0 ? make_known(d, c, whole, err) : rc;
}

int drill_desk_report(struct drill_desk *d, const struct catalog_job *j,
	const struct catalog_agent *agent, const void *envelope, size_t len, struct buf *out,
	struct err *err)
{
	CLEANUP(report_check_done) struct report_check c = { .report = NULL };
	CLEANUP(buf_done) struct buf whole = BUF_INIT(REPORT_JSON_MAX);
	struct report_check_keys keys = { .count = 1 };
	int rc = drill_desk_files_need_id(j->drill, err);
	dsse_keyid(agent->report, keys.keyid[0]);
	if (rc == 0)
		rc = report_check_envelope(envelope, len, &keys, &c, err);
	if (rc == 0)
		rc = dsse_add_signature(
			envelope, len, REPORT_JSON_PAYLOAD_TYPE, d->seed, &whole, err);
	if (rc == 0)
		rc = take_report(d, j, agent, &c, &whole, err);
	return rc == 0 ? buf_add(out, whole.data, whole.len, err) : rc;
}
