#include "agents/agent_drill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/agent_conf.h"
#include "agents/agent_link.h"
#include "agents/agent_state.h"
#include "agents/points_far.h"
#include "agents/record_far.h"
#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/version.h"
#include "codec/text.h"
#include "conf/conf_problems.h"
#include "crypto/dsse.h"
#include "crypto/hash.h"
#include "msg/msg_vault.h"
#include "net/http_client.h"
#include "plans/plan.h"
#include "restore/drill.h"
#include "restore/report.h"
#include "restore/report_html.h"
#include "restore/report_json.h"
#include "restore/report_judge.h"
#include "restore/report_shape.h"

/*
 * INVARIANTS
 * (1) The plan that is carried out is the one whose SHA-256 the order names.
 * (2) The report is kept here whatever the controller says of it, and what the controller orders
 *     later takes the place of none (restore/drill_begin).
 * (3) T0 is the controller's: what goes by here before the drill begins lies after it.
 */

#define DRILL_BEAT_NS INT64_C(5000000000)
#define DRILL_EVIDENCE_MAX ((size_t)16 << 20)
#define DRILL_ANSWER_MAX ((size_t)24 << 20)
#define DRILL_PATH_BYTES 256
#define DRILL_WORK_DEFAULT "/var/tmp"

struct job {
	const struct agent_drill_opts *opts;
	const struct msg_order *order;
	struct msg_result *result;
	struct msg_progress progress;
	struct err why; /* why it was stopped */
	int64_t received_ns, last_ns, deadline_ns;
	bool is_stopped;
	char reports[PATH_MAX];
	struct plan *plan; /* owned, as all here */
	struct msg_points points;
	struct record_far *records;
	struct points_far *far;
	struct report *report;
};

/* ---- signs of life ---- */

static void beat(struct job *j)
{
	j->last_ns = env_mono_ns();
	if (j->opts->on_beat != NULL)
		j->opts->on_beat(j->opts->arg);
	if (agent_link_progress(j->opts->link, j->order->job, &j->progress, &j->why) != 0)
		j->is_stopped = true;
}

static bool is_stopped(void *arg)
{
	struct job *j = arg;
	const int64_t now = env_mono_ns();
	if (j->is_stopped)
		return true;
	if (j->opts->is_stopped(j->opts->arg)) {
		(void)err_set(&j->why, ERR_INTERRUPTED, "the agent was asked to end");
		j->is_stopped = true;
	} else if (j->deadline_ns != 0 && now > j->deadline_ns) {
		(void)err_set(&j->why, ERR_INTERRUPTED, "the deadline of the job has passed");
		j->is_stopped = true;
	} else if (now - j->last_ns > DRILL_BEAT_NS) {
		beat(j);
	}
	return j->is_stopped;
}

static void on_tell(void *arg, const char *text)
{
	struct job *j = arg;
	(void)snprintf(j->progress.text, sizeof(j->progress.text), "%.200s", text); /* cut */
	log_info("agent_drill.tell", "job=%s %s", j->order->job, text);
	if (env_mono_ns() - j->last_ns > DRILL_BEAT_NS / 5)
		beat(j);
}

/* ---- what is needed before ---- */

static int take_plan(struct job *j, struct err *err)
{
	uint8_t hash[HASH_BYTES];
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	hash_sha256(j->order->plan, j->order->plan_len, hash);
	if (memcmp(hash, j->order->plan_sha256, sizeof(hash)) != 0)
		return err_set(err, ERR_CORRUPT, "the plan is not the one that the order names");
	int rc = plan_parse(
		j->order->plan_name, j->order->plan, j->order->plan_len, &j->plan, &problems, err);
	conf_problems_done(&problems);
	return rc;
}

int agent_drill_check(const struct agent_conf_values *conf, struct err *err)
{
	if (conf->work == NULL || faccessat(AT_FDCWD, conf->work, W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	(void)err_sys(
		err, ERR_CONFIG, "unable to use '%s', the 'drill.work' of this agent", conf->work);
	return err_hint(err, "make the directory, or set 'work' in the group 'drill'");
}

static int make_places(struct job *j, struct err *err)
{
	const struct agent_conf_values *c = j->opts->conf;
	int n = c->reports != NULL ? snprintf(j->reports, PATH_MAX, "%s", c->reports)
				   : snprintf(j->reports, PATH_MAX, "%s/reports", c->state);
	if (n < 0 || n >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "the path of the reports is too long");
	if (mkdir(j->reports, 0700) != 0 && errno != EEXIST)
		return err_sys(err, ERR_IO, "unable to make directory '%s'", j->reports);
	return 0;
}

static int ask(struct job *j, enum http_method method, const char *path, const struct buf *body,
	struct buf *answer, struct err *err)
{
	const struct http_call call = { .method = method,
		.path = path,
		.type = body == NULL ? NULL : "application/octet-stream",
		.body = body == NULL ? NULL : body->data,
		.len = body == NULL ? 0 : body->len,
		.max_answer = DRILL_ANSWER_MAX,
		.wait_ms = 60000 }; /* the vault is opened and its index read */
	return http_client_call(agent_link_client(j->opts->link), &call, NULL, answer, err);
}

static int take_points(struct job *j, struct err *err)
{
	char path[DRILL_PATH_BYTES];
	CLEANUP(buf_done) struct buf answer = BUF_INIT(DRILL_ANSWER_MAX);
	(void)snprintf(path, sizeof(path), "/v1/grants/%s", j->order->grant); /* an id: fits */
	int rc = ask(j, HTTP_GET, path, NULL, &answer, err);
	if (rc == 0)
		rc = msg_vault_points_decode(answer.data, answer.len, &j->points, err);
	if (rc == 0)
		rc = record_far_new(
			agent_link_client(j->opts->link), j->order->grant, &j->records, err);
	if (rc != 0)
		return rc;
	const struct points_far_opts opts = { .points = &j->points,
		.records = record_far_store(j->records),
		.officer_pk = j->opts->state->answer.officer,
		.min_epoch = j->opts->state->keys.config_epoch,
		.dk_sk = j->opts->state->dk_sk };
	return points_far_new(&opts, &j->far, err);
}

/* ---- the drill ---- */

static enum report_trigger trigger_of(const char *word)
{
	for (unsigned i = 1; report_shape_word(report_shape_triggers, i)[0] != '\0'; i++) {
		if (strcmp(report_shape_word(report_shape_triggers, i), word) == 0)
			return (enum report_trigger)i;
	}
	return REPORT_TRIGGER_MANUAL;
}

int64_t agent_drill_since(const struct msg_order *order, int64_t received_ns)
{
	return order->since_declared_ms + (env_mono_ns() - received_ns) / 1000000;
}

static int carry_out(struct job *j, struct err *err)
{
	const struct agent_state *s = j->opts->state;
	char keyid[DSSE_KEYID_BYTES], other[DSSE_KEYID_BYTES], id[33];
	dsse_keyid(s->request.report, keyid);
	dsse_keyid(j->order->controller_key, other);
	text_hex(s->answer.agent_id, 16, id);
	const struct report_agent agent = {
		.name = s->request.name, .agent_id = id, .keyid = keyid
	};
	const struct report_controller controller = { .name = j->order->controller,
		.keyid = other };
	const struct drill_opts opts = { .plan = j->plan,
		.points = points_far_points(j->far),
		.work = j->opts->conf->work == NULL ? DRILL_WORK_DEFAULT : j->opts->conf->work,
		.reports = j->reports,
		.tool = VERSION_TOOL,
		.scenario = j->order->scenario,
		.trigger = trigger_of(j->order->trigger),
		.exercise = j->order->exercise,
		.since_declared_ms = agent_drill_since(j->order, j->received_ns),
		.ordered_by = j->order->ordered_by,
		.agent = &agent,
		.controller = &controller,
		.on_tell = on_tell,
		.is_stopped = is_stopped,
		.arg = j };
	j->report = report_new();
	if (j->report == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return drill_run(&opts, j->report, err);
}

/* ---- afterwards ---- */

static int keep(struct job *j, const struct buf *json, bool is_countersigned, struct err *err)
{
	char path[PATH_MAX], page[PATH_MAX], name[64], hex[2 * HASH_BYTES + 1];
	char keyid[DSSE_KEYID_BYTES], other[DSSE_KEYID_BYTES];
	uint8_t hash[HASH_BYTES];
	CLEANUP(buf_done) struct buf html = BUF_INIT(REPORT_HTML_MAX);
	(void)snprintf(name, sizeof(name), "%s.json", j->order->exercise); /* a UUID: fits */
	if (snprintf(path, PATH_MAX, "%s/%s", j->reports, name) >= PATH_MAX ||
		snprintf(page, PATH_MAX, "%s/%s.html", j->reports, j->order->exercise) >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "the path of the report is too long");
	hash_sha256(json->data, json->len, hash);
	text_hex(hash, sizeof(hash), hex);
	dsse_keyid(j->opts->state->request.report, keyid);
	dsse_keyid(j->order->controller_key, other);
	const struct report_html_opts opts = { .json_name = name,
		.json_sha256 = hex,
		.keyid = keyid,
		.controller_keyid = is_countersigned ? other : NULL };
	int rc = atomic_file_write(AT_FDCWD, path, 0644, json->data, json->len, err);
	if (rc == 0)
		rc = report_html_render(j->report, &opts, &html, err);
	return rc == 0 ? atomic_file_write(AT_FDCWD, page, 0644, html.data, html.len, err) : rc;
}

static int send_file(struct job *j, int dirfd, const char *name, struct err *err)
{
	char path[DRILL_PATH_BYTES + NAME_MAX];
	CLEANUP(buf_done) struct buf data = BUF_INIT(DRILL_EVIDENCE_MAX);
	int rc = fdio_read_file(dirfd, name, &data, err);
	(void)snprintf(
		path, sizeof(path), "/v1/jobs/%s/evidence/%s", j->order->job, name); /* fits */
	return rc == 0 ? ask(j, HTTP_PUT, path, &data, NULL, err) : rc;
}

/* The evidence goes first: what the report lists must be there when it is countersigned. */
static int send_evidence(struct job *j, struct err *err)
{
	char path[PATH_MAX];
	int n = snprintf(path, PATH_MAX, "%s/%s/" DRILL_EVIDENCE, j->reports, j->order->exercise);
	if (n < 0 || n >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "the path of the evidence is too long");
	DIR *dir = opendir(path);
	if (dir == NULL)
		return err_sys(err, ERR_IO, "unable to read directory '%s'", path);
	int rc = 0;
	for (const struct dirent *de = readdir(dir); rc == 0 && de != NULL; de = readdir(dir)) {
		if (de->d_name[0] != '.')
			rc = send_file(j, dirfd(dir), de->d_name, err);
	}
	(void)closedir(dir); /* only read */
	return rc;
}

int agent_drill_check_answer(const struct buf *sent, const struct buf *back,
	const uint8_t agent_pk[32], const uint8_t controller_pk[32], struct err *err)
{
	CLEANUP(buf_done) struct buf said = BUF_INIT(REPORT_JSON_MAX);
	CLEANUP(buf_done) struct buf says = BUF_INIT(REPORT_JSON_MAX);
	struct dsse_opened by;
	int rc = dsse_open(
		sent->data, sent->len, REPORT_JSON_PAYLOAD_TYPE, agent_pk, &said, NULL, err);
	if (rc == 0)
		rc = dsse_open(back->data, back->len, REPORT_JSON_PAYLOAD_TYPE, controller_pk,
			&says, &by, err);
	if (rc == 0 && (says.len != said.len || memcmp(says.data, said.data, said.len) != 0 ||
			       memcmp(by.signers[0].pk, agent_pk, 32) != 0))
		rc = err_set(err, ERR_CORRUPT, "it is not the report that it was sent");
	return rc == 0 ? 0 : err_wrap(err, "the report that the controller gave back");
}

static int send_report(struct job *j, const struct buf *json, struct err *err)
{
	char path[DRILL_PATH_BYTES];
	CLEANUP(buf_done) struct buf answer = BUF_INIT(DRILL_ANSWER_MAX);
	CLEANUP(buf_done) struct buf whole = BUF_INIT(DSSE_MAX_BYTES);
	int rc = send_evidence(j, err);
	(void)snprintf(path, sizeof(path), "/v1/jobs/%s/report", j->order->job); /* fits */
	if (rc == 0)
		rc = ask(j, HTTP_POST, path, json, &answer, err);
	if (rc == 0)
		rc = msg_vault_report_decode(answer.data, answer.len, &whole, err);
	if (rc == 0)
		rc = agent_drill_check_answer(json, &whole, j->opts->state->request.report,
			j->order->controller_key, err);
	if (rc == 0)
		rc = keep(j, &whole, true, err); /* the same with both signatures */
	return rc;
}

static int conclude(struct job *j, struct err *err)
{
	CLEANUP(buf_done) struct buf json = BUF_INIT(REPORT_JSON_MAX);
	struct msg_result *m = j->result;
	int rc = report_json_seal(j->report, j->opts->state->report_seed, &json, err);
	if (rc == 0)
		rc = keep(j, &json, false, err); /* invariant 2 */
	if (rc == 0) {
		/* an interrupted drill is told too: what stopped it does not stop its report */
		j->is_stopped = false;
		(void)snprintf(j->progress.phase, sizeof(j->progress.phase), "report");
		beat(j);
		rc = send_report(j, &json, err);
	}
	if (rc != 0)
		return rc;
	(void)snprintf(m->verdict, sizeof(m->verdict), "%s",
		report_shape_word(report_shape_verdicts, j->report->verdict.overall));
	if (j->report->exercise.abort_reason != NULL)
		return err_set(err, ERR_INTERRUPTED, "the drill was interrupted: %s",
			j->report->exercise.abort_reason);
	if (report_judge_exit_status(j->report) != EXIT_STATUS_OK)
		return err_set(err, ERR_OBJECTIVE, "%s", j->report->verdict.summary);
	return 0;
}

static int run(struct job *j, struct err *err)
{
	int rc = take_plan(j, err);
	if (rc == 0 && agent_drill_check(j->opts->conf, err) != 0)
		rc = err_wrap(err, "agent '%s'", j->opts->state->request.name);
	if (rc == 0)
		rc = make_places(j, err);
	(void)snprintf(j->progress.phase, sizeof(j->progress.phase), "drill");
	beat(j);
	if (rc == 0)
		rc = take_points(j, err);
	if (rc == 0)
		rc = carry_out(j, err);
	return rc == 0 ? conclude(j, err) : rc;
}

void agent_drill_run(
	const struct agent_drill_opts *opts, const struct msg_order *order, struct msg_result *out)
{
	struct job j = {
		.opts = opts, .order = order, .result = out, .received_ns = env_mono_ns()
	};
	*out = (struct msg_result){ .attempt = order->attempt };
	j.progress.attempt = order->attempt;
	if (order->deadline_ms > 0)
		j.deadline_ns = env_mono_ns() + order->deadline_ms * 1000000;
	int rc = run(&j, &out->error);
	if (rc == -ERR_INTERRUPTED && j.why.code != 0)
		out->error = j.why;
	if (rc == 0)
		err_clear(&out->error);
	report_free(j.report);
	points_far_free(j.far);
	record_far_free(j.records);
	msg_vault_points_done(&j.points);
	plan_free(j.plan);
}
