#include "controller/drill_desk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/text.h"
#include "conf/conf_problems.h"
#include "controller/catalog_agent.h"
#include "controller/catalog_report.h"
#include "controller/drill_desk_internal.h"
#include "crypto/dsse.h"
#include "crypto/ed25519.h"
#include "crypto/secret.h"
#include "msg/msg_vault.h"
#include "plans/plan.h"
#include "restore/report.h"
#include "restore/report_json.h"
#include "restore/report_shape.h"
#include "vault/snapshot_body.h"

/*
 * INVARIANTS
 * (1) What decides about a report (plan, T0, grant) is on disk before the agent hears of it, so a
 *     restart of the controller loses none of it.
 */

#define NS_PER_MS 1000000

DEFINE_CLEANUP(struct plan *, plan_free)
DEFINE_CLEANUP(struct drill_desk *, drill_desk_free)

int drill_desk_new(const struct drill_desk_opts *opts, struct drill_desk **out, struct err *err)
{
	CLEANUP(drill_desk_free_p) struct drill_desk *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->o = *opts;
	memcpy(d->seed, opts->report_seed, sizeof(d->seed));
	ed25519_public(d->seed, d->pk);
	dsse_keyid(d->pk, d->keyid);
	d->dirfd = open(opts->reports, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->dirfd < 0)
		return err_sys(err, ERR_IO, "unable to open directory '%s'", opts->reports);
	*out = TAKE(d);
	return 0;
}

void drill_desk_free(struct drill_desk *d)
{
	if (d == NULL)
		return;
	plan_free(d->plan);
	free(d->sources);
	cleanup_close_p(&d->dirfd);
	secret_wipe(d->seed, sizeof(d->seed));
	free(d);
}

/* ---- ordering ---- */

static int make_uuid(char out[DRILL_DESK_ID_BYTES], struct err *err)
{
	uint8_t raw[16];
	char hex[33];
	int rc = env_random(raw, sizeof(raw), err);
	if (rc != 0)
		return rc;
	raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40); /* RFC 9562: version 4 */
	raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
	text_hex(raw, 16, hex);
	(void)snprintf(out, DRILL_DESK_ID_BYTES, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8,
		hex + 12, hex + 16, hex + 20); /* fits */
	return 0;
}

static bool is_trigger(const char *word)
{
	for (size_t i = 0; report_shape_triggers[i] != NULL; i++) {
		if (strcmp(report_shape_triggers[i], word) == 0)
			return true;
	}
	return false;
}

static int check_order(const struct drill_desk_order *o, struct err *err)
{
	struct drill_desk_note n;
	if (o->agent->role != MSG_ROLE_SANDBOX || o->agent->state != AGENT_ACTIVE)
		return err_set(err, ERR_USAGE, "agent '%s' is no active sandbox", o->agent->name);
	if (!is_trigger(o->trigger))
		return err_set(err, ERR_USAGE, "a trigger is schedule, manual, change or incident");
	if (o->plan_name[0] == '\0' || strlen(o->plan_name) >= sizeof(n.plan_name))
		return err_set(err, ERR_USAGE, "the name of a plan has 1 to %zu bytes",
			sizeof(n.plan_name) - 1);
	if (o->scenario != NULL && strlen(o->scenario) >= sizeof(n.scenario))
		return err_set(
			err, ERR_LIMIT, "a scenario has at most %zu bytes", sizeof(n.scenario) - 1);
	return o->plan_len > DRILL_DESK_PLAN_MAX
		       ? err_set(err, ERR_LIMIT, "a plan has at most %zu bytes",
				 DRILL_DESK_PLAN_MAX)
		       : 0;
}

/* A plan whose sources nobody ever backed up cannot be drilled: say so now. */
static int check_sources(const struct drill_desk *d, const struct plan *p,
	struct conf_problems *problems, struct err *err)
{
	for (size_t i = 0; i < p->system_count; i++) {
		const struct plan_system *s = &p->systems[i];
		if (s->source != NULL && !d->o.has_source(d->o.arg, s->source))
			conf_problems_add(problems, CONF_ERROR, s->line,
				"system '%s': there is no snapshot of source '%s'",
				s->id == NULL ? "?" : s->id, s->source);
	}
	conf_problems_sort(problems);
	return conf_problems_verdict(problems, "plan", err);
}

/* Write down what is ordered: first the files, then the row that makes it known. */
static int keep_order(struct drill_desk *d, const struct drill_desk_order *o, const struct plan *p,
	const struct drill_desk_note *n, struct err *err)
{
	struct catalog_report row = { .plan_version = p->version, .declared_ms = n->declared_ms };
	(void)snprintf(row.exercise, sizeof(row.exercise), "%s", n->exercise); /* same size */
	(void)snprintf(row.plan_id, sizeof(row.plan_id), "%s", p->id);         /* PLAN_MAX_ID */
	memcpy(row.plan_sha256, p->sha256, sizeof(row.plan_sha256));
	memcpy(row.agent_id, o->agent->id, sizeof(row.agent_id));
	int rc = drill_desk_files_make(d->dirfd, n->exercise, err);
	if (rc == 0)
		rc = drill_desk_files_put(
			d->dirfd, n->exercise, DRILL_DESK_PLAN, o->plan, o->plan_len, err);
	if (rc == 0)
		rc = drill_desk_files_put_note(d->dirfd, n, err);
	return rc == 0 ? catalog_report_add(d->o.db, &row, err) : rc;
}

int drill_desk_prepare(struct drill_desk *d, const struct drill_desk_order *o,
	struct catalog_job *j, struct conf_problems *problems, struct err *err)
{
	CLEANUP(plan_free_p) struct plan *plan = NULL;
	struct drill_desk_note n = { .declared_ms = env_now_ns() / NS_PER_MS,
		.declared_mono_ms = env_mono_ns() / NS_PER_MS };
	int rc = check_order(o, err);
	if (rc == 0)
		rc = plan_draft(o->plan_name, o->plan, o->plan_len, &plan, problems, err);
	if (rc == 0)
		rc = check_sources(d, plan, problems, err);
	if (rc == 0)
		rc = make_uuid(n.exercise, err);
	if (rc != 0)
		return rc;
	drill_desk_files_boot(n.boot);
	(void)snprintf(n.plan_name, sizeof(n.plan_name), "%s", o->plan_name); /* checked */
	(void)snprintf(n.trigger, sizeof(n.trigger), "%s", o->trigger);       /* checked */
	(void)snprintf(n.scenario, sizeof(n.scenario), "%s",
		o->scenario == NULL ? "" : o->scenario); /* checked */
	rc = keep_order(d, o, plan, &n, err);
	if (rc != 0) {
		(void)drill_desk_files_erase(
			d->dirfd, n.exercise, NULL); /* the first error counts */
		return rc;
	}
	j->verb = MSG_VERB_DRILL;
	memcpy(j->agent_id, o->agent->id, sizeof(j->agent_id));
	(void)snprintf(j->drill, sizeof(j->drill), "%s", n.exercise); /* same size */
	return 0;
}

int drill_desk_drop(struct drill_desk *d, const struct catalog_job *j, struct err *err)
{
	int rc = drill_desk_files_need_id(j->drill, err);
	if (rc == 0)
		rc = catalog_report_drop(d->o.db, j->drill, err);
	return rc == 0 ? drill_desk_files_erase(d->dirfd, j->drill, err) : rc;
}

/* ---- on its way ---- */

/* A new attempt: what the one before was granted is not its own. */
static int begin_attempt(struct drill_desk *d, const struct catalog_job *j,
	struct drill_desk_note *n, int64_t *since_ms, struct err *err)
{
	struct catalog_report row;
	*since_ms = drill_desk_files_seen(n).since_declared_ms;
	const int64_t now_ms = env_mono_ns() / NS_PER_MS;
	n->declared_mono_ms = now_ms - *since_ms; /* the same moment, as this run counts */
	n->ordered_mono_ms = now_ms;
	drill_desk_files_boot(n->boot);
	CLEANUP(cleanup_free_p) struct drill_desk_granted *none = calloc(1, sizeof(*none));
	int rc = none == NULL ? err_set(err, ERR_NOMEM, "out of memory")
			      : drill_desk_files_put_granted(d->dirfd, n->exercise, none, err);
	if (rc == 0)
		rc = drill_desk_files_put_note(d->dirfd, n, err);
	if (rc == 0)
		rc = catalog_report_get(d->o.db, n->exercise, &row, err);
	if (rc != 0)
		return rc;
	(void)snprintf(row.job, sizeof(row.job), "%s", j->id); /* same size */
	return catalog_report_set(d->o.db, &row, err);
}

int drill_desk_fill(
	struct drill_desk *d, const struct catalog_job *j, struct msg_order *out, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(DRILL_DESK_PLAN_MAX);
	CLEANUP(plan_free_p) struct plan *plan = NULL;
	struct drill_desk_note n;
	int64_t since_ms = 0;
	int rc = drill_desk_files_need_id(j->drill, err);
	if (rc == 0)
		rc = drill_desk_files_get_note(d->dirfd, j->drill, &n, err);
	if (rc == 0)
		rc = drill_desk_files_get_plan(d->dirfd, &n, &text, &plan, err);
	if (rc == 0)
		rc = begin_attempt(d, j, &n, &since_ms, err);
	if (rc != 0)
		return rc;
	char *scenario = n.scenario[0] == '\0' ? NULL : strdup(n.scenario);
	char *copy = malloc(text.len + 1);
	if (copy == NULL || (scenario == NULL && n.scenario[0] != '\0')) {
		free(scenario);
		free(copy);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	drill_desk_check_who(j, out->ordered_by);
	out->plan = copy;
	out->plan_len = text.len;
	out->scenario = scenario;
	out->since_declared_ms = since_ms < 0 ? 0 : since_ms;
	memcpy(out->plan_sha256, plan->sha256, sizeof(out->plan_sha256));
	memcpy(out->controller_key, d->pk, sizeof(out->controller_key));
	(void)snprintf(out->plan_name, sizeof(out->plan_name), "%s", n.plan_name); /* same size */
	(void)snprintf(out->exercise, sizeof(out->exercise), "%s", n.exercise);    /* same size */
	(void)snprintf(out->trigger, sizeof(out->trigger), "%s", n.trigger);       /* same size */
	(void)snprintf(out->grant, sizeof(out->grant), "%s", j->id);               /* same size */
	(void)snprintf(out->controller, sizeof(out->controller), "%s", d->o.name); /* a name */
	return 0;
}

int drill_desk_sources(struct drill_desk *d, const struct catalog_job *j, const char *const **out,
	size_t *count, int64_t *declared_ms, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(DRILL_DESK_PLAN_MAX);
	CLEANUP(plan_free_p) struct plan *plan = NULL;
	struct drill_desk_note n;
	int rc = drill_desk_files_need_id(j->drill, err);
	if (rc == 0)
		rc = drill_desk_files_get_note(d->dirfd, j->drill, &n, err);
	if (rc == 0)
		rc = drill_desk_files_get_plan(d->dirfd, &n, &text, &plan, err);
	if (rc != 0)
		return rc;
	const char **list = calloc(plan->system_count + 1, sizeof(*list));
	if (list == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	size_t used = 0;
	for (size_t i = 0; i < plan->system_count; i++) {
		size_t k = 0;
		while (k < used && strcmp(list[k], plan->systems[i].source) != 0)
			k++;
		if (k == used) /* two systems may come from one source */
			list[used++] = plan->systems[i].source;
	}
	plan_free(d->plan);
	free(d->sources);
	d->plan = TAKE(plan);
	d->sources = list;
	*out = list;
	*count = used;
	*declared_ms = n.declared_ms;
	return 0;
}

/* What the signed record of a granted snapshot says of it. */
static int read_point(const struct msg_point *m, struct drill_desk_point *out, struct err *err)
{
	struct snapshot_body body;
	struct snaprec record;
	uint8_t hash[HASH_BYTES];
	int rc = snapshot_body_decode(m->snapshot, m->snapshot_len, &body, err);
	if (rc != 0)
		return rc;
	rc = snaprec_decode(body.record, &record, err);
	snaprec_hash(body.record, hash);
	snapshot_body_done(&body);
	if (rc != 0)
		return rc;
	text_hex(hash, sizeof(hash), out->snapshot);
	text_hex(record.root_id, sizeof(record.root_id), out->root_id);
	(void)snprintf(out->source, sizeof(out->source), "%s", m->source); /* same size */
	/* a number that no report can hold is absent there */
	out->seq = record.seq <= (uint64_t)REPORT_INT_MAX ? (int64_t)record.seq : REPORT_NONE;
	out->start_ms = report_ms(record.t_start_ns);
	out->end_ms = report_ms(record.t_end_ns);
	return 0;
}

int drill_desk_granted(struct drill_desk *d, const struct catalog_job *j, const void *points,
	size_t len, struct err *err)
{
	CLEANUP(msg_vault_points_done) struct msg_points m = { .count = 0 };
	CLEANUP(cleanup_free_p) struct drill_desk_granted *g = calloc(1, sizeof(*g));
	struct drill_desk_note n;
	int rc = g == NULL ? err_set(err, ERR_NOMEM, "out of memory")
			   : drill_desk_files_need_id(j->drill, err);
	if (rc == 0)
		rc = drill_desk_files_get_note(d->dirfd, j->drill, &n, err);
	if (rc == 0)
		rc = msg_vault_points_decode(points, len, &m, err);
	for (; rc == 0 && g->count < m.count; g->count++)
		rc = read_point(&m.at[g->count], &g->at[g->count], err);
	if (rc != 0)
		return rc;
	g->since_declared_ms = drill_desk_files_seen(&n).since_declared_ms;
	return drill_desk_files_put_granted(d->dirfd, j->drill, g, err);
}

/* ---- evidence, and reports as they lie ---- */

static int count_evidence(const struct drill_desk *d, const char *path, struct err *err)
{
	int fd = openat(d->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int count = 0;
	if (dir == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return err_sys(err, ERR_IO, "unable to read '%s'", path);
	}
	for (const struct dirent *de = readdir(dir); de != NULL; de = readdir(dir))
		count += de->d_name[0] != '.';
	(void)closedir(dir);
	return count;
}

static bool has_report(const struct drill_desk *d, const char *exercise)
{
	char name[DRILL_DESK_ID_BYTES + 8];
	(void)snprintf(name, sizeof(name), "%s.json", exercise); /* fits */
	return faccessat(d->dirfd, name, F_OK, 0) == 0;
}

int drill_desk_evidence(struct drill_desk *d, const struct catalog_job *j, const char *name,
	const void *data, size_t len, struct err *err)
{
	char dir[DRILL_DESK_ID_BYTES + 16], file[DRILL_DESK_NAME_MAX + 16];
	CLEANUP(buf_done) struct buf before = BUF_INIT(MSG_MAX_BODY);
	int rc = drill_desk_files_need_id(j->drill, err);
	if (rc != 0)
		return rc;
	if (!drill_desk_files_is_evidence(name))
		return err_set(err, ERR_USAGE, "evidence has a name of 1 to %d of [A-Za-z0-9._-]",
			DRILL_DESK_NAME_MAX);
	if (len > MSG_MAX_BODY)
		return err_set(err, ERR_LIMIT, "evidence '%s' has %zu bytes, more than %zu", name,
			len, MSG_MAX_BODY);
	(void)snprintf(dir, sizeof(dir), "%s/" DRILL_DESK_EVIDENCE, j->drill); /* fits */
	(void)snprintf(file, sizeof(file), DRILL_DESK_EVIDENCE "/%s", name);   /* checked */
	rc = drill_desk_files_get(d->dirfd, j->drill, file, &before, NULL);
	if (rc == 0 && before.len == len && (len == 0 || memcmp(before.data, data, len) == 0))
		return 0;
	if (has_report(d, j->drill))
		return err_set(err, ERR_EXISTS, "there is a report of this exercise already");
	if (rc == -ERR_NOT_FOUND) {
		int count = count_evidence(d, dir, err);
		if (count < 0)
			return count;
		if (count >= DRILL_DESK_EVIDENCE_FILES)
			return err_set(err, ERR_LIMIT, "more than %d files of evidence",
				DRILL_DESK_EVIDENCE_FILES);
	}
	return drill_desk_files_put(d->dirfd, j->drill, file, data, len, err);
}

int drill_desk_read(struct drill_desk *d, const char *exercise, struct buf *out, struct err *err)
{
	char name[DRILL_DESK_ID_BYTES + 8];
	int rc = drill_desk_files_need_id(exercise, err);
	if (rc != 0)
		return rc;
	(void)snprintf(name, sizeof(name), "%s.json", exercise); /* fits */
	rc = fdio_read_file(d->dirfd, name, out, err);
	if (rc != -ERR_NOT_FOUND)
		return rc;
	(void)err_set(err, ERR_NOT_FOUND, "there is no report of exercise %s", exercise);
	(void)err_hint(err, "'holdfast drill list --server HOST:PORT' shows the exercises; one "
			    "that runs has no report yet");
	return -ERR_NOT_FOUND;
}
